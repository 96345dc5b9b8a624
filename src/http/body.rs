//! Request bodies with limits on size and time.

use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, HeaderMap};
use actix_web::web::{Bytes, Payload};

/// Maximum time for a body to arrive.
const TIME: Duration = Duration::from_secs(10);

/// Why a body was not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// The connection failed, or the chunked encoding is not valid.
    Broken,
}

/// Reads a body of at most `most` bytes.
pub async fn read(payload: Payload, most: usize) -> Result<Bytes, BodyError> {
    match tokio::time::timeout(TIME, payload.to_bytes_limited(most)).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(BodyError::Broken),
        Ok(Err(_)) => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Whether a body is compressed or otherwise encoded (RFC 9110 §8.4). No endpoint accepts that.
pub fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).any(|value| {
        let codings = value.to_str().unwrap_or("unreadable").split(',').map(str::trim);
        codings.into_iter().any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn only_identity_is_not_an_encoding() {
        let encoded = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            values.iter().for_each(|value| headers.append(CONTENT_ENCODING, HeaderValue::from_static(value)));
            is_encoded(&headers)
        };
        for plain in [&[][..], &[""], &["identity"], &["Identity, identity"]] {
            assert!(!encoded(plain), "{plain:?}");
        }
        for coded in [&["gzip"][..], &["identity, br"], &["identity", "gzip"], &["x"]] {
            assert!(encoded(coded), "{coded:?}");
        }
    }
}
