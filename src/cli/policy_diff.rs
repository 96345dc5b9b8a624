//! Differences between two policies, setting by setting.

use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::cli::table::plain;
use crate::domain::policy::Policy;

/// A setting whose value changes.
#[derive(PartialEq, Debug)]
pub(super) struct Change {
    pub(super) setting: String,
    old: Value,
    new: Value,
}

impl Change {
    pub(super) fn to_json(&self) -> Value {
        json!({ "setting": self.setting, "old": self.old, "new": self.new })
    }

    pub(super) fn old_text(&self) -> String {
        as_text(&self.old)
    }

    pub(super) fn new_text(&self) -> String {
        as_text(&self.new)
    }
}

/// Compares every setting, whatever settings a policy has.
pub(super) fn diff(old: &Policy, new: &Policy) -> Result<Vec<Change>, CliError> {
    let (old, new) = (settings(old)?, settings(new)?);
    let value = |policy: &Map<String, Value>, setting: &str| policy.get(setting).cloned().unwrap_or_default();
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let change = |name: &&String| Change { setting: (*name).clone(), old: value(&old, name), new: value(&new, name) };
    Ok(names.iter().map(change).filter(|change| change.old != change.new).collect())
}

fn settings(policy: &Policy) -> Result<Map<String, Value>, CliError> {
    match serde_json::to_value(policy) {
        Ok(Value::Object(settings)) => Ok(settings),
        other => Err(CliError::Failed(format!("the policy cannot be compared: {other:?}"))),
    }
}

/// A value as it is written in a policy file.
fn as_text(value: &Value) -> String {
    if value.is_null() {
        return "(not set)".into();
    }
    let text = toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string());
    plain(Some(&text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy in which every setting differs from the default.
    const OTHER: &str = r#"
        max_keys_per_user = 3
        max_keys = 100
        expiration_choices = { days = [30, 90], none = true }
        max_lifetime_days = 90
        expiry_required = true
        name_required = true
        scopes_required = true
        grantable_scopes = ["read:orders/*"]
        create_role = "admin"
        key_prefix = "acme"
        actions = ["read", "purge"]
        audiences = ["https://api.example"]
        token_ttl_seconds = 60
        max_grace_seconds = 60
        stale_after_days = 90
        disable_when_stale = true
        token_claims = { plan = "metadata.plan" }
        verify_headers = { X-Plan = "metadata.plan" }
    "#;

    fn names(changes: &[Change]) -> Vec<&str> {
        changes.iter().map(|change| change.setting.as_str()).collect()
    }

    #[test]
    fn equal_policies_have_no_changes() {
        assert_eq!(diff(&Policy::default(), &Policy::default()).unwrap(), []);
    }

    #[test]
    fn every_setting_takes_part() {
        let default = settings(&Policy::default()).unwrap();
        let other: Policy = toml::from_str(OTHER).unwrap();
        let changes = diff(&Policy::default(), &other).unwrap();
        let all: Vec<&str> = default.keys().map(String::as_str).collect();
        assert_eq!(names(&changes), all, "a new setting needs another value in OTHER");
        // Each by itself, there and back.
        for change in &changes {
            let mut one = default.clone();
            one.insert(change.setting.clone(), change.new.clone());
            let one: Policy = serde_json::from_value(one.into()).unwrap();
            assert_eq!(names(&diff(&Policy::default(), &one).unwrap()), [&change.setting]);
            assert_eq!(names(&diff(&one, &Policy::default()).unwrap()), [&change.setting]);
        }
    }

    #[test]
    fn values_are_written_as_in_a_policy_file() {
        let other: Policy = toml::from_str(OTHER).unwrap();
        let texts: Vec<_> =
            diff(&Policy::default(), &other).unwrap().iter().map(|c| (c.old_text(), c.new_text())).collect();
        for (old, new) in [
            (r#"["read", "write", "admin"]"#, r#"["read", "purge"]"#),
            ("(not set)", "{ days = [30, 90], none = true }"),
            (r#""kt""#, r#""acme""#),
            ("2592000", "60"),
            ("false", "true"),
        ] {
            assert!(texts.contains(&(old.to_owned(), new.to_owned())), "{new}: {texts:?}");
        }
    }
}
