//! What is allowed and should be known all the same: a key that everybody may use, an edit that breaks calls.

use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;

/// A warning: the field and what to know about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    /// The field.
    pub field: &'static str,
    /// What to know about it.
    pub message: &'static str,
}

/// What to know of networks and scopes that were written down just now.
pub fn of_rights(networks: &Networks, scopes: Option<&ScopeSet>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if networks.has_wildcard() {
        let message = "a wildcard lets every address in; name the networks that the key is used from";
        warnings.push(Warning { field: "allowed_cidrs", message });
    }
    let everything = scopes
        .is_some_and(|scopes| scopes.iter().any(|scope| scope.action().is_any() && scope.filter().as_str() == "*"));
    if everything {
        let message = "*:* allows every action on every resource; name what the key is for";
        warnings.push(Warning { field: "scopes", message });
    }
    warnings
}

/// What to know of an edit after which the tokens from before it are dead.
pub fn of_narrowing() -> Warning {
    let message =
        "the key is narrower than before: tokens that were minted from it are dead, and calls may break at once";
    Warning { field: "key", message }
}
