//! Changes many keys at once. Each goes through the use case of a single change, with its own check and audit entry.

use futures_util::{StreamExt as _, stream};

use crate::domain::api_key::{ApiKey, Edit};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::KeyError;
use crate::keys::{RequestedGrants, disable, edit, enable, revoke};
use crate::node::Node;

/// Maximum number of keys in one request.
pub const MAX_BULK: usize = 1_000;
/// Changes at the same time. Writes wait for each other, but waiting for other nodes overlaps.
const AT_ONCE: usize = 8;

/// A change of many keys.
#[derive(Clone, Debug)]
pub enum BulkChange {
    Disable,
    Enable,
    Revoke(Option<String>),
    SetExpiry(Option<Timestamp>),
    /// `None` is the organization.
    SetOwner(Option<MemberId>),
}

impl BulkChange {
    /// Whether it only removes rights.
    pub const fn takes_away(&self) -> bool {
        matches!(self, Self::Disable | Self::Revoke(_))
    }
}

/// Changes keys and returns the result for each, in the order of `ids`.
pub async fn change_many(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    ids: &[KeyId],
    change: &BulkChange,
) -> Vec<(KeyId, Result<ApiKey, KeyError>)> {
    let one = |id: KeyId| async move {
        let result = match change {
            BulkChange::Disable => disable(node, organization, by, &id, None).await,
            BulkChange::Enable => enable(node, organization, by, &id, None).await,
            BulkChange::Revoke(reason) => revoke(node, organization, by, &id, None, reason.clone()).await,
            BulkChange::SetExpiry(expires_at) => {
                let edited = Edit { expires_at: Some(*expires_at), ..Edit::default() };
                edit(node, organization, by, &id, None, edited, RequestedGrants::default()).await.map(|(key, _)| key)
            }
            BulkChange::SetOwner(owner) => {
                let edited = Edit { owner: Some(owner.clone()), ..Edit::default() };
                edit(node, organization, by, &id, None, edited, RequestedGrants::default()).await.map(|(key, _)| key)
            }
        };
        (id, result)
    };
    stream::iter(ids.iter().copied().map(one)).buffered(AT_ONCE).collect().await
}
