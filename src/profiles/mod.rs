//! Access profiles and named networks: create, edit, delete.
//!
//! Use cases: imports `domain`, the adapters, `node` and `keys`; no HTTP, no SQL. Both are part of the state of an organization,
//! so a change writes no key, and is effective for all keys that refer to it on all nodes before the response.

mod change;
mod delete;
mod error;
mod networks;

pub use change::{NewProfile, ProfileEdit, create, edit, key_count, key_counts, preview_edit};
pub use delete::{KeysOfDeletedProfile, delete};
pub use error::ProfileError;
pub use networks::{
    NetworkEdit, NewNetwork, create_network, delete_network, edit_network, network_key_counts, preview_network_edit,
};

use std::sync::Arc;

use crate::domain::profile::{NamedNetwork, Profile};
use crate::domain::slug::Slug;
use crate::node::{Node, Tenant};

/// Maximum number of attempts of a change, if other changes come first.
const TRIES: usize = 16;

/// Returns an organization's current state, with its profiles and networks.
pub async fn read(node: &Node, organization: &Slug) -> Result<Arc<Tenant>, ProfileError> {
    node.current_tenant(organization).await?.ok_or(ProfileError::NotFound)
}

/// Returns a profile by its name.
pub fn find<'a>(tenant: &'a Tenant, name: &Slug) -> Result<&'a Profile, ProfileError> {
    tenant.shared.profile(name).ok_or(ProfileError::NotFound)
}

/// Returns a network by its name.
pub fn find_network<'a>(tenant: &'a Tenant, name: &Slug) -> Result<&'a NamedNetwork, ProfileError> {
    tenant.shared.network(name).ok_or(ProfileError::NotFound)
}
