//! Organizations: creating, suspending, policies, signing keys.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL.

mod bootstrap;
mod create;
mod master_key;
mod policy;
mod signing_keys;
mod suspend;

pub use bootstrap::{BootstrapError, BootstrappedOrganization, bootstrap_organization};
pub use create::{CreateError, bootstrap, create};
pub use master_key::{ResealError, check_master_key, check_master_key_id, is_current, reseal, seal_webhook_urls};
pub use policy::{Effect, PolicyError, effects, read as read_policy, replace as replace_policy};
pub use signing_keys::{
    RetireError, RotateError, SigningKeyRotation, maintain_signing_keys, next_rotation, retire_signing_key,
    rotate_signing_key,
};
pub use suspend::{SuspendError, resume, suspend};
