//! Text that is not to be shown, and settings that may stand in a file of their own.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::ConfigError;
use super::secret_file::read_secret_file;
use super::section::{Section, Setting};

/// Text that may carry a password. `Debug` does not show it, and its memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The text itself, for the one who connects with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret's text, and where an error about it has to point.
pub(super) struct LocatedSecret {
    pub text: Zeroizing<String>,
    pub place: String,
    pub file: Option<UrlFile>,
}

/// A file that holds a URL with credentials, which may change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlFile(PathBuf);

impl UrlFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its trimmed content; an error is one line without any of it.
    pub fn read(&self) -> Result<Zeroizing<String>, String> {
        match read_secret_file(&self.0) {
            Ok(Some(file)) => Ok(Zeroizing::new(file.text.trim().to_owned())),
            Ok(None) => Err(format!("{}: there is no such file", self.0.display())),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The value of `direct`, or the trimmed content of the file that `in_file` names; not both.
pub(super) fn direct_or_in_file(
    section: &Section<'_>,
    (direct, text): (&Setting, String),
    (in_file, path): (&Setting, String),
) -> Result<LocatedSecret, ConfigError> {
    if path.is_empty() {
        return Ok(LocatedSecret { text: Zeroizing::new(text), place: section.place(direct), file: None });
    }
    if section.is_set(direct) {
        return Err(section.refuse_both(direct, in_file));
    }
    if path.contains("://") {
        return Err(section.refuse_because(in_file, "is a URL (not shown)"));
    }
    let file = UrlFile(section.working_directory().join(&path));
    match file.read() {
        Ok(text) => Ok(LocatedSecret { text, place: path, file: Some(file) }),
        Err(why) => Err(section.refuse_because(in_file, &format!("names a file that cannot be used: {why}"))),
    }
}

/// How an error speaks of a secret it may not repeat.
pub(super) fn complaint(text: &str) -> &'static str {
    if text.is_empty() { "is empty" } else { "is something else (not shown)" }
}

/// Whether it can stand in a URL at all: printable ASCII without spaces.
pub(super) fn is_url_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
