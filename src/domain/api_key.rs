//! API keys: states and transitions.
//!
//! A transition consumes the key and returns the next one. It increases the generation if tokens issued before must
//! become invalid: revoke, disable, rotate without a grace period, narrow, shorten the expiry.

use serde::{Deserialize, Serialize};

use crate::domain::key_text::{KeyId, KeyPrefix};
use crate::domain::member::MemberId;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// An API key as stored. The secret itself is never stored.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiKey {
    /// Also the OAuth `client_id`.
    pub id: KeyId,
    pub organization: Slug,
    /// Prefix of the key's secret.
    pub prefix: KeyPrefix,
    /// Can be empty if the policy allows it.
    pub name: String,
    pub description: String,
    /// `None` if the organization owns the key.
    pub owner: Option<MemberId>,
    pub scopes: ScopeSet,
    pub networks: Networks,
    /// No expiry if `None`.
    pub expires_at: Option<Timestamp>,
    /// Stored state; see [`ApiKey::status`] for the effective one.
    pub lifecycle: Lifecycle,
    /// Increases if tokens issued before must become invalid.
    pub generation: u64,
    /// Increases with every rotation. A token carries the version of the secret that it was issued for.
    pub secret_version: u64,
    /// Increases with every change; the `ETag`.
    pub version: u64,
    /// Verifier of the current secret.
    pub secret: SecretVerifier,
    /// The secret before the last rotation, during its grace period.
    pub previous: Option<PreviousSecret>,
    /// Prefix and last four characters of the secret, to recognize it by.
    pub hint: String,
    pub created_at: Timestamp,
    /// An actor as in the audit log: `key:{id}`, `member:{id}` or `keyturn`.
    pub created_by: String,
    pub rotated_at: Option<Timestamp>,
    /// Time of the last token request that succeeded.
    pub last_used_at: Option<Timestamp>,
    /// Client address of the last token request that succeeded.
    pub last_used_ip: Option<String>,
}

/// Stored state of a key. Expiry is not stored; it follows from the clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lifecycle {
    Active,
    Disabled { at: Timestamp },
    Revoked { at: Timestamp, reason: Option<String> },
}

/// Effective state of a key at a moment, as the API shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Active,
    Expired,
    Disabled,
    Revoked,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Active, Self::Expired, Self::Disabled, Self::Revoked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

/// Two one-way digests to check a secret against.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretVerifier {
    /// Argon2id PHC string; independent of the master key.
    pub phc: String,
    /// Keyed digest, checked in a microsecond; absent for imported keys.
    pub fast: Option<FastVerifier>,
}

impl std::fmt::Debug for SecretVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretVerifier(..)")
    }
}

/// `HMAC-SHA256(pepper, id || secret)` and the ID of its pepper.
#[derive(Clone, PartialEq, Eq)]
pub struct FastVerifier {
    /// ID of the master key that the pepper is derived from.
    pub pepper: String,
    pub digest: [u8; 32],
}

impl std::fmt::Debug for FastVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FastVerifier({}, ..)", self.pepper)
    }
}

/// The secret before a rotation, which stays valid during its grace period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviousSecret {
    pub secret: SecretVerifier,
    /// Exclusive.
    pub until: Timestamp,
    /// Time of the last use after the rotation.
    pub last_used_at: Option<Timestamp>,
    pub last_used_ip: Option<String>,
}

impl PreviousSecret {
    /// Creates a previous secret that has not been used since the rotation.
    pub fn new(secret: SecretVerifier, until: Timestamp) -> Self {
        Self { secret, until, last_used_at: None, last_used_ip: None }
    }
}

/// Fields that a rotation sets.
#[derive(Clone, PartialEq, Debug)]
pub struct Rotation {
    pub secret: SecretVerifier,
    pub hint: String,
    pub prefix: KeyPrefix,
    /// `None` keeps the name.
    pub name: Option<String>,
    /// `None` keeps the expiry; `Some(None)` removes it.
    pub expires_at: Option<Option<Timestamp>>,
    /// End of the grace period; without one, or if it is in the past, the old secret becomes invalid immediately.
    pub grace_until: Option<Timestamp>,
}

/// Fields that an edit sets; `None` keeps a field.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Edit {
    pub name: Option<String>,
    pub description: Option<String>,
    pub scopes: Option<ScopeSet>,
    pub networks: Option<Networks>,
    /// `Some(None)` removes the expiry.
    pub expires_at: Option<Option<Timestamp>>,
}

