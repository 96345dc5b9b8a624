//! Sessions of a customer in the portal, and their limits.

use std::collections::BTreeSet;
use std::fmt;

use crate::domain::apis::{ApiId, ServedApi};
use crate::domain::authority::{ActorVersion, Authority, ChangeContext, OtherApis};
use crate::domain::choices::{Choice, ScopeStyle};
use crate::domain::customer::CustomerId;
use crate::domain::decision::ClientAddress;
use crate::domain::grants::{Grant, Grants};
use crate::domain::policy::Policy;
use crate::domain::portal::WebUrl;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// How long the URL of a session can be opened.
pub const CODE_SECONDS: i64 = 15 * 60;
/// Lifetime of a session from when its URL is opened.
pub const SESSION_SECONDS: i64 = 3600;
/// Longest name of a user, in characters.
pub const MAX_USER: usize = 255;

/// Something that a customer can do with its keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Capability {
    /// See the keys and their use.
    Read,
    Create,
    Rotate,
    Revoke,
}

impl Capability {
    pub const ALL: [Self; 4] = [Self::Read, Self::Create, Self::Rotate, Self::Revoke];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Rotate => "rotate",
            Self::Revoke => "revoke",
        }
    }
}

impl Choice for Capability {
    const NAMES: &'static [&'static str] = &["read", "create", "rotate", "revoke"];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == text)
    }
}

