//! The console, without a browser: over HTTP, as a browser without a script sends it.

mod account;
mod audit;
mod members;
mod organizations;
mod sign_in;
mod welcome;
