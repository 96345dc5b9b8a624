//! Transitions of an API key.
//!
//! A transition consumes the key and returns the next one. It increases the generation if tokens issued before must
//! become invalid: revoke, disable, rotate without a grace period, narrow, shorten the expiry.

use crate::domain::api_key::{ApiKey, Difference, Direction, Lifecycle, PreviousSecret, SecretVerifier, Status};
use crate::domain::customer::CustomerId;
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyPrefix;
use crate::domain::member::MemberId;
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

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
    /// Replaces all pairs.
    pub metadata: Option<Metadata>,
    pub grants: Option<Grants>,
    pub networks: Option<Networks>,
    pub named_networks: Option<Vec<Slug>>,
    /// `Some(None)` takes the profile from the key.
    pub profile: Option<Option<Slug>>,
    /// `Some(None)` removes the expiry.
    pub expires_at: Option<Option<Timestamp>>,
    /// `Some(None)` is the organization.
    pub owner: Option<Option<MemberId>>,
    /// `Some(None)` takes the key from its customer.
    pub customer: Option<Option<CustomerId>>,
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
    /// No grace period is running.
    NoGrace,
    /// The grace period would end earlier than now promised.
    GraceShortened { until: Timestamp },
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
        let old_hint = std::mem::replace(&mut self.hint, rotation.hint);
        self.previous = grace.map(|until| PreviousSecret::new(old, old_hint, until));
        self.secret_version += 1;
        self.prefix = rotation.prefix;
        self.rotated_at = Some(at);
        if let Some(name) = rotation.name {
            self.name = name;
        }
        let mut invalidates_tokens = grace.is_none();
        if let Some(expires_at) = rotation.expires_at {
            invalidates_tokens |= Direction::of_expiry(self.expires_at, expires_at).restricts();
            self.expires_at = expires_at;
        }
        Ok(self.next(invalidates_tokens))
    }

    /// Ends the grace period: the previous secret and its tokens become invalid. The current secret and its tokens are
    /// not affected, so the generation stays.
    pub fn end_grace(mut self, at: Timestamp) -> Result<Self, TransitionRefused> {
        if self.grace_ends(at).is_none() {
            return Err(TransitionRefused::Unchanged);
        }
        self.previous = None;
        Ok(self.next(false))
    }

    /// Extends the grace period to `grace_seconds` after the rotation, but never beyond the key's expiry. Because the
    /// length counts from the rotation, repeated extensions cannot exceed the policy's maximum.
    pub fn extend_grace(mut self, grace_seconds: u32, at: Timestamp) -> Result<Self, TransitionRefused> {
        if matches!(self.lifecycle, Lifecycle::Revoked { .. }) {
            return Err(TransitionRefused::Revoked);
        }
        let Some(running) = self.grace_ends(at) else { return Err(TransitionRefused::NoGrace) };
        let wanted = self.secret_since().plus_seconds(i64::from(grace_seconds));
        if wanted < running {
            return Err(TransitionRefused::GraceShortened { until: running });
        }
        let until = self.expires_at.map_or(wanted, |end| wanted.min(end)).max(running);
        match &mut self.previous {
            Some(previous) if until > running => previous.until = until,
            _ => return Err(TransitionRefused::Unchanged),
        }
        Ok(self.next(false))
    }

    /// Changes name, description, owner, customer, grants, networks and expiry. An edit never makes an expired key valid again.
    /// Tokens that were issued for one customer or profile are not valid for another.
    pub fn edit(self, edit: Edit, at: Timestamp) -> Result<Self, TransitionRefused> {
        if matches!(self.lifecycle, Lifecycle::Revoked { .. }) {
            return Err(TransitionRefused::Revoked);
        }
        let mut next = self.clone();
        next.name = edit.name.unwrap_or(next.name);
        next.description = edit.description.unwrap_or(next.description);
        next.metadata = edit.metadata.unwrap_or(next.metadata);
        next.grants = edit.grants.map_or(next.grants, |grants| grants.spelled_like(&self.grants));
        next.networks = edit.networks.unwrap_or(next.networks);
        next.named_networks = edit.named_networks.unwrap_or(next.named_networks);
        next.profile = edit.profile.unwrap_or(next.profile);
        next.expires_at = edit.expires_at.unwrap_or(next.expires_at);
        next.owner = edit.owner.unwrap_or(next.owner);
        next.customer = edit.customer.unwrap_or(next.customer);
        if next == self && next.grants.is_same_text(&self.grants) {
            return Err(TransitionRefused::Unchanged);
        }
        if self.is_expired(at) && !next.is_expired(at) {
            return Err(TransitionRefused::Expired);
        }
        // The access that the references give is not known here, so a change of one counts as a restriction; so does a change
        // of the grants of a key with a profile.
        let has_other_access = next.profile != self.profile
            || next.named_networks != self.named_networks
            || (next.profile.is_some() && next.grants != self.grants)
            || (!next.named_networks.is_empty() && next.networks != self.networks);
        let invalidates_tokens =
            Difference::between(&self, &next).restricts() || next.customer != self.customer || has_other_access;
        Ok(next.next(invalidates_tokens))
    }

    fn next(mut self, invalidates_tokens: bool) -> Self {
        self.version += 1;
        self.generation += u64::from(invalidates_tokens);
        self
    }
}
