//! Rotating a key: a new secret with the same key ID, and a grace period for the previous one. A rotation without grace is
//! confirmed with the key's last use.

use actix_web::web;
use askama::Template;

use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::create::{policy, ticket};
use crate::console::keys::expiry::{DaysFrom, ExpiryForm};
use crate::console::keys::{display_name, find, may_change, secret, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::{Submitted, check_fields};
use crate::console::ui::{Choice, ChoiceOption, Errors, Field, Labels, Moment, Select, to_sentence};
use crate::domain::api_key::ApiKey;
use crate::domain::policy::{Expiry, Policy, ProposedKey};
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, IdempotentRequest, KeyError, RotateKey};

const FIELDS: &Labels = &[("expires_at", "Expiry"), ("grace_seconds", "Keep the current secret working for")];

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;
/// Grace periods to choose from, up to the policy's maximum.
pub(super) const GRACE_PERIODS: [u32; 5] = [HOUR, DAY, 7 * DAY, 14 * DAY, 30 * DAY];
/// The choice without a grace period.
const IMMEDIATELY: &str = "0";

#[derive(Template)]
#[template(path = "console/keys/rotate.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    key_name: String,
    version: u64,
    ticket: String,
    grace: Choice,
    /// Set if the policy does not allow the current expiry.
    expiry: Option<Select>,
    date: Option<Field>,
    running: Option<Moment>,
}

/// The confirmation of a rotation without grace.
#[derive(Template)]
#[template(path = "console/keys/rotate_now.html")]
struct Confirmation {
    frame: Frame,
    id: String,
    key_name: String,
    /// The submitted form, to be submitted again.
    fields: Vec<(String, String)>,
    last_used: Option<Moment>,
    last_used_ip: String,
    ends_both: bool,
}

pub(super) async fn show(visit: ConsoleRequest<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let key = find(&visit, &path).await?;
    if !may_change(&visit, &key) {
        return Err(ErrorPage::not_permitted("You can only manage your own keys. Ask the owner or an admin."));
    }
    let policy = policy(&visit)?;
    let is_running = key.grace_ends(visit.now).is_some();
    let raw = RawForm {
        expiry: ExpiryForm::latest(&policy),
        grace_seconds: if is_running { IMMEDIATELY.into() } else { policy.max_grace_seconds.min(DAY).to_string() },
    };
    page(&build(&visit, &key, &policy, raw, Errors::default(), keys::ticket()?))
}

/// Rotates the key and shows the new secret once.
pub(super) async fn send(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let policy = policy(&visit)?;
    check_fields(&form, &["grace_seconds"])?;
    let needs_expiry = needs_expiry(&policy, &key, visit.now);
    if needs_expiry {
        check_fields(&form, &["expiry"])?;
    }
    let (ticket, seen) = (ticket(&form)?, version(&form)?);
    let raw = RawForm::read(&form);
    if form.value("back").is_some() {
        return page(&build(&visit, &key, &policy, raw, Errors::default(), ticket));
    }
    let mut checks = Checks::default();
    let expires_at = if needs_expiry { raw.expiry.parse(&mut checks, visit.now) } else { None };
    let grace_seconds = raw.grace_seconds.parse().unwrap_or_else(|_| {
        checks.wrong("grace_seconds", "Choose a grace period.");
        0
    });
    if let Err(violations) = checks.done() {
        return invalid_form(&build(&visit, &key, &policy, raw, Errors::new(violations, FIELDS), ticket));
    }

    // 2. Without grace, applications fail at once, so confirm that.
    if grace_seconds == 0 && form.value("confirmed").is_none() {
        return confirm(&visit, &key, &form);
    }

    // 3. Rotate the key.
    let rotation = RotateKey { name: None, expires_at, grace_seconds };
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

/// Whether the policy does not allow a new secret with the key's current expiry.
pub(in crate::console) fn needs_expiry(policy: &Policy, key: &ApiKey, now: Timestamp) -> bool {
    let proposed = ProposedKey { expiry: Expiry::Kept(key.expires_at), ..ProposedKey::default() };
    !policy.violations(&proposed, now).is_empty()
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

fn confirm(visit: &ConsoleRequest<WriteKeys>, key: &ApiKey, form: &Form) -> Result<Reply, ErrorPage> {
    let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed", "back"].contains(name));
    page(&Confirmation {
        frame: visit.frame(Section::Keys, "Rotate immediately?"),
        id: key.id.to_string(),
        key_name: display_name(key),
        fields: submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, visit.now)),
        last_used_ip: key.last_used_ip.clone().unwrap_or_default(),
        ends_both: key.grace_ends(visit.now).is_some(),
    })
}

