//! An organization's signing keys: for each algorithm, in the order of their use, previous, current and next.

use std::sync::Arc;

use jsonwebtoken::jwk::JwkSet;

use crate::domain::choices::{Algorithm, TokenType};
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

/// The encoded header of a key's tokens, for each type.
#[derive(Clone, Debug)]
struct Headers {
    at_jwt: String,
    jwt: String,
}

impl Headers {
    fn new(key: &SigningKey) -> Result<Self, SigningError> {
        Ok(Self { at_jwt: key.header(TokenType::AtJwt)?, jwt: key.header(TokenType::Jwt)? })
    }

    fn get(&self, typ: TokenType) -> &str {
        match typ {
            TokenType::AtJwt => &self.at_jwt,
            TokenType::Jwt => &self.jwt,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    /// Sorted by first use, each with the headers of its tokens.
    keys: Vec<(Arc<SigningKey>, Headers)>,
}

impl KeyRing {
    pub fn new(mut keys: Vec<SigningKey>) -> Result<Self, SigningError> {
        keys.sort_by_key(|key| (key.active_from(), key.created_at()));
        let with_headers = |key: SigningKey| {
            let headers = Headers::new(&key)?;
            Ok((Arc::new(key), headers))
        };
        Ok(Self { keys: keys.into_iter().map(with_headers).collect::<Result<_, SigningError>>()? })
    }

    /// Returns the key of an algorithm that signs at `now`: the last one that is active. If none is active, because a clock was
    /// ahead when they were created or is behind now, it is the first one.
    pub fn current(&self, now: Timestamp, algorithm: Algorithm) -> Option<&SigningKey> {
        self.signer(now, algorithm).map(|(key, _)| key.as_ref())
    }

    /// Returns the key of an algorithm that signs at `now`, with the encoded header of its tokens of a type.
    pub fn current_with_header(
        &self,
        now: Timestamp,
        algorithm: Algorithm,
        typ: TokenType,
    ) -> Option<(&SigningKey, &str)> {
        self.signer(now, algorithm).map(|(key, headers)| (key.as_ref(), headers.get(typ)))
    }

    fn signer(&self, now: Timestamp, algorithm: Algorithm) -> Option<&(Arc<SigningKey>, Headers)> {
        let mut keys = self.keys.iter().filter(|(key, _)| key.algorithm() == algorithm);
        keys.clone().rev().find(|(key, _)| key.active_from() <= now).or_else(|| keys.next())
    }

    /// Returns the most recently created key of an algorithm, active or not.
    pub fn newest(&self, algorithm: Algorithm) -> Option<&SigningKey> {
        self.of(algorithm).max_by_key(|key| (key.created_at(), key.active_from()))
    }

    /// Whether the organization has no signing key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the keys of an algorithm, oldest first.
    pub fn of(&self, algorithm: Algorithm) -> impl DoubleEndedIterator<Item = &SigningKey> {
        self.all().filter(move |key| key.algorithm() == algorithm)
    }

    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref()).find(|key| key.kid() == kid)
    }

    /// Returns all keys, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &SigningKey> {
        self.keys.iter().map(|(key, _)| key.as_ref())
    }

    /// Returns when a key is replaced by the next one of its algorithm; `None` for the last.
    pub fn superseded_at(&self, kid: &str) -> Option<Timestamp> {
        let key = self.find(kid)?;
        let mut later = self.of(key.algorithm()).skip_while(|other| other.kid() != kid).skip(1);
        later.next().map(SigningKey::active_from)
    }

    /// Returns the state of a key among those of its algorithm at `now`.
    pub fn state(&self, key: &SigningKey, now: Timestamp) -> KeyState {
        if self.current(now, key.algorithm()).is_some_and(|current| current.kid() == key.kid()) {
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

    /// Returns the JWKS (RFC 7517 §5).
    pub fn jwks(&self, now: Timestamp, ttl_seconds: u32) -> JwkSet {
        JwkSet { keys: self.published(now, ttl_seconds).map(|key| key.jwk().clone()).collect() }
    }
}
