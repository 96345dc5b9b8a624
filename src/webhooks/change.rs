//! Creating, editing and removing webhooks, and rotating their secrets.

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

/// What a webhook is to be.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Where it goes.
    pub destination: Destination,
    /// Headers that are sent beside the signature.
    pub headers: CustomHeaders,
    /// Description; may be empty.
    pub description: String,
    /// What it is told.
    pub events: EventFilter,
}

/// What to change of a webhook; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookUpdate {
    /// Where events are sent.
    pub destination: Option<Destination>,
    /// Headers that are sent beside the signature, all of them.
    pub headers: Option<CustomHeaders>,
    /// Description.
    pub description: Option<String>,
    /// Which events are sent.
    pub events: Option<EventFilter>,
    /// Whether events are sent.
    pub state: Option<WebhookState>,
}

/// Why something was not done.
#[derive(Debug)]
pub enum WebhookError {
    /// No such webhook or delivery, or none that this caller may see.
    NotFound,
    /// The webhook was changed since the version that the caller saw.
    PreconditionFailed,
    /// The state does not allow it, or somebody changed it meanwhile.
    Conflict(String),
    /// It could not be done now.
    Unavailable(Unavailable),
    /// Its secrets cannot be sealed or opened.
    Sealing(SealError),
}

impl<E: Into<Unavailable>> From<E> for WebhookError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// The webhooks of an organization, oldest first.
pub async fn list(node: &Node, organization: &Slug) -> Result<Vec<Webhook>, WebhookError> {
    Ok(node.store.webhooks(organization).await?)
}

/// The webhook of that id in that organization.
pub async fn find(node: &Node, organization: &Slug, id: &WebhookId) -> Result<Webhook, WebhookError> {
    node.store.webhook(organization, id).await?.ok_or(WebhookError::NotFound)
}

/// Makes a webhook and gives its secret, the only time that it is shown.
pub async fn create(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewWebhook,
) -> Result<(Webhook, Zeroizing<String>), WebhookError> {
    // 1. Its secret, its URL and its headers, sealed under its name.
    let id = WebhookId::parse(&random::identifier()?).ok_or(WebhookError::NotFound)?;
    let secret = WebhookSecret::generate()?;
    let shown = secret.reveal();
    let plain = WebhookSecrets::new(secret).to_bytes();
    let sealed = sealing::seal(&node.master_keys, &id.seal_name(), &plain).map_err(WebhookError::Sealing)?;
    let url = webhook_url::seal(&node.master_keys, &id, &new.destination).map_err(WebhookError::Sealing)?;
    let headers = webhook_headers::seal(&node.master_keys, &id, &new.headers).map_err(WebhookError::Sealing)?;

    // 2. The write, under the limit.
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
    Ok((webhook, shown))
}

/// Edits a webhook. An edit that changes nothing is none.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    (id, version): (&WebhookId, Option<u64>),
    update: WebhookUpdate,
) -> Result<Webhook, WebhookError> {
    let old = load(node, organization, id, version).await?;
    let is_elsewhere = update.destination.as_ref().is_some_and(|new| new.to_string() != old.url.origin);
    if is_elsewhere && old.headers.is_some() && update.headers.is_none() {
        // Or whoever may edit a webhook could have its headers sent to themselves.
        return Err(WebhookError::Conflict(
            "the webhook has headers for its present origin; give headers again for the new one, or {} to remove them"
                .into(),
        ));
    }
    let destination = update.destination.filter(|new| url(node, &old).as_ref() != Some(new));
    let sealed = destination.map(|destination| webhook_url::seal(&node.master_keys, id, &destination)).transpose();
    // Sealed anew, the same headers would look like others. Headers that do not open are replaced.
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

/// Gives a webhook a new secret, shown this once. What is sent within the next day is signed with the one before as
/// well; one from before that is used no more.
pub async fn rotate_secret(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    (id, version): (&WebhookId, Option<u64>),
) -> Result<(Webhook, Zeroizing<String>), WebhookError> {
    let old = load(node, organization, id, version).await?;
    let secret = WebhookSecret::generate()?;
    let shown = secret.reveal();
    let next = secrets(node, &old)?.rotate(secret).to_bytes();
    let sealed = sealing::seal(&node.master_keys, &id.seal_name(), &next).map_err(WebhookError::Sealing)?;
    let new = old.clone().rotate(sealed, by.now);
    Ok((write(node, by, action::WEBHOOK_ROTATE_SECRET, &old, new).await?, shown))
}

/// Removes a webhook, and what was on its way to it.
pub async fn remove(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    (id, version): (&WebhookId, Option<u64>),
) -> Result<(), WebhookError> {
    let webhook = load(node, organization, id, version).await?;
    let entry = AuditEntry::of(by, action::WEBHOOK_DELETE, id, Some(audit_value(&webhook)), None);
    node.change(&entry, Affects::Nothing, node.store.delete_webhook(&webhook, &entry)).await.map_err(not_changed)
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
    node.change(&entry, Affects::Nothing, node.store.update_webhook(&new, &entry)).await.map_err(not_changed)?;
    Ok(new)
}

/// Returns the whole URL of a webhook, for those who may manage webhooks; `None` if it cannot be decrypted.
pub fn url(node: &Node, webhook: &Webhook) -> Option<Destination> {
    let opened = webhook_url::open(&node.master_keys, &webhook.id, &webhook.url);
    opened.inspect_err(|error| tracing::error!(%error, webhook = %webhook.id, "failed to decrypt a webhook's URL")).ok()
}

/// The custom headers of a webhook.
pub(super) fn headers(node: &Node, webhook: &Webhook) -> Result<CustomHeaders, WebhookError> {
    let opened = webhook_headers::open(&node.master_keys, &webhook.id, webhook.headers.as_ref());
    opened.map_err(WebhookError::Sealing)
}

/// The secrets of a webhook.
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

fn not_changed(error: ChangeError) -> WebhookError {
    match error {
        ChangeError::Unavailable(cause) => WebhookError::Unavailable(cause),
        ChangeError::Refused(_) => {
            WebhookError::Conflict("someone else changed this webhook at the same time; reload it and try again".into())
        }
    }
}

/// A webhook as audit entries and events show it: all that can change, without its secrets. Of the URL there is the
/// origin, and a digest that tells whether the rest was changed.
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
