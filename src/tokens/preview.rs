//! The token that a request would produce, without producing it: nothing is signed, and no use is counted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::domain::api_key::ApiKey;
use crate::domain::choices::ScopeStyle;
use crate::domain::decision::{ClientAddress, SecretMatch};
use crate::domain::key_text::KeyId;
use crate::domain::outcome::Denial;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::{KeyError, load};
use crate::node::Node;
use crate::tokens::planned::{Decided, KnownRequest};
use crate::tokens::validators::{TokenShape, ValidatorView, views};
use crate::verification::Tenant;

/// The `jti` of a preview. A token has 22 random characters instead.
const PREVIEW_JTI: &str = "preview";

/// A token request with one of the key's secrets.
#[derive(Clone, Debug)]
pub struct PreviewRequest {
    /// The requested scopes, separated by spaces; `None` for all of the key's.
    pub scope: Option<String>,
    /// The requested audiences; empty for the API that the key implies.
    pub audiences: Vec<String>,
    /// The secret that is assumed to be presented.
    pub secret: PreviewSecret,
    /// The client's address; `NotTheCaller` skips the check of the networks.
    pub address: ClientAddress,
    pub now: Timestamp,
}

/// Which of the key's secrets a preview assumes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PreviewSecret {
    #[default]
    Current,
    Previous,
}

impl PreviewSecret {
    /// Names in the API.
    pub const NAMES: [&str; 2] = ["current", "previous"];

    /// Parses its name in the API.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "current" => Some(Self::Current),
            "previous" => Some(Self::Previous),
            _ => None,
        }
    }
}

/// The result of a token request, if it was made.
#[derive(Debug)]
pub enum Preview {
    Denied {
        denial: Denial,
        /// What to do, if the response to the client does not say so.
        hint: Option<String>,
    },
    Token(Box<TokenPreview>),
}

/// A token that was not minted.
#[derive(Debug)]
pub struct TokenPreview {
    /// The decoded header.
    pub header: Map<String, Value>,
    /// The payload, with the `jti` `preview`.
    pub payload: Map<String, Value>,
    pub expires_in: i64,
    /// Names of the APIs that it is for.
    pub apis: Vec<String>,
    pub views: Vec<ValidatorView>,
}

/// Returns what the token endpoint would respond to a request with a secret of the key.
pub async fn preview(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    request: &PreviewRequest,
) -> Result<Preview, KeyError> {
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    let key = load(node, organization, id).await?;
    let customer = node.customer_of(&key).await?;
    let mut audiences: Vec<String> = Vec::new();
    for audience in &request.audiences {
        if !audiences.contains(audience) {
            audiences.push(audience.clone());
        }
    }
    let known = KnownRequest {
        matched: match request.secret {
            PreviewSecret::Current => SecretMatch::Current,
            PreviewSecret::Previous => SecretMatch::Previous,
        },
        customer: customer.as_deref(),
        address: request.address,
        scope: request.scope.as_deref().filter(|scope| !scope.is_empty()),
        audiences: &audiences,
        now: request.now,
    };
    match Decided::new(&key, &tenant, known).plan(&key, request.now) {
        Err(denial) => {
            let hint = hint(&denial, &key, &tenant, request);
            Ok(Preview::Denied { denial, hint })
        }
        Ok(planned) => {
            let (signing_key, encoded) = planned.signing_key(&tenant, request.now)?;
            let mut payload = object(serde_json::to_value(planned.claims(&key, &tenant, PREVIEW_JTI)).ok());
            for (name, value) in planned.custom_claims(&key, customer.as_deref()).into_iter().flatten() {
                payload.insert(name.to_owned(), value.to_json());
            }
            let decoded = URL_SAFE_NO_PAD.decode(encoded).ok();
            let header = object(decoded.and_then(|json| serde_json::from_slice(&json).ok()));
            let shape = TokenShape {
                issuer: &tenant.issuer,
                audiences: planned.target.audiences.iter().map(|audience| (*audience).to_owned()).collect(),
                algorithm: signing_key.algorithm(),
                typ: planned.target.typ(),
                scopes: planned.grant.scopes.iter().map(ToString::to_string).collect(),
                has_filters: planned.target.apis.iter().any(|served| served.api.style == ScopeStyle::Filters),
            };
            Ok(Preview::Token(Box::new(TokenPreview {
                header,
                payload,
                expires_in: planned.lifetime.expires_in,
                apis: planned.target.apis.iter().map(|served| served.api.name.to_string()).collect(),
                views: views(&shape),
            })))
        }
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// Says what the response to a client does not: what the key has.
fn hint(denial: &Denial, key: &ApiKey, tenant: &Tenant, request: &PreviewRequest) -> Option<String> {
    let grants = tenant.shared.grants_of(key);
    let granted: Vec<_> = tenant.apis.iter().filter(|served| grants.get(served.api.id).is_some()).collect();
    match denial {
        Denial::WrongSecret if request.secret == PreviewSecret::Previous => {
            Some("the key has no previous secret in a grace period".into())
        }
        Denial::AudienceNotAllowed | Denial::AudienceRequired if granted.is_empty() => {
            Some("the key is granted no API".into())
        }
        Denial::AudienceNotAllowed | Denial::AudienceRequired => {
            let audiences: Vec<&str> = granted.iter().map(|served| served.audience.as_str()).collect();
            Some(format!("audiences of the key's APIs: {}", audiences.join(", ")))
        }
        Denial::ScopeNotHeld(..) => {
            let target = tenant.select(key, &request.audiences, request.scope.as_deref()).ok()?;
            let scopes = if target.scopes.is_empty() { "none" } else { target.scopes.as_str() };
            let names: Vec<&str> = target.apis.iter().map(|served| served.api.name.as_str()).collect();
            Some(format!("scopes of the key for {}: {scopes}", names.join(" and ")))
        }
        _ => None,
    }
}

impl ValidatorView {
    /// Whether the validator accepts the token.
    pub fn is_accepted(&self) -> bool {
        self.refusals.is_empty()
    }
}
