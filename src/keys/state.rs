//! Revoking, disabling and enabling a key. Asked twice, the answer is the same.

use crate::domain::api_key::{ApiKey, TransitionRefused};
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::keys::change::{By, KeyError, load, refused, write_because};
use crate::node::Node;
use crate::store::action;

/// How often a change that raced another is tried again. None of these can starve: each try means that
/// another change was made.
const TRIES: usize = 16;

/// Revokes a key for good.
pub async fn revoke(
    node: &Node,
    organization: &Slug,
    by: &By,
    id: &KeyId,
    version: Option<u64>,
    reason: Option<String>,
) -> Result<ApiKey, KeyError> {
    let next = |key: ApiKey| Ok(key.revoke(by.now, reason.clone()));
    transition(node, organization, by, id, version, (action::KEY_REVOKE, None), next).await
}

/// Suspends a key.
pub async fn disable(
    node: &Node,
    organization: &Slug,
    by: &By,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    disable_because(node, organization, by, id, version, None).await
}

/// The same, with a reason for the audit row.
pub(super) async fn disable_because(
    node: &Node,
    organization: &Slug,
    by: &By,
    id: &KeyId,
    version: Option<u64>,
    reason: Option<&str>,
) -> Result<ApiKey, KeyError> {
    let next = |key: ApiKey| Ok(key.disable(by.now));
    transition(node, organization, by, id, version, (action::KEY_DISABLE, reason), next).await
}

/// Lets a suspended key be used again.
pub async fn enable(
    node: &Node,
    organization: &Slug,
    by: &By,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    transition(node, organization, by, id, version, (action::KEY_ENABLE, None), |key| {
        by.may_hand_out(&key)?;
        Ok(key.enable())
    })
    .await
}

async fn transition(
    node: &Node,
    organization: &Slug,
    by: &By,
    id: &KeyId,
    version: Option<u64>,
    (action, reason): (&'static str, Option<&str>),
    next: impl Fn(ApiKey) -> Result<Result<ApiKey, TransitionRefused>, KeyError> + Send,
) -> Result<ApiKey, KeyError> {
    for _ in 0..TRIES {
        let old = load(node, organization, id, version).await?;
        let new = match next(old.clone())? {
            Ok(new) => new,
            Err(TransitionRefused::Unchanged) => {
                // Somebody else's change may be written and not yet effective: it must be before this answer.
                node.settle_what_is_written(id).await?;
                return Ok(old);
            }
            Err(other) => return Err(refused(other)),
        };
        match write_because(node, by, action, &old, new, reason).await {
            Err(KeyError::Conflict(_)) if version.is_none() => {}
            Err(KeyError::Conflict(_)) => return Err(KeyError::PreconditionFailed),
            done => return done,
        }
    }
    Err(KeyError::Conflict("the key is being changed by others all the time; try again".into()))
}
