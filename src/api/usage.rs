//! `/api/v1/organizations/{org}/usage` and `…/keys/{id}/usage`: what was counted, by hour or by day.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::guard::{Guarded, ReadUsage};
use crate::api::problem::Problem;
use crate::api::query::{Query, cursor};
use crate::clock::rfc3339;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, UsageOutcome};
use crate::http::context::HttpContext;
use crate::keys;
use crate::store::{BusyKey, Interval};
use crate::usage::{self, Span, Usage};

/// The list whose cursors these are.
const LIST: &str = "usage";

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/organizations/{org}/usage")
                .route(web::get().to(of_organization))
                .default_service(web::to(|| async { Problem::method_not_allowed("GET") })),
        )
        .service(
            web::resource("/organizations/{org}/keys/{id}/usage")
                .route(web::get().to(of_key))
                .default_service(web::to(|| async { Problem::method_not_allowed("GET") })),
        );
}

/// What was counted, in numbers of times.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Counts")]
pub(super) struct CountsJson {
    exchanges: u64,
    verifications: u64,
    denials: DenialsJson,
}

/// Denials by reason.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Denials")]
pub(super) struct DenialsJson {
    invalid: u64,
    expired: u64,
    disabled: u64,
    network: u64,
    scope: u64,
    audience: u64,
}

/// One hour or day.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageBucket")]
pub(super) struct BucketJson {
    #[schemars(extend("format" = "date-time"))]
    start: String,
    #[serde(flatten)]
    counts: CountsJson,
}

/// A range of whole hours or days in UTC: `from` up to, and without, `to`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageRange")]
pub(super) struct RangeJson {
    interval: &'static str,
    #[schemars(extend("format" = "date-time"))]
    from: String,
    #[schemars(extend("format" = "date-time"))]
    to: String,
    buckets: Vec<BucketJson>,
    totals: CountsJson,
}

/// The use of one key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyUsage")]
pub(super) struct KeyUsageJson {
    id: String,
    name: String,
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
    last_used_ip: Option<String>,
    #[serde(flatten)]
    range: RangeJson,
}

/// The use of an organization, and of its keys: those in the whole days from `items_from` up to `items_to`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrganizationUsage")]
pub(super) struct OrganizationUsageJson {
    #[serde(flatten)]
    range: RangeJson,
    #[schemars(extend("format" = "date-time"))]
    items_from: String,
    #[schemars(extend("format" = "date-time"))]
    items_to: String,
    items: Vec<BusyKeyJson>,
    next_cursor: Option<String>,
}

/// A key of the list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BusyKey")]
pub(super) struct BusyKeyJson {
    id: String,
    name: String,
    totals: CountsJson,
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
}

async fn of_key(
    guarded: Guarded<ReadUsage>,
    context: web::Data<HttpContext>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let id = KeyId::parse(&path.1).ok_or_else(Problem::not_found)?;
    let span = span(&Query::read(&request, &["interval", "from", "to"])?, guarded.now)?;
    let (key, usage) = usage::usage_of_key(&context.node, &guarded.organization(), &id, span).await?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(KeyUsageJson {
        id: key.id.to_string(),
        name: key.name,
        last_used_at: key.last_used_at.map(rfc3339),
        last_used_ip: key.last_used_ip,
        range: RangeJson::new(&usage),
    }))
}

async fn of_organization(
    guarded: Guarded<ReadUsage>,
    context: web::Data<HttpContext>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let query = Query::read(&request, &["interval", "from", "to", "limit", "cursor"])?;
    let (span, limit) = (span(&query, guarded.now)?, query.limit()?);
    let after = query.cursor(LIST)?.map(|(uses, key)| (uses.unsigned_abs(), key));
    let (node, organization) = (&context.node, guarded.organization());
    let (usage, (busiest, more)) = tokio::try_join!(
        usage::usage_of_organization(node, &organization, span),
        usage::busiest(node, &organization, span, after, limit, guarded.now),
    )?;
    let next = busiest.last().filter(|_| more);
    let next = next.map(|last| cursor(LIST, i64::try_from(last.counts.uses()).unwrap_or(i64::MAX), &last.key));
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(OrganizationUsageJson {
        range: RangeJson::new(&usage),
        items_from: rfc3339(span.days().start()),
        items_to: rfc3339(span.days().end()),
        next_cursor: next,
        items: busiest.into_iter().map(BusyKeyJson::from).collect(),
    }))
}

/// The hours or days that are asked for: those of the last day, or the last thirty days, unless told otherwise.
fn span(query: &Query, now: Timestamp) -> Result<Span, Problem> {
    let (interval, seconds, usual, kept) = match query.get("interval") {
        None | Some("hour") => (Interval::Hour, HOUR, 24, keys::HOURS_KEPT),
        Some("day") => (Interval::Day, DAY, 30, keys::DAYS_KEPT),
        Some(_) => return Err(Problem::invalid_field("interval", "allowed is hour and day")),
    };
    let oldest = now.plus_seconds(-kept * DAY);
    let to = query.moment("to")?.unwrap_or(now.plus_millis(1));
    if to > now.plus_seconds(DAY) || to <= oldest {
        return Err(Problem::invalid_field("to", format!("allowed is up to now, and after {}", rfc3339(oldest))));
    }
    let from = match query.moment("from")? {
        None => to.plus_millis(-1).plus_seconds(-(usual - 1) * seconds).max(oldest),
        Some(from) if from >= to => return Err(Problem::invalid_field("from", "must be before to")),
        Some(from) if from < oldest => {
            let message = format!("by {} is kept for {kept} days, so from {} on", name(interval), rfc3339(oldest));
            return Err(Problem::invalid_field("from", message));
        }
        Some(from) => from,
    };
    Ok(Span::touched(interval, from, to))
}

fn name(interval: Interval) -> &'static str {
    match interval {
        Interval::Hour => "hour",
        Interval::Day => "day",
    }
}

impl RangeJson {
    fn new(usage: &Usage) -> Self {
        let bucket = |(place, counts): (usize, &Counts)| BucketJson {
            start: rfc3339(usage.span.start_of(place)),
            counts: CountsJson::from(counts),
        };
        Self {
            interval: name(usage.span.interval()),
            from: rfc3339(usage.span.start()),
            to: rfc3339(usage.span.end()),
            buckets: usage.buckets.iter().enumerate().map(bucket).collect(),
            totals: CountsJson::from(&usage.totals()),
        }
    }
}

impl From<&Counts> for CountsJson {
    fn from(counts: &Counts) -> Self {
        Self {
            exchanges: counts.of(UsageOutcome::Exchanged),
            verifications: counts.of(UsageOutcome::Verified),
            denials: DenialsJson {
                invalid: counts.of(UsageOutcome::DeniedInvalid),
                expired: counts.of(UsageOutcome::DeniedExpired),
                disabled: counts.of(UsageOutcome::DeniedDisabled),
                network: counts.of(UsageOutcome::DeniedNetwork),
                scope: counts.of(UsageOutcome::DeniedScope),
                audience: counts.of(UsageOutcome::DeniedAudience),
            },
        }
    }
}

impl From<BusyKey> for BusyKeyJson {
    fn from(key: BusyKey) -> Self {
        Self {
            id: key.key.to_string(),
            name: key.name,
            totals: CountsJson::from(&key.counts),
            last_used_at: key.last_used_at.map(rfc3339),
        }
    }
}
