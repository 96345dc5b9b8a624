//! The member's own account: profile, password and sessions.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, Moment};
use crate::console::welcome;
use crate::domain::member::{MIN_PASSWORD, Password, Session};
use crate::domain::timestamp::Timestamp;
use crate::http::permission::AnyCredential;
use crate::members::{self, MemberError};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/account", [get(show)]))
        .service(resource("/account/password", [submit(change_password)]))
        .service(resource("/account/sessions/{id}/end", [submit(end_session)]));
}

#[derive(Template)]
#[template(path = "console/account.html")]
struct Page {
    frame: Frame,
    since: Moment,
    errors: Errors,
    current_password: Field,
    new_password: Field,
    sessions: Vec<SessionRow>,
    older: usize,
}

/// Maximum number of listed sessions, most recently seen first.
pub(super) const MAX_SESSIONS: usize = 50;

/// A session in a table.
pub(super) struct SessionRow {
    pub(super) id: String,
    pub(super) is_this: bool,
    pub(super) browser: String,
    pub(super) address: String,
    pub(super) since: Moment,
    pub(super) last_seen: Moment,
    pub(super) ends: Moment,
}

impl SessionRow {
    /// Prepares a session for display. `this` is the ID of the visitor's own session.
    pub(super) fn new(session: Session, this: &str, now: Timestamp) -> Self {
        Self {
            is_this: session.id == this,
            browser: browser(&session.user_agent),
            address: session.address.unwrap_or_else(|| "unknown".into()),
            since: Moment::from_now(session.created_at, now),
            last_seen: Moment::from_now(session.last_seen_at, now),
            ends: Moment::from_now(session.ends_at, now),
            id: session.id,
        }
    }
}

async fn show(visit: ConsoleRequest<AnyCredential>) -> Result<Reply, ErrorPage> {
    page(&Page::new(&visit, Errors::default()).await?)
}

async fn change_password(submitted: Submitted<AnyCredential>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    visit.context.count_password_change(&visit.who.member.id).map_err(ErrorPage::rate_limited)?;
    let password = |name: &str| Password::from(form.value(name).unwrap_or_default().to_owned());
    let (current, new) = (password("current_password"), password("new_password"));
    let (node, by, who) = (visit.node(), visit.by(), &visit.who);
    match members::change_password(node, &by, who, &current, &new).await {
        Ok(()) => {
            // The form is also on the Getting started page.
            let page = if form.value("from") == Some("welcome") { "/welcome" } else { "/account" };
            visit.done(page, "Password changed. You were signed out of your other sessions.")
        }
        Err(MemberError::Invalid(violations)) if form.value("from") == Some("welcome") => {
            welcome::reject_password(&visit, violations).await
        }
        Err(MemberError::Invalid(violations)) => {
            let errors =
                Errors::new(violations, &[("current_password", "Current password"), ("new_password", "New password")]);
            invalid_form(&Page::new(&visit, errors).await?)
        }
        Err(other) => Err(other.into()),
    }
}

async fn end_session(submitted: Submitted<AnyCredential>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let (node, by, who, id) = (visit.node(), visit.by(), &visit.who, id.into_inner());
    match members::end(node, &by, &who.member, &id).await {
        Ok(()) | Err(MemberError::NotFound) => visit.done("/account", "Session ended."),
        Err(other) => Err(other.into()),
    }
}

impl Page {
    async fn new(visit: &ConsoleRequest<AnyCredential>, errors: Errors) -> Result<Self, ErrorPage> {
        let hint = format!("At least {MIN_PASSWORD} characters. You’ll be signed out everywhere else.");
        let now = visit.now;
        let mut sessions = members::of_member(visit.node(), &visit.who.member, now).await?;
        sessions.sort_by_key(|session| (session.id != visit.who.session.id, std::cmp::Reverse(session.last_seen_at)));
        Ok(Self {
            frame: visit.frame(Section::Account, "Your account"),
            since: Moment::day(visit.who.member.created_at),
            current_password: Field::password("current_password", "Current password", "current-password")
                .errors(&errors),
            new_password: Field::password("new_password", "New password", "new-password").hint(hint).errors(&errors),
            older: sessions.len().saturating_sub(MAX_SESSIONS),
            sessions: sessions
                .into_iter()
                .take(MAX_SESSIONS)
                .map(|session| SessionRow::new(session, &visit.who.session.id, now))
                .collect(),
            errors,
        })
    }
}

/// Returns a short name of a browser, derived from its `User-Agent`.
fn browser(user_agent: &str) -> String {
    const BROWSERS: [(&str, &str); 6] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if user_agent.is_empty() => "Unknown browser".into(),
        (None, None) => user_agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_have_short_names() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        assert_eq!(browser(chrome), "Chrome on Linux");
        assert_eq!(
            browser("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"),
            "Firefox on Windows"
        );
        assert_eq!(browser(""), "Unknown browser");
        assert_eq!(browser("my script"), "my script");
    }
}
