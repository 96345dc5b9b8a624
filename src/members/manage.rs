//! Lists, adds and changes members. Callers can only assign or remove roles that they could grant.

use zeroize::Zeroizing;

use crate::crypto::random;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, MemberId, Password, Role, is_email};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::members::audit::audit_value;
use crate::members::error::MemberError;
use crate::members::password::password_error;
use crate::members::session::SignedIn;
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, KeyFilter, action};

/// Fields of a new member.
#[derive(Clone, Debug)]
pub struct NewMember {
    pub email: String,
    pub role: Role,
}

/// Changes to a member; `None` keeps a field.
#[derive(Clone, Debug, Default)]
pub struct MemberEdit {
    pub email: Option<String>,
    pub role: Option<Role>,
    /// Whether the password is replaced with a generated one, which ends their sessions.
    pub resets_password: bool,
}

/// Returns all members of an organization, sorted by login.
pub async fn list(node: &Node, organization: &Slug) -> Result<Vec<Member>, MemberError> {
    Ok(node.store.members(organization).await?)
}

pub async fn find(node: &Node, organization: &Slug, id: &MemberId) -> Result<Member, MemberError> {
    node.store.member(organization, id).await?.ok_or(MemberError::NotFound)
}

/// A member, who may be removed.
#[derive(Clone, Debug)]
pub struct PastMember {
    pub member: Member,
    /// The login, also of a removed member.
    pub email: String,
    pub removed_at: Option<Timestamp>,
}

/// Returns a member, also a removed one.
pub async fn find_past(node: &Node, organization: &Slug, id: &MemberId) -> Result<PastMember, MemberError> {
    let found = node.store.past_member(organization, id).await?.ok_or(MemberError::NotFound)?;
    let (member, email, removed_at) = found;
    Ok(PastMember { member, email, removed_at })
}

/// Adds a member. Returns the generated password, which is not available later.
pub async fn add(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    new: NewMember,
) -> Result<(Member, Zeroizing<String>), MemberError> {
    let email = login(&new.email)?;
    by.may_change_role(new.role).map_err(MemberError::GrantExceeded)?;
    let (password, phc) = new_password(node, organization).await?;
    let member = Member {
        id: MemberId(random::identifier()?),
        organization: organization.clone(),
        email,
        role: new.role,
        created_at: by.now,
        version: 1,
        last_sign_in_at: None,
    };
    let entry = AuditEntry::of(by, action::MEMBER_CREATE, &member.id.0, None, Some(audit_value(&member)));
    let written = node.change(&entry, Affects::Nothing, node.store.insert_member(&member, &phc, &entry)).await;
    written.map_err(|error| MemberError::from_change(error, None))?;
    Ok((member, password))
}

/// Changes a member's login, role or password. Returns a generated password, which is not available later.
pub async fn change(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &MemberId,
    version: Option<u64>,
    edit: MemberEdit,
) -> Result<(Member, Option<Zeroizing<String>>), MemberError> {
    // 1. The member, and the caller's right to both the old and the new role.
    let old = find(node, organization, id).await?;
    by.may_change_role(old.role).map_err(MemberError::GrantExceeded)?;
    if let Some(role) = edit.role {
        by.may_change_role(role).map_err(MemberError::GrantExceeded)?;
    }
    if version.is_some_and(|version| version != old.version) {
        return Err(MemberError::PreconditionFailed);
    }

    // 2. The next state.
    let email = edit.email.as_deref().map(login).transpose()?;
    let mut new = Member {
        email: email.unwrap_or_else(|| old.email.clone()),
        role: edit.role.unwrap_or(old.role),
        ..old.clone()
    };
    if new == old && !edit.resets_password {
        return Ok((old, None));
    }
    new.version += 1;
    let password = if edit.resets_password { Some(new_password(node, organization).await?) } else { None };

    // 3. The write.
    let mut after = audit_value(&new);
    if let (true, Some(after)) = (edit.resets_password, after.as_object_mut()) {
        after.insert("password".into(), "reset".into());
    }
    let entry = AuditEntry::of(by, action::MEMBER_CHANGE, &id.0, Some(audit_value(&old)), Some(after));
    let phc = password.as_ref().map(|(_, phc)| (phc.as_str(), None));
    let written = node.change(&entry, Affects::Nothing, node.store.update_member(&new, phc, &entry)).await;
    written.map_err(|error| MemberError::from_change(error, version))?;
    Ok((new, password.map(|(password, _)| password)))
}

/// Returns the keys of a member with more scopes in effect than their role can grant, for example after the role was lowered.
/// Those keys keep working until they are revoked or narrowed.
pub async fn keys_beyond_role(node: &Node, member: &Member, now: Timestamp) -> Result<Vec<KeyId>, MemberError> {
    let grantable = member.role.grantable();
    let tenant = node.current_tenant(&member.organization).await?.ok_or(MemberError::NotFound)?;
    let mut filter = KeyFilter {
        owner: Some(member.id.clone()),
        is_descending: false,
        limit: 200,
        ..KeyFilter::new(member.organization.clone(), now)
    };
    let mut keys_beyond = Vec::new();
    loop {
        let keys = node.store.keys(&filter).await?;
        let Some(last) = keys.last() else { return Ok(keys_beyond) };
        filter.after = Some(filter.order.cursor(last));
        keys_beyond.extend(
            keys.iter()
                .filter(|key| {
                    let scopes = tenant.shared.grants_of(key);
                    key.counts(now) && !grantable.contains_all(scopes.of_default_api())
                })
                .map(|key| key.id),
        );
    }
}

/// Changes a member's own password, which ends their other sessions.
pub async fn change_password(
    node: &Node,
    by: &ChangeContext,
    signed_in: &SignedIn,
    current: &Password,
    new: &Password,
) -> Result<(), MemberError> {
    let member = &signed_in.member;
    let (_, phc) = node.store.login(&member.organization, &member.email).await?.ok_or(MemberError::NotFound)?;
    let queue = || node.management_queue(&member.organization);
    if !node.gate.verify(queue(), current.expose().as_bytes(), &phc).await? {
        return Err(MemberError::field("current_password", "the current password is incorrect"));
    }
    if let Some(fault) = password_error(new, &member.organization, &member.email).await? {
        return Err(MemberError::field("new_password", fault));
    }
    let phc = node.gate.hash(queue(), new.expose().as_bytes()).await?;
    let next = Member { version: member.version + 1, ..member.clone() };
    let after = serde_json::json!({ "email": next.email, "role": next.role, "password": "changed" });
    let entry = AuditEntry::of(by, action::MEMBER_CHANGE, &member.id.0, Some(audit_value(member)), Some(after));
    let write = node.store.update_member(&next, Some((&phc, Some(&signed_in.session.id))), &entry);
    node.change(&entry, Affects::Nothing, write).await.map_err(|error| MemberError::from_change(error, None))
}

async fn new_password(node: &Node, organization: &Slug) -> Result<(Zeroizing<String>, String), MemberError> {
    let password = Zeroizing::new(random::identifier()?);
    let phc = node.gate.hash(node.management_queue(organization), password.as_bytes()).await?;
    Ok((password, phc))
}

/// Normalizes a login to lower case, because logins that differ only in case are the same.
fn login(email: &str) -> Result<String, MemberError> {
    let email = email.to_lowercase();
    let invalid = || MemberError::field("email", "must be an email address");
    is_email(&email).then_some(email).ok_or_else(invalid)
}
