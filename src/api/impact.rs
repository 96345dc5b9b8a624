//! `POST /api/v1/organizations/{org}/keys/{id}/impact`: what narrowing a key would have refused of its use so far.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::fields::{ScopeField, given};
use crate::api::guard::{Guarded, ReadUsage};
use crate::api::problem::Problem;
use crate::clock::rfc3339;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::http::context::HttpContext;
use crate::store::UsageDetail;
use crate::usage::{self, Narrowing, UseCounts};

/// Addresses, and things asked for, that are shown at most.
const MOST_SHOWN: usize = 100;

/// Registers the route.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/organizations/{org}/keys/{id}/impact")
            .route(web::post().to(impact))
            .default_service(web::to(|| async { Problem::method_not_allowed("POST") })),
    );
}

/// What the key is to be narrowed to, as an edit would have it. What is absent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Narrowing")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
pub(super) struct ImpactBody {
    #[serde(default, deserialize_with = "given")]
    scopes: Option<Vec<ScopeField>>,
    #[serde(default, deserialize_with = "given")]
    allowed_cidrs: Option<Vec<String>>,
}

/// What would have been refused of the successful uses since the beginning of day `from`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Impact")]
pub(super) struct ImpactJson {
    #[schemars(extend("format" = "date-time"))]
    from: String,
    /// At least so many: one use may be refused for its address and for what it asked for.
    total: PartJson,
    by_address: Vec<AddressJson>,
    by_scope: Vec<AskedJson>,
    uncounted: UncountedJson,
}

/// Uses of which it is not known, because too many different ones came on one day.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Uncounted")]
pub(super) struct UncountedJson {
    by_address: PartJson,
    by_scope: PartJson,
}

/// Exchanges and checks.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImpactPart")]
pub(super) struct PartJson {
    exchanges: u64,
    verifications: u64,
}

/// From one address; `last_seen` is a date.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RefusedAddress")]
pub(super) struct AddressJson {
    address: String,
    exchanges: u64,
    verifications: u64,
    last_seen: String,
}

/// Of what asked for the same scopes; `last_seen` is a date.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RefusedScope")]
pub(super) struct AskedJson {
    scope: String,
    exchanges: u64,
    verifications: u64,
    last_seen: String,
}

async fn impact(
    guarded: Guarded<ReadUsage>,
    context: web::Data<HttpContext>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = KeyId::parse(&path.1).ok_or_else(Problem::not_found)?;
    let body: ImpactBody = body::read(&request, payload).await?;
    let mut checks = Checks::default();
    let narrowing = Narrowing {
        scopes: body.scopes.map(|scopes| checks.scopes(ScopeField::inputs(&scopes))),
        networks: body.allowed_cidrs.map(|list| checks.networks(&list)),
    };
    checks.done()?;
    let impact = usage::impact(&context.node, &guarded.organization(), &id, &narrowing, guarded.now).await?;
    let shown = |of: &[UsageDetail]| of.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ImpactJson {
        from: rfc3339(Timestamp::from_seconds(impact.first_day.saturating_mul(86_400))),
        total: impact.total().into(),
        uncounted: UncountedJson {
            by_address: impact.by_address.uncounted.into(),
            by_scope: impact.by_scope.uncounted.into(),
        },
        by_address: shown(&impact.by_address.of).into_iter().map(AddressJson::from).collect(),
        by_scope: shown(&impact.by_scope.of).into_iter().map(AskedJson::from).collect(),
    }))
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

impl From<UsageDetail> for AskedJson {
    fn from(detail: UsageDetail) -> Self {
        let UsageDetail { value, exchanges, verifications, last_day, .. } = detail;
        Self { scope: value.unwrap_or_default(), exchanges, verifications, last_seen: date(last_day) }
    }
}
