//! Access profiles and named networks: access that is written once and applies to every key that refers to it.
//!
//! Both are part of the state of an organization, like its policy and APIs, so a change applies to all keys without a write for
//! any of them. [`SharedAccess`] resolves the references of a key when a decision is made.

mod network;
mod shared;

use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Violation, ViolationKind};

pub use network::{MAX_NAMED_NETWORKS, NamedNetwork};
pub use shared::{SharedAccess, SharedVersion, has_references};

/// Maximum number of profiles of an organization.
pub const MAX_PROFILES: usize = 200;
/// Maximum number of named networks that a key or a profile refers to.
pub const MAX_REFERENCES: usize = 4;
/// Maximum length of a description in characters.
const MAX_DESCRIPTION_CHARS: usize = 500;

/// An access profile: the most that the keys with this profile can do.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    pub organization: Slug,
    /// Unique in the organization. Cannot change, because keys refer to it.
    pub name: Slug,
    pub description: String,
    pub grants: Grants,
    pub networks: Networks,
    /// Names of further networks. The profile allows the addresses of either.
    pub named_networks: Vec<Slug>,
    /// Longest lifetime of a token, 60 to 3600; that of its APIs if absent.
    pub token_ttl_seconds: Option<u32>,
    /// Increases with every change; the `ETag`.
    pub version: u64,
    pub created_at: Timestamp,
}

impl Profile {
    /// Returns every invalid setting, except of the grants. `networks` are the organization's.
    pub fn validate(&self, networks: &[NamedNetwork]) -> Vec<Violation> {
        let mut violations = validate_description(&self.description);
        violations.extend(validate_references(&self.named_networks, networks.iter().map(|network| &network.name)));
        if self.token_ttl_seconds.is_some_and(|ttl| !(60..=3600).contains(&ttl)) {
            let kind = ViolationKind::OutOfRange { least: 60, most: 3600, optional: true };
            violations.push(Violation::new("token_ttl_seconds", kind));
        }
        violations
    }
}

fn validate_description(description: &str) -> Vec<Violation> {
    match description.chars().count() > MAX_DESCRIPTION_CHARS {
        true => vec![Violation::new("description", ViolationKind::TooLong(MAX_DESCRIPTION_CHARS))],
        false => Vec::new(),
    }
}

/// Returns the references to networks that do not exist. `known` are the names of the organization's networks.
pub fn validate_references<'a>(references: &[Slug], known: impl Iterator<Item = &'a Slug> + Clone) -> Vec<Violation> {
    let mut violations = Vec::new();
    if references.len() > MAX_REFERENCES {
        violations.push(Violation::new("networks", ViolationKind::EntryCount { least: 0, most: MAX_REFERENCES }));
    }
    for (index, name) in references.iter().enumerate() {
        if !known.clone().any(|known| known == name) {
            violations.push(Violation::new(format!("networks[{index}]"), "no such network"));
        } else if references.iter().take(index).any(|earlier| earlier == name) {
            violations.push(Violation::new(format!("networks[{index}]"), "the network is listed twice"));
        }
    }
    violations
}
