//! The console: over HTTP, as a browser without a script sends it, and in real Chromium.

mod account;
mod audit;
mod browser;
mod gateways;
mod harness;
mod keys;
mod members;
mod organizations;
mod pictures;
mod policy;
mod seed;
mod sign_in;
mod signing_keys;
mod site;
mod webhooks;
mod welcome;

use crate::support::{Person, Server, Visitor, person};

/// A server, the owner of its default organization, and the same at the console.
#[track_caller]
fn visiting() -> (Server, Person, Visitor) {
    let (server, owner) = person::start();
    let visitor = Visitor::of(&server, &owner);
    (server, owner, visitor)
}
