//! `/api/v1/organizations/{org}/audit`.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use futures_util::stream;
use serde_json::json;

use crate::api::call::Call;
use crate::api::guard::ReadAudit;
use crate::api::problem::Problem;
use crate::api::query::QueryReader;
use crate::api::reply::{ListJson, Reply, Respond};
use crate::api::route::{Routes, SchemaOf};
use crate::audit::{self, AuditItem, Export};
use crate::domain::audit_chain::AuditRow;
use crate::domain::customer::CustomerId;
use crate::domain::page::Page;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::store::{AuditDirection, AuditFilter, AuditFrom};

/// Number of entries that an export holds at a time.
const EXPORT_ROWS: u32 = 500;

const NDJSON: &str = "application/x-ndjson";

pub(super) fn routes(routes: &mut Routes) {
    let name = || json!({ "type": "string", "maxLength": 200 });
    let time = || json!({ "type": "string", "format": "date-time" });
    routes
        .add(Method::GET, "/organizations/{org}/audit", show)
        .operation("listAudit", "List the audit log, newest first, or export it")
        .query("action", "Only this action, such as `key.create`.", name())
        .query(
            "actor",
            "Only changes by this actor: `key:{id}`, `member:{id}`, `portal:{session}` or `keyturn`.",
            name(),
        )
        .query("subject", "Only changes of the object with this ID.", name())
        .query(
            "customer",
            "Only changes of the customer with this ID and of its keys.",
            json!({ "type": "string", "pattern": "^[0-9A-Za-z]{16}$" }),
        )
        .query(
            "direction",
            "Only changes that widened or restricted access: networks, scopes, expiry, state or role.",
            json!({ "enum": AuditDirection::ALL.map(AuditDirection::as_str) }),
        )
        .query(
            "field",
            "Only changes of this field, such as `allowed_cidrs`.",
            json!({ "type": "string", "maxLength": 64 }),
        )
        .query("since", "Only entries from this time on.", time())
        .query("until", "Only entries before this time.", time())
        .query(
            "format",
            "`ndjson` exports the whole log, oldest first, with one entry per line.",
            json!({ "enum": ["json", "ndjson"] }),
        )
        .pages()
        .returns(StatusCode::OK, "A page of entries, or all entries as NDJSON.")
        .or_as(NDJSON);
}

/// A page of the log, or all of it.
enum AuditReply {
    Page(Box<Reply<ListJson<AuditItem>>>),
    Export(Box<Exporting>),
}

impl Respond for AuditReply {
    const SCHEMA: SchemaOf = <Reply<ListJson<AuditItem>>>::SCHEMA;

    fn respond(self, status: StatusCode) -> HttpResponse {
        match self {
            Self::Page(page) => page.respond(status),
            Self::Export(export) => export.respond(),
        }
    }
}

async fn show(call: Call<ReadAudit>) -> Result<AuditReply, Problem> {
    let wants_ndjson = call.accepts(NDJSON);
    let (mut filter, is_export) = call.query(|query| read(query, call.organization().clone(), wants_ndjson))?;
    if !is_export {
        let page = audit::list(call.node(), &filter).await?;
        return Ok(AuditReply::Page(Box::new(ListJson::page(page, audit::cursor, AuditItem::from))));
    }
    (filter.from, filter.limit) = (AuditFrom::After(i64::MIN), EXPORT_ROWS);
    let page = audit::list(call.node(), &filter).await?;
    let export = Export::new(filter.organization.to_string());
    Ok(AuditReply::Export(Box::new(Exporting { context: call.context, filter, export, page })))
}

/// The state of an export: what has been written, and the page to write next.
struct Exporting {
    context: web::Data<HttpContext>,
    filter: AuditFilter,
    export: Export,
    page: Page<AuditRow>,
}

impl Exporting {
    /// Streams the log. If an export fails midway, the response breaks off without its last line.
    fn respond(self) -> HttpResponse {
        let name = format!("attachment; filename=\"audit-{}.ndjson\"", self.filter.organization);
        let parts = stream::try_unfold(Some(self), |state| async {
            let Some(state) = state else { return Ok(None) };
            let next = state.part().await.inspect_err(|error| tracing::error!(%error, "audit export failed"))?;
            Ok::<_, Box<dyn std::error::Error>>(Some(next))
        });
        HttpResponse::Ok()
            .content_type(NDJSON)
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_DISPOSITION, name))
            .streaming(Box::pin(parts))
    }

    /// Writes a page, and reads the next one.
    async fn part(mut self) -> Result<(Bytes, Option<Self>), Box<dyn std::error::Error>> {
        let last = self.page.last_before_next().map(|row| row.id);
        let mut text = self.export.lines(std::mem::take(&mut self.page.items))?;
        let Some(last) = last else {
            text.push_str(&self.export.last_line()?);
            return Ok((text.into(), None));
        };
        self.filter.from = AuditFrom::After(last);
        self.page = audit::list(&self.context.node, &self.filter).await?;
        Ok((text.into(), Some(self)))
    }
}

/// Reads the filter, and whether an export is wanted.
fn read(query: &mut QueryReader<'_>, organization: Slug, wants_ndjson: bool) -> (AuditFilter, bool) {
    let mut name = |field: &str| {
        let name = query.get(field)?;
        if let Some(fault) = audit::name_fault(name) {
            query.wrong(field, fault);
        }
        Some(name.to_owned())
    };
    let (action, actor, subject) = (name("action"), name("actor"), name("subject"));
    let (since, until) = (query.time("since"), query.time("until"));
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        query.wrong("until", "must be later than since");
    }
    let format = query.parse("format", "json or ndjson", |text| match text {
        "json" => Some(false),
        "ndjson" => Some(true),
        _ => None,
    });
    let is_export = format.unwrap_or(wants_ndjson && query.get("format").is_none());
    let (limit, from) = (query.limit(), query.cursor(audit::read_cursor).unwrap_or(AuditFrom::Newest));
    for field in ["limit", "cursor"] {
        if is_export && query.get(field).is_some() {
            query.wrong(field, "an export has no pages; use format=json");
        }
    }
    let filter = AuditFilter {
        action,
        actor,
        subject,
        customer: query.parse("customer", "the ID of a customer", CustomerId::parse),
        direction: query.parse("direction", "widened or restricted", |text| {
            AuditDirection::ALL.into_iter().find(|direction| direction.as_str() == text)
        }),
        field: query.parse("field", "the name of a field, such as allowed_cidrs", |text| {
            audit::is_field_name(text).then(|| text.to_owned())
        }),
        since,
        until,
        from,
        ..AuditFilter::new(organization, limit)
    };
    (filter, is_export)
}
