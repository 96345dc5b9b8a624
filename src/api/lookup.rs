//! `POST /api/v1/organizations/{org}/keys/lookup`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::api::call::Call;
use crate::api::guard::{ReadKeys, WriteKeys};
use crate::api::key_json::{KeyJson, ScopeJson};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::apis::ServedApi;
use crate::domain::clue::MAX_TEXT;
use crate::domain::timestamp::Timestamp;
use crate::tokens::{self, Finding, FoundBy, SecretState, TokenState};

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/keys/lookup", lookup)
        .operation("lookupKeys", "Find the API keys that a secret, a token, an ID or a log line refers to")
        .body_required()
        .returns(StatusCode::OK, "The keys, in the order of the text. Nothing is used or counted.");
}

/// A text that may contain secrets, tokens and key IDs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Lookup")]
struct LookupBody {
    #[schemars(length(min = 1, max = 16384))]
    text: String,
}

/// A key, and the part of the text that refers to it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct FindingJson {
    found_by: FoundByJson,
    key: KeyJson,
    /// Only if a secret was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<SecretJson>,
    /// Only if a token was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<TokenJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FoundBy")]
enum FoundByJson {
    Id,
    LastFour,
    Secret,
    Token,
}

/// A secret in the text.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FoundSecret")]
struct SecretJson {
    /// Whether the checksum matches; null if the text is not a complete secret.
    checksum_valid: Option<bool>,
    state: SecretStateJson,
}

/// `other` is an earlier or an invented secret. `not_checked`: the caller cannot manage the key, or the secret is not
/// complete.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FoundSecretState")]
enum SecretStateJson {
    Current,
    Previous,
    Other,
    ProbablyCurrent,
    NotChecked,
}

/// A token in the text. Its signature was verified unless `state` is `not_verified`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "FoundToken")]
struct TokenJson {
    jti: String,
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    scopes: Option<Vec<ScopeJson>>,
    state: TokenStateJson,
}

/// `key_changed`: the token's key was revoked, disabled, restricted or rotated, or its customer was suspended or removed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FoundTokenState")]
enum TokenStateJson {
    Valid,
    Expired,
    Revoked,
    KeyChanged,
    NotVerified,
}

async fn lookup(call: Call<ReadKeys>, body: LookupBody) -> Result<Reply<ListJson<FindingJson>>, Problem> {
    let text = Zeroizing::new(body.text);
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(Problem::invalid_field("text", format!("must have 1 to {MAX_TEXT} bytes")));
    }
    let can_manage = call.may::<WriteKeys>();
    let found = tokens::lookup(call.node(), call.organization(), &call.by(), can_manage, &text).await;
    let found = found.map_err(|cause| Problem::not_now(&cause))?;
    let apis = call.apis();
    Ok(ListJson::all(found.into_iter().map(|finding| json(finding, &apis, call.now))))
}

fn json(finding: Finding, apis: &[ServedApi], now: Timestamp) -> FindingJson {
    let key = KeyJson::new(&finding.key, apis, now);
    let (found_by, secret, token) = match finding.by {
        FoundBy::KeyId => (FoundByJson::Id, None, None),
        FoundBy::LastFour => (FoundByJson::LastFour, None, None),
        FoundBy::Secret { checksum, state } => {
            let state = match state {
                SecretState::Current => SecretStateJson::Current,
                SecretState::Previous => SecretStateJson::Previous,
                SecretState::Other => SecretStateJson::Other,
                SecretState::ProbablyCurrent => SecretStateJson::ProbablyCurrent,
                SecretState::NotChecked => SecretStateJson::NotChecked,
            };
            (FoundByJson::Secret, Some(SecretJson { checksum_valid: checksum, state }), None)
        }
        FoundBy::Token { jti, expires_at, scopes, state } => {
            let state = match state {
                TokenState::Valid => TokenStateJson::Valid,
                TokenState::Expired => TokenStateJson::Expired,
                TokenState::Revoked => TokenStateJson::Revoked,
                TokenState::KeyChanged => TokenStateJson::KeyChanged,
                TokenState::NotVerified => TokenStateJson::NotVerified,
            };
            let scopes = scopes.as_ref().map(ScopeJson::list);
            let token = TokenJson { jti, expires_at: rfc3339(expires_at), scopes, state };
            (FoundByJson::Token, None, Some(token))
        }
    };
    FindingJson { found_by, key, secret, token }
}
