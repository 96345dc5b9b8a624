//! An organization: the tenant that owns keys, members, a policy and signing keys.

use crate::domain::policy::Policy;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// An organization as it is stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Organization {
    /// Its name in URLs and claims.
    pub slug: Slug,
    /// What it allows.
    pub policy: Policy,
    /// Goes up with every change of the policy; its `ETag`.
    pub policy_version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// While set, every key and token of the organization is denied.
    pub suspended_at: Option<Timestamp>,
    /// The number of the last change of its policy, state or signing keys: memory that holds this number or a later
    /// one is current.
    pub changed_seq: u64,
}

impl Organization {
    /// A new organization with the default policy, not written yet.
    pub fn new(slug: Slug, created_at: Timestamp) -> Self {
        Self { slug, policy: Policy::default(), policy_version: 1, created_at, suspended_at: None, changed_seq: 0 }
    }
}
