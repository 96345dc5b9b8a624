//! The review of a change of access: each setting before and after, and the recent requests that it would deny.

use askama::Template;

use crate::console::keys::granted::describe_detail;
use crate::console::keys::summary::describe_networks;
use crate::console::policy::format_seconds;
use crate::console::ui::{Badge, Tone, format_count, html};
use crate::domain::api_key::Direction;
use crate::domain::apis::{ServedApi, api_name};
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::scope::{Scope, ScopeSet};
use crate::usage::{DeniedUses, Impact};

/// Maximum number of listed addresses and scopes.
const MAX_LISTED: usize = 10;

html! { Changes DeniedRequests }

/// The table of the settings that change.
#[derive(Template, Clone, Default, Debug)]
#[template(path = "console/keys/changes.html")]
pub(in crate::console) struct Changes {
    rows: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    setting: String,
    old: String,
    new: String,
    badge: Badge,
}

impl Changes {
    /// Adds the APIs whose scopes change.
    pub(in crate::console) fn grants(mut self, old: &Grants, new: &Grants, apis: &[ServedApi]) -> Self {
        for served in apis {
            self.rows.extend(change_of_api(old.get(served.api.id), new.get(served.api.id), served, apis));
        }
        self
    }

    /// Adds the allowed networks, if they change.
    pub(in crate::console) fn networks(self, old: &Networks, new: &Networks) -> Self {
        let direction = Direction::of_networks(old, new);
        match direction {
            Direction::Unchanged => self,
            _ => self.add("Allowed networks", describe_networks(old), describe_networks(new), badge(direction)),
        }
    }

    /// Adds a setting that limits access, if its direction is not unchanged.
    pub(in crate::console) fn limit(self, setting: &str, (old, new): (String, String), direction: Direction) -> Self {
        if direction == Direction::Unchanged { self } else { self.add(setting, old, new, badge(direction)) }
    }

    /// Adds the longest lifetime of tokens, if it changes. `None` is the lifetime of the APIs.
    pub(in crate::console) fn lifetime(self, old: Option<u32>, new: Option<u32>) -> Self {
        let describe = |lifetime: Option<u32>| lifetime.map_or_else(|| "that of the APIs".to_owned(), format_seconds);
        let direction = Self::direction_of_lifetime(old, new);
        self.limit("Longest token lifetime", (describe(old), describe(new)), direction)
    }

    /// Compares two longest lifetimes of tokens; `None` is longer than any.
    pub(in crate::console) fn direction_of_lifetime(old: Option<u32>, new: Option<u32>) -> Direction {
        let is_shorter =
            |one: Option<u32>, other: Option<u32>| one.is_some_and(|one| other.is_none_or(|other| one < other));
        Direction::new(is_shorter(old, new), is_shorter(new, old))
    }

    /// Adds a reference, if it changes. Its effect on access is in the other rows.
    pub(in crate::console) fn reference(self, setting: &str, old: String, new: String) -> Self {
        if old == new { self } else { self.add(setting, old, new, Badge::new(Tone::Plain, "Changed")) }
    }

    fn add(mut self, setting: &str, old: String, new: String, badge: Badge) -> Self {
        self.rows.push(Change { setting: setting.to_owned(), old, new, badge });
        self
    }
}

/// The requests of the last 30 days that a change would have denied.
#[derive(Template, Clone, Debug)]
#[template(path = "console/keys/denied.html")]
pub(in crate::console) struct DeniedRequests {
    total: u64,
    formatted_total: String,
    tables: Vec<DeniedTable>,
    uncounted: bool,
    /// Whether other settings of keys may allow some of them.
    is_most: bool,
}

/// Requests that would have been denied, by address, API or scope.
#[derive(Clone, Debug)]
struct DeniedTable {
    column: &'static str,
    title: &'static str,
    rows: Vec<(String, String)>,
    more: usize,
}

impl DeniedRequests {
    pub(in crate::console) fn new(impact: &Impact, apis: &[ServedApi]) -> Self {
        let total = impact.total().all();
        let by_address = DeniedTable::new("By IP address", "IP address", &impact.by_address, apis);
        let by_api = DeniedTable::new("By API that is no longer granted", "API", &impact.by_api, apis);
        let by_scope = DeniedTable::new("By scope", "Scope", &impact.by_scope, apis);
        Self {
            total,
            formatted_total: format_count(total),
            tables: [by_address, by_api, by_scope].into_iter().filter(|table| !table.rows.is_empty()).collect(),
            uncounted: impact.uncounted() > 0,
            is_most: false,
        }
    }

    /// Says that other settings of keys may allow some of them.
    pub(in crate::console) fn at_most(self) -> Self {
        Self { is_most: true, ..self }
    }
}

impl DeniedTable {
    fn new(title: &'static str, column: &'static str, denials: &DeniedUses, apis: &[ServedApi]) -> Self {
        let rows = denials.of.iter().take(MAX_LISTED).map(|detail| {
            let requests = detail.exchanges.saturating_add(detail.verifications);
            (describe_detail(detail.api, detail.value.as_deref(), apis), format_count(requests))
        });
        Self { title, column, more: denials.of.len().saturating_sub(MAX_LISTED), rows: rows.collect() }
    }
}

/// Returns how the scopes of one API change.
fn change_of_api(
    old: Option<&ScopeSet>,
    new: Option<&ScopeSet>,
    served: &ServedApi,
    apis: &[ServedApi],
) -> Option<Change> {
    let direction = direction_of_api(old, new);
    if direction == Direction::Unchanged {
        return None;
    }
    let only_in = |some: Option<&ScopeSet>, others: Option<&ScopeSet>| {
        let Some(some) = some else { return "not granted".to_owned() };
        let differs = |scope: &&Scope| !others.is_some_and(|others| others.iter().any(|other| other == *scope));
        let scopes: Vec<String> = some.iter().filter(differs).map(ToString::to_string).collect();
        if scopes.is_empty() { "–".to_owned() } else { scopes.join(" ") }
    };
    let setting = match api_name(apis, served.api.id) {
        Some(name) if apis.len() > 1 => format!("Scopes of {name}"),
        _ => "Scopes".into(),
    };
    Some(Change { setting, old: only_in(old, new), new: only_in(new, old), badge: badge(direction) })
}

fn direction_of_api(old: Option<&ScopeSet>, new: Option<&ScopeSet>) -> Direction {
    match (old, new) {
        (None, None) => Direction::Unchanged,
        (None, Some(_)) => Direction::Widened,
        (Some(_), None) => Direction::Restricted,
        (Some(old), Some(new)) => Direction::of_scopes(old, new),
    }
}

fn badge(direction: Direction) -> Badge {
    match direction {
        Direction::Unchanged => Badge::new(Tone::Plain, "Unchanged"),
        Direction::Widened => Badge::new(Tone::Warning, "Widened"),
        Direction::Restricted => Badge::new(Tone::Plain, "Restricted"),
        Direction::WidenedAndRestricted => Badge::new(Tone::Warning, "Widened and restricted"),
    }
}
