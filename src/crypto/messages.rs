//! Authenticating what nodes tell each other over a channel that others may write to.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::master_key::{MasterKey, MasterKeys};

/// Bytes of a tag: enough that nobody guesses one.
const TAG_BYTES: usize = 16;

/// The keys for messages between nodes: the first authenticates, any verifies, so that nodes one master key apart
/// understand each other.
#[derive(Clone)]
pub struct MessageKeys(Vec<hmac::Key>);

impl std::fmt::Debug for MessageKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MessageKeys(..)")
    }
}

impl MessageKeys {
    /// The keys that belong to some master keys.
    pub fn new(keys: &MasterKeys) -> Self {
        Self(keys.all().map(MasterKey::messages).cloned().collect())
    }

    /// Appends a tag to a message: `{message}.{tag}`. The purpose and the parts of the context are authenticated with it.
    pub fn seal(&self, context: &[&str], message: &str) -> String {
        let tag = self.0.first().map(|key| tag(key, context, message)).unwrap_or_default();
        format!("{message}.{tag}")
    }

    /// The message, if its tag fits it and the context.
    pub fn open<'m>(&self, context: &[&str], sealed: &'m str) -> Option<&'m str> {
        let (message, given) = sealed.rsplit_once('.')?;
        let fits = |key: &hmac::Key| {
            constant_time::verify_slices_are_equal(tag(key, context, message).as_bytes(), given.as_bytes()).is_ok()
        };
        self.0.iter().any(fits).then_some(message)
    }
}

/// The tag of a message. Each part is preceded by its length, so that no two contexts are written alike.
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
    fn a_message_opens_in_its_context_only() {
        let keys = keys(&[1]);
        let sealed = keys.seal(&["report", "deployment", "node"], "17");
        assert_eq!(keys.open(&["report", "deployment", "node"], &sealed), Some("17"));
        for context in [
            &["nudge", "deployment", "node"][..],
            &["report", "deployment", "other"],
            &["report", "deploymentnode"],
            &["report", "deploymentn", "ode"],
        ] {
            assert_eq!(keys.open(context, &sealed), None, "{context:?}");
        }
        let tag = sealed.split_once('.').unwrap().1;
        for forged in [format!("18.{tag}"), "17".into(), "17.".into(), "9000000000000000000".into(), String::new()] {
            assert_eq!(keys.open(&["report", "deployment", "node"], &forged), None, "{forged}");
        }
    }

    #[test]
    fn nodes_one_master_key_apart_understand_each_other() {
        let (old, both, new) = (keys(&[1]), keys(&[2, 1]), keys(&[2]));
        assert_eq!(both.open(&["x"], &old.seal(&["x"], "1")), Some("1"));
        assert_eq!(new.open(&["x"], &both.seal(&["x"], "1")), Some("1"));
        assert_eq!(new.open(&["x"], &old.seal(&["x"], "1")), None);
    }
}
