//! The changes of an audit entry: the fields, and whether each widened or restricted access. Derived from the old and new values.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::clock::parse_rfc3339;
use crate::domain::api_key::Direction;
use crate::domain::audit_chain::AuditRow;
use crate::domain::member::Role;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;

/// The changed fields of an object that existed before and after.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditChange {
    /// Without counters, which change with every other field.
    pub fields: Vec<(String, Direction)>,
}

impl AuditChange {
    /// Compares the values of an entry.
    pub fn between(old: Option<&Value>, new: Option<&Value>) -> Self {
        let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) else { return Self::default() };
        let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
        let is_counter = |name: &str| matches!(name, "version" | "secret_version" | "generation");
        let changed = names.filter(|name| !is_counter(name) && old.get(*name) != new.get(*name));
        Self { fields: changed.map(|name| (name.clone(), direction(name, old, new))).collect() }
    }

    /// Compares the values of a stored entry.
    pub fn of_row(row: &AuditRow) -> Self {
        let value = |text: &Option<String>| serde_json::from_str(text.as_deref()?).ok();
        Self::between(value(&row.old).as_ref(), value(&row.new).as_ref())
    }

    /// Returns the direction of all fields together.
    pub fn direction(&self) -> Direction {
        self.fields.iter().fold(Direction::Unchanged, |all, (_, one)| all.and(*one))
    }

    /// Returns the direction of a field.
    pub fn of_field(&self, name: &str) -> Direction {
        self.fields.iter().find(|(known, _)| known == name).map_or(Direction::Unchanged, |(_, direction)| *direction)
    }

    /// The columns `direction` and `changed_fields`.
    pub(super) fn columns(&self) -> (Option<&'static str>, String) {
        let direction = match self.direction() {
            Direction::Unchanged => None,
            Direction::Widened => Some("widened"),
            Direction::Restricted => Some("restricted"),
            Direction::WidenedAndRestricted => Some("both"),
        };
        let names: String = self.fields.iter().map(|(name, _)| format!("{name} ")).collect();
        (direction, if names.is_empty() { names } else { format!(" {names}") })
    }
}

/// Returns how a field changed the access of its object. A field that cannot be read, or does not limit access, is unchanged.
fn direction(name: &str, old: &Map<String, Value>, new: &Map<String, Value>) -> Direction {
    let read = |object: &Map<String, Value>| object.get(name).cloned().unwrap_or_default();
    let is_open = |object: &Map<String, Value>| {
        ["allowed_cidrs", "networks"].iter().all(|name| object.get(*name).is_none_or(|list| texts(list).is_empty()))
    };
    let becomes_open = (is_open(old), is_open(new));
    let has_names = |object: &Map<String, Value>| object.get("networks").is_some_and(|list| !texts(list).is_empty());
    let are_combined = has_names(old) || has_names(new);
    let (old, new) = (read(old), read(new));
    let compared = match name {
        // Lists that are combined with named networks: without either, every address is allowed.
        "allowed_cidrs" | "networks" if are_combined => Some(match becomes_open {
            (false, true) => Direction::Widened,
            (true, false) => Direction::Restricted,
            _ => of_texts(&old, &new),
        }),
        "cidrs" => both::<Networks>(old, new).map(|(old, new)| Direction::of_networks(&old, &new)),
        "excluded_cidrs" => Some(of_texts(&new, &old)),
        // The access that the profiles grant is not part of the values.
        "profile" => Some(Direction::WidenedAndRestricted),
        "allowed_cidrs" => both::<Networks>(old, new).map(|(old, new)| Direction::of_networks(&old, &new)),
        "scopes" if old.is_array() || new.is_array() => Some(of_texts(&old, &new)),
        "scopes" => both::<ScopeSet>(old, new).map(|(old, new)| Direction::of_scopes(&old, &new)),
        "apis" => Some(of_texts(&old, &new)),
        "expires_at" => {
            let time = |value: &Value| match value {
                Value::Null => Some(None),
                Value::String(text) => parse_rfc3339(text).map(Some),
                _ => None,
            };
            time(&old).zip(time(&new)).map(|(old, new)| Direction::of_expiry(old, new))
        }
        "role" => both::<Role>(old, new).map(|(old, new)| ordered(old, new)),
        "state" => {
            let is_active = |value: &Value| value.as_str().map(|state| state == "active");
            is_active(&old).zip(is_active(&new)).map(|(old, new)| ordered(old, new))
        }
        _ => None,
    };
    compared.unwrap_or_default()
}

