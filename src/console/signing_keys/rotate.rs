//! Creating an organization's first signing key, and rotating it.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::signing_keys::format_length;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Moment, Select, SelectOption};
use crate::domain::choices::{Algorithm, Choice};
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
    /// The choice, if APIs have different algorithms.
    algorithm: Option<Select>,
    ttl: String,
    /// The keys that sign now, with their algorithms.
    current: Vec<(&'static str, String)>,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminSigningKeys>) -> Result<Reply, ErrorPage> {
    page(&Page::new(&visit, Errors::default())?)
}

pub(super) async fn rotate(submitted: Submitted<AdminSigningKeys>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let ahead_seconds = match form.value("when") {
        Some("ahead") => visit.node().settings.publish_ahead_seconds,
        Some("now") => 0,
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
    let algorithm = form.value("algorithm").and_then(Algorithm::parse);
    let rotation = SigningKeyRotation { algorithm, ahead_seconds, retire_now: false };
    rotate_signing_key(node, organization, rotation, &by).await?;
    visit.done("/signing-keys", "Signing key rotated.")
}

pub(super) async fn bootstrap(submitted: Submitted<AdminSigningKeys>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let (node, by, organization) = (visit.node(), visit.by(), visit.organization());
    let created = organizations::bootstrap(node, &by, organization).await?;
    let message = match created {
        Some(_) => "Signing key created. You can now create API keys.",
        None => "A signing key already exists. Nothing was changed.",
    };
    visit.done("/signing-keys", message)
}

impl Page {
    fn new(visit: &ConsoleRequest<AdminSigningKeys>, errors: Errors) -> Result<Self, ErrorPage> {
        let (settings, now) = (&visit.node().settings, visit.now);
        let tenant = visit.node().tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
        let algorithms = tenant.algorithms(now);
        let newest = algorithms.first().and_then(|algorithm| tenant.ring.newest(*algorithm));
        let newest = newest.ok_or_else(|| ErrorPage::conflict("Create a signing key first."))?;
        let pending = Some(newest).filter(|key| algorithms.len() == 1 && key.active_from() > now);
        let pending = pending.map(|key| (key.kid().to_owned(), Moment::from_now(key.active_from(), now)));
        let mut options = Vec::new();
        if settings.publish_ahead_seconds > 0 && pending.is_none() {
            let ahead = format_length(settings.publish_ahead_seconds);
            options.push(SelectOption::new("ahead", format!("In {ahead} (recommended): publish now, use then")));
        }
        options.push(SelectOption::new("now", "Immediately"));
        Ok(Self {
            frame: visit.frame(Section::SigningKeys, "Rotate signing key"),
            when: Select::new("when", "When to start using the new key", options, "").errors(&errors),
            errors,
            current: algorithms
                .iter()
                .filter_map(|algorithm| tenant.ring.current(now, *algorithm))
                .map(|key| (key.algorithm().as_str(), key.kid().to_owned()))
                .collect(),
            pending,
            algorithm: (algorithms.len() > 1).then(|| {
                let options =
                    algorithms.iter().map(|algorithm| SelectOption::new(algorithm.as_str(), algorithm.as_str()));
                Select::new("algorithm", "Algorithm", options.collect(), "")
            }),
            ttl: format_length(tenant.longest_ttl_seconds()),
        })
    }
}
