//! An API key: its states, and the transitions that change them.
//!
//! A transition consumes the key and gives the next one, with a higher generation when tokens minted
//! before must die: revoke, disable, rotate without grace, narrowing, an earlier expiry.

use serde::{Deserialize, Serialize};

use crate::domain::key_text::{KeyId, KeyPrefix};
use crate::domain::member::MemberId;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// An API key as it is stored: everything but the secret itself, which is kept nowhere.
#[derive(Clone, PartialEq, Debug)]
pub struct ApiKey {
    /// Stable identity, also the OAuth `client_id`.
    pub id: KeyId,
    /// The tenant it belongs to.
    pub organization: Slug,
    /// What its key text begins with.
    pub prefix: KeyPrefix,
    /// For people; may be empty where the policy allows it.
    pub name: String,
    /// For people; may be empty.
    pub description: String,
    /// The member it belongs to; `None` is the organization.
    pub owner: Option<MemberId>,
    /// What it may do.
    pub scopes: ScopeSet,
    /// From where.
    pub networks: Networks,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Whether it may be used.
    pub lifecycle: Lifecycle,
    /// Goes up when earlier tokens must die.
    pub generation: u64,
    /// Goes up with every rotation. A token carries the version of the secret that minted it.
    pub secret_version: u64,
    /// Goes up with every change; the `ETag`.
    pub version: u64,
    /// What the current secret is checked against.
    pub secret: SecretVerifier,
    /// The secret before the last rotation, while its grace lasts.
    pub previous: Option<PreviousSecret>,
    /// Prefix and last four characters, to recognize a key text by.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom, as in the audit log: `key:{id}`, `member:{id}` or `keyturn`.
    pub created_by: String,
    /// When it was last rotated.
    pub rotated_at: Option<Timestamp>,
    /// When it last minted a token.
    pub last_used_at: Option<Timestamp>,
    /// From where it last minted a token.
    pub last_used_ip: Option<String>,
}

/// Whether a key may be used; expiry is told by the clock and not stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lifecycle {
    /// It may.
    Active,
    /// Not until it is enabled again.
    Disabled {
        /// Since when.
        at: Timestamp,
    },
    /// Never again.
    Revoked {
        /// Since when.
        at: Timestamp,
        /// What whoever revoked it said.
        reason: Option<String>,
    },
}

/// What a caller is told of a key's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// May be used.
    Active,
    /// Past its `expires_at`.
    Expired,
    /// May be enabled again.
    Disabled,
    /// Gone for good.
    Revoked,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Expired, Self::Disabled, Self::Revoked];

    /// The status as the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

/// What a secret is checked against: two one-way digests of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretVerifier {
    /// Argon2id PHC string: holds however often the master key changes.
    pub phc: String,
    /// Keyed digest, checked in a microsecond; absent for a key that was imported.
    pub fast: Option<FastVerifier>,
}

impl std::fmt::Debug for SecretVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretVerifier(..)")
    }
}

/// `HMAC-SHA256(pepper, id || secret)`, and which pepper it was.
#[derive(Clone, PartialEq, Eq)]
pub struct FastVerifier {
    /// Names the master key that the pepper is derived from.
    pub pepper: String,
    /// The digest.
    pub digest: [u8; 32],
}

impl std::fmt::Debug for FastVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FastVerifier({}, ..)", self.pepper)
    }
}

/// A secret that was rotated out and still works for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviousSecret {
    /// What it is checked against.
    pub secret: SecretVerifier,
    /// It works before this moment and never from it on.
    pub until: Timestamp,
    /// When it was last used since the rotation.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_used_ip: Option<String>,
}

impl PreviousSecret {
    /// A secret that is rotated out now and has not been used since.
    pub fn new(secret: SecretVerifier, until: Timestamp) -> Self {
        Self { secret, until, last_used_at: None, last_used_ip: None }
    }
}

/// What a rotation sets.
#[derive(Clone, PartialEq, Debug)]
pub struct Rotation {
    /// The new secret's verifier.
    pub secret: SecretVerifier,
    /// The new key text's hint.
    pub hint: String,
    /// The prefix of the new key text.
    pub prefix: KeyPrefix,
    /// A new name, if one is given.
    pub name: Option<String>,
    /// A new expiry, if one is given; `Some(None)` is no expiry.
    pub expires_at: Option<Option<Timestamp>>,
    /// Until when the old secret still works; `None` or a past moment: it dies now.
    pub grace_until: Option<Timestamp>,
}

/// What an edit sets; `None` leaves a field as it is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Edit {
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New scopes.
    pub scopes: Option<ScopeSet>,
    /// New networks.
    pub networks: Option<Networks>,
    /// New expiry; `Some(None)` is no expiry.
    pub expires_at: Option<Option<Timestamp>>,
}

/// Why a transition does not apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransitionRefused {
    /// The key is already as asked; nothing to write.
    Unchanged,
    /// A revoked key never changes again.
    Revoked,
    /// An expired key is used again only after a rotation with a new expiry.
    Expired,
    /// The secret before this one was promised to work for a while yet.
    GraceRunning {
        /// Until when the earlier secret was promised to work.
        until: Timestamp,
    },
}

impl ApiKey {
    /// The key's state at a moment.
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

    /// The end of the previous secret's grace period, if it is running.
    pub fn grace_ends(&self, now: Timestamp) -> Option<Timestamp> {
        self.previous.as_ref().map(|previous| previous.until).filter(|until| now < *until)
    }

