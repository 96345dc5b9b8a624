//! Which server to call, and the credential to call it with.

use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use crate::cli::CliError;
use crate::cli::output::print_warning;
use crate::config::read_secret_file;
use crate::domain::key_text::CredentialFault;
use crate::http::credentials::trim;

const HEADING: &str = "Server options";
const API_KEY: &str = "KEYTURN_API_KEY";
const TOKEN: &str = "KEYTURN_TOKEN";

/// The variables that hold a credential. They have no option: other users can see the arguments of a process.
#[cfg(test)]
pub(super) const VARIABLES: [&str; 2] = [API_KEY, TOKEN];

/// The server and the credential.
#[derive(Args, Debug)]
pub(super) struct ServerArguments {
    /// URL of the server
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "KEYTURN_SERVER",
        default_value = "http://127.0.0.1:8080",
        help_heading = HEADING
    )]
    pub(super) server: String,
    /// File that contains an API key. To pass the key itself, set KEYTURN_API_KEY
    #[arg(long, global = true, value_name = "FILE", env = "KEYTURN_API_KEY_FILE", help_heading = HEADING)]
    api_key_file: Option<PathBuf>,
    /// File that contains an access token. To pass the token itself, set KEYTURN_TOKEN
    #[arg(long, global = true, value_name = "FILE", env = "KEYTURN_TOKEN_FILE", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// Header to send with every request, such as "X-Forwarded-For: 127.0.0.1" to a server that trusts this machine as a
    /// proxy. Can be repeated
    #[arg(long = "header", global = true, value_name = "NAME: VALUE", help_heading = HEADING)]
    pub(super) headers: Vec<String>,
}

/// The server, the credential and the output format.
#[derive(Args, Debug)]
pub(super) struct ApiArguments {
    #[command(flatten)]
    pub(super) server: ServerArguments,
    /// Print JSON: one object, or one object per line for a list (NDJSON)
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    ApiKey,
    Token,
}

/// An API key or an access token.
pub(super) struct Credential {
    kind: Kind,
    text: Zeroizing<String>,
}

impl Credential {
    /// Returns the only credential in the environment and the files that the arguments name.
    pub(super) fn read(arguments: &ServerArguments) -> Result<Self, CliError> {
        let mut found = Vec::new();
        for (kind, variable, option, path) in [
            (Kind::ApiKey, API_KEY, "--api-key-file", &arguments.api_key_file),
            (Kind::Token, TOKEN, "--token-file", &arguments.token_file),
        ] {
            if let Some(text) = in_environment(variable)? {
                found.push((kind, variable.to_owned(), text));
            }
            if let Some(path) = path {
                found.push((kind, option.to_owned(), in_file(option, path)?));
            }
        }
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (None, _) => Err(CliError::Use(
                "no credential: set KEYTURN_API_KEY or KEYTURN_TOKEN, or use --api-key-file or --token-file".into(),
            )),
            (Some((kind, source, text)), None) => match CredentialFault::of_secret(&text) {
                Some(fault) => Err(CliError::Use(format!("{source}: the credential {fault}"))),
                None => Ok(Self { kind, text }),
            },
            (Some((_, first, _)), Some((_, second, _))) => {
                Err(CliError::Use(format!("more than one credential: set only one of {first} and {second}")))
            }
        }
    }

    /// The text, for the `Authorization` header.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn is_api_key(&self) -> bool {
        self.kind == Kind::ApiKey
    }
}

/// A variable's value without surrounding white space. An empty variable counts as not set.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment comes in")]
fn in_environment(variable: &str) -> Result<Option<Zeroizing<String>>, CliError> {
    let Some(value) = std::env::var_os(variable) else { return Ok(None) };
    let text = Zeroizing::new(
        value.into_string().map_err(|_| CliError::Use(format!("{variable}: the credential is not Unicode text")))?,
    );
    Ok(Some(Zeroizing::new(trim(&text).to_owned())).filter(|text| !text.is_empty()))
}

/// The trimmed content of a secret file.
pub(super) fn in_file(option: &str, path: &Path) -> Result<Zeroizing<String>, CliError> {
    let wrong = |reason: String| CliError::Use(format!("{option}: {reason}"));
    let file = read_secret_file(path).map_err(|error| wrong(error.to_string()))?;
    let file = file.ok_or_else(|| wrong(format!("{}: no such file", path.display())))?;
    if let Some(warning) = &file.warning {
        print_warning(warning);
    }
    let text = Zeroizing::new(trim(&file.text).to_owned());
    if text.is_empty() { Err(wrong(format!("{}: the file is empty", path.display()))) } else { Ok(text) }
}
