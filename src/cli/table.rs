//! Tables and records for people. JSON output does not pass through here.

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::cli::{CliError, print_out};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::domain::timestamp::Timestamp;

/// Rows under a header.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = rows();
    table.set_header(header.iter().copied());
    table
}

/// Rows without a header.
pub(super) fn rows() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

pub(super) fn print_table(table: &Table) -> Result<(), CliError> {
    print_out(&format!("{table}\n"))
}

/// Prints a record, a field a line, without empty fields and those in `hidden`.
pub(super) fn print_record(record: &Value, hidden: &[&str]) -> Result<(), CliError> {
    let mut table = rows();
    for name in record.as_object().into_iter().flat_map(|fields| fields.keys()) {
        let text = field(record, name);
        if !text.is_empty() && !hidden.contains(&name.as_str()) {
            table.add_row([name.clone(), text]);
        }
    }
    print_table(&table)
}

/// A field of a record as text. Points in time have whole seconds, so that columns keep their width.
pub(super) fn field(record: &Value, name: &str) -> String {
    let value = record.get(name);
    match value {
        Some(Value::String(moment)) if ["_at", "_until", "_from"].iter().any(|end| name.ends_with(end)) => {
            whole_seconds(moment)
        }
        _ if name == "scopes" => scopes(value),
        _ if name == "apis" => grants(value),
        _ => plain(value),
    }
}

/// An RFC 3339 moment without a fraction of a second.
pub(super) fn whole_seconds(text: &str) -> String {
    match parse_rfc3339(text) {
        Some(at) => rfc3339(Timestamp::from_seconds(at.as_millis().div_euclid(1000))),
        None => plain(Some(&text.into())),
    }
}

fn scopes(value: Option<&Value>) -> String {
    let text = |scope: &Value| match scope {
        Value::Object(_) => format!("{}:{}", plain(scope.get("action")), plain(scope.get("resource"))),
        other => plain(Some(other)),
    };
    items(value).map(text).collect::<Vec<_>>().join(" ")
}

/// Grants, each with its API: `orders: orders.read orders.write`.
fn grants(value: Option<&Value>) -> String {
    let text = |grant: &Value| match grant {
        Value::Object(_) => format!("{}: {}", plain(grant.get("api")), scopes(grant.get("scopes"))),
        other => plain(Some(other)),
    };
    items(value).map(text).collect::<Vec<_>>().join("; ")
}

/// The items of a JSON array; none, if it is not one.
pub(super) fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// A JSON value as text. Control characters are replaced, because a terminal would act on them.
pub(super) fn plain(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| plain(Some(item))).collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A number with its noun: `1 key`, `2 keys`.
pub(super) fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nouns_follow_their_number() {
        let said = |number| (count(number, "key"), count(number, "audit entry"));
        assert_eq!(said(0), ("0 keys".into(), "0 audit entries".into()));
        assert_eq!(said(1), ("1 key".into(), "1 audit entry".into()));
        assert_eq!(said(2), ("2 keys".into(), "2 audit entries".into()));
    }

    #[test]
    fn moments_have_whole_seconds_and_names_stay() {
        let record = json!({
            "created_at": "2026-11-28T20:51:57.01Z", "expires_at": "2026-11-28T20:51:57Z", "last_used_at": null,
            "name": "2026-11-28T20:51:57.01Z", "hint": "a\u{1b}[2Jb",
        });
        assert_eq!(field(&record, "created_at"), "2026-11-28T20:51:57Z");
        assert_eq!(field(&record, "expires_at"), "2026-11-28T20:51:57Z");
        assert_eq!(field(&record, "last_used_at"), "");
        assert_eq!(field(&record, "name"), "2026-11-28T20:51:57.01Z");
        assert_eq!(field(&record, "hint"), "a\u{fffd}[2Jb");
    }

    #[test]
    fn scopes_are_read_in_both_forms() {
        let record = json!({ "scopes": [{ "action": "read", "resource": "a/*" }, "write"] });
        assert_eq!(field(&record, "scopes"), "read:a/* write");
    }
}
