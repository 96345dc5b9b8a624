//! Ensures that only one process uses a SQLite file, with a lock on a file next to it that the kernel releases at exit.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{path} is in use by another keyturn process; stop it first, or use PostgreSQL for more than one node", path = .0.display())]
    Held(PathBuf),
    /// The lock file cannot be created.
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
}

impl StoreLock {
    /// Acquires the lock of a database file. Its folder must exist.
    pub fn take(database: &Path) -> Result<Self, LockError> {
        // The real path, because another name for the same file must use the same lock.
        let real = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
        let mut path = real.into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        let failed = |source| LockError::File { path: path.clone(), source };
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(LockError::Held(database.to_owned())),
            Err(errno) => Err(failed(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_process_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("keyturn.db");
        let first = StoreLock::take(&database).unwrap();
        assert!(matches!(StoreLock::take(&database), Err(LockError::Held(_))));
        drop(first);
        assert!(StoreLock::take(&database).is_ok());
    }

    #[test]
    fn symlink_uses_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (database, link) = (folder.path().join("keyturn.db"), folder.path().join("link.db"));
        std::fs::write(&database, b"").unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let _first = StoreLock::take(&database).unwrap();
        assert!(matches!(StoreLock::take(&link), Err(LockError::Held(_))));
    }
}
