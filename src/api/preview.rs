//! `POST /api/v1/organizations/{org}/keys/{id}/token-preview`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::call::Call;
use crate::api::fields::given;
use crate::api::guard::ReadKeys;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::domain::decision::ClientAddress;
use crate::domain::networks::fold;
use crate::http::checks::Checks;
use crate::http::client_response::ClientResponse;
use crate::tokens::{self, NamedValues, Preview, PreviewRequest, PreviewSecret, ValidatorView};

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/token-preview", preview)
        .operation(
            "previewToken",
            "Get the token that a request would produce. Nothing is signed, and no use is counted",
        )
        .returns(StatusCode::OK, "The header and payload, or the refusal.");
}

/// A token request with a secret of the key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenRequest")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct PreviewBody {
    /// Scopes separated by spaces. Without it, all scopes of the key for the API.
    #[serde(default, deserialize_with = "given")]
    scope: Option<String>,
    /// RFC 8707.
    #[serde(default)]
    resource: Vec<String>,
    #[serde(default)]
    audience: Vec<String>,
    /// The secret that is assumed to be presented. The default is `current`.
    #[serde(default, deserialize_with = "given")]
    #[schemars(extend("enum" = ["current", "previous"]))]
    secret: Option<String>,
    /// The client's address. Without it, the allowed networks are not checked.
    #[serde(default, deserialize_with = "given")]
    address: Option<String>,
}

/// The result of a token request, if it was made. Either `refusal` or the other members are present.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TokenPreview")]
struct PreviewJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalJson>,
    #[serde(flatten)]
    token: Option<TokenJson>,
}

/// The response of the token endpoint.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TokenRefusal")]
struct RefusalJson {
    status: u16,
    error: &'static str,
    code: &'static str,
    error_description: String,
    /// What the key has instead. The client does not see this.
    hint: Option<String>,
}

/// A token that was not minted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PreviewedToken")]
struct TokenJson {
    header: Map<String, Value>,
    /// The claims. `iat` is now, and `jti` is the placeholder `preview`.
    payload: Map<String, Value>,
    expires_in: i64,
    /// Names of the APIs that it is for.
    apis: Vec<String>,
    /// What common validators see of it.
    views: Vec<ViewJson>,
}

/// What a validator sees of the token.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ValidatorView")]
struct ViewJson {
    validator: &'static str,
    name: &'static str,
    /// Whether it accepts the token with these settings.
    accepts: bool,
    settings: Vec<ValuesJson>,
    sees: Vec<ValuesJson>,
    /// Why it does not accept the token.
    refusals: Vec<String>,
    notes: Vec<String>,
}

/// A setting or a result of a validator.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NamedValues")]
struct ValuesJson {
    name: &'static str,
    values: Vec<String>,
}

async fn preview(call: Call<ReadKeys>, body: PreviewBody) -> Result<Reply<PreviewJson>, Problem> {
    let id = call.key_id()?;
    let mut checks = Checks::default();
    let secret = match body.secret.as_deref() {
        None => Some(PreviewSecret::Current),
        Some(text) => PreviewSecret::parse(text),
    };
    if secret.is_none() {
        checks.wrong("secret", format!("must be {}", PreviewSecret::NAMES.join(" or ")));
    }
    let address = body.address.and_then(|text| checks.address("address", &text));
    checks.done()?;
    let request = PreviewRequest {
        scope: body.scope,
        audiences: body.resource.into_iter().chain(body.audience).collect(),
        secret: secret.unwrap_or_default(),
        address: address.map_or(ClientAddress::NotTheCaller, |address| ClientAddress::Known(fold(address))),
        now: call.now,
    };
    let previewed = tokens::preview(call.node(), call.organization(), &id, &request).await?;
    Ok(Reply::new(match previewed {
        Preview::Denied { denial, hint } => {
            let ClientResponse { status, error, code, description } = ClientResponse::of_token_request(&denial);
            let refusal = RefusalJson { status, error, code, error_description: description, hint };
            PreviewJson { refusal: Some(refusal), token: None }
        }
        Preview::Token(token) => {
            let token = TokenJson {
                header: token.header,
                payload: token.payload,
                expires_in: token.expires_in,
                apis: token.apis,
                views: token.views.into_iter().map(ViewJson::from).collect(),
            };
            PreviewJson { refusal: None, token: Some(token) }
        }
    }))
}

impl From<ValidatorView> for ViewJson {
    fn from(view: ValidatorView) -> Self {
        Self {
            validator: view.id,
            name: view.name,
            accepts: view.is_accepted(),
            settings: view.settings.into_iter().map(ValuesJson::from).collect(),
            sees: view.sees.into_iter().map(ValuesJson::from).collect(),
            refusals: view.refusals,
            notes: view.notes,
        }
    }
}

impl From<NamedValues> for ValuesJson {
    fn from(values: NamedValues) -> Self {
        Self { name: values.name, values: values.values }
    }
}
