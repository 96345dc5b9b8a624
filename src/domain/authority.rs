//! The rights of a caller, which limit the rights that it can grant.

use std::net::IpAddr;

use crate::domain::apis::ApiId;
use crate::domain::customer::CustomerId;
use crate::domain::grants::Grants;
use crate::domain::member::{MemberId, Role};
use crate::domain::networks::Networks;
use crate::domain::profile::SharedVersion;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;

/// The rights of an API key, of a token issued for it, or of a member.
#[derive(Clone, PartialEq, Debug)]
pub struct Authority {
    /// Scopes of the default API, with those of the management API.
    pub scopes: ScopeSet,
    pub other_apis: OtherApis,
    pub networks: Networks,
    /// No expiry if `None`.
    pub not_after: Option<Timestamp>,
}

/// The scopes of the APIs besides the default one that a caller can grant.
#[derive(Clone, PartialEq, Debug)]
pub enum OtherApis {
    /// All that the APIs have.
    All,
    /// Those that the caller is granted.
    Granted(Grants),
}

impl OtherApis {
    /// Returns what a key or token with these grants can grant: everything if it administers the APIs, which includes defining
    /// their scopes.
    pub fn of_grants(grants: Grants) -> Self {
        let administers =
            Scope::parse("admin:keyturn/apis").is_ok_and(|scope| grants.of_default_api().contains(&scope));
        if administers { Self::All } else { Self::Granted(grants) }
    }

    fn covers(&self, api: ApiId, scope: &Scope) -> bool {
        match self {
            Self::All => true,
            Self::Granted(grants) => grants.get(api).is_some_and(|held| held.contains(scope)),
        }
    }

    fn covers_api(&self, api: ApiId) -> bool {
        match self {
            Self::All => true,
            Self::Granted(grants) => grants.get(api).is_some(),
        }
    }
}

/// The version of an actor's rights. The parts are compared separately: a key that leaves its customer gets a higher version of
/// its own and loses the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActorVersion {
    /// The key's [`rights_version`](crate::domain::api_key::ApiKey::rights_version), or the member's version.
    pub own: u64,
    /// The generation of the key's customer.
    pub customer: Option<u64>,
    /// The versions of what the key shares with others, if it refers to a profile or to named networks.
    pub shared: Option<SharedVersion>,
}

impl From<u64> for ActorVersion {
    /// The version of a member, or of a key without a customer and without references.
    fn from(own: u64) -> Self {
        Self { own, customer: None, shared: None }
    }
}

/// The actor, rights, address and time of a change.
#[derive(Clone, Debug)]
pub struct ChangeContext {
    /// As in the audit log: `key:{id}`, `member:{id}`, `portal:{session}` or `keyturn`.
    pub actor: String,
    /// Set if the actor is a member, whose role restricts the keys that they can manage.
    pub member: Option<(MemberId, Role)>,
    /// Set if the actor is a customer in the portal, who can manage only its own keys.
    pub customer: Option<CustomerId>,
    /// The actor's version at authentication time. The write is rejected if it has changed since; `None` skips the check.
    pub expected_version: Option<ActorVersion>,
    /// Upper bound of the rights that the actor can grant.
    pub authority: Authority,
    pub address: Option<IpAddr>,
    /// Time of the change.
    pub now: Timestamp,
}

impl ChangeContext {
    /// Context of a change that Keyturn makes automatically.
    pub fn keyturn(now: Timestamp) -> Self {
        Self {
            actor: "keyturn".into(),
            member: None,
            customer: None,
            expected_version: None,
            authority: Authority {
                scopes: Role::Owner.grantable(),
                other_apis: OtherApis::All,
                networks: Networks::all(),
                not_after: None,
            },
            address: None,
            now,
        }
    }

    /// Whether keys of `customer` exist for the actor. A customer in the portal sees none but its own.
    pub fn sees_keys_of(&self, customer: Option<&CustomerId>) -> bool {
        self.customer.is_none_or(|own| customer == Some(&own))
    }

    /// Whether the actor may change a key of `owner`. A key is not restricted to its own keys; its scopes were checked
    /// before.
    pub fn may_manage_key_of(&self, owner: Option<&MemberId>) -> bool {
        match &self.member {
            Some((id, role)) => role.may_manage_key(owner == Some(id)),
            None => true,
        }
    }

    /// Checks that the actor may assign or remove a role. A member can grant everything that the role can grant,
    /// without network restriction or expiry, so only an owner can change owners.
    pub fn may_change_role(&self, role: Role) -> Result<(), GrantExceeded> {
        self.authority.covers(&Grants::of_default(role.grantable()), &Networks::all(), None)
    }

    pub fn holds(&self, scope: &str) -> bool {
        Scope::parse(scope).is_ok_and(|scope| self.authority.scopes.contains(&scope))
    }
}

/// Reason why rights cannot be granted: the caller does not have them.
#[derive(Clone, PartialEq, Debug)]
pub enum GrantExceeded {
    /// A scope that the caller does not have.
    Scope(Scope),
    /// An API that the caller is not granted.
    Api(ApiId),
    /// Networks outside the caller's.
    Networks,
    /// An expiry after the caller's.
    Lifetime(Timestamp),
}