/// Compares sets of texts: a list, or lists separated by spaces below names.
fn of_texts(old: &Value, new: &Value) -> Direction {
    let (old, new) = (texts(old), texts(new));
    Direction::new(!new.is_subset(&old), !old.is_subset(&new))
}

fn texts(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(list) => list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
        Value::Object(map) => {
            let of_name = |(name, list): (&String, &Value)| {
                let words: Vec<String> =
                    list.as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
                // The name alone too: access without a scope is access.
                std::iter::once(name.clone())
                    .chain(words.into_iter().map(|word| format!("{name} {word}")))
                    .collect::<Vec<_>>()
            };
            map.iter().flat_map(of_name).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn both<T: serde::de::DeserializeOwned>(old: Value, new: Value) -> Option<(T, T)> {
    Some((serde_json::from_value(old).ok()?, serde_json::from_value(new).ok()?))
}

fn ordered<T: Ord>(old: T, new: T) -> Direction {
    match new.cmp(&old) {
        std::cmp::Ordering::Less => Direction::Restricted,
        std::cmp::Ordering::Equal => Direction::Unchanged,
        std::cmp::Ordering::Greater => Direction::Widened,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn directions_follow_from_the_values() {
        let of = |old: Value, new: Value| AuditChange::between(Some(&old), Some(&new)).columns();
        for (old, new, direction, fields) in [
            (
                json!({ "allowed_cidrs": ["10.0.0.0/8"] }),
                json!({ "allowed_cidrs": [] }),
                Some("widened"),
                " allowed_cidrs ",
            ),
            (
                json!({ "allowed_cidrs": [] }),
                json!({ "allowed_cidrs": ["10.0.0.0/8"] }),
                Some("restricted"),
                " allowed_cidrs ",
            ),
            (json!({ "scopes": "read" }), json!({ "scopes": "read write" }), Some("widened"), " scopes "),
            (json!({ "scopes": "read" }), json!({ "scopes": "write" }), Some("both"), " scopes "),
            (json!({ "scopes": ["a", "b"] }), json!({ "scopes": ["a"] }), Some("restricted"), " scopes "),
            (json!({ "apis": {} }), json!({ "apis": { "x": "" } }), Some("widened"), " apis "),
            (json!({ "apis": { "x": "a b" } }), json!({ "apis": { "x": "b" } }), Some("restricted"), " apis "),
            (
                json!({ "expires_at": "2030-01-01T00:00:00Z" }),
                json!({ "expires_at": null }),
                Some("widened"),
                " expires_at ",
            ),
            (json!({ "state": "active" }), json!({ "state": "revoked" }), Some("restricted"), " state "),
            (json!({ "state": "disabled" }), json!({ "state": "active" }), Some("widened"), " state "),
            (json!({ "role": "viewer" }), json!({ "role": "owner" }), Some("widened"), " role "),
            (json!({ "profile": null }), json!({ "profile": "a" }), Some("both"), " profile "),
            (
                json!({ "allowed_cidrs": [], "networks": [] }),
                json!({ "allowed_cidrs": [], "networks": ["office"] }),
                Some("restricted"),
                " networks ",
            ),
            (
                json!({ "allowed_cidrs": [], "networks": ["office"] }),
                json!({ "allowed_cidrs": ["10.0.0.0/8"], "networks": ["office"] }),
                Some("widened"),
                " allowed_cidrs ",
            ),
            (
                json!({ "cidrs": ["10.0.0.0/8"], "excluded_cidrs": [] }),
                json!({ "cidrs": ["10.0.0.0/8"], "excluded_cidrs": ["10.0.0.1/32"] }),
                Some("restricted"),
                " excluded_cidrs ",
            ),
            (json!({ "name": "a", "version": 1 }), json!({ "name": "b", "version": 2 }), None, " name "),
            (json!({ "allowed_cidrs": 7 }), json!({ "allowed_cidrs": [] }), None, " allowed_cidrs "),
        ] {
            assert_eq!(of(old.clone(), new), (direction, fields.to_owned()), "{old}");
        }
        assert_eq!(AuditChange::between(None, Some(&json!({ "name": "a" }))).columns(), (None, String::new()));
    }
}
