//! The differences between the old and new values of an audit entry.

use serde_json::{Map, Value};

use crate::console::audit::labels::field_label;

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
        let (before, after) = (before.and_then(format_value), after.and_then(format_value));
        match name.as_str() {
            // A higher generation invalidates earlier tokens.
            "generation" if before.is_some() && after.is_some() => {
                let invalidated = Some("invalidated".to_owned());
                all.push(Difference { field: "earlier tokens".into(), old: Some("valid".into()), new: invalidated });
            }
            "generation" => {}
            _ if before == after => {}
            _ => all.push(Difference { field: field_label(name), old: before, new: after }),
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

/// Formats a value. Returns `None` for null and empty values.
fn format_value(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => text.clone(),
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
                "expires at: – > 2030",
                "earlier tokens: valid > invalidated",
                "name: a > b",
                "scopes: read:* > read:*, write:x"
            ]
        );
    }

    #[test]
    fn new_objects_list_every_field() {
        assert_eq!(
            lines(None, Some(r#"{"email":"a@b","reason":"","version":1,"on":true}"#)),
            ["email: – > a@b", "on: – > yes"]
        );
        assert_eq!(lines(Some(r#"{"email":"a@b"}"#), None), ["email: a@b > –"]);
        for odd in ["", "null", "[1]", "{", "\"x\"", "{\"a\":{}}"] {
            assert!(lines(Some(odd), None).is_empty() && lines(None, Some(odd)).is_empty(), "{odd}");
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = format!("{{\"name\":\"{}\"}}", "ü".repeat(500));
        let [difference] = &differences(None, Some(&long))[..] else { panic!("one") };
        assert_eq!(difference.new.as_ref().map(|text| text.chars().count()), Some(MAX_LENGTH + 1));
    }
}
