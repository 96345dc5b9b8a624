//! A row of the audit log as it is shown, and the names of those that it speaks of.

use std::collections::HashMap;

use crate::console::audit::differences::{Difference, differences};
use crate::console::audit::words::words;
use crate::console::trouble::Trouble;
use crate::console::ui::{Moment, html_size};
use crate::console::visit::Visit;
use crate::domain::audit_chain::AuditRow;
use crate::domain::key_text::KeyId;
use crate::keys::{self, KeyError};
use crate::members;

/// Bytes of HTML around a value.
const MARKUP: usize = 80;

/// Somebody or something that a row speaks of.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// What it is called; the id where no name is known.
    pub(super) name: String,
    /// The id, where it is not the name.
    pub(super) id: Option<String>,
    /// Its page: what follows `/console`.
    pub(super) page: Option<String>,
}

/// A row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: Moment,
    /// The same, exactly.
    pub(super) exactly: Moment,
    pub(super) actor: Named,
    pub(super) action: String,
    pub(super) subject: Option<Named>,
    pub(super) address: Option<String>,
    pub(super) differences: Vec<Difference>,
    /// Whether there was no room for all that differs.
    pub(super) is_cut: bool,
    /// Old and new values as they are stored.
    pub(super) stored: Option<String>,
}

/// The names of members and keys, as they are now.
#[derive(Debug)]
pub(super) struct Names(HashMap<String, Named>);

impl Names {
    /// The names of the members, and of the keys that have done something in these rows.
    pub(super) async fn read<P>(visit: &Visit<P>, rows: &[AuditRow]) -> Result<Self, Trouble> {
        let mut names = HashMap::new();
        for member in members::list(visit.node(), visit.organization()).await? {
            let page = Some(format!("/members/{}", member.id));
            let id = member.id.to_string();
            names.insert(format!("member:{id}"), Named { name: member.email, id: Some(id), page });
        }
        for actor in rows.iter().map(|row| row.actor.as_str()) {
            let Some(id) = actor.strip_prefix("key:").and_then(KeyId::parse) else { continue };
            if names.contains_key(actor) {
                continue;
            }
            let name = match keys::find(visit.node(), visit.organization(), &id).await {
                Ok(key) => Named {
                    name: if key.name.is_empty() { key.hint } else { key.name },
                    id: Some(id.to_string()),
                    page: Some(format!("/keys/{id}")),
                },
                // A key of organization `default` may do something in another.
                Err(KeyError::NotFound) => Named::unknown(&id.to_string()),
                Err(other) => return Err(other.into()),
            };
            names.insert(actor.to_owned(), name);
        }
        Ok(Self(names))
    }

    fn actor(&self, actor: &str) -> Named {
        if actor == "keyturn" {
            return Named { name: "Keyturn itself".into(), id: None, page: None };
        }
        self.0.get(actor).cloned().unwrap_or_else(|| Named::unknown(actor))
    }

    /// What a row is about. What a key or a member was called then stands in the row itself.
    fn subject(&self, row: &AuditRow) -> Option<Named> {
        let id = row.subject.clone();
        let then = |name: &str| {
            let field = |text: &Option<String>| {
                let value: serde_json::Value = serde_json::from_str(text.as_deref()?).ok()?;
                Some(value.get(name)?.as_str()?.to_owned()).filter(|name| !name.is_empty())
            };
            field(&row.new).or_else(|| field(&row.old))
        };
        let named = |name: Option<String>, page: Option<String>| match name {
            Some(name) => Named { name, id: Some(id.clone()), page },
            None => Named { page, ..Named::unknown(&id) },
        };
        let kind = row.action.split('.').next().unwrap_or_default();
        Some(match kind {
            "key" => named(then("name"), KeyId::parse(&id).map(|id| format!("/keys/{id}"))),
            "member" | "session" => match self.0.get(&format!("member:{id}")) {
                // Who signs in is who does it.
                Some(_) if row.actor == format!("member:{id}") && kind == "session" => return None,
                Some(member) => member.clone(),
                None => named(then("email"), None),
            },
            "webhook" => named(then("origin"), Some(format!("/webhooks/{id}"))),
            "signing-key" => Named { page: Some("/signing-keys".into()), ..Named::unknown(&id) },
            "policy" => return None,
            _ => Named::unknown(&id),
        })
    }
}

impl Named {
    fn unknown(id: &str) -> Self {
        Self { name: id.to_owned(), id: None, page: None }
    }
}

impl Row {
    /// A row as it is shown, without its values as they are stored; with what differs as far as there is `room` for it
    /// on the page, in bytes.
    pub(super) fn new<P>(visit: &Visit<P>, names: &Names, row: &AuditRow, room: &mut usize) -> Self {
        let mut differences = differences(row.old.as_deref(), row.new.as_deref());
        for owner in differences.iter_mut().filter(|difference| difference.field == "owner") {
            for id in [&mut owner.old, &mut owner.new].into_iter().flatten() {
                if let Some(member) = names.0.get(&format!("member:{id}")) {
                    id.clone_from(&member.name);
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
            exactly: Moment::at(row.at),
            actor: names.actor(&row.actor),
            action: words(&row.action).to_owned(),
            subject: names.subject(row),
            address: row.address.clone(),
            differences,
            is_cut,
            stored: None,
        }
    }
}
