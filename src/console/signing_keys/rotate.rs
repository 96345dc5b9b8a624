//! Making an organization's first signing key, and its next.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::frame::{Frame, Section, page, refused};
use crate::console::see_other;
use crate::console::signing_keys::length;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::ui::{Errors, Moment, Offer, Select};
use crate::console::visit::Visit;
use crate::domain::policy::Violation;
use crate::http::permission::AdminSigningKeys;
use crate::organizations::{self, SigningKeyRotation, rotate_signing_key};

#[derive(Template)]
#[template(path = "console/signing_keys/rotate.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    when: Select,
    /// A key that is published and not in use yet.
    pending: Option<(String, Moment)>,
    /// The algorithm of the present key and that of the next, where they differ.
    algorithms: Option<(&'static str, &'static str)>,
    ttl: String,
}

pub(super) async fn ask(visit: Visit<AdminSigningKeys>) -> Result<HttpResponse, Trouble> {
    page(&Page::new(&visit, Errors::default())?)
}

pub(super) async fn rotate(submitted: Submitted<AdminSigningKeys>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let (ahead_seconds, retire_now) = match form.value("when") {
        Some("ahead") => (visit.node().settings.publish_ahead_seconds, false),
        Some("now") => (0, false),
        Some("retire") => (0, true),
        _ => {
            let wrong = Violation::new("when", "choose when the next key is to sign");
            return refused(&Page::new(&visit, Errors::new(vec![wrong], &["when"]))?);
        }
    };
    let (node, by) = (visit.node().clone(), visit.by());
    let organization = visit.organization().clone();
    let rotation = SigningKeyRotation { algorithm: node.settings.algorithm, ahead_seconds, retire_now };
    let rotated = async move { rotate_signing_key(&node, &organization, rotation, &by).await };
    visit.node().run_to_end(rotated).await?;
    Ok(see_other(&visit.path("/signing-keys?done=rotated")))
}

pub(super) async fn bootstrap(submitted: Submitted<AdminSigningKeys>) -> Result<HttpResponse, Trouble> {
    let visit = submitted.visit;
    let (node, by, organization) = (visit.node().clone(), visit.by(), visit.organization().clone());
    let made = visit.node().run_to_end(async move { organizations::bootstrap(&node, &by, &organization).await });
    let done = if made.await?.is_some() { "made" } else { "there" };
    Ok(see_other(&visit.path(&format!("/signing-keys?done={done}"))))
}

impl Page {
    fn new(visit: &Visit<AdminSigningKeys>, errors: Errors) -> Result<Self, Trouble> {
        let (settings, now) = (&visit.node().settings, visit.now);
        let tenant = visit.node().tenant(visit.organization()).ok_or_else(Trouble::not_found)?;
        let newest = tenant.ring.newest().ok_or_else(|| {
            Trouble::conflict("The organization has no signing key yet. Make it on the page of signing keys first.")
        })?;
        let pending = Some(newest).filter(|key| key.active_from() > now);
        let pending = pending.map(|key| (key.kid().to_owned(), Moment::from_now(key.active_from(), now)));
        let differ = newest.algorithm() != settings.algorithm;
        let mut offers = Vec::new();
        if settings.publish_ahead_seconds > 0 && pending.is_none() && !differ {
            let ahead = length(settings.publish_ahead_seconds);
            offers.push(Offer::new("ahead", format!("In {ahead}: publish it now, sign with it then")));
        }
        offers.push(Offer::new("now", "At once"));
        offers.push(Offer::new("retire", "At once, and delete the current key: its tokens become invalid"));
        Ok(Self {
            frame: visit.frame(Section::SigningKeys, "Rotate the signing key"),
            when: Select::new("when", "When the next key signs", offers, "").errors(&errors),
            errors,
            pending,
            algorithms: differ.then_some((newest.algorithm().as_str(), settings.algorithm.as_str())),
            ttl: length(tenant.ttl_seconds),
        })
    }
}
