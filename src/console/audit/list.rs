//! A page of the audit log.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::audit::{self, AuditPage};
use crate::console::audit::query::Query;
use crate::console::audit::row::{Names, Row};
use crate::console::audit::words::ACTIONS;
use crate::console::frame::{Frame, Section, before, page, refused};
use crate::console::trouble::Trouble;
use crate::console::ui::{Errors, Field, Offer, Select, html_size};
use crate::console::visit::Visit;
use crate::domain::audit_chain::AuditRow;
use crate::http::permission::ReadAudit;
use crate::members;

/// Bytes of HTML that stored values may take on a page, together. What is longer is in the export.
const STORED: usize = 40_000;
/// The same of what differs.
const DIFFERENCES: usize = 40_000;

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

pub(super) async fn show(visit: Visit<ReadAudit>, request: HttpRequest) -> Result<HttpResponse, Trouble> {
    // 1. What is asked for.
    let members = members::list(visit.node(), visit.organization()).await?;
    let query = Query::read(&request, visit.organization(), &members);

    // 2. The rows.
    let is_good = query.errors.is_empty();
    let found = match is_good {
        true => audit::list(visit.node(), &query.filter).await?,
        false => AuditPage { rows: Vec::new(), more: false },
    };
    let names = Names::read(&visit, &found.rows).await?;
    let (mut room, mut room_for_differences) = (STORED, DIFFERENCES);
    let row = |row: &AuditRow| {
        let shown = Row::new(&visit, &names, row, &mut room_for_differences);
        Row { stored: stored(row, &mut room), ..shown }
    };

    // 3. The page.
    let frame = visit.frame(Section::Audit, "Audit log");
    let list = |cursor: Option<&str>| format!("{}/audit?{}", frame.root, query.at(cursor));
    let errors = query.errors.clone();
    let field = |name, label| Field::text(name, label, query.typed(name)).most(200).errors(&errors);
    let built = Page {
        root: frame.root.clone(),
        action: Select::new("action", "What", actions(&query.typed("action")), query.typed("action"))
            .hint("One kind, or all")
            .errors(&errors),
        actor: field("actor", "Who").hint("A login, or a key’s id"),
        subject: field("subject", "To which").hint("A login, or an id"),
        from: field("from", "From").kind("date").hint("The first day, in UTC"),
        until: field("until", "Until").kind("date").hint("The last day, in UTC"),
        rows: found.rows.iter().map(row).collect(),
        is_filtered: query.is_filtered(),
        newest: query.is_older().then(|| list(None)),
        older: found.next_cursor().map(|cursor| list(Some(&cursor))),
        export: export(&visit, &query),
        errors: query.errors.clone(),
        frame,
    };
    if is_good { page(&built) } else { refused(&built) }
}

/// The actions to choose from, and the one that was typed where it is none of them.
fn actions(typed: &str) -> Vec<Offer> {
    let mut offers = vec![Offer::new("", "Everything")];
    offers.extend(ACTIONS.iter().map(|(action, words)| Offer::new(*action, *words)));
    if offers.iter().all(|offer| offer.value != typed) {
        offers.push(Offer::new(typed, typed));
    }
    offers
}

/// Where the API exports the same rows; the session's cookie is good there.
fn export(visit: &Visit<ReadAudit>, query: &Query) -> String {
    let (before, organization) = (before(&visit.node().settings.public_url), visit.organization());
    format!("{before}/api/v1/organizations/{organization}/audit?{}", query.export())
}

/// Old and new values as they are stored, while there is room for them on the page.
fn stored(row: &AuditRow, room: &mut usize) -> Option<String> {
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
        None => Some("Too long for this page. The export has it.".into()),
    }
}
