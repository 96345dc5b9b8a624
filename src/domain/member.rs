//! Members: people with a login, and what their role lets them do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// What a member may do; each role may do all that the ones before it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Creates keys and manages their own.
    Developer,
    /// Manages every key, members, policy and signing keys.
    Admin,
    /// Changes owners as well.
    Owner,
}

impl Role {
    /// Every role, weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Admin, Self::Owner];

    /// The role's name, as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads a role's name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether a member of this role may change a key of which they are (`own`) or are not the owner.
    pub const fn may_manage_key(self, own: bool) -> bool {
        match self {
            Self::Viewer => false,
            Self::Developer => own,
            Self::Admin | Self::Owner => true,
        }
    }

    /// Whether a member of this role may give or take `role`: only an owner changes owners.
    pub fn may_change_role(self, role: Self) -> bool {
        match self {
            Self::Viewer | Self::Developer => false,
            Self::Admin => role < Self::Owner,
            Self::Owner => true,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A member's stable identity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub String);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person with a login in one organization. The password's verifier stays in the store.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Stable identity.
    pub id: MemberId,
    /// Where they belong.
    pub organization: Slug,
    /// Login name.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// When they joined.
    pub created_at: Timestamp,
}

/// Whether a text can be a login: something, one `@`, something, 254 bytes at most, no spaces or controls.
pub fn is_email(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace();
    text.len() <= 254
        && text.chars().all(plain)
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_grow_with_the_role() {
        for pair in Role::ALL.windows(2) {
            let [lower, higher] = pair else { continue };
            for own in [true, false] {
                assert!(!lower.may_manage_key(own) || higher.may_manage_key(own));
            }
            for role in Role::ALL {
                assert!(!lower.may_change_role(role) || higher.may_change_role(role));
            }
        }
    }

    #[test]
    fn only_an_owner_changes_owners() {
        for role in Role::ALL {
            assert_eq!(role.may_change_role(Role::Owner), role == Role::Owner);
        }
    }

    #[test]
    fn role_names_round_trip() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("Owner"), None);
    }

    #[test]
    fn emails_are_checked_for_shape_only() {
        for good in ["a@b", "owner@localhost", "o'x+tag@example.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
