//! The list of recent denials.

use actix_web::HttpRequest;
use askama::Template;
use url::form_urlencoded::Serializer;

use crate::console::denials::reasons::REASONS;
use crate::console::denials::row::{Keys, Row};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Field, Select, SelectOption};
use crate::domain::key_text::KeyId;
use crate::http::form::Form;
use crate::http::permission::ReadUsage;
use crate::store::DenialFilter;
use crate::usage;

/// Denials per page.
const LIMIT: u32 = 25;

#[derive(Template)]
#[template(path = "console/denials/list.html")]
struct Page {
    frame: Frame,
    key: Field,
    reason: Select,
    rows: Vec<Row>,
    is_filtered: bool,
    first: Option<String>,
    next: Option<String>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadUsage>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let value = |name| query.value(name).unwrap_or_default().trim().to_owned();
    let (key_text, reason, cursor) = (value("key"), value("reason"), value("cursor"));
    let key = KeyId::parse(&key_text);
    let filter = DenialFilter {
        key,
        reason: Some(reason.clone()).filter(|reason| !reason.is_empty()),
        after: usage::read_denials_cursor(&cursor),
        ..DenialFilter::new(visit.organization().clone(), LIMIT)
    };
    let is_after = filter.after.is_some();
    let found = usage::denials(visit.node(), &filter).await?;
    let keys = Keys::load(&visit, &found.items).await?;
    let list = |cursor: Option<&str>| {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("key", Some(&*key_text)), ("reason", Some(&*reason)), ("cursor", cursor)] {
            query.extend_pairs(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
        }
        visit.path(&format!("/denials?{}", query.finish()))
    };
    let mut options = vec![SelectOption::new("", "Any reason")];
    options.extend(REASONS.iter().map(|reason| SelectOption::new(reason.name, reason.label)));
    let key_field = Field::text("key", "Key ID", &key_text).max_length(64);
    page(&Page {
        frame: visit.frame(Section::Usage, "Recent denials"),
        key: if key.is_none() && !key_text.is_empty() {
            key_field.hint("Enter a key ID of 16 characters.")
        } else {
            key_field
        },
        reason: Select::new("reason", "Reason", options, &reason),
        rows: found.items.iter().map(|denied| Row::new(&visit, &keys, denied)).collect(),
        is_filtered: key.is_some() || !reason.is_empty(),
        first: is_after.then(|| list(None)),
        next: found.last_before_next().map(|last| list(Some(&usage::denials_cursor(last)))),
    })
}
