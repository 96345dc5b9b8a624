//! Gateways, in four steps: choose one, enter your values, copy the configuration, check it. Each step is a page, and its URL has the
//! values.

mod check;
mod fill;
mod observed;
mod recipes;

use actix_web::http::header::{ContentDisposition, ContentType, DispositionParam, DispositionType};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::gateways::fill::{EXAMPLE_API, EXAMPLE_KEYTURN, EXAMPLE_REQUIREMENT, Values};
use crate::console::gateways::recipes::{GATEWAYS, Gateway, Method, Recipe};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::ui::{Badge, Copyable, Errors, Field, Select, SelectOption, Tone, format_span};
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::http::permission::AnyCredential;

/// The values in the URL of each step.
const VALUES: [&str; 5] = ["keyturn", "api", "path", "scope", "audience"];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/gateways", [get(overview)]))
        .service(resource("/gateways/{name}", [get(show)]))
        .service(resource("/gateways/{name}/configuration", [get(configuration)]))
        .service(resource("/gateways/{name}/check", [get(check::show), submit(check::start)]))
        .service(resource("/gateways/{name}/download", [get(download)]));
}

#[derive(Template)]
#[template(path = "console/gateways/overview.html")]
struct Overview {
    frame: Frame,
    steps: Steps,
    facts: Facts,
    gateways: &'static [Gateway],
}

/// The second step: the method and the values.
#[derive(Template)]
#[template(path = "console/gateways/show.html")]
struct ValuesPage {
    frame: Frame,
    steps: Steps,
    facts: Facts,
    gateway: &'static Gateway,
    /// The variants of this gateway's configuration.
    variants: Vec<Tab>,
    errors: Errors,
    fields: Vec<Field>,
    audience: Select,
    number: usize,
    recipe: &'static Recipe,
    badge: Badge,
    /// Whether Keyturn decides for an organization and an audience.
    is_verified: bool,
    /// Whether local validation on this page does not support the organization's algorithm.
    lacks_eddsa: bool,
}

