//! Explaining a decision: the result of each check for a hypothetical request.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::create::policy;
use crate::console::keys::{display_name, find};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Errors, Field, Labels, Notice, Select, SelectOption, Tone, to_sentence};
use crate::domain::decision::{Check, Finding};
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::http::permission::ReadKeys;
use crate::keys::{self, Question};

const FIELDS: &Labels = &[("address", "Client IP address"), ("action", "Action"), ("resource", "Resource")];

#[derive(Template)]
#[template(path = "console/keys/explain.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    key_name: String,
    address: Field,
    action: Select,
    resource: Field,
    verdict: Option<Notice>,
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
    let policy = policy(&visit)?;
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let value = |name| query.value(name).unwrap_or_default().trim();
    let (address, action, resource) = (value("address"), value("action"), value("resource"));
    let filled = |text: &'static str| Some(value(text)).filter(|text| !text.is_empty());

    let mut checks = Checks::default();
    let question = Question {
        address: filled("address").and_then(|text| checks.address("address", text)),
        scope: checks.scope(filled("action"), filled("resource")),
        at: visit.now,
    };
    let errors = checks.done().err().map(|violations| Errors::new(violations, FIELDS)).unwrap_or_default();
    let is_asked = query.value("ask").is_some() && errors.is_empty();
    let explanation = if is_asked {
        Some(keys::explain(visit.node(), visit.organization(), &key.id, &question).await?)
    } else {
        None
    };

    let mut actions = vec![SelectOption::new("", "Any (skip this check)")];
    actions.extend(policy.actions.iter().map(|action| SelectOption::new(action.as_str(), action.as_str())));
    let built = Page {
        frame: visit.frame(Section::Keys, "Why was a request denied?"),
        id: key.id.to_string(),
        key_name: display_name(&key),
        address: Field::text("address", "Client IP address", address)
            .hint("As Keyturn sees it, for example 203.0.113.7.")
            .max_length(64)
            .errors(&errors),
        action: Select::new("action", "Action", actions, action).errors(&errors),
        resource: Field::text("resource", "Resource", resource)
            .hint("For example projects/acme/42.")
            .max_length(256)
            .errors(&errors),
        verdict: explanation.as_ref().map(|explanation| match explanation.is_allowed {
            true if question.address.is_some() && question.scope.is_some() => {
                Notice::new(Tone::Good, "Allowed. Every check passed.")
            }
            true => Notice::new(
                Tone::Plain,
                "No check failed, but some checks were skipped. Fill in every field to run all checks.",
            ),
            false => Notice::new(Tone::Bad, "Denied. The first failed check is the reason."),
        }),
        checks: explanation.into_iter().flat_map(|explanation| explanation.checks).map(Row::from).collect(),
        errors,
    };
    if built.errors.is_empty() { page(&built) } else { invalid_form(&built) }
}

impl From<keys::ExplainedCheck> for Row {
    fn from(explained: keys::ExplainedCheck) -> Self {
        let badge = match explained.finding {
            Finding::Passed => Badge::new(Tone::Good, "Passed"),
            Finding::Failed(_) => Badge::new(Tone::Bad, "Failed"),
            Finding::NotAsked => Badge::new(Tone::Plain, "Skipped"),
            Finding::NotReached => Badge::new(Tone::Plain, "Not checked"),
        };
        let what = match explained.check {
            Check::Secret => "Secret",
            Check::Revoked => "Not revoked",
            Check::Expired => "Expiry",
            Check::Disabled => "Not disabled",
            Check::Organization => "Organization not suspended",
            Check::Generation => "Token generation",
            Check::SecretVersion => "Token secret version",
            Check::Network => "Network",
            Check::Scope => "Scope",
        };
        Self { what, badge, detail: to_sentence(&explained.detail) }
    }
}
