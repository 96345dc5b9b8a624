//! The policy's settings, described for people.

use crate::console::policy::form::plural_and_above;
use crate::console::policy::length::format_seconds;
use crate::console::ui::attributes::to_lines;
use crate::console::ui::format_count;
use crate::domain::attribute::Attributes;
use crate::domain::policy::{ExpirationChoices, Policy};
use crate::node::NodeSettings;

/// A group of related settings.
pub(super) struct Group {
    /// The `id` of the heading.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) settings: Vec<Setting>,
}

pub(super) struct Setting {
    pub(super) label: &'static str,
    pub(super) value: String,
}

/// A setting that differs between two policies.
pub(super) struct Difference {
    pub(super) label: &'static str,
    pub(super) old: String,
    pub(super) new: String,
}

/// Describes every setting of a policy.
pub(super) fn groups(policy: &Policy, node: &NodeSettings) -> Vec<Group> {
    let group = |id, name, settings| Group { id, name, settings };
    vec![
        group("limits", "Key limits", limits(policy)),
        group("expiry", "Expiry", expiry(policy)),
        group("creation", "Creating keys", creation(policy)),
        group("vocabulary", "Scopes and tokens", vocabulary(policy, node)),
        group("upkeep", "Rotation and stale keys", upkeep(policy)),
    ]
}

/// Returns the settings that differ between two policies.
pub(super) fn differences(old: &Policy, new: &Policy, node: &NodeSettings) -> Vec<Difference> {
    let all = |policy| groups(policy, node).into_iter().flat_map(|group| group.settings);
    let pairs = all(old).zip(all(new)).filter(|(old, new)| old.value != new.value);
    pairs.map(|(old, new)| Difference { label: old.label, old: old.value, new: new.value }).collect()
}

/// Returns the label of a setting by its API name.
pub(super) fn label(name: &str) -> &'static str {
    match name {
        "max_keys" => "Keys per organization",
        "max_keys_per_user" => "Keys per member",
        "expiration_choices" => "Expiry choices",
        "max_lifetime_days" => "Maximum lifetime",
        "expiry_required" => "Key expiry",
        "name_required" => "Key name",
        "scopes_required" => "Key scopes",
        "grantable_scopes" => "Grantable scopes",
        "create_role" => "Who can create keys",
        "key_prefix" => "Secret prefix",
        "actions" => "Actions",
        "audiences" => "Audiences of the default API",
        "token_ttl_seconds" => "Token lifetime",
        "token_claims" => "Custom claims",
        "verify_headers" => "Headers for gateways",
        "max_grace_seconds" => "Maximum grace period",
        "stale_after_days" => "Stale after",
        "disable_when_stale" => "Stale keys",
        _ => "Setting",
    }
}

fn setting(name: &'static str, value: impl Into<String>) -> Setting {
    Setting { label: label(name), value: value.into() }
}

fn limits(policy: &Policy) -> Vec<Setting> {
    let of_all = policy.max_keys.map_or("No limit".into(), |most| {
        format!("Up to {}, not counting revoked and expired keys", counted(most, "key"))
    });
    let of_one = policy.max_keys_per_user.map_or("No limit".into(), |most| {
        format!("Up to {} per member, not counting revoked and expired keys", counted(most, "key"))
    });
    vec![setting("max_keys", of_all), setting("max_keys_per_user", of_one)]
}

fn expiry(policy: &Policy) -> Vec<Setting> {
    let choices = match &policy.expiration_choices {
        None => "Any future date".into(),
        Some(choices) => list_choices(choices),
    };
    let longest = policy.max_lifetime_days.map_or("No limit".into(), |days| format!("Up to {}", counted(days, "day")));
    let required = if policy.expiry_required { "Required" } else { "Optional. Keys can be created without an expiry." };
    let required = if policy.max_lifetime_days.is_some() { "Required" } else { required };
    vec![
        setting("expiration_choices", choices),
        setting("max_lifetime_days", longest),
        setting("expiry_required", required),
    ]
}

fn creation(policy: &Policy) -> Vec<Setting> {
    let name = if policy.name_required { "Required" } else { "Optional" };
    let scopes = if policy.scopes_required {
        "Required"
    } else {
        "Optional. A key without scopes can identify itself but has no access."
    };
    let grantable = match policy.grantable_scopes.as_deref() {
        None => "Any scope".into(),
        Some([]) => "None".into(),
        Some(list) => {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            format!("{}, and scopes within them", list.join(", "))
        }
    };
    vec![
        setting("create_role", plural_and_above(policy.create_role)),
        setting("name_required", name),
        setting("scopes_required", scopes),
        setting("grantable_scopes", grantable),
        setting("key_prefix", format!("New secrets start with {}_", policy.key_prefix)),
    ]
}

fn vocabulary(policy: &Policy, node: &NodeSettings) -> Vec<Setting> {
    let actions: Vec<&str> = policy.actions.iter().map(|action| action.as_str()).collect();
    let audiences = match policy.audiences.as_slice() {
        [] => "Its own and the issuer only".into(),
        more => format!("{}, its own and the issuer", more.join(", ")),
    };
    let lifetime = match policy.token_ttl_seconds {
        Some(seconds) => format_seconds(seconds),
        None => format!("{} (server default)", format_seconds(node.ttl_seconds)),
    };
    vec![
        setting("actions", format!("{}, * (any)", actions.join(", "))),
        setting("audiences", audiences),
        setting("token_ttl_seconds", lifetime),
        setting("token_claims", listed(&policy.token_claims)),
        setting("verify_headers", listed(&policy.verify_headers)),
    ]
}

fn listed(attributes: &Attributes) -> String {
    if attributes.is_empty() { "None".into() } else { to_lines(attributes).join(", ") }
}

fn upkeep(policy: &Policy) -> Vec<Setting> {
    let grace = match policy.max_grace_seconds {
        0 => "None. The previous secret stops working on rotation.".into(),
        seconds => format!("Up to {}", format_seconds(seconds)),
    };
    let stale = policy.stale_after_days.map_or("Never".into(), |days| format!("{} without use", counted(days, "day")));
    let disabled = match (policy.stale_after_days, policy.disable_when_stale) {
        (None, _) => "Does not apply: keys never become stale",
        (Some(_), true) => "Disabled one day after they become stale",
        (Some(_), false) => "Reported in the audit log and to webhooks. They keep working.",
    };
    vec![
        setting("max_grace_seconds", grace),
        setting("stale_after_days", stale),
        setting("disable_when_stale", disabled),
    ]
}

fn list_choices(choices: &ExpirationChoices) -> String {
    let days = choices.days.iter().map(|days| counted(*days, "day"));
    days.chain(choices.none.then(|| "no expiry".to_owned())).collect::<Vec<_>>().join(", ")
}

fn counted(number: u32, what: &str) -> String {
    format!("{} {what}{}", format_count(number.into()), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_label() {
        let policy = serde_json::to_value(Policy::default()).unwrap();
        for name in policy.as_object().unwrap().keys() {
            assert_ne!(label(name), "Setting", "{name}");
        }
    }
}