/// Reason why a transition is not possible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransitionRefused {
    /// The key already has the requested state.
    Unchanged,
    /// A revoked key cannot change.
    Revoked,
    /// An expired key can be used again only after a rotation with a new expiry.
    Expired,
    /// The grace period of an earlier rotation is not over.
    GraceRunning { until: Timestamp },
}

impl ApiKey {
    /// Returns the key's effective state at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.lifecycle {
            Lifecycle::Revoked { .. } => Status::Revoked,
            _ if self.is_expired(now) => Status::Expired,
            Lifecycle::Disabled { .. } => Status::Disabled,
            Lifecycle::Active => Status::Active,
        }
    }

    /// Whether `expires_at` has been reached.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Returns the end of the previous secret's grace period if it has not passed.
    pub fn grace_ends(&self, now: Timestamp) -> Option<Timestamp> {
        self.previous.as_ref().map(|previous| previous.until).filter(|until| now < *until)
    }

    /// Returns the creation time of the current secret, from which lifetimes are measured.
    pub fn secret_since(&self) -> Timestamp {
        self.rotated_at.unwrap_or(self.created_at)
    }

    /// Returns a version that increases when a caller that authenticated with this key loses rights: its tokens became
    /// invalid, or its secret became the previous one.
    pub fn rights_version(&self) -> u64 {
        self.generation.saturating_add(self.secret_version)
    }

    /// Returns the time of the last use, rotation or creation.
    pub fn idle_since(&self) -> Timestamp {
        self.last_used_at.max(self.rotated_at).map_or(self.created_at, |last| last.max(self.created_at))
    }

    /// Whether the key counts towards the policy's limits: neither revoked nor expired.
    pub fn counts(&self, now: Timestamp) -> bool {
        matches!(self.status(now), Status::Active | Status::Disabled)
    }

    /// Revokes the key permanently.
    pub fn revoke(mut self, at: Timestamp, reason: Option<String>) -> Result<Self, TransitionRefused> {
        if matches!(self.lifecycle, Lifecycle::Revoked { .. }) {
            return Err(TransitionRefused::Unchanged);
        }
        self.lifecycle = Lifecycle::Revoked { at, reason };
        self.previous = None;
        Ok(self.next(true))
    }

    /// Disables the key.
    pub fn disable(mut self, at: Timestamp) -> Result<Self, TransitionRefused> {
        match self.lifecycle {
            Lifecycle::Revoked { .. } => Err(TransitionRefused::Revoked),
            Lifecycle::Disabled { .. } => Err(TransitionRefused::Unchanged),
            Lifecycle::Active => {
                self.lifecycle = Lifecycle::Disabled { at };
                Ok(self.next(true))
            }
        }
    }

    /// Enables a disabled key. Tokens issued before stay invalid.
    pub fn enable(mut self, at: Timestamp) -> Result<Self, TransitionRefused> {
        match self.lifecycle {
            Lifecycle::Revoked { .. } => Err(TransitionRefused::Revoked),
            _ if self.is_expired(at) => Err(TransitionRefused::Expired),
            Lifecycle::Active => Err(TransitionRefused::Unchanged),
            Lifecycle::Disabled { .. } => {
                self.lifecycle = Lifecycle::Active;
                Ok(self.next(false))
            }
        }
    }

    /// Gives the key a new secret under the same ID.
    ///
    /// Without a grace period the old secret and its tokens become invalid. With one, the old secret stays valid until
    /// its end, but never beyond the key's old expiry. A second rotation with a grace period is rejected while one is
    /// running, because it would end the running one early.
    pub fn rotate(mut self, rotation: Rotation, at: Timestamp) -> Result<Self, TransitionRefused> {
        if matches!(self.lifecycle, Lifecycle::Revoked { .. }) {
            return Err(TransitionRefused::Revoked);
        }
        if self.is_expired(at) && rotation.expires_at.is_none() {
            return Err(TransitionRefused::Expired);
        }
        let grace = rotation.grace_until.map(|until| self.expires_at.map_or(until, |end| until.min(end)));
        let grace = grace.filter(|until| *until > at);
        let running = self.grace_ends(at);
        if let (Some(_), Some(until)) = (grace, running) {
            return Err(TransitionRefused::GraceRunning { until });
        }
        let old = std::mem::replace(&mut self.secret, rotation.secret);
        self.previous = grace.map(|until| PreviousSecret::new(old, until));
        self.secret_version += 1;
        self.hint = rotation.hint;
        self.prefix = rotation.prefix;
        self.rotated_at = Some(at);
        if let Some(name) = rotation.name {
            self.name = name;
        }
        let mut invalidates_tokens = grace.is_none();
        if let Some(expires_at) = rotation.expires_at {
            invalidates_tokens |= ends_earlier(self.expires_at, expires_at);
            self.expires_at = expires_at;
        }
        Ok(self.next(invalidates_tokens))
    }

    /// Changes name, description, scopes, networks and expiry. An edit never makes an expired key valid again.
    pub fn edit(self, edit: Edit, at: Timestamp) -> Result<Self, TransitionRefused> {
        if matches!(self.lifecycle, Lifecycle::Revoked { .. }) {
            return Err(TransitionRefused::Revoked);
        }
        let mut next = self.clone();
        next.name = edit.name.unwrap_or(next.name);
        next.description = edit.description.unwrap_or(next.description);
        next.scopes = edit.scopes.map_or(next.scopes, |scopes| scopes.spelled_like(&self.scopes));
        next.networks = edit.networks.unwrap_or(next.networks);
        next.expires_at = edit.expires_at.unwrap_or(next.expires_at);
        if next == self && next.scopes.is_same_text(&self.scopes) {
            return Err(TransitionRefused::Unchanged);
        }
        if self.is_expired(at) && !next.is_expired(at) {
            return Err(TransitionRefused::Expired);
        }
        let narrower = !next.scopes.contains_all(&self.scopes)
            || !next.networks.contains(&self.networks)
            || ends_earlier(self.expires_at, next.expires_at);
        Ok(next.next(narrower))
    }

    fn next(mut self, invalidates_tokens: bool) -> Self {
        self.version += 1;
        self.generation += u64::from(invalidates_tokens);
        self
    }
}

