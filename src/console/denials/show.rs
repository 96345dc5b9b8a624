//! A denial, what the client saw, and every check of the same request as the key is now.

use actix_web::web;
use askama::Template;

use crate::console::denials::reasons;
use crate::console::denials::row::{Keys, Row};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::Explained;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::http::permission::ReadUsage;
use crate::keys::{self, Question, RequestedScope};
use crate::usage;

#[derive(Template)]
#[template(path = "console/denials/show.html")]
struct Page {
    frame: Frame,
    row: Row,
    advice: Option<&'static str>,
    /// Whether the caller presented a credential of the key.
    is_authenticated: bool,
    explained: Option<Explained>,
    /// The form of the key's explanation, filled in.
    by_hand: Option<String>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadUsage>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let is_id = path.len() == 16 && path.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (node, organization) = (visit.node(), visit.organization());
    let found = if is_id { usage::denial(node, organization, &path).await? } else { None };
    let denied = found.ok_or_else(ErrorPage::not_found)?;
    let keys = Keys::load(&visit, std::slice::from_ref(&denied)).await?;
    let question = Question {
        address: denied.address.as_deref().and_then(|text| text.parse().ok()),
        audience: denied.audience.clone(),
        scope: denied.missing_scope.clone().or(denied.requested_scope.clone()).map(RequestedScope::Text),
        token: None,
        at: visit.now,
    };
    let key = keys.get(&denied);
    let explained = match key {
        Some(key) => Some(Explained::new(keys::explain(node, organization, &key.id, &question).await?, &question)),
        None => None,
    };
    page(&Page {
        frame: visit.frame(Section::Usage, "Why was this request denied?"),
        row: Row::new(&visit, &keys, &denied),
        advice: reasons::advice(&denied.reason),
        is_authenticated: denied.is_authenticated,
        explained,
        by_hand: key.map(|key| visit.path(&format!("/keys/{}/explain?{}", key.id, Explained::query(&question)))),
    })
}
