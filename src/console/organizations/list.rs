//! The list of organizations.

use std::sync::Arc;

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::organizations::check;
use crate::console::pages::Pages;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Moment, Tone};
use crate::http::form::Form;
use crate::http::permission::AnyCredential;
use crate::node::Tenant;

#[derive(Template)]
#[template(path = "console/organizations/list.html")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    is_alone: bool,
    pages: Pages,
}

struct Row {
    slug: String,
    issuer: String,
    signing_key: Badge,
    is_bootstrapped: bool,
    state: Badge,
    is_suspended: bool,
    may_be_suspended: bool,
    created: Moment,
}

pub(super) async fn show(visit: ConsoleRequest<AnyCredential>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    check(&visit)?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let done = match query.value("done") {
        Some("made") => Some("Organization created. Create its signing key to start using it."),
        Some("suspended") => Some("Organization suspended. Its keys and tokens no longer work."),
        Some("resumed") => Some("Organization resumed. Its keys work again."),
        Some("bootstrapped") => Some("Signing key created."),
        _ => None,
    };
    let mut tenants = visit.node().tenants();
    tenants.sort_by(|a, b| a.organization.slug.cmp(&b.organization.slug));
    let is_alone = tenants.len() == 1;
    let (tenants, pages) = Pages::cut(tenants, query.value("page"), visit.path("/organizations?page="));
    let row = |tenant: &Arc<Tenant>| {
        let is_bootstrapped = tenant.ring.newest().is_some();
        Row {
            slug: tenant.organization.slug.to_string(),
            issuer: tenant.issuer.clone(),
            signing_key: match is_bootstrapped {
                true => Badge::new(Tone::Good, "Yes"),
                false => Badge::new(Tone::Warning, "None"),
            },
            is_bootstrapped,
            state: match tenant.organization.suspended_at {
                None => Badge::new(Tone::Good, "Active"),
                Some(_) => Badge::new(Tone::Warning, "Suspended"),
            },
            is_suspended: tenant.organization.suspended_at.is_some(),
            may_be_suspended: !tenant.organization.slug.is_default(),
            created: Moment::day(tenant.organization.created_at),
        }
    };
    page(&Page {
        frame: visit.frame(Section::Organizations, "Organizations").done(done),
        rows: tenants.iter().map(row).collect(),
        is_alone,
        pages,
    })
}
