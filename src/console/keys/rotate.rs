//! Rotating a key: a new secret with the same key ID, and a grace period for the previous one.

use actix_web::web;
use askama::Template;

use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::create::{policy, ticket};
use crate::console::keys::form::{ExpiryForm, format_expiry};
use crate::console::keys::{display_name, find, may_change, secret, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::{Submitted, check_fields};
use crate::console::ui::{Errors, Field, Labels, Moment, Select, SelectOption, to_sentence};
use crate::domain::api_key::ApiKey;
use crate::domain::policy::Policy;
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, IdempotentRequest, KeyError, RotateKey};

const FIELDS: &Labels =
    &[("name", "Name"), ("expires_at", "Expiry"), ("grace_seconds", "Keep the current secret working for")];

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;
/// Grace periods to choose from, up to the policy's maximum.
const GRACE_PERIODS: [(u32, &str); 6] = [
    (0, "No grace period: the current secret and its tokens stop working immediately"),
    (HOUR, "1 hour"),
    (DAY, "1 day"),
    (7 * DAY, "7 days"),
    (14 * DAY, "14 days"),
    (30 * DAY, "30 days"),
];

#[derive(Template)]
#[template(path = "console/keys/rotate.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    key_name: String,
    version: u64,
    ticket: String,
    name: Field,
    expiry: Select,
    date: Option<Field>,
    grace: Select,
    running: Option<Moment>,
}

pub(super) async fn show(visit: ConsoleRequest<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let key = find(&visit, &path).await?;
    if !may_change(&visit, &key) {
        return Err(ErrorPage::not_permitted("You can only manage your own keys. Ask the owner or an admin."));
    }
    let policy = policy(&visit)?;
    let raw = RawForm { name: key.name.clone(), expiry: ExpiryForm::keep(), grace_seconds: "0".to_owned() };
    page(&build(&visit, &key, &policy, raw, Errors::default(), keys::ticket()?))
}

/// Rotates the key and shows the new secret once.
pub(super) async fn send(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let policy = policy(&visit)?;
    check_fields(&form, &["name", "expiry", "grace_seconds"])?;
    let (ticket, seen) = (ticket(&form)?, version(&form)?);
    let raw = RawForm::read(&form);
    let mut checks = Checks::default();
    checks.name(&raw.name);
    let expires_at = raw.expiry.parse(&mut checks, visit.now);
    let grace_seconds = raw.grace_seconds.parse().unwrap_or_else(|_| {
        checks.wrong("grace_seconds", "Choose a grace period.");
        0
    });
    if let Err(violations) = checks.done() {
        return invalid_form(&build(&visit, &key, &policy, raw, Errors::new(violations, FIELDS), ticket));
    }

    // 2. Rotate the key.
    let rotation = RotateKey { name: (raw.name != key.name).then(|| raw.name.clone()), expires_at, grace_seconds };
    let (node, organization, by, id) = (visit.node(), visit.organization(), visit.by(), key.id);
    let once = IdempotentRequest::form(&ticket, &format!("console rotate {id}"));
    let errors = match keys::rotate(node, organization, &by, &id, Some(seen), rotation, Some(&once)).await {
        Ok((key, text)) => return secret::show_new(&visit, &key, &text, true),
        Err(KeyError::AlreadyDone(id)) => return secret::show_already_submitted(&visit, &id),
        Err(KeyError::Invalid(violations)) => Errors::new(violations, FIELDS),
        Err(KeyError::GrantExceeded(excess)) => Errors::sentence(error_page::describe_excess(&excess)),
        Err(KeyError::Conflict(detail)) => Errors::sentence(to_sentence(&detail)),
        Err(other) => return Err(other.into()),
    };
    invalid_form(&build(&visit, &key, &policy, raw, errors, ticket))
}

/// The raw values of the form.
struct RawForm {
    name: String,
    expiry: ExpiryForm,
    grace_seconds: String,
}

impl RawForm {
    fn read(form: &Form) -> Self {
        let value = |name| form.value(name).unwrap_or_default().trim().to_owned();
        Self { name: value("name"), expiry: ExpiryForm::read(form), grace_seconds: value("grace_seconds") }
    }
}

fn build(
    visit: &ConsoleRequest<WriteKeys>,
    key: &ApiKey,
    policy: &Policy,
    raw: RawForm,
    errors: Errors,
    ticket: String,
) -> Page {
    let kept = format!("Keep current ({})", format_expiry(key));
    let (expiry, date) = raw.expiry.fields(policy, Some(&kept), &errors);
    let allowed = GRACE_PERIODS.into_iter().filter(|(seconds, _)| *seconds <= policy.max_grace_seconds);
    let graces = allowed.map(|(seconds, text)| SelectOption::new(seconds.to_string(), text)).collect();
    let running = key.previous.as_ref().map(|previous| previous.until).filter(|until| *until > visit.now);
    Page {
        frame: visit.frame(Section::Keys, "Rotate key"),
        id: key.id.to_string(),
        key_name: display_name(key),
        version: key.version,
        ticket,
        name: Field::text("name", "Name", raw.name).required(policy.name_required).max_length(MAX_NAME).errors(&errors),
        expiry,
        date,
        grace: Select::new("grace_seconds", "Keep the current secret working for", graces, raw.grace_seconds)
            .hint("During the grace period both secrets work, so you can switch without downtime.")
            .errors(&errors),
        running: running.map(|until| Moment::from_now(until, visit.now)),
        errors,
    }
}
