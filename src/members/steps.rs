//! Whether a member dismissed Getting started.

use crate::domain::member::MemberId;
use crate::domain::timestamp::Timestamp;
use crate::node::{Node, Unavailable};

pub async fn has_dismissed_steps(node: &Node, id: &MemberId) -> Result<bool, Unavailable> {
    Ok(node.store.has_dismissed_steps(id).await?)
}

pub async fn dismiss_steps(node: &Node, id: &MemberId, now: Timestamp) -> Result<(), Unavailable> {
    Ok(node.store.dismiss_steps(id, now).await?)
}
