//! Sets of scopes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::{Action, MAX_SCOPES, Resource, Scope, ScopeError, ScopeStyle, Spelling};

/// The `scope` of a request, a key or a token: scopes in order of first appearance, without duplicates.
///
/// ```
/// use keyturn::domain::scope::ScopeSet;
/// let set = ScopeSet::parse(" write:a  read read:* ").unwrap();
/// assert_eq!(set.to_string(), "write:a read", "the first spelling is kept");
/// assert!(ScopeSet::parse("").unwrap().is_empty());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ScopeSet(Arc<Scopes>);

/// The scopes of a set, and their text once it was asked for: every token of a key carries it.
#[derive(Clone, Debug, Default)]
struct Scopes {
    list: Vec<Scope>,
    text: OnceLock<Box<str>>,
}

impl PartialEq for Scopes {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Scopes {}

impl Hash for Scopes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list.hash(state);
    }
}

impl ScopeSet {
    /// Parses scopes with filters, separated by one or more spaces (RFC 6749 §3.3).
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::parse_as(ScopeStyle::Filters, text)
    }

    /// Parses scopes in a style, separated by one or more spaces (RFC 6749 §3.3).
    pub fn parse_as(style: ScopeStyle, text: &str) -> Result<Self, ScopeError> {
        let mut set = Self::default();
        for (index, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let in_scope = |error| ScopeError::InScope(index + 1, Box::new(error));
            set.add(index, Scope::parse_as(style, word).map_err(in_scope)?)?;
        }
        Ok(set)
    }

    /// Collects scopes. Errors: [`ScopeError::TooManyScopes`].
    pub fn from_scopes(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ScopeError> {
        let mut set = Self::default();
        for (index, scope) in scopes.into_iter().enumerate() {
            set.add(index, scope)?;
        }
        Ok(set)
    }

    /// Returns the scopes in order of first appearance.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Scope> {
        self.0.list.iter()
    }

    /// Returns the scopes of either set that the other contains.
    pub fn common(&self, other: &Self) -> Self {
        let of_other = self.iter().filter(|scope| other.contains(scope));
        let both = of_other.chain(other.iter().filter(|scope| self.contains(scope)));
        let mut common: Vec<Scope> = Vec::new();
        for scope in both {
            // A set that would be too large keeps the first ones.
            if common.len() < MAX_SCOPES && !common.contains(scope) {
                common.push(scope.clone());
            }
        }
        Self(Arc::new(Scopes { list: common, text: OnceLock::new() }))
    }

    /// The scopes separated by spaces, each as it was written.
    pub fn as_str(&self) -> &str {
        self.0.text.get_or_init(|| {
            let words: Vec<String> = self.iter().map(Scope::to_string).collect();
            words.join(" ").into()
        })
    }

    /// Number of distinct scopes.
    pub fn len(&self) -> usize {
        self.0.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// Gives scopes without a spelling the spelling that they have in `other`.
    pub fn spelled_like(mut self, other: &Self) -> Self {
        let is_open = |scope: &Scope| scope.spelling() == Some(Spelling::Unspecified);
        if self.iter().any(is_open) {
            for scope in self.list_mut().iter_mut().filter(|scope| is_open(scope)) {
                if let Some(same) = other.iter().find(|same| *same == scope) {
                    *scope = same.clone();
                }
            }
        }
        self
    }

    /// Whether both contain the same scopes in the same spelling.
    pub fn is_same_text(&self, other: &Self) -> bool {
        let is_bare = |scope: &Scope| scope.spelling() == Some(Spelling::Bare);
        self == other && self.iter().map(is_bare).eq(other.iter().map(is_bare))
    }

    /// Whether a single scope of the set contains `scope`; scopes are not combined.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.iter().any(|member| member.contains(scope))
    }

    /// Whether the set contains each scope of `other`.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Whether a single scope of the set allows `action` on `resource`. Does not allocate.
    pub fn allows(&self, action: &Action, resource: &Resource) -> bool {
        self.iter().any(|member| member.allows(action, resource))
    }

    fn add(&mut self, index: usize, scope: Scope) -> Result<(), ScopeError> {
        if index >= MAX_SCOPES {
            return Err(ScopeError::TooManyScopes);
        }
        if !self.0.list.contains(&scope) {
            self.list_mut().push(scope);
        }
        Ok(())
    }

    fn list_mut(&mut self) -> &mut Vec<Scope> {
        let scopes = Arc::make_mut(&mut self.0);
        scopes.text.take();
        &mut scopes.list
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