fn ends_earlier(old: Option<Timestamp>, new: Option<Timestamp>) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => new < old,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn key(scopes: &str, networks: &[&str]) -> ApiKey {
        ApiKey {
            id: KeyId::from_random([7; 16]),
            organization: Slug::default_organization(),
            prefix: KeyPrefix::default(),
            name: "billing".into(),
            description: String::new(),
            owner: None,
            scopes: ScopeSet::parse(scopes).unwrap(),
            networks: Networks::parse(networks).unwrap(),
            expires_at: None,
            lifecycle: Lifecycle::Active,
            generation: 1,
            secret_version: 1,
            version: 1,
            secret: verifier(1),
            previous: None,
            hint: "kt_...abcd".into(),
            created_at: at(0),
            created_by: "keyturn".into(),
            rotated_at: None,
            last_used_at: None,
            last_used_ip: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn verifier(n: u8) -> SecretVerifier {
        SecretVerifier { phc: format!("phc{n}"), fast: Some(FastVerifier { pepper: "p".into(), digest: [n; 32] }) }
    }

    fn rotation(grace_until: Option<Timestamp>) -> Rotation {
        Rotation {
            secret: verifier(2),
            hint: "kt_...wxyz".into(),
            prefix: KeyPrefix::default(),
            name: None,
            expires_at: None,
            grace_until,
        }
    }

    #[test]
    fn revoked_key_cannot_change() {
        let revoked = key("read:a", &[]).revoke(at(1), Some("leaked".into())).unwrap();
        assert_eq!(revoked.generation, 2);
        assert_eq!(revoked.status(at(2)), Status::Revoked);
        assert_eq!(revoked.clone().revoke(at(2), None), Err(TransitionRefused::Unchanged));
        assert_eq!(revoked.clone().enable(at(2)), Err(TransitionRefused::Revoked));
        assert_eq!(revoked.clone().disable(at(2)), Err(TransitionRefused::Revoked));
        assert_eq!(revoked.clone().rotate(rotation(None), at(2)), Err(TransitionRefused::Revoked));
        let edit = Edit { name: Some("x".into()), ..Edit::default() };
        assert_eq!(revoked.edit(edit, at(2)), Err(TransitionRefused::Revoked));
    }

    #[test]
    fn enabling_does_not_revive_tokens() {
        let disabled = key("read:a", &[]).disable(at(1)).unwrap();
        assert_eq!((disabled.status(at(1)), disabled.generation), (Status::Disabled, 2));
        let enabled = disabled.enable(at(2)).unwrap();
        assert_eq!((enabled.status(at(1)), enabled.generation), (Status::Active, 2));
    }

    #[test]
    fn rotation_without_grace_invalidates_secret_and_tokens() {
        let rotated = key("read:a", &[]).rotate(rotation(None), at(5)).unwrap();
        assert_eq!((rotated.generation, rotated.previous, rotated.secret), (2, None, verifier(2)));
        assert_eq!(rotated.secret_version, 2);
    }

    #[test]
    fn rotation_with_grace_keeps_the_previous_secret() {
        let rotated = key("read:a", &[]).rotate(rotation(Some(at(60))), at(5)).unwrap();
        assert_eq!((rotated.generation, rotated.secret_version), (1, 2));
        assert_eq!(rotated.previous, Some(PreviousSecret::new(verifier(1), at(60))));
        let again = rotated.clone().rotate(rotation(Some(at(90))), at(6));
        assert_eq!(again, Err(TransitionRefused::GraceRunning { until: at(60) }));
        assert_eq!(rotated.clone().rotate(rotation(None), at(6)).unwrap().previous, None);
        assert!(rotated.rotate(rotation(Some(at(90))), at(60)).is_ok(), "the first grace is over");
    }

    #[test]
    fn only_narrowing_invalidates_tokens() {
        let generation_after = |edit: Edit| key("read:a/*", &["10.0.0.0/8"]).edit(edit, at(1)).unwrap().generation;
        let scopes = |text: &str| Edit { scopes: ScopeSet::parse(text).ok(), ..Edit::default() };
        let networks = |list: &[&str]| Edit { networks: Networks::parse(list).ok(), ..Edit::default() };
        let expiry = |end| Edit { expires_at: Some(end), ..Edit::default() };
        assert_eq!(generation_after(scopes("read:a/b")), 2);
        assert_eq!(generation_after(scopes("read:a/* write:b")), 1);
        assert_eq!(generation_after(networks(&["10.0.0.0/9"])), 2);
        assert_eq!(generation_after(networks(&["10.0.0.0/9", "10.128.0.0/9"])), 1);
        assert_eq!(generation_after(networks(&[])), 1);
        assert_eq!(generation_after(expiry(Some(at(99)))), 2);
        assert_eq!(generation_after(Edit { name: Some("other".into()), ..Edit::default() }), 1);
    }

    #[test]
    fn edit_without_effect_is_unchanged() {
        assert_eq!(key("read:a", &[]).edit(Edit::default(), at(1)), Err(TransitionRefused::Unchanged));
    }

    #[test]
    fn only_rotation_with_new_expiry_revives_expired_key() {
        let expired = ApiKey { expires_at: Some(at(10)), ..key("read:a", &[]) };
        let until = |end| Edit { expires_at: Some(end), ..Edit::default() };
        for end in [None, Some(at(99))] {
            assert_eq!(expired.clone().edit(until(end), at(10)), Err(TransitionRefused::Expired));
            assert!(expired.clone().edit(until(end), at(9)).is_ok());
        }
        let renamed = Edit { name: Some("other".into()), ..Edit::default() };
        assert!(expired.clone().edit(renamed, at(10)).is_ok());
        assert_eq!(expired.clone().enable(at(10)), Err(TransitionRefused::Expired));
        assert_eq!(expired.clone().disable(at(10)).unwrap().enable(at(10)), Err(TransitionRefused::Expired));
        assert_eq!(expired.clone().rotate(rotation(None), at(10)), Err(TransitionRefused::Expired));
        let renewed = Rotation { expires_at: Some(Some(at(99))), ..rotation(Some(at(50))) };
        let renewed = expired.rotate(renewed, at(10)).unwrap();
        assert_eq!(
            (renewed.status(at(10)), &renewed.previous),
            (Status::Active, &None),
            "the old secret stays invalid"
        );
        assert_eq!(renewed.generation, 2);
    }

    #[test]
    fn grace_ends_no_later_than_the_old_expiry() {
        let ending = ApiKey { expires_at: Some(at(10)), ..key("read:a", &[]) };
        let renewal = Rotation { expires_at: Some(None), ..rotation(Some(at(50))) };
        assert_eq!(ending.clone().rotate(renewal, at(5)).unwrap().grace_ends(at(5)), Some(at(10)));
        assert_eq!(ending.rotate(rotation(Some(at(8))), at(5)).unwrap().grace_ends(at(5)), Some(at(8)));
    }

    #[test]
    fn expiry_is_exclusive() {
        let mut expiring = key("read:a", &[]);
        expiring.expires_at = Some(at(10));
        assert_eq!(expiring.status(Timestamp::from_millis(9_999)), Status::Active);
        assert_eq!(expiring.status(at(10)), Status::Expired);
        assert!(!expiring.counts(at(10)));
    }
}
