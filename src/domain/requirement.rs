//! Rights that a gateway requires of a credential.

use std::fmt;

use crate::domain::scope::{Action, Resource, Scope, ScopeError, ScopeSet};

/// A right that a credential must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Required {
    /// Everything that a scope allows. How it is read depends on the style of the API.
    Scope {
        plain: Scope,
        filter: Option<Scope>,
    },
    /// Everything that a scope with a filter allows.
    Filter(Scope),
    Access(Action, Resource),
}

impl Required {
    /// Parses a scope in either style. A scope with a filter needs its colon here, so that a forgotten resource is not read as
    /// every resource.
    pub fn parse_scope(text: &str) -> Result<Self, ScopeError> {
        let plain = Scope::parse_plain(text)?;
        let filter = text.contains(':').then(|| Scope::parse(text).ok()).flatten();
        Ok(Self::Scope { plain, filter })
    }

    pub fn is_held_by(&self, scopes: &ScopeSet) -> bool {
        match self {
            Self::Scope { plain, filter } => {
                scopes.contains(plain) || filter.as_ref().is_some_and(|filter| scopes.contains(filter))
            }
            Self::Filter(scope) => scopes.contains(scope),
            Self::Access(action, resource) => scopes.allows(action, resource),
        }
    }
}

/// Writes the requirement as a scope; a resource is a filter that matches only itself.
impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope { plain: scope, .. } | Self::Filter(scope) => scope.fmt(f),
            Self::Access(action, resource) => write!(f, "{action}:{resource}"),
        }
    }
}
