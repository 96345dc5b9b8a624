//! The console: over HTTP as a browser without JavaScript, and in Chromium.

mod account;
mod apis;
mod audit;
mod browser;
mod customers;
mod emergency;
mod find;
mod forms;
mod frame;
mod gateways;
mod harness;
mod key_list;
mod keys;
mod members;
mod organizations;
mod overview;
mod pictures;
mod policy;
mod portal;
mod profile_keys;
mod profiles;
mod seed;
mod sign_in;
mod signing_keys;
mod site;
mod switcher;
mod webhooks;
mod welcome;
mod wording;

use crate::support::{Person, Server, Visitor, person};

/// Starts a server and signs the owner of its default organization in to the console.
#[track_caller]
fn visiting() -> (Server, Person, Visitor) {
    let (server, owner) = person::start();
    let visitor = Visitor::of(&server, &owner);
    (server, owner, visitor)
}
