//! Creates, edits and deletes webhooks, and rotates their secrets.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::crypto::random;
use crate::crypto::sealing::{self, SealError};
use crate::crypto::webhook_secret::{WebhookSecret, WebhookSecrets};
use crate::crypto::{webhook_headers, webhook_url};
use crate::domain::authority::ChangeContext;
use crate::domain::destination::Destination;
use crate::domain::event::EventFilter;
use crate::domain::slug::Slug;
use crate::domain::webhook::{MAX_WEBHOOKS, Webhook, WebhookEdit, WebhookId, WebhookState};
use crate::domain::webhook_headers::CustomHeaders;
use crate::node::{Affects, ChangeError, Node, Unavailable};
use crate::store::{AuditEntry, action};

/// Fields of a new webhook.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    pub destination: Destination,
    /// Custom headers.
    pub headers: CustomHeaders,
    /// Can be empty.
    pub description: String,
    pub events: EventFilter,
}

/// Changes to a webhook; `None` keeps a field.
#[derive(Clone, Debug, Default)]
pub struct WebhookUpdate {
    pub destination: Option<Destination>,
    /// Replaces all custom headers.
    pub headers: Option<CustomHeaders>,
    pub description: Option<String>,
    pub events: Option<EventFilter>,
    pub state: Option<WebhookState>,
}

/// Reason why a change was not made.
#[derive(Debug)]
pub enum WebhookError {
    /// The webhook or delivery does not exist, or is not visible to the caller.
    NotFound,
    /// The webhook has changed since the version that the caller expects.
    PreconditionFailed,
    /// The state does not allow the change, or it changed at the same time.
    Conflict(String),
    /// It could not be done now.
    Unavailable(Unavailable),
    /// Its secrets cannot be encrypted or decrypted.
    Sealing(SealError),
}

impl<E: Into<Unavailable>> From<E> for WebhookError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Returns an organization's webhooks, oldest first.
pub async fn list(node: &Node, organization: &Slug) -> Result<Vec<Webhook>, WebhookError> {
    Ok(node.store.webhooks(organization).await?)
}

/// Returns a webhook of an organization.
pub async fn find(node: &Node, organization: &Slug, id: &WebhookId) -> Result<Webhook, WebhookError> {
    node.store.webhook(organization, id).await?.ok_or(WebhookError::NotFound)
}

/// Creates a webhook. Returns its secret, which is not available later.
pub async fn create(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewWebhook,
) -> Result<(Webhook, Zeroizing<String>), WebhookError> {
    // 1. Secret, URL and headers, encrypted under the webhook's ID.
    let id = WebhookId::parse(&random::identifier()?).ok_or(WebhookError::NotFound)?;
    let secret = WebhookSecret::generate()?;
    let revealed = secret.reveal();
    let plain = WebhookSecrets::new(secret).to_bytes();
    let sealed = sealing::seal(&node.master_keys, &id.seal_name(), &plain).map_err(WebhookError::Sealing)?;
    let url = webhook_url::seal(&node.master_keys, &id, &new.destination).map_err(WebhookError::Sealing)?;
    let headers = webhook_headers::seal(&node.master_keys, &id, &new.headers).map_err(WebhookError::Sealing)?;

    // 2. The write, which checks the limit.
    let webhook = Webhook {
        id,
        organization: organization.clone(),
        url,
        headers,
        description: new.description,
        events: new.events,
        state: WebhookState::Enabled,
        sealed,
        previous_until: None,
        created_at: by.now,
        created_by: by.actor.clone(),
        version: 1,
    };
    let entry = AuditEntry::of(by, action::WEBHOOK_CREATE, &webhook.id, None, Some(audit_value(&webhook)));
    let write = node.store.insert_webhook(&webhook, MAX_WEBHOOKS, &entry);
    match node.change(&entry, Affects::Nothing, write).await {
        Err(ChangeError::Refused(_)) => {
            return Err(WebhookError::Conflict(format!(
                "webhook limit reached ({MAX_WEBHOOKS}); delete one you no longer need"
            )));
        }
        written => written?,
    }
    Ok((webhook, revealed))
}

/// Edits a webhook. Returns it unchanged if the edit has no effect.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    (id, version): (&WebhookId, Option<u64>),
    update: WebhookUpdate,
) -> Result<Webhook, WebhookError> {
    let old = load(node, organization, id, version).await?;
    let has_new_origin = update.destination.as_ref().is_some_and(|new| new.to_string() != old.url.origin);
    if has_new_origin && old.headers.is_some() && update.headers.is_none() {
        // Otherwise anyone who may edit a webhook could send its headers to their own server.
        return Err(WebhookError::Conflict(
            "headers: required for the new origin; the existing ones were set for the current origin. Set headers again, or {} to remove them"
                .into(),
        ));
    }
    let destination = update.destination.filter(|new| url(node, &old).as_ref() != Some(new));
    let sealed = destination.map(|destination| webhook_url::seal(&node.master_keys, id, &destination)).transpose();
    // Encrypting unchanged headers again would look like a change. Headers that cannot be decrypted are replaced.
    let given = update.headers.filter(|new| headers(node, &old).ok().as_ref() != Some(new));
    let resealed = given.map(|headers| webhook_headers::seal(&node.master_keys, id, &headers)).transpose();
    let edit = WebhookEdit {
        url: sealed.map_err(WebhookError::Sealing)?,
        headers: resealed.map_err(WebhookError::Sealing)?,
        description: update.description,
        events: update.events,
        state: update.state,
    };
    match old.clone().edit(edit) {
        Some(new) => write(node, by, action::WEBHOOK_EDIT, &old, new).await,
        None => Ok(old),
    }
}

