//! The review of a change of a profile or a network: who is affected, what changes, and the recent requests that it would deny.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::{Changes, DeniedRequests};
use crate::console::profiles::counted;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Notice, capitalize};
use crate::domain::api_key::Direction;
use crate::domain::slug::Slug;
use crate::http::form::Form;
use crate::http::permission::AdminProfiles;

/// The review.
#[derive(Template)]
#[template(path = "console/profiles/review.html")]
pub(in crate::console) struct SharedReview {
    frame: Frame,
    /// `profile` or `network`; its pages are below the plural.
    noun: &'static str,
    /// The name of the list.
    plural: String,
    name: Slug,
    /// The submitted form, to be submitted again.
    fields: Vec<(String, String)>,
    keys: String,
    is_one: bool,
    keys_path: String,
    /// The profiles that refer to the network.
    profiles: Vec<Slug>,
    widens: bool,
    restricts: bool,
    warnings: Vec<Notice>,
    changes: Changes,
    denied: Option<DeniedRequests>,
}

/// The subject of a review.
pub(in crate::console) struct Reviewed {
    pub(in crate::console) noun: &'static str,
    pub(in crate::console) name: Slug,
    pub(in crate::console) keys: u64,
    /// The path below `/console` of the keys.
    pub(in crate::console) keys_path: String,
    pub(in crate::console) profiles: Vec<Slug>,
    pub(in crate::console) direction: Direction,
    pub(in crate::console) warnings: Vec<Notice>,
    pub(in crate::console) changes: Changes,
    pub(in crate::console) denied: DeniedRequests,
}

impl SharedReview {
    /// Renders the review of a submitted form.
    pub(in crate::console) fn page(
        visit: &ConsoleRequest<AdminProfiles>,
        reviewed: Reviewed,
        form: &Form,
    ) -> Result<Reply, ErrorPage> {
        let (widens, restricts) = (reviewed.direction.widens(), reviewed.direction.restricts());
        let title = match (widens, restricts) {
            (false, true) => format!("Restrict {}?", reviewed.noun),
            (true, false) => format!("Widen {}?", reviewed.noun),
            _ => format!("Change {}?", reviewed.noun),
        };
        let submitted = form.all().filter(|(name, _)| !["csrf", "confirmed", "back"].contains(name));
        page(&Self {
            frame: visit.frame(Section::Profiles, title),
            noun: reviewed.noun,
            plural: format!("{}s", capitalize(reviewed.noun)),
            name: reviewed.name,
            fields: submitted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            keys: counted(reviewed.keys),
            is_one: reviewed.keys == 1,
            keys_path: reviewed.keys_path,
            profiles: reviewed.profiles,
            widens,
            restricts,
            warnings: reviewed.warnings,
            changes: reviewed.changes,
            denied: restricts.then_some(reviewed.denied),
        })
    }
}
