//! `keyturn keys …`: API keys on a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::{Client, Query};
use crate::cli::credential::ApiArguments;
use crate::cli::customers;
use crate::cli::key_fields::{Create, Expiry, Update};
use crate::cli::key_preview::{self, Preview};
use crate::cli::key_reports;
use crate::cli::key_search::{self, Bulk, List};
use crate::cli::table::{field, items, plain, print_record, print_table, table};
use crate::cli::values::{parse_duration, parse_moment, parse_past};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;

#[derive(Args, Debug)]
pub(super) struct KeysArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand, Debug)]
enum KeysCommand {
    /// Create a key and print its secret, which is shown only once
    #[command(after_help = "Example:\n  keyturn keys create --name billing --scope 'read:invoices/*' \
        --cidr 203.0.113.0/24 --expires-in 90d")]
    Create(Box<Create>),
    /// List keys, newest first
    #[command(after_help = "Examples:\n  keyturn keys list --status active --search billing\n  \
        keyturn keys list --view unused\n  keyturn keys list --scope read:invoices/2031 --cidr 203.0.113.7\n  \
        keyturn keys list --violates any --json | jq -r .id")]
    List(Box<List>),
    /// Find the keys that a secret, a token, an ID or a log line refers to, without using it
    #[command(after_help = "Examples:\n  keyturn keys lookup < leaked.log\n  wl-paste | keyturn keys lookup\n\n\
        The text is read from standard input, so it is in no shell history and no list of processes.")]
    Lookup {
        /// Read the text from this file instead of standard input
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
    /// Disable, enable or revoke many keys, or set their expiry
    #[command(
        after_help = "Examples:\n  keyturn keys bulk revoke --reason 'contract ended' 3kTMd9aB7xQ2LpZs 8fRq2Wv0Ye5Jh1Dc\n  \
        keyturn keys list --view no_expiry --json | jq -r .id | keyturn keys bulk set-expiry --expires-in 90d\n\n\
        Without IDs, they are read from standard input. Exits with 1 if any change fails."
    )]
    Bulk(Bulk),
    /// Show a key
    #[command(after_help = "Example:\n  keyturn keys show 3kTMd9aB7xQ2LpZs")]
    Show {
        /// ID of the key
        id: String,
    },
    /// Change a key's name, description, owner, customer, scopes, networks or expiry
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
    /// End the grace period of a rotation: the previous secret and its tokens stop working immediately
    #[command(after_help = "Example:\n  keyturn keys end-grace 3kTMd9aB7xQ2LpZs")]
    EndGrace {
        /// ID of the key
        id: String,
    },
    /// Extend the grace period of a rotation, up to the policy's maximum and the key's expiry
    #[command(after_help = "Example:\n  keyturn keys extend-grace 3kTMd9aB7xQ2LpZs --grace 7d\n\n\
        The length counts from the rotation.")]
    ExtendGrace {
        /// ID of the key
        id: String,
        /// New length of the grace period, counted from the rotation, such as 7d
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        grace: i64,
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
    /// List recent denials, the latest first: when, from where, for what, and why
    #[command(after_help = "Examples:\n  keyturn keys denials 3kTMd9aB7xQ2LpZs\n  \
        keyturn keys denials --request-id 9fKq2LpZs7xQ")]
    Denials {
        /// ID of the key; without it, the denials of all keys and of unknown ones are listed
        id: Option<String>,
        /// Only this reason, such as wrong_secret or api_key_ip_not_allowed
        #[arg(long)]
        reason: Option<String>,
        /// Only the request with this X-Request-Id
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        request_id: Option<String>,
        /// Only this client address
        #[arg(long)]
        address: Option<String>,
    },
    /// Explain, check by check, whether a key would be allowed; exits with 1 if not, or if a check was skipped
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
    /// Show the token that a request would return, and what common validators see of it; exits with 1 if it is denied
    #[command(after_help = "Example:\n  keyturn keys preview 3kTMd9aB7xQ2LpZs --audience https://orders.example.com \
        --scope orders.read")]
    Preview(Preview),
}

