//! Requests that are carried out once, however often they are sent: those with an `Idempotency-Key`.

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::crypto::digest::sha256;
use crate::crypto::random;
use crate::crypto::sealing;
use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::slug::Slug;
use crate::keys::change::{KeyError, load_to_change, may_hand_out};
use crate::node::{ANSWERS_KEPT_SECONDS, Node, Unavailable};
use crate::store::StoredResponse;

/// A request by its `Idempotency-Key`, as digests: neither is kept.
#[derive(Clone, Copy, Debug)]
pub struct IdempotentRequest {
    key: [u8; 32],
    request: [u8; 32],
    /// Whether the answer, with the secret in it, is given again.
    answers_again: bool,
}

/// What names a form that is carried out once: 22 random characters.
pub fn ticket() -> Result<String, Unavailable> {
    Ok(random::identifier()?)
}

impl IdempotentRequest {
    /// The request of that `Idempotency-Key`: what it asks for and of what.
    pub fn new(key: &str, target: &str, body: &[u8]) -> Self {
        let request = Zeroizing::new([target.as_bytes(), b"\0", body].concat());
        Self { key: sha256(key.as_bytes()), request: sha256(&request), answers_again: true }
    }

    /// A form that is carried out once, whatever is in it when it is sent again: the secret that it made is shown to
    /// nobody a second time.
    pub fn form(ticket: &str, target: &str) -> Self {
        Self { answers_again: false, ..Self::new(ticket, target, b"") }
    }

    /// What is written beside the change, so that its answer can be given again.
    pub(super) fn remember(
        &self,
        node: &Node,
        by: &ChangeContext,
        id: &KeyId,
        text: &KeyText,
    ) -> Result<StoredResponse, KeyError> {
        let kept = if self.answers_again { text.reveal() } else { Zeroizing::default() };
        let sealed = sealing::seal(&node.master_keys, &self.name(by), kept.as_bytes());
        let sealed = sealed.map_err(|_| Unavailable::Sealing)?;
        Ok(StoredResponse {
            caller: by.actor.clone(),
            digest: self.key,
            request: self.request,
            key: *id,
            sealed,
            at: by.now,
        })
    }

    /// The answer that was given, if the request was carried out before.
    pub(super) async fn recall(
        &self,
        node: &Node,
        organization: &Slug,
        by: &ChangeContext,
    ) -> Result<Option<(ApiKey, KeyText)>, KeyError> {
        let since = by.now.plus_seconds(-ANSWERS_KEPT_SECONDS);
        let Some(known) = node.store.remembered(&by.actor, &self.key, since).await? else { return Ok(None) };
        if known.request != self.request {
            return Err(KeyError::OtherRequest);
        }
        if !self.answers_again {
            node.settle_what_is_written(&known.key).await?;
            return Err(KeyError::AlreadyDone(known.key));
        }
        let gone = |what: &str| KeyError::Conflict(format!("this was done before, but {what}; look at the key"));
        // Whoever shows the secret again hands it out again: a token may carry less than the key it is of, and a
        // person may have had a higher role.
        let key = load_to_change(node, organization, by, &known.key, None).await?;
        may_hand_out(by, &key)?;
        if key.rotated_at.unwrap_or(key.created_at) != known.at {
            return Err(gone("the key was rotated since, and the secret of then is no longer its own"));
        }
        let plain = sealing::open(&node.master_keys, &self.name(by), &known.sealed)
            .map_err(|_| gone("the secret can no longer be shown, since the master key was changed"))?;
        let text = std::str::from_utf8(&plain).ok().and_then(|text| KeyText::parse(text).ok());
        let text = text.ok_or_else(|| gone("the secret can no longer be read"))?;
        // What another node has written may not be in force everywhere yet.
        node.settle_what_is_written(&known.key).await?;
        Ok(Some((key, text)))
    }

    fn name(&self, by: &ChangeContext) -> String {
        format!("answer to {} {}", by.actor, HEXLOWER.encode(&self.key))
    }
}
