//! Something that a credential must be allowed to do, as gateways ask.

use std::fmt;

use crate::domain::scope::{Action, Resource, Scope, ScopeSet};

/// Something that a credential must be allowed to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Required {
    /// All that a scope says.
    Scope(Scope),
    /// One action on one resource.
    Access(Action, Resource),
}

impl Required {
    /// Whether scopes allow it.
    pub fn is_held_by(&self, scopes: &ScopeSet) -> bool {
        match self {
            Self::Scope(scope) => scopes.contains(scope),
            Self::Access(action, resource) => scopes.allows(action, resource),
        }
    }
}

/// As a scope: a resource is the filter that matches it alone.
impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(scope) => scope.fmt(f),
            Self::Access(action, resource) => write!(f, "{action}:{resource}"),
        }
    }
}