impl Authority {
    /// Checks that a key with these rights would not exceed the caller's.
    pub fn covers(
        &self,
        grants: &Grants,
        networks: &Networks,
        expires_at: Option<Timestamp>,
    ) -> Result<(), GrantExceeded> {
        self.holds(grants, networks)?;
        match self.not_after {
            Some(end) if expires_at.is_none_or(|at| at > end) => Err(GrantExceeded::Lifetime(end)),
            _ => Ok(()),
        }
    }

    /// Whether these rights include all of the others, apart from the expiry.
    pub fn includes(&self, other: &Self) -> bool {
        let others = match (&self.other_apis, &other.other_apis) {
            (OtherApis::Granted(_), OtherApis::All) => return false,
            (OtherApis::All, OtherApis::All) => Grants::default(),
            (_, OtherApis::Granted(grants)) => grants.clone(),
        };
        self.holds(&others.with(ApiId::DEFAULT, Some(other.scopes.clone())), &other.networks).is_ok()
    }

    /// Checks that these scopes and networks do not exceed the caller's.
    pub fn holds(&self, grants: &Grants, networks: &Networks) -> Result<(), GrantExceeded> {
        for grant in grants.iter().filter(|grant| grant.api != ApiId::DEFAULT) {
            if !self.other_apis.covers_api(grant.api) {
                return Err(GrantExceeded::Api(grant.api));
            }
        }
        let is_held = |api, scope: &Scope| match api {
            ApiId::DEFAULT => self.scopes.contains(scope),
            _ => self.other_apis.covers(api, scope),
        };
        if let Some((_, scope)) = grants.scopes().find(|(api, scope)| !is_held(*api, scope)) {
            return Err(GrantExceeded::Scope(scope.clone()));
        }
        if !self.networks.contains(networks) {
            return Err(GrantExceeded::Networks);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(scopes: &str, networks: &[&str], not_after: Option<i64>) -> Authority {
        Authority {
            scopes: ScopeSet::parse(scopes).unwrap(),
            other_apis: OtherApis::Granted(Grants::default()),
            networks: Networks::parse(networks).unwrap(),
            not_after: not_after.map(Timestamp::from_seconds),
        }
    }

    #[test]
    fn own_rights_can_be_granted() {
        let held = authority("read:a/* *:keyturn/*", &["10.0.0.0/8"], Some(100));
        assert_eq!(held.covers(&Grants::of_default(held.scopes.clone()), &held.networks, held.not_after), Ok(()));
    }

    #[test]
    fn rights_include_others_up_to_scopes_apis_and_networks() {
        let held = authority("read:a/*", &["10.0.0.0/8"], Some(100));
        assert!(held.includes(&held) && held.includes(&authority("read:a/b", &["10.1.0.0/16"], None)));
        assert!(!held.includes(&authority("read:b", &["10.1.0.0/16"], None)));
        assert!(!held.includes(&authority("read:a/b", &[], None)));
        let all = Authority { other_apis: OtherApis::All, ..held.clone() };
        assert!(all.includes(&all) && all.includes(&held) && !held.includes(&all));
    }

    #[test]
    fn further_rights_are_rejected() {
        let held = authority("read:a/*", &["10.0.0.0/8"], Some(100));
        let check = |scopes: &str, networks: &[&str], end: Option<i64>| {
            let requested = authority(scopes, networks, end);
            held.covers(&Grants::of_default(requested.scopes), &requested.networks, requested.not_after)
        };
        assert!(matches!(check("read:a/b write:a/b", &["10.1.0.0/16"], Some(50)), Err(GrantExceeded::Scope(_))));
        assert_eq!(check("read:a/b", &["11.0.0.0/8"], Some(50)), Err(GrantExceeded::Networks));
        assert_eq!(check("read:a/b", &[], Some(50)), Err(GrantExceeded::Networks));
        assert!(matches!(check("read:a/b", &["10.1.0.0/16"], None), Err(GrantExceeded::Lifetime(_))));
        assert!(matches!(check("read:a/b", &["10.1.0.0/16"], Some(101)), Err(GrantExceeded::Lifetime(_))));
    }

    #[test]
    fn scopes_of_one_api_give_no_authority_over_another() {
        let id = |byte| ApiId::from_random([byte; 16]);
        let grants = |api, text: &str| Grants::default().with(api, Some(ScopeSet::parse(text).unwrap()));
        let mut held = authority("*:*", &[], None);
        held.other_apis = OtherApis::Granted(grants(id(1), "read:a/*"));
        let check = |held: &Authority, grants: &Grants| held.covers(grants, &Networks::all(), None);
        assert_eq!(check(&held, &grants(id(1), "read:a/b")), Ok(()));
        assert!(matches!(check(&held, &grants(id(1), "write:a/b")), Err(GrantExceeded::Scope(_))));
        assert_eq!(check(&held, &grants(id(2), "read:a/b")), Err(GrantExceeded::Api(id(2))));
        assert_eq!(check(&held, &grants(id(2), "")), Err(GrantExceeded::Api(id(2))));
        held.other_apis = OtherApis::All;
        assert_eq!(check(&held, &grants(id(2), "read:a/b")), Ok(()));
    }
}
