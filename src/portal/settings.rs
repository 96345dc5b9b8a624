//! The settings of an organization's portal. They are read from the database for every page, so a change is effective on every
//! node with its commit.

use crate::domain::authority::ChangeContext;
use crate::domain::portal::PortalSettings;
use crate::domain::slug::Slug;
use crate::node::{Affects, ChangeError, Node};
use crate::portal::error::PortalError;
use crate::store::{AuditEntry, action};

/// Maximum number of attempts of a change without an expected version, if other changes come first.
const TRIES: usize = 16;

/// Returns the settings with their version.
pub async fn read_settings(node: &Node, organization: &Slug) -> Result<(PortalSettings, u64), PortalError> {
    Ok(node.store.read_current(node.store.portal_settings(organization)).await?)
}

/// Replaces the settings. Returns their version.
pub async fn replace_settings(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    version: Option<u64>,
    settings: &PortalSettings,
) -> Result<u64, PortalError> {
    let value = |settings: &PortalSettings| serde_json::to_value(settings).ok();
    for _ in 0..TRIES {
        let (old, current) = read_settings(node, organization).await?;
        if version.is_some_and(|version| version != current) {
            return Err(PortalError::PreconditionFailed);
        }
        if old == *settings {
            return Ok(current);
        }
        let entry = AuditEntry::of(by, action::PORTAL_CHANGE, organization, value(&old), value(settings));
        let write = node.store.write_portal_settings(organization, settings, current + 1, &entry);
        match node.change(&entry, Affects::Nothing, write).await {
            Ok(_) => return Ok(current + 1),
            Err(ChangeError::Refused(_)) if version.is_some() => return Err(PortalError::PreconditionFailed),
            Err(ChangeError::Refused(_)) => {}
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(PortalError::Raced)
}
