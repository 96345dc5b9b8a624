//! Counts of organizations: members, keys and the last use.

use std::collections::HashMap;

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Unavailable};
use crate::store::OrganizationCounts;

/// Returns the counts of the organizations of one page.
pub async fn counts(
    node: &Node,
    slugs: &[&Slug],
    now: Timestamp,
) -> Result<HashMap<Slug, OrganizationCounts>, Unavailable> {
    Ok(node.store.organization_counts(slugs, now).await?)
}