/// The third step: the configuration.
#[derive(Template)]
#[template(path = "console/gateways/configuration.html")]
struct ConfigurationPage {
    frame: Frame,
    steps: Steps,
    gateway: &'static Gateway,
    number: usize,
    recipe: &'static Recipe,
    badge: Badge,
    files: Vec<File>,
    /// The values as fields of the download form.
    sent: Vec<(&'static str, String)>,
    values: Vec<(&'static str, String)>,
    lacks_eddsa: bool,
}

/// A link to a variant of a gateway.
struct Tab {
    path: String,
    name: &'static str,
    is_current: bool,
}

/// The steps, with links to the pages of those that can be reached.
struct Steps {
    current: usize,
    /// Names and paths below `/console/gateways`.
    steps: Vec<(&'static str, Option<String>)>,
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
        steps: Steps::new(0, None),
        facts: Facts::new(&visit, &values, tenant.ttl_seconds, !tenant.ring.is_empty()),
        gateways: &GATEWAYS,
    })
}

async fn show(
    visit: ConsoleRequest<AnyCredential>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    page(&values_page(&visit, Chosen::read(&visit, &name, &request)?)?)
}

async fn configuration(
    visit: ConsoleRequest<AnyCredential>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<Reply, ErrorPage> {
    let chosen = Chosen::read(&visit, &name, &request)?;
    if !chosen.errors.is_empty() {
        return invalid_form(&values_page(&visit, chosen)?);
    }
    let Chosen { gateway, number, recipe, values, sent, .. } = &chosen;
    let files = recipe.files.iter().enumerate().map(|(place, (name, text))| File {
        id: format!("file-{number}-{place}"),
        name,
        text: values.fill(text).trim_end().to_owned(),
    });
    page(&ConfigurationPage {
        frame: visit.frame(Section::Gateways, gateway.name),
        steps: Steps::new(2, Some(&chosen)),
        gateway,
        number: *number,
        recipe,
        badge: method_badge(recipe),
        files: files.collect(),
        values: shown_values(recipe, values),
        lacks_eddsa: chosen.lacks_eddsa(),
        sent: sent.clone(),
    })
}

fn values_page(visit: &ConsoleRequest<AnyCredential>, chosen: Chosen) -> Result<ValuesPage, ErrorPage> {
    let settings = &visit.node().settings;
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let options =
        fill::audiences(&tenant, settings).into_iter().map(|audience| SelectOption::new(audience.clone(), audience));
    let Chosen { gateway, number, recipe, ref query, ref values, ref errors, ref sent } = chosen;
    let raw = |name: &str, value: &str| query.value(name).map_or_else(|| value.to_owned(), str::to_owned);
    let field = |name: &'static str, label, value: &str, hint: &str| {
        Field::text(name, label, raw(name, value)).hint(hint).max_length(300).errors(errors)
    };
    let mut fields = Vec::new();
    if recipe.has(EXAMPLE_KEYTURN) {
        let hint = "Host and port the gateway uses to reach Keyturn (plain HTTP, internal network).";
        fields.push(field("keyturn", "Keyturn address", &values.keyturn.to_string(), hint));
    }
    if recipe.has(EXAMPLE_API) {
        fields.push(field("api", "Your API", &values.api.to_string(), "Host and port of the API to protect."));
    }
    if recipe.has(EXAMPLE_REQUIREMENT) {
        let hint = "Requests whose path begins with it. Add more routes in the configuration.";
        fields.push(field("path", "Path to protect", &values.path, hint));
        let hint = "Callers need this scope, or a broader one, for these requests.";
        fields.push(field("scope", "Required scope", &values.scope, hint));
    }
    Ok(ValuesPage {
        frame: visit.frame(Section::Gateways, gateway.name),
        steps: Steps::new(1, Some(&chosen)),
        facts: Facts::new(visit, values, tenant.ttl_seconds, !tenant.ring.is_empty()),
        variants: build_variants(gateway, number, sent),
        fields,
        audience: Select::new("audience", "Audience", options.collect(), values.audience.clone())
            .hint("Tokens for another audience are denied. The policy lists more audiences."),
        badge: method_badge(recipe),
        is_verified: chosen.is_verified(),
        lacks_eddsa: chosen.lacks_eddsa(),
        errors: errors.clone(),
        number,
        recipe,
        gateway,
    })
}

/// Returns a file of a recipe with the organization's values.
async fn download(
    visit: ConsoleRequest<AnyCredential>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse, ErrorPage> {
    let Chosen { recipe, query, values, errors, .. } = Chosen::read(&visit, &name, &request)?;
    let number = read_number(&query, "file").ok_or_else(ErrorPage::not_found)?;
    let (file, text) = recipe.files.get(number).ok_or_else(ErrorPage::not_found)?;
    if !errors.is_empty() {
        return Err(ErrorPage::unreadable_form("a value is not valid"));
    }
    let parameters = vec![DispositionParam::Filename((*file).to_owned())];
    Ok(HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .insert_header(ContentDisposition { disposition: DispositionType::Attachment, parameters })
        .body(values.fill(text)))
}

/// A gateway, one of its recipes and the values, chosen by a URL or a form.
struct Chosen {
    gateway: &'static Gateway,
    number: usize,
    recipe: &'static Recipe,
    query: Form,
    values: Values,
    errors: Errors,
    /// The values to keep in links.
    sent: Vec<(&'static str, String)>,
}

impl Chosen {
    fn read<P>(visit: &ConsoleRequest<P>, name: &str, request: &HttpRequest) -> Result<Self, ErrorPage> {
        let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
        Self::new(visit, name, query)
    }

    fn new<P>(visit: &ConsoleRequest<P>, name: &str, query: Form) -> Result<Self, ErrorPage> {
        let gateway = GATEWAYS.iter().find(|gateway| gateway.id == name).ok_or_else(ErrorPage::not_found)?;
        let number = read_number(&query, "recipe").ok_or_else(ErrorPage::not_found)?;
        let recipe = gateway.recipes.get(number).ok_or_else(ErrorPage::not_found)?;
        let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
        let (values, errors) = Values::new(&tenant, &visit.node().settings, &query);
        let sent = sent_values(&query, &values, !errors.is_empty());
        Ok(Self { gateway, number, recipe, query, values, errors, sent })
    }

    /// Returns the path of a step, below `/console/gateways`.
    fn path(&self, step: &str) -> String {
        let mut query = vec![("recipe", self.number.to_string())];
        query.extend(self.sent.iter().cloned());
        format!("/{}{step}?{}", self.gateway.id, encode(&query))
    }

    fn is_local(&self) -> bool {
        self.recipe.method == Method::Local
    }

    /// Whether the gateway calls `/verify`. Apache calls the introspection endpoint.
    fn is_verified(&self) -> bool {
        !self.is_local() && self.gateway.id != "apache"
    }

    fn lacks_eddsa(&self) -> bool {
        self.is_local()
            && self.values.algorithm == "EdDSA"
            && ["haproxy", "apache", "tokens"].contains(&self.gateway.id)
    }
}

impl Steps {
    fn new(current: usize, chosen: Option<&Chosen>) -> Self {
        let path = |step: &str| chosen.filter(|chosen| chosen.errors.is_empty()).map(|chosen| chosen.path(step));
        let mut steps = vec![
            ("Choose a gateway", Some(String::new())),
            ("Your values", path("")),
            ("Configuration", path("/configuration")),
        ];
        if chosen.is_none_or(|chosen| chosen.gateway.id != "tokens") {
            steps.push(("Check", path("/check")));
        }
        Self { current, steps }
    }
}

fn method_badge(recipe: &Recipe) -> Badge {
    match recipe.method {
        Method::Remote => Badge::new(Tone::Good, "Remote verification"),
        Method::Cached => Badge::new(Tone::Plain, "Remote, cached"),
        Method::Local => Badge::new(Tone::Plain, "Local validation"),
    }
}

/// Returns the values that a configuration has, with their labels.
fn shown_values(recipe: &Recipe, values: &Values) -> Vec<(&'static str, String)> {
    let all = [
        (EXAMPLE_KEYTURN, "Keyturn address", values.keyturn.to_string()),
        (EXAMPLE_API, "Your API", values.api.to_string()),
        (EXAMPLE_REQUIREMENT, "Path to protect", values.path.clone()),
        (EXAMPLE_REQUIREMENT, "Required scope", values.scope.clone()),
        ("", "Audience", values.audience.clone()),
    ];
    let shown = all.into_iter().filter(|(example, ..)| recipe.has(example));
    shown.map(|(_, label, value)| (label, value)).collect()
}

/// Reads an index; 0 if it is absent.
fn read_number(query: &Form, name: &str) -> Option<usize> {
    query.value(name).map_or(Some(0), |number| number.parse().ok())
}

/// Returns the values of the query, for links that keep them. Addresses with errors and unknown audiences are not kept.
fn sent_values(query: &Form, values: &Values, has_errors: bool) -> Vec<(&'static str, String)> {
    if has_errors {
        return Vec::new();
    }
    let given = VALUES.into_iter().filter_map(|name| Some((name, query.value(name)?.trim())));
    let is_used = |(name, value): &(&str, &str)| match *name {
        "audience" => *value == values.audience,
        _ => !value.is_empty(),
    };
    given.filter(is_used).map(|(name, value)| (name, value.to_owned())).collect()
}

/// Encodes values for a URL.
fn encode(values: &[(&'static str, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish()
}

/// Returns the links to a gateway's variants, which keep the values.
fn build_variants(gateway: &'static Gateway, current: usize, sent: &[(&'static str, String)]) -> Vec<Tab> {
    let link = |number: usize| {
        let mut query = vec![("recipe", number.to_string())];
        query.extend(sent.iter().cloned());
        format!("/{}?{}", gateway.id, encode(&query))
    };
    let recipes = gateway.recipes.iter().enumerate();
    recipes
        .map(|(number, recipe)| Tab { path: link(number), name: recipe.title, is_current: number == current })
        .collect()
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
