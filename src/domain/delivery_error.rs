//! Reasons why a delivery attempt failed.
//!
//! Every user who can read deliveries sees the reason, so it contains no text from a resolver, a TLS library or a
//! receiver. Otherwise webhooks could be used to scan ports, read certificates or look up names in the server's
//! network.

use crate::domain::destination::DestinationError;

/// Time limit of one attempt, from resolving the name to the end of the response.
pub const ATTEMPT_SECONDS: u64 = 15;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The server's settings do not allow the URL.
    #[error("{0}")]
    Destination(#[from] DestinationError),
    /// The host name does not resolve, or resolves to denied addresses. Both have the same text, so that webhooks
    /// cannot be used to find names in a private network.
    #[error("the host name has no address that webhooks may connect to")]
    NoAddress,
    /// TCP connection or TLS handshake failed. Both have the same text, so that webhooks cannot be used to find open
    /// ports.
    #[error("could not connect")]
    CouldNotConnect,
    /// No response in time on an established connection.
    #[error("no response within {ATTEMPT_SECONDS} s")]
    TimedOut,
    /// The connection was closed, or the response is not HTTP.
    #[error("no valid HTTP response")]
    InvalidResponse,
    #[error("HTTP {0}: redirects are not followed")]
    Redirect(u16),
    #[error("HTTP 410: the endpoint is gone")]
    Gone,
    #[error("HTTP {0}")]
    Status(u16),
    /// The webhook's URL or secret cannot be decrypted with the configured master keys.
    #[error("the webhook's URL or secret cannot be decrypted")]
    Sealed,
}

impl DeliveryError {
    /// Returns the error for a response status; `None` for a success.
    ///
    /// ```
    /// use keyturn::domain::delivery_error::DeliveryError;
    /// assert_eq!(DeliveryError::of_status(204), None);
    /// assert_eq!(DeliveryError::of_status(307), Some(DeliveryError::Redirect(307)));
    /// assert_eq!(DeliveryError::of_status(410), Some(DeliveryError::Gone));
    /// assert_eq!(DeliveryError::of_status(101), Some(DeliveryError::Status(101)));
    /// ```
    pub fn of_status(status: u16) -> Option<Self> {
        match status {
            200..=299 => None,
            300..=399 => Some(Self::Redirect(status)),
            410 => Some(Self::Gone),
            _ => Some(Self::Status(status)),
        }
    }
}
