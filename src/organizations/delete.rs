//! Deletes organizations: every key, token and session is invalid at once, and all data is gone.

use crate::domain::authority::ChangeContext;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Affects, Node, Unavailable};
use crate::organizations::suspend::{self, SuspendError};
use crate::store::{AuditEntry, StoreError, action};

/// Days of suspension after which an organization can be deleted.
pub const SUSPENDED_DAYS: i64 = 30;
const DAY: i64 = 86_400;

/// Reason why an organization was not deleted.
#[derive(Debug)]
pub enum DeleteError {
    NotFound,
    /// Organization `default` manages the others.
    IsDefault,
    /// It was not suspended for long enough. The time from which it can be deleted, if it is suspended.
    TooEarly(Option<Timestamp>),
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for DeleteError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<SuspendError> for DeleteError {
    fn from(error: SuspendError) -> Self {
        match error {
            SuspendError::NotFound => Self::NotFound,
            SuspendError::IsDefault => Self::IsDefault,
            SuspendError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

/// Deletes an organization that was suspended for 30 days, or any if `now`. Its keys and tokens are denied on every node
/// before its data is deleted, and its data is deleted when this returns.
pub async fn delete(node: &Node, by: &ChangeContext, slug: &Slug, at_once: bool) -> Result<(), DeleteError> {
    // 1. Whether it can be deleted.
    if slug.is_default() {
        return Err(DeleteError::IsDefault);
    }
    let organization = node.store.organization(slug).await?.filter(|organization| organization.deleted_at.is_none());
    let organization = organization.ok_or(DeleteError::NotFound)?;
    let earliest = organization.suspended_at.map(|at| at.plus_seconds(SUSPENDED_DAYS * DAY));
    if !at_once && earliest.is_none_or(|earliest| by.now < earliest) {
        return Err(DeleteError::TooEarly(earliest));
    }

    // 2. No key, token or session of it is accepted from here on.
    suspend::suspend(node, by, slug).await?;
    let old =
        serde_json::json!({ "name": organization.name, "created_at": crate::clock::rfc3339(organization.created_at) });
    let entry = AuditEntry::of(by, action::ORGANIZATION_DELETE, slug, Some(old), None);
    let log = Slug::default_organization();
    let write = node.store.mark_deleted(slug, &log, by.now, &entry);
    node.change(&entry, Affects::Organization(slug), write).await?;

    // 3. Its data.
    node.store.purge_organization(slug, by.now).await?;
    Ok(())
}

/// Deletes the data of organizations whose deletion was interrupted. Returns their number.
pub async fn purge_deleted(node: &Node, now: Timestamp) -> Result<usize, StoreError> {
    let slugs = node.store.unpurged_organizations().await?;
    for slug in &slugs {
        node.store.purge_organization(slug, now).await?;
    }
    Ok(slugs.len())
}
