//! Ends and extends the grace period of a rotation. Repeating a request has the same result.

use crate::domain::api_key::{ApiKey, TransitionRefused};
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::policy::ProposedKey;
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::domain::violation::{Violation, ViolationKind};
use crate::keys::change::{KeyError, check_grant, policy_of};
use crate::keys::state::transition;
use crate::node::Node;
use crate::store::action;

/// Ends the grace period. The previous secret and its tokens are denied on every node before this returns.
pub async fn end_grace(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
) -> Result<ApiKey, KeyError> {
    let next = |key: ApiKey, _: &SharedAccess| Ok(key.end_grace(by.now));
    transition(node, organization, by, id, version, action::KEY_END_GRACE, next).await
}

/// Extends the grace period to `grace_seconds` after the rotation.
pub async fn extend_grace(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &KeyId,
    version: Option<u64>,
    grace_seconds: u32,
) -> Result<ApiKey, KeyError> {
    let proposed = ProposedKey { grace_seconds: Some(grace_seconds), ..ProposedKey::default() };
    let violations = policy_of(node, organization).await?.violations(&proposed, by.now);
    if !violations.is_empty() {
        return Err(KeyError::Invalid(violations));
    }
    transition(node, organization, by, id, version, action::KEY_EXTEND_GRACE, |key, shared| {
        // The previous secret has the rights of the key for longer.
        check_grant(by, shared, &key)?;
        let rotated_at = key.secret_since();
        match key.extend_grace(grace_seconds, by.now) {
            Err(TransitionRefused::GraceShortened { until }) => {
                let least = until.millis_since(rotated_at).div_euclid(1000);
                Err(KeyError::Invalid(vec![Violation::new("grace_seconds", ViolationKind::GraceShortened { least })]))
            }
            result => Ok(result),
        }
    })
    .await
}
