//! Why a delivery attempt failed: a fixed list of reasons.
//!
//! Everybody who can read deliveries sees the reason, so it holds nothing that a resolver, a TLS library or a receiver says.
//! Otherwise webhooks could be used to scan ports, to read certificates or to look up names in the server's network.

use crate::domain::destination::DestinationError;

/// How long one attempt may take, from resolving the name to the end of the response.
pub const ATTEMPT_SECONDS: u64 = 15;

/// Why a delivery attempt failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The server's settings do not allow the URL.
    #[error("{0}")]
    Destination(#[from] DestinationError),
    /// The host name does not resolve, or resolves to addresses that are not allowed. The two are not
    /// distinguished, so that webhooks cannot be used to find names in a private network.
    #[error("the host name has no address that webhooks may connect to")]
    NoAddress,
    /// No TCP connection, or no TLS session on it. They are not distinguished, so that webhooks cannot be used
    /// to find open ports.
    #[error("could not connect")]
    CouldNotConnect,
    /// No response in time on an established connection.
    #[error("no response within {ATTEMPT_SECONDS} s")]
    TimedOut,
    /// The connection was closed, or the response is not HTTP.
    #[error("no valid HTTP response")]
    InvalidResponse,
    /// A redirect.
    #[error("HTTP {0}: redirects are not followed")]
    Redirect(u16),
    /// 410 Gone.
    #[error("HTTP 410: the endpoint is gone")]
    Gone,
    /// Any other status that is not a success.
    #[error("HTTP {0}")]
    Status(u16),
    /// The webhook's URL or secret does not open with the configured master key.
    #[error("the webhook's URL or secret cannot be decrypted")]
    Sealed,
}

impl DeliveryError {
    /// Returns what a response with that status means; `None` for a success.
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
