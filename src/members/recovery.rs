//! Resets a member's password without a running node, if nobody can sign in.

use zeroize::Zeroizing;

use crate::crypto::argon2_gate::{Argon2Gate, Lane, QueueKey};
use crate::crypto::random;
use crate::domain::member::{Member, Role};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::limits::name;
use crate::members::audit::audit_value;
use crate::node::Unavailable;
use crate::store::{AuditEntry, Refused, Store, WriteError, action};

/// Reason why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("{email}: no member of organization {organization} has this login; its owners are {owners}")]
    NoMember {
        email: String,
        organization: Slug,
        /// Logins of its owners.
        owners: String,
    },
    /// The member changed at the same time.
    #[error("the member was changed at the same time; try again")]
    Raced,
    /// The store, the hashing or the random generator failed.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Returns the member with a login.
pub async fn find_login(store: &Store, organization: &Slug, email: &str) -> Result<Member, RecoveryError> {
    if let Some((member, _)) = store.login(organization, &email.to_lowercase()).await.map_err(Unavailable::from)? {
        return Ok(member);
    }
    let members = store.members(organization).await.map_err(Unavailable::from)?;
    let owners = members.into_iter().filter(|member| member.role == Role::Owner).map(|owner| owner.email);
    let owners = owners.collect::<Vec<_>>().join(", ");
    Err(RecoveryError::NoMember { email: email.into(), organization: organization.clone(), owners })
}

/// Replaces a member's password and ends their sessions. Returns the password, of which only the hash is stored.
///
/// Nodes read members and sessions from the store for each request, so the change is effective immediately.
pub async fn reset_password(
    store: &Store,
    gate: &Argon2Gate,
    old: &Member,
    now: Timestamp,
) -> Result<Zeroizing<String>, RecoveryError> {
    // 1. The password.
    let password = Zeroizing::new(random::identifier().map_err(Unavailable::from)?);
    let queue = QueueKey { lane: Lane::Management, share: vec![name(old.organization.as_str())] };
    let phc = gate.hash(queue, password.as_bytes()).await.map_err(Unavailable::from)?;

    // 2. The write.
    let new = Member { version: old.version + 1, ..old.clone() };
    let mut after = audit_value(&new);
    if let Some(after) = after.as_object_mut() {
        after.insert("password".into(), "reset".into());
        after.insert("source".into(), "command line".into());
    }
    let entry = AuditEntry::by_keyturn(now, action::MEMBER_CHANGE, &new.id.0, Some(audit_value(old)), Some(after));
    match store.update_member(&new, Some((&phc, None)), &entry).await {
        Ok(()) => Ok(password),
        Err(WriteError::Refused(Refused::VersionConflict)) => Err(RecoveryError::Raced),
        Err(WriteError::Refused(_)) => Err(Unavailable::Lost.into()),
        Err(WriteError::Store(error)) => Err(Unavailable::from(error).into()),
    }
}
