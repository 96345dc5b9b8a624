//! Changes the display name of an organization.

use crate::domain::authority::ChangeContext;
use crate::domain::organization::name_error;
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::node::{Affects, Node, Unavailable};
use crate::store::{AuditEntry, action};

/// Reason why an organization was not renamed.
#[derive(Debug)]
pub enum RenameError {
    NotFound,
    Invalid(Violation),
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for RenameError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Changes the display name of an organization. Its slug stays.
pub async fn rename(node: &Node, by: &ChangeContext, slug: &Slug, name: &str) -> Result<(), RenameError> {
    if let Some(fault) = name_error(name) {
        return Err(RenameError::Invalid(Violation::new("name", fault)));
    }
    let old = node.store.organization(slug).await?.filter(|organization| organization.deleted_at.is_none());
    let old = old.ok_or(RenameError::NotFound)?;
    let value = |name: &str| Some(serde_json::json!({ "name": name }));
    let entry = AuditEntry::of(by, action::ORGANIZATION_EDIT, slug, value(&old.name), value(name));
    node.change(&entry, Affects::Organization(slug), node.store.rename_organization(slug, name, &entry)).await?;
    Ok(())
}
