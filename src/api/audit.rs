//! `/api/v1/organizations/{org}/audit`.

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::guard::{Guarded, ReadAudit};
use crate::api::problem::Problem;
use crate::api::query;
use crate::audit::{self, AuditItem, AuditPage, Export};
use crate::clock::parse_rfc3339;
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::store::{AuditFilter, AuditFrom};

type Context = web::Data<HttpContext>;

/// Rows in an answer, where none other is asked for.
const LIMIT: u32 = 50;

/// Rows of an export that are held at once.
const EXPORT_ROWS: u32 = 500;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/organizations/{org}/audit")
            .route(web::get().to(show))
            .default_service(web::to(|| async { Problem::method_not_allowed("GET") })),
    );
}

/// A page of the log, newest first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AuditPage")]
pub(super) struct PageJson {
    items: Vec<AuditItem>,
    next_cursor: Option<String>,
}

async fn show(guarded: Guarded<ReadAudit>, context: Context, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (filter, is_export) = wish(&request, guarded.organization())?;
    if is_export {
        return export(context, filter).await;
    }
    let page = audit::list(&context.node, &filter).await.map_err(|cause| Problem::unavailable(&cause))?;
    let next_cursor = page.next_cursor();
    let items = page.rows.into_iter().map(AuditItem::from).collect();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(PageJson { items, next_cursor }))
}

/// Where an export stands: what follows, and the page that is to be sent next.
struct Exporting {
    context: Context,
    filter: AuditFilter,
    export: Export,
    page: AuditPage,
}

/// Streams the log, oldest first. An export that could not be finished ends without its last line, in a broken answer.
async fn export(context: Context, mut filter: AuditFilter) -> Result<HttpResponse, Problem> {
    (filter.from, filter.limit) = (AuditFrom::After(i64::MIN), EXPORT_ROWS);
    let page = audit::list(&context.node, &filter).await.map_err(|cause| Problem::unavailable(&cause))?;
    let name = format!("attachment; filename=\"audit-{}.ndjson\"", filter.organization);
    let export = Export::new(filter.organization.to_string());
    let start = Exporting { context, filter, export, page };
    let parts = stream::try_unfold(Some(start), |state| async {
        let Some(state) = state else { return Ok(None) };
        let next = part(state).await.inspect_err(|error| tracing::error!(%error, "an export was broken off"))?;
        Ok::<_, Box<dyn std::error::Error>>(Some(next))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_DISPOSITION, name))
        .streaming(Box::pin(parts)))
}

/// The next part of an export, and what follows.
async fn part(mut state: Exporting) -> Result<(Bytes, Option<Exporting>), Box<dyn std::error::Error>> {
    let last = state.page.rows.last().map(|row| row.id);
    let mut text = state.export.lines(std::mem::take(&mut state.page.rows))?;
    let (true, Some(last)) = (state.page.more, last) else {
        text.push_str(&state.export.last_line()?);
        return Ok((text.into(), None));
    };
    state.filter.from = AuditFrom::After(last);
    state.page = audit::list(&state.context.node, &state.filter).await?;
    Ok((text.into(), Some(state)))
}

/// What a request asks for, and whether as an export.
fn wish(request: &HttpRequest, organization: Slug) -> Result<(AuditFilter, bool), Problem> {
    let query = query::form(request)?;
    let mut wrong = Vec::new();
    let mut complain = |field: &str, message: &str| wrong.push(Violation::new(field, message));
    for name in query.names() {
        if !KNOWN.contains(&name) {
            complain(
                "query",
                "unknown parameter; allowed are action, actor, subject, since, until, limit, cursor and format",
            );
        } else if query.values(name).count() > 1 {
            complain(name, "given more than once");
        }
    }
    let mut text = |field: &str| {
        let value = query.value(field)?;
        if let Some(fault) = audit::name_fault(value) {
            complain(field, fault);
        }
        Some(value.to_owned())
    };
    let (action, actor, subject) = (text("action"), text("actor"), text("subject"));
    let mut moment = |field: &str| {
        let at = parse_rfc3339(query.value(field)?);
        if at.is_none() {
            complain(field, "not a date; RFC 3339 before the year 10000 is expected, as in 2030-01-31T00:00:00Z");
        }
        at
    };
    let (since, until) = (moment("since"), moment("until"));
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        complain("until", "must be later than since");
    }
    let is_export = match query.value("format") {
        None => accepts_ndjson(request),
        Some("json") => false,
        Some("ndjson") => true,
        Some(_) => {
            complain("format", "allowed is json and ndjson");
            false
        }
    };
    let limit = query.value("limit").map_or(Some(LIMIT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=200).contains(limit));
    if limit.is_none() {
        complain("limit", "allowed is 1 to 200");
    }
    let from = match query.value("cursor").map(audit::read_cursor) {
        None => AuditFrom::Newest,
        Some(Some(from)) => from,
        Some(None) => {
            complain("cursor", "not one that a list gave as next_cursor");
            AuditFrom::Newest
        }
    };
    for field in ["limit", "cursor"] {
        if is_export && query.value(field).is_some() {
            complain(field, "an export has no pages; ask for format=json");
        }
    }
    match wrong.is_empty() {
        true => {
            let limit = limit.unwrap_or(LIMIT);
            Ok((AuditFilter { organization, action, actor, subject, since, until, from, limit }, is_export))
        }
        false => Err(Problem::invalid(wrong)),
    }
}

const KNOWN: [&str; 8] = ["action", "actor", "subject", "since", "until", "limit", "cursor", "format"];

fn accepts_ndjson(request: &HttpRequest) -> bool {
    let values = request.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(','));
    types.any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-ndjson"))
}
