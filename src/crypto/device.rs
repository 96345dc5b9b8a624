//! Device cookies: proof that a browser has signed in to an account before. They do not authenticate.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::master_key::{MasterKey, MasterKeys};
use crate::crypto::random::{self, RandomError};

/// Identifies a browser that has signed in to an account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DeviceId([u8; 16]);

impl DeviceId {
    pub fn new() -> Result<Self, RandomError> {
        Ok(Self(random::bytes()?))
    }

    /// Returns the cookie, which is valid for this account only: `base64url(id ‖ HMAC-SHA256(key, id ‖ account))`.
    pub fn sign(&self, keys: &MasterKeys, account: &str) -> String {
        let tag = tag(keys.current(), self, account);
        URL_SAFE_NO_PAD.encode([self.0.as_slice(), tag.as_ref()].concat())
    }

    /// Verifies a cookie that this deployment signed for an account.
    pub fn parse(keys: &MasterKeys, account: &str, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, mac) = bytes.split_first_chunk::<16>()?;
        let device = Self(*id);
        let is_valid =
            |key: &MasterKey| constant_time::verify_slices_are_equal(tag(key, &device, account).as_ref(), mac).is_ok();
        keys.all().any(is_valid).then_some(device)
    }
}

fn tag(key: &MasterKey, device: &DeviceId, account: &str) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key.devices());
    context.update(&device.0);
    context.update(account.as_bytes());
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    #[test]
    fn cookie_is_valid_for_its_account_and_deployment_only() {
        let keys = |n: u8| MasterKeys::derive(&[Zeroizing::new([n; 32])]).unwrap();
        let device = DeviceId::new().unwrap();
        let text = device.sign(&keys(1), "default a@b");
        assert_eq!(DeviceId::parse(&keys(1), "default a@b", &text), Some(device));
        assert_eq!(DeviceId::parse(&keys(1), "default c@d", &text), None);
        assert_eq!(DeviceId::parse(&keys(2), "default a@b", &text), None);
        for bad in ["", "a", text.get(1..).unwrap(), &format!("{text}A"), &"A".repeat(64)] {
            assert_eq!(DeviceId::parse(&keys(1), "default a@b", bad), None, "{bad}");
        }
        let both = MasterKeys::derive(&[Zeroizing::new([2; 32]), Zeroizing::new([1; 32])]).unwrap();
        assert_eq!(DeviceId::parse(&both, "default a@b", &text), Some(device), "until the old master key is removed");
    }
}
