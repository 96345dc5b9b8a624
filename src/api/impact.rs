//! `POST /api/v1/organizations/{org}/keys/{id}/impact`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::fields::{GrantField, ScopeField, given, requested_grants};
use crate::api::guard::ReadUsage;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::apis::{ApiId, ServedApi, api_name};
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::keys;
use crate::organizations;
use crate::store::UsageDetail;
use crate::usage::{self, Impact, Narrowing, UseCounts};

/// Maximum number of addresses, and of scopes, in a response.
const MOST_SHOWN: usize = 100;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/keys/{id}/impact", impact)
        .operation("getImpact", "Get the requests of the last 30 days that restricting an API key would have denied")
        .returns(StatusCode::OK, "The requests by address and by requested scopes.");
}

/// The restrictions, as in an edit of the key. Absent fields keep their values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Narrowing")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct ImpactBody {
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    #[serde(default, deserialize_with = "given")]
    apis: Option<Vec<GrantField>>,
    #[serde(default, deserialize_with = "given")]
    allowed_cidrs: Option<Vec<String>>,
}

/// The successful requests since the beginning of day `from` that would have been denied.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Impact")]
pub(super) struct ImpactJson {
    #[schemars(extend("format" = "date-time"))]
    from: String,
    /// A lower bound: a request can be denied both for its address and for its scopes.
    total: PartJson,
    by_address: Vec<AddressJson>,
    /// Requests for APIs that the key is no longer granted.
    by_api: Vec<ApiUsesJson>,
    by_scope: Vec<AskedJson>,
    uncounted: UncountedJson,
}

/// Requests that cannot be attributed, because a day had too many different addresses or scopes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Uncounted")]
struct UncountedJson {
    by_address: PartJson,
    by_scope: PartJson,
}

/// Numbers of requests.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImpactPart")]
pub(super) struct PartJson {
    exchanges: u64,
    verifications: u64,
}

/// The requests from an address; `last_seen` is a date.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RefusedAddress")]
struct AddressJson {
    address: String,
    exchanges: u64,
    verifications: u64,
    last_seen: String,
}

/// The requests for an API; `last_seen` is a date.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RefusedApi")]
struct ApiUsesJson {
    api: String,
    exchanges: u64,
    verifications: u64,
    last_seen: String,
}

/// The requests for the same scopes of an API; `last_seen` is a date.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RefusedScope")]
struct AskedJson {
    api: Option<String>,
    scope: String,
    exchanges: u64,
    verifications: u64,
    last_seen: String,
}

async fn impact(call: Call<ReadUsage>, body: ImpactBody) -> Result<Reply<ImpactJson>, Problem> {
    let id = call.key_id()?;
    let mut checks = Checks::default();
    let requested = requested_grants(&mut checks, body.scopes, body.apis);
    let networks = body.allowed_cidrs.map(|list| checks.networks(&list));
    checks.done()?;
    let grants = match requested.is_absent() {
        true => None,
        false => Some(keys::resolve_grants(call.node(), call.organization(), &id, &requested).await?),
    };
    let narrowing = Narrowing { grants, networks };
    let impact = usage::impact(call.node(), call.organization(), &id, &narrowing, call.now).await?;
    let tenant = organizations::read_apis(call.node(), call.organization()).await?;
    Ok(Reply::new(ImpactJson::new(impact, &tenant.apis)))
}

impl ImpactJson {
    pub(super) fn new(impact: Impact, apis: &[ServedApi]) -> Self {
        let shown = |of: &[UsageDetail]| of.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>();
        let name = |api: Option<ApiId>| api_name(apis, api?).map(str::to_owned);
        let by_api = |detail: UsageDetail| {
            let UsageDetail { api, exchanges, verifications, last_day, .. } = detail;
            ApiUsesJson { api: name(api).unwrap_or_default(), exchanges, verifications, last_seen: date(last_day) }
        };
        let by_scope = |detail: UsageDetail| {
            let UsageDetail { api, value, exchanges, verifications, last_day, .. } = detail;
            let (api, scope) = (name(api), value.unwrap_or_default());
            AskedJson { api, scope, exchanges, verifications, last_seen: date(last_day) }
        };
        Self {
            from: rfc3339(Timestamp::from_seconds(impact.first_day.saturating_mul(86_400))),
            total: impact.total().into(),
            uncounted: UncountedJson {
                by_address: impact.by_address.uncounted.into(),
                by_scope: impact.by_scope.uncounted.into(),
            },
            by_address: shown(&impact.by_address.of).into_iter().map(AddressJson::from).collect(),
            by_api: shown(&impact.by_api.of).into_iter().map(by_api).collect(),
            by_scope: shown(&impact.by_scope.of).into_iter().map(by_scope).collect(),
        }
    }
}

/// A day as a date (RFC 3339 `full-date`).
fn date(day: i64) -> String {
    let midnight = rfc3339(Timestamp::from_seconds(day.saturating_mul(86_400)));
    midnight.split('T').next().unwrap_or_default().to_owned()
}

impl From<UseCounts> for PartJson {
    fn from(part: UseCounts) -> Self {
        Self { exchanges: part.exchanges, verifications: part.verifications }
    }
}

impl From<UsageDetail> for AddressJson {
    fn from(detail: UsageDetail) -> Self {
        let UsageDetail { value, exchanges, verifications, last_day, .. } = detail;
        Self { address: value.unwrap_or_default(), exchanges, verifications, last_seen: date(last_day) }
    }
}
