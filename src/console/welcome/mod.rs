//! Getting started: the first steps, each of which detects whether it is done.

mod steps;

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, next, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Errors, Field, Tone};
use crate::console::welcome::steps::{Step, VERIFICATION_DAYS};
use crate::domain::member::{MIN_PASSWORD, Member};
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::http::permission::AnyCredential;
use crate::members;
use crate::node::Node;

pub(super) use steps::Steps;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/welcome", [get(show)])).service(resource("/welcome/dismiss", [submit(dismiss)]));
}

#[derive(Template)]
#[template(path = "console/welcome/page.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    token_endpoint: String,
    current_password: Field,
    new_password: Field,
    has_signing_key: bool,
    steps: Steps,
    /// The page that the member wanted before they were led here.
    wanted: Option<String>,
}

impl Page {
    fn done(&self) -> usize {
        self.steps.all.iter().filter(|(_, done)| *done).count()
    }

    fn badge(&self, done: &bool) -> Badge {
        if *done { Badge::new(Tone::Good, "Done") } else { Badge::new(Tone::Plain, "To do") }
    }

    fn title(&self, step: &Step) -> &'static str {
        match step {
            Step::Password if self.steps.is_first_owner => "Change the printed password",
            Step::Password => "Change your temporary password",
            Step::FirstKey => "Replace the first key",
            Step::SigningKey => "Create a signing key",
            Step::Policy => "Review the policy",
            Step::Members => "Add your team",
            Step::Key => "Create an API key",
            Step::Token => "Request a token",
            Step::Gateway => "Connect a gateway",
        }
    }
}

async fn show(visit: ConsoleRequest<AnyCredential>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let wanted = query.value("next").map(|wanted| next(Some(wanted), &visit.node().settings.public_url));
    page(&Page { wanted, ..Page::new(&visit, Errors::default()).await? })
}

/// Shows the page with the errors of a new password.
pub(super) async fn reject_password(
    visit: &ConsoleRequest<AnyCredential>,
    violations: Vec<Violation>,
) -> Result<Reply, ErrorPage> {
    let labels = &[("current_password", "Temporary password"), ("new_password", "New password")];
    invalid_form(&Page::new(visit, Errors::new(violations, labels)).await?)
}

impl Page {
    async fn new(visit: &ConsoleRequest<AnyCredential>, errors: Errors) -> Result<Self, ErrorPage> {
        let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
        Ok(Self {
            steps: Steps::of(visit.node(), &visit.who.member, visit.now).await?,
            wanted: None,
            token_endpoint: format!("{}/oauth/token", visit.node().settings.public_url),
            current_password: Field::password("current_password", "Temporary password", "current-password")
                .errors(&errors),
            new_password: Field::password("new_password", "New password", "new-password")
                .hint(format!("At least {MIN_PASSWORD} characters. You’ll be signed out everywhere else."))
                .errors(&errors),
            has_signing_key: !tenant.ring.is_empty(),
            frame: visit.frame(Section::Welcome, "Getting started"),
            errors,
        })
    }
}

/// Leads this member to the first page after sign-in from now on, in every browser.
async fn dismiss(submitted: Submitted<AnyCredential>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    members::dismiss_steps(visit.node(), &visit.who.member.id, visit.now).await?;
    visit.done("/overview", "Getting started stays in the navigation.")
}

/// Returns where to go after sign-in: Getting started for a member who has steps left, unless they dismissed it. A member with a
/// given password is always led there, and on to the page that they wanted.
pub(super) async fn after_sign_in(node: &Node, member: &Member, wanted: Option<&str>) -> Result<String, ErrorPage> {
    let public_url = &node.settings.public_url;
    let (to, first) = (next(wanted, public_url), next(None, public_url));
    let root = super::frame::root(public_url);
    let is_first = to == first || to == root || to == format!("{root}/");
    let is_dismissed = members::has_dismissed_steps(node, &member.id).await?;
    let steps = Steps::of(node, member, crate::clock::now()).await?;
    let welcome = format!("{root}/welcome");
    if to == welcome {
        return Ok(to);
    }
    if steps.has_given_password() && !is_first {
        let to: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        return Ok(format!("{welcome}?next={to}"));
    }
    let is_led = steps.has_given_password() || (is_first && !is_dismissed && !steps.are_done());
    Ok(if is_led { welcome } else { to })
}
