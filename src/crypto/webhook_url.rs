//! Encryption of webhook URLs, which often contain a token in their path or query.

use data_encoding::HEXLOWER;

use crate::crypto::digest::sha256;
use crate::crypto::master_key::MasterKeys;
use crate::crypto::sealing::{self, SealError};
use crate::domain::destination::{AllowedDestinations, Destination};
use crate::domain::webhook::{SealedUrl, WebhookId};

/// Number of bytes of a URL's SHA-256 that are shown.
const DIGEST_LENGTH: usize = 8;

/// Encrypts the URL of a webhook.
pub fn seal(keys: &MasterKeys, webhook: &WebhookId, destination: &Destination) -> Result<SealedUrl, SealError> {
    let url = destination.url().as_str();
    let digest = sha256(url.as_bytes());
    Ok(SealedUrl {
        origin: destination.to_string(),
        digest: HEXLOWER.encode(digest.split_at(DIGEST_LENGTH).0),
        sealed: sealing::seal(keys, &webhook.url_seal_name(), url.as_bytes())?,
    })
}

/// Decrypts the URL of a webhook. The sender checks whether it is an allowed destination.
pub fn open(keys: &MasterKeys, webhook: &WebhookId, url: &SealedUrl) -> Result<Destination, SealError> {
    let plain = sealing::open(keys, &webhook.url_seal_name(), &url.sealed)?;
    let text = std::str::from_utf8(&plain).map_err(|_| SealError::Broken)?;
    Destination::parse(text, AllowedDestinations::Anywhere).map_err(|_| SealError::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn url_is_bound_to_its_webhook() {
        let keys = MasterKeys::derive(&[Zeroizing::new([7; 32])]).unwrap();
        let id = |text: &str| WebhookId::parse(text).unwrap();
        let (own, other) = (id("0123456789abcdefghij_-"), id("1123456789abcdefghij_-"));
        let destination =
            Destination::parse("https://hooks.example:8443/T0/secret?token=x", AllowedDestinations::Public).unwrap();
        let sealed = seal(&keys, &own, &destination).unwrap();
        assert_eq!(open(&keys, &own, &sealed).unwrap(), destination);
        assert!(matches!(open(&keys, &other, &sealed), Err(SealError::Broken)));
        assert_eq!(sealed.origin, "https://hooks.example:8443");
        // printf %s 'https://hooks.example:8443/T0/secret?token=x' | sha256sum | cut -c1-16
        assert_eq!(sealed.digest, "741d7ad5272c11fd");
        let other_secret = sealing::seal(&keys, &own.seal_name(), b"https://hooks.example/").unwrap();
        let swapped = SealedUrl { sealed: other_secret, ..sealed };
        assert!(open(&keys, &own, &swapped).is_err(), "a sealed secret is no sealed URL");
    }
}
