//! A policy setting by setting, in sentences.

use crate::console::ui::count;
use crate::domain::policy::{ExpirationChoices, Policy};
use crate::node::NodeSettings;

/// Settings that belong together.
pub(super) struct Group {
    /// The id of its heading.
    pub(super) id: &'static str,
    /// Its heading.
    pub(super) name: &'static str,
    /// What belongs to it.
    pub(super) settings: Vec<Setting>,
}

/// A setting as it is.
pub(super) struct Setting {
    /// What it is called.
    pub(super) label: &'static str,
    /// What it is, in a sentence.
    pub(super) sentence: String,
}

/// What is to be changed of a setting.
pub(super) struct Difference {
    /// What the setting is called.
    pub(super) label: &'static str,
    /// What it is.
    pub(super) old: String,
    /// What it is to be.
    pub(super) new: String,
}

/// Everything that a policy says.
pub(super) fn groups(policy: &Policy, node: &NodeSettings) -> Vec<Group> {
    let group = |id, name, settings| Group { id, name, settings };
    vec![
        group("limits", "How many keys", limits(policy)),
        group("lives", "How long keys live", lives(policy)),
        group("making", "Making keys", making(policy)),
        group("vocabulary", "Scopes and tokens", vocabulary(policy, node)),
        group("upkeep", "Rotation and keys out of use", upkeep(policy)),
    ]
}

/// What differs between two policies.
pub(super) fn differences(old: &Policy, new: &Policy, node: &NodeSettings) -> Vec<Difference> {
    let all = |policy| groups(policy, node).into_iter().flat_map(|group| group.settings);
    let pairs = all(old).zip(all(new)).filter(|(old, new)| old.sentence != new.sentence);
    pairs.map(|(old, new)| Difference { label: old.label, old: old.sentence, new: new.sentence }).collect()
}

/// What a setting is called, by its name in the API.
pub(super) fn label(name: &str) -> &'static str {
    match name {
        "max_keys" => "Keys of the organization",
        "max_keys_per_user" => "Keys of one member",
        "expiration_choices" => "Expiry on offer",
        "max_lifetime_days" => "Longest life",
        "expiry_required" => "Expiry required",
        "name_required" => "Name required",
        "scopes_required" => "Scopes required",
        "grantable_scopes" => "Grantable scopes",
        "create_role" => "Who makes keys",
        "key_prefix" => "Prefix of key texts",
        "actions" => "Actions",
        "audiences" => "Audiences",
        "token_ttl_seconds" => "Life of a token",
        "max_grace_seconds" => "Longest grace of a rotation",
        "stale_after_days" => "Out of use",
        "disable_when_stale" => "Keys out of use",
        _ => "Setting",
    }
}

fn setting(name: &'static str, sentence: impl Into<String>) -> Setting {
    Setting { label: label(name), sentence: sentence.into() }
}

fn limits(policy: &Policy) -> Vec<Setting> {
    let of_all = policy.max_keys.map_or("There is no limit.".into(), |most| {
        format!("At most {}, not counting keys that are revoked or expired.", counted(most, "key"))
    });
    let of_one = policy.max_keys_per_user.map_or("There is no limit.".into(), |most| {
        format!("A member owns at most {}, not counting those that are revoked or expired.", counted(most, "key"))
    });
    vec![setting("max_keys", of_all), setting("max_keys_per_user", of_one)]
}

fn lives(policy: &Policy) -> Vec<Setting> {
    let offer = match &policy.expiration_choices {
        None => "Any date in the future.".into(),
        Some(choices) => format!("Only these lifetimes: {}.", offered(choices)),
    };
    let longest = policy
        .max_lifetime_days
        .map_or("There is no limit.".into(), |days| format!("A key lives {} at most.", counted(days, "day")));
    let required = if policy.expiry_required { "A key must have an expiry." } else { "A key may live without end." };
    let required = if policy.max_lifetime_days.is_some() { "A key must have an expiry." } else { required };
    vec![
        setting("expiration_choices", offer),
        setting("max_lifetime_days", longest),
        setting("expiry_required", required),
    ]
}

