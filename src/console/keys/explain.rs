//! Why a key may or may not: each check of the decision.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::keys::create::policy;
use crate::console::keys::{find, name};
use crate::console::trouble::{self, Trouble};
use crate::console::ui::{Badge, Errors, Field, Notice, Offer, Select, Tone};
use crate::console::visit::Visit;
use crate::domain::decision::{Check, Finding};
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::http::permission::ReadKeys;
use crate::keys::{self, Question};

const FIELDS: [&str; 3] = ["address", "action", "resource"];

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

/// Shows the question, and the answer once something is asked.
pub(super) async fn show(
    visit: Visit<ReadKeys>,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Trouble> {
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
    let errors = checks.done().err().map(|wrong| Errors::new(wrong, &FIELDS)).unwrap_or_default();
    let is_asked = query.value("ask").is_some() && errors.is_empty();
    let explanation = if is_asked {
        Some(keys::explain(visit.node(), visit.organization(), &key.id, &question).await?)
    } else {
        None
    };

    let mut actions = vec![Offer::new("", "Not asked")];
    actions.extend(policy.actions.iter().map(|action| Offer::new(action.as_str(), action.as_str())));
    let built = Page {
        frame: visit.frame(Section::Keys, "Explain a refusal"),
        id: key.id.to_string(),
        key_name: name(&key),
        address: Field::text("address", "Caller’s address", address)
            .hint("As the server sees it, as in 203.0.113.7.")
            .most(64)
            .errors(&errors),
        action: Select::new("action", "Action", actions, action).errors(&errors),
        resource: Field::text("resource", "Resource", resource)
            .hint("As in projects/acme/42.")
            .most(256)
            .errors(&errors),
        verdict: explanation.as_ref().map(|explanation| match explanation.is_allowed {
            true => Notice::new(Tone::Good, "Allowed: no check refuses it."),
            false => Notice::new(Tone::Bad, "Refused. The first check that fails says why."),
        }),
        checks: explanation.into_iter().flat_map(|explanation| explanation.checks).map(Row::from).collect(),
        errors,
    };
    if built.errors.is_empty() { page(&built) } else { refused(&built) }
}

impl From<keys::ExplainedCheck> for Row {
    fn from(explained: keys::ExplainedCheck) -> Self {
        let badge = match explained.finding {
            Finding::Passed => Badge::new(Tone::Good, "Passed"),
            Finding::Failed(_) => Badge::new(Tone::Bad, "Failed"),
            Finding::NotAsked => Badge::new(Tone::Plain, "Not asked"),
            Finding::NotReached => Badge::new(Tone::Plain, "Not reached"),
        };
        let what = match explained.check {
            Check::Secret => "Secret",
            Check::Revoked => "Revoked",
            Check::Expired => "Expiry",
            Check::Disabled => "Disabled",
            Check::Generation => "Token’s generation",
            Check::SecretVersion => "Token’s secret",
            Check::Network => "Network",
            Check::Scope => "Scope",
        };
        Self { what, badge, detail: trouble::sentence(&explained.detail) }
    }
}
