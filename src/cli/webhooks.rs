//! `keyturn webhooks …`: webhooks on a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::credential::{ApiArguments, in_file};
use crate::cli::table::{field, print_record, print_table, table};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::webhook::WebhookId;

#[derive(Args, Debug)]
pub(super) struct WebhooksArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: WebhooksCommand,
}

#[derive(Subcommand, Debug)]
enum WebhooksCommand {
    /// List webhooks
    #[command(after_help = "Example:\n  keyturn webhooks list")]
    List,
    /// Create a webhook and print the secret that signs its deliveries, which is shown only once
    #[command(
        after_help = "Example:\n  keyturn webhooks create --url https://hooks.example/keyturn --event key.revoked \
        --event key.expiring\n\n\
        If the URL contains a token, use --url-file: other users of this machine can see arguments."
    )]
    Create {
        /// URL that receives the events
        #[arg(long, required_unless_present = "url_file", conflicts_with = "url_file")]
        url: Option<String>,
        /// File that contains the URL
        #[arg(long, value_name = "FILE")]
        url_file: Option<PathBuf>,
        /// Event to deliver, such as key.revoked. Can be repeated
        #[arg(long = "event", value_name = "EVENT", required = true)]
        events: Vec<String>,
        /// What the webhook is for
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// Remove a webhook and its pending deliveries
    #[command(after_help = "Example:\n  keyturn webhooks remove WEBHOOK_ID")]
    Remove {
        /// ID of the webhook
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Queue a test delivery
    #[command(after_help = "Example:\n  keyturn webhooks test WEBHOOK_ID")]
    Test {
        /// ID of the webhook
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
}

pub(super) async fn webhooks(arguments: WebhooksArguments) -> Result<(), CliError> {
    let WebhooksArguments { api, command } = arguments;
    let as_json = api.json;
    let connect = || Client::connect(api.server);
    match command {
        WebhooksCommand::List => list(&connect().await?, as_json).await,
        WebhooksCommand::Create { url, url_file, events, description } => {
            let url = match url_file {
                Some(path) => Some(in_file("--url-file", &path)?.to_string()),
                None => url,
            };
            let body = json!({ "url": url, "events": events, "description": description });
            let webhook = connect().await?.call(Method::POST, "webhooks", Some(&body)).await?;
            if as_json { print_json(&webhook) } else { show(&webhook) }
        }
        WebhooksCommand::Remove { id } => {
            let id = parse_id(&id)?;
            connect().await?.call(Method::DELETE, &format!("webhooks/{id}"), None).await?;
            if as_json {
                print_json(&json!({ "id": id.to_string() }))
            } else {
                print_out(&format!("Removed webhook {id}.\n"))
            }
        }
        WebhooksCommand::Test { id } => {
            let id = parse_id(&id)?;
            let delivery = connect().await?.call(Method::POST, &format!("webhooks/{id}/test"), None).await?;
            if as_json { print_json(&delivery) } else { print_record(&delivery, &[]) }
        }
    }
}

fn parse_id(text: &str) -> Result<WebhookId, CliError> {
    WebhookId::parse(text)
        .ok_or_else(|| CliError::Use("ID: must be a webhook ID, as `keyturn webhooks list` prints it".into()))
}

async fn list(client: &Client, as_json: bool) -> Result<(), CliError> {
    const COLUMNS: [&str; 5] = ["id", "origin", "state", "events", "description"];
    let mut table = table(&COLUMNS);
    for webhook in client.list("webhooks").await? {
        if as_json {
            print_json(&webhook)?;
        }
        table.add_row(COLUMNS.map(|name| field(&webhook, name)));
    }
    if as_json { Ok(()) } else { print_table(&table) }
}

fn show(webhook: &Value) -> Result<(), CliError> {
    print_record(webhook, &["secret", "url"])?;
    match webhook.get("secret").and_then(Value::as_str) {
        Some(secret) => print_out(&format!("\nThe secret is shown only once:\n\n  {secret}\n")),
        None => Ok(()),
    }
}
