//! Labels of audit actions and fields.

use crate::store::action;

/// Every action with its label, in display order.
pub(super) const ACTIONS: [(&str, &str); 54] = [
    (action::KEY_CREATE, "created key"),
    (action::KEY_EDIT, "updated key"),
    (action::KEY_ROTATE, "rotated key"),
    (action::KEY_END_GRACE, "ended grace period"),
    (action::KEY_EXTEND_GRACE, "extended grace period"),
    (action::KEY_REVOKE, "revoked key"),
    (action::KEY_DISABLE, "disabled key"),
    (action::KEY_ENABLE, "enabled key"),
    (action::KEY_EXPIRING, "sent expiry warning"),
    (action::KEY_STALE, "marked key stale"),
    (action::KEY_DENIED_BY_NETWORK, "denied key: network not allowed"),
    (action::TOKEN_REVOKE, "revoked token"),
    (action::MEMBER_CREATE, "added member"),
    (action::MEMBER_CHANGE, "updated member"),
    (action::MEMBER_REMOVE, "removed member"),
    (action::PROFILE_CREATE, "created profile"),
    (action::PROFILE_EDIT, "updated profile"),
    (action::PROFILE_DELETE, "deleted profile"),
    (action::NETWORK_CREATE, "created network"),
    (action::NETWORK_EDIT, "updated network"),
    (action::NETWORK_DELETE, "deleted network"),
    (action::CUSTOMER_CREATE, "created customer"),
    (action::CUSTOMER_EDIT, "updated customer"),
    (action::CUSTOMER_SUSPEND, "suspended customer"),
    (action::CUSTOMER_REINSTATE, "reinstated customer"),
    (action::CUSTOMER_REMOVE, "removed customer"),
    (action::PORTAL_SESSION_CREATE, "created portal session"),
    (action::PORTAL_SESSION_REDEEM, "opened portal session"),
    (action::PORTAL_SESSION_END, "ended portal session"),
    (action::SESSION_BEGIN, "signed in"),
    (action::SESSION_END, "ended session"),
    (action::SESSION_REFUSE, "failed sign-in"),
    (action::API_CREATE, "created API"),
    (action::API_EDIT, "updated API"),
    (action::API_DELETE, "deleted API"),
    (action::POLICY_CHANGE, "updated policy"),
    (action::PORTAL_CHANGE, "updated portal settings"),
    (action::ORGANIZATION_SUSPEND, "suspended organization"),
    (action::ORGANIZATION_RESUME, "resumed organization"),
    (action::ORGANIZATION_EDIT, "renamed organization"),
    (action::ORGANIZATION_DELETE, "deleted organization"),
    (action::STORE_RESTORE, "restored from backup"),
    (action::SIGNING_KEY_CREATE, "created signing key"),
    (action::SIGNING_KEY_DELETE, "deleted signing key"),
    (action::MASTER_KEY_ROTATE, "rotated master key"),
    (action::ORGANIZATION_CREATE, "created organization"),
    (action::AUDIT_CHAIN, "started audit hash chain"),
    (action::WEBHOOK_CREATE, "created webhook"),
    (action::WEBHOOK_EDIT, "updated webhook"),
    (action::WEBHOOK_DELETE, "deleted webhook"),
    (action::WEBHOOK_DISABLE, "disabled webhook"),
    (action::WEBHOOK_ROTATE_SECRET, "rotated webhook secret"),
    (action::WEBHOOK_TEST, "sent test event"),
    (action::WEBHOOK_RETRY, "retried delivery"),
];

/// Returns the label of an action, or the action itself if it is unknown.
pub(super) fn action_label(action: &str) -> &str {
    ACTIONS.iter().find(|(known, _)| *known == action).map_or(action, |(_, label)| label)
}

/// Returns the label of a field of old and new values.
pub(super) fn field_label(name: &str) -> String {
    match name {
        "apis" => "APIs".into(),
        "token_ttl_seconds" => "token lifetime in seconds".into(),
        "token_claims" => "custom claims".into(),
        "verify_headers" => "headers for gateways".into(),
        "token_typ" => "token type".into(),
        "allowed_cidrs" => "allowed networks".into(),
        "cidrs" => "addresses".into(),
        "excluded_cidrs" => "excluded addresses".into(),
        "expires_at" => "expiry".into(),
        "external_id" => "external ID".into(),
        "hint" => "secret".into(),
        "kid" => "key ID".into(),
        "previous_secret_until" => "previous secret valid until".into(),
        "revoked_reason" => "reason".into(),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_has_a_label() {
        let written = include_str!("../../store/audit_entry.rs");
        let written = written.split("pub mod action {").nth(1).unwrap().split("\n}").next().unwrap();
        let written: BTreeSet<&str> = written.split('"').skip(1).step_by(2).collect();
        assert_eq!(ACTIONS.iter().map(|(action, _)| *action).collect::<BTreeSet<_>>(), written);
        assert_eq!(action_label("key.create"), "created key");
        assert_eq!(action_label("something.new"), "something.new");
    }
}
