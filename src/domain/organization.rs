//! An organization: the tenant that owns keys, members, a policy and signing keys.

use crate::domain::policy::Policy;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

#[derive(Clone, PartialEq, Debug)]
pub struct Organization {
    pub slug: Slug,
    pub policy: Policy,
    /// Increases with every change of the policy; its `ETag`.
    pub policy_version: u64,
    pub created_at: Timestamp,
    /// If set, every key and token of the organization is denied.
    pub suspended_at: Option<Timestamp>,
    /// Number of the last change of its policy, state or signing keys. A cached copy with this number or a later one is
    /// current.
    pub changed_seq: u64,
}

impl Organization {
    /// Creates an organization with the default policy. Does not store it.
    pub fn new(slug: Slug, created_at: Timestamp) -> Self {
        Self { slug, policy: Policy::default(), policy_version: 1, created_at, suspended_at: None, changed_seq: 0 }
    }
}
