//! Rotating a key: a new secret under the same id, and what becomes of the old one.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::keys::create::{policy, ticket};
use crate::console::keys::wish::{ExpiryWish, ends};
use crate::console::keys::{find, may_change, name, secret, version};
use crate::console::submitted::{Submitted, check_fields};
use crate::console::trouble::{self, Trouble};
use crate::console::ui::{Errors, Field, Moment, Offer, Select};
use crate::console::visit::Visit;
use crate::domain::api_key::ApiKey;
use crate::domain::policy::Policy;
use crate::http::checks::{Checks, MAX_NAME};
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError, Once, RotateKey};

const FIELDS: [&str; 3] = ["name", "expires_at", "grace_seconds"];

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;
/// Graces on offer, as far as the policy allows them.
const GRACES: [(u32, &str); 6] = [
    (0, "None: the old secret and its tokens end now"),
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

/// Shows the form.
pub(super) async fn show(visit: Visit<WriteKeys>, path: web::Path<String>) -> Result<HttpResponse, Trouble> {
    let key = find(&visit, &path).await?;
    if !may_change(&visit, &key) {
        return Err(Trouble::beyond("You manage your own keys only. Ask its owner or an admin."));
    }
    let policy = policy(&visit)?;
    let typed = (key.name.clone(), ExpiryWish::keep(), "0".to_owned());
    page(&build(&visit, &key, &policy, typed, Errors::default(), keys::ticket()?))
}

/// Rotates, and shows the new secret once.
pub(super) async fn send(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<HttpResponse, Trouble> {
    // 1. What was typed.
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let policy = policy(&visit)?;
    check_fields(&form, &["name", "expiry", "grace_seconds"])?;
    let (ticket, seen) = (ticket(&form)?, version(&form)?);
    let typed = typed(&form);
    let mut checks = Checks::default();
    checks.name(&typed.0);
    let expires_at = typed.1.check(&mut checks, visit.now);
    let grace_seconds = typed.2.parse().unwrap_or_else(|_| {
        checks.wrong("grace_seconds", "choose how long the old secret still works");
        0
    });
    if let Err(wrong) = checks.done() {
        return refused(&build(&visit, &key, &policy, typed, Errors::new(wrong, &FIELDS), ticket));
    }

    // 2. The rotation.
    let wish = RotateKey { name: (typed.0 != key.name).then(|| typed.0.clone()), expires_at, grace_seconds };
    let (node, organization, by, id) = (visit.node().clone(), visit.organization().clone(), visit.by(), key.id);
    let once = Once::form(&ticket, &format!("console rotate {id}"));
    let rotated = async move { keys::rotate(&node, &organization, &by, &id, Some(seen), wish, Some(&once)).await };
    let errors = match visit.node().run_to_end(rotated).await {
        Ok((key, text)) => return secret::shown(&visit, &key, &text, "rotated"),
        Err(KeyError::AlreadyDone(id)) => return secret::shown_before(&visit, &id),
        Err(KeyError::Invalid(wrong)) => Errors::new(wrong, &FIELDS),
        Err(KeyError::Beyond(too_much)) => Errors::sentence(trouble::beyond(&too_much)),
        Err(KeyError::Conflict(detail)) => Errors::sentence(trouble::sentence(&detail)),
        Err(other) => return Err(other.into()),
    };
    refused(&build(&visit, &key, &policy, typed, errors, ticket))
}

fn typed(form: &Form) -> (String, ExpiryWish, String) {
    let value = |name| form.value(name).unwrap_or_default().trim().to_owned();
    (value("name"), ExpiryWish::read(form), value("grace_seconds"))
}

fn build(
    visit: &Visit<WriteKeys>,
    key: &ApiKey,
    policy: &Policy,
    (new_name, expiry, grace): (String, ExpiryWish, String),
    errors: Errors,
    ticket: String,
) -> Page {
    let kept = format!("As it is: {}", ends(key));
    let (expiry, date) = expiry.fields(policy, Some(&kept), &errors);
    let allowed = GRACES.into_iter().filter(|(seconds, _)| *seconds <= policy.max_grace_seconds);
    let graces = allowed.map(|(seconds, text)| Offer::new(seconds.to_string(), text)).collect();
    let running = key.previous.as_ref().map(|previous| previous.until).filter(|until| *until > visit.now);
    Page {
        frame: visit.frame(Section::Keys, "Rotate this key"),
        id: key.id.to_string(),
        key_name: name(key),
        version: key.version,
        ticket,
        name: Field::text("name", "Name", new_name).required(policy.name_required).most(MAX_NAME).errors(&errors),
        expiry,
        date,
        grace: Select::new("grace_seconds", "Grace for the old secret", graces, grace)
            .hint("During the grace both secrets work, so that you can change them over without a gap.")
            .errors(&errors),
        running: running.map(|until| Moment::from_now(until, visit.now)),
        errors,
    }
}
