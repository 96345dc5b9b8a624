//! Checks of request fields that report all errors together.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::clock::parse_rfc3339;
use crate::domain::choices::Choice;
use crate::domain::destination::{AllowedDestinations, Destination};
use crate::domain::event::EventFilter;
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::scope::{Action, ResourceFilter, Scope, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::text;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{FieldPath, Violation, ViolationKind};
use crate::domain::webhook_headers::CustomHeaders;

/// Longest name, in characters.
pub const MAX_NAME: usize = 100;
/// Longest description or reason, in characters.
pub const MAX_TEXT: usize = 1000;
/// Maximum lifetime in seconds: a century.
const MAX_LIFETIME: i64 = 100 * 366 * 86_400;

/// Collects the errors in the fields of a request.
#[derive(Default)]
pub struct Checks(Vec<Violation>);

/// A scope as a caller writes it.
#[derive(Clone, Copy, Debug)]
pub enum ScopeInput<'a> {
    /// `action:filter` or a bare action.
    Text(&'a str),
    /// Action and resource filter.
    Parts(&'a str, &'a str),
}

impl Checks {
    /// Returns all errors, if there are any.
    pub fn done(self) -> Result<(), Vec<Violation>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    /// Adds an error.
    pub fn wrong(&mut self, field: impl Into<FieldPath>, kind: impl Into<ViolationKind>) {
        self.0.push(Violation::new(field, kind));
    }

    /// Checks a name: one line of at most a hundred characters.
    pub fn name(&mut self, name: &str) {
        if name.chars().count() > MAX_NAME {
            self.wrong("name", ViolationKind::TooLong(MAX_NAME));
        }
        if let Some(fault) = text::name_fault(name) {
            self.wrong("name", fault);
        }
    }

    /// Checks a text, which can have several lines.
    pub fn text(&mut self, field: &str, text: &str) {
        if text.chars().count() > MAX_TEXT {
            self.wrong(field, ViolationKind::TooLong(MAX_TEXT));
        }
        if let Some(fault) = text::text_fault(text) {
            self.wrong(field, fault);
        }
    }

    /// Parses scopes, each a string or in parts.
    pub fn scopes<'a>(&mut self, fields: impl IntoIterator<Item = ScopeInput<'a>>) -> ScopeSet {
        let mut scopes = Vec::new();
        for (index, field) in fields.into_iter().enumerate() {
            let (action, resource) = match field {
                ScopeInput::Parts(action, resource) => (action, resource),
                ScopeInput::Text(text) => {
                    match Scope::parse(text) {
                        Ok(scope) => scopes.push(scope),
                        Err(error) => self.wrong(format!("scopes[{index}]"), error),
                    }
                    continue;
                }
            };
            match (Action::parse(action), ResourceFilter::parse(resource)) {
                (Ok(action), Ok(filter)) => scopes.push(Scope::new(action, filter)),
                (action, filter) => {
                    if let Err(error) = action {
                        self.wrong(format!("scopes[{index}].action"), error);
                    }
                    if let Err(error) = filter {
                        self.wrong(format!("scopes[{index}].resource"), error);
                    }
                }
            }
        }
        ScopeSet::from_scopes(scopes).unwrap_or_else(|error| {
            self.wrong("scopes", error);
            ScopeSet::default()
        })
    }

    /// Parses an action and a resource, which go together.
    pub fn scope(&mut self, action: Option<&str>, resource: Option<&str>) -> Option<Scope> {
        let (action, resource) = match (action, resource) {
            (None, None) => return None,
            (Some(_), None) => {
                self.wrong("resource", ViolationKind::IncompleteScope);
                return None;
            }
            (None, Some(_)) => {
                self.wrong("action", ViolationKind::IncompleteScope);
                return None;
            }
            (Some(action), Some(resource)) => (Action::parse(action), ResourceFilter::parse(resource)),
        };
        match (action, resource) {
            (Ok(action), Ok(filter)) => Some(Scope::new(action, filter)),
            (action, filter) => {
                if let Err(error) = action {
                    self.wrong("action", error);
                }
                if let Err(error) = filter {
                    self.wrong("resource", error);
                }
                None
            }
        }
    }

    /// Parses an address.
    pub fn address(&mut self, field: &str, text: &str) -> Option<IpAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.wrong(field, ViolationKind::NotAnAddress);
        }
        address
    }

    /// Parses an RFC 3339 time.
    pub fn moment(&mut self, field: &str, text: &str) -> Option<Timestamp> {
        let at = parse_rfc3339(text).filter(|at| at.as_millis() >= 0);
        if at.is_none() {
            self.wrong(field, ViolationKind::NotATime);
        }
        at
    }

    /// Parses networks.
    pub fn networks(&mut self, list: &[String]) -> Networks {
        self.networks_in("allowed_cidrs", list)
    }

    /// Parses a list of networks in a field.
    pub fn networks_in(&mut self, field: &str, list: &[String]) -> Networks {
        Networks::parse(list).unwrap_or_else(|first| {
            // All of them, so that they can be corrected together.
            let errors = Networks::errors(list);
            for error in if errors.is_empty() { vec![first] } else { errors } {
                self.wrong(format!("{field}[{}]", error.index), error);
            }
            Networks::all()
        })
    }

    /// Parses a name that stands in URLs.
    pub fn slug(&mut self, field: &str, text: &str) -> Option<Slug> {
        let name = Slug::parse(text);
        if name.is_none() {
            self.wrong(field, "must be 1 to 40 of a-z, 0-9 and '-'");
        }
        name
    }

    /// Parses names of profiles or networks.
    pub fn names(&mut self, field: &str, list: &[String]) -> Vec<Slug> {
        let read = |(index, text): (usize, &String)| self.slug(&format!("{field}[{index}]"), text);
        list.iter().enumerate().filter_map(read).collect()
    }

    /// Parses an expiry, given as a time or as a lifetime. `None` if neither is given.
    pub fn expiry(
        &mut self,
        expires_at: Option<Option<String>>,
        expires_in_seconds: Option<i64>,
        now: Timestamp,
    ) -> Option<Option<Timestamp>> {
        match (expires_at, expires_in_seconds) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                self.wrong("expires_in_seconds", "cannot be combined with expires_at");
                None
            }
            (None, Some(seconds)) if (1..=MAX_LIFETIME).contains(&seconds) => Some(Some(now.plus_seconds(seconds))),
            (None, Some(_)) => {
                self.wrong("expires_in_seconds", format!("must be 1 to {MAX_LIFETIME}"));
                None
            }
            (Some(None), None) => Some(None),
            (Some(Some(text)), None) => match parse_rfc3339(&text) {
                Some(at) => Some(Some(at)),
                None => {
                    self.wrong(
                        "expires_at",
                        "must be an RFC 3339 time before the year 10000, such as 2030-01-31T00:00:00Z",
                    );
                    None
                }
            },
        }
    }

    /// Checks that a whole number is within bounds.
    pub fn bounded(&mut self, field: &str, value: Option<i64>, default: u32, most: u32) -> u32 {
        let Some(value) = value else { return default };
        match u32::try_from(value).ok().filter(|value| *value <= most) {
            Some(value) => value,
            None => {
                self.wrong(field, format!("must be 0 to {most}"));
                default
            }
        }
    }

    /// Reads a choice by its name.
    pub fn choice<T: Choice>(&mut self, field: &str, text: Option<&str>) -> Option<T> {
        let text = text?;
        let choice = T::parse(text);
        if choice.is_none() {
            self.wrong(field, format!("must be {}", T::NAMES.join(" or ")));
        }
        choice
    }

    /// Parses the URL of a webhook.
    pub fn destination(&mut self, url: &str, reach: AllowedDestinations) -> Option<Destination> {
        Destination::parse(url, reach).map_err(|error| self.wrong("url", error)).ok()
    }

    /// Parses the custom headers of a webhook.
    pub fn headers(&mut self, headers: impl IntoIterator<Item = (String, String)>) -> CustomHeaders {
        CustomHeaders::parse(headers).unwrap_or_else(|error| {
            self.wrong("headers", error);
            CustomHeaders::default()
        })
    }

    /// Parses pairs of metadata.
    pub fn metadata(&mut self, pairs: BTreeMap<String, String>) -> Option<Metadata> {
        Metadata::new(pairs).map_err(|error| self.wrong("metadata", error.to_string())).ok()
    }

    /// Parses the event patterns of a webhook.
    pub fn events(&mut self, patterns: &[String]) -> EventFilter {
        EventFilter::parse(patterns).unwrap_or_else(|error| {
            let field = error.index.map_or("events".to_owned(), |index| format!("events[{index}]"));
            self.wrong(field, error.to_string());
            EventFilter::default()
        })
    }
}
