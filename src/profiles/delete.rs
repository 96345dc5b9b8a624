//! Deletes profiles, after their keys have another one or are revoked.

use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::profile::Profile;
use crate::domain::slug::Slug;
use crate::domain::violation::{Violation, ViolationKind};
use crate::keys;
use crate::node::{Affects, ChangeError, Node, Tenant, Unavailable};
use crate::profiles::change::{audit_value, check_rights, check_widening, direction};
use crate::profiles::{ProfileError, TRIES, find, read};
use crate::store::{AuditEntry, KEYS_AT_ONCE, StoreError, action};

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
    match delete_with_keys(node, organization, by, name, version, keys, &mut changed).await {
        Ok(()) => Ok(changed),
        Err(ProfileError::Unavailable(Unavailable::Store(StoreError::Superseded))) if changed > 0 => {
            Err(ProfileError::Conflict(format!(
                "your permissions changed during this request: keys were moved or revoked ({changed}), but the profile was not \
                 deleted; retry"
            )))
        }
        Err(error) => Err(error),
    }
}

async fn delete_with_keys(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &Slug,
    version: Option<u64>,
    keys: &KeysOfDeletedProfile,
    changed: &mut u64,
) -> Result<(), ProfileError> {
    for _ in 0..TRIES {
        // 1. The profile, and whether its keys may be changed.
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
        if *keys != KeysOfDeletedProfile::None {
            check_actor(node, by, old).await?;
        }
        if let KeysOfDeletedProfile::MoveTo(to) = keys {
            check_move(node, by, &tenant, old, to).await?;
        }

        // 2. The keys, then the profile.
        let refused = match change_keys(node, by, &tenant, name, keys, changed).await {
            Ok(()) => {
                let entry = AuditEntry::of(by, action::PROFILE_DELETE, name, Some(audit_value(old)), None);
                let write = node.store.delete_profile(old, &entry);
                match node.change(&entry, Affects::Organization(organization), write).await {
                    Ok(_) => return Ok(()),
                    Err(refused) => refused,
                }
            }
            Err(refused) => refused,
        };
        match refused {
            ChangeError::Refused(refused) => match ProfileError::from_refused(refused) {
                // A key was given the profile meanwhile.
                ProfileError::HasKeys if *keys != KeysOfDeletedProfile::None => {}
                ProfileError::Raced => node.memory.tenants.forget(organization),
                error => return Err(error),
            },
            ChangeError::Unavailable(cause) => return Err(cause.into()),
        }
    }
    Err(ProfileError::Raced)
}

/// Checks that the caller is not a key with the profile. It would lose the rights with which it deletes the profile.
async fn check_actor(node: &Node, by: &ChangeContext, profile: &Profile) -> Result<(), ProfileError> {
    let Some(id) = by.actor.strip_prefix("key:").and_then(KeyId::parse) else { return Ok(()) };
    let own = node.store.key(&id).await?;
    match own.is_some_and(|key| key.organization == profile.organization && key.profile.as_ref() == Some(&profile.name)) {
        true => Err(ProfileError::Conflict(
            "your own key has this profile; nothing was changed. Give your key another profile first, or use another key".into(),
        )),
        false => Ok(()),
    }
}

/// Checks that all keys with a profile can be given another one: that the caller has the rights of both, and that the policy
/// allows each key the scopes that it would have.
async fn check_move(
    node: &Node,
    by: &ChangeContext,
    tenant: &Tenant,
    from: &Profile,
    to: &Slug,
) -> Result<(), ProfileError> {
    let invalid = |kind| Violation { kind, ..Violation::new("move_keys_to", "") };
    let Some(target) = tenant.shared.profile(to).filter(|target| target.name != from.name) else {
        let kind = ViolationKind::Other("must be the name of another profile".into());
        return Err(ProfileError::Invalid(vec![invalid(kind)]));
    };
    check_rights(by, &tenant.shared, from)?;
    check_rights(by, &tenant.shared, target)?;
    if direction(&tenant.shared, from, target).widens() {
        check_widening(by, &tenant.shared, target)?;
    }
    let mut violations: Vec<Violation> = Vec::new();
    for key in node.store.keys_of_profile_by_grants(&from.organization, &from.name).await? {
        for Violation { kind, .. } in keys::violations_of_profile(tenant, &key, to, by.now) {
            if !violations.iter().any(|found| found.kind == kind) {
                violations.push(invalid(kind));
            }
        }
    }
    if violations.is_empty() { Ok(()) } else { Err(ProfileError::Invalid(violations)) }
}

/// Moves or revokes the keys with a profile, a number at a time, and counts them. Keys are moved only while the organization is
/// the same as when the rights to move them were checked.
async fn change_keys(
    node: &Node,
    by: &ChangeContext,
    tenant: &Tenant,
    name: &Slug,
    keys: &KeysOfDeletedProfile,
    changed: &mut u64,
) -> Result<(), ChangeError> {
    let organization = &tenant.organization.slug;
    let (action, end): (_, NextState<'_>) = match keys {
        KeysOfDeletedProfile::None => return Ok(()),
        KeysOfDeletedProfile::MoveTo(to) => {
            let is_allowed = |key: &ApiKey| keys::violations_of_profile(tenant, key, to, by.now).is_empty();
            // A key that was given the profile after the check stays, so the next attempt checks it.
            let move_allowed =
                move |key: ApiKey| is_allowed(&key).then(|| keys::move_to_profile(by, key, to)).flatten();
            (action::KEY_EDIT, Box::new(move_allowed))
        }
        KeysOfDeletedProfile::Revoke => {
            (action::KEY_REVOKE, Box::new(|key| keys::revoke_because(by, key, "its profile was deleted")))
        }
    };
    // For the log and the check of the actor; each key has an entry of its own.
    let mut entry = AuditEntry::of(by, action, name, None, None);
    let mut seen = Some(tenant.organization.changed_seq);
    if *keys == KeysOfDeletedProfile::Revoke {
        // As for a single key: revoking only removes access.
        (entry.expected_version, seen) = (None, None);
    }
    loop {
        let write = node.store.end_keys_with_profile(organization, name, seen, &entry, &*end);
        let (_, ended) = node.change(&entry, Affects::WrittenKeys, write).await?;
        *changed += ended.len() as u64;
        if ended.len() < KEYS_AT_ONCE {
            return Ok(());
        }
    }
}