/// Rotates a webhook's secret. Returns the new one, which is not available later. Deliveries are also signed with the
/// previous secret for a day; an older one is no longer used.
pub async fn rotate_secret(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    (id, version): (&WebhookId, Option<u64>),
) -> Result<(Webhook, Zeroizing<String>), WebhookError> {
    let old = load(node, organization, id, version).await?;
    let secret = WebhookSecret::generate()?;
    let revealed = secret.reveal();
    let next = secrets(node, &old)?.rotate(secret).to_bytes();
    let sealed = sealing::seal(&node.master_keys, &id.seal_name(), &next).map_err(WebhookError::Sealing)?;
    let new = old.clone().rotate(sealed, by.now);
    Ok((write(node, by, action::WEBHOOK_ROTATE_SECRET, &old, new).await?, revealed))
}

/// Deletes a webhook and its queued deliveries.
pub async fn remove(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    (id, version): (&WebhookId, Option<u64>),
) -> Result<(), WebhookError> {
    let webhook = load(node, organization, id, version).await?;
    let entry = AuditEntry::of(by, action::WEBHOOK_DELETE, id, Some(audit_value(&webhook)), None);
    node.change(&entry, Affects::Nothing, node.store.delete_webhook(&webhook, &entry)).await.map_err(webhook_error)
}

/// Writes the next version of a webhook.
pub(super) async fn write(
    node: &Node,
    by: &ChangeContext,
    action: &'static str,
    old: &Webhook,
    new: Webhook,
) -> Result<Webhook, WebhookError> {
    let entry = AuditEntry::of(by, action, &new.id, Some(audit_value(old)), Some(audit_value(&new)));
    node.change(&entry, Affects::Nothing, node.store.update_webhook(&new, &entry)).await.map_err(webhook_error)?;
    Ok(new)
}

/// Returns the complete URL of a webhook, for callers that may manage webhooks; `None` if it cannot be decrypted.
pub fn url(node: &Node, webhook: &Webhook) -> Option<Destination> {
    let opened = webhook_url::open(&node.master_keys, &webhook.id, &webhook.url);
    opened.inspect_err(|error| tracing::error!(%error, webhook = %webhook.id, "failed to decrypt a webhook's URL")).ok()
}

/// Decrypts the custom headers of a webhook.
pub(super) fn headers(node: &Node, webhook: &Webhook) -> Result<CustomHeaders, WebhookError> {
    let opened = webhook_headers::open(&node.master_keys, &webhook.id, webhook.headers.as_ref());
    opened.map_err(WebhookError::Sealing)
}

/// Decrypts the secrets of a webhook.
pub(super) fn secrets(node: &Node, webhook: &Webhook) -> Result<WebhookSecrets, WebhookError> {
    let plain = sealing::open(&node.master_keys, &webhook.id.seal_name(), &webhook.sealed);
    WebhookSecrets::from_bytes(&plain.map_err(WebhookError::Sealing)?).ok_or(WebhookError::Sealing(SealError::Broken))
}

async fn load(node: &Node, organization: &Slug, id: &WebhookId, version: Option<u64>) -> Result<Webhook, WebhookError> {
    let webhook = find(node, organization, id).await?;
    if version.is_some_and(|version| version != webhook.version) {
        return Err(WebhookError::PreconditionFailed);
    }
    Ok(webhook)
}

fn webhook_error(error: ChangeError) -> WebhookError {
    match error {
        ChangeError::Unavailable(cause) => WebhookError::Unavailable(cause),
        ChangeError::Refused(_) => {
            WebhookError::Conflict("someone else changed this webhook at the same time; reload it and try again".into())
        }
    }
}

/// Returns a webhook for audit entries and events: everything that can change, without secrets. The URL is represented
/// by its origin and a digest that shows whether the rest changed.
fn audit_value(webhook: &Webhook) -> Value {
    let (state, reason) = match &webhook.state {
        WebhookState::Enabled => ("enabled", None),
        WebhookState::Disabled { reason } => ("disabled", reason.as_deref()),
    };
    json!({
        "origin": webhook.url.origin,
        "url_digest": webhook.url.digest,
        "header_names": webhook.header_names(),
        "description": webhook.description,
        "events": webhook.events.patterns(),
        "state": state,
        "disabled_reason": reason,
        "previous_secret_until": webhook.previous_until.map(crate::clock::rfc3339),
        "version": webhook.version,
    })
}
