//! The audit log page.

use actix_web::HttpRequest;
use askama::Template;

use crate::audit;
use crate::console::audit::labels::{ACTIONS, field_label};
use crate::console::audit::query::Query;
use crate::console::audit::row::{Names, Row};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, base_path, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Errors, Field, Select, SelectOption, capitalize, html_size};
use crate::domain;
use crate::domain::api_key::ApiKey;
use crate::domain::audit_chain::AuditRow;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::http::form::Form;
use crate::http::permission::ReadAudit;
use crate::keys;
use crate::members;
use crate::store::KeyFilter;

/// Maximum number of keys with a name that is a target.
const MAX_NAMED: u32 = 50;
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
    customer: Field,
    direction: Select,
    field: Select,
    ranges: Vec<(&'static str, String)>,
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
    let form = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let named = keys_named(&visit, form.value("subject").unwrap_or_default().trim()).await?;
    let query = Query::read(form, visit.organization(), &members, named);

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
        subject: field("subject", "Target").hint("Name of a key, email or ID"),
        customer: field("customer", "Customer ID").hint("The customer and its keys"),
        direction: Select::new("direction", "Access", direction_options(), query.raw("direction")).errors(&errors),
        field: Select::new("field", "Changed field", field_options(), query.raw("field")).errors(&errors),
        ranges: [("Today", 0), ("Last 7 days", 6), ("Last 30 days", 29)]
            .map(|(name, days)| (name, format!("{}/audit?{}", frame.root, query.since_days(days, visit.now))))
            .into(),
        from: field("from", "From date (UTC)").kind("date"),
        until: field("until", "To date (UTC)").kind("date"),
        rows: fold(found.items.iter().map(row)),
        is_filtered: query.is_filtered(),
        newest: query.is_older().then(|| list(None)),
        older: found.last_before_next().map(|row| list(Some(&audit::cursor(row)))),
        export: export_url(&visit, &query),
        errors: query.errors.clone(),
        frame,
    };
    if is_valid { page(&built) } else { invalid_form(&built) }
}

/// Returns the IDs of the keys with a name: those whose name is the text, or else those whose name contains it.
async fn keys_named(visit: &ConsoleRequest<ReadAudit>, text: &str) -> Result<Vec<String>, ErrorPage> {
    let is_id = KeyId::parse(text).is_some() || MemberId::parse(text).is_some();
    if text.is_empty() || text.contains('@') || is_id || text.chars().count() > 100 {
        return Ok(Vec::new());
    }
    let filter = KeyFilter {
        search: Some(text.to_owned()),
        limit: MAX_NAMED,
        ..KeyFilter::new(visit.organization().clone(), visit.now)
    };
    let found = keys::list(visit.node(), filter).await?.items;
    let is_same = |key: &&ApiKey| key.name.to_lowercase() == text.to_lowercase();
    let exact: Vec<String> = found.iter().filter(is_same).map(|key| key.id.to_string()).collect();
    Ok(if exact.is_empty() { found.iter().map(|key| key.id.to_string()).collect() } else { exact })
}

/// Folds repeated noise: an event of the same subject as the one before it becomes part of that row.
fn fold(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut folded: Vec<Row> = Vec::new();
    for row in rows {
        match folded.last_mut().filter(|last| last.is_noise && last.noise == row.noise) {
            Some(last) => last.more.push((row.at, row.address)),
            None => folded.push(row),
        }
    }
    folded
}

fn direction_options() -> Vec<SelectOption> {
    [("", "Any change"), ("widened", "Widened"), ("restricted", "Restricted")]
        .map(|(value, text)| SelectOption::new(value, text))
        .into()
}

fn field_options() -> Vec<SelectOption> {
    let names = ["allowed_cidrs", "scopes", "expires_at", "owner", "name", "description", "state", "role", "email"];
    let mut options = vec![SelectOption::new("", "Any field")];
    options.extend(names.map(|name| SelectOption::new(name, capitalize(&field_label(name)))));
    options
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::audit::row::Reference;
    use crate::console::ui::Moment;
    use crate::domain::timestamp::Timestamp;

    fn row(subject: &str, address: &str, is_noise: bool) -> Row {
        Row {
            at: Moment::at(Timestamp::from_seconds(0)),
            actor: Reference { name: "keyturn".into(), id: None, page: None },
            action: String::new(),
            subject: None,
            address: Some(address.into()),
            badges: Vec::new(),
            is_noise,
            noise: ("key.denied_by_network".into(), "keyturn".into(), subject.into()),
            more: Vec::new(),
            differences: Vec::new(),
            is_cut: false,
            stored: None,
        }
    }

    #[test]
    fn repeated_noise_of_one_target_is_folded() {
        let rows = [
            row("a", "1", true),
            row("a", "2", true),
            row("a", "3", true),
            row("b", "4", true),
            row("c", "5", false),
            row("c", "6", false),
        ];
        let folded = fold(rows.into_iter());
        let shown: Vec<_> = folded.iter().map(|row| (row.noise.2.as_str(), row.more.len())).collect();
        assert_eq!(shown, [("a", 2), ("b", 0), ("c", 0), ("c", 0)], "changes are never folded");
        assert_eq!(folded[0].more[1].1.as_deref(), Some("3"), "the addresses stay");
    }
}
