//! JSON of webhooks.

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::rfc3339;
use crate::domain::destination::Destination;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Webhook, WebhookState};

/// A webhook. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(super) struct WebhookJson {
    id: String,
    organization: String,
    /// Scheme, host and port of the URL.
    origin: String,
    /// The first 16 hexadecimal digits of the URL's SHA-256. It changes with the URL.
    url_digest: String,
    /// The whole URL. Only for callers with `admin:keyturn/webhooks`, because it may contain a token.
    url: Option<String>,
    /// The names of the custom headers. Their values are never shown.
    header_names: Vec<String>,
    description: String,
    events: Vec<String>,
    state: &'static str,
    disabled_reason: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    previous_secret_until: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    created_by: String,
    version: u64,
    /// The secret. Only in responses that create or rotate it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl WebhookJson {
    /// Returns a webhook as of a time, with its whole URL if the caller can see it.
    pub(super) fn new(webhook: &Webhook, url: Option<Destination>, now: Timestamp) -> Self {
        let (state, disabled_reason) = match &webhook.state {
            WebhookState::Enabled => ("enabled", None),
            WebhookState::Disabled { reason } => ("disabled", reason.clone()),
        };
        Self {
            id: webhook.id.to_string(),
            organization: webhook.organization.to_string(),
            origin: webhook.url.origin.clone(),
            url_digest: webhook.url.digest.clone(),
            url: url.map(|url| url.url().to_string()),
            header_names: webhook.header_names().to_vec(),
            description: webhook.description.clone(),
            events: webhook.events.patterns().to_vec(),
            state,
            disabled_reason,
            previous_secret_until: webhook.previous_until.filter(|until| now < *until).map(rfc3339),
            created_at: rfc3339(webhook.created_at),
            created_by: webhook.created_by.clone(),
            version: webhook.version,
            secret: None,
        }
    }

    /// Returns a webhook with its secret, which is shown once.
    pub(super) fn with_secret(webhook: &Webhook, url: Option<Destination>, secret: &str, now: Timestamp) -> Self {
        Self { secret: Some(secret.to_owned()), ..Self::new(webhook, url, now) }
    }
}
