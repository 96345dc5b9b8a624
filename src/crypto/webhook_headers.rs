//! Encryption of webhooks' custom headers, whose values are secrets.

use crate::crypto::master_key::MasterKeys;
use crate::crypto::sealing::{self, SealError};
use crate::domain::webhook::{SealedHeaders, WebhookId};
use crate::domain::webhook_headers::CustomHeaders;

/// Encrypts the headers of a webhook; `None` if there are none.
pub fn seal(
    keys: &MasterKeys,
    webhook: &WebhookId,
    headers: &CustomHeaders,
) -> Result<Option<SealedHeaders>, SealError> {
    if headers.is_empty() {
        return Ok(None);
    }
    let sealed = sealing::seal(keys, &webhook.headers_seal_name(), &headers.to_bytes())?;
    Ok(Some(SealedHeaders { names: headers.names().map(str::to_owned).collect(), sealed }))
}

/// Decrypts the headers of a webhook.
pub fn open(
    keys: &MasterKeys,
    webhook: &WebhookId,
    headers: Option<&SealedHeaders>,
) -> Result<CustomHeaders, SealError> {
    let Some(headers) = headers else { return Ok(CustomHeaders::default()) };
    let plain = sealing::open(keys, &webhook.headers_seal_name(), &headers.sealed)?;
    CustomHeaders::from_bytes(&plain).ok_or(SealError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn headers_are_bound_to_their_webhook() {
        let keys = MasterKeys::derive(&[Zeroizing::new([7; 32])]).unwrap();
        let id = |text: &str| WebhookId::parse(text).unwrap();
        let (own, other) = (id("0123456789abcdefghij_-"), id("1123456789abcdefghij_-"));
        let headers = CustomHeaders::parse([("X-Token".to_owned(), "secret".to_owned())]).unwrap();
        let sealed = seal(&keys, &own, &headers).unwrap().unwrap();
        assert_eq!(sealed.names, ["x-token"]);
        assert_eq!(open(&keys, &own, Some(&sealed)).unwrap(), headers);
        assert!(matches!(open(&keys, &other, Some(&sealed)), Err(SealError::Broken)));
        assert!(seal(&keys, &own, &CustomHeaders::default()).unwrap().is_none());
        assert!(open(&keys, &own, None).unwrap().is_empty());
    }
}
