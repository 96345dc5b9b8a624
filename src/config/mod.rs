//! Settings: read once at start from the compiled-in defaults, a TOML file and the environment the caller
//! hands over, and checked so that one line says what is wrong and where; imports std, serde, toml, ipnet,
//! url, base64, zeroize, rustix and thiserror, and nothing of `crate::`.

mod cors;
mod error;
mod layers;
mod log;
mod revocation;
mod secret;
mod secret_file;
mod secrets;
mod section;
mod server;
mod session;
mod signing;
mod store;
mod suggest;
mod token;
mod tuning;
mod webhooks;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

pub use cors::Cors;
pub use error::ConfigError;
pub use layers::COMMAND_LINE;
pub use log::{Log, LogFormat, LoggedRequests};
pub use revocation::{Revocation, RevocationUrl};
pub use secret::{Secret, UrlFile};
pub use secret_file::{SecretFile, SecretFileError, read_secret_file};
pub use secrets::{MasterKeySource, Secrets, parse_master_keys};
pub use server::{ForwardingHeader, Server};
pub use session::Session;
pub use signing::Signing;
pub use store::{Store, StoreUrl};
pub use token::{Algorithm, Token, TokenType, UnknownAlgorithm};
pub use tuning::{Argon2, Cache, Gateway, Limits};
pub use webhooks::Webhooks;

use layers::Layers;
use section::{Section, SectionOutline};

/// Every setting, checked. The folder's `config/default.toml` says what each one means.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[server]`: addresses and time limits of the listener.
    pub server: Server,
    /// `[store]`: the database.
    pub store: Store,
    /// `[revocation]`: how nodes hear of revocations.
    pub revocation: Revocation,
    /// `[secrets]`: the master key.
    pub secrets: Secrets,
    /// `[token]`: access tokens.
    pub token: Token,
    /// `[signing]`: rotation of signing keys.
    pub signing: Signing,
    /// `[session]`: sessions of people.
    pub session: Session,
    /// `[limits]`: rate limits.
    pub limits: Limits,
    /// `[cache]`: what memory holds.
    pub cache: Cache,
    /// `[cors]`: the pages that may request tokens.
    pub cors: Cors,
    /// `[gateway]`: answers of `/verify`.
    pub gateway: Gateway,
    /// `[argon2]`: cost of the slow hash.
    pub argon2: Argon2,
    /// `[webhooks]`: telling others of changes.
    pub webhooks: Webhooks,
    /// `[log]`: what is logged, and how it looks.
    pub log: Log,
    rows: Vec<Row>,
}

impl Settings {
    /// Reads the defaults, then `file` (else `config/keyturn.toml` where there is one), then the variables of
    /// `environment` named `KEYTURN_SECTION__NAME`. Relative paths of files read here start at
    /// `working_directory`.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        working_directory: &Path,
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::defaults()?;
        layers.add_file(file, working_directory)?;
        layers.add_environment(environment)?;

        let section = |outline| Section::new(outline, &layers, working_directory);
        Ok(Self {
            server: Server::read(&section(&server::OUTLINE))?,
            store: Store::read(&section(&store::OUTLINE))?,
            revocation: Revocation::read(&section(&revocation::OUTLINE))?,
            secrets: Secrets::read(&section(&secrets::OUTLINE))?,
            token: Token::read(&section(&token::OUTLINE))?,
            signing: Signing::read(&section(&signing::OUTLINE))?,
            session: Session::read(&section(&session::OUTLINE))?,
            limits: Limits::read(&section(&tuning::LIMITS))?,
            cache: Cache::read(&section(&tuning::CACHE))?,
            cors: Cors::read(&section(&cors::OUTLINE))?,
            gateway: Gateway::read(&section(&tuning::GATEWAY))?,
            argon2: Argon2::read(&section(&tuning::ARGON2))?,
            webhooks: Webhooks::read(&section(&webhooks::OUTLINE))?,
            log: Log::read(&section(&log::OUTLINE))?,
            rows: OUTLINES.iter().flat_map(|outline| rows(&section(outline))).collect(),
        })
    }

    /// The `aud` of a token whose request names none: `token.audience`, else the public URL.
    pub fn audience(&self) -> String {
        self.token.audience.clone().unwrap_or_else(|| self.server.public_url())
    }

    /// Refuses a public URL that would be the issuer of tokens although no client can reach it.
    pub fn check_public_url(&self) -> Result<(), ConfigError> {
        if !self.server.lacks_public_url() {
            return Ok(());
        }
        let origin = self.rows.iter().find(|row| row.key == "server.listen").map_or("", |row| &row.origin);
        Err(ConfigError::new(&format!(
            "{origin}: server.listen is {}, an address that no client can reach; set server.public_url to the URL that \
             clients use",
            self.server.listen
        )))
    }

    /// What an operator should know about the permissions of files that hold secrets: the setting that names the file,
    /// and a line.
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

    /// Every setting as (key, value, origin): a secret's value reads `(set)`, and the origin is `default`, a
    /// file's path and line, or a variable's name.
    pub fn describe(&self) -> Vec<(String, String, String)> {
        let in_force = |row: &Row| match row.key.as_str() {
            "server.public_url" => self.server.public_url(),
            "store.url" => self.store.url.to_string(),
            "revocation.url" => self.revocation.url.to_string(),
            "secrets.master_key_file" => match &self.secrets.master_key {
                MasterKeySource::Inline(_) => "(not used)".to_owned(),
                MasterKeySource::File(path) => path.display().to_string(),
            },
            "token.audience" => self.audience(),
            _ => row.value.clone(),
        };
        self.rows.iter().map(|row| (row.key.clone(), in_force(row), row.origin.clone())).collect()
    }
}

/// The sections, in the order of `config/default.toml`.
const OUTLINES: [&SectionOutline; 14] = [
    &server::OUTLINE,
    &store::OUTLINE,
    &revocation::OUTLINE,
    &secrets::OUTLINE,
    &token::OUTLINE,
    &signing::OUTLINE,
    &session::OUTLINE,
    &tuning::LIMITS,
    &tuning::CACHE,
    &cors::OUTLINE,
    &tuning::GATEWAY,
    &tuning::ARGON2,
    &webhooks::OUTLINE,
    &log::OUTLINE,
];

/// One line of `describe`, as it was given; never holds a secret.
#[derive(Debug, Clone)]
struct Row {
    key: String,
    value: String,
    origin: String,
}

fn rows(section: &Section<'_>) -> Vec<Row> {
    section
        .settings()
        .iter()
        .map(|setting| Row {
            key: section.key(setting),
            value: section.describe_value(setting),
            origin: section.describe_origin(setting),
        })
        .collect()
}
