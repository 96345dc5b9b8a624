//! Gateways: the methods, and configurations with this organization's values.

mod fill;
mod recipes;

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::gateways::fill::Values;
use crate::console::gateways::recipes::{GATEWAYS, Gateway, Method};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource};
use crate::console::ui::{Badge, Errors, Field, Select, SelectOption, Tone, format_span};
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::AnyCredential;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/gateways", [get(overview)])).service(resource("/gateways/{name}", [get(show)]));
}

#[derive(Template)]
#[template(path = "console/gateways/overview.html")]
struct Overview {
    frame: Frame,
    tabs: Vec<Tab>,
    facts: Facts,
    gateways: &'static [Gateway],
}

#[derive(Template)]
#[template(path = "console/gateways/show.html")]
struct Page {
    frame: Frame,
    tabs: Vec<Tab>,
    facts: Facts,
    gateway: &'static Gateway,
    errors: Errors,
    keyturn: Field,
    api: Field,
    audience: Select,
    recipes: Vec<FilledRecipe>,
    /// Whether Keyturn must trust the gateway's forwarding headers.
    must_be_trusted: bool,
    /// Whether local validation on this page does not support the organization's algorithm.
    lacks_eddsa: bool,
}

/// A link to a gateway's page.
struct Tab {
    path: String,
    name: &'static str,
    is_current: bool,
}

/// Values that services need to verify tokens.
struct Facts {
    issuer: String,
    jwks: String,
    metadata: String,
    token: String,
    introspection: String,
    verify: String,
    audience: String,
    algorithm: String,
    typ: String,
    organization: String,
    lifetime: String,
    has_key: bool,
}

/// A recipe with the organization's values.
struct FilledRecipe {
    id: usize,
    title: &'static str,
    badge: Badge,
    revocation: &'static str,
    about: &'static str,
    files: Vec<File>,
}

struct File {
    id: String,
    name: &'static str,
    text: String,
}

async fn overview(visit: ConsoleRequest<AnyCredential>) -> Result<Reply, ErrorPage> {
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let (values, _) = Values::new(&tenant, &visit.node().settings, &Form::default());
    page(&Overview {
        frame: visit.frame(Section::Gateways, "Gateways"),
        tabs: build_tabs(None, ""),
        facts: Facts::new(&visit, &values, tenant.ttl_seconds, tenant.ring.newest().is_some()),
        gateways: &GATEWAYS,
    })
}

async fn show(
    visit: ConsoleRequest<AnyCredential>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    let gateway = GATEWAYS.iter().find(|gateway| gateway.id == *name).ok_or_else(ErrorPage::not_found)?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let settings = &visit.node().settings;
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let (values, errors) = Values::new(&tenant, settings, &query);
    let options =
        fill::audiences(&tenant, settings).into_iter().map(|audience| SelectOption::new(audience.clone(), audience));
    let raw = |name: &str, value: String| query.value(name).map_or(value, str::to_owned);
    let has_errors = !errors.is_empty();
    let built = Page {
        frame: visit.frame(Section::Gateways, gateway.name),
        tabs: build_tabs(Some(gateway.id), if has_errors { "" } else { request.query_string() }),
        facts: Facts::new(&visit, &values, tenant.ttl_seconds, tenant.ring.newest().is_some()),
        keyturn: Field::text("keyturn", "Keyturn address", raw("keyturn", values.keyturn.to_string()))
            .hint("Host and port the gateway uses to reach Keyturn (plain HTTP, internal network).")
            .max_length(300)
            .errors(&errors),
        api: Field::text("api", "Your API", raw("api", values.api.to_string()))
            .hint("Host and port of the API to protect.")
            .max_length(300)
            .errors(&errors),
        audience: Select::new("audience", "Audience", options.collect(), values.audience.clone())
            .hint("Expected audience of tokens."),
        errors,
        recipes: gateway
            .recipes
            .iter()
            .enumerate()
            .map(|(place, recipe)| fill_recipe(place, recipe, &values))
            .collect(),
        must_be_trusted: gateway.id != "apache" && gateway.recipes.iter().any(|recipe| recipe.method != Method::Local),
        lacks_eddsa: values.algorithm == "EdDSA" && ["haproxy", "apache", "tokens"].contains(&gateway.id),
        gateway,
    };
    if has_errors { invalid_form(&built) } else { page(&built) }
}

fn fill_recipe(place: usize, recipe: &recipes::Recipe, values: &Values) -> FilledRecipe {
    let badge = match recipe.method {
        Method::Remote => Badge::new(Tone::Good, "Remote verification"),
        Method::Cached => Badge::new(Tone::Plain, "Remote, cached"),
        Method::Local => Badge::new(Tone::Plain, "Local validation"),
    };
    let files = recipe.files.iter().enumerate().map(|(number, (name, text))| File {
        id: format!("file-{place}-{number}"),
        name,
        text: values.fill(text).trim_end().to_owned(),
    });
    FilledRecipe {
        id: place,
        title: recipe.title,
        badge,
        revocation: recipe.method.revocation(),
        about: recipe.about,
        files: files.collect(),
    }
}

fn build_tabs(current: Option<&str>, query: &str) -> Vec<Tab> {
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    let overview = Tab { path: String::new(), name: "Overview", is_current: current.is_none() };
    let gateways = GATEWAYS.iter().map(|gateway| Tab {
        path: format!("/{}{query}", gateway.id),
        name: gateway.name,
        is_current: current == Some(gateway.id),
    });
    std::iter::once(overview).chain(gateways).collect()
}

impl Facts {
    fn new<P>(visit: &ConsoleRequest<P>, values: &Values, ttl_seconds: u32, has_key: bool) -> Self {
        let (public_url, issuer) = (&visit.node().settings.public_url, &values.issuer);
        Self {
            jwks: format!("{issuer}/.well-known/jwks.json"),
            metadata: format!("{public_url}/.well-known/oauth-authorization-server{}", values.issuer_path),
            token: format!("{public_url}/oauth/token"),
            introspection: format!("{public_url}/oauth/introspect"),
            verify: format!("{issuer}/verify"),
            issuer: issuer.clone(),
            audience: values.audience.clone(),
            algorithm: values.algorithm.clone(),
            typ: values.typ.clone(),
            organization: visit.organization().to_string(),
            lifetime: format_span(Timestamp::from_seconds(0), Timestamp::from_seconds(ttl_seconds.into())),
            has_key,
        }
    }
}
