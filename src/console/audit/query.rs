//! What of the audit log is asked for, as it stands in the URL.

use actix_web::HttpRequest;
use url::form_urlencoded::Serializer;

use crate::audit;
use crate::clock::parse_rfc3339;
use crate::console::ui::Errors;
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, MemberId};
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::store::{AuditFilter, AuditFrom};

/// Rows of a page.
const ROWS: u32 = 50;
const DAY: i64 = 86_400;

/// The fields of the filter, in the order of the page.
pub(super) const FIELDS: [&str; 5] = ["action", "actor", "subject", "from", "until"];

/// What is asked for.
#[derive(Debug)]
pub(super) struct Query {
    form: Form,
    /// Which rows.
    pub(super) filter: AuditFilter,
    /// What was wrong.
    pub(super) errors: Errors,
}

impl Query {
    /// Reads a query. Names of people stand for their ids.
    pub(super) fn read(request: &HttpRequest, organization: &Slug, members: &[Member]) -> Self {
        let form = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
        let mut wrong = Vec::new();
        let mut name = |field: &str, of: fn(&str, &[Member]) -> Result<String, &'static str>| {
            let text = form.value(field)?.trim();
            let read = match audit::name_fault(text) {
                Some(fault) => Err(fault),
                None => of(text, members),
            };
            read.map_err(|fault| wrong.push(Violation::new(field, fault))).ok()
        };
        let action = name("action", |text, _| Ok(text.to_owned()));
        let (actor, subject) = (name("actor", actor), name("subject", subject));
        let mut day = |field: &str| {
            let text = form.value(field)?.trim();
            let at = parse_rfc3339(&format!("{text}T00:00:00Z")).filter(|at| at.as_millis() >= 0);
            if at.is_none() {
                wrong.push(Violation::new(field, "not a date; one like 2030-01-31 is expected"));
            }
            at
        };
        let since = day("from");
        // The last day counts as well.
        let until = day("until").map(|at| at.plus_seconds(DAY));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            wrong.push(Violation::new("until", "before the day that it begins with"));
        }
        let from = match form.value("cursor").map(audit::read_cursor) {
            None => AuditFrom::Newest,
            Some(Some(from)) => from,
            Some(None) => {
                wrong.push(Violation::new("cursor", "not one of this log; begin again with the newest"));
                AuditFrom::Newest
            }
        };
        let organization = organization.clone();
        let filter = AuditFilter { organization, action, actor, subject, since, until, from, limit: ROWS };
        Self { form, filter, errors: Errors::new(wrong, &FIELDS) }
    }

    /// What was typed into a field.
    pub(super) fn typed(&self, field: &str) -> String {
        self.form.value(field).unwrap_or_default().to_owned()
    }

    /// Whether anything is filtered.
    pub(super) fn is_filtered(&self) -> bool {
        FIELDS.iter().any(|field| self.form.value(field).is_some())
    }

    /// Whether the page is not the newest.
    pub(super) fn is_older(&self) -> bool {
        self.form.value("cursor").is_some()
    }

    /// The same filter in a query, on the page of a cursor.
    pub(super) fn at(&self, cursor: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        for field in FIELDS {
            query.extend_pairs(self.form.value(field).map(|value| (field, value)));
        }
        query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        query.finish()
    }

    /// The same filter as the API takes it, for an export.
    pub(super) fn export(&self) -> String {
        let filter = &self.filter;
        let rfc3339 = |at: Option<Timestamp>| at.map(crate::clock::rfc3339);
        let mut query = Serializer::new(String::new());
        query.append_pair("format", "ndjson");
        for (name, value) in [
            ("action", filter.action.clone()),
            ("actor", filter.actor.clone()),
            ("subject", filter.subject.clone()),
            ("since", rfc3339(filter.since)),
            ("until", rfc3339(filter.until)),
        ] {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        query.finish()
    }
}

/// Who: a login, a key's id, or an actor as it is written.
fn actor(text: &str, members: &[Member]) -> Result<String, &'static str> {
    if text.contains('@') {
        return member(text, members).map(|id| format!("member:{id}"));
    }
    if KeyId::parse(text).is_some() {
        return Ok(format!("key:{text}"));
    }
    Ok(if MemberId::parse(text).is_some() { format!("member:{text}") } else { text.to_owned() })
}

/// Which: a login, or an id.
fn subject(text: &str, members: &[Member]) -> Result<String, &'static str> {
    if text.contains('@') { member(text, members).map(|id| id.to_string()) } else { Ok(text.to_owned()) }
}

fn member<'a>(login: &str, members: &'a [Member]) -> Result<&'a MemberId, &'static str> {
    let login = login.to_lowercase();
    let found = members.iter().find(|member| member.email == login);
    found.map(|member| &member.id).ok_or("nobody has this login now; a member who was removed is found by their id")
}
