//! The console in real Chromium, and what drives it.

mod harness;
mod pictures;
mod seed;
mod site;
