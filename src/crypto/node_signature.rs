//! Signatures of what nodes tell each other through Redis: HMAC-SHA-256 under a key derived from the master key.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::master_key::MasterKeys;

/// Signs and verifies messages between the nodes of a deployment.
pub struct NodeSigner {
    keys: Vec<hmac::Key>,
}

impl NodeSigner {
    /// A signer for every master key that the node holds.
    pub fn new(keys: &MasterKeys) -> Self {
        Self { keys: keys.all().map(|key| key.messages().clone()).collect() }
    }

    /// Signs a message with every key, so that a node that holds any one of them can verify it while the master key is
    /// being rotated. The signatures are separated by commas.
    pub fn sign(&self, parts: &[&str]) -> String {
        let message = framed(parts);
        let tags = self.keys.iter().map(|key| URL_SAFE_NO_PAD.encode(hmac::sign(key, &message)));
        tags.collect::<Vec<_>>().join(",")
    }

    /// Whether any of the signatures is right under any of the keys.
    pub fn verify(&self, parts: &[&str], signatures: &str) -> bool {
        // A node holds a few keys at most; more signatures than that are not looked at.
        let tags = signatures.split(',').take(MAX_SIGNATURES).filter_map(|tag| URL_SAFE_NO_PAD.decode(tag).ok());
        let message = framed(parts);
        tags.into_iter().any(|tag| self.keys.iter().any(|key| hmac::verify(key, &message, &tag).is_ok()))
    }
}

/// Signatures of one message that are looked at.
const MAX_SIGNATURES: usize = 8;

/// The parts, each behind its length, so that no two lists of parts give the same bytes.
fn framed(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn signer(keys: &[u8]) -> NodeSigner {
        let raw: Vec<_> = keys.iter().map(|byte| Zeroizing::new([*byte; 32])).collect();
        NodeSigner::new(&MasterKeys::derive(&raw).unwrap())
    }

    #[test]
    fn any_shared_master_key_suffices() {
        let parts = ["report", "deployment", "node", "7"];
        for (signs, verifies, expected) in
            [(&[1][..], &[1][..], true), (&[2, 1], &[1], true), (&[1], &[2, 1], true), (&[1], &[2], false)]
        {
            assert_eq!(
                signer(verifies).verify(&parts, &signer(signs).sign(&parts)),
                expected,
                "{signs:?} {verifies:?}"
            );
        }
    }

    #[test]
    fn a_signature_holds_for_its_parts_alone() {
        let signed = signer(&[1]).sign(&["report", "d", "node", "7"]);
        for other in [
            &["report", "d", "node", "8"][..],
            &["nudge", "d", "node", "7"],
            &["report", "e", "node", "7"],
            &["report", "d", "nod", "e7"],
            &["report", "d", "node7"],
        ] {
            assert!(!signer(&[1]).verify(other, &signed), "{other:?}");
        }
        for wrong in ["", ",", "AAAA", "!", &"A,".repeat(9999)] {
            assert!(!signer(&[1]).verify(&["report", "d", "node", "7"], wrong));
        }
    }
}
