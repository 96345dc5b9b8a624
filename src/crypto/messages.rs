//! Authenticates messages between nodes on a channel that others can write to.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::master_key::{MasterKey, MasterKeys};

/// Length of a tag, long enough to be unguessable.
const TAG_BYTES: usize = 16;

/// Keys for messages between nodes. The first one signs and all of them verify, so that nodes that are one master key
/// apart understand each other.
#[derive(Clone)]
pub struct MessageKeys(Vec<hmac::Key>);

impl std::fmt::Debug for MessageKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MessageKeys(..)")
    }
}

impl MessageKeys {
    /// Derives the keys from the master keys.
    pub fn new(keys: &MasterKeys) -> Self {
        Self(keys.all().map(MasterKey::messages).cloned().collect())
    }

    /// Appends a tag: `{message}.{tag}`. The tag also covers the context.
    pub fn sign(&self, context: &[&str], message: &str) -> String {
        let tag = self.0.first().map(|key| tag(key, context, message)).unwrap_or_default();
        format!("{message}.{tag}")
    }

    /// Returns the message if its tag is valid for it and the context.
    pub fn verify<'m>(&self, context: &[&str], signed: &'m str) -> Option<&'m str> {
        let (message, given) = signed.rsplit_once('.')?;
        let is_valid = |key: &hmac::Key| {
            constant_time::verify_slices_are_equal(tag(key, context, message).as_bytes(), given.as_bytes()).is_ok()
        };
        self.0.iter().any(is_valid).then_some(message)
    }
}

/// Computes the tag. Each part is preceded by its length, so that no two contexts have the same encoding.
fn tag(key: &hmac::Key, context: &[&str], message: &str) -> String {
    let mut authenticated = hmac::Context::with_key(key);
    for part in context.iter().chain([&message]) {
        authenticated.update(&(part.len() as u64).to_be_bytes());
        authenticated.update(part.as_bytes());
    }
    let tag = authenticated.sign();
    URL_SAFE_NO_PAD.encode(tag.as_ref().get(..TAG_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn keys(raw: &[u8]) -> MessageKeys {
        let raw: Vec<_> = raw.iter().map(|byte| Zeroizing::new([*byte; 32])).collect();
        MessageKeys::new(&MasterKeys::derive(&raw).unwrap())
    }

    #[test]
    fn message_is_valid_in_its_context_only() {
        let keys = keys(&[1]);
        let sealed = keys.sign(&["report", "deployment", "node"], "17");
        assert_eq!(keys.verify(&["report", "deployment", "node"], &sealed), Some("17"));
        for context in [
            &["nudge", "deployment", "node"][..],
            &["report", "deployment", "other"],
            &["report", "deploymentnode"],
            &["report", "deploymentn", "ode"],
        ] {
            assert_eq!(keys.verify(context, &sealed), None, "{context:?}");
        }
        let tag = sealed.split_once('.').unwrap().1;
        for forged in [format!("18.{tag}"), "17".into(), "17.".into(), "9000000000000000000".into(), String::new()] {
            assert_eq!(keys.verify(&["report", "deployment", "node"], &forged), None, "{forged}");
        }
    }

    #[test]
    fn nodes_one_master_key_apart_understand_each_other() {
        let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        assert_eq!(both.verify(&["x"], &old.sign(&["x"], "1")), Some("1"));
        assert_eq!(new.verify(&["x"], &both.sign(&["x"], "1")), Some("1"));
        assert_eq!(new.verify(&["x"], &old.sign(&["x"], "1")), None);
    }
}
