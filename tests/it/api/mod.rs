//! `/api/v1`.

mod authority;
mod bad_input;
mod guard;
mod idempotency;
mod keys;
mod limits;
mod lists;
mod members;
mod organizations;
mod policy;
mod roles;
mod rotation;
mod sessions;
mod signing_keys;
mod transitions;
