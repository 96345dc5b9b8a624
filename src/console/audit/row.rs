//! An audit entry as displayed, with the names of its actor and target.

use std::collections::HashMap;

use crate::console::audit::differences::{Difference, differences};
use crate::console::audit::labels::action_label;
use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Moment, Tone, html_size};
use crate::domain::apis::ApiId;
use crate::domain::audit_chain::AuditRow;
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::keys::{self, KeyError};
use crate::members;
use crate::store::{AuditChange, action};

/// Markup around a value, in bytes of HTML.
const MARKUP: usize = 80;

/// The actor or target of an entry.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    /// The name, or the ID if no name is known.
    pub(super) name: String,
    /// The ID, unless the name is the ID.
    pub(super) id: Option<String>,
    /// The path of its page below `/console`.
    pub(super) page: Option<String>,
}

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: Moment,
    pub(super) actor: Reference,
    pub(super) action: String,
    pub(super) subject: Option<Reference>,
    pub(super) address: Option<String>,
    /// Whether the change widened or restricted access.
    pub(super) badges: Vec<Badge>,
    /// Whether strangers or routine can repeat the event at will.
    pub(super) is_noise: bool,
    /// The action, actor and target, which folded entries share.
    pub(super) noise: (String, String, String),
    /// Folded entries: time and address.
    pub(super) more: Vec<(Moment, Option<String>)>,
    pub(super) differences: Vec<Difference>,
    /// Whether some differences were left out for lack of room.
    pub(super) is_cut: bool,
    /// The raw old and new values.
    pub(super) stored: Option<String>,
}

/// The current names of members and keys.
#[derive(Debug)]
pub(super) struct Names(HashMap<String, Reference>);

impl Names {
    /// Loads the names of all members, and of the keys that are actors of these entries.
    pub(super) async fn read<P>(visit: &ConsoleRequest<P>, rows: &[AuditRow]) -> Result<Self, ErrorPage> {
        let mut names = HashMap::new();
        for member in members::list(visit.node(), visit.organization()).await? {
            let page = Some(format!("/members/{}", member.id));
            let id = member.id.to_string();
            names.insert(format!("member:{id}"), Reference { name: member.email, id: Some(id), page });
        }
        for actor in rows.iter().map(|row| row.actor.as_str()) {
            let Some(id) = actor.strip_prefix("key:").and_then(KeyId::parse) else { continue };
            if names.contains_key(actor) {
                continue;
            }
            let name = match keys::find(visit.node(), visit.organization(), &id).await {
                Ok(key) => Reference {
                    name: if key.name.is_empty() { key.hint } else { key.name },
                    id: Some(id.to_string()),
                    page: Some(format!("/keys/{id}")),
                },
                // Keys of the organization `default` can act in other organizations.
                Err(KeyError::NotFound) => Reference::unknown(&id.to_string()),
                Err(other) => return Err(other.into()),
            };
            names.insert(actor.to_owned(), name);
        }
        Ok(Self(names))
    }

    fn actor(&self, actor: &str) -> Reference {
        if actor == "keyturn" {
            return Reference { name: "Keyturn (system)".into(), id: None, page: None };
        }
        if let Some(session) = actor.strip_prefix("portal:") {
            return Reference { name: "Customer portal".into(), id: Some(session.to_owned()), page: None };
        }
        self.0.get(actor).cloned().unwrap_or_else(|| Reference::unknown(actor))
    }

