//! Creating an organization's first signing key, and rotating it.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::signing_keys::format_length;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Moment, Select, SelectOption};
use crate::domain::violation::Violation;
use crate::http::permission::AdminSigningKeys;
use crate::organizations::{self, SigningKeyRotation, rotate_signing_key};

#[derive(Template)]
#[template(path = "console/signing_keys/rotate.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    when: Select,
    /// A key that is published but not active yet, and when it becomes active.
    pending: Option<(String, Moment)>,
    /// The algorithms of the current key and of the server's configuration, if they differ.
    algorithms: Option<(&'static str, &'static str)>,
    ttl: String,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminSigningKeys>) -> Result<Reply, ErrorPage> {
    page(&Page::new(&visit, Errors::default())?)
}

pub(super) async fn rotate(submitted: Submitted<AdminSigningKeys>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (ahead_seconds, retire_now) = match form.value("when") {
        Some("ahead") => (visit.node().settings.publish_ahead_seconds, false),
        Some("now") => (0, false),
        Some("retire") => (0, true),
        _ => {
            let violation = Violation::new("when", "Choose when to start using the new key.");
            return invalid_form(&Page::new(
                &visit,
                Errors::new([violation], &[("when", "When to start using the new key")]),
            )?);
        }
    };
    let (node, by) = (visit.node(), visit.by());
    let organization = visit.organization();
    let rotation = SigningKeyRotation { algorithm: node.settings.algorithm, ahead_seconds, retire_now };
    rotate_signing_key(node, organization, rotation, &by).await?;
    Ok(Reply::see_other(visit.path("/signing-keys?done=rotated")))
}

pub(super) async fn bootstrap(submitted: Submitted<AdminSigningKeys>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let (node, by, organization) = (visit.node(), visit.by(), visit.organization());
    let created = organizations::bootstrap(node, &by, organization).await?;
    let done = if created.is_some() { "made" } else { "there" };
    Ok(Reply::see_other(visit.path(&format!("/signing-keys?done={done}"))))
}

impl Page {
    fn new(visit: &ConsoleRequest<AdminSigningKeys>, errors: Errors) -> Result<Self, ErrorPage> {
        let (settings, now) = (&visit.node().settings, visit.now);
        let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
        let newest = tenant.ring.newest().ok_or_else(|| ErrorPage::conflict("Create a signing key first."))?;
        let pending = Some(newest).filter(|key| key.active_from() > now);
        let pending = pending.map(|key| (key.kid().to_owned(), Moment::from_now(key.active_from(), now)));
        let differ = newest.algorithm() != settings.algorithm;
        let mut options = Vec::new();
        if settings.publish_ahead_seconds > 0 && pending.is_none() && !differ {
            let ahead = format_length(settings.publish_ahead_seconds);
            options.push(SelectOption::new("ahead", format!("In {ahead} (recommended): publish now, use then")));
        }
        options.push(SelectOption::new("now", "Immediately"));
        options.push(SelectOption::new("retire", "Immediately, and delete the current key: its tokens become invalid"));
        Ok(Self {
            frame: visit.frame(Section::SigningKeys, "Rotate signing key"),
            when: Select::new("when", "When to start using the new key", options, "").errors(&errors),
            errors,
            pending,
            algorithms: differ.then_some((newest.algorithm().as_str(), settings.algorithm.as_str())),
            ttl: format_length(tenant.ttl_seconds),
        })
    }
}
