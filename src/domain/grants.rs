//! The scopes that a key is granted, for each API.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use crate::domain::apis::ApiId;
use crate::domain::choices::ScopeStyle;
use crate::domain::scope::{Scope, ScopeError, ScopeSet};

/// Maximum number of APIs that a key is granted.
pub const MAX_GRANTS: usize = 50;

/// The scopes that a key is granted for one API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    pub api: ApiId,
    pub scopes: ScopeSet,
}

/// The scopes that a key is granted, for each API, sorted by API; the default API is the first.
///
/// A grant without scopes still allows tokens for its API, which carry no scope.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grants(Arc<[Grant]>);

impl Grants {
    /// Collects grants. A later grant for the same API replaces an earlier one.
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Self {
        let mut list: Vec<Grant> = Vec::new();
        for grant in grants {
            match list.iter_mut().find(|held| held.api == grant.api) {
                Some(held) => *held = grant,
                None => list.push(grant),
            }
        }
        list.sort_by_key(|grant| grant.api);
        Self(list.into())
    }

    /// Creates a grant for the default API only.
    pub fn of_default(scopes: ScopeSet) -> Self {
        Self::new([Grant { api: ApiId::DEFAULT, scopes }])
    }

    /// Returns the grants, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Grant> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the scopes for an API; `None` if it is not granted.
    pub fn get(&self, api: ApiId) -> Option<&ScopeSet> {
        self.iter().find(|grant| grant.api == api).map(|grant| &grant.scopes)
    }

    /// Returns the scopes for the default API, which is granted to most keys.
    pub fn default_scopes(&self) -> Option<&ScopeSet> {
        self.0.first().filter(|grant| grant.api == ApiId::DEFAULT).map(|grant| &grant.scopes)
    }

    /// Returns the scopes for the default API; none if it is not granted.
    pub fn of_default_api(&self) -> &ScopeSet {
        static NONE: LazyLock<ScopeSet> = LazyLock::new(ScopeSet::default);
        self.default_scopes().unwrap_or(&NONE)
    }

    /// Returns every scope with its API.
    pub fn scopes(&self) -> impl Iterator<Item = (ApiId, &Scope)> {
        self.iter().flat_map(|grant| grant.scopes.iter().map(|scope| (grant.api, scope)))
    }

    /// Whether the grants allow everything that `other` allows.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|grant| self.get(grant.api).is_some_and(|held| held.contains_all(&grant.scopes)))
    }

    /// Whether a scope is `*:*` or for the management API.
    pub fn is_full_access(&self) -> bool {
        self.scopes().any(|(_, scope)| scope.is_everything() || scope.is_reserved())
    }

    /// Whether no API has a scope.
    pub fn has_no_scope(&self) -> bool {
        self.iter().all(|grant| grant.scopes.is_empty())
    }

    /// Replaces the grant of one API; `None` removes it.
    pub fn with(&self, api: ApiId, scopes: Option<ScopeSet>) -> Self {
        let others = self.iter().filter(|grant| grant.api != api).cloned();
        Self::new(others.chain(scopes.map(|scopes| Grant { api, scopes })))
    }

    /// Returns the scopes that both have, for each API that both grant.
    pub fn intersection(&self, other: &Self) -> Self {
        let common = |grant: &Grant| {
            let scopes = grant.scopes.common(other.get(grant.api)?);
            Some(Grant { api: grant.api, scopes })
        };
        Self(self.iter().filter_map(common).collect())
    }

    /// Gives scopes without a spelling the spelling that they have in `other`.
    pub fn spelled_like(self, other: &Self) -> Self {
        let spelled = |grant: &Grant| Grant {
            api: grant.api,
            scopes: match other.get(grant.api) {
                Some(same) => grant.scopes.clone().spelled_like(same),
                None => grant.scopes.clone(),
            },
        };
        Self::new(self.iter().map(spelled))
    }

    /// Whether both grant the same scopes in the same spelling.
    pub fn is_same_text(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.api == b.api && a.scopes.is_same_text(&b.scopes))
    }

    /// Returns the grants as they are stored.
    pub fn to_stored(&self) -> Vec<StoredGrant> {
        let stored = |grant: &Grant| StoredGrant {
            api: grant.api,
            style: grant.scopes.iter().next().map_or(StoredStyle::Filters, |scope| scope.style().into()),
            scopes: grant.scopes.as_str().to_owned(),
        };
        self.iter().map(stored).collect()
    }

    /// Reads stored grants.
    pub fn from_stored(stored: Vec<StoredGrant>) -> Result<Self, ScopeError> {
        let read = |grant: StoredGrant| {
            Ok(Grant { api: grant.api, scopes: ScopeSet::parse_as(grant.style.into(), &grant.scopes)? })
        };
        Ok(Self::new(stored.into_iter().map(read).collect::<Result<Vec<_>, ScopeError>>()?))
    }
}

/// A grant in the store. It carries the style of its scopes, because the API may be gone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredGrant {
    api: ApiId,
    style: StoredStyle,
    scopes: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredStyle {
    Filters,
    Plain,
}

impl From<ScopeStyle> for StoredStyle {
    fn from(style: ScopeStyle) -> Self {
        match style {
            ScopeStyle::Filters => Self::Filters,
            ScopeStyle::Plain => Self::Plain,
        }
    }
}

impl From<StoredStyle> for ScopeStyle {
    fn from(style: StoredStyle) -> Self {
        match style {
            StoredStyle::Filters => Self::Filters,
            StoredStyle::Plain => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ApiId {
        ApiId::from_random([byte; 16])
    }

    fn grant(api: ApiId, style: ScopeStyle, scopes: &str) -> Grant {
        Grant { api, scopes: ScopeSet::parse_as(style, scopes).unwrap() }
    }

    #[test]
    fn stored_grants_are_read_back() {
        let grants = Grants::new([
            grant(id(3), ScopeStyle::Plain, "photos.read https://api.example/x read:*/* %2F/*"),
            grant(ApiId::DEFAULT, ScopeStyle::Filters, "read write:a/#"),
            grant(id(2), ScopeStyle::Filters, ""),
        ]);
        let json = serde_json::to_string(&grants.to_stored()).unwrap();
        let read = Grants::from_stored(serde_json::from_str(&json).unwrap()).unwrap();
        assert!(read == grants && read.is_same_text(&grants), "{json}");
        assert_eq!(read.default_scopes().unwrap().as_str(), "read write:a/#");
        assert_eq!(read.get(id(3)).unwrap().len(), 4);
    }

    #[test]
    fn full_access_is_everything_or_management() {
        let is_full = |style, scopes| Grants::new([grant(id(1), style, scopes)]).is_full_access();
        for (scopes, expected) in
            [("*:*", true), ("*", true), ("read:keyturn/keys", true), ("read", false), ("", false)]
        {
            assert_eq!(is_full(ScopeStyle::Filters, scopes), expected, "{scopes}");
        }
        for scopes in ["*", "*:*", "read:keyturn/keys"] {
            assert!(!is_full(ScopeStyle::Plain, scopes), "{scopes} has no meaning as a plain scope");
        }
    }

    #[test]
    fn grants_of_one_api_never_reach_another() {
        let of = |api| Grants::new([grant(api, ScopeStyle::Filters, "*:*")]);
        assert!(of(id(1)).contains_all(&of(id(1))) && !of(id(1)).contains_all(&of(id(2))));
        assert!(!Grants::default().contains_all(&Grants::new([grant(id(1), ScopeStyle::Plain, "")])));
    }
}
