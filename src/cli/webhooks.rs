//! `keyturn webhooks …`: webhooks on a running server.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::{Client, Query};
use crate::cli::credential::{ApiArguments, in_file};
use crate::cli::table::{field, items, plain, print_record, print_table, table, whole_seconds};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::webhook::{DeliveryId, WebhookId};

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
    /// List the deliveries of a webhook, newest first
    #[command(after_help = "Example:\n  keyturn webhooks deliveries WEBHOOK_ID --state dead")]
    Deliveries {
        /// ID of the webhook
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// Only deliveries in this state
        #[arg(long, default_value = "all", value_parser = ["all", "pending", "delivered", "dead"])]
        state: String,
    },
    /// Show a delivery: its request, and each attempt with its response
    #[command(after_help = "Example:\n  keyturn webhooks delivery WEBHOOK_ID DELIVERY_ID")]
    Delivery {
        /// ID of the webhook
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// ID of the delivery, which the receiver gets as webhook-id
        delivery: String,
    },
    /// Retry a delivery now: a failed one, or one that waits for its next attempt
    #[command(after_help = "Example:\n  keyturn webhooks retry WEBHOOK_ID DELIVERY_ID")]
    Retry {
        /// ID of the webhook
        #[arg(allow_hyphen_values = true)]
        id: String,
        /// ID of the delivery
        delivery: String,
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
        WebhooksCommand::Deliveries { id, state } => {
            let rest = format!("webhooks/{}/deliveries", parse_id(&id)?);
            deliveries(&connect().await?, &rest, vec![("state", state)], as_json).await
        }
        WebhooksCommand::Delivery { id, delivery } => {
            let (id, delivery) = (parse_id(&id)?, parse_delivery(&delivery)?);
            let shown = connect().await?.get(&format!("webhooks/{id}/deliveries/{delivery}"), &[]).await?;
            if as_json { print_json(&shown) } else { show_delivery(&shown) }
        }
        WebhooksCommand::Retry { id, delivery } => {
            let path = format!("webhooks/{}/deliveries/{}/retry", parse_id(&id)?, parse_delivery(&delivery)?);
            let queued = connect().await?.call(Method::POST, &path, None).await?;
            if as_json { print_json(&queued) } else { print_record(&queued, &[]) }
        }
    }
}

fn parse_delivery(text: &str) -> Result<DeliveryId, CliError> {
    DeliveryId::parse(text).ok_or_else(|| {
        CliError::Use("DELIVERY: must be a delivery ID, as `keyturn webhooks deliveries` prints it".into())
    })
}

async fn deliveries(client: &Client, rest: &str, query: Query<'_>, as_json: bool) -> Result<(), CliError> {
    const COLUMNS: [&str; 7] = ["id", "event", "state", "attempts", "last_error", "created_at", "next_attempt_at"];
    let mut table = table(&COLUMNS);
    let mut each = |delivery: &Value| {
        if as_json {
            return print_json(delivery);
        }
        table.add_row(COLUMNS.map(|name| field(delivery, name)));
        Ok(())
    };
    client.each_item(rest, query, &mut each).await?;
    if as_json { Ok(()) } else { print_table(&table) }
}

fn show_delivery(delivery: &Value) -> Result<(), CliError> {
    print_record(delivery, &["payload", "request_headers", "history"])?;
    let mut text = String::from("\nRequest:\n");
    add_headers(&mut text, delivery.get("request_headers"));
    add_body(&mut text, delivery.get("payload"));
    for attempt in items(delivery.get("history")) {
        let part = |name: &str| field(attempt, name);
        let at = whole_seconds(&part("at"));
        text.push_str(&format!("\nAttempt {} at {at}, {} ms: ", part("number"), part("duration_ms")));
        let error = part("error");
        text.push_str(&if error.is_empty() { format!("HTTP {}", part("status")) } else { error });
        text.push('\n');
        let Some(response) = attempt.get("response").filter(|response| response.is_object()) else { continue };
        add_headers(&mut text, response.get("headers"));
        match response.get("body") {
            Some(Value::Null) | None => text.push_str("  (not text)\n"),
            body => add_body(&mut text, body),
        }
        if response.get("truncated") == Some(&Value::Bool(true)) {
            text.push_str("  (truncated)\n");
        }
    }
    print_out(&text)
}

fn add_headers(text: &mut String, headers: Option<&Value>) {
    for header in items(headers) {
        let value = header.get("value").filter(|value| value.is_string());
        let value = value.map_or_else(|| "(not shown)".to_owned(), |value| plain(Some(value)));
        text.push_str(&format!("  {}: {value}\n", field(header, "name")));
    }
}

/// Adds a text line by line. A terminal would act on control characters.
fn add_body(text: &mut String, body: Option<&Value>) {
    for line in body.and_then(Value::as_str).unwrap_or_default().lines() {
        text.push_str(&format!("  {}\n", plain(Some(&line.replace('\t', "    ").into()))));
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
