//! Webhook secrets, and signatures according to Standard Webhooks (symmetric, `v1`).

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::crypto::random::{self, RandomError};
use crate::domain::webhook::SECRET_PREFIX;

/// Length of a secret in bytes.
const LENGTH: usize = 32;

/// A secret that receivers verify signatures with.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<[u8; LENGTH]>);

/// A webhook's current secret and, after a rotation, the previous one.
#[derive(Clone, Debug)]
pub struct WebhookSecrets {
    pub current: WebhookSecret,
    pub previous: Option<WebhookSecret>,
}

impl WebhookSecret {
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(Zeroizing::new(random::bytes()?)))
    }

    /// Returns the secret to be shown once: `whsec_` and base64.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{SECRET_PREFIX}{}", Zeroizing::new(STANDARD.encode(self.0.as_slice())).as_str()))
    }
}

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}

impl WebhookSecrets {
    /// Creates the first secret.
    pub fn new(current: WebhookSecret) -> Self {
        Self { current, previous: None }
    }

    /// Replaces the current secret, which becomes the previous one.
    #[must_use]
    pub fn rotate(self, next: WebhookSecret) -> Self {
        Self { current: next, previous: Some(self.current) }
    }

    /// Returns the secrets for encryption: 32 bytes each, the current one first.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * LENGTH));
        bytes.extend_from_slice(self.current.0.as_slice());
        if let Some(previous) = &self.previous {
            bytes.extend_from_slice(previous.0.as_slice());
        }
        bytes
    }

    /// Reads the output of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (current, rest) = bytes.split_at_checked(LENGTH)?;
        let secret = |part: &[u8]| Some(WebhookSecret(Zeroizing::new(part.try_into().ok()?)));
        let previous = if rest.is_empty() { None } else { Some(secret(rest)?) };
        Some(Self { current: secret(current)?, previous })
    }

    /// Returns the header `webhook-signature`: one signature, and another one with the previous secret while that is in
    /// use. `at` is in seconds since the epoch, as in `webhook-timestamp`.
    pub fn signatures(&self, with_previous: bool, id: &str, at: i64, payload: &str) -> String {
        let mut signatures = sign(self.current.0.as_slice(), id, at, payload);
        if let Some(previous) = self.previous.as_ref().filter(|_| with_previous) {
            signatures.push(' ');
            signatures.push_str(&sign(previous.0.as_slice(), id, at, payload));
        }
        signatures
    }
}

fn sign(secret: &[u8], id: &str, at: i64, payload: &str) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    for part in [id, ".", &at.to_string(), ".", payload] {
        context.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_example_has_the_published_signature() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_round_trip_and_keep_one_previous() {
        let [first, second, third] = [(); 3].map(|()| WebhookSecret::generate().unwrap());
        let once = WebhookSecrets::new(first.clone());
        let read = |secrets: &WebhookSecrets| WebhookSecrets::from_bytes(&secrets.to_bytes()).unwrap();
        assert_eq!(read(&once).current.reveal(), first.reveal());
        assert!(read(&once).previous.is_none());
        let thrice = read(&once.rotate(second.clone()).rotate(third.clone()));
        assert_eq!(thrice.current.reveal(), third.reveal());
        assert_eq!(thrice.previous.as_ref().unwrap().reveal(), second.reveal());
        assert_eq!(thrice.signatures(true, "a", 1, "b").split(' ').count(), 2);
        assert_eq!(thrice.signatures(false, "a", 1, "b").split(' ').count(), 1);
        for wrong in [0, 31, 33, 63, 65] {
            assert!(WebhookSecrets::from_bytes(&vec![0; wrong]).is_none());
        }
        assert!(!format!("{thrice:?}").contains(&*third.reveal()));
    }
}
