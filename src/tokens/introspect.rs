//! Introspection (RFC 7662): whether a token or a secret of the caller's organization is valid now.

use serde_json::{Map, Value};

use crate::domain::api_key::ApiKey;
use crate::domain::attribute;
use crate::domain::decision::{ClientAddress, Grant};
use crate::domain::timestamp::Timestamp;
use crate::node::Node;
use crate::verification::{Caller, Credential, Refusal, Subject, Unavailable, VerifiedToken};

/// An active credential.
#[derive(Debug)]
pub struct Active {
    /// The key behind it.
    pub caller: Caller,
    /// The issuer of its organization.
    pub issuer: String,
    /// The custom claims of a token, or those of the policy for a secret.
    pub custom: Map<String, Value>,
}

impl Active {
    /// The key.
    pub fn key(&self) -> &ApiKey {
        &self.caller.key
    }

    /// What it may do.
    pub fn grant(&self) -> &Grant {
        &self.caller.grant
    }

    /// The token, unless the credential is a secret.
    pub fn token(&self) -> Option<&VerifiedToken> {
        self.caller.token.as_deref()
    }
}

/// Returns the credential if it is active. `None` does not say why it is not.
pub async fn introspect(
    node: &Node,
    caller: &Caller,
    credential: Option<Credential>,
    now: Timestamp,
) -> Result<Option<Active>, Unavailable> {
    let Some(credential) = credential else { return Ok(None) };
    let (verifier, address) = (node.verifier(), ClientAddress::NotTheCaller);
    let found = match verifier.authenticate(&credential, address, now).await {
        Ok(found) if found.key.organization != caller.key.organization => return Ok(None),
        Err(Refusal::Denied(_, Some(Subject::Key(key)))) if key.organization != caller.key.organization => {
            return Ok(None);
        }
        checked => {
            verifier.count(&checked, &[], address, now);
            checked
        }
    };
    let found = match found {
        Ok(found) => found,
        Err(Refusal::Denied(..)) => return Ok(None),
        Err(Refusal::Unavailable(cause)) => return Err(cause),
    };
    // The issuer of an organization never changes.
    let issuer = found.key.organization.issuer(&node.settings.public_url);
    let custom = match &credential {
        Credential::Token(token) => attribute::custom_of_token(token),
        Credential::Key(_) => {
            let claims = &found.tenant.organization.policy.token_claims;
            let values = attribute::values(claims, &found.key, found.customer.as_deref());
            values.into_iter().map(|(name, value)| (name.to_owned(), value.to_json())).collect()
        }
    };
    Ok(Some(Active { caller: found, issuer, custom }))
}
