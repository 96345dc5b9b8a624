//! Organizations: creating, renaming, suspending, deleting, policies, signing keys.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL.

mod apis;
mod bootstrap;
mod counts;
mod create;
mod delete;
mod master_key;
mod policy;
mod rename;
mod signing_keys;
mod suspend;

pub use apis::{
    ApiEdit, ApiError, LostScopes, NewApi, ScopeText, create as create_api, delete as delete_api, edit as edit_api,
    find as find_api, keys_of_apis, lost_scopes, preview_edit as preview_api_edit, read as read_apis,
};
pub use bootstrap::{BootstrapError, BootstrappedOrganization, bootstrap_organization};
pub use counts::counts;
pub use create::{CreateError, Creation, bootstrap, create};
pub use delete::{DeleteError, SUSPENDED_DAYS, delete, purge_deleted};
pub use master_key::{ResealError, check_master_key, check_master_key_id, is_current, reseal, seal_webhook_urls};
pub use policy::{AffectedKey, Effect, PolicyError, effects, read as read_policy, replace as replace_policy};
pub use rename::{RenameError, rename};
pub use signing_keys::{
    RetireError, RotateError, SigningKeyRotation, maintain_signing_keys, next_rotation, retire_signing_key,
    rotate_signing_key,
};
pub use suspend::{SuspendError, resume, suspend};
