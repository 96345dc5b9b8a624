//! What was done, in plain words.

use crate::store::action;

/// Every action and its words, in the order in which they are offered.
pub(super) const ACTIONS: [(&str, &str); 32] = [
    (action::KEY_CREATE, "created key"),
    (action::KEY_EDIT, "edited key"),
    (action::KEY_ROTATE, "rotated key"),
    (action::KEY_REVOKE, "revoked key"),
    (action::KEY_DISABLE, "disabled key"),
    (action::KEY_ENABLE, "enabled key"),
    (action::KEY_EXPIRING, "warned that a key ends soon"),
    (action::KEY_STALE, "found key unused"),
    (action::KEY_DENIED_BY_NETWORK, "kept out key by its networks"),
    (action::TOKEN_REVOKE, "revoked token"),
    (action::MEMBER_CREATE, "added member"),
    (action::MEMBER_CHANGE, "changed member"),
    (action::MEMBER_REMOVE, "removed member"),
    (action::SESSION_BEGIN, "signed in"),
    (action::SESSION_END, "ended session"),
    (action::SESSION_REFUSE, "refused sign-in"),
    (action::POLICY_CHANGE, "changed policy"),
    (action::ORGANIZATION_SUSPEND, "suspended organization"),
    (action::ORGANIZATION_RESUME, "ended the suspension of organization"),
    (action::STORE_RESTORE, "started over after a restore"),
    (action::SIGNING_KEY_CREATE, "made signing key"),
    (action::SIGNING_KEY_DELETE, "removed signing key"),
    (action::MASTER_KEY_ROTATE, "changed master key"),
    (action::ORGANIZATION_CREATE, "made organization"),
    (action::AUDIT_CHAIN, "chained the audit log"),
    (action::WEBHOOK_CREATE, "made webhook"),
    (action::WEBHOOK_EDIT, "edited webhook"),
    (action::WEBHOOK_DELETE, "removed webhook"),
    (action::WEBHOOK_DISABLE, "disabled webhook"),
    (action::WEBHOOK_ROTATE_SECRET, "gave a new secret to webhook"),
    (action::WEBHOOK_TEST, "tried out webhook"),
    (action::WEBHOOK_RETRY, "sent again from webhook"),
];

/// An action in plain words; one of a later version as it is written.
pub(super) fn words(action: &str) -> &str {
    ACTIONS.iter().find(|(known, _)| *known == action).map_or(action, |(_, words)| words)
}

/// The name of a field of old and new values, for people.
pub(super) fn field(name: &str) -> String {
    match name {
        "allowed_cidrs" => "networks".into(),
        "email" => "login".into(),
        "hint" => "secret".into(),
        "kid" => "key id".into(),
        "previous_secret_until" => "old secret works until".into(),
        "revoked_reason" => "reason".into(),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_that_is_written_has_words() {
        let written = include_str!("../../store/audit.rs");
        let written = written.split("pub mod action {").nth(1).unwrap().split("\n}").next().unwrap();
        let written: BTreeSet<&str> = written.split('"').skip(1).step_by(2).collect();
        assert_eq!(ACTIONS.iter().map(|(action, _)| *action).collect::<BTreeSet<_>>(), written);
        assert_eq!(words("key.create"), "created key");
        assert_eq!(words("something.new"), "something.new");
    }
}