    /// Returns the target of an entry. The entry itself has the name that the target had at the time.
    fn subject(&self, row: &AuditRow) -> Option<Reference> {
        let id = row.subject.clone();
        let name_at_the_time = |name: &str| {
            let field = |text: &Option<String>| {
                let value: serde_json::Value = serde_json::from_str(text.as_deref()?).ok()?;
                Some(value.get(name)?.as_str()?.to_owned()).filter(|name| !name.is_empty())
            };
            field(&row.new).or_else(|| field(&row.old))
        };
        let reference = |name: Option<String>, page: Option<String>| match name {
            Some(name) => Reference { name, id: Some(id.clone()), page },
            None => Reference { page, ..Reference::unknown(&id) },
        };
        let kind = row.action.split('.').next().unwrap_or_default();
        Some(match kind {
            "key" => reference(name_at_the_time("name"), KeyId::parse(&id).map(|id| format!("/keys/{id}"))),
            "member" | "session" => match self.0.get(&format!("member:{id}")) {
                // At sign-in, the actor is the target.
                Some(_) if row.actor == format!("member:{id}") && kind == "session" => return None,
                Some(member) => member.clone(),
                None => reference(name_at_the_time("email"), None),
            },
            "customer" | "portal-session" => {
                let name = name_at_the_time("name").or_else(|| name_at_the_time("external_id"));
                reference(name, CustomerId::parse(&id).map(|id| format!("/customers/{id}")))
            }
            "api" => reference(name_at_the_time("name"), ApiId::parse(&id).map(|id| format!("/apis/{id}"))),
            "profile" => Reference { page: Some(format!("/profiles/named/{id}")), ..Reference::unknown(&id) },
            "network" => Reference { page: Some(format!("/networks/named/{id}")), ..Reference::unknown(&id) },
            "webhook" => reference(name_at_the_time("origin"), Some(format!("/webhooks/{id}"))),
            "signing-key" => Reference { page: Some("/signing-keys".into()), ..Reference::unknown(&id) },
            "policy" | "portal" => return None,
            _ => Reference::unknown(&id),
        })
    }
}

impl Reference {
    fn unknown(id: &str) -> Self {
        Self { name: id.to_owned(), id: None, page: None }
    }
}

impl Row {
    /// Prepares an entry for display, without its raw values and with as many differences as fit into `room` bytes of
    /// HTML.
    pub(super) fn new<P>(visit: &ConsoleRequest<P>, names: &Names, row: &AuditRow, room: &mut usize) -> Self {
        let mut differences = differences(row.old.as_deref(), row.new.as_deref());
        for owner in differences.iter_mut().filter(|difference| difference.field == "Owner") {
            for id in [&mut owner.old, &mut owner.new].into_iter().flatten() {
                if let Some(member) = names.0.get(&format!("member:{id}")) {
                    id.clone_from(&member.name);
                }
            }
        }
        if let Some(tenant) = visit.node().tenant(visit.organization()) {
            for difference in differences.iter_mut().filter(|difference| difference.field == "APIs") {
                for text in [&mut difference.old, &mut difference.new].into_iter().flatten() {
                    *text = tenant.apis.iter().fold(std::mem::take(text), |text, served| {
                        text.replace(served.api.id.as_str(), served.api.name.as_str())
                    });
                }
            }
        }
        let size = |text: &Option<String>| text.as_deref().map_or(0, html_size);
        let all = differences.len();
        differences.retain(|one| match room.checked_sub(MARKUP + size(&one.old) + size(&one.new)) {
            Some(left) => {
                *room = left;
                true
            }
            None => false,
        });
        let is_cut = differences.len() < all;
        Self {
            at: Moment::from_now(row.at, visit.now),
            actor: names.actor(&row.actor),
            action: action_label(&row.action).to_owned(),
            subject: names.subject(row),
            address: row.address.clone(),
            badges: badges(row),
            is_noise: matches!(&*row.action, action::KEY_DENIED_BY_NETWORK | action::SESSION_REFUSE),
            noise: (row.action.clone(), row.actor.clone(), row.subject.clone()),
            more: Vec::new(),
            differences,
            is_cut,
            stored: None,
        }
    }
}

/// Returns whether a change widened or restricted access, in words.
fn badges(row: &AuditRow) -> Vec<Badge> {
    let direction = AuditChange::of_row(row).direction();
    let widened = direction.widens().then(|| Badge::new(Tone::Warning, "Widened"));
    let restricted = direction.restricts().then(|| Badge::new(Tone::Plain, "Restricted"));
    widened.into_iter().chain(restricted).collect()
}