    /// The creation of the current secret: the last rotation, or the creation of the key. Lifetimes are measured from it.
    pub fn secret_since(&self) -> Timestamp {
        self.rotated_at.unwrap_or(self.created_at)
    }

    /// A number that goes up when whoever acts by this key loses a right that they had: earlier tokens died, or their
    /// secret became the previous one.
    pub fn standing(&self) -> u64 {
        self.generation.saturating_add(self.secret_version)
    }

    /// Since when nothing was done with the key: its last use or rotation, or its making.
    pub fn idle_since(&self) -> Timestamp {
        self.last_used_at.max(self.rotated_at).map_or(self.created_at, |last| last.max(self.created_at))
    }

    /// Whether the key counts against the policy's limits: neither revoked nor expired.
    pub fn counts(&self, now: Timestamp) -> bool {
        matches!(self.status(now), Status::Active | Status::Disabled)
    }

    /// Ends the key for good.
    pub fn revoke(mut self, at: Timestamp, reason: Option<String>) -> Result<Self, TransitionRefused> {
        if matches!(self.lifecycle, Lifecycle::Revoked { .. }) {
            return Err(TransitionRefused::Unchanged);
        }
        self.lifecycle = Lifecycle::Revoked { at, reason };
        self.previous = None;
        Ok(self.next(true))
    }

    /// Suspends the key.
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

    /// Lets a suspended key be used again; tokens from before stay dead.
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

    /// Gives the key a new secret under the same id.
    ///
    /// Without grace the old secret and its tokens die. With grace the old secret works until then; a
    /// second rotation with grace is refused while a first one's runs, for it would break that promise.
    /// A grace period never extends the old secret's life: it ends at the key's old expiry at the latest.
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
        let mut dies = grace.is_none();
        if let Some(expires_at) = rotation.expires_at {
            dies |= ends_earlier(self.expires_at, expires_at);
            self.expires_at = expires_at;
        }
        Ok(self.next(dies))
    }

    /// Changes what the key is called, may do, and from where and until when. An edit never revives an expired key.
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

    fn next(mut self, earlier_tokens_die: bool) -> Self {
        self.version += 1;
        self.generation += u64::from(earlier_tokens_die);
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
    fn a_revoked_key_never_changes_again() {
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
    fn tokens_of_a_disabled_key_stay_dead_when_it_is_enabled() {
        let disabled = key("read:a", &[]).disable(at(1)).unwrap();
        assert_eq!((disabled.status(at(1)), disabled.generation), (Status::Disabled, 2));
        let enabled = disabled.enable(at(2)).unwrap();
        assert_eq!((enabled.status(at(1)), enabled.generation), (Status::Active, 2));
    }

    #[test]
    fn rotation_without_grace_ends_the_old_secret_and_its_tokens() {
        let rotated = key("read:a", &[]).rotate(rotation(None), at(5)).unwrap();
        assert_eq!((rotated.generation, rotated.previous, rotated.secret), (2, None, verifier(2)));
        assert_eq!(rotated.secret_version, 2);
    }

    #[test]
    fn rotation_with_grace_keeps_the_old_secret_until_then() {
        let rotated = key("read:a", &[]).rotate(rotation(Some(at(60))), at(5)).unwrap();
        assert_eq!((rotated.generation, rotated.secret_version), (1, 2));
        assert_eq!(rotated.previous, Some(PreviousSecret::new(verifier(1), at(60))));
        let again = rotated.clone().rotate(rotation(Some(at(90))), at(6));
        assert_eq!(again, Err(TransitionRefused::GraceRunning { until: at(60) }));
        assert_eq!(rotated.clone().rotate(rotation(None), at(6)).unwrap().previous, None);
        assert!(rotated.rotate(rotation(Some(at(90))), at(60)).is_ok(), "the first grace is over");
    }

    #[test]
    fn narrowing_kills_earlier_tokens_and_widening_does_not() {
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
    fn an_edit_that_changes_nothing_is_not_a_change() {
        assert_eq!(key("read:a", &[]).edit(Edit::default(), at(1)), Err(TransitionRefused::Unchanged));
    }

    #[test]
    fn only_a_rotation_with_a_new_expiry_revives_an_expired_key() {
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
        assert_eq!((renewed.status(at(10)), &renewed.previous), (Status::Active, &None), "the old secret stays dead");
        assert_eq!(renewed.generation, 2);
    }

    #[test]
    fn a_grace_period_ends_at_the_old_expiry_at_the_latest() {
        let ending = ApiKey { expires_at: Some(at(10)), ..key("read:a", &[]) };
        let renewal = Rotation { expires_at: Some(None), ..rotation(Some(at(50))) };
        assert_eq!(ending.clone().rotate(renewal, at(5)).unwrap().grace_ends(at(5)), Some(at(10)));
        assert_eq!(ending.rotate(rotation(Some(at(8))), at(5)).unwrap().grace_ends(at(5)), Some(at(8)));
    }

    #[test]
    fn expiry_is_reached_at_its_very_moment() {
        let mut expiring = key("read:a", &[]);
        expiring.expires_at = Some(at(10));
        assert_eq!(expiring.status(Timestamp::from_millis(9_999)), Status::Active);
        assert_eq!(expiring.status(at(10)), Status::Expired);
        assert!(!expiring.counts(at(10)));
    }
}
