//! `POST /api/v1/organizations/{org}/apis/{api}/impact`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::apis::{ScopeField, api_name};
use crate::api::call::Call;
use crate::api::fields::{given, nullable};
use crate::api::guard::ReadUsage;
use crate::api::impact::PartJson;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::timestamp::Timestamp;
use crate::organizations::{self, ApiEdit, ScopeText};
use crate::usage::{self, ApiChange, KeyImpact};

/// Maximum number of keys in a response.
const MOST_SHOWN: usize = 100;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/apis/{api}/impact", impact)
        .operation(
            "getApiImpact",
            "Get what a change of an API would take from keys, and their requests of the last 30 days",
        )
        .returns(StatusCode::OK, "The affected keys.");
}

/// The change: fields of an edit, or a deletion.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiChange")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct ImpactBody {
    /// Whether the API would be deleted. Other fields mean nothing then.
    #[serde(default)]
    delete: bool,
    /// `null` is the audience in the configuration, for the default API only.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::nullable_audience")]
    audience: Option<Option<String>>,
    /// The scopes that the API would have.
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
}

/// The effect of a change of an API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiImpact")]
struct ImpactJson {
    #[schemars(extend("format" = "date-time"))]
    from: String,
    /// Whether all tokens of the API would become invalid.
    ends_all_tokens: bool,
    /// Requests since `from` that would have failed.
    failed: PartJson,
    /// Requests since `from` for several APIs at once, or without recorded scopes, that may have failed.
    unattributed: PartJson,
    /// Number of keys that would lose something.
    key_count: u64,
    /// The first 100 of them, those with the most failed requests first.
    keys: Vec<KeyImpactJson>,
}

/// The effect on a key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyImpact")]
struct KeyImpactJson {
    id: String,
    name: String,
    /// The scopes that it would lose.
    lost_scopes: Vec<String>,
    failed: PartJson,
    unattributed: PartJson,
}

async fn impact(call: Call<ReadUsage>, body: ImpactBody) -> Result<Reply<ImpactJson>, Problem> {
    let tenant = organizations::read_apis(call.node(), call.organization()).await?;
    let old = organizations::find_api(&tenant, &api_name(&call)?)?;
    let change = match body.delete {
        true if old.is_default() => return Err(organizations::ApiError::IsDefault.into()),
        true => ApiChange::Delete,
        false => {
            let scopes = body.scopes.map(|scopes| scopes.into_iter().map(ScopeText::from).collect());
            let edit = ApiEdit { audience: body.audience, scopes, ..ApiEdit::default() };
            ApiChange::Edit(Box::new(organizations::preview_api_edit(&tenant, old, edit)?))
        }
    };
    let impact = usage::api_impact(call.node(), &tenant, old, &change, call.now).await?;
    let [failed, unattributed] = impact.totals();
    Ok(Reply::new(ImpactJson {
        from: rfc3339(Timestamp::from_seconds(impact.first_day.saturating_mul(86_400))),
        ends_all_tokens: impact.ends_all_tokens,
        failed: failed.into(),
        unattributed: unattributed.into(),
        key_count: impact.keys.len() as u64,
        keys: impact.keys.into_iter().take(MOST_SHOWN).map(KeyImpactJson::from).collect(),
    }))
}

impl From<KeyImpact> for KeyImpactJson {
    fn from(key: KeyImpact) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            lost_scopes: key.lost.iter().map(ToString::to_string).collect(),
            failed: key.failed.into(),
            unattributed: key.unattributed.into(),
        }
    }
}
