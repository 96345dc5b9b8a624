//! `keyturn signing-keys …`: the keys that sign tokens.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::table::{field, print_record, print_table, table};
use crate::cli::values::parse_duration;
use crate::cli::{CliError, print_json, print_out};
use crate::domain::choices::{Algorithm, Choice};

#[derive(Args, Debug)]
pub(super) struct SigningKeysArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: SigningKeysCommand,
}

#[derive(Subcommand, Debug)]
enum SigningKeysCommand {
    /// List the signing keys of the organization
    #[command(after_help = "Example:\n  keyturn signing-keys list")]
    List,
    /// Create a new signing key, which replaces the current one after it was published for a while
    #[command(after_help = "Examples:\n  keyturn signing-keys rotate\n  keyturn signing-keys rotate --retire-now")]
    Rotate {
        /// Algorithm whose key is rotated; the default is that of tokens for the default API
        #[arg(long, value_parser = Algorithm::NAMES.to_vec())]
        algorithm: Option<String>,
        /// How long the new key is published before it signs, such as 15m; the default is a setting of the server
        #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "retire_now")]
        publish_ahead: Option<i64>,
        /// Sign with the new key at once and delete the current one: every token that it signed becomes invalid
        #[arg(long)]
        retire_now: bool,
    },
    /// Delete a signing key: every token that it signed becomes invalid at once
    #[command(after_help = "Example:\n  keyturn signing-keys remove KID")]
    Remove {
        /// kid of the signing key, as `keyturn signing-keys list` prints it
        // Identifiers in base64url, here and in other commands: one in 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

pub(super) async fn signing_keys(arguments: SigningKeysArguments) -> Result<(), CliError> {
    let SigningKeysArguments { api, command } = arguments;
    let as_json = api.json;
    let connect = || Client::connect(api.server);
    match command {
        SigningKeysCommand::List => list(&connect().await?, as_json).await,
        SigningKeysCommand::Rotate { algorithm, publish_ahead, retire_now } => {
            let mut body = Map::new();
            body.insert("retire_now".into(), retire_now.into());
            body.extend(algorithm.map(|algorithm| ("algorithm".into(), algorithm.into())));
            body.extend(publish_ahead.map(|seconds| ("publish_ahead_seconds".into(), seconds.into())));
            let key = connect().await?.call(Method::POST, "signing-keys/rotate", Some(&Value::from(body))).await?;
            if as_json { print_json(&key) } else { print_record(&key, &[]) }
        }
        SigningKeysCommand::Remove { kid } => {
            // It becomes part of a URL.
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if kid.is_empty() || !kid.bytes().all(is_plain) {
                let expected = "KID: must be the kid of a signing key, as `keyturn signing-keys list` prints it";
                return Err(CliError::Use(expected.into()));
            }
            connect().await?.call(Method::DELETE, &format!("signing-keys/{kid}"), None).await?;
            if as_json {
                print_json(&json!({ "kid": kid }))
            } else {
                print_out(&format!("Removed signing key {kid}.\n"))
            }
        }
    }
}

async fn list(client: &Client, as_json: bool) -> Result<(), CliError> {
    const COLUMNS: [&str; 6] = ["kid", "algorithm", "status", "created_at", "active_from", "superseded_at"];
    let mut table = table(&["kid", "algorithm", "status", "created", "active from", "superseded"]);
    for key in client.list("signing-keys").await? {
        if as_json {
            print_json(&key)?;
        }
        table.add_row(COLUMNS.map(|name| field(&key, name)));
    }
    if as_json { Ok(()) } else { print_table(&table) }
}
