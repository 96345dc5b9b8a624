//! Bodies, read whole: neither larger nor slower than allowed.

use std::time::Duration;

use actix_web::web::{Bytes, Payload};

/// How long a body may take to arrive.
const TIME: Duration = Duration::from_secs(10);

/// Why there is no body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    /// More bytes than allowed.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// The connection or the encoding broke.
    Broken,
}

/// Reads a body of at most so many bytes.
pub async fn read(payload: Payload, most: usize) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(TIME, payload.to_bytes_limited(most)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(BodyError::Broken),
        Ok(Err(_)) => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::TooSlow),
    }
}
