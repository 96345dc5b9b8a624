//! Deletes profiles, after their keys have another one or are revoked.

use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::keys;
use crate::node::{Affects, ChangeError, Node};
use crate::profiles::change::{audit_value, check_rights};
use crate::profiles::{ProfileError, TRIES, find, read};
use crate::store::{AuditEntry, KEYS_AT_ONCE, action};

/// Returns the next state of a key with a deleted profile.
type NextState<'a> = Box<dyn Fn(ApiKey) -> Option<(ApiKey, AuditEntry)> + Send + Sync + 'a>;

/// What becomes of the keys with a deleted profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeysOfDeletedProfile {
    /// There must be none that is not revoked.
    None,
    /// They get another profile. Their tokens stop working.
    MoveTo(Slug),
    Revoke,
}

/// Deletes a profile. Returns the number of keys that were moved or revoked.
///
/// The keys are changed before, in several changes: until the last of them the profile exists, so no key has more access than
/// one of the two profiles gives it. A deletion that is repeated continues an interrupted one.
pub async fn delete(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &Slug,
    version: Option<u64>,
    keys: &KeysOfDeletedProfile,
) -> Result<u64, ProfileError> {
    let mut changed = 0;
    for _ in 0..TRIES {
        let tenant = read(node, organization).await?;
        let old = match find(&tenant, name) {
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
        if let KeysOfDeletedProfile::MoveTo(to) = keys {
            match tenant.shared.profile(to).filter(|to| to.name != *name) {
                Some(to) => check_rights(by, &tenant.shared, to)?,
                None => {
                    let violation = Violation::new("move_keys_to", "must be the name of another profile");
                    return Err(ProfileError::Invalid(vec![violation]));
                }
            }
        }
        changed += change_keys(node, organization, by, name, keys).await?;
        let entry = AuditEntry::of(by, action::PROFILE_DELETE, name, Some(audit_value(old)), None);
        let write = node.store.delete_profile(old, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(changed),
            Err(ChangeError::Refused(refused)) => match ProfileError::from_refused(refused) {
                // A key was given the profile meanwhile.
                ProfileError::HasKeys if *keys != KeysOfDeletedProfile::None => {}
                ProfileError::Raced => node.memory.tenants.forget(organization),
                error => return Err(error),
            },
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ProfileError::Raced)
}

/// Moves or revokes the keys with a profile, a number at a time. Returns how many there were.
async fn change_keys(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &Slug,
    keys: &KeysOfDeletedProfile,
) -> Result<u64, ProfileError> {
    let (action, end): (_, NextState<'_>) = match keys {
        KeysOfDeletedProfile::None => return Ok(0),
        KeysOfDeletedProfile::MoveTo(to) => (action::KEY_EDIT, Box::new(|key| keys::move_to_profile(by, key, to))),
        KeysOfDeletedProfile::Revoke => {
            (action::KEY_REVOKE, Box::new(|key| keys::revoke_because(by, key, "its profile was deleted")))
        }
    };
    // For the log; each key has an entry of its own.
    let entry = AuditEntry::of(by, action, name, None, None);
    let mut changed = 0;
    loop {
        let write = node.store.end_keys_with_profile(organization, name, &*end);
        let (_, ended) = node.change(&entry, Affects::WrittenKeys, write).await.map_err(|error| match error {
            ChangeError::Unavailable(cause) => ProfileError::Unavailable(cause),
            ChangeError::Refused(refused) => ProfileError::from_refused(refused),
        })?;
        changed += ended.len() as u64;
        if ended.len() < KEYS_AT_ONCE {
            return Ok(changed);
        }
    }
}
