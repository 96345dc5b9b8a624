//! The token that a request would produce, and what common validators see of it. Nothing is signed or counted.

use actix_web::{HttpRequest, web};
use askama::Template;
use serde_json::{Map, Value};

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::{display_name, find};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Errors, Field, Labels, Notice, Select, SelectOption, Tone, to_sentence};
use crate::domain::api_key::ApiKey;
use crate::domain::decision::ClientAddress;
use crate::domain::networks::fold;
use crate::http::checks::Checks;
use crate::http::client_response::ClientResponse;
use crate::http::form::Form;
use crate::http::permission::ReadKeys;
use crate::node::Tenant;
use crate::tokens::{self, NamedValues, Preview, PreviewRequest, PreviewSecret, TokenPreview, ValidatorView};

const FIELDS: &Labels =
    &[("scope", "Scopes"), ("audience", "API"), ("secret", "Secret"), ("address", "Client IP address")];

#[derive(Template)]
#[template(path = "console/keys/preview.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    key_name: String,
    audience: Select,
    scope: Field,
    /// Only if the key has a previous secret.
    secret: Option<Select>,
    address: Field,
    result: Option<Outcome>,
}

/// The response of the token endpoint.
struct Outcome {
    verdict: Notice,
    refusal: Option<Refusal>,
    token: Option<Token>,
}

struct Refusal {
    response: ClientResponse,
    hint: Option<String>,
}

struct Token {
    header: String,
    payload: String,
    views: Vec<View>,
}

struct View {
    name: &'static str,
    badge: Badge,
    /// Settings, then what it sees.
    values: Vec<NamedValues>,
    refusals: Vec<String>,
    notes: Vec<String>,
}

/// Shows the form, and the result once it was submitted.
pub(super) async fn show(
    visit: ConsoleRequest<ReadKeys>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<Reply, ErrorPage> {
    let key = find(&visit, &path).await?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let value = |name| query.value(name).unwrap_or_default().trim();

    let mut checks = Checks::default();
    let filled = |text: &'static str| Some(value(text)).filter(|text| !text.is_empty());
    let address = filled("address").and_then(|text| checks.address("address", text));
    let secret = match filled("secret") {
        None => Some(PreviewSecret::Current),
        Some(text) => PreviewSecret::parse(text),
    };
    if secret.is_none() {
        checks.wrong("secret", format!("must be {}", PreviewSecret::NAMES.join(" or ")));
    }
    let errors = checks.done().err().map(|violations| Errors::new(violations, FIELDS)).unwrap_or_default();
    let asked = PreviewRequest {
        scope: filled("scope").map(str::to_owned),
        audiences: query.values("audience").filter(|text| !text.is_empty()).map(str::to_owned).collect(),
        secret: secret.unwrap_or_default(),
        address: address.map_or(ClientAddress::NotTheCaller, |address| ClientAddress::Known(fold(address))),
        now: visit.now,
    };
    let is_asked = query.value("ask").is_some() && errors.is_empty();
    let result = match is_asked {
        true => Some(Outcome::from(tokens::preview(visit.node(), visit.organization(), &key.id, &asked).await?)),
        false => None,
    };
    let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
    let secrets = [("current", "Current"), ("previous", "Previous, in its grace period")];
    let built = Page {
        frame: visit.frame(Section::Keys, "Token preview"),
        id: key.id.to_string(),
        key_name: display_name(&key),
        audience: Select::new("audience", "API", audiences(&tenant, &key, value("audience")), value("audience"))
            .errors(&errors),
        scope: Field::text("scope", "Scopes", value("scope"))
            .hint("Separated by spaces. Leave it empty for all scopes of the key.")
            .max_length(16_384)
            .errors(&errors),
        secret: key.grace_ends(visit.now).map(|_| {
            let options = secrets.map(|(name, label)| SelectOption::new(name, label)).to_vec();
            Select::new("secret", "Secret", options, value("secret")).errors(&errors)
        }),
        address: Field::text("address", "Client IP address", value("address"))
            .hint("Leave it empty to skip the check of the allowed networks.")
            .max_length(64)
            .errors(&errors),
        result,
        errors,
    };
    if built.errors.is_empty() { page(&built) } else { invalid_form(&built) }
}

/// Returns the audiences of the key's APIs, and the selected one if it is another.
fn audiences(tenant: &Tenant, key: &ApiKey, selected: &str) -> Vec<SelectOption> {
    let mut options = vec![SelectOption::new("", "None (the API that the key implies)")];
    let grants = tenant.shared.grants_of(key);
    let granted = tenant.apis.iter().filter(|served| grants.get(served.api.id).is_some());
    for served in granted {
        let label = format!("{} ({})", served.api.name, served.audience);
        options.push(SelectOption::new(served.audience.as_str(), label));
    }
    if !selected.is_empty() && !tenant.apis.iter().any(|served| served.audience == selected) {
        options.push(SelectOption::new(selected, selected));
    }
    options
}

impl From<Preview> for Outcome {
    fn from(preview: Preview) -> Self {
        match preview {
            Preview::Denied { denial, hint } => {
                let response = ClientResponse::of_token_request(&denial);
                let text = format!("Denied with {} {}.", response.status, response.error);
                let hint = hint.map(|hint| to_sentence(&hint));
                let refusal = Some(Refusal { response, hint });
                Self { verdict: Notice::new(Tone::Bad, text), refusal, token: None }
            }
            Preview::Token(token) => {
                let text = format!(
                    "The request would return a token for {} that expires after {} s.",
                    token.apis.join(" and "),
                    token.expires_in
                );
                Self { verdict: Notice::new(Tone::Good, text), refusal: None, token: Some(Token::from(*token)) }
            }
        }
    }
}

impl From<TokenPreview> for Token {
    fn from(token: TokenPreview) -> Self {
        Self {
            header: pretty(&token.header),
            payload: pretty(&token.payload),
            views: token.views.into_iter().map(View::from).collect(),
        }
    }
}

impl From<ValidatorView> for View {
    fn from(view: ValidatorView) -> Self {
        let badge = match view.is_accepted() {
            true => Badge::new(Tone::Good, "Accepts"),
            false => Badge::new(Tone::Bad, "Refuses"),
        };
        Self {
            name: view.name,
            badge,
            values: view.settings.into_iter().chain(view.sees).collect(),
            refusals: view.refusals.iter().map(|text| to_sentence(text)).collect(),
            notes: view.notes.iter().map(|text| to_sentence(text)).collect(),
        }
    }
}

fn pretty(members: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(members).unwrap_or_default()
}
