//! Suspends and resumes organizations. All keys and tokens of a suspended organization are denied.

use crate::domain::authority::ChangeContext;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Affects, Node, Unavailable};
use crate::store::{AuditEntry, action};

/// Reason why an organization was not suspended or resumed.
#[derive(Debug)]
pub enum SuspendError {
    NotFound,
    /// Organization `default` manages the others and cannot be suspended.
    IsDefault,
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for SuspendError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Suspends an organization. Its keys and tokens are denied on every node when this returns, even if it was already
/// suspended.
pub async fn suspend(node: &Node, by: &ChangeContext, slug: &Slug) -> Result<(), SuspendError> {
    if slug.is_default() {
        return Err(SuspendError::IsDefault);
    }
    change(node, by, slug, Some(by.now), action::ORGANIZATION_SUSPEND).await
}

/// Resumes an organization: its keys and unexpired tokens are valid again.
pub async fn resume(node: &Node, by: &ChangeContext, slug: &Slug) -> Result<(), SuspendError> {
    change(node, by, slug, None, action::ORGANIZATION_RESUME).await
}

async fn change(
    node: &Node,
    by: &ChangeContext,
    slug: &Slug,
    suspended_at: Option<Timestamp>,
    action: &'static str,
) -> Result<(), SuspendError> {
    let organization = node.store.organization(slug).await?;
    if organization.is_none_or(|organization| organization.deleted_at.is_some()) {
        return Err(SuspendError::NotFound);
    }
    let state = |is_suspended: bool| Some(serde_json::json!({ "suspended": is_suspended }));
    let entry = AuditEntry::of(by, action, slug, state(suspended_at.is_none()), state(suspended_at.is_some()));
    let write = node.store.suspend_organization(slug, suspended_at, &entry);
    node.change(&entry, Affects::Organization(slug), write).await?;
    Ok(())
}
