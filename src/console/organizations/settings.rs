//! The settings of one organization: name, facts, and for operators its state.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::organizations::{find, format_bounded, state};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Copyable, Errors, Field, Moment};
use crate::http::permission::AnyCredential;
use crate::node::Tenant;
use crate::organizations::{self, RenameError};

#[derive(Template)]
#[template(path = "console/organizations/settings.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    slug: String,
    name: Field,
    state: Badge,
    /// Whether the visitor manages organizations, and not only this one.
    is_operator: bool,
    may_be_suspended: bool,
    has_signing_key: bool,
    issuer: String,
    sign_in: String,
    members: String,
    keys: String,
    active_keys: String,
    last_used: Option<Moment>,
    created: Moment,
    suspended: Option<Moment>,
}

pub(super) async fn show(visit: ConsoleRequest<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let tenant = find(&visit, &slug)?;
    page(&Page::new(&visit, &tenant, tenant.organization.name.clone(), Errors::default()).await?)
}

pub(super) async fn rename(submitted: Submitted<AnyCredential>, slug: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let tenant = find(&visit, &slug)?;
    let (node, by, slug) = (visit.node(), visit.by(), &tenant.organization.slug);
    let name = form.value("name").unwrap_or_default().trim();
    match organizations::rename(node, &by, slug, name).await {
        Ok(()) => visit.done(&format!("/organizations/{slug}"), "Name saved."),
        Err(RenameError::Invalid(violation)) => {
            let errors = Errors::new([violation], &[("name", "Name")]);
            invalid_form(&Page::new(&visit, &tenant, name.to_owned(), errors).await?)
        }
        Err(RenameError::NotFound) => Err(ErrorPage::not_found()),
        Err(RenameError::Unavailable(cause)) => Err(ErrorPage::node_unavailable(&cause)),
    }
}

impl Page {
    async fn new(
        visit: &ConsoleRequest<AnyCredential>,
        tenant: &Tenant,
        name: String,
        errors: Errors,
    ) -> Result<Self, ErrorPage> {
        let organization = &tenant.organization;
        let slug = &organization.slug;
        let counts = organizations::counts(visit.node(), &[slug], visit.now).await?;
        let counts = counts.get(slug).copied().unwrap_or_default();
        Ok(Self {
            frame: visit.frame(Section::Organizations, organization.name.clone()),
            slug: slug.to_string(),
            name: Field::text("name", "Name", name)
                .hint("Shown in the console. The slug stays the same.")
                .required(true)
                .max_length(100)
                .errors(&errors),
            errors,
            state: state(tenant),
            is_operator: visit.organization().is_default(),
            may_be_suspended: !slug.is_default(),
            has_signing_key: !tenant.ring.is_empty(),
            issuer: tenant.issuer.clone(),
            sign_in: visit.sign_in_url_of(slug),
            members: format_bounded(counts.members),
            keys: format_bounded(counts.keys),
            active_keys: format_bounded(counts.active_keys),
            last_used: counts.last_used_at.map(|at| Moment::from_now(at, visit.now)),
            created: Moment::day(organization.created_at),
            suspended: organization.suspended_at.map(|at| Moment::from_now(at, visit.now)),
        })
    }
}
