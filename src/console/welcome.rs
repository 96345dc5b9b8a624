//! Getting started: the first steps, each of which detects whether it is done.

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource};
use crate::console::ui::{Badge, Field, Tone};
use crate::domain::api_key::ApiKey;
use crate::domain::member::{MIN_PASSWORD, MemberId};
use crate::domain::usage::UsageOutcome;
use crate::http::form::Form;
use crate::http::permission::{AdminMembers, AdminPolicy, AdminSigningKeys, AnyCredential, ReadUsage, WriteKeys};
use crate::keys::{self, KeyError};
use crate::members;
use crate::store::{Interval, KeyFilter, KeyOrder};
use crate::usage::{self, Span};

/// A verification in this many days shows that a gateway is connected.
const VERIFICATION_DAYS: i64 = 30;
const DAY: i64 = 86_400;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/welcome", [get(show)]));
}

#[derive(Template)]
#[template(path = "console/welcome.html")]
struct Page {
    frame: Frame,
    token_endpoint: String,
    current_password: Field,
    new_password: Field,
    has_signing_key: bool,
    /// The steps for the visitor's role, in order, and whether each is done.
    steps: Vec<(Step, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Password,
    SigningKey,
    Policy,
    Members,
    Key,
    Token,
    Gateway,
}

impl Page {
    fn done(&self) -> usize {
        self.steps.iter().filter(|(_, done)| *done).count()
    }

    fn badge(&self, done: &bool) -> Badge {
        if *done { Badge::new(Tone::Good, "Done") } else { Badge::new(Tone::Plain, "To do") }
    }
}

async fn show(visit: ConsoleRequest<AnyCredential>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let done = match query.value("done") {
        Some("password") => Some("Password changed. You were signed out of your other sessions."),
        _ => None,
    };
    let organization = visit.organization();
    let tenant = visit.node().tenant(organization).ok_or_else(ErrorPage::not_found)?;
    let has_signing_key = tenant.ring.newest().is_some();
    // A member's version increases with every change. The first change is usually their own password.
    let mut steps = vec![(Step::Password, visit.who.member.version > 1)];
    if visit.may::<AdminSigningKeys>() {
        steps.push((Step::SigningKey, has_signing_key));
    }
    if visit.may::<AdminPolicy>() {
        steps.push((Step::Policy, tenant.organization.policy_version > 1));
    }
    if visit.may::<AdminMembers>() {
        steps.push((Step::Members, members::list(visit.node(), organization).await?.len() > 1));
    }
    if visit.may::<WriteKeys>() {
        // For those who manage all keys, any key counts except the one created at setup.
        let owner = (!visit.may::<AdminMembers>()).then(|| visit.who.member.id.clone());
        let newest = first(&visit, KeyOrder::Created, owner).await?;
        steps.push((Step::Key, newest.is_some_and(|key| key.created_by != "keyturn")));
        let last_used = first(&visit, KeyOrder::LastUse, None).await?;
        steps.push((Step::Token, last_used.is_some_and(|key| key.last_used_at.is_some())));
    }
    if visit.may::<WriteKeys>() && visit.may::<ReadUsage>() {
        let span =
            Span::touched(Interval::Day, visit.now.plus_seconds(-VERIFICATION_DAYS * DAY), visit.now.plus_seconds(1));
        let usage = usage::usage_of_organization(visit.node(), organization, span).await?;
        steps.push((Step::Gateway, usage.totals().of(UsageOutcome::Verified) > 0));
    }
    page(&Page {
        frame: visit.frame(Section::Welcome, "Getting started").done(done),
        token_endpoint: format!("{}/oauth/token", visit.node().settings.public_url),
        current_password: Field::password("current_password", "Temporary password", "current-password"),
        new_password: Field::password("new_password", "New password", "new-password")
            .hint(format!("At least {MIN_PASSWORD} characters. You’ll be signed out everywhere else.")),
        has_signing_key,
        steps,
    })
}

/// Returns the newest or most recently used key, of the organization or of one owner.
async fn first(
    visit: &ConsoleRequest<AnyCredential>,
    order: KeyOrder,
    owner: Option<MemberId>,
) -> Result<Option<ApiKey>, KeyError> {
    let filter = KeyFilter { owner, order, limit: 1, ..KeyFilter::new(visit.organization().clone(), visit.now) };
    Ok(keys::list(visit.node(), filter).await?.items.into_iter().next())
}
