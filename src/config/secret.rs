//! Text that is never shown, and settings whose value can be in a separate file.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::Value;
use zeroize::Zeroizing;

use super::error::ConfigError;
use super::field::Field;
use super::secret_file::read_secret_file;

/// Text that may contain a password. `Debug` does not show it, and its memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Returns the text, for connecting with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret's text, and its place for errors.
pub(super) struct LocatedSecret {
    pub text: Zeroizing<String>,
    pub place: String,
}

/// A file that contains a URL with credentials, which may change while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlFile(PathBuf);

impl UrlFile {
    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the trimmed content. An error is one line without any of it.
    pub fn read(&self) -> Result<Zeroizing<String>, String> {
        match read_secret_file(&self.0) {
            Ok(Some(file)) => Ok(Zeroizing::new(file.text.trim().to_owned())),
            Ok(None) => Err(format!("{}: no such file", self.0.display())),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Reads the setting `url_file` of a section.
pub(super) fn url_file(field: &Field<'_>) -> Result<Option<UrlFile>, ConfigError> {
    match field.text()? {
        "" => Ok(None),
        text if text.contains("://") => Err(field.refuse_because("is a URL (not shown)")),
        path => Ok(Some(UrlFile(field.working_directory().join(path)))),
    }
}

/// The text of the setting `url` of a section, or the trimmed content of the file that `url_file` names; not both.
pub(super) fn direct_or_in_file(field: &Field<'_>) -> Result<LocatedSecret, ConfigError> {
    let in_file = field.sibling("url_file").filter(|file| file.value().and_then(Value::as_str) != Some(""));
    let Some(in_file) = in_file else {
        return Ok(LocatedSecret { text: Zeroizing::new(field.text()?.to_owned()), place: field.place() });
    };
    if field.is_set() {
        return Err(in_file.refuse_beside(field));
    }
    let file = url_file(&in_file)?.ok_or_else(|| in_file.refuse())?;
    match file.read() {
        Ok(text) => Ok(LocatedSecret { text, place: in_file.text()?.to_owned() }),
        Err(why) => Err(in_file.refuse_because(&format!("names a file that cannot be used: {why}"))),
    }
}

/// How an error describes a secret that it must not repeat.
pub(super) fn complaint(text: &str) -> &'static str {
    if text.is_empty() { "is empty" } else { "is invalid (not shown)" }
}

/// Whether the text can be a URL: printable ASCII without spaces.
pub(super) fn is_url_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}
