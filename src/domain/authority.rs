//! The rights of a caller, which limit the rights that it can grant.

use std::net::IpAddr;

use crate::domain::member::{MemberId, Role};
use crate::domain::networks::Networks;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;

/// The rights of an API key, of a token issued for it, or of a member.
#[derive(Clone, PartialEq, Debug)]
pub struct Authority {
    pub scopes: ScopeSet,
    pub networks: Networks,
    /// No expiry if `None`.
    pub not_after: Option<Timestamp>,
}

/// The actor, rights, address and time of a change.
#[derive(Clone, Debug)]
pub struct ChangeContext {
    /// As in the audit log: `key:{id}`, `member:{id}` or `keyturn`.
    pub actor: String,
    /// Set if the actor is a member, whose role restricts the keys that they can manage.
    pub member: Option<(MemberId, Role)>,
    /// The key's [`rights_version`](crate::domain::api_key::ApiKey::rights_version) or the member's version at
    /// authentication time. The write is rejected if it has changed since; `None` skips the check.
    pub expected_version: Option<u64>,
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
            expected_version: None,
            authority: Authority { scopes: Role::Owner.grantable(), networks: Networks::all(), not_after: None },
            address: None,
            now,
        }
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
        self.authority.covers(&role.grantable(), &Networks::all(), None)
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
    /// Networks outside the caller's.
    Networks,
    /// An expiry after the caller's.
    Lifetime(Timestamp),
}

impl Authority {
    /// Checks that a key with these rights would not exceed the caller's.
    pub fn covers(
        &self,
        scopes: &ScopeSet,
        networks: &Networks,
        expires_at: Option<Timestamp>,
    ) -> Result<(), GrantExceeded> {
        if let Some(scope) = scopes.iter().find(|scope| !self.scopes.contains(scope)) {
            return Err(GrantExceeded::Scope(scope.clone()));
        }
        if !self.networks.contains(networks) {
            return Err(GrantExceeded::Networks);
        }
        match self.not_after {
            Some(end) if expires_at.is_none_or(|at| at > end) => Err(GrantExceeded::Lifetime(end)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(scopes: &str, networks: &[&str], not_after: Option<i64>) -> Authority {
        Authority {
            scopes: ScopeSet::parse(scopes).unwrap(),
            networks: Networks::parse(networks).unwrap(),
            not_after: not_after.map(Timestamp::from_seconds),
        }
    }

    #[test]
    fn own_rights_can_be_granted() {
        let held = authority("read:a/* *:keyturn/*", &["10.0.0.0/8"], Some(100));
        assert_eq!(held.covers(&held.scopes, &held.networks, held.not_after), Ok(()));
    }

    #[test]
    fn further_rights_are_rejected() {
        let held = authority("read:a/*", &["10.0.0.0/8"], Some(100));
        let check = |scopes: &str, networks: &[&str], end: Option<i64>| {
            let requested = authority(scopes, networks, end);
            held.covers(&requested.scopes, &requested.networks, requested.not_after)
        };
        assert!(matches!(check("read:a/b write:a/b", &["10.1.0.0/16"], Some(50)), Err(GrantExceeded::Scope(_))));
        assert_eq!(check("read:a/b", &["11.0.0.0/8"], Some(50)), Err(GrantExceeded::Networks));
        assert_eq!(check("read:a/b", &[], Some(50)), Err(GrantExceeded::Networks));
        assert!(matches!(check("read:a/b", &["10.1.0.0/16"], None), Err(GrantExceeded::Lifetime(_))));
        assert!(matches!(check("read:a/b", &["10.1.0.0/16"], Some(101)), Err(GrantExceeded::Lifetime(_))));
    }
}
