//! One process at a time serves a SQLite file: a lock on a file beside it, let go by the kernel at exit.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The lock, held while this lives.
#[derive(Debug)]
pub struct StoreLock {
    _file: File,
}

/// Why the lock is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{path} is in use by another keyturn process; stop it first, or use PostgreSQL for more than one node", path = .0.display())]
    Held(PathBuf),
    /// The lock file cannot be made.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl StoreLock {
    /// Takes the lock of a database file, whose folder exists.
    pub fn take(database: &Path) -> Result<Self, LockError> {
        // By its real name: a second name for the same file must lead to the same lock.
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
    fn a_second_holder_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("keyturn.db");
        let first = StoreLock::take(&database).unwrap();
        assert!(matches!(StoreLock::take(&database), Err(LockError::Held(_))));
        drop(first);
        assert!(StoreLock::take(&database).is_ok());
    }

    #[test]
    fn a_second_name_for_the_file_leads_to_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (database, link) = (folder.path().join("keyturn.db"), folder.path().join("link.db"));
        std::fs::write(&database, b"").unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let _first = StoreLock::take(&database).unwrap();
        assert!(matches!(StoreLock::take(&link), Err(LockError::Held(_))));
    }
}
