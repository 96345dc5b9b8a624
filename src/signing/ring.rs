//! An organization's signing keys in the order of their use: the one that signs, the next, the last ones.

use std::sync::Arc;

use jsonwebtoken::jwk::{Jwk, JwkSet};

use crate::domain::timestamp::Timestamp;
use crate::signing::{SigningError, SigningKey};

/// How long an old key stays published after its last token has died, in seconds.
const PUBLISHED_AFTERWARDS: i64 = 300;

/// Where a key is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyState {
    /// Published, and to sign later.
    Next,
    /// The one that signs.
    Current,
    /// It signs no more; tokens that it signed may be alive.
    Retired,
}

impl KeyState {
    /// As the API shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Retired => "retired",
        }
    }
}

/// The signing keys of one organization.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    /// By first use, oldest first, each with its tokens' header.
    keys: Vec<(Arc<SigningKey>, String)>,
}

impl KeyRing {
    /// A ring of keys whose tokens carry this `typ`.
    pub fn new(mut keys: Vec<SigningKey>, typ: &str) -> Result<Self, SigningError> {
        keys.sort_by_key(|key| (key.active_from(), key.created_at()));
        let with_header = |key: SigningKey| {
            let header = key.header(typ)?;
            Ok((Arc::new(key), header))
        };
        Ok(Self { keys: keys.into_iter().map(with_header).collect::<Result<_, SigningError>>()? })
    }

    /// The key that signs at a moment, and its header: the last one whose time has come. If none has, because a clock
    /// was ahead when they were created or is behind now, it is the first one, so that there is always one.
    pub fn current(&self, now: Timestamp) -> Option<(&SigningKey, &str)> {
        let begun = self.keys.iter().rev().find(|(key, _)| key.active_from() <= now);
        let (key, header) = begun.or_else(|| self.keys.first())?;
        Some((key, header))
    }

    /// The newest key, in use or yet to be.
    pub fn newest(&self) -> Option<&SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref()).max_by_key(|key| (key.created_at(), key.active_from()))
    }

    /// The key of that name.
    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref()).find(|key| key.kid() == kid)
    }

    /// Every key, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref())
    }

    /// When a key stopped, or will stop, being the one that signs; `None` for the last.
    pub fn superseded_at(&self, kid: &str) -> Option<Timestamp> {
        let place = self.keys.iter().position(|(key, _)| key.kid() == kid)?;
        self.keys.get(place + 1).map(|(next, _)| next.active_from())
    }

    /// Where a key is in its life at a moment.
    pub fn state(&self, key: &SigningKey, now: Timestamp) -> KeyState {
        if self.current(now).is_some_and(|(current, _)| current.kid() == key.kid()) {
            KeyState::Current
        } else if key.active_from() > now {
            KeyState::Next
        } else {
            KeyState::Retired
        }
    }

    /// Until when a key stays published; `None` for the last.
    pub fn published_until(&self, kid: &str, ttl_seconds: u32) -> Option<Timestamp> {
        let keep = i64::from(ttl_seconds) + PUBLISHED_AFTERWARDS;
        self.superseded_at(kid).map(|at| at.plus_seconds(keep))
    }

    /// The keys that can have signed a token that is alive, or will sign one soon. An old one stays for
    /// the life of its last token and five minutes more.
    pub fn published(&self, now: Timestamp, ttl_seconds: u32) -> impl Iterator<Item = &SigningKey> {
        self.all().filter(move |key| !self.is_over(key.kid(), now, ttl_seconds))
    }

    /// Whether no living token can be signed by that key any more.
    pub fn is_over(&self, kid: &str, now: Timestamp, ttl_seconds: u32) -> bool {
        self.published_until(kid, ttl_seconds).is_some_and(|until| until <= now)
    }

    /// The JWKS (RFC 7517 §5): of one key type at a time, that of the newest key, for some validators
    /// refuse the whole set for one key that they do not know.
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
