//! The filter of the audit log, read from the URL.

use url::form_urlencoded::Serializer;

use crate::audit;
use crate::clock::parse_rfc3339;
use crate::console::ui::{Errors, format_date};
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, MemberId};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::store::{AuditDirection, AuditFilter, AuditFrom};

/// Entries per page.
const ROWS: u32 = 50;
const DAY: i64 = 86_400;

/// The fields of the filter, in display order.
pub(super) const FIELDS: [(&str, &str); 8] = [
    ("action", "Action"),
    ("actor", "Actor"),
    ("subject", "Target"),
    ("customer", "Customer ID"),
    ("direction", "Access"),
    ("field", "Changed field"),
    ("from", "From date (UTC)"),
    ("until", "To date (UTC)"),
];

/// A parsed query.
#[derive(Debug)]
pub(super) struct Query {
    form: Form,
    pub(super) filter: AuditFilter,
    pub(super) errors: Errors,
}

impl Query {
    /// Reads a query. Emails are resolved to member IDs, and names of keys to the IDs in `named`.
    pub(super) fn read(form: Form, organization: &Slug, members: &[Member], named: Vec<String>) -> Self {
        let mut violations = Vec::new();
        let mut name = |field: &str, of: fn(&str, &[Member]) -> Result<String, &'static str>| {
            let text = form.value(field)?.trim();
            let read = match audit::name_fault(text) {
                Some(fault) => Err(fault),
                None => of(text, members),
            };
            read.map_err(|fault| violations.push(Violation::new(field, fault))).ok()
        };
        let action = name("action", |text, _| Ok(text.to_owned()));
        let (actor, subject) = (name("actor", actor), name("subject", subject));
        let mut day = |field: &str| {
            let text = form.value(field)?.trim();
            let at = parse_rfc3339(&format!("{text}T00:00:00Z")).filter(|at| at.as_millis() >= 0);
            if at.is_none() {
                violations.push(Violation::new(field, "Enter a date as YYYY-MM-DD."));
            }
            at
        };
        let since = day("from");
        // The last day is included.
        let until = day("until").map(|at| at.plus_seconds(DAY));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            violations.push(Violation::new("until", "Must be on or after the from date."));
        }
        let from = match form.value("cursor").map(audit::read_cursor) {
            None => AuditFrom::Newest,
            Some(Some(from)) => from,
            Some(None) => {
                violations.push(Violation::new("cursor", "This link is no longer valid. Go to the newest entries."));
                AuditFrom::Newest
            }
        };
        let chosen = |field: &str| form.value(field).map(str::trim).filter(|text| !text.is_empty());
        let direction = chosen("direction").and_then(|text| {
            let known = AuditDirection::ALL.into_iter().find(|direction| direction.as_str() == text);
            if known.is_none() {
                violations.push(Violation::new("direction", "Choose “Widened” or “Restricted”."));
            }
            known
        });
        let customer = chosen("customer").and_then(|text| {
            let id = CustomerId::parse(text);
            if id.is_none() {
                violations.push(Violation::new("customer", "Enter the ID of a customer."));
            }
            id
        });
        let field = chosen("field").map(str::to_owned);
        if field.as_deref().is_some_and(|field| !audit::is_field_name(field)) {
            violations.push(Violation::new("field", "Choose a field."));
        }
        let filter = AuditFilter {
            action: action.filter(|action| !action.is_empty()),
            actor: actor.filter(|actor| !actor.is_empty()),
            subject: subject.filter(|subject| !subject.is_empty() && named.is_empty()),
            subjects: named,
            customer,
            direction,
            field,
            since,
            until,
            from,
            ..AuditFilter::new(organization.clone(), ROWS)
        };
        Self { form, filter, errors: Errors::new(violations, &FIELDS) }
    }

    /// Returns the raw value of a field.
    pub(super) fn raw(&self, field: &str) -> String {
        self.form.value(field).unwrap_or_default().to_owned()
    }

    pub(super) fn is_filtered(&self) -> bool {
        FIELDS.iter().any(|(field, _)| self.form.value(field).is_some())
    }

    /// Whether this is not the first page.
    pub(super) fn is_older(&self) -> bool {
        self.form.value("cursor").is_some()
    }

    /// Returns this filter as a query string, for the page at a cursor.
    pub(super) fn at(&self, cursor: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        for (field, _) in FIELDS {
            query.extend_pairs(self.form.value(field).map(|value| (field, value)));
        }
        query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        query.finish()
    }

    /// Returns this filter as a query string, from the day that many days ago.
    pub(super) fn since_days(&self, days: i64, now: Timestamp) -> String {
        let mut query = Serializer::new(String::new());
        for (field, _) in FIELDS.iter().filter(|(field, _)| !matches!(*field, "from" | "until")) {
            query.extend_pairs(self.form.value(field).filter(|value| !value.is_empty()).map(|value| (field, value)));
        }
        query.append_pair("from", &format_date(now.plus_seconds(-days * DAY))).finish()
    }

    /// Returns this filter as a query string of the API's export.
    pub(super) fn export(&self) -> String {
        let filter = &self.filter;
        let rfc3339 = |at: Option<Timestamp>| at.map(crate::clock::rfc3339);
        let mut query = Serializer::new(String::new());
        query.append_pair("format", "ndjson");
        if let [subject, others @ ..] = &*filter.subjects
            && others.is_empty()
        {
            query.append_pair("subject", subject);
        }
        for (name, value) in [
            ("direction", filter.direction.map(|direction| direction.as_str().to_owned())),
            ("field", filter.field.clone()),
            ("action", filter.action.clone()),
            ("actor", filter.actor.clone()),
            ("subject", filter.subject.clone()),
            ("customer", filter.customer.map(|id| id.to_string())),
            ("since", rfc3339(filter.since)),
            ("until", rfc3339(filter.until)),
        ] {
            query.extend_pairs(value.map(|value| (name, value)));
        }
        query.finish()
    }
}

/// Resolves an email, a key ID, a member ID or a raw actor.
fn actor(text: &str, members: &[Member]) -> Result<String, &'static str> {
    if text.contains('@') {
        return member_by_email(text, members).map(|id| format!("member:{id}"));
    }
    if KeyId::parse(text).is_some() {
        return Ok(format!("key:{text}"));
    }
    Ok(if MemberId::parse(text).is_some() { format!("member:{text}") } else { text.to_owned() })
}

/// Resolves an email or an ID.
fn subject(text: &str, members: &[Member]) -> Result<String, &'static str> {
    if text.contains('@') { member_by_email(text, members).map(|id| id.to_string()) } else { Ok(text.to_owned()) }
}

fn member_by_email<'a>(email: &str, members: &'a [Member]) -> Result<&'a MemberId, &'static str> {
    let email = email.to_lowercase();
    let found = members.iter().find(|member| member.email == email);
    found.map(|member| &member.id).ok_or("No current member has this email. To find a removed member, enter their ID.")
}
