//! The choice of events in the form: by subject, with descriptions.

use crate::domain::event::{KNOWN, TEST};

/// The checkbox value that stands for every event.
pub(super) const EVERYTHING: &str = "*";

/// The events of one subject.
pub(super) struct Group {
    pub(super) subject: &'static str,
    pub(super) name: &'static str,
    pub(super) all: Choice,
    pub(super) events: Vec<Choice>,
}

pub(super) struct Choice {
    pub(super) value: String,
    pub(super) description: &'static str,
    pub(super) is_checked: bool,
}

/// Returns all events by subject, with the selected ones checked.
pub(super) fn groups(selected: &[String]) -> Vec<Group> {
    let choice = |value: String, description| Choice { is_checked: selected.contains(&value), description, value };
    let mut groups: Vec<Group> = Vec::new();
    for event in KNOWN {
        let subject = event.split('.').next().unwrap_or_default();
        let one = choice(event.to_owned(), describe(event));
        match groups.iter_mut().find(|group| group.subject == subject) {
            Some(group) => group.events.push(one),
            None => groups.push(Group {
                subject,
                name: label(subject),
                all: choice(format!("{subject}.*"), ""),
                events: vec![one],
            }),
        }
    }
    groups
}

/// Returns the patterns that a form means: `*` covers everything, and `key.*` covers each event of keys. The script disables what is
/// covered; without it, covered choices are submitted too.
pub(super) fn without_covered(patterns: &[String]) -> Vec<String> {
    let has = |wanted: &str| patterns.iter().any(|pattern| pattern == wanted);
    if has(EVERYTHING) {
        return Vec::new();
    }
    let is_covered = |pattern: &&String| {
        let subject = pattern.split_once('.').map(|(subject, _)| subject);
        KNOWN.contains(&pattern.as_str()) && subject.is_some_and(|subject| has(&format!("{subject}.*")))
    };
    patterns.iter().filter(|pattern| !is_covered(pattern)).cloned().collect()
}

/// Returns the label of an event subject.
fn label(subject: &'static str) -> &'static str {
    match subject {
        "api" => "APIs",
        "customer" => "Customers",
        "profile" => "Access profiles",
        "network" => "Networks",
        "key" => "API keys",
        "member" => "Members",
        "master_key" => "Master keys",
        "organization" => "Organizations",
        "policy" => "Policy",
        "portal" => "Portal settings",
        "portal_session" => "Portal sessions",
        "signing_key" => "Signing keys",
        "store" => "Database",
        "token" => "Tokens",
        "webhook" => "Webhooks",
        other => other,
    }
}

/// Says when an event is sent.
fn describe(event: &str) -> &'static str {
    match event {
        "key.created" => "A key was created.",
        "key.updated" => "Name, owner, customer, profile, scopes, networks or expiry of a key changed.",
        "key.rotated" => "A key has a new secret.",
        "key.grace_ended" => "The previous secret of a key was ended early.",
        "key.grace_extended" => "The previous secret of a key works for longer.",
        "key.revoked" => "A key was revoked.",
        "key.disabled" => "A key was disabled, by somebody or as stale.",
        "key.enabled" => "A key was enabled.",
        "key.expiring" => "A key expires in 14, 7 or 1 days.",
        "key.stale" => "A key was not used for as long as the policy allows.",
        "key.denied_by_network" => "A key was used from a network that it does not allow.",
        "member.created" => "A member was added.",
        "member.updated" => "Email, role or password of a member changed.",
        "member.removed" => "A member was removed.",
        "organization.created" => "An organization was created.",
        "organization.deleted" => "An organization was deleted, with all of its keys and tokens.",
        "organization.updated" => "The display name of an organization changed.",
        "organization.resumed" => "Keys and tokens of the organization are accepted again.",
        "organization.suspended" => "All keys and tokens of the organization are denied.",
        "api.created" => "An API was created.",
        "api.updated" => "An API changed.",
        "api.deleted" => "An API was deleted, and its tokens are denied.",
        "profile.created" => "An access profile was created.",
        "profile.updated" => "The access of all keys with a profile changed.",
        "profile.deleted" => "A profile was deleted; no key has it.",
        "network.created" => "A named network was created.",
        "network.updated" => "The addresses of a named network changed, for all keys that refer to it.",
        "network.deleted" => "A named network was deleted; no key refers to it.",
        "customer.created" => "A customer was created.",
        "customer.updated" => "External ID, name, metadata or limit of a customer changed.",
        "customer.suspended" => "All keys and tokens of a customer are denied.",
        "customer.reinstated" => "Keys of a customer are accepted again; earlier tokens stay invalid.",
        "customer.removed" => "A customer was removed, and its keys were revoked.",
        "policy.changed" => "The policy changed.",
        "portal.changed" => "The settings of the customer portal changed.",
        "portal_session.created" => "A URL to the customer portal was created for a customer.",
        "portal_session.redeemed" => "The URL of a portal session was opened.",
        "portal_session.ended" => "A portal session was ended before it expired.",
        "master_key.rotated" => "The server encrypts with another master key.",
        "signing_key.created" => "A signing key was created.",
        "signing_key.deleted" => "A signing key was deleted; its tokens are invalid.",
        "store.restored" => "The database was restored from a backup; all tokens and sessions ended.",
        "token.revoked" => "One access token was revoked.",
        "webhook.created" => "A webhook was added.",
        "webhook.updated" => "A webhook was edited, disabled or enabled.",
        "webhook.deleted" => "A webhook was deleted.",
        "webhook.disabled" => "Keyturn disabled a webhook because its endpoint is gone.",
        "webhook.secret_rotated" => "A webhook has a new signing secret.",
        TEST => "A test event; always sent to the tested webhook.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_and_subject_is_described() {
        for group in groups(&[]) {
            assert_ne!(group.name, group.subject);
            for event in group.events {
                assert!(event.description.ends_with('.'), "{}", event.value);
            }
        }
    }

    #[test]
    fn covered_choices_mean_nothing() {
        for (given, meant) in [
            (&["*", "key.*", "key.created"][..], &[][..]),
            (&["key.created", "key.*", "policy.changed"], &["key.*", "policy.changed"]),
            (&["signing_key.created", "key.*"], &["signing_key.created", "key.*"]),
            (&["odd", "key.*", "key.flown"], &["odd", "key.*", "key.flown"]),
        ] {
            let given: Vec<String> = given.iter().map(|&pattern| pattern.to_owned()).collect();
            assert_eq!(without_covered(&given), meant);
        }
    }
}
