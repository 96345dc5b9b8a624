//! Looking members up, adding and changing them. Nobody gives or takes a role that holds more than they do.

use zeroize::Zeroizing;

use crate::crypto::random;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, MemberId, Password, Role, is_email};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::members::audit::audit_value;
use crate::members::error::MemberError;
use crate::members::password::password_fault;
use crate::members::session::SignedIn;
use crate::node::{Affects, Node};
use crate::store::{AuditEntry, KeyFilter, action};

/// What a member is to be.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// Their login.
    pub email: String,
    /// What they may do.
    pub role: Role,
}

/// What a change sets; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct MemberEdit {
    /// A new login.
    pub email: Option<String>,
    /// A new role.
    pub role: Option<Role>,
    /// Whether they get a new password of our making; their sessions end.
    pub resets_password: bool,
}

/// Every member of an organization, by login.
pub async fn list(node: &Node, organization: &Slug) -> Result<Vec<Member>, MemberError> {
    Ok(node.store.members(organization).await?)
}

/// One member of an organization.
pub async fn find(node: &Node, organization: &Slug, id: &MemberId) -> Result<Member, MemberError> {
    node.store.member(organization, id).await?.ok_or(MemberError::NotFound)
}

/// Adds a member, and gives the password they begin with, the only time that it is known.
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
    written.map_err(|error| MemberError::not_changed(error, None))?;
    Ok((member, password))
}

/// Changes a member's login, role or password. A new password of our making is given, the only time that it is known.
pub async fn change(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    id: &MemberId,
    version: Option<u64>,
    edit: MemberEdit,
) -> Result<(Member, Option<Zeroizing<String>>), MemberError> {
    // 1. The member, and whether the caller is above both what they are and what they become.
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
    written.map_err(|error| MemberError::not_changed(error, version))?;
    Ok((new, password.map(|(password, _)| password)))
}

/// The keys of a member that do more than their role could hand out now, as after their role was lowered. They go on
/// working until somebody revokes or narrows them.
pub async fn keys_beyond_role(node: &Node, member: &Member, now: Timestamp) -> Result<Vec<KeyId>, MemberError> {
    let held = member.role.holds();
    let mut filter = KeyFilter {
        owner: Some(member.id.clone()),
        is_descending: false,
        limit: 200,
        ..KeyFilter::new(member.organization.clone(), now)
    };
    let mut beyond = Vec::new();
    loop {
        let keys = node.store.keys(&filter).await?;
        let Some(last) = keys.last() else { return Ok(beyond) };
        filter.after = Some(filter.order.place(last));
        beyond.extend(keys.iter().filter(|key| key.counts(now) && !held.contains_all(&key.scopes)).map(|key| key.id));
    }
}

/// Changes a member's own password. Their other sessions end.
pub async fn change_password(
    node: &Node,
    by: &ChangeContext,
    who: &SignedIn,
    current: &Password,
    new: &Password,
) -> Result<(), MemberError> {
    let member = &who.member;
    let (_, phc) = node.store.login(&member.organization, &member.email).await?.ok_or(MemberError::NotFound)?;
    let turn = || node.management_turn(&member.organization);
    if !node.gate.verify(turn(), current.expose().as_bytes(), &phc).await? {
        return Err(MemberError::field("current_password", "the current password is incorrect"));
    }
    if let Some(fault) = password_fault(new, &member.organization, &member.email).await? {
        return Err(MemberError::field("new_password", fault));
    }
    let phc = node.gate.hash(turn(), new.expose().as_bytes()).await?;
    let next = Member { version: member.version + 1, ..member.clone() };
    let after = serde_json::json!({ "email": next.email, "role": next.role, "password": "changed" });
    let entry = AuditEntry::of(by, action::MEMBER_CHANGE, &member.id.0, Some(audit_value(member)), Some(after));
    let write = node.store.update_member(&next, Some((&phc, Some(&who.session.id))), &entry);
    node.change(&entry, Affects::Nothing, write).await.map_err(|error| MemberError::not_changed(error, None))
}

async fn new_password(node: &Node, organization: &Slug) -> Result<(Zeroizing<String>, String), MemberError> {
    let password = Zeroizing::new(random::identifier()?);
    let phc = node.gate.hash(node.management_turn(organization), password.as_bytes()).await?;
    Ok((password, phc))
}

/// A login as it is kept: in lower case, for nobody means two people by it.
fn login(email: &str) -> Result<String, MemberError> {
    let email = email.to_lowercase();
    let wrong = || MemberError::field("email", "must be an email address");
    is_email(&email).then_some(email).ok_or_else(wrong)
}
