//! `keyturn keys …`: API keys on a running server.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::{Client, Query};
use crate::cli::credential::ApiArguments;
use crate::cli::key_reports;
use crate::cli::table::{field, items, plain, print_record, print_table, table};
use crate::cli::values::{parse_duration, parse_moment, parse_past};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::key_text::KeyId;

#[derive(Args, Debug)]
pub(super) struct KeysArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: KeysCommand,
}

const STATUSES: [&str; 5] = ["all", "active", "expired", "disabled", "revoked"];

#[derive(Subcommand, Debug)]
enum KeysCommand {
    /// Create a key and print its secret, which is shown only once
    #[command(after_help = "Example:\n  keyturn keys create --name billing --scope 'read:invoices/*' \
        --cidr 203.0.113.0/24 --expires-in 90d")]
    Create {
        /// Name of the key
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// What the key is for
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
        /// Scope: action:resource, such as read:projects/acme/*, or an action alone for every resource. Can be repeated
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Network that may use the key, such as 10.0.0.0/8, or an address; every address if there is none. Can be repeated
        #[arg(long = "cidr", value_name = "CIDR")]
        cidrs: Vec<String>,
        /// ID of the member who owns the key
        #[arg(long, value_name = "MEMBER_ID", allow_hyphen_values = true)]
        owner: Option<String>,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// List keys, newest first
    #[command(after_help = "Examples:\n  keyturn keys list --status active --search billing\n  \
        keyturn keys list --json | jq -r 'select(.last_used_at == null) | .id'")]
    List {
        /// Only keys in this state
        #[arg(long, default_value = "all", value_parser = STATUSES)]
        status: String,
        /// Only keys whose name contains this text
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only keys of this member
        #[arg(long, value_name = "MEMBER_ID", allow_hyphen_values = true)]
        owner: Option<String>,
    },
    /// Show a key
    #[command(after_help = "Example:\n  keyturn keys show 3kTMd9aB7xQ2LpZs")]
    Show {
        /// ID of the key
        id: String,
    },
    /// Change a key's name, description, scopes, networks or expiry
    #[command(
        after_help = "Examples:\n  keyturn keys update 3kTMd9aB7xQ2LpZs --scope read:invoices/* --scope read:orders/*\n  \
        keyturn keys update 3kTMd9aB7xQ2LpZs --expires-in 30d\n\n\
        Scopes and networks replace those that the key has."
    )]
    Update(Update),
    /// Give a key a new secret and print it; it is shown only once
    #[command(after_help = "Example:\n  keyturn keys rotate 3kTMd9aB7xQ2LpZs --grace 1h")]
    Rotate {
        /// ID of the key
        id: String,
        /// New name of the key
        #[arg(long)]
        name: Option<String>,
        /// How long the previous secret keeps working, such as 1h
        #[arg(long, value_name = "DURATION", default_value = "0", value_parser = parse_duration)]
        grace: i64,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// Revoke a key permanently
    #[command(after_help = "Example:\n  keyturn keys revoke 3kTMd9aB7xQ2LpZs --reason 'laptop lost'")]
    Revoke {
        /// ID of the key
        id: String,
        /// Reason to store with the key
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Disable a key until it is enabled again
    #[command(after_help = "Example:\n  keyturn keys disable 3kTMd9aB7xQ2LpZs")]
    Disable {
        /// ID of the key
        id: String,
    },
    /// Enable a disabled key
    #[command(after_help = "Example:\n  keyturn keys enable 3kTMd9aB7xQ2LpZs")]
    Enable {
        /// ID of the key
        id: String,
    },
    /// List active keys that have not been used for a long time
    #[command(after_help = "Example:\n  keyturn keys stale --days 90")]
    Stale {
        /// Days without use; the default is the policy's stale_after_days
        #[arg(long)]
        days: Option<u32>,
    },
    /// Show how often a key was used, or list the keys by use
    #[command(after_help = "Examples:\n  keyturn keys usage\n  \
        keyturn keys usage 3kTMd9aB7xQ2LpZs --interval day --from 2026-11-01")]
    Usage {
        /// ID of the key; without it, every key that was used is listed, the busiest first
        id: Option<String>,
        /// Length of an interval
        #[arg(long, default_value = "hour", value_parser = ["hour", "day"])]
        interval: String,
        /// Start: a date, or how long ago, such as 7d. The default is 24 hours or 30 days before the end
        #[arg(long, value_name = "DATE", value_parser = parse_past)]
        from: Option<String>,
        /// End; the default is now
        #[arg(long, value_name = "DATE", value_parser = parse_past)]
        to: Option<String>,
    },
    /// Explain, check by check, whether a key would be allowed; exits with 1 if not
    #[command(after_help = "Example:\n  keyturn keys explain 3kTMd9aB7xQ2LpZs --address 203.0.113.7 \
        --action read --resource projects/acme/db")]
    Explain {
        /// ID of the key
        id: String,
        /// Address of the caller, such as 203.0.113.7
        #[arg(long)]
        address: String,
        /// Action, such as read
        #[arg(long, requires = "resource")]
        action: Option<String>,
        /// Resource, such as projects/acme/db
        #[arg(long, requires = "action")]
        resource: Option<String>,
        /// When; the default is now
        #[arg(long, value_name = "DATE", value_parser = parse_moment)]
        at: Option<String>,
    },
}

#[derive(Args, Debug)]
struct Update {
    /// ID of the key
    id: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long)]
    description: Option<String>,
    /// Scope that the key will have. Can be repeated
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "no_scopes")]
    scopes: Vec<String>,
    /// Remove every scope
    #[arg(long)]
    no_scopes: bool,
    /// Network that may use the key. Can be repeated
    #[arg(long = "cidr", value_name = "CIDR", conflicts_with = "no_cidrs")]
    cidrs: Vec<String>,
    /// Allow every address
    #[arg(long)]
    no_cidrs: bool,
    #[command(flatten)]
    expiry: Expiry,
    /// Remove the expiry
    #[arg(long, conflicts_with_all = ["expires_at", "expires_in"])]
    no_expiry: bool,
}

