//! Rights that a gateway requires of a credential.

use std::fmt;

use crate::domain::scope::{Action, Resource, Scope, ScopeSet};

/// A right that a credential must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Required {
    /// Everything that a scope allows.
    Scope(Scope),
    Access(Action, Resource),
}

impl Required {
    pub fn is_held_by(&self, scopes: &ScopeSet) -> bool {
        match self {
            Self::Scope(scope) => scopes.contains(scope),
            Self::Access(action, resource) => scopes.allows(action, resource),
        }
    }
}

/// Writes the requirement as a scope; a resource is a filter that matches only itself.
impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => scope.fmt(f),
            Self::Access(action, resource) => write!(f, "{action}:{resource}"),
        }
    }
}
