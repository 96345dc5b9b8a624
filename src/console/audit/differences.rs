//! The differences between the old and new values of an audit entry.

use serde_json::{Map, Value};

use crate::console::audit::labels::field_label;
use crate::console::ui::{capitalize, replace_times};

/// Maximum length of a displayed value, in characters. The raw entry has the whole value.
const MAX_LENGTH: usize = 120;
/// Maximum number of displayed fields.
const MAX_FIELDS: usize = 16;

/// A field that changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    pub(super) field: String,
    /// The previous value, if there was one.
    pub(super) old: Option<String>,
    /// The new value, if there is one.
    pub(super) new: Option<String>,
}

/// Returns the fields that differ. For a created or deleted object, these are all its fields.
pub(super) fn differences(old: Option<&str>, new: Option<&str>) -> Vec<Difference> {
    let (old, new) = (object(old), object(new));
    // Version counters add nothing to the change itself.
    let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
    let mut all = Vec::new();
    for name in names.filter(|name| !matches!(name.as_str(), "version" | "secret_version")) {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let format = |value: Option<&Value>| value.and_then(|value| format_value(value).or_else(|| empty_value(name)));
        let (before, after) = (format(before), format(after));
        match name.as_str() {
            // A higher generation invalidates earlier tokens.
            "generation" if before.is_some() && after.is_some() => {
                let invalidated = Some("invalidated".to_owned());
                all.push(Difference { field: "Earlier tokens".into(), old: Some("valid".into()), new: invalidated });
            }
            "generation" => {}
            _ if before == after => {}
            _ => all.push(Difference { field: capitalize(&field_label(name)), old: before, new: after }),
        }
    }
    all.truncate(MAX_FIELDS);
    all
}

fn object(text: Option<&str>) -> Map<String, Value> {
    let value = text.and_then(|text| serde_json::from_str(text).ok());
    match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Returns what an empty value of a field means, for fields that limit access.
fn empty_value(name: &str) -> Option<String> {
    let text = match name {
        "allowed_cidrs" => "any network",
        "scopes" => "no scopes",
        "expires_at" => "never",
        "owner" => "organization",
        _ => return None,
    };
    Some(text.into())
}

/// Formats a value, with times for people. Returns `None` for null and empty values.
fn format_value(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => replace_times(text),
        Value::Array(items) => items.iter().filter_map(format_value).collect::<Vec<_>>().join(", "),
        Value::Number(number) => number.to_string(),
        Value::Object(fields) => {
            let parts = fields
                .iter()
                .filter_map(|(name, value)| Some(format!("{} {}", field_label(name), format_value(value)?)));
            parts.collect::<Vec<_>>().join(", ")
        }
    };
    let end = text.char_indices().nth(MAX_LENGTH).map(|(end, _)| end);
    let text = match end.and_then(|end| text.get(..end)) {
        Some(begin) => format!("{begin}…"),
        None => text,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(old: Option<&str>, new: Option<&str>) -> Vec<String> {
        let line = |difference: &Difference| {
            let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "–".into());
            format!("{}: {} > {}", difference.field, part(&difference.old), part(&difference.new))
        };
        differences(old, new).iter().map(line).collect()
    }

    #[test]
    fn only_differences_are_listed() {
        let old = r#"{"name":"a","scopes":["read:*"],"expires_at":null,"version":1,"generation":1,"same":[1,2]}"#;
        let new =
            r#"{"name":"b","scopes":["read:*","write:x"],"expires_at":"2030","version":2,"generation":2,"same":[1,2]}"#;
        assert_eq!(
            lines(Some(old), Some(new)),
            [
                "Expiry: never > 2030",
                "Earlier tokens: valid > invalidated",
                "Name: a > b",
                "Scopes: read:* > read:*, write:x"
            ]
        );
    }

    #[test]
    fn new_objects_list_every_field() {
        assert_eq!(
            lines(None, Some(r#"{"email":"a@b","reason":"","version":1,"on":true}"#)),
            ["Email: – > a@b", "On: – > yes"]
        );
        assert_eq!(lines(Some(r#"{"email":"a@b"}"#), None), ["Email: a@b > –"]);
        for odd in ["", "null", "[1]", "{", "\"x\"", "{\"a\":{}}"] {
            assert!(lines(Some(odd), None).is_empty() && lines(None, Some(odd)).is_empty(), "{odd}");
        }
    }

    #[test]
    fn empty_values_say_what_they_allow() {
        let old = r#"{"allowed_cidrs":["127.0.0.0/8"],"expires_at":"2026-11-28T21:52:51.875Z"}"#;
        assert_eq!(
            lines(Some(old), Some(r#"{"allowed_cidrs":[],"expires_at":null}"#)),
            ["Allowed networks: 127.0.0.0/8 > any network", "Expiry: 2026-11-28 21:52 UTC > never"]
        );
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = format!("{{\"name\":\"{}\"}}", "ü".repeat(500));
        let [difference] = &differences(None, Some(&long))[..] else { panic!("one") };
        assert_eq!(difference.new.as_ref().map(|text| text.chars().count()), Some(MAX_LENGTH + 1));
    }
}