pub(super) async fn keys(arguments: KeysArguments) -> Result<(), CliError> {
    let KeysArguments { api, command } = arguments;
    let as_json = api.json;
    check_id(&command)?;
    let connect = || Client::connect(api.server);
    let key = match command {
        KeysCommand::List(arguments) => {
            let client = connect().await?;
            let customer = find_customer(&client, arguments.customer.as_deref()).await?;
            let mut query = arguments.query()?;
            query.extend(customer.map(|id| ("customer".to_owned(), id.to_string())));
            let query = query.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            return list(&client, "keys", query, as_json).await;
        }
        KeysCommand::Lookup { file } => {
            let text = key_search::read_text(file.as_deref())?;
            return key_search::lookup(&connect().await?, &text, as_json).await;
        }
        KeysCommand::Bulk(bulk) => {
            let (ids, body) = bulk.ids_and_body()?;
            return key_search::change_many(&connect().await?, &ids, &body, as_json).await;
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
                Some(id) => key_reports::usage_of(&client, &format!("keys/{id}/usage"), &query, as_json).await,
                None => key_reports::busiest_keys(&client, query, as_json).await,
            };
        }
        KeysCommand::Denials { id, reason, request_id, address } => {
            let given = [("key", id), ("reason", reason), ("request_id", request_id), ("address", address)];
            let query = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            return key_reports::denials(&connect().await?, query, as_json).await;
        }
        KeysCommand::Explain { id, address, action, resource, at } => {
            let input = json!({ "address": address, "action": action, "resource": resource, "at": at });
            let explained = connect().await?.call(Method::POST, &format!("keys/{id}/explain"), Some(&input)).await?;
            return key_reports::explain(&explained, as_json);
        }
        KeysCommand::Preview(preview) => {
            let (id, body) = preview.id_and_body();
            let preview = connect().await?.call(Method::POST, &format!("keys/{id}/token-preview"), Some(&body)).await?;
            return key_preview::print(&preview, as_json);
        }
        KeysCommand::Create(create) => {
            let customer = create.customer.clone();
            let mut body = create.body()?;
            let client = connect().await?;
            let customer = find_customer(&client, customer.as_deref()).await?;
            body.extend(customer.map(|id| ("customer".into(), id.to_string().into())));
            client.call(Method::POST, "keys", Some(&body.into())).await?
        }
        KeysCommand::Show { id } => connect().await?.get(&format!("keys/{id}"), &[]).await?,
        KeysCommand::Update(update) => {
            let customer = update.customer.clone();
            let (id, mut body) = update.id_and_body()?;
            let client = connect().await?;
            let customer = find_customer(&client, customer.as_deref()).await?;
            body.extend(customer.map(|id| ("customer".into(), id.to_string().into())));
            client.call(Method::PATCH, &format!("keys/{id}"), Some(&body.into())).await?
        }
        KeysCommand::Rotate { id, name, grace, expiry } => {
            let mut body = expiry.body();
            body.insert("grace_seconds".into(), grace.into());
            body.extend(name.map(|name| ("name".into(), name.into())));
            connect().await?.call(Method::POST, &format!("keys/{id}/rotate"), Some(&body.into())).await?
        }
        KeysCommand::EndGrace { id } => {
            connect().await?.call(Method::POST, &format!("keys/{id}/end-grace"), None).await?
        }
        KeysCommand::ExtendGrace { id, grace } => {
            let body = json!({ "grace_seconds": grace });
            connect().await?.call(Method::POST, &format!("keys/{id}/extend-grace"), Some(&body)).await?
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
        KeysCommand::Create(_)
        | KeysCommand::List(_)
        | KeysCommand::Stale { .. }
        | KeysCommand::Lookup { .. }
        | KeysCommand::Bulk(_) => return Ok(()),
        KeysCommand::Usage { id, .. } | KeysCommand::Denials { id, .. } => match id {
            Some(id) => id,
            None => return Ok(()),
        },
        KeysCommand::Update(update) => &update.id,
        KeysCommand::Show { id }
        | KeysCommand::Rotate { id, .. }
        | KeysCommand::EndGrace { id }
        | KeysCommand::ExtendGrace { id, .. }
        | KeysCommand::Revoke { id, .. }
        | KeysCommand::Disable { id }
        | KeysCommand::Enable { id }
        | KeysCommand::Preview(Preview { id, .. })
        | KeysCommand::Explain { id, .. } => id,
    };
    match KeyId::parse(id) {
        Some(_) => Ok(()),
        None => Err(CliError::Use(
            "ID: must be a key ID of 16 letters and digits: the part of the secret between the two underscores".into(),
        )),
    }
}

/// Returns the ID of a customer that is named by external ID or ID.
async fn find_customer(client: &Client, customer: Option<&str>) -> Result<Option<CustomerId>, CliError> {
    match customer {
        Some(customer) => customers::find_id(client, customer).await.map(Some),
        None => Ok(None),
    }
}

const COLUMNS: [&str; 7] = ["id", "name", "status", "hint", "scopes", "expires_at", "last_used_at"];

async fn list(client: &Client, rest: &str, query: Query<'_>, as_json: bool) -> Result<(), CliError> {
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
