//! Gateways: which way to choose, and settings for each with this organization's values in them.

mod fill;
mod recipes;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::gateways::fill::Values;
use crate::console::gateways::recipes::{GATEWAYS, Gateway, Way};
use crate::console::trouble::Trouble;
use crate::console::ui::{Badge, Errors, Field, Offer, Select, Tone, span};
use crate::console::visit::Visit;
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::Anyone;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/gateways").route(web::get().to(overview)))
        .service(web::resource("/gateways/{name}").route(web::get().to(show)));
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
#[template(path = "console/gateways/one.html")]
struct Page {
    frame: Frame,
    tabs: Vec<Tab>,
    facts: Facts,
    gateway: &'static Gateway,
    errors: Errors,
    keyturn: Field,
    api: Field,
    audience: Select,
    recipes: Vec<Shown>,
    /// It asks, and so must be trusted to say where callers are.
    must_be_trusted: bool,
    /// The way that the organization's algorithm closes.
    takes_no_eddsa: bool,
}

/// A way to the page of a gateway.
struct Tab {
    path: String,
    name: &'static str,
    is_current: bool,
}

/// What everybody who checks tokens must know.
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
    life: String,
    has_key: bool,
}

/// A recipe with the organization's values in it.
struct Shown {
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

async fn overview(visit: Visit<Anyone>) -> Result<HttpResponse, Trouble> {
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(Trouble::not_found)?;
    let (values, _) = Values::new(&tenant, &visit.node().settings, &Form::default());
    page(&Overview {
        frame: visit.frame(Section::Gateways, "Gateways"),
        tabs: tabs(None, ""),
        facts: Facts::new(&visit, &values, tenant.ttl_seconds, tenant.ring.newest().is_some()),
        gateways: &GATEWAYS,
    })
}

async fn show(visit: Visit<Anyone>, request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let gateway = GATEWAYS.iter().find(|gateway| gateway.id == *name).ok_or_else(Trouble::not_found)?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let settings = &visit.node().settings;
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(Trouble::not_found)?;
    let (values, errors) = Values::new(&tenant, settings, &query);
    let offers = fill::audiences(&tenant, settings).into_iter().map(|audience| Offer::new(audience.clone(), audience));
    let typed = |name: &str, value: String| query.value(name).map_or(value, str::to_owned);
    let is_wrong = !errors.is_empty();
    let built = Page {
        frame: visit.frame(Section::Gateways, gateway.name),
        tabs: tabs(Some(gateway.id), if is_wrong { "" } else { request.query_string() }),
        facts: Facts::new(&visit, &values, tenant.ttl_seconds, tenant.ring.newest().is_some()),
        keyturn: Field::text("keyturn", "Keyturn", typed("keyturn", values.keyturn.to_string()))
            .hint("Host and port where the gateway reaches it within your network, over plain HTTP.")
            .most(300)
            .errors(&errors),
        api: Field::text("api", "Your API", typed("api", values.api.to_string()))
            .hint("Host and port of what is protected.")
            .most(300)
            .errors(&errors),
        audience: Select::new("audience", "Audience", offers.collect(), values.audience.clone())
            .hint("Whom the tokens are for."),
        errors,
        recipes: gateway.recipes.iter().enumerate().map(|(place, recipe)| shown(place, recipe, &values)).collect(),
        must_be_trusted: gateway.id != "apache" && gateway.recipes.iter().any(|recipe| recipe.way != Way::Alone),
        takes_no_eddsa: values.algorithm == "EdDSA" && ["haproxy", "apache", "tokens"].contains(&gateway.id),
        gateway,
    };
    if is_wrong { refused(&built) } else { page(&built) }
}

fn shown(place: usize, recipe: &recipes::Recipe, values: &Values) -> Shown {
    let badge = match recipe.way {
        Way::Asks => Badge::new(Tone::Good, "Asks Keyturn"),
        Way::Keeps => Badge::new(Tone::Plain, "Keeps a yes"),
        Way::Alone => Badge::new(Tone::Plain, "Checks alone"),
    };
    let files = recipe.files.iter().enumerate().map(|(number, (name, text))| File {
        id: format!("file-{place}-{number}"),
        name,
        text: values.fill(text).trim_end().to_owned(),
    });
    Shown {
        id: place,
        title: recipe.title,
        badge,
        revocation: recipe.way.revocation(),
        about: recipe.about,
        files: files.collect(),
    }
}

fn tabs(current: Option<&str>, query: &str) -> Vec<Tab> {
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    let overview = Tab { path: String::new(), name: "Which to choose", is_current: current.is_none() };
    let gateways = GATEWAYS.iter().map(|gateway| Tab {
        path: format!("/{}{query}", gateway.id),
        name: gateway.name,
        is_current: current == Some(gateway.id),
    });
    std::iter::once(overview).chain(gateways).collect()
}

impl Facts {
    fn new<P>(visit: &Visit<P>, values: &Values, ttl_seconds: u32, has_key: bool) -> Self {
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
            life: span(Timestamp::from_seconds(0), Timestamp::from_seconds(ttl_seconds.into())),
            has_key,
        }
    }
}
