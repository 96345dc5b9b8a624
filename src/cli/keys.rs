//! `keyturn keys …`: managing API keys on a running server.

use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::{Client, ServerArguments};
use crate::cli::{CliError, print_out};

#[derive(Args, Debug)]
pub(super) struct KeysArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Print JSON as the API gives it.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand, Debug)]
enum KeysCommand {
    /// Create a key; its text is shown once.
    Create {
        #[arg(long, default_value = "")]
        name: String,
        #[arg(long, default_value = "")]
        description: String,
        /// A scope: action:resource, like read:projects/acme/*, or an action alone for every resource; may be repeated.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// A network like 10.0.0.0/8, or an address; may be repeated.
        #[arg(long = "cidr", value_name = "CIDR")]
        cidrs: Vec<String>,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// List keys, newest first.
    List {
        /// all, active, expired, disabled or revoked.
        #[arg(long, default_value = "all")]
        status: String,
        /// Part of the name.
        #[arg(long)]
        search: Option<String>,
    },
    /// Show a key.
    Show { id: String },
    /// Give a key a new secret; its text is shown once.
    Rotate {
        id: String,
        #[arg(long)]
        name: Option<String>,
        /// How long the old secret still works, in seconds.
        #[arg(long, default_value_t = 0)]
        grace_seconds: u32,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// Revoke a key for good.
    Revoke {
        id: String,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Suspend a key.
    Disable { id: String },
    /// Let a suspended key be used again.
    Enable { id: String },
    /// Tell whether a key may, check by check; exit code 1 where it may not.
    Explain {
        id: String,
        /// Where the caller would be, like 203.0.113.7.
        #[arg(long, value_name = "ADDRESS")]
        address: String,
        /// What would be done, like read.
        #[arg(long, requires = "resource", value_name = "ACTION")]
        action: Option<String>,
        /// To what, like projects/acme/db.
        #[arg(long, requires = "action", value_name = "RESOURCE")]
        resource: Option<String>,
        /// When, like 2030-01-31T00:00:00Z; now without it.
        #[arg(long, value_name = "DATE")]
        at: Option<String>,
    },
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct Expiry {
    /// When the key ends, like 2030-01-31T00:00:00Z.
    #[arg(long, value_name = "DATE")]
    expires_at: Option<String>,
    /// How long the key lives, in seconds.
    #[arg(long, value_name = "SECONDS")]
    expires_in_seconds: Option<i64>,
}

pub(super) async fn keys(arguments: KeysArguments) -> Result<(), CliError> {
    let KeysArguments { server, json, command } = arguments;
    if let KeysCommand::Show { id }
    | KeysCommand::Rotate { id, .. }
    | KeysCommand::Revoke { id, .. }
    | KeysCommand::Disable { id }
    | KeysCommand::Enable { id }
    | KeysCommand::Explain { id, .. } = &command
        && crate::domain::key_text::KeyId::parse(id).is_none()
    {
        return Err(CliError::Use(
            "a key's id is 16 letters and digits, the part of the key text between the two underscores".into(),
        ));
    }
    let client = Client::connect(server).await?;
    let key = match command {
        KeysCommand::List { status, search } => return list(&client, status, search, json).await,
        KeysCommand::Create { name, description, scopes, cidrs, expiry } => {
            let mut body = expiry.body();
            body.insert("name".into(), name.into());
            body.insert("description".into(), description.into());
            body.insert("allowed_cidrs".into(), cidrs.into());
            body.insert("scopes".into(), scopes.into());
            client.keys(Method::POST, "", &[], Some(body.into())).await?
        }
        KeysCommand::Show { id } => client.keys(Method::GET, &format!("/{id}"), &[], None).await?,
        KeysCommand::Rotate { id, name, grace_seconds, expiry } => {
            let mut body = expiry.body();
            body.insert("grace_seconds".into(), grace_seconds.into());
            if let Some(name) = name {
                body.insert("name".into(), name.into());
            }
            client.keys(Method::POST, &format!("/{id}/rotate"), &[], Some(body.into())).await?
        }
        KeysCommand::Revoke { id, reason } => {
            client.keys(Method::POST, &format!("/{id}/revoke"), &[], Some(json!({ "reason": reason }))).await?
        }
        KeysCommand::Disable { id } => client.keys(Method::POST, &format!("/{id}/disable"), &[], None).await?,
        KeysCommand::Enable { id } => client.keys(Method::POST, &format!("/{id}/enable"), &[], None).await?,
        KeysCommand::Explain { id, address, action, resource, at } => {
            let question = json!({ "address": address, "action": action, "resource": resource, "at": at });
            let answer = client.keys(Method::POST, &format!("/{id}/explain"), &[], Some(question)).await?;
            return explained(&answer, json);
        }
    };
    if json { print_out(&format!("{key}\n")) } else { show(&key) }
}

impl Expiry {
    fn body(self) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(date) = self.expires_at {
            body.insert("expires_at".into(), date.into());
        }
        if let Some(seconds) = self.expires_in_seconds {
            body.insert("expires_in_seconds".into(), seconds.into());
        }
        body
    }
}

async fn list(client: &Client, status: String, search: Option<String>, as_json: bool) -> Result<(), CliError> {
    let mut query = vec![("status", status), ("limit", "200".to_owned())];
    query.extend(search.map(|search| ("search", search)));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["id", "name", "status", "hint", "scopes", "expires", "last used"]);
    loop {
        let page = client.keys(Method::GET, "", &query, None).await?;
        for key in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            if as_json {
                print_out(&format!("{key}\n"))?;
            }
            let field = |name: &str| plain(key.get(name));
            table.add_row([
                field("id"),
                field("name"),
                field("status"),
                field("hint"),
                scopes(key),
                field("expires_at"),
                field("last_used_at"),
            ]);
        }
        let Some(next) = page.get("next_cursor").and_then(Value::as_str) else { break };
        query.retain(|(name, _)| *name != "cursor");
        query.push(("cursor", next.to_owned()));
    }
    if !as_json {
        print_out(&format!("{table}\n"))?;
    }
    Ok(())
}

fn show(key: &Value) -> Result<(), CliError> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in key.as_object().into_iter().flatten() {
        let text = if name == "scopes" { scopes(key) } else { plain(Some(value)) };
        if !text.is_empty() && name != "secret" {
            table.add_row([name.clone(), text]);
        }
    }
    print_out(&format!("{table}\n"))?;
    match key.get("secret").and_then(Value::as_str) {
        Some(secret) => print_out(&format!("\nThe key text is shown this once:\n\n  {secret}\n")),
        None => Ok(()),
    }
}

/// Prints each check; refused where one has failed.
fn explained(answer: &Value, as_json: bool) -> Result<(), CliError> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut failed = None;
    for check in answer.get("checks").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| plain(check.get(name));
        if field("outcome") == "failed" {
            failed = Some(format!("refused by the check of {}: {}", field("check"), field("detail")));
        }
        table.add_row([field("check"), field("outcome").replace('_', " "), field("detail")]);
    }
    print_out(&if as_json { format!("{answer}\n") } else { format!("{table}\n") })?;
    match (answer.get("allowed").and_then(Value::as_bool), failed) {
        (Some(true), None) => Ok(()),
        (_, failed) => Err(CliError::Failed(failed.unwrap_or_else(|| "refused".into()))),
    }
}

fn scopes(key: &Value) -> String {
    let text = |scope: &Value| format!("{}:{}", plain(scope.get("action")), plain(scope.get("resource")));
    let scopes: Vec<_> = key.get("scopes").and_then(Value::as_array).into_iter().flatten().map(text).collect();
    scopes.join(" ")
}

/// A JSON value for a table. Control characters in names are not sent to the terminal.
fn plain(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| plain(Some(item))).collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
