//! One of the customer's keys.

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::page;
use crate::console::keys::{Granted, display_name};
use crate::console::portal::frame::PortalFrame;
use crate::console::portal::list::may_rotate;
use crate::console::portal::request::PortalRequest;
use crate::console::reply::Reply;
use crate::console::ui::{Badge, Chart, Copyable, Moment};
use crate::console::usage::{Range, Ranges, Totals};
use crate::domain::api_key::Status;
use crate::domain::portal::Capability;
use crate::http::form::Form;

#[derive(Template)]
#[template(path = "console/portal/key.html")]
struct Page {
    frame: PortalFrame,
    id: String,
    status: Badge,
    is_revoked: bool,
    hint: String,
    scopes: Granted,
    /// Whether no address is allowed.
    is_nowhere: bool,
    networks: Vec<String>,
    created: Moment,
    expires: Option<Moment>,
    last_used: Option<Moment>,
    /// The end of the grace period of the previous secret.
    previous_until: Option<Moment>,
    may_rotate: bool,
    may_revoke: bool,
    ranges: Ranges,
    chart: Chart,
    totals: Totals,
}

pub(super) async fn show(visit: PortalRequest, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let key = visit.find(request.match_info().get("id").unwrap_or_default()).await?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let (range, now) = (Range::read(&query), visit.now());
    let usage = visit.portal.usage_of(visit.node(), &key, range.span(now)).await?;
    let is_revoked = key.status(now) == Status::Revoked;
    let tenant = visit.tenant()?;
    let held = tenant.shared.effective(&key);
    page(&Page {
        frame: visit.frame(display_name(&key)),
        id: key.id.to_string(),
        status: key.status(now).into(),
        is_revoked,
        hint: key.hint.clone(),
        scopes: Granted::new(&held.grants, &tenant.apis),
        is_nowhere: held.networks.is_none(),
        networks: held.networks.to_strings(),
        created: Moment::from_now(key.created_at, now),
        expires: key.expires_at.map(|at| Moment::from_now(at, now)),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        previous_until: key.grace_ends(now).map(|at| Moment::from_now(at, now)),
        may_rotate: may_rotate(&visit, &key),
        may_revoke: visit.may(Capability::Revoke) && !is_revoked,
        ranges: range.links(),
        chart: Chart::new("usage", format!("Requests, last {}", range.name()), range.unit(), range.columns(&usage)),
        totals: Totals::from(&usage.totals()),
    })
}
