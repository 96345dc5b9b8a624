//! `/api/v1/organizations/{org}/usage`, `…/keys/{id}/usage`, `…/customers/{id}/usage` and `…/apis/{api}/usage`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::apis;
use crate::api::call::Call;
use crate::api::customers::customer_id;
use crate::api::guard::ReadUsage;
use crate::api::problem::Problem;
use crate::api::query::{QueryReader, cursor, read_cursor};
use crate::api::reply::Reply;
use crate::api::route::{Route, Routes};
use crate::clock::rfc3339;
use crate::customers;
use crate::domain::apis::{ApiId, api_name};
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Counts, UsageOutcome};
use crate::keys;
use crate::organizations;
use crate::store::{BusyKey, Interval};
use crate::usage::{self, Span, Usage, UseCounts};

/// The name of the list in its cursors.
const LIST: &str = "usage";

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

pub(super) fn routes(routes: &mut Routes) {
    let of_key = routes
        .add(Method::GET, "/organizations/{org}/keys/{id}/usage", of_key)
        .operation("getKeyUsage", "Get the usage of an API key");
    range(of_key).returns(StatusCode::OK, "Counts by hour or day, including empty ones.");
    let of_customer = routes
        .add(Method::GET, "/organizations/{org}/customers/{id}/usage", of_customer)
        .operation("getCustomerUsage", "Get the usage of all API keys of a customer");
    range(of_customer).returns(StatusCode::OK, "Counts by hour or day, including empty ones.");
    let of_api = routes.add(Method::GET, "/organizations/{org}/apis/{api}/usage", of_api).operation(
        "getApiUsage",
        "Get the successful requests of an API: tokens for it, and verifications that required it or were of such tokens",
    );
    days(of_api).returns(StatusCode::OK, "Counts by day, including empty ones.");
    let of_organization = routes
        .add(Method::GET, "/organizations/{org}/usage", of_organization)
        .operation("getUsage", "Get the usage of all API keys");
    range(of_organization).pages().returns(StatusCode::OK, "Counts by hour or day, and the keys, busiest first.");
}

/// Adds the query parameters of a range of time.
fn range(route: &mut Route) -> &mut Route {
    route
        .query("interval", "The length of a bucket.", json!({ "enum": ["hour", "day"], "default": "hour" }))
        .query("from", "The first hour or day. Hours are kept for 90 days, days for two years.", time())
        .query("to", "The last hour or day.", time())
}

