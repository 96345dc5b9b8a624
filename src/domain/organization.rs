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
    /// When it was made.
    pub created_at: Timestamp,
}
