//! Settings that use cases need.

use crate::domain::choices::{Algorithm, StoredResponses, TokenType};
use crate::domain::destination::AllowedDestinations;
use crate::revocation::SharedSettings;

#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Without a trailing slash.
    pub public_url: String,
    /// Default audience of tokens.
    pub audience: String,
    /// Default lifetime of tokens.
    pub ttl_seconds: u32,
    pub algorithm: Algorithm,
    pub typ: TokenType,
    /// Days between automatic rotations of signing keys; 0 disables them.
    pub rotate_every_days: u32,
    /// Seconds between publication and first use of a signing key.
    pub publish_ahead_seconds: u32,
    /// Lifetime of a session.
    pub session_seconds: i64,
    /// Idle timeout of a session.
    pub session_idle_seconds: i64,
    pub webhook_reach: AllowedDestinations,
    /// Maximum number of tokens that one key can revoke per minute; 0 is unlimited.
    pub revocations_per_minute: u32,
    /// Which responses of webhook receivers are stored.
    pub webhook_responses: StoredResponses,
    /// Delays after failed attempts.
    pub webhook_retry_seconds: Vec<u32>,
}

impl NodeSettings {
    /// Returns the settings that must be equal on all nodes; otherwise tokens of one node are not valid on another.
    pub fn shared(&self) -> SharedSettings {
        let settings = [
            ("server.public_url", self.public_url.clone()),
            ("token.audience", self.audience.clone()),
            ("token.ttl_seconds", self.ttl_seconds.to_string()),
            ("token.typ", self.typ.to_string()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