fn making(policy: &Policy) -> Vec<Setting> {
    let name = if policy.name_required { "A key must have a name." } else { "A key may have no name." };
    let scopes = if policy.scopes_required {
        "A key must have at least one scope."
    } else {
        "A key may have no scope; it can then be used for nothing but saying who it is."
    };
    let grantable = match policy.grantable_scopes.as_deref() {
        None => "Keys can be granted any scope.".into(),
        Some([]) => "Keys cannot be granted any scope.".into(),
        Some(list) => {
            let list: Vec<_> = list.iter().map(ToString::to_string).collect();
            format!("Keys can be granted {} and scopes within them.", list.join(", "))
        }
    };
    vec![
        setting("create_role", format!("Members with the role {} or a higher one.", policy.create_role)),
        setting("name_required", name),
        setting("scopes_required", scopes),
        setting("grantable_scopes", grantable),
        setting("key_prefix", format!("New key texts begin with {}_.", policy.key_prefix)),
    ]
}

fn vocabulary(policy: &Policy, node: &NodeSettings) -> Vec<Setting> {
    let actions: Vec<&str> = policy.actions.iter().map(|action| action.as_str()).collect();
    let audiences = match policy.audiences.as_slice() {
        [] => format!("Only the default one, {}, and the issuer.", node.audience),
        more => format!("{}; beside the default one, {}, and the issuer.", more.join(", "), node.audience),
    };
    let life = match policy.token_ttl_seconds {
        Some(seconds) => format!("{}.", duration(seconds)),
        None => format!("{}, as the server is set up.", duration(node.ttl_seconds)),
    };
    vec![
        setting("actions", format!("{}; and * for any.", actions.join(", "))),
        setting("audiences", audiences),
        setting("token_ttl_seconds", life),
    ]
}

fn upkeep(policy: &Policy) -> Vec<Setting> {
    let grace = match policy.max_grace_seconds {
        0 => "None: the old secret ends with the rotation.".into(),
        seconds => format!("The old secret works on for {} at most.", duration(seconds)),
    };
    let stale = policy.stale_after_days.map_or("No key counts as out of use.".into(), |days| {
        format!("A key that was not used for {} counts as out of use.", counted(days, "day"))
    });
    let disabled = if policy.disable_when_stale { "They are disabled a day later." } else { "They stay as they are." };
    vec![
        setting("max_grace_seconds", grace),
        setting("stale_after_days", stale),
        setting("disable_when_stale", disabled),
    ]
}

fn offered(choices: &ExpirationChoices) -> String {
    let days = choices.days.iter().map(|days| counted(*days, "day"));
    days.chain(choices.none.then(|| "no expiry".to_owned())).collect::<Vec<_>>().join(", ")
}

fn counted(number: u32, what: &str) -> String {
    format!("{} {what}{}", count(number.into()), if number == 1 { "" } else { "s" })
}

/// Seconds in the largest unit that they are a whole number of.
fn duration(seconds: u32) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let whole = units.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    match whole {
        Some((length, name)) => format!("{} ({})", counted(seconds / length, name), counted(seconds, "second")),
        None => counted(seconds, "second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_largest_whole_unit() {
        for (seconds, text) in [
            (60, "1 minute (60 seconds)"),
            (90, "90 seconds"),
            (600, "10 minutes (600 seconds)"),
            (86_400, "1 day (86 400 seconds)"),
        ] {
            assert_eq!(duration(seconds).replace('\u{202f}', " "), text);
        }
    }

    #[test]
    fn every_setting_has_a_name_of_its_own() {
        let policy = serde_json::to_value(Policy::default()).unwrap();
        for name in policy.as_object().unwrap().keys() {
            assert_ne!(label(name), "Setting", "{name}");
        }
    }
}
