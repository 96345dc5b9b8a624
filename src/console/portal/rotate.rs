//! Rotating one of the customer's keys.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{invalid_form, page};
use crate::console::keys::{DaysFrom, ExpiryForm, display_name, grace_options, needs_expiry, ticket, version};
use crate::console::portal::frame::PortalFrame;
use crate::console::portal::request::{PortalForm, PortalRequest};
use crate::console::portal::secret;
use crate::console::reply::Reply;
use crate::console::submitted::check_fields;
use crate::console::ui::{Choice, Errors, Field, Labels, Moment, Select};
use crate::domain::api_key::ApiKey;
use crate::domain::policy::Policy;
use crate::domain::portal::Capability;
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::keys::{self, IdempotentRequest, KeyError, RotateKey};
use crate::portal::PortalError;

const FIELDS: &Labels = &[("expires_at", "Expiry"), ("grace_seconds", "Keep the current secret working for")];
/// The preselected grace period, unless the policy allows less.
const USUAL_GRACE: u32 = 86_400;

#[derive(Template)]
#[template(path = "console/portal/rotate.html")]
struct Page {
    frame: PortalFrame,
    errors: Errors,
    id: String,
    name: String,
    version: u64,
    ticket: String,
    grace: Choice,
    /// Set if the policy does not allow the current expiry.
    expiry: Option<Select>,
    date: Option<Field>,
    /// The end of a grace period in progress.
    running: Option<Moment>,
}

/// The confirmation of a rotation without grace.
#[derive(Template)]
#[template(path = "console/portal/rotate_now.html")]
struct Confirmation {
    frame: PortalFrame,
    id: String,
    name: String,
    /// The submitted form, to be submitted again.
    fields: Vec<(String, String)>,
}

pub(super) async fn show(visit: PortalRequest, path: web::Path<(String, String)>) -> Result<Reply, ErrorPage> {
    visit.check(Capability::Rotate)?;
    let key = visit.find(&path.1).await?;
    let policy = visit.tenant()?.organization.policy.clone();
    let grace = match key.grace_ends(visit.now()) {
        Some(_) => 0,
        None => policy.max_grace_seconds.min(USUAL_GRACE),
    };
    let raw = RawForm { expiry: ExpiryForm::latest(&policy), grace_seconds: grace.to_string() };
    page(&build(&visit, &key, &policy, &raw, Errors::default(), keys::ticket()?))
}

pub(super) async fn send(submitted: PortalForm, path: web::Path<(String, String)>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let PortalForm { visit, form } = submitted;
    visit.check(Capability::Rotate)?;
    let key = visit.find(&path.1).await?;
    let policy = visit.tenant()?.organization.policy.clone();
    check_fields(&form, &["grace_seconds"])?;
    let needs_expiry = needs_expiry(&policy, &key, visit.now());
    if needs_expiry {
        check_fields(&form, &["expiry"])?;
    }
    let (ticket, seen) = (ticket(&form)?, version(&form)?);
    let raw = RawForm::read(&form);
    if form.value("back").is_some() {
        return page(&build(&visit, &key, &policy, &raw, Errors::default(), ticket));
    }
    let mut checks = Checks::default();
    let expires_at = if needs_expiry { raw.expiry.parse(&mut checks, visit.now()) } else { None };
    let grace_seconds = raw.grace_seconds.parse().unwrap_or_else(|_| {
        checks.wrong("grace_seconds", "Choose a grace period.");
        0
    });
    if let Err(violations) = checks.done() {
        return invalid_form(&build(&visit, &key, &policy, &raw, Errors::new(violations, FIELDS), ticket));
    }

    // 2. Without grace, applications fail at once, so confirm that.
    if grace_seconds == 0 && form.value("confirmed").is_none() {
        let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed", "back"].contains(name));
        return page(&Confirmation {
            frame: visit.frame("Rotate immediately?"),
            id: key.id.to_string(),
            name: display_name(&key),
            fields: submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        });
    }

    // 3. Rotate the key.
    let rotation = RotateKey { name: None, expires_at, grace_seconds };
    let once = IdempotentRequest::form(&ticket, &format!("portal rotate {}", key.id));
    let errors = match visit.portal.rotate_key(visit.node(), &key.id, seen, rotation, &once).await {
        Ok((key, text)) => return secret::show(&visit, &key, &text, true),
        Err(PortalError::Key(KeyError::AlreadyDone(id))) => return secret::show_already_submitted(&visit, &id),
        Err(PortalError::Key(KeyError::Invalid(violations))) => Errors::new(violations, FIELDS),
        Err(PortalError::Key(error)) => match visit.describe(&error, if needs_expiry { &["expiry"] } else { &[] }) {
            Some(sentence) => Errors::sentence(sentence),
            None => return Err(error.into()),
        },
        Err(other) => return Err(other.into()),
    };
    invalid_form(&build(&visit, &key, &policy, &raw, errors, ticket))
}

/// The raw values of the form.
struct RawForm {
    expiry: ExpiryForm,
    grace_seconds: String,
}

impl RawForm {
    fn read(form: &Form) -> Self {
        let grace_seconds = form.value("grace_seconds").unwrap_or_default().trim().to_owned();
        Self { expiry: ExpiryForm::read(form), grace_seconds }
    }
}

fn build(visit: &PortalRequest, key: &ApiKey, policy: &Policy, raw: &RawForm, errors: Errors, ticket: String) -> Page {
    let now = visit.now();
    let fields =
        needs_expiry(policy, key, now).then(|| raw.expiry.fields(policy, None, DaysFrom { since: now, now }, &errors));
    let (expiry, date) = fields.map_or((None, None), |(expiry, date)| (Some(expiry), date));
    let running = key.grace_ends(now);
    let options = grace_options(policy, running.is_some());
    let label = "Keep the current secret working for";
    Page {
        frame: visit.frame("Rotate key"),
        id: key.id.to_string(),
        name: display_name(key),
        version: key.version,
        ticket,
        grace: Choice::new("grace_seconds", label, options, &raw.grace_seconds)
            .hint("During the grace period both secrets work, so you can switch without downtime.")
            .errors(&errors),
        expiry,
        date,
        running: running.map(|until| Moment::from_now(until, now)),
        errors,
    }
}
