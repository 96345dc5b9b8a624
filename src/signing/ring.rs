//! An organization's signing keys in the order of their use: previous, current and next.

use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, JwkSet};

use crate::domain::timestamp::Timestamp;
use crate::signing::{SigningError, SigningKey};

/// How long a key stays published after its last token has expired, in seconds.
const PUBLISHED_AFTERWARDS: i64 = 300;

/// State of a signing key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Published, but not signing yet.
    Next,
    Current,
    /// No longer signing, but its tokens may still be valid.
    Retired,
}

impl KeyState {
    /// Name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Retired => "retired",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    /// Sorted by first use, each with the header of its tokens.
    keys: Vec<(Arc<SigningKey>, String)>,
}

impl KeyRing {
    /// Creates a ring whose tokens have this `typ`.
    pub fn new(mut keys: Vec<SigningKey>, typ: &str) -> Result<Self, SigningError> {
        keys.sort_by_key(|key| (key.active_from(), key.created_at()));
        let with_header = |key: SigningKey| {
            let header = key.header(typ)?;
            Ok((Arc::new(key), header))
        };
        Ok(Self { keys: keys.into_iter().map(with_header).collect::<Result<_, SigningError>>()? })
    }

    /// Returns the signing key at `now` and its header: the last one that is active. If none is active, because a clock
    /// was ahead when they were created or is behind now, it is the first one, so that there is always one.
    pub fn current(&self, now: Timestamp) -> Option<(&SigningKey, &str)> {
        let active = self.keys.iter().rev().find(|(key, _)| key.active_from() <= now);
        let (key, header) = active.or_else(|| self.keys.first())?;
        Some((key, header))
    }

    /// Returns the most recently created key, active or not.
    pub fn newest(&self) -> Option<&SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref()).max_by_key(|key| (key.created_at(), key.active_from()))
    }

    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref()).find(|key| key.kid() == kid)
    }

    /// Returns all keys, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref())
    }

    /// Returns when a key is replaced by the next one; `None` for the last.
    pub fn superseded_at(&self, kid: &str) -> Option<Timestamp> {
        let index = self.keys.iter().position(|(key, _)| key.kid() == kid)?;
        self.keys.get(index + 1).map(|(next, _)| next.active_from())
    }

    /// Returns the state of a key at `now`.
    pub fn state(&self, key: &SigningKey, now: Timestamp) -> KeyState {
        if self.current(now).is_some_and(|(current, _)| current.kid() == key.kid()) {
            KeyState::Current
        } else if key.active_from() > now {
            KeyState::Next
        } else {
            KeyState::Retired
        }
    }

    /// Returns when a key is no longer published; `None` for the last.
    pub fn published_until(&self, kid: &str, ttl_seconds: u32) -> Option<Timestamp> {
        let keep = i64::from(ttl_seconds) + PUBLISHED_AFTERWARDS;
        self.superseded_at(kid).map(|at| at.plus_seconds(keep))
    }

    /// Returns the keys that may have signed valid tokens, or will sign soon. A replaced key stays until its last token
    /// has expired plus five minutes.
    pub fn published(&self, now: Timestamp, ttl_seconds: u32) -> impl Iterator<Item = &SigningKey> {
        self.all().filter(move |key| !self.is_over(key.kid(), now, ttl_seconds))
    }

    /// Whether no valid token can have been signed by this key.
    pub fn is_over(&self, kid: &str, now: Timestamp, ttl_seconds: u32) -> bool {
        self.published_until(kid, ttl_seconds).is_some_and(|until| until <= now)
    }

    /// Returns the JWKS (RFC 7517 §5). It contains only keys of the newest key's type, because some validators reject
    /// the whole set if it contains a key that they do not support.
    pub fn jwks(&self, now: Timestamp, ttl_seconds: u32) -> JwkSet {
        let algorithm = self.newest().map(SigningKey::algorithm);
        let keys: Vec<Jwk> = self
            .published(now, ttl_seconds)
            .filter(|key| Some(key.algorithm()) == algorithm)
            .map(|key| key.jwk().clone())
            .collect();
        JwkSet { keys }
    }
}
