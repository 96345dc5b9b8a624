//! Files that contain a secret: which permissions are accepted, and warnings about others.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::process::{getegid, geteuid};
use zeroize::Zeroizing;

/// The content of a secret file.
pub struct SecretFile {
    pub text: Zeroizing<String>,
    /// A warning about its permissions.
    pub warning: Option<String>,
}

/// Why a secret file cannot be used. Each message is one line, without any of the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Every user of the machine can replace the secret.
    #[error("{path} can be written by others (mode {mode:04o}); run: chmod o-w {path}", path = path.display())]
    Writable { path: PathBuf, mode: u32 },
    #[error("{path}: {source}{owner}", path = path.display())]
    Unreadable {
        path: PathBuf,
        source: io::Error,
        /// The owner of the file, if access is denied.
        owner: String,
    },
}

/// Reads a secret file; `None` if there is none. Kubernetes and Docker mount secrets with modes from 0400 to 0660 and with
/// any owner, so group access is accepted, and others may read the file: on a read-only mount, its mode cannot be changed.
/// A file that others can write is refused.
pub fn read_secret_file(path: &Path) -> Result<Option<SecretFile>, SecretFileError> {
    let failed = |source: io::Error| {
        let owner = if source.kind() == io::ErrorKind::PermissionDenied { owner_of(path) } else { String::new() };
        SecretFileError::Unreadable { path: path.to_owned(), source, owner }
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    let is_read_only = fstatvfs(&file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY));
    let warning = judge(path, mode, is_read_only)?;
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(Some(SecretFile { text, warning }))
}

fn judge(path: &Path, mode: u32, is_read_only: bool) -> Result<Option<String>, SecretFileError> {
    if is_read_only {
        return Ok(None);
    }
    if mode & 0o002 != 0 {
        return Err(SecretFileError::Writable { path: path.to_owned(), mode });
    }
    let path = path.display();
    Ok((mode & 0o004 != 0).then(|| format!("{path} can be read by others (mode {mode:04o}); run: chmod o-r {path}")))
}

/// Describes the owner of the file and the user of this process.
fn owner_of(path: &Path) -> String {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let describe = |file: &Metadata| {
        format!("; it belongs to {}:{} with mode {:04o}", file.uid(), file.gid(), file.mode() & 0o7777)
    };
    let file = std::fs::metadata(path).as_ref().map(describe).unwrap_or_default();
    format!("{file}; Keyturn runs as {user}:{group}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn read(mode: u32) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "text").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let name = |text: String| text.replace(&folder.path().display().to_string(), "");
        match read_secret_file(&path) {
            Ok(file) => {
                let file = file.unwrap();
                assert_eq!(*file.text, "text");
                Ok(file.warning.map(name))
            }
            Err(error) => Err(name(error.to_string())),
        }
    }

    #[test]
    fn owner_and_group_access_is_accepted() {
        for mode in [0o400, 0o440, 0o600, 0o640, 0o660, 0o2660] {
            assert_eq!(read(mode), Ok(None), "{mode:o}");
        }
    }

    #[test]
    fn others_who_read_are_a_warning() {
        for mode in [0o444, 0o644, 0o604] {
            let warning = format!("/secret can be read by others (mode {mode:04o}); run: chmod o-r /secret");
            assert_eq!(read(mode), Ok(Some(warning)));
        }
    }

    #[test]
    fn others_who_write_are_refused() {
        for mode in [0o602, 0o666, 0o777] {
            let error = format!("/secret can be written by others (mode {mode:04o}); run: chmod o-w /secret");
            assert_eq!(read(mode), Err(error));
        }
    }

    #[test]
    fn modes_on_a_read_only_mount_do_not_matter() {
        assert!(matches!(judge(Path::new("/secret"), 0o444, true), Ok(None)));
        assert!(matches!(judge(Path::new("/secret"), 0o777, true), Ok(None)));
    }

    #[test]
    fn links_as_kubernetes_makes_them_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let version = folder.path().join("..2026_11_28_07_00_00.1");
        fs::create_dir(&version).unwrap();
        fs::write(version.join("key"), "text").unwrap();
        fs::set_permissions(version.join("key"), fs::Permissions::from_mode(0o440)).unwrap();
        symlink(version.file_name().unwrap(), folder.path().join("..data")).unwrap();
        symlink("..data/key", folder.path().join("key")).unwrap();
        let file = read_secret_file(&folder.path().join("key")).unwrap().unwrap();
        assert_eq!((file.text.as_str(), file.warning), ("text", None));
    }

    #[test]
    fn missing_file_is_none_and_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_secret_file(&folder.path().join("secret")).unwrap().is_none());
        let error = read_secret_file(folder.path()).err().unwrap().to_string();
        assert!(error.ends_with(": Is a directory (os error 21)"), "{error}");
    }
}
