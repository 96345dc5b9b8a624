//! What is done to organizations: founding them, and keeping their signing keys.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL.

mod founding;
mod load;
mod signing_keys;

pub use founding::{FoundError, Founded, found};
pub use load::{LoadError, check_master_key, check_master_key_id, is_current, load_tenants, reseal};
pub use signing_keys::{RotateError, rotate_signing_key, tend_signing_keys};
