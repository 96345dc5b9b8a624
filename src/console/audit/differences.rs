//! What differs between old and new values, as a small list.

use serde_json::{Map, Value};

use crate::console::audit::words::field;

/// Longest value that is shown in the list, in characters; all of it is in the row as it is stored.
const LONGEST: usize = 120;
/// Most fields of a list.
const MOST: usize = 16;

/// A field that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Difference {
    /// Which.
    pub(super) field: String,
    /// What was there; `None`: nothing.
    pub(super) old: Option<String>,
    /// What is there; `None`: nothing.
    pub(super) new: Option<String>,
}

/// What differs. Of what is new or gone as a whole, everything that it holds.
pub(super) fn differences(old: Option<&str>, new: Option<&str>) -> Vec<Difference> {
    let (old, new) = (object(old), object(new));
    // Counters of changes and rotations say nothing more than the change itself.
    let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
    let mut all = Vec::new();
    for name in names.filter(|name| !matches!(name.as_str(), "version" | "secret_version")) {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let (before, after) = (before.and_then(shown), after.and_then(shown));
        match name.as_str() {
            // A higher generation ends what was minted before.
            "generation" if before.is_some() && after.is_some() => {
                let dead = Some("dead".to_owned());
                all.push(Difference { field: "tokens from before".into(), old: Some("good".into()), new: dead });
            }
            "generation" => {}
            _ if before == after => {}
            _ => all.push(Difference { field: field(name), old: before, new: after }),
        }
    }
    all.truncate(MOST);
    all
}

fn object(text: Option<&str>) -> Map<String, Value> {
    let value = text.and_then(|text| serde_json::from_str(text).ok());
    match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// A value for people; `None`: nothing is there.
fn shown(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(shown).collect::<Vec<_>>().join(", "),
        Value::Number(number) => number.to_string(),
        Value::Object(fields) => {
            let parts = fields.iter().filter_map(|(name, value)| Some(format!("{} {}", field(name), shown(value)?)));
            parts.collect::<Vec<_>>().join(", ")
        }
    };
    let end = text.char_indices().nth(LONGEST).map(|(end, _)| end);
    let text = match end.and_then(|end| text.get(..end)) {
        Some(begin) => format!("{begin}…"),
        None => text,
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: Option<&str>, new: Option<&str>) -> Vec<String> {
        let line = |difference: &Difference| {
            let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "–".into());
            format!("{}: {} > {}", difference.field, part(&difference.old), part(&difference.new))
        };
        differences(old, new).iter().map(line).collect()
    }

    #[test]
    fn only_what_differs_is_told() {
        let old = r#"{"name":"a","scopes":["read:*"],"expires_at":null,"version":1,"generation":1,"same":[1,2]}"#;
        let new =
            r#"{"name":"b","scopes":["read:*","write:x"],"expires_at":"2030","version":2,"generation":2,"same":[1,2]}"#;
        assert_eq!(
            told(Some(old), Some(new)),
            [
                "expires at: – > 2030",
                "tokens from before: good > dead",
                "name: a > b",
                "scopes: read:* > read:*, write:x"
            ]
        );
    }

    #[test]
    fn of_what_is_new_everything_is_told_and_nothing_of_what_is_no_object() {
        assert_eq!(
            told(None, Some(r#"{"email":"a@b","reason":"","version":1,"on":true}"#)),
            ["login: – > a@b", "on: – > yes"]
        );
        assert_eq!(told(Some(r#"{"email":"a@b"}"#), None), ["login: a@b > –"]);
        for odd in ["", "null", "[1]", "{", "\"x\"", "{\"a\":{}}"] {
            assert!(told(Some(odd), None).is_empty() && told(None, Some(odd)).is_empty(), "{odd}");
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let long = format!("{{\"name\":\"{}\"}}", "ü".repeat(500));
        let [difference] = &differences(None, Some(&long))[..] else { panic!("one") };
        assert_eq!(difference.new.as_ref().map(|text| text.chars().count()), Some(LONGEST + 1));
    }
}
