//! Creates, edits and deletes named networks.

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::domain::api_key::Direction;
use crate::domain::authority::ChangeContext;
use crate::domain::grants::Grants;
use crate::domain::networks::Networks;
use crate::domain::profile::NamedNetwork;
use crate::domain::slug::Slug;
use crate::node::{Affects, ChangeError, Node};
use crate::profiles::{ProfileError, TRIES, find_network, read};
use crate::store::{AuditEntry, action};

/// Fields of a new network.
#[derive(Clone, Debug)]
pub struct NewNetwork {
    pub name: Slug,
    pub description: String,
    pub cidrs: Networks,
    pub excluded: Vec<IpNet>,
}

/// Fields that an edit sets; `None` keeps a field.
#[derive(Clone, Debug, Default)]
pub struct NetworkEdit {
    pub description: Option<String>,
    pub cidrs: Option<Networks>,
    pub excluded: Option<Vec<IpNet>>,
}

/// Returns the number of keys that refer to each network themselves, without revoked ones.
pub async fn network_key_counts(node: &Node, organization: &Slug) -> Result<Vec<(Slug, u64)>, ProfileError> {
    Ok(node.store.keys_of_networks(organization).await?)
}

/// Creates a network. No key refers to it yet.
pub async fn create_network(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewNetwork,
) -> Result<NamedNetwork, ProfileError> {
    let network = NamedNetwork {
        organization: organization.clone(),
        name: new.name,
        description: new.description,
        cidrs: new.cidrs,
        excluded: new.excluded,
        version: 1,
        created_at: by.now,
    };
    check(&network)?;
    let entry = AuditEntry::of(by, action::NETWORK_CREATE, &network.name, None, Some(audit_value(&network)));
    let write = node.store.insert_network(&network, &entry);
    match node.change(&entry, Affects::Organization(organization), write).await {
        Ok(_) => Ok(network),
        Err(ChangeError::Refused(refused)) => Err(ProfileError::from_refused(refused)),
        Err(ChangeError::Unavailable(cause)) => Err(cause.into()),
    }
}

/// Edits a network. It applies to all keys that refer to it and to their tokens, on every node, when this returns, even if the
/// network was the same before: an earlier identical edit may not have reached every node yet.
pub async fn edit_network(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &Slug,
    version: Option<u64>,
    edit: NetworkEdit,
) -> Result<NamedNetwork, ProfileError> {
    for _ in 0..TRIES {
        let tenant = read(node, organization).await?;
        let old = find_network(&tenant, name)?;
        // An invalid edit is invalid whatever the version (RFC 9110 §13.2.1).
        let mut new = preview_network_edit(old, edit.clone())?;
        if version.is_some_and(|version| version != old.version) {
            return Err(ProfileError::PreconditionFailed);
        }
        // As for a profile: the caller must have what the network allows now, and what it will allow.
        let nothing = Grants::default();
        by.authority.holds(&nothing, &old.addresses()).map_err(ProfileError::GrantExceeded)?;
        if new == *old {
            node.settle_organization(organization).await?;
            return Ok(new);
        }
        let addresses = new.addresses();
        if Direction::of_networks(&old.addresses(), &addresses).widens() {
            by.authority.covers(&nothing, &addresses, None).map_err(ProfileError::GrantExceeded)?;
        }
        new.version += 1;
        let values = (audit_value(old), audit_value(&new));
        let entry = AuditEntry::of(by, action::NETWORK_EDIT, name, Some(values.0), Some(values.1));
        let write = node.store.update_network(&new, tenant.organization.changed_seq, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(new),
            Err(ChangeError::Refused(_)) => node.memory.tenants.forget(organization),
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ProfileError::Raced)
}

/// Returns the network as an edit would leave it, without writing it.
pub fn preview_network_edit(old: &NamedNetwork, edit: NetworkEdit) -> Result<NamedNetwork, ProfileError> {
    let new = NamedNetwork {
        description: edit.description.unwrap_or_else(|| old.description.clone()),
        cidrs: edit.cidrs.unwrap_or_else(|| old.cidrs.clone()),
        excluded: edit.excluded.unwrap_or_else(|| old.excluded.clone()),
        ..old.clone()
    };
    check(&new)?;
    Ok(new)
}

/// Deletes a network that no profile and no key refers to. Without it, a key that listed only this network would have no
/// network left, and with an empty list it would be allowed everywhere.
pub async fn delete_network(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &Slug,
    version: Option<u64>,
) -> Result<(), ProfileError> {
    for _ in 0..TRIES {
        let tenant = read(node, organization).await?;
        let old = match find_network(&tenant, name) {
            Ok(old) => old,
            Err(error) => {
                // A concurrent deletion must be effective before it is confirmed.
                node.settle_organization(organization).await?;
                return Err(error);
            }
        };
        if version.is_some_and(|version| version != old.version) {
            return Err(ProfileError::PreconditionFailed);
        }
        let entry = AuditEntry::of(by, action::NETWORK_DELETE, name, Some(audit_value(old)), None);
        let write = node.store.delete_network(old, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(()),
            Err(ChangeError::Refused(refused)) => match ProfileError::from_refused(refused) {
                ProfileError::Raced => node.memory.tenants.forget(organization),
                error => return Err(error),
            },
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ProfileError::Raced)
}

fn check(network: &NamedNetwork) -> Result<(), ProfileError> {
    let violations = network.validate();
    if violations.is_empty() { Ok(()) } else { Err(ProfileError::Invalid(violations)) }
}

/// Returns a network for the audit log.
fn audit_value(network: &NamedNetwork) -> Value {
    let excluded: Vec<String> = network.excluded.iter().map(IpNet::to_string).collect();
    json!({
        "name": network.name,
        "description": network.description,
        "cidrs": network.cidrs,
        "excluded_cidrs": excluded,
        "version": network.version,
    })
}