/// Adds the query parameters of a range of days.
fn days(route: &mut Route) -> &mut Route {
    route.query("from", "The first day. Days are kept for two years.", time()).query("to", "The last day.", time())
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

/// Numbers of requests.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Counts")]
struct CountsJson {
    exchanges: u64,
    verifications: u64,
    denials: DenialsJson,
}

/// Denials by reason.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Denials")]
struct DenialsJson {
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
struct BucketJson {
    #[schemars(extend("format" = "date-time"))]
    start: String,
    #[serde(flatten)]
    counts: CountsJson,
}

/// A range of whole hours or days in UTC: `from` up to, and without, `to`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsageRange")]
struct RangeJson {
    interval: &'static str,
    #[schemars(extend("format" = "date-time"))]
    from: String,
    #[schemars(extend("format" = "date-time"))]
    to: String,
    buckets: Vec<BucketJson>,
    totals: CountsJson,
}

/// The usage of a key.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "KeyUsage")]
struct KeyUsageJson {
    id: String,
    name: String,
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
    last_used_ip: Option<String>,
    #[serde(flatten)]
    range: RangeJson,
}

/// The usage of the keys that a customer has now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CustomerUsage")]
struct CustomerUsageJson {
    id: String,
    external_id: String,
    #[serde(flatten)]
    range: RangeJson,
}

/// The successful requests of an API in whole days: `from` up to, and without, `to`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiUsage")]
struct ApiUsageJson {
    name: String,
    #[schemars(extend("format" = "date-time"))]
    from: String,
    #[schemars(extend("format" = "date-time"))]
    to: String,
    buckets: Vec<ApiBucketJson>,
    totals: UsesJson,
}

/// One day.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiUsageBucket")]
struct ApiBucketJson {
    #[schemars(extend("format" = "date-time"))]
    start: String,
    #[serde(flatten)]
    uses: UsesJson,
}

/// Numbers of successful requests.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Uses")]
struct UsesJson {
    exchanges: u64,
    verifications: u64,
}

/// The successful requests of an API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UsesOfApi")]
struct UsesOfApiJson {
    /// `null` if the API was deleted.
    name: Option<String>,
    #[serde(flatten)]
    uses: UsesJson,
}

/// The usage of an organization, and of its APIs and keys: those in the whole days from `items_from` up to `items_to`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrganizationUsage")]
struct OrganizationUsageJson {
    #[serde(flatten)]
    range: RangeJson,
    #[schemars(extend("format" = "date-time"))]
    items_from: String,
    #[schemars(extend("format" = "date-time"))]
    items_to: String,
    /// Busiest first. A request of several APIs is counted for each of them.
    apis: Vec<UsesOfApiJson>,
    items: Vec<BusyKeyJson>,
    next_cursor: Option<String>,
}

/// A key of the list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BusyKey")]
struct BusyKeyJson {
    id: String,
    name: String,
    totals: CountsJson,
    #[schemars(extend("format" = "date-time"))]
    last_used_at: Option<String>,
}

async fn of_key(call: Call<ReadUsage>) -> Result<Reply<KeyUsageJson>, Problem> {
    let id = call.key_id()?;
    let span = call.query(|query| span(query, call.now))?;
    let (key, usage) = usage::usage_of_key(call.node(), call.organization(), &id, span).await?;
    Ok(Reply::new(KeyUsageJson {
        id: key.id.to_string(),
        name: key.name,
        last_used_at: key.last_used_at.map(rfc3339),
        last_used_ip: key.last_used_ip,
        range: RangeJson::new(&usage),
    }))
}

async fn of_customer(call: Call<ReadUsage>) -> Result<Reply<CustomerUsageJson>, Problem> {
    let customer = customers::find(call.node(), call.organization(), &customer_id(&call)?).await?;
    let span = call.query(|query| span(query, call.now))?;
    let usage = usage::usage_of_customer(call.node(), &customer.id, span).await?;
    Ok(Reply::new(CustomerUsageJson {
        id: customer.id.to_string(),
        external_id: customer.external_id.to_string(),
        range: RangeJson::new(&usage),
    }))
}

async fn of_api(call: Call<ReadUsage>) -> Result<Reply<ApiUsageJson>, Problem> {
    let tenant = organizations::read_apis(call.node(), call.organization()).await?;
    let api = organizations::find_api(&tenant, &apis::api_name(&call)?)?;
    let span = call.query(|query| span_by(query, Interval::Day, call.now))?;
    let usage = usage::usage_of_api(call.node(), api, span).await?;
    let bucket = |(place, counts): (usize, &Counts)| ApiBucketJson {
        start: rfc3339(usage.span.start_of(place)),
        uses: UsesJson::from(counts),
    };
    Ok(Reply::new(ApiUsageJson {
        name: api.name.to_string(),
        from: rfc3339(usage.span.start()),
        to: rfc3339(usage.span.end()),
        buckets: usage.buckets.iter().enumerate().map(bucket).collect(),
        totals: UsesJson::from(&usage.totals()),
    }))
}

async fn of_organization(call: Call<ReadUsage>) -> Result<Reply<OrganizationUsageJson>, Problem> {
    let (span, limit, after) =
        call.query(|query| (span(query, call.now), query.limit(), query.cursor(|text| read_cursor(LIST, text))))?;
    let after = after.map(|(uses, key)| (uses.unsigned_abs(), key));
    let (node, organization) = (call.node(), call.organization());
    let (usage, by_api, busiest) = tokio::try_join!(
        usage::usage_of_organization(node, organization, span),
        usage::usage_by_api(node, organization, span),
        usage::busiest(node, organization, span, after, limit, call.now),
    )?;
    let tenant = organizations::read_apis(node, organization).await?;
    let of_api = |(api, uses): (ApiId, UseCounts)| UsesOfApiJson {
        name: api_name(&tenant.apis, api).map(str::to_owned),
        uses: uses.into(),
    };
    let cursor = |last: &BusyKey| cursor(LIST, i64::try_from(last.counts.uses()).unwrap_or(i64::MAX), &last.key);
    Ok(Reply::new(OrganizationUsageJson {
        range: RangeJson::new(&usage),
        items_from: rfc3339(span.days().start()),
        items_to: rfc3339(span.days().end()),
        apis: by_api.into_iter().map(of_api).collect(),
        next_cursor: busiest.last_before_next().map(cursor),
        items: busiest.items.into_iter().map(BusyKeyJson::from).collect(),
    }))
}

/// Reads a range of time. The default is the last 24 hours, or the last 30 days.
fn span(query: &mut QueryReader<'_>, now: Timestamp) -> Span {
    let interval = query.parse("interval", "hour or day", |text| match text {
        "hour" => Some(Interval::Hour),
        "day" => Some(Interval::Day),
        _ => None,
    });
    span_by(query, interval.unwrap_or(Interval::Hour), now)
}

fn span_by(query: &mut QueryReader<'_>, interval: Interval, now: Timestamp) -> Span {
    let (seconds, usual, kept) = match interval {
        Interval::Hour => (HOUR, 24, keys::HOURS_KEPT),
        Interval::Day => (DAY, 30, keys::DAYS_KEPT),
    };
    let oldest = now.plus_seconds(-kept * DAY);
    let latest = now.plus_millis(1);
    let to = query.time("to").unwrap_or(latest);
    let is_kept = to <= now.plus_seconds(DAY) && to > oldest;
    if !is_kept {
        query.wrong("to", format!("must be at most now and later than {}", rfc3339(oldest)));
    }
    let to = if is_kept { to } else { latest };
    let from = query.time("from").unwrap_or(to.plus_millis(-1).plus_seconds(-(usual - 1) * seconds).max(oldest));
    if from < oldest {
        let kept = format!("counts by {} are kept for {kept} days", name(interval));
        query.wrong("from", format!("must be {} or later: {kept}", rfc3339(oldest)));
    } else if is_kept && from >= to {
        query.wrong("from", "must be before to");
    }
    Span::touched(interval, from, to)
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

impl From<&Counts> for UsesJson {
    fn from(counts: &Counts) -> Self {
        Self { exchanges: counts.of(UsageOutcome::Exchanged), verifications: counts.of(UsageOutcome::Verified) }
    }
}

impl From<UseCounts> for UsesJson {
    fn from(uses: UseCounts) -> Self {
        Self { exchanges: uses.exchanges, verifications: uses.verifications }
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
