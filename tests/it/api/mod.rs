//! `/api/v1`.

mod authority;
mod bad_input;
mod explain;
mod guard;
mod impact;
mod keys;
mod limits;
mod lists;
mod openapi;
mod rotation;
mod signing_keys;
mod transitions;
mod upkeep;
mod usage;
