//! Settings, read once at startup from the built-in defaults, a TOML file and the environment, and checked. An error is
//! one line that names the setting and its place. `settings.rs` declares every setting. Imports only `domain`.

mod addresses;
mod declaration;
mod defaults;
mod error;
mod field;
mod layers;
mod master_key;
mod revocation;
mod secret;
mod secret_file;
mod settings;
mod store;
mod suggest;
mod values;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

pub use error::ConfigError;
#[cfg(test)]
pub use layers::COMMAND_LINE;
pub use master_key::{MasterKeySource, parse_master_keys};
pub use revocation::RevocationUrl;
pub use secret::UrlFile;
pub use secret_file::{SecretFileError, read_secret_file};
pub use settings::Settings;
pub use store::StoreUrl;

use layers::{Layers, Row};

impl Settings {
    /// Reads the defaults, then `file` (by default `config/keyturn.toml`, which may be missing), then the variables of
    /// `environment` named `KEYTURN_SECTION__NAME`. Relative paths of files that are read here start at
    /// `working_directory`.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        working_directory: &Path,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::defaults(working_directory)?;
        layers.add_file(file)?;
        layers.add_environment(environment)?;
        Self::read(&layers)
    }

    /// The URL at which clients reach this server, without a trailing slash: `server.public_url`, or `http://{listen}`.
    pub fn public_url(&self) -> String {
        self.server.public_url.clone().unwrap_or_else(|| format!("http://{}", self.server.listen))
    }

    /// The audience of a token whose request names none: `token.audience`, or the public URL.
    pub fn audience(&self) -> String {
        self.token.audience.clone().unwrap_or_else(|| self.public_url())
    }

    /// Checks that clients can reach the public URL, which is the issuer of tokens.
    pub fn check_public_url(&self) -> Result<(), ConfigError> {
        if self.server.public_url.is_some() || !self.server.listen.ip().to_canonical().is_unspecified() {
            return Ok(());
        }
        let origin = self.rows.iter().find(|row| row.key == "server.listen").map_or("", |row| &row.origin);
        Err(ConfigError::new(&format!(
            "{origin}: server.listen is {}, an address that no client can reach; set server.public_url to the URL that \
             clients use",
            self.server.listen
        )))
    }

    /// Warnings about the permissions of secret files, each with the setting that names the file.
    pub fn secret_file_warnings(&self) -> Vec<(&'static str, String)> {
        let master_key = match &self.secrets.master_key {
            MasterKeySource::File(path) => Some(path.as_path()),
            MasterKeySource::Inline(_) => None,
        };
        let files = [
            ("store.url_file", self.store.url_file.as_ref().map(UrlFile::path)),
            ("revocation.url_file", self.revocation.url_file.as_ref().map(UrlFile::path)),
            ("secrets.master_key_file", master_key),
        ];
        let warning = |path| read_secret_file(path).ok().flatten()?.warning;
        files.into_iter().filter_map(|(setting, path)| Some((setting, warning(path?)?))).collect()
    }

    /// Every setting as (key, value, origin). The value of a secret is `(set)`. The origin is `default`, a file's path and
    /// line, or a variable's name.
    pub fn describe(&self) -> Vec<(String, String, String)> {
        let in_effect = |row: &Row| match row.key.as_str() {
            "server.public_url" => self.public_url(),
            "store.url" => self.store.url.to_string(),
            "revocation.url" => self.revocation.url.to_string(),
            "secrets.master_key_file" => match &self.secrets.master_key {
                MasterKeySource::Inline(_) => "(not used)".to_owned(),
                MasterKeySource::File(path) => path.display().to_string(),
            },
            "token.audience" => self.audience(),
            _ => row.value.clone(),
        };
        self.rows.iter().map(|row| (row.key.clone(), in_effect(row), row.origin.clone())).collect()
    }
}
