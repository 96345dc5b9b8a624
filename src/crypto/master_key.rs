//! The master key, from which the pepper of fast verifiers and the encryption key for signing keys are derived.
//!
//! Several can be configured: the first is current, the others decrypt data from before the last change.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::{aead, hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::crypto::random::{self, RandomError};

/// 32 bytes from the configuration.
pub type RawMasterKey = Zeroizing<[u8; 32]>;

/// The configured master keys with their derived keys.
pub struct MasterKeys {
    current: MasterKey,
    retired: Vec<MasterKey>,
}

/// Keys derived from one master key. The master key itself is not kept in memory.
pub struct MasterKey {
    id: String,
    pepper: hmac::Key,
    devices: hmac::Key,
    sealing: aead::LessSafeKey,
    messages: hmac::Key,
}

impl std::fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKeys({}, {} retired)", self.current.id, self.retired.len())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("no master key is configured; at least one of 32 bytes in base64 is required")]
    Missing,
    /// The cryptographic library failed.
    #[error("the master key cannot be used: {0}")]
    Crypto(&'static str),
    /// The key file cannot be written.
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Random(#[from] RandomError),
}

impl MasterKeys {
    /// Derives all keys from one or more master keys, the current one first.
    pub fn derive(keys: &[RawMasterKey]) -> Result<Self, MasterKeyError> {
        let mut derived = keys.iter().map(MasterKey::derive).collect::<Result<Vec<_>, _>>()?.into_iter();
        let current = derived.next().ok_or(MasterKeyError::Missing)?;
        Ok(Self { current, retired: derived.collect() })
    }

    /// Returns the key for new data.
    pub fn current(&self) -> &MasterKey {
        &self.current
    }

    /// Returns all keys, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.retired)
    }

    /// Returns the current or retired key with this ID.
    pub fn find(&self, id: &str) -> Option<&MasterKey> {
        self.all().find(|key| key.id == id)
    }
}

impl MasterKey {
    fn derive(raw: &RawMasterKey) -> Result<Self, MasterKeyError> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"keyturn master key v1").extract(raw.as_slice());
        let expand = |label: &'static [u8]| -> Result<Zeroizing<[u8; 32]>, MasterKeyError> {
            let mut out = Zeroizing::new([0; 32]);
            secret
                .expand(&[label], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(out.as_mut_slice()))
                .map_err(|_| MasterKeyError::Crypto("derivation failed"))?;
            Ok(out)
        };
        let id = HEXLOWER.encode(expand(b"id")?.split_at(6).0);
        let pepper = hmac::Key::new(hmac::HMAC_SHA256, expand(b"pepper of fast verifiers")?.as_slice());
        let devices = hmac::Key::new(hmac::HMAC_SHA256, expand(b"device cookies")?.as_slice());
        let sealing = aead::UnboundKey::new(&aead::AES_256_GCM, expand(b"sealing of signing keys")?.as_slice())
            .map_err(|_| MasterKeyError::Crypto("sealing key rejected"))?;
        let messages = hmac::Key::new(hmac::HMAC_SHA256, expand(b"messages between nodes")?.as_slice());
        Ok(Self { id, pepper, devices, sealing: aead::LessSafeKey::new(sealing), messages })
    }

    /// Identifies the key without revealing it: 12 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn pepper(&self) -> &hmac::Key {
        &self.pepper
    }

    pub(super) fn messages(&self) -> &hmac::Key {
        &self.messages
    }

    pub(super) fn devices(&self) -> &hmac::Key {
        &self.devices
    }

    pub(super) fn sealing(&self) -> &aead::LessSafeKey {
        &self.sealing
    }
}

/// Generates a random master key.
pub fn generate() -> Result<RawMasterKey, MasterKeyError> {
    Ok(Zeroizing::new(random::bytes::<32>()?))
}

/// Writes master keys to a file with mode 0600, the current one first. The write is atomic and durable when this
/// returns.
pub fn write_file(path: &Path, keys: &[RawMasterKey]) -> Result<(), MasterKeyError> {
    let failed = |source| MasterKeyError::File { path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut text =
        Zeroizing::new(String::from("# Keyturn master keys, current first. They decrypt the signing keys.\n"));
    for key in keys {
        text.push_str(&Zeroizing::new(STANDARD.encode(key.as_slice())));
        text.push('\n');
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let write = || -> io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn raw(byte: u8) -> RawMasterKey {
        Zeroizing::new([byte; 32])
    }

    #[test]
    fn first_key_is_current_and_all_can_be_found() {
        let keys = MasterKeys::derive(&[raw(1), raw(2)]).unwrap();
        let retired = MasterKeys::derive(&[raw(2)]).unwrap();
        assert_ne!(keys.current().id(), retired.current().id());
        assert!(keys.find(retired.current().id()).is_some());
        assert!(keys.find("000000000000").is_none());
        assert!(matches!(MasterKeys::derive(&[]), Err(MasterKeyError::Missing)));
    }

    #[test]
    fn file_is_accessible_to_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/master.key");
        write_file(&path, &[raw(1), raw(2)]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 2);
    }

    #[test]
    fn leftover_of_an_earlier_write_is_not_reused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, left) = (folder.path().join("master.key"), folder.path().join("master.key.new"));
        fs::write(&left, b"").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        write_file(&path, &[raw(1)]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn debug_prints_no_key() {
        let keys = MasterKeys::derive(&[raw(7)]).unwrap();
        let printed = format!("{keys:?}");
        assert!(!printed.contains(&STANDARD.encode([7; 32])) && !printed.contains("7, 7"));
    }
}
