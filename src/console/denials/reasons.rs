//! Reasons of denials in words, and what to do about them.

use crate::console::ui::capitalize;

/// A reason with its label and what to do about it.
pub(super) struct Reason {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) advice: &'static str,
}

const fn reason(name: &'static str, label: &'static str, advice: &'static str) -> Reason {
    Reason { name, label, advice }
}

/// The reasons, the most frequent first.
pub(super) const REASONS: &[Reason] = &[
    reason(
        "api_key_ip_not_allowed",
        "Network not allowed",
        "The client’s address is not in the key’s allowed networks. Allow the address, or let the client connect from an allowed network.",
    ),
    reason(
        "insufficient_scope",
        "Scope not granted",
        "The key doesn’t have the scope. Add it to the key, or request only scopes that the key has.",
    ),
    reason(
        "wrong_secret",
        "Wrong secret",
        "The secret is not this key’s, or was replaced by a rotation. Give the client the current secret.",
    ),
    reason("unknown_key", "Unknown key", "No key has this ID. The client may use the secret of another server."),
    reason("api_key_expired", "Key expired", "Set a later expiry, or rotate the key."),
    reason("api_key_disabled", "Key disabled", "Enable the key if it should work."),
    reason("key_revoked", "Key revoked", "A revoked key never works again. Give the client a new key."),
    reason("token_expired", "Token expired", "Tokens live for minutes. The client must get a new one before that."),
    reason(
        "token_superseded",
        "Token outdated",
        "The key was restricted or rotated after the token was issued. The client must get a new token.",
    ),
    reason("token_revoked", "Token revoked", "This token was revoked. The client must get a new one."),
    reason(
        "audience_not_allowed",
        "Audience not allowed",
        "The key is not granted an API with this audience, or there is none. Grant the key the API, or request another audience.",
    ),
    reason(
        "api_not_granted",
        "API not granted",
        "The token is for an API that the key is no longer granted, or that was deleted. The client must get a new one.",
    ),
    reason(
        "audience_required",
        "Audience required",
        "The key is granted several APIs or none, and the request doesn’t name one. The client must send resource with the API’s audience.",
    ),
    reason(
        "audiences_mixed",
        "APIs can’t be combined",
        "The requested APIs have different scope styles or token types. The client must request a token for each.",
    ),
    reason("other_audience", "Other audience", "The token is for another API than the gateway requires."),
    reason(
        "unknown_api",
        "Unknown API",
        "The gateway requires an API by a name that the organization doesn’t have. Correct keyturn_api in the gateway.",
    ),
    reason(
        "audience_not_keyturn",
        "Token for another API",
        "A token for another API was presented to the management API. Request a token for this server.",
    ),
    reason("unknown_action", "Unknown action", "The organization doesn’t define this action. Add it to the policy."),
    reason("customer_suspended", "Customer suspended", "Reinstate the customer if their keys should work."),
    reason("organization_suspended", "Organization suspended", "Resume the organization if its keys should work."),
    reason("previous_secret", "Previous secret", "The previous secret can only read. Use the current secret."),
    reason(
        "other_organization",
        "Other organization",
        "The credential belongs to another organization than the gateway.",
    ),
    reason("invalid_signature", "Invalid token", "The token’s signature is wrong, or the token was changed."),
    reason(
        "unknown_signing_key",
        "Unknown signing key",
        "The token was signed with a key that this server doesn’t have.",
    ),
    reason(
        "malformed_secret",
        "Malformed secret",
        "The credential is not a complete secret. Check how the client reads it.",
    ),
    reason(
        "malformed_client_id",
        "Malformed client ID",
        "The client ID is not a key ID, which has 16 letters and digits. Check how the client reads it.",
    ),
    reason(
        "other_client_id",
        "Other client ID",
        "The client ID is not the one in the secret. Use the key’s own client ID.",
    ),
    reason(
        "malformed_token",
        "Malformed token",
        "The credential is not a complete token. Check how the client passes it on.",
    ),
];

/// Returns the label of a reason.
pub(super) fn label(name: &str) -> String {
    find(name).map_or_else(|| capitalize(&name.replace('_', " ")), |reason| reason.label.to_owned())
}

/// Returns what to do about a reason.
pub(super) fn advice(name: &str) -> Option<&'static str> {
    find(name).map(|reason| reason.advice)
}

fn find(name: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{Code, Denial};

    #[test]
    fn every_label_belongs_to_a_reason_or_a_code() {
        for reason in REASONS {
            let is_reason = Denial::REASONS.contains(&Some(reason.name));
            let is_code = Code::ALL.iter().any(|code| code.as_str().eq_ignore_ascii_case(reason.name));
            assert!(is_reason || is_code, "{}", reason.name);
        }
        assert_eq!(label("foreign_token_header"), "Foreign token header");
    }
}
