//! APIs (resource servers): what tokens are for.
//!
//! A key is granted scopes per API ([`Grants`](crate::domain::grants::Grants)), and a token is for one API, or for several that
//! the client named. A token never carries a scope that is not granted for each API in its audience.

mod algorithm;
mod settings;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::attribute::Attributes;
use crate::domain::audience::is_same;
use crate::domain::choices::{Algorithm, ScopeStyle, TokenType};
use crate::domain::key_text::{ID_LENGTH, KeyId};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

pub use algorithm::{NextAlgorithm, TokenAlgorithm};
pub use settings::{MAX_API_SCOPES, MAX_APIS};
pub use target::{Target, TargetError, held_for_token, select};

/// The ID of an API: 16 base62 digits. It is never used again, so that a grant cannot be taken for one of a later API with the
/// same name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ApiId([u8; ID_LENGTH]);

impl ApiId {
    /// The default API of every organization. Sorts before all others.
    pub const DEFAULT: Self = Self([b'0'; ID_LENGTH]);

    /// Parses exactly 16 base62 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes().try_into().ok()?;
        KeyId::parse(text).map(|_| Self(digits))
    }

    /// Creates an ID from 128 random bits.
    pub fn from_random(random: [u8; 16]) -> Self {
        let mut digits = [b'0'; ID_LENGTH];
        digits.copy_from_slice(KeyId::from_random(random).as_str().as_bytes());
        Self(digits)
    }

    pub fn as_str(&self) -> &str {
        // Always ASCII; the fallback avoids a panic path.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ApiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiId({})", self.as_str())
    }
}

impl Serialize for ApiId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApiId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("an API's ID has 16 digits"))
    }
}

/// A scope of an API, with a description for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiScope {
    pub scope: Scope,
    pub description: String,
}

/// An API (resource server).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Api {
    pub id: ApiId,
    pub organization: Slug,
    /// Unique in the organization: `[a-z0-9-]{1,40}`.
    pub name: Slug,
    pub description: String,
    /// The `aud` claim of its tokens. `None` only for the default API: `token.audience` of the configuration.
    pub audience: Option<String>,
    /// How its scopes are written. Cannot change.
    pub style: ScopeStyle,
    /// The scopes that can be granted. If the style is `filters`, an empty list allows every scope with an action of the
    /// policy, and another list everything that one of its scopes contains.
    pub scopes: Vec<ApiScope>,
    /// The scopes that can be granted to further keys, and narrower ones; all of its scopes if absent. The policy has those of
    /// the default API.
    pub grantable: Option<Vec<Scope>>,
    /// Lifetime of its tokens, 60 to 3600; the organization's if absent.
    pub token_ttl_seconds: Option<u32>,
    /// `typ` header of its tokens; the server's setting if absent.
    pub typ: Option<TokenType>,
    /// Custom claims of its tokens, besides those of the policy.
    pub token_claims: Attributes,
    pub algorithm: TokenAlgorithm,
    /// Increases with every change; the `ETag`.
    pub version: u64,
    pub created_at: Timestamp,
}

impl Api {
    /// Creates the default API of an organization.
    pub fn default_of(organization: Slug, algorithm: Algorithm, created_at: Timestamp) -> Self {
        Self {
            id: ApiId::DEFAULT,
            organization,
            name: Slug::default_organization(),
            description: String::new(),
            audience: None,
            style: ScopeStyle::Filters,
            scopes: Vec::new(),
            grantable: None,
            token_ttl_seconds: None,
            typ: None,
            token_claims: Attributes::new(),
            algorithm: TokenAlgorithm::new(algorithm),
            version: 1,
            created_at,
        }
    }

    pub fn is_default(&self) -> bool {
        self.id == ApiId::DEFAULT
    }

    /// Whether the API has this scope, or one that contains it.
    pub fn has_scope(&self, scope: &Scope) -> bool {
        scope.style() == self.style
            && ((self.scopes.is_empty() && self.style == ScopeStyle::Filters)
                || self.scopes.iter().any(|listed| listed.scope.contains(scope)))
            && (self.is_default() || !scope.is_reserved())
    }

    /// Whether the API allows the scope to be granted to further keys.
    pub fn is_grantable(&self, scope: &Scope) -> bool {
        self.grantable.as_ref().is_none_or(|grantable| grantable.iter().any(|each| each.contains(scope)))
    }

    /// Returns the granted scopes that the API still has. Does not allocate if it has all of them.
    pub fn effective(&self, granted: &ScopeSet) -> ScopeSet {
        if granted.iter().all(|scope| self.has_scope(scope)) {
            return granted.clone();
        }
        // Fewer scopes than a valid set has.
        ScopeSet::from_scopes(granted.iter().filter(|scope| self.has_scope(scope)).cloned()).unwrap_or_default()
    }
}

/// An API with the audiences that select it, as a deployment has it.
#[derive(Clone, Debug)]
pub struct ServedApi {
    pub api: Api,
    /// The `aud` claim of its tokens.
    pub audience: String,
    /// Further audiences that select the default API; a token requested for one carries it.
    pub aliases: Vec<String>,
    /// Lifetime of its tokens.
    pub ttl_seconds: u32,
    /// `typ` header of its tokens (RFC 9068 §2.1).
    pub typ: TokenType,
    /// Custom claims of its tokens: those of the policy, and its own, which replace them.
    pub claims: Attributes,
}

impl ServedApi {
    /// Returns the configured spelling of an audience of this API.
    fn spelling(&self, requested: &str, is_match: impl Fn(&str, &str) -> bool) -> Option<&str> {
        std::iter::once(&self.audience).chain(&self.aliases).map(String::as_str).find(|own| is_match(own, requested))
    }
}

/// Returns the name of an API. `None` if it no longer exists.
pub fn api_name(apis: &[ServedApi], id: ApiId) -> Option<&str> {
    apis.iter().find(|served| served.api.id == id).map(|served| served.api.name.as_str())
}

/// Returns the API of an audience (RFC 8707 §2), with the configured spelling.
pub fn find_audience<'a>(apis: &'a [ServedApi], requested: &str) -> Option<(&'a ServedApi, &'a str)> {
    let find = |is_match: &dyn Fn(&str, &str) -> bool| {
        apis.iter().find_map(|api| Some((api, api.spelling(requested, is_match)?)))
    };
    // Exact matches first, because two spellings of one URL can both be configured.
    find(&|own, requested| own == requested).or_else(|| find(&|own, requested| is_same(own, requested)))
}