/// The capabilities of a session; always `read`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    pub fn new(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        Self(capabilities.into_iter().chain([Capability::Read]).collect())
    }

    /// Reads stored capabilities; unknown ones are left out.
    pub fn from_stored(text: &str) -> Self {
        Self::new(text.split(' ').filter_map(Capability::parse))
    }

    pub fn include(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// Whether a session can change anything.
    pub fn change_keys(&self) -> bool {
        self.0.len() > 1
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|capability| capability.as_str()).collect()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

/// A session of a customer in the portal. It begins as a URL with a one-time code.
#[derive(Clone, PartialEq, Debug)]
pub struct PortalSession {
    pub id: String,
    pub organization: Slug,
    pub customer: CustomerId,
    /// The customer's generation when the session was created. It ends with the next generation.
    pub customer_generation: u64,
    /// The operator's name of the person, for the audit log.
    pub user: Option<String>,
    pub capabilities: Capabilities,
    /// The scopes that new keys can have.
    pub grants: Grants,
    /// The creator's rights without those of the management API. No key beyond them can be created or rotated.
    pub bounds: Authority,
    pub return_url: Option<WebUrl>,
    pub created_at: Timestamp,
    /// The actor that created the session: `key:{id}` or `member:{id}`.
    pub created_by: String,
    /// The creator's version when the session was created. The session ends with the next version.
    pub creator_version: ActorVersion,
    /// When the URL was opened.
    pub redeemed_at: Option<Timestamp>,
    /// Until then the URL can be opened, or the opened session is valid.
    pub ends_at: Timestamp,
    /// The client's address when the URL was opened.
    pub address: Option<String>,
}

impl PortalSession {
    /// Returns the actor of the session's changes, as in the audit log.
    pub fn actor(&self) -> String {
        format!("portal:{}", self.id)
    }

    /// Returns the context of a change, with the authority that creating a key has.
    pub fn by_to_create(&self, address: ClientAddress, now: Timestamp) -> ChangeContext {
        let authority = Authority {
            scopes: self.grants.of_default_api().clone(),
            other_apis: OtherApis::Granted(self.grants.clone()),
            ..self.bounds.clone()
        };
        ChangeContext { authority, ..self.by(address, now) }
    }

    /// Returns the context of a change of an existing key.
    pub fn by(&self, address: ClientAddress, now: Timestamp) -> ChangeContext {
        ChangeContext {
            actor: self.actor(),
            member: None,
            customer: Some(self.customer),
            expected_version: Some(self.creator_version),
            authority: self.bounds.clone(),
            address: address.known(),
            now,
        }
    }
}

/// Returns the rights of a caller without those of the management API, which no session has.
pub fn without_management(authority: Authority) -> Authority {
    let kept = authority.scopes.iter().filter(|scope| !scope.is_reserved()).cloned();
    Authority { scopes: ScopeSet::from_scopes(kept).unwrap_or_default(), ..authority }
}

/// Returns the scopes that new keys of a session can have if the operator names none: those that the policy and the APIs allow
/// to be granted, as far as the creator has them. An API of any scopes has none of them, because nobody has chosen any.
pub fn grantable_by_default(apis: &[ServedApi], policy: &Policy, bounds: &Authority) -> Grants {
    let scopes_of = |served: &ServedApi| -> Vec<Scope> {
        let api = &served.api;
        let listed = if api.is_default() { &policy.grantable_scopes } else { &api.grantable };
        match listed {
            Some(listed) => listed.clone(),
            None if api.style == ScopeStyle::Plain || !api.scopes.is_empty() => {
                api.scopes.iter().map(|each| each.scope.clone()).collect()
            }
            None => Vec::new(),
        }
    };
    let grant = |served: &ServedApi| {
        let api = &served.api;
        let allowed = scopes_of(served).into_iter().filter(|scope| {
            let alone = ScopeSet::from_scopes([scope.clone()]).map(|scopes| Grant { api: api.id, scopes });
            !scope.is_reserved()
                && api.has_scope(scope)
                && api.is_grantable(scope)
                && scope.action().is_none_or(|action| policy.has_action(action))
                && (api.id != ApiId::DEFAULT || policy.is_grantable(scope))
                && alone
                    .is_ok_and(|grant| bounds.covers(&Grants::new([grant]), &bounds.networks, bounds.not_after).is_ok())
        });
        let scopes = ScopeSet::from_scopes(allowed).unwrap_or_default();
        (!scopes.is_empty()).then_some(Grant { api: api.id, scopes })
    };
    Grants::new(apis.iter().filter_map(grant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::apis::Api;
    use crate::domain::choices::{Algorithm, TokenType};
    use crate::domain::networks::Networks;

    fn authority(scopes: &str) -> Authority {
        Authority {
            scopes: ScopeSet::parse(scopes).unwrap(),
            other_apis: OtherApis::Granted(Grants::default()),
            networks: Networks::all(),
            not_after: None,
        }
    }

    fn default_api() -> ServedApi {
        let api = Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0));
        ServedApi {
            api,
            audience: "https://api".into(),
            aliases: Vec::new(),
            ttl_seconds: 600,
            typ: TokenType::AtJwt,
            claims: Default::default(),
        }
    }

    #[test]
    fn capabilities_always_include_read() {
        let some = Capabilities::from_stored("revoke create sudo");
        assert_eq!(some.to_string(), "read create revoke");
        assert!(some.change_keys() && !some.include(Capability::Rotate));
        assert!(!Capabilities::new([]).change_keys());
        assert_eq!(Capability::ALL.map(Capability::as_str), Capability::NAMES);
    }

    #[test]
    fn management_scopes_never_reach_a_session() {
        let bounds = without_management(authority("*:* read:keyturn/keys admin:keyturn/*"));
        assert_eq!(bounds.scopes.as_str(), "*:*");
        let listed = |texts: &[&str]| Policy {
            grantable_scopes: Some(texts.iter().map(|text| Scope::parse(text).unwrap()).collect()),
            ..Policy::default()
        };
        let granted = |texts: &[&str], bounds: &str| {
            let grants = grantable_by_default(&[default_api()], &listed(texts), &authority(bounds));
            grants.of_default_api().as_str().to_owned()
        };
        assert_eq!(granted(&["read:orders/*", "write:keyturn/keys"], "*:* *:keyturn/*"), "read:orders/*");
        assert_eq!(granted(&["read:orders/*", "write:orders/*"], "read:*"), "read:orders/*", "not beyond the creator");
        assert_eq!(granted(&["deploy:x"], "*:*"), "", "not an action of the policy");
    }

    #[test]
    fn without_a_list_nothing_is_granted_by_default() {
        assert!(grantable_by_default(&[default_api()], &Policy::default(), &authority("*:*")).is_empty());
    }
}
