//! The customer's keys and their use.

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::page;
use crate::console::keys::display_name;
use crate::console::portal::frame::PortalFrame;
use crate::console::portal::request::PortalRequest;
use crate::console::reply::Reply;
use crate::console::ui::{Badge, Chart, Moment};
use crate::console::usage::{Range, Ranges, Totals};
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::portal::Capability;
use crate::http::form::Form;
use crate::keys;
use crate::store::{KeyFilter, KeyOrder};

/// Keys of a page.
const ROWS: u32 = 50;

#[derive(Template)]
#[template(path = "console/portal/list.html")]
struct Page {
    frame: PortalFrame,
    customer: String,
    text: String,
    may_create: bool,
    rows: Vec<Row>,
    /// The cursor of the next page.
    next: Option<String>,
    is_first: bool,
    ranges: Ranges,
    chart: Chart,
    totals: Totals,
}

struct Row {
    id: String,
    name: String,
    status: Badge,
    hint: String,
    expires: Option<Moment>,
    last_used: Option<Moment>,
    may_rotate: bool,
    may_revoke: bool,
}

impl Row {
    fn new(visit: &PortalRequest, key: &ApiKey) -> Self {
        let (now, status) = (visit.now(), key.status(visit.now()));
        Self {
            id: key.id.to_string(),
            name: display_name(key),
            status: status.into(),
            hint: key.hint.clone(),
            expires: key.expires_at.map(|at| Moment::from_now(at, now)),
            last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
            may_rotate: may_rotate(visit, key),
            may_revoke: visit.may(Capability::Revoke) && status != Status::Revoked,
        }
    }
}

/// Whether the customer can rotate a key.
pub(super) fn may_rotate(visit: &PortalRequest, key: &ApiKey) -> bool {
    let is_rotatable = match key.status(visit.now()) {
        Status::Active => true,
        // A rotation gives an expired key a new lifetime, as a new key would have.
        Status::Expired => visit.may(Capability::Create),
        Status::Disabled | Status::Revoked => false,
    };
    visit.may(Capability::Rotate) && is_rotatable
}

pub(super) async fn show(visit: PortalRequest, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let (node, order) = (visit.node(), KeyOrder::Created);
    let after = query.value("cursor").and_then(|text| keys::read_cursor(text, order, true));
    let organization = visit.portal.session().organization.clone();
    let filter =
        KeyFilter { order, is_descending: true, limit: ROWS, after, ..KeyFilter::new(organization, visit.now()) };
    let is_first = filter.after.is_none();
    let listed = visit.portal.keys(node, filter).await?;
    let range = Range::read(&query);
    let usage = visit.portal.usage(node, range.span(visit.now())).await?;
    page(&Page {
        frame: visit.frame("API keys"),
        customer: crate::console::customers::display_name(visit.portal.customer()),
        text: visit.site.settings.text.clone(),
        may_create: visit.may(Capability::Create),
        next: listed.last_before_next().map(|key| keys::cursor(order, true, &order.cursor(key))),
        is_first,
        rows: listed.items.iter().map(|key| Row::new(&visit, key)).collect(),
        ranges: range.links(),
        chart: Chart::new("usage", format!("Requests, last {}", range.name()), range.unit(), range.columns(&usage)),
        totals: Totals::from(&usage.totals()),
    })
}
