//! The settings that use cases depend on.

use crate::domain::choices::Algorithm;
use crate::domain::destination::AllowedDestinations;
use crate::revocation::SharedSettings;

/// The settings that use cases depend on.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Without trailing slash.
    pub public_url: String,
    /// The audience of a token when none is asked for.
    pub audience: String,
    /// Life of a token in seconds, where the organization has no other.
    pub ttl_seconds: u32,
    /// What new organizations sign with, and rotated keys.
    pub algorithm: Algorithm,
    /// The `typ` of tokens.
    pub typ: String,
    /// Days between rotations of signing keys; 0: on command only.
    pub rotate_every_days: u32,
    /// Seconds between publication and first use of a signing key.
    pub publish_ahead_seconds: u32,
    /// Life of a session, in seconds.
    pub session_seconds: i64,
    /// Seconds without use after which a session ends.
    pub session_idle_seconds: i64,
    /// Where webhooks may go.
    pub webhook_reach: AllowedDestinations,
    /// Tokens that one key may revoke in a minute; 0 is no limit.
    pub revocations_per_minute: u32,
    /// Seconds from each attempt at a webhook that failed to the next.
    pub webhook_retry_seconds: Vec<u32>,
}

impl NodeSettings {
    /// What every node of a deployment must have alike: else tokens of one are not valid on another.
    pub fn shared(&self) -> SharedSettings {
        let settings = [
            ("server.public_url", self.public_url.clone()),
            ("token.audience", self.audience.clone()),
            ("token.ttl_seconds", self.ttl_seconds.to_string()),
            ("token.typ", self.typ.clone()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
