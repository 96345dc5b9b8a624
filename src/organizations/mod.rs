//! What is done to organizations: founding and bootstrapping them, their policy, their signing keys.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL.

mod create;
mod founding;
mod load;
mod policy;
mod signing_keys;

pub use create::{CreateError, Created, bootstrap, create};
pub use founding::{FoundError, Founded, found};
pub use load::{LoadError, check_master_key, check_master_key_id, is_current, load_tenants, reseal};
pub use policy::{Effect, PolicyError, effects, read as read_policy, replace as replace_policy};
pub use signing_keys::{RotateError, next_rotation, rotate_signing_key, tend_signing_keys};