fn build(
    visit: &ConsoleRequest<WriteKeys>,
    key: &ApiKey,
    policy: &Policy,
    raw: RawForm,
    errors: Errors,
    ticket: String,
) -> Page {
    let days = DaysFrom { since: visit.now, now: visit.now };
    let fields = needs_expiry(policy, key, visit.now).then(|| raw.expiry.fields(policy, None, days, &errors));
    let (expiry, date) = fields.map_or((None, None), |(expiry, date)| (Some(expiry), date));
    let running = key.grace_ends(visit.now);
    let grace = Choice::new(
        "grace_seconds",
        "Keep the current secret working for",
        grace_options(policy, running.is_some()),
        raw.grace_seconds,
    );
    Page {
        frame: visit.frame(Section::Keys, "Rotate key"),
        id: key.id.to_string(),
        key_name: display_name(key),
        version: key.version,
        ticket,
        grace: grace
            .hint("During the grace period both secrets work, so you can switch without downtime.")
            .errors(&errors),
        expiry,
        date,
        running: running.map(|until| Moment::from_now(until, visit.now)),
        errors,
    }
}

/// Returns the allowed grace periods, shortest first, and last the rotation without one. While a grace period runs, no other
/// can begin.
pub(in crate::console) fn grace_options(policy: &Policy, is_running: bool) -> Vec<ChoiceOption> {
    let mut lengths: Vec<u32> =
        GRACE_PERIODS.into_iter().filter(|length| *length <= policy.max_grace_seconds).collect();
    if policy.max_grace_seconds < DAY && policy.max_grace_seconds > 0 && !lengths.contains(&policy.max_grace_seconds) {
        lengths.push(policy.max_grace_seconds);
    }
    if is_running {
        lengths.clear();
    }
    let mut options: Vec<ChoiceOption> =
        lengths.into_iter().map(|length| ChoiceOption::new(length.to_string(), describe_length(length))).collect();
    options.push(
        ChoiceOption::new(IMMEDIATELY, "Immediately (for a leaked secret)")
            .hint("The current secret and its tokens stop working now. Applications that use them fail.")
            .dangerous(),
    );
    options
}

/// Formats the length of a grace period exactly: `24 hours`, `7 days`, `90 minutes`.
pub(super) fn describe_length(seconds: u32) -> String {
    let units = [(DAY, "day"), (HOUR, "hour"), (60, "minute"), (1, "second")];
    // A single day reads as 24 hours.
    let unit =
        units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length) && (*length != DAY || seconds != DAY));
    let (length, name) = unit.unwrap_or((1, "second"));
    let number = seconds / length;
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immediately_is_last_and_lengths_are_within_the_policy() {
        let values = |most: u32, is_running: bool| {
            let policy = Policy { max_grace_seconds: most, ..Policy::default() };
            grace_options(&policy, is_running).into_iter().map(|option| option.value).collect::<Vec<_>>()
        };
        assert_eq!(values(30 * DAY, false), ["3600", "86400", "604800", "1209600", "2592000", "0"]);
        assert_eq!(values(7200, false), ["3600", "7200", "0"]);
        assert_eq!(values(600, false), ["600", "0"]);
        assert_eq!(values(0, false), ["0"]);
        assert_eq!(values(30 * DAY, true), ["0"]);
    }

    #[test]
    fn lengths_are_exact() {
        let lengths = [0, 59, 60, 5400, HOUR, DAY, 25 * HOUR, 7 * DAY].map(describe_length);
        let texts = ["0 days", "59 seconds", "1 minute", "90 minutes", "1 hour", "24 hours", "25 hours", "7 days"];
        assert_eq!(lengths, texts);
    }
}
