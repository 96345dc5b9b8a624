//! Explaining a decision: the verdict, what the client sees, and the result of each check for a hypothetical request.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::create::tenant;
use crate::console::keys::{display_name, find};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Errors, Field, Labels, Notice, Select, SelectOption, Tone, html, to_sentence};
use crate::domain::apis::{ServedApi, find_audience};
use crate::domain::decision::{Check, Finding};
use crate::domain::outcome::Denial;
use crate::domain::policy::Policy;
use crate::domain::scope::Scope;
use crate::http::checks::Checks;
use crate::http::client_response::ClientResponse;
use crate::http::form::Form;
use crate::http::permission::ReadKeys;
use crate::keys::{self, ExplainedCheck, Explanation, Question, RequestedScope, Verdict};

const FIELDS: &Labels =
    &[("address", "Client IP address"), ("action", "Action"), ("resource", "Resource"), ("scope", "Scope")];

#[derive(Template)]
#[template(path = "console/keys/explain.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    key_name: String,
    address: Field,
    target: TargetFields,
    explained: Option<Explained>,
}

/// The fields of what is requested.
enum TargetFields {
    /// For the default API, if the organization has no other.
    Default { action: Select, resource: Field },
    /// An API, and a scope in its style.
    Any { audience: Select, scope: Field },
}

html! { Explained }

