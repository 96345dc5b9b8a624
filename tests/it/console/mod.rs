//! The console: over HTTP, as a browser without a script sends it, and in real Chromium.

mod account;
mod harness;
mod pictures;
mod seed;
mod sign_in;
mod site;