#[derive(Args, Debug)]
struct Expiry {
    /// When the key expires, such as 2030-01-31 (00:00 UTC) or 2030-01-31T12:00:00Z
    #[arg(long, value_name = "DATE", conflicts_with = "expires_in", value_parser = parse_moment)]
    expires_at: Option<String>,
    /// How long until the key expires, such as 90d or 12h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires_in: Option<i64>,
}

pub(super) async fn keys(arguments: KeysArguments) -> Result<(), CliError> {
    let KeysArguments { api, command } = arguments;
    let as_json = api.json;
    check_id(&command)?;
    let connect = || Client::connect(api.server);
    let key = match command {
        KeysCommand::List { status, search, owner } => {
            let mut query = vec![("status", status)];
            query.extend(search.map(|search| ("search", search)));
            query.extend(owner.map(|owner| ("owner", owner)));
            return list(&connect().await?, "keys", query, as_json).await;
        }
        KeysCommand::Stale { days } => {
            let query = days.map(|days| ("days", days.to_string())).into_iter().collect();
            return list(&connect().await?, "keys/stale", query, as_json).await;
        }
        KeysCommand::Usage { id, interval, from, to } => {
            let mut query = vec![("interval", interval)];
            query.extend(from.map(|from| ("from", from)));
            query.extend(to.map(|to| ("to", to)));
            let client = connect().await?;
            return match id {
                Some(id) => key_reports::usage_of_key(&client, &id, &query, as_json).await,
                None => key_reports::busiest_keys(&client, query, as_json).await,
            };
        }
        KeysCommand::Explain { id, address, action, resource, at } => {
            let input = json!({ "address": address, "action": action, "resource": resource, "at": at });
            let explained = connect().await?.call(Method::POST, &format!("keys/{id}/explain"), Some(&input)).await?;
            return key_reports::explain(&explained, as_json);
        }
        KeysCommand::Create { name, description, scopes, cidrs, owner, expiry } => {
            let mut body = expiry.body();
            body.insert("name".into(), name.into());
            body.insert("description".into(), description.into());
            body.insert("allowed_cidrs".into(), cidrs.into());
            body.insert("scopes".into(), scopes.into());
            body.extend(owner.map(|owner| ("owner".into(), owner.into())));
            connect().await?.call(Method::POST, "keys", Some(&body.into())).await?
        }
        KeysCommand::Show { id } => connect().await?.get(&format!("keys/{id}"), &[]).await?,
        KeysCommand::Update(update) => {
            let (id, body) = update.id_and_body()?;
            connect().await?.call(Method::PATCH, &format!("keys/{id}"), Some(&body)).await?
        }
        KeysCommand::Rotate { id, name, grace, expiry } => {
            let mut body = expiry.body();
            body.insert("grace_seconds".into(), grace.into());
            body.extend(name.map(|name| ("name".into(), name.into())));
            connect().await?.call(Method::POST, &format!("keys/{id}/rotate"), Some(&body.into())).await?
        }
        KeysCommand::Revoke { id, reason } => {
            let body = json!({ "reason": reason });
            connect().await?.call(Method::POST, &format!("keys/{id}/revoke"), Some(&body)).await?
        }
        KeysCommand::Disable { id } => connect().await?.call(Method::POST, &format!("keys/{id}/disable"), None).await?,
        KeysCommand::Enable { id } => connect().await?.call(Method::POST, &format!("keys/{id}/enable"), None).await?,
    };
    if as_json { print_json(&key) } else { show(&key) }
}

