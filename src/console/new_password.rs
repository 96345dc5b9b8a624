//! A new password, shown once.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::flash::Flash;
use crate::console::frame::{Frame, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Checkbox, Copyable};

/// The page that shows a member's new password.
#[derive(Template)]
#[template(path = "console/new_password.html")]
pub(super) struct NewPassword<'a> {
    pub(super) frame: Frame,
    /// A sentence about the change.
    pub(super) result: String,
    pub(super) sign_in: String,
    pub(super) organization: &'a str,
    pub(super) email: &'a str,
    pub(super) password: &'a str,
    /// The page behind the Continue button.
    pub(super) next: String,
    /// The message on that page.
    pub(super) message: &'static str,
}

impl NewPassword<'_> {
    pub(super) fn respond<P>(&self, visit: &ConsoleRequest<P>) -> Result<Reply, ErrorPage> {
        Ok(page(self)?.cookie(Flash::cookie(visit.node(), &visit.who, self.message)?))
    }

    fn saved(&self) -> Checkbox {
        Checkbox::saved("I saved this password")
    }
}
