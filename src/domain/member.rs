//! Members: people with a login, and what their role lets them do.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::text::is_unseen;
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

    /// What a member of this role may ask of the management API, as scopes; a developer's `write:keyturn/keys` is for
    /// their own keys.
    pub fn may(self) -> ScopeSet {
        match self {
            Self::Viewer => scopes(VIEWER),
            Self::Developer => scopes(&format!("{VIEWER} write:keyturn/keys")),
            Self::Admin | Self::Owner => self.holds(),
        }
    }

    /// The most that a member of this role may hand out, as scopes. A key with `write:keyturn/keys` manages every key, so
    /// a developer cannot make one.
    pub fn holds(self) -> ScopeSet {
        match self {
            Self::Viewer => scopes(VIEWER),
            Self::Developer => scopes(&format!("*:* {VIEWER}")),
            Self::Admin => scopes(ADMIN),
            Self::Owner => scopes("*:* *:keyturn/*"),
        }
    }

    /// Whether a member of this role may change a key of which they are (`own`) or are not the owner.
    pub const fn may_manage_key(self, own: bool) -> bool {
        match self {
            Self::Viewer => false,
            Self::Developer => own,
            Self::Admin | Self::Owner => true,
        }
    }
}

const VIEWER: &str =
    "read:keyturn/keys read:keyturn/usage read:keyturn/policy read:keyturn/members read:keyturn/signing-keys";
const ADMIN: &str = "*:* *:keyturn/keys *:keyturn/usage *:keyturn/policy *:keyturn/members *:keyturn/signing-keys \
    *:keyturn/audit *:keyturn/webhooks";

/// Scopes of our own writing; a test reads them all.
fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap_or_default()
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

impl MemberId {
    /// Reads an id: 22 characters `[A-Za-z0-9_-]`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == 22 && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }
}

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
    /// Goes up with every change; the `ETag`.
    pub version: u64,
    /// When they last signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A member who has signed in, on one browser. What the browser shows for it is kept nowhere.
#[derive(Clone, PartialEq, Debug)]
pub struct Session {
    /// Names it in lists; not what it is proved with.
    pub id: String,
    /// Whose.
    pub member: MemberId,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_seen_at: Timestamp,
    /// When it ends, however much it is used.
    pub ends_at: Timestamp,
    /// From where it was begun.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub user_agent: String,
}

impl Session {
    /// Whether it still holds, if it ends after so many seconds without use.
    pub fn is_live(&self, idle_seconds: i64, now: Timestamp) -> bool {
        now < self.ends_at && now < self.last_seen_at.plus_seconds(idle_seconds)
    }
}

/// A password as it was typed: cannot be printed, and is wiped when it is dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// The text, for checking and hashing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Shortest password, in characters.
pub const MIN_PASSWORD: usize = 12;
/// Longest password, in bytes.
pub const MAX_PASSWORD: usize = 256;

/// What is wrong with a password, if anything: too short, too long, or the login itself (NIST SP 800-63B §3.1.1).
pub fn password_fault(password: &str, email: &str) -> Option<String> {
    if password.chars().count() < MIN_PASSWORD || password.len() > MAX_PASSWORD {
        return Some(format!("must have at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes"));
    }
    let same = password.eq_ignore_ascii_case(email);
    let first = password.chars().next();
    let one_character = password.chars().all(|c| Some(c) == first);
    (same || one_character).then(|| "too easy to guess".into())
}

/// Whether a text can be a login: something, one `@`, something, 254 bytes at most, no spaces, controls or what is not
/// seen.
pub fn is_email(text: &str) -> bool {
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !is_unseen(c);
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
        }
    }

    #[test]
    fn only_an_owner_holds_what_an_owner_holds() {
        for role in Role::ALL {
            assert_eq!(role.holds().contains_all(&Role::Owner.holds()), role == Role::Owner);
        }
    }

    #[test]
    fn what_a_role_holds_grows_and_a_role_may_ask_for_no_more_than_its_betters() {
        for pair in Role::ALL.windows(2) {
            let [lower, higher] = pair else { continue };
            assert!(!lower.holds().is_empty() && !lower.may().is_empty());
            assert!(higher.holds().contains_all(&lower.holds()), "{higher} holds what {lower} holds");
            assert!(higher.may().contains_all(&lower.may()), "{higher} may what {lower} may");
        }
        let manages = ScopeSet::parse("write:keyturn/keys").unwrap();
        assert!(!Role::Developer.holds().contains_all(&manages), "such a key would manage every key");
    }

    #[test]
    fn a_session_ends_by_rest_and_by_age() {
        let at = Timestamp::from_seconds;
        let session = Session {
            id: "s".into(),
            member: MemberId("m".into()),
            created_at: at(0),
            last_seen_at: at(50),
            ends_at: at(100),
            address: None,
            user_agent: String::new(),
        };
        assert!(session.is_live(20, at(69)) && !session.is_live(20, at(70)));
        assert!(session.is_live(90, at(99)) && !session.is_live(90, at(100)));
    }

    #[test]
    fn passwords_are_long_and_not_the_login() {
        assert_eq!(password_fault("correct horse battery", "a@b"), None);
        for bad in ["", "short", "aaaaaaaaaaaaaaaa", "Owner@Example.org", &"x".repeat(257)] {
            assert!(password_fault(bad, "owner@example.org").is_some(), "{bad}");
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
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@b\u{200b}", "\u{202e}a@b", "a\u{ad}@b"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
