//! Requests with an `Idempotency-Key`, and console forms, which are processed once even if they are repeated.

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::crypto::digest::sha256;
use crate::crypto::random;
use crate::crypto::sealing;
use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::slug::Slug;
use crate::keys::change::{KeyError, check_grant, load_to_change, tenant_of};
use crate::node::{Node, RESPONSE_SECONDS, Unavailable};
use crate::store::StoredResponse;

/// Digests of an `Idempotency-Key` and its request.
#[derive(Clone, Copy, Debug)]
pub struct IdempotentRequest {
    key: [u8; 32],
    request: [u8; 32],
    /// Whether the response, which contains the secret, can be repeated.
    repeats_response: bool,
}

/// Creates a ticket for a form that is processed once: 22 random characters.
pub fn ticket() -> Result<String, Unavailable> {
    Ok(random::identifier()?)
}

impl IdempotentRequest {
    /// Creates a request with this `Idempotency-Key`. `target` identifies the operation and its object.
    pub fn new(key: &str, target: &str, body: &[u8]) -> Self {
        let request = Zeroizing::new([target.as_bytes(), b"\0", body].concat());
        Self { key: sha256(key.as_bytes()), request: sha256(&request), repeats_response: true }
    }

    /// Creates a form that is processed once, regardless of its contents when it is submitted again. The secret is not
    /// shown a second time.
    pub fn form(ticket: &str, target: &str) -> Self {
        Self { repeats_response: false, ..Self::new(ticket, target, b"") }
    }

    /// Returns the response to be stored with the change.
    pub(super) fn response(
        &self,
        node: &Node,
        by: &ChangeContext,
        id: &KeyId,
        text: &KeyText,
    ) -> Result<StoredResponse, KeyError> {
        let stored = if self.repeats_response { text.reveal() } else { Zeroizing::default() };
        let sealed = sealing::seal(&node.master_keys, &self.name(by), stored.as_bytes());
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

    /// Returns the previous response if the request was processed before.
    pub(super) async fn previous_response(
        &self,
        node: &Node,
        organization: &Slug,
        by: &ChangeContext,
    ) -> Result<Option<(ApiKey, KeyText)>, KeyError> {
        let since = by.now.plus_seconds(-RESPONSE_SECONDS);
        let Some(known) = node.store.stored_response(&by.actor, &self.key, since).await? else { return Ok(None) };
        if known.request != self.request {
            return Err(KeyError::OtherRequest);
        }
        if !self.repeats_response {
            node.settle_key(&known.key).await?;
            return Err(KeyError::AlreadyDone(known.key));
        }
        let conflict =
            |reason: &str| KeyError::Conflict(format!("the request was processed before, but {reason}; check the key"));
        // Repeating the secret is a grant: a token may have fewer rights than its key, and the member may have had a
        // higher role.
        let key = load_to_change(node, organization, by, &known.key, None).await?;
        check_grant(by, &tenant_of(node, organization).await?.shared, &key)?;
        if key.rotated_at.unwrap_or(key.created_at) != known.at {
            return Err(conflict(
                "the key has been rotated since, so its secret from that time is no longer the current one",
            ));
        }
        let plain = sealing::open(&node.master_keys, &self.name(by), &known.sealed)
            .map_err(|_| conflict("its secret can no longer be decrypted, because the master key was changed"))?;
        let text = std::str::from_utf8(&plain).ok().and_then(|text| KeyText::parse(text).ok());
        let text = text.ok_or_else(|| conflict("the stored secret is not valid"))?;
        // Another node's write may not be effective everywhere yet.
        node.settle_key(&known.key).await?;
        Ok(Some((key, text)))
    }

    fn name(&self, by: &ChangeContext) -> String {
        format!("answer to {} {}", by.actor, HEXLOWER.encode(&self.key))
    }
}
