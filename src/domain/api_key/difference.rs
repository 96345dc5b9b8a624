//! Comparison of two states of a key's access: whether each field was widened or restricted.
//!
//! The one source for the generation, for the confirmation of an edit and for the audit log.

use crate::domain::api_key::ApiKey;
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;

/// The fields of a key that limit its access.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Access<'a> {
    pub grants: &'a Grants,
    pub networks: &'a Networks,
    /// No expiry if `None`.
    pub expires_at: Option<Timestamp>,
}

impl<'a> From<&'a ApiKey> for Access<'a> {
    fn from(key: &'a ApiKey) -> Self {
        Self { grants: &key.grants, networks: &key.networks, expires_at: key.expires_at }
    }
}

/// How the access by one field changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// The new value allows the same, even if it is written differently.
    #[default]
    Unchanged,
    /// The new value allows everything that the old one allowed, and more.
    Widened,
    /// The new value allows less, and nothing new.
    Restricted,
    /// The new value allows something new and no longer allows something else.
    WidenedAndRestricted,
}

impl Direction {
    /// The direction of a change that allows something new, or no longer allows something.
    pub fn new(widens: bool, restricts: bool) -> Self {
        match (widens, restricts) {
            (false, false) => Self::Unchanged,
            (true, false) => Self::Widened,
            (false, true) => Self::Restricted,
            (true, true) => Self::WidenedAndRestricted,
        }
    }

    /// Compares two scope sets. Scopes are not combined: two that together match what one matched count as a restriction.
    pub fn of_scopes(old: &ScopeSet, new: &ScopeSet) -> Self {
        Self::new(!old.contains_all(new), !new.contains_all(old))
    }

    /// Compares the grants of all APIs.
    pub fn of_grants(old: &Grants, new: &Grants) -> Self {
        Self::new(!old.contains_all(new), !new.contains_all(old))
    }

    /// Compares two lists of networks by the addresses that they allow.
    pub fn of_networks(old: &Networks, new: &Networks) -> Self {
        Self::new(!old.contains(new), !new.contains(old))
    }

    /// Compares two expiries; `None` is later than any.
    pub fn of_expiry(old: Option<Timestamp>, new: Option<Timestamp>) -> Self {
        Self::new(is_later(new, old), is_later(old, new))
    }

    /// Whether something is allowed that was not allowed before.
    pub const fn widens(self) -> bool {
        matches!(self, Self::Widened | Self::WidenedAndRestricted)
    }

    /// Whether something is no longer allowed.
    pub const fn restricts(self) -> bool {
        matches!(self, Self::Restricted | Self::WidenedAndRestricted)
    }

    /// Returns the direction of two changes together.
    pub fn and(self, other: Self) -> Self {
        Self::new(self.widens() || other.widens(), self.restricts() || other.restricts())
    }
}

/// The direction of a change, field by field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    pub grants: Direction,
    pub networks: Direction,
    pub expiry: Direction,
}

impl Difference {
    /// Compares the access before and after a change.
    pub fn between<'a>(old: impl Into<Access<'a>>, new: impl Into<Access<'a>>) -> Self {
        let (old, new) = (old.into(), new.into());
        Self {
            grants: Direction::of_grants(old.grants, new.grants),
            networks: Direction::of_networks(old.networks, new.networks),
            expiry: Direction::of_expiry(old.expires_at, new.expires_at),
        }
    }

    /// Returns the direction of all fields together.
    pub fn overall(self) -> Direction {
        self.grants.and(self.networks).and(self.expiry)
    }

    /// Whether a field was widened.
    pub fn widens(self) -> bool {
        self.overall().widens()
    }

    /// Whether a field was restricted.
    pub fn restricts(self) -> bool {
        self.overall().restricts()
    }
}

