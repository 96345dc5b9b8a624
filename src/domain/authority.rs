//! What a caller holds, and so the most that they can hand out.

use std::net::IpAddr;

use crate::domain::member::{MemberId, Role};
use crate::domain::networks::Networks;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;

/// The rights a caller acts with: an API key's, or those of a token minted from it.
#[derive(Clone, PartialEq, Debug)]
pub struct Authority {
    /// What may be done to which resources.
    pub scopes: ScopeSet,
    /// From where.
    pub networks: Networks,
    /// Until when; `None` is without end.
    pub not_after: Option<Timestamp>,
}

/// Who makes a change, with what rights, from where and when.
#[derive(Clone, Debug)]
pub struct ChangeContext {
    /// As in the audit log: `key:{id}`, `member:{id}` or `keyturn`.
    pub actor: String,
    /// The person, where it is one: their role has a say beside what they hold.
    pub member: Option<(MemberId, Role)>,
    /// The key's standing ([`crate::domain::api_key::ApiKey::standing`]) or the member's version at authentication time.
    /// The write is rejected if it has changed since; `None` skips that check.
    pub standing: Option<u64>,
    /// What they hold; they hand out no more.
    pub authority: Authority,
    /// Where they are.
    pub address: Option<IpAddr>,
    /// The one reading of the clock.
    pub now: Timestamp,
}

impl ChangeContext {
    /// Keyturn itself, of its own accord.
    pub fn keyturn(now: Timestamp) -> Self {
        Self {
            actor: "keyturn".into(),
            member: None,
            standing: None,
            authority: Authority { scopes: Role::Owner.holds(), networks: Networks::all(), not_after: None },
            address: None,
            now,
        }
    }

    /// Whether they may change a key of that owner. Whoever acts by a key may, if its scopes let them come this far.
    pub fn may_manage_key_of(&self, owner: Option<&MemberId>) -> bool {
        match &self.member {
            Some((id, role)) => role.may_manage_key(owner == Some(id)),
            None => true,
        }
    }

    /// Checks that they may give or take a role: whoever has it can hand out all that it holds, from anywhere and
    /// without end. So only an owner changes owners.
    pub fn may_change_role(&self, role: Role) -> Result<(), GrantExceeded> {
        self.authority.covers(&role.holds(), &Networks::all(), None)
    }

    /// Whether they hold a scope.
    pub fn holds(&self, scope: &str) -> bool {
        Scope::parse(scope).is_ok_and(|scope| self.authority.scopes.contains(&scope))
    }
}

/// Why something cannot be handed out: it is more than the caller holds.
#[derive(Clone, PartialEq, Debug)]
pub enum GrantExceeded {
    /// A scope that lies within none of the caller's.
    Scope(Scope),
    /// Networks that reach further than the caller's.
    Networks,
    /// A life that outlasts the caller's.
    Lifetime(Timestamp),
}

impl Authority {
    /// Checks that a key with these rights would be no more than the caller holds.
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
    fn everyone_may_hand_out_exactly_what_they_hold() {
        let held = authority("read:a/* *:keyturn/*", &["10.0.0.0/8"], Some(100));
        assert_eq!(held.covers(&held.scopes, &held.networks, held.not_after), Ok(()));
    }

    #[test]
    fn nothing_beyond_is_handed_out() {
        let held = authority("read:a/*", &["10.0.0.0/8"], Some(100));
        let ask = |scopes: &str, networks: &[&str], end: Option<i64>| {
            let asked = authority(scopes, networks, end);
            held.covers(&asked.scopes, &asked.networks, asked.not_after)
        };
        assert!(matches!(ask("read:a/b write:a/b", &["10.1.0.0/16"], Some(50)), Err(GrantExceeded::Scope(_))));
        assert_eq!(ask("read:a/b", &["11.0.0.0/8"], Some(50)), Err(GrantExceeded::Networks));
        assert_eq!(ask("read:a/b", &[], Some(50)), Err(GrantExceeded::Networks));
        assert!(matches!(ask("read:a/b", &["10.1.0.0/16"], None), Err(GrantExceeded::Lifetime(_))));
        assert!(matches!(ask("read:a/b", &["10.1.0.0/16"], Some(101)), Err(GrantExceeded::Lifetime(_))));
    }
}
