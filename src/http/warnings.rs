//! Warnings about keys that are allowed but risky.

use crate::domain::networks::Networks;
use crate::domain::scope::{Scope, ScopeSet};

/// A warning about a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// The field's name.
    pub field: &'static str,
    /// The warning.
    pub message: &'static str,
}

/// Returns warnings about new networks and scopes.
pub fn of_rights(networks: &Networks, scopes: Option<&ScopeSet>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if networks.has_wildcard() {
        let message = "allows every address; list the networks that the key is used from";
        warnings.push(Warning { field: "allowed_cidrs", message });
    }
    if scopes.is_some_and(|scopes| scopes.iter().any(Scope::is_everything)) {
        let message = "*:* allows every action on every resource; grant only the scopes that the key needs";
        warnings.push(Warning { field: "scopes", message });
    }
    warnings
}

/// Returns the warning about an edit that restricts a key.
pub fn of_narrowing() -> Warning {
    let message =
        "the key has fewer rights than before: requests may fail immediately, and its earlier tokens no longer work";
    Warning { field: "key", message }
}
