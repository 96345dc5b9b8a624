//! The audit log page.

use actix_web::HttpRequest;
use askama::Template;

use crate::audit;
use crate::console::audit::labels::ACTIONS;
use crate::console::audit::query::Query;
use crate::console::audit::row::{Names, Row};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, base_path, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Errors, Field, Select, SelectOption, html_size};
use crate::domain;
use crate::domain::audit_chain::AuditRow;
use crate::http::permission::ReadAudit;
use crate::members;

/// Maximum size of all raw entries on a page, in bytes of HTML. The export has everything.
const MAX_RAW: usize = 40_000;
/// Maximum size of all differences on a page, in bytes of HTML.
const MAX_DIFFERENCES: usize = 40_000;

#[derive(Template)]
#[template(path = "console/audit/list.html")]
struct Page {
    frame: Frame,
    root: String,
    errors: Errors,
    action: Select,
    actor: Field,
    subject: Field,
    from: Field,
    until: Field,
    rows: Vec<Row>,
    is_filtered: bool,
    newest: Option<String>,
    older: Option<String>,
    export: String,
}

pub(super) async fn show(visit: ConsoleRequest<ReadAudit>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    // 1. Read the query.
    let members = members::list(visit.node(), visit.organization()).await?;
    let query = Query::read(&request, visit.organization(), &members);

    // 2. Load the entries.
    let is_valid = query.errors.is_empty();
    let found = match is_valid {
        true => audit::list(visit.node(), &query.filter).await?,
        false => domain::page::Page::EMPTY,
    };
    let names = Names::read(&visit, &found.items).await?;
    let (mut room, mut room_for_differences) = (MAX_RAW, MAX_DIFFERENCES);
    let row = |row: &AuditRow| {
        let entry = Row::new(&visit, &names, row, &mut room_for_differences);
        Row { stored: raw_values(row, &mut room), ..entry }
    };

    // 3. Render the page.
    let frame = visit.frame(Section::Audit, "Audit log");
    let list = |cursor: Option<&str>| format!("{}/audit?{}", frame.root, query.at(cursor));
    let errors = query.errors.clone();
    let field = |name, label| Field::text(name, label, query.raw(name)).max_length(200).errors(&errors);
    let built = Page {
        root: frame.root.clone(),
        action: Select::new("action", "Action", action_options(&query.raw("action")), query.raw("action"))
            .errors(&errors),
        actor: field("actor", "Actor").hint("Email or key ID"),
        subject: field("subject", "Target").hint("Email or ID"),
        from: field("from", "From date (UTC)").kind("date"),
        until: field("until", "To date (UTC)").kind("date"),
        rows: found.items.iter().map(row).collect(),
        is_filtered: query.is_filtered(),
        newest: query.is_older().then(|| list(None)),
        older: found.last_before_next().map(|row| list(Some(&audit::cursor(row)))),
        export: export_url(&visit, &query),
        errors: query.errors.clone(),
        frame,
    };
    if is_valid { page(&built) } else { invalid_form(&built) }
}

/// Returns the known actions, and the requested one if it is unknown.
fn action_options(selected: &str) -> Vec<SelectOption> {
    let mut options = vec![SelectOption::new("", "All actions")];
    options.extend(ACTIONS.iter().map(|(action, label)| SelectOption::new(*action, *label)));
    if options.iter().all(|option| option.value != selected) {
        options.push(SelectOption::new(selected, selected));
    }
    options
}

/// Returns the API URL that exports the same entries. The session cookie authenticates there.
fn export_url(visit: &ConsoleRequest<ReadAudit>, query: &Query) -> String {
    let (before, organization) = (base_path(&visit.node().settings.public_url), visit.organization());
    format!("{before}/api/v1/organizations/{organization}/audit?{}", query.export())
}

/// Returns the raw old and new values while there is room for them on the page.
fn raw_values(row: &AuditRow, room: &mut usize) -> Option<String> {
    let part = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}: {value}"));
    let parts: Vec<String> = [part("old", &row.old), part("new", &row.new)].into_iter().flatten().collect();
    let text = parts.join("\n");
    if text.is_empty() {
        return None;
    }
    match room.checked_sub(html_size(&text)) {
        Some(left) => {
            *room = left;
            Some(text)
        }
        None => Some("Too long to show. Export the log to see it.".into()),
    }
}
