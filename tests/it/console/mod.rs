//! The console, without a browser: over HTTP, as a browser without a script sends it.

mod account;
mod gateways;
mod policy;
mod sign_in;
mod signing_keys;
mod webhooks;
