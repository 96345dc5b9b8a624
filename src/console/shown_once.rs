//! A password that is shown once, until somebody says that they have it.

use actix_web::HttpResponse;
use askama::Template;

use crate::console::frame::{Frame, page};
use crate::console::trouble::Trouble;
use crate::console::ui::Tick;

/// A new password, and for whom.
#[derive(Template)]
#[template(path = "console/shown_once.html")]
pub(super) struct ShownOnce<'a> {
    /// What surrounds the page.
    pub(super) frame: Frame,
    /// What was done, in a sentence or two.
    pub(super) done: String,
    /// Where they sign in.
    pub(super) sign_in: String,
    /// Their organization, as they type it.
    pub(super) organization: &'a str,
    /// Their login.
    pub(super) email: &'a str,
    /// The password.
    pub(super) password: &'a str,
    /// Where Continue leads.
    pub(super) next: String,
    /// What is said there.
    pub(super) said: &'static str,
}

impl ShownOnce<'_> {
    /// The answer to the form that made it.
    pub(super) fn answer(&self) -> Result<HttpResponse, Trouble> {
        page(self)
    }

    fn tick(&self) -> Tick {
        Tick::copied()
    }
}
