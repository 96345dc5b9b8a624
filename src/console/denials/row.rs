//! A denial as displayed.

use std::collections::HashMap;

use crate::console::denials::reasons;
use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Moment, format_count};
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::apis::find_audience;
use crate::domain::key_text::KeyId;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError};
use crate::store::DeniedRequest;

/// Displayed request IDs.
const MAX_IDS: usize = 4;

/// A denial, and what can be done about it.
pub(super) struct Row {
    /// The path of its page, and of its key's page.
    pub(super) page: String,
    pub(super) key_page: Option<String>,
    pub(super) key_name: String,
    pub(super) key_id: Option<String>,
    pub(super) last: Moment,
    pub(super) first: Option<Moment>,
    pub(super) count: String,
    pub(super) is_repeated: bool,
    pub(super) address: String,
    pub(super) endpoint: String,
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) reason: String,
    pub(super) missing_scope: Option<String>,
    pub(super) requested_scope: Option<String>,
    pub(super) audience: Option<String>,
    pub(super) request_ids: Vec<String>,
    /// The edit form with the missing address or scope filled in, for those who may change the key.
    pub(super) repair: Option<Repair>,
}

pub(super) struct Repair {
    pub(super) label: &'static str,
    pub(super) path: String,
}

/// The keys that denials name.
pub(super) struct Keys(HashMap<KeyId, ApiKey>);

impl Keys {
    /// Loads the keys of denials.
    pub(super) async fn load<P>(visit: &ConsoleRequest<P>, denials: &[DeniedRequest]) -> Result<Self, ErrorPage> {
        let mut keys = HashMap::new();
        for id in denials.iter().filter_map(|denied| denied.client_id) {
            if keys.contains_key(&id) {
                continue;
            }
            match keys::find(visit.node(), visit.organization(), &id).await {
                Ok(key) => drop(keys.insert(id, key)),
                Err(KeyError::NotFound) => {}
                Err(other) => return Err(other.into()),
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn get(&self, denied: &DeniedRequest) -> Option<&ApiKey> {
        self.0.get(&denied.client_id?)
    }
}

impl Row {
    pub(super) fn new<P>(visit: &ConsoleRequest<P>, keys: &Keys, denied: &DeniedRequest) -> Self {
        let key = keys.get(denied);
        let name = |key: &ApiKey| if key.name.trim().is_empty() { key.hint.clone() } else { key.name.clone() };
        Self {
            page: visit.path(&format!("/denials/{}", denied.id)),
            key_page: key.map(|key| visit.path(&format!("/keys/{}", key.id))),
            key_name: key.map_or_else(|| "Unknown".into(), name),
            key_id: denied.client_id.map(|id| id.to_string()),
            last: Moment::from_now(denied.last_at, visit.now),
            first: (denied.count > 1).then(|| Moment::from_now(denied.first_at, visit.now)),
            count: format_count(denied.count),
            is_repeated: denied.count > 1,
            address: denied.address.clone().unwrap_or_else(|| "Unknown".into()),
            endpoint: denied.endpoint.clone(),
            status: denied.status,
            code: denied.code.clone(),
            reason: reasons::label(&denied.reason),
            missing_scope: denied.missing_scope.clone(),
            // A single requested scope that is the missing one says nothing more.
            requested_scope: denied.requested_scope.clone().filter(|_| denied.requested_scope != denied.missing_scope),
            audience: denied.audience.clone(),
            request_ids: denied.request_ids.iter().take(MAX_IDS).cloned().collect(),
            repair: key.and_then(|key| repair(visit, key, denied)),
        }
    }
}

/// Returns the change that would allow such a request, if the visitor may make it.
fn repair<P>(visit: &ConsoleRequest<P>, key: &ApiKey, denied: &DeniedRequest) -> Option<Repair> {
    let may_change = visit.may::<WriteKeys>() && visit.by().may_manage_key_of(key.owner.as_ref());
    if !may_change || key.status(visit.now) == Status::Revoked {
        return None;
    }
    let edit = |fields: &[(&str, &str)]| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(fields);
        visit.path(&format!("/keys/{}/edit?{}", key.id, query.finish()))
    };
    // The API of the requested audience, if the organization has it.
    let tenant = visit.node().tenant(&key.organization);
    let audience = denied
        .audience
        .as_deref()
        .filter(|audience| tenant.as_ref().is_some_and(|tenant| find_audience(&tenant.apis, audience).is_some()));
    match (denied.reason.as_str(), &denied.address, &denied.missing_scope) {
        ("api_key_ip_not_allowed", Some(address), _) => {
            Some(Repair { label: "Allow this address", path: edit(&[("add_network", address)]) })
        }
        ("insufficient_scope", _, Some(scope)) => {
            let mut fields = vec![("add_scope", scope.as_str())];
            fields.extend(audience.map(|audience| ("add_audience", audience)));
            Some(Repair { label: "Add this scope", path: edit(&fields) })
        }
        ("audience_not_allowed", ..) => {
            audience.map(|audience| Repair { label: "Grant this API", path: edit(&[("add_audience", audience)]) })
        }
        _ => None,
    }
}
