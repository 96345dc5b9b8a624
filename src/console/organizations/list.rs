//! The list of organizations.

use std::sync::Arc;

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::organizations::{check, format_bounded, state};
use crate::console::pages::Pages;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Moment};
use crate::domain::slug::Slug;
use crate::http::form::Form;
use crate::http::permission::AnyCredential;
use crate::node::Tenant;
use crate::organizations;

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
    name: String,
    state: Badge,
    is_suspended: bool,
    may_be_suspended: bool,
    members: String,
    keys: String,
    active_keys: String,
    last_used: Option<Moment>,
    created: Moment,
}

pub(super) async fn show(visit: ConsoleRequest<AnyCredential>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    check(&visit)?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let mut tenants = visit.node().tenants();
    tenants.sort_by(|a, b| a.organization.slug.cmp(&b.organization.slug));
    let is_alone = tenants.len() == 1;
    let (tenants, pages) = Pages::cut(tenants, query.value("page"), visit.path("/organizations?page="));
    let slugs: Vec<&Slug> = tenants.iter().map(|tenant| &tenant.organization.slug).collect();
    let counts = organizations::counts(visit.node(), &slugs, visit.now).await?;
    let row = |tenant: &Arc<Tenant>| {
        let organization = &tenant.organization;
        let counts = counts.get(&organization.slug).copied().unwrap_or_default();
        Row {
            slug: organization.slug.to_string(),
            name: organization.name.clone(),
            state: state(tenant),
            is_suspended: tenant.is_suspended(),
            may_be_suspended: !organization.slug.is_default(),
            members: format_bounded(counts.members),
            keys: format_bounded(counts.keys),
            active_keys: format_bounded(counts.active_keys),
            last_used: counts.last_used_at.map(|at| Moment::from_now(at, visit.now)),
            created: Moment::day(organization.created_at),
        }
    };
    page(&Page {
        frame: visit.frame(Section::Organizations, "Organizations"),
        rows: tenants.iter().map(row).collect(),
        is_alone,
        pages,
    })
}