/// Refuses an ID that cannot be one before it becomes part of a URL: it may be a misplaced secret.
fn check_id(command: &KeysCommand) -> Result<(), CliError> {
    let id = match command {
        KeysCommand::Create { .. } | KeysCommand::List { .. } | KeysCommand::Stale { .. } => return Ok(()),
        KeysCommand::Usage { id, .. } => match id {
            Some(id) => id,
            None => return Ok(()),
        },
        KeysCommand::Update(update) => &update.id,
        KeysCommand::Show { id }
        | KeysCommand::Rotate { id, .. }
        | KeysCommand::Revoke { id, .. }
        | KeysCommand::Disable { id }
        | KeysCommand::Enable { id }
        | KeysCommand::Explain { id, .. } => id,
    };
    match KeyId::parse(id) {
        Some(_) => Ok(()),
        None => Err(CliError::Use(
            "ID: must be a key ID of 16 letters and digits: the part of the secret between the two underscores".into(),
        )),
    }
}

impl Expiry {
    fn body(self) -> Map<String, Value> {
        let mut body = Map::new();
        body.extend(self.expires_at.map(|date| ("expires_at".into(), date.into())));
        body.extend(self.expires_in.map(|seconds| ("expires_in_seconds".into(), seconds.into())));
        body
    }
}

impl Update {
    /// The key's ID and a JSON merge patch (RFC 7396).
    fn id_and_body(self) -> Result<(String, Value), CliError> {
        let mut body = self.expiry.body();
        if self.no_expiry {
            body.insert("expires_at".into(), Value::Null);
        }
        body.extend(self.name.map(|name| ("name".into(), name.into())));
        body.extend(self.description.map(|description| ("description".into(), description.into())));
        if self.no_scopes || !self.scopes.is_empty() {
            body.insert("scopes".into(), self.scopes.into());
        }
        if self.no_cidrs || !self.cidrs.is_empty() {
            body.insert("allowed_cidrs".into(), self.cidrs.into());
        }
        if body.is_empty() {
            return Err(CliError::Use("nothing to change: give at least one option, such as --name".into()));
        }
        Ok((self.id, body.into()))
    }
}

const COLUMNS: [&str; 7] = ["id", "name", "status", "hint", "scopes", "expires_at", "last_used_at"];

async fn list(client: &Client, rest: &str, query: Query, as_json: bool) -> Result<(), CliError> {
    let mut table = table(&["id", "name", "status", "hint", "scopes", "expires", "last used"]);
    let mut each = |key: &Value| {
        if as_json {
            return print_json(key);
        }
        table.add_row(COLUMNS.map(|name| field(key, name)));
        Ok(())
    };
    client.each_item(rest, query, &mut each).await?;
    if as_json { Ok(()) } else { print_table(&table) }
}

fn show(key: &Value) -> Result<(), CliError> {
    print_record(key, &["secret", "warnings"])?;
    if let Some(secret) = key.get("secret").and_then(Value::as_str) {
        print_out(&format!("\nThe secret is shown only once:\n\n  {secret}\n"))?;
    }
    for warning in items(key.get("warnings")) {
        let (name, message) = (plain(warning.get("field")), plain(warning.get("message")));
        print_out(&format!("\nWarning: {name}: {message}\n"))?;
    }
    Ok(())
}