/// The verdict, what the client sees, and every check.
#[derive(Template)]
#[template(path = "console/keys/explained.html")]
pub(in crate::console) struct Explained {
    verdict: Notice,
    responses: Vec<(&'static str, ClientResponse)>,
    checks: Vec<Row>,
}

struct Row {
    what: &'static str,
    badge: Badge,
    detail: String,
}

/// Shows the form, and the results once it was submitted.
pub(super) async fn show(
    visit: ConsoleRequest<ReadKeys>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<Reply, ErrorPage> {
    let key = find(&visit, &path).await?;
    let tenant = tenant(&visit)?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let value = |name| query.value(name).unwrap_or_default().trim();
    let (address, action, resource) = (value("address"), value("action"), value("resource"));
    let filled = |text: &'static str| Some(value(text)).filter(|text| !text.is_empty());

    let mut checks = Checks::default();
    let audience = filled("audience").and_then(|audience| find_audience(&tenant.apis, audience));
    let question = Question {
        address: filled("address").and_then(|text| checks.address("address", text)),
        audience: audience.map(|(_, spelling)| spelling.to_owned()),
        scope: match filled("scope") {
            None => checks.scope(filled("action"), filled("resource")).map(RequestedScope::Filter),
            Some(text) => match Scope::parse_plain(text) {
                Ok(_) => Some(RequestedScope::Text(text.to_owned())),
                Err(error) => {
                    checks.wrong("scope", error);
                    None
                }
            },
        },
        token: None,
        at: visit.now,
    };
    let errors = checks.done().err().map(|violations| Errors::new(violations, FIELDS)).unwrap_or_default();
    let is_asked = query.value("ask").is_some() && errors.is_empty();
    let explanation = if is_asked {
        Some(keys::explain(visit.node(), visit.organization(), &key.id, &question).await?)
    } else {
        None
    };

    let target = if tenant.apis.len() > 1 || filled("scope").is_some() {
        let scope = question.scope.as_ref().map_or_else(|| value("scope").to_owned(), ToString::to_string);
        TargetFields::any(&tenant.apis, question.audience.as_deref(), &scope, &errors)
    } else {
        TargetFields::of_default(&tenant.organization.policy, action, resource, &errors)
    };
    let built = Page {
        frame: visit.frame(Section::Keys, "Why was a request denied?"),
        id: key.id.to_string(),
        key_name: display_name(&key),
        address: Field::text("address", "Client IP address", address)
            .hint("As Keyturn sees it, for example 203.0.113.7.")
            .max_length(64)
            .errors(&errors),
        target,
        explained: explanation.map(|explanation| Explained::new(explanation, &question)),
        errors,
    };
    if built.errors.is_empty() { page(&built) } else { invalid_form(&built) }
}

impl TargetFields {
    fn of_default(policy: &Policy, action: &str, resource: &str, errors: &Errors) -> Self {
        let mut actions = vec![SelectOption::new("", "Any (skip this check)")];
        actions.extend(policy.actions.iter().map(|action| SelectOption::new(action.as_str(), action.as_str())));
        Self::Default {
            action: Select::new("action", "Action", actions, action).errors(errors),
            resource: Field::text("resource", "Resource", resource)
                .hint("For example projects/acme/42.")
                .max_length(256)
                .errors(errors),
        }
    }

    fn any(apis: &[ServedApi], audience: Option<&str>, scope: &str, errors: &Errors) -> Self {
        let mut options = vec![SelectOption::new("", "None named (no resource)")];
        options.extend(
            apis.iter().map(|served| {
                SelectOption::new(&*served.audience, format!("{} ({})", served.api.name, served.audience))
            }),
        );
        // An alias of the default API.
        if let Some(alias) = audience.filter(|audience| options.iter().all(|option| option.value != *audience)) {
            options.push(SelectOption::new(alias, alias));
        }
        Self::Any {
            audience: Select::new("audience", "API", options, audience.unwrap_or_default()),
            scope: Field::text("scope", "Scope", scope)
                .hint("In the style of the API, for example orders.read or read:projects/acme/42.")
                .max_length(300)
                .errors(errors),
        }
    }
}

impl Explained {
    pub(in crate::console) fn new(explanation: Explanation, question: &Question) -> Self {
        let is_token = question.token.is_some();
        let verdict = match (explanation.verdict, &explanation.denial) {
            (Verdict::Allowed, _) => Notice::new(Tone::Good, "Allowed. Every check passed."),
            (Verdict::Incomplete, _) => {
                let missing = match (&question.address, &question.scope) {
                    (None, None) => "the client’s address and the requested scope",
                    (None, Some(_)) => "the client’s address",
                    (Some(_), _) => "the requested scope",
                };
                let text =
                    format!("Incomplete. No check failed, but some were skipped. Enter {missing} to run all checks.");
                Notice::new(Tone::Warning, text)
            }
            (Verdict::Denied, Some(Denial::TokenExpired)) => Notice::new(Tone::Bad, "Denied. The token has expired."),
            (Verdict::Denied, _) => {
                let is_failed = |check: &&ExplainedCheck| matches!(check.finding, Finding::Failed(_));
                let failed: Vec<_> =
                    explanation.checks.iter().filter(is_failed).map(|check| label(check.check)).collect();
                let rest = if failed.len() > 1 { " The client sees the first one." } else { "" };
                Notice::new(Tone::Bad, format!("Denied. Failed: {}.{rest}", failed.join(", ").to_lowercase()))
            }
        };
        let responses = explanation.denial.iter().flat_map(|denial| {
            let exchange = ("POST /oauth/token", ClientResponse::of_token_request(denial));
            let verification = ("/verify", ClientResponse::of_verification(denial));
            // Tokens are not exchanged.
            if is_token { vec![verification] } else { vec![exchange, verification] }
        });
        Self {
            verdict,
            responses: responses.collect(),
            checks: explanation.checks.into_iter().map(Row::from).collect(),
        }
    }

    /// Returns the question as the query of the form.
    pub(in crate::console) fn query(question: &Question) -> String {
        let (address, scope) = (question.address, question.scope.as_ref().map(ToString::to_string));
        let parts = match question.scope {
            Some(RequestedScope::Filter(_)) => scope.as_deref().and_then(|scope| scope.split_once(':')),
            _ => None,
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("ask", "yes").append_pair("address", &address.map(|at| at.to_string()).unwrap_or_default());
        if let Some(audience) = &question.audience {
            query.append_pair("audience", audience);
        }
        match (parts, &scope) {
            (Some((action, resource)), _) => {
                query.append_pair("action", action).append_pair("resource", resource);
            }
            (None, Some(scope)) => drop(query.append_pair("scope", scope)),
            (None, None) => {}
        }
        query.finish()
    }
}

impl From<keys::ExplainedCheck> for Row {
    fn from(explained: keys::ExplainedCheck) -> Self {
        let badge = match explained.finding {
            Finding::Passed => Badge::new(Tone::Good, "Passed"),
            Finding::Failed(_) => Badge::new(Tone::Bad, "Failed"),
            Finding::NotAsked => Badge::new(Tone::Plain, "Skipped"),
        };
        Self { what: label(explained.check), badge, detail: to_sentence(&explained.detail) }
    }
}

fn label(check: Check) -> &'static str {
    match check {
        Check::Secret => "Secret",
        Check::Revoked => "Not revoked",
        Check::Expired => "Expiry",
        Check::Disabled => "Not disabled",
        Check::Customer => "Customer not suspended",
        Check::Organization => "Organization not suspended",
        Check::Generation => "Token generation",
        Check::SecretVersion => "Token secret version",
        Check::Lifetime => "Token lifetime",
        Check::Network => "Network",
        Check::Scope => "Scope",
    }
}
