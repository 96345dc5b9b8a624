//! Members, their roles and sessions.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::text::is_unseen;
use crate::domain::timestamp::Timestamp;

/// A member's role. Each role has all permissions of the roles before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read-only.
    Viewer,
    /// Creates keys and manages their own.
    Developer,
    /// Manages all keys, members, the policy and signing keys.
    Admin,
    /// Also manages owners.
    Owner,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Admin, Self::Owner];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Returns the scopes of the management API that this role has. A developer's `write:keyturn/keys` applies only to
    /// their own keys.
    pub fn permissions(self) -> ScopeSet {
        match self {
            Self::Viewer => scopes(VIEWER),
            Self::Developer => scopes(&format!("{VIEWER} write:keyturn/keys")),
            Self::Admin | Self::Owner => self.grantable(),
        }
    }

    /// Returns the scopes that this role can grant to keys. A developer cannot grant `write:keyturn/keys`, because a
    /// key with that scope manages all keys.
    pub fn grantable(self) -> ScopeSet {
        match self {
            Self::Viewer => scopes(VIEWER),
            Self::Developer => scopes(&format!("*:* {VIEWER}")),
            Self::Admin => scopes(ADMIN),
            Self::Owner => scopes("*:* *:keyturn/*"),
        }
    }

    /// Whether this role may change a key; `own` is whether the member owns the key.
    pub const fn may_manage_key(self, own: bool) -> bool {
        match self {
            Self::Viewer => false,
            Self::Developer => own,
            Self::Admin | Self::Owner => true,
        }
    }
}

const VIEWER: &str = "read:keyturn/keys read:keyturn/usage read:keyturn/policy read:keyturn/members read:keyturn/signing-keys \
     read:keyturn/apis read:keyturn/customers read:keyturn/profiles";
const ADMIN: &str = "*:* *:keyturn/keys *:keyturn/usage *:keyturn/policy *:keyturn/members *:keyturn/signing-keys \
    *:keyturn/audit *:keyturn/webhooks *:keyturn/apis *:keyturn/customers *:keyturn/profiles";

/// Parses scopes from this file; a test covers all of them.
fn scopes(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap_or_default()
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub String);

impl MemberId {
    /// Parses an ID: 22 characters of `[A-Za-z0-9_-]`.
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

/// A person who can sign in to one organization. The password verifier stays in the store.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    pub id: MemberId,
    pub organization: Slug,
    pub email: String,
    pub role: Role,
    pub created_at: Timestamp,
    /// Increases with every change; the `ETag`.
    pub version: u64,
    pub last_sign_in_at: Option<Timestamp>,
}

/// A member's session in one browser. The session's secret is not stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Session {
    /// Identifies the session in lists; does not authenticate it.
    pub id: String,
    pub member: MemberId,
    pub created_at: Timestamp,
    /// Updated at most once a minute.
    pub last_seen_at: Timestamp,
    /// Absolute expiry, regardless of use.
    pub ends_at: Timestamp,
    /// Address at sign-in.
    pub address: Option<String>,
    pub user_agent: String,
}

impl Session {
    /// Whether the session is valid, given an idle timeout.
    pub fn is_live(&self, idle_seconds: i64, now: Timestamp) -> bool {
        now < self.ends_at && now < self.last_seen_at.plus_seconds(idle_seconds)
    }
}

/// A password in plain text. It cannot be printed and is wiped on drop.
pub struct Password(Zeroizing<String>);

impl Password {
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

/// Minimum length in characters.
pub const MIN_PASSWORD: usize = 12;
/// Maximum length in bytes.
pub const MAX_PASSWORD: usize = 256;

/// Returns why a password is not acceptable: too short, too long, the login itself, or one repeated character (NIST SP
/// 800-63B §3.1.1).
pub fn password_error(password: &str, email: &str) -> Option<String> {
    if password.chars().count() < MIN_PASSWORD || password.len() > MAX_PASSWORD {
        return Some(format!("must have at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes"));
    }
    let same = password.eq_ignore_ascii_case(email);
    let first = password.chars().next();
    let one_character = password.chars().all(|c| Some(c) == first);
    (same || one_character).then(|| "too easy to guess".into())
}

/// Whether a text has the shape of a login: one `@` with text on both sides, at most 254 bytes, no spaces, control
/// characters or invisible characters.
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
    fn key_management_by_role() {
        for pair in Role::ALL.windows(2) {
            let [lower, higher] = pair else { continue };
            for own in [true, false] {
                assert!(!lower.may_manage_key(own) || higher.may_manage_key(own));
            }
        }
    }

    #[test]
    fn only_owners_can_grant_owner_rights() {
        for role in Role::ALL {
            assert_eq!(role.grantable().contains_all(&Role::Owner.grantable()), role == Role::Owner);
        }
    }

    #[test]
    fn rights_grow_with_the_role() {
        for pair in Role::ALL.windows(2) {
            let [lower, higher] = pair else { continue };
            assert!(!lower.grantable().is_empty() && !lower.permissions().is_empty());
            assert!(higher.grantable().contains_all(&lower.grantable()), "{higher} holds what {lower} holds");
            assert!(higher.permissions().contains_all(&lower.permissions()), "{higher} may what {lower} may");
        }
        let manages = ScopeSet::parse("write:keyturn/keys").unwrap();
        assert!(!Role::Developer.grantable().contains_all(&manages), "such a key would manage every key");
    }

    #[test]
    fn session_expires_when_idle_or_old() {
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
    fn password_rules() {
        assert_eq!(password_error("correct horse battery", "a@b"), None);
        for bad in ["", "short", "aaaaaaaaaaaaaaaa", "Owner@Example.org", &"x".repeat(257)] {
            assert!(password_error(bad, "owner@example.org").is_some(), "{bad}");
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
    fn email_shape() {
        for good in ["a@b", "owner@localhost", "o'x+tag@example.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@b\u{200b}", "\u{202e}a@b", "a\u{ad}@b"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