/// Whether `one` is later than `other`; no expiry is later than any.
fn is_later(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    other.is_some_and(|other| one.is_none_or(|one| one > other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::api_key::Edit;
    use crate::domain::api_key::tests::key;
    use crate::domain::scope::{Action, Resource};

    #[derive(Clone, Debug)]
    struct State {
        grants: Grants,
        networks: Networks,
        expires_at: Option<Timestamp>,
    }

    impl State {
        fn access(&self) -> Access<'_> {
            Access { grants: &self.grants, networks: &self.networks, expires_at: self.expires_at }
        }

        /// Whether a request with this action, resource and address is allowed at this second.
        fn allows(&self, (action, resource, address, second): (&str, &str, &str, i64)) -> [bool; 3] {
            let action = Action::parse(action).unwrap();
            [
                self.grants.default_scopes().unwrap().allows(&action, &Resource::parse(resource).unwrap()),
                self.networks.allows(address.parse().unwrap()),
                self.expires_at.is_none_or(|end| Timestamp::from_seconds(second) < end),
            ]
        }
    }

    const ACTIONS: [&str; 2] = ["read", "write"];
    const RESOURCES: [&str; 5] = ["a", "a/b", "a/b/c", "keyturn", "keyturn/keys"];
    const ADDRESSES: [&str; 4] = ["10.0.0.1", "10.200.0.1", "192.0.2.1", "2001:db8::1"];

    fn any_state() -> impl Strategy<Value = State> {
        let scopes = ["read:a", "read:a/*", "read:#", "read:*", "*:*", "write:a/b", "*:keyturn/*", "read:keyturn/keys"];
        let networks = ["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.0.0.1", "2001:db8::/32", "*"];
        let scopes = prop::sample::subsequence(scopes.to_vec(), 0..4);
        let networks = prop::sample::subsequence(networks.to_vec(), 0..4);
        (scopes, networks, prop::option::of(1_i64..5)).prop_map(|(scopes, networks, end)| State {
            grants: Grants::of_default(ScopeSet::parse(&scopes.join(" ")).unwrap()),
            networks: Networks::parse(&networks).unwrap(),
            expires_at: end.map(Timestamp::from_seconds),
        })
    }

    fn reverse(direction: Direction) -> Direction {
        Direction::new(direction.restricts(), direction.widens())
    }

    proptest! {
        #[test]
        fn every_request_that_becomes_allowed_or_denied_is_reported(old in any_state(), new in any_state()) {
            let difference = Difference::between(old.access(), new.access());
            let fields = [difference.grants, difference.networks, difference.expiry];
            for action in ACTIONS {
                for resource in RESOURCES {
                    for (second, address) in (0..).zip(ADDRESSES) {
                        let request = (action, resource, address, second);
                        for (field, (before, after)) in fields.iter().zip(old.allows(request).into_iter().zip(new.allows(request))) {
                            prop_assert!(before || !after || field.widens(), "{request:?} became allowed: {difference:?}");
                            prop_assert!(!before || after || field.restricts(), "{request:?} became denied: {difference:?}");
                        }
                    }
                }
            }
        }

        #[test]
        fn reversing_a_change_reverses_the_directions(old in any_state(), new in any_state()) {
            let (there, back) = (Difference::between(old.access(), new.access()), Difference::between(new.access(), old.access()));
            prop_assert_eq!(back.grants, reverse(there.grants));
            prop_assert_eq!(back.networks, reverse(there.networks));
            prop_assert_eq!(back.expiry, reverse(there.expiry));
            prop_assert_eq!(Difference::between(old.access(), old.access()), Difference::default());
        }

        #[test]
        fn generation_rises_exactly_if_an_edit_restricts(old in any_state(), new in any_state()) {
            let mut before = key("", &[]);
            (before.grants, before.networks, before.expires_at) = (old.grants.clone(), old.networks.clone(), old.expires_at);
            let edit = Edit {
                description: Some("edited".into()),
                grants: Some(new.grants.clone()),
                networks: Some(new.networks.clone()),
                expires_at: Some(new.expires_at),
                ..Edit::default()
            };
            let after = before.clone().edit(edit, Timestamp::from_seconds(0)).unwrap();
            let difference = Difference::between(&before, &after);
            prop_assert_eq!(difference, Difference::between(old.access(), new.access()));
            prop_assert_eq!(after.generation > before.generation, difference.restricts());
        }
    }

    #[test]
    fn the_same_addresses_and_scopes_in_another_form_are_unchanged() {
        let networks = |list: &[&str]| Networks::parse(list).unwrap();
        let scopes = |text: &str| ScopeSet::parse(text).unwrap();
        let halves = networks(&["10.0.0.0/9", "10.128.0.0/9"]);
        assert_eq!(Direction::of_networks(&networks(&["10.0.0.0/8"]), &halves), Direction::Unchanged);
        assert_eq!(Direction::of_networks(&networks(&[]), &networks(&["*"])), Direction::Unchanged);
        assert_eq!(Direction::of_scopes(&scopes("read write:a"), &scopes("write:a read:*")), Direction::Unchanged);
        let grants = |text: &str| Grants::of_default(scopes(text));
        assert_eq!(Direction::of_grants(&grants("read write:a"), &grants("write:a read:*")), Direction::Unchanged);
    }

    #[test]
    fn each_direction_has_its_name() {
        let networks = |list: &[&str]| Networks::parse(list).unwrap();
        let of = |old: &[&str], new: &[&str]| Direction::of_networks(&networks(old), &networks(new));
        assert_eq!(of(&["10.0.0.0/8"], &[]), Direction::Widened);
        assert_eq!(of(&[], &["10.0.0.0/8"]), Direction::Restricted);
        assert_eq!(of(&["10.0.0.0/8"], &["192.0.2.0/24"]), Direction::WidenedAndRestricted);
        let at = |second| Some(Timestamp::from_seconds(second));
        assert_eq!(Direction::of_expiry(at(1), None), Direction::Widened);
        assert_eq!(Direction::of_expiry(None, at(1)), Direction::Restricted);
        assert_eq!(Direction::of_expiry(at(2), at(1)), Direction::Restricted);
        assert_eq!(Direction::of_expiry(at(1), at(1)), Direction::Unchanged);
    }
}
