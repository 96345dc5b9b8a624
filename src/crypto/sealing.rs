//! Encryption at rest: AES-256-GCM with the master key, bound to the name of the encrypted value.

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use crate::crypto::master_key::MasterKeys;
use crate::crypto::random::{self, RandomError};
use crate::domain::sealed::Sealed;

/// Reason why a value cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The master key of the value is not configured.
    #[error("encrypted with master key {0}, which is not configured")]
    MasterKeyMissing(String),
    /// The value was changed, or belongs to another name.
    #[error("an encrypted value cannot be decrypted: it was changed, or belongs to another record")]
    Broken,
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Encrypts with the current master key. Decryption requires the same `name`.
pub fn seal(keys: &MasterKeys, name: &str, plain: &[u8]) -> Result<Sealed, SealError> {
    let nonce: [u8; NONCE_LEN] = random::bytes()?;
    let mut sealed = plain.to_vec();
    keys.current()
        .sealing()
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()), &mut sealed)
        .map_err(|_| SealError::Broken)?;
    let mut bytes = nonce.to_vec();
    bytes.append(&mut sealed);
    Ok(Sealed { master_key: keys.current().id().to_owned(), bytes })
}

/// Decrypts a value that was encrypted under `name`.
pub fn open(keys: &MasterKeys, name: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let master = keys.find(&sealed.master_key).ok_or_else(|| SealError::MasterKeyMissing(sealed.master_key.clone()))?;
    let (nonce, body) = sealed.bytes.split_at_checked(NONCE_LEN).ok_or(SealError::Broken)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
    let mut buffer = Zeroizing::new(body.to_vec());
    let length = master
        .sealing()
        .open_in_place(nonce, Aad::from(name.as_bytes()), &mut buffer)
        .map_err(|_| SealError::Broken)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> MasterKeys {
        MasterKeys::derive(&[Zeroizing::new([byte; 32])]).unwrap()
    }

    #[test]
    fn decryption_requires_key_name_and_unchanged_bytes() {
        let sealed = seal(&keys(1), "kid", b"private").unwrap();
        assert_eq!(open(&keys(1), "kid", &sealed).unwrap().as_slice(), b"private");
        assert!(matches!(open(&keys(1), "other", &sealed), Err(SealError::Broken)));
        assert!(matches!(open(&keys(2), "kid", &sealed), Err(SealError::MasterKeyMissing(_))));
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            assert!(matches!(open(&keys(1), "kid", &changed), Err(SealError::Broken)), "byte {at}");
        }
    }
}
