//! The console, without a browser: over HTTP, as a browser without a script sends it.

mod account;
mod sign_in;
