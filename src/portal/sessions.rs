//! Sessions of customers: creating their URL, opening it, listing and ending them.

use serde_json::json;

use crate::crypto::digest::sha256;
use crate::crypto::random;
use crate::customers;
use crate::domain::authority::{ActorVersion, Authority, ChangeContext, OtherApis};
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::decision::ClientAddress;
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyId;
use crate::domain::member::Role;
use crate::domain::portal::{
    CODE_SECONDS, Capabilities, Capability, MAX_USER, PortalSession, SESSION_SECONDS, WebUrl, grantable_by_default,
    without_management,
};
use crate::domain::slug::Slug;
use crate::domain::text::name_fault;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Violation, ViolationKind};
use crate::keys::{RequestedGrants, check_new_grants};
use crate::members::SessionSecret;
use crate::node::{Affects, ChangeError, Node, Unavailable};
use crate::portal::error::PortalError;
use crate::portal::read_settings;
use crate::store::{AuditEntry, action};

/// Fields of a new session.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub capabilities: Capabilities,
    /// The scopes that new keys can have; by default those that the policy and the APIs allow to be granted.
    pub grants: RequestedGrants,
    pub return_url: Option<WebUrl>,
    pub user: Option<String>,
}

/// A new session with its URL.
#[derive(Debug)]
pub struct OpenedUrl {
    pub session: PortalSession,
    pub url: String,
}

/// Creates a session of a customer. Its URL can be opened once, within 15 minutes.
pub async fn create(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    customer: &CustomerId,
    new: NewSession,
) -> Result<OpenedUrl, PortalError> {
    // 1. The customer, and the caller's role: a member must be allowed to manage keys of others.
    let customer = customers::find(node, organization, customer).await?;
    if customer.is_denied() {
        return Err(PortalError::Suspended);
    }
    let tenant = node.current_tenant(organization).await?.ok_or(PortalError::NotFound)?;
    let policy = &tenant.organization.policy;
    if new.capabilities.change_keys() && !by.may_manage_key_of(None) {
        return Err(PortalError::RoleRequired(Role::Admin));
    }
    let creates_keys = new.capabilities.include(Capability::Create);
    if creates_keys && by.member.as_ref().is_some_and(|(_, role)| *role < policy.create_role) {
        return Err(PortalError::RoleRequired(policy.create_role));
    }
    let creator_version = by.expected_version.ok_or(PortalError::NotFound)?;

    // 2. The fields, and the scopes of new keys within the caller's rights.
    let mut violations = check_fields(node, organization, &new).await?;
    let bounds = without_management(by.authority.clone());
    let grants = if !creates_keys {
        if !new.grants.is_absent() {
            violations.push(Violation::new("capabilities", "must include create if scopes are given"));
        }
        Grants::default()
    } else if new.grants.is_absent() {
        let grants = grantable_by_default(&tenant.apis, policy, &bounds);
        if grants.is_empty() {
            let text =
                "required to create keys, because neither the policy nor an API lists the scopes that can be granted";
            violations.push(Violation::new("scopes", text));
        }
        grants
    } else {
        match check_new_grants(&new.grants, &tenant.apis, policy, by.now) {
            Ok(grants) if grants.scopes().next().is_none() => {
                violations.push(Violation::new("scopes", "at least one scope is required to create keys"));
                grants
            }
            Ok(grants) => grants,
            Err(others) => {
                violations.extend(others);
                Grants::default()
            }
        }
    };
    if grants.scopes().any(|(_, scope)| scope.is_reserved()) {
        violations.push(Violation::new("scopes", "must not include scopes of the management API"));
    }
    if !violations.is_empty() {
        return Err(PortalError::Invalid(violations));
    }
    check_bounds(&bounds, &grants)?;

    // 3. The session, under the digest of its code.
    let code = SessionSecret::new()?;
    let session = PortalSession {
        id: random::public_identifier()?,
        organization: organization.clone(),
        customer: customer.id,
        customer_generation: customer.generation,
        user: new.user,
        capabilities: new.capabilities,
        grants,
        bounds,
        return_url: new.return_url,
        created_at: by.now,
        created_by: by.actor.clone(),
        creator_version,
        redeemed_at: None,
        ends_at: by.now.plus_seconds(CODE_SECONDS),
        address: None,
    };
    let entry =
        AuditEntry::of(by, action::PORTAL_SESSION_CREATE, customer.id, None, Some(audit_value(&session, &customer)));
    let digest = digest(&code);
    let write = node.store.insert_portal_session(&session, &digest, &entry);
    node.change(&entry, Affects::Nothing, write).await.map_err(PortalError::from_change)?;
    let url = format!("{}/portal/{organization}/open/{}", node.settings.public_url, code.reveal());
    Ok(OpenedUrl { session, url })
}

/// Returns the session whose URL has this code, if the URL can still be opened. Does not open it.
pub async fn url_of_code(
    node: &Node,
    organization: &Slug,
    code: &SessionSecret,
    now: Timestamp,
) -> Result<Option<(PortalSession, Customer)>, PortalError> {
    let digest = digest(code);
    let found = node.store.read_current(node.store.portal_session_of_code(&digest, now)).await?;
    let Some(session) = found.filter(|session| session.organization == *organization) else { return Ok(None) };
    let Some(session) = within_creator(node, session).await? else { return Ok(None) };
    let customer = customers::find(node, organization, &session.customer).await?;
    Ok(Some((session, customer)))
}

/// Opens a session's URL, once. Returns the secret for the cookie; `None` if the URL was opened before, has expired or was ended.
pub async fn open(
    node: &Node,
    organization: &Slug,
    code: &SessionSecret,
    address: ClientAddress,
    now: Timestamp,
) -> Result<Option<SessionSecret>, PortalError> {
    let Some((session, customer)) = url_of_code(node, organization, code, now).await? else { return Ok(None) };
    // The secret is new, so nobody who knew the code or an earlier cookie has it.
    let secret = SessionSecret::new()?;
    let by = session.by(address, now);
    let session = PortalSession {
        redeemed_at: Some(now),
        ends_at: now.plus_seconds(SESSION_SECONDS),
        address: address.known().map(|address| address.to_string()),
        ..session
    };
    let entry =
        AuditEntry::of(&by, action::PORTAL_SESSION_REDEEM, customer.id, None, Some(audit_value(&session, &customer)));
    let digest = digest(&secret);
    let write = node.store.redeem_portal_session(&session, &digest, &entry);
    match node.change(&entry, Affects::Nothing, write).await {
        Ok(_) => Ok(Some(secret)),
        Err(ChangeError::Refused(_)) => Ok(None),
        Err(ChangeError::Unavailable(cause)) => Err(cause.into()),
    }
}

/// Returns the valid sessions of a customer, newest first.
pub async fn list(
    node: &Node,
    organization: &Slug,
    customer: &CustomerId,
    now: Timestamp,
) -> Result<Vec<PortalSession>, PortalError> {
    let customer = customers::find(node, organization, customer).await?;
    let mut sessions = Vec::new();
    for session in node.store.portal_sessions(&customer.id, now).await? {
        sessions.extend(within_creator(node, session).await?);
    }
    Ok(sessions)
}

/// Returns a session that the store knows as valid, unless the key that created it no longer has the rights that bound the session:
/// its profile or networks may have been narrowed. A change in the session requires that they stay as they are.
pub(super) async fn within_creator(node: &Node, session: PortalSession) -> Result<Option<PortalSession>, Unavailable> {
    let Some(id) = session.created_by.strip_prefix("key:").and_then(KeyId::parse) else { return Ok(Some(session)) };
    let Some(key) = node.store.read_current(node.store.key(&id)).await? else { return Ok(None) };
    let Some(tenant) = node.current_tenant(&key.organization).await? else { return Ok(None) };
    // Without references, a key that loses rights has another version, which ends the session.
    let Some(shared) = tenant.shared.version_of(&key) else { return Ok(Some(session)) };
    let held = tenant.shared.effective(&key);
    let rights = Authority {
        scopes: held.grants.of_default_api().clone(),
        other_apis: OtherApis::of_grants(held.grants.clone()),
        networks: held.networks.clone(),
        not_after: key.expires_at,
    };
    let creator_version = ActorVersion { shared: Some(shared), ..session.creator_version };
    Ok(rights.includes(&session.bounds).then_some(PortalSession { creator_version, ..session }))
}

/// Ends a session, on every node.
pub async fn end(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    customer: &CustomerId,
    id: &str,
) -> Result<(), PortalError> {
    let value = Some(json!({ "session": id }));
    let entry = AuditEntry::of(by, action::PORTAL_SESSION_END, customer, None, value);
    let write = node.store.end_portal_session(organization, customer, id, &entry);
    let ended = node.change(&entry, Affects::Nothing, write).await.map_err(PortalError::from_change)?;
    ended.map(|_| ()).ok_or(PortalError::NotFound)
}

/// Hash under which a code or the secret of a cookie is stored.
pub(super) fn digest(secret: &SessionSecret) -> [u8; 32] {
    sha256(secret.reveal().as_bytes())
}

async fn check_fields(node: &Node, organization: &Slug, new: &NewSession) -> Result<Vec<Violation>, PortalError> {
    let mut violations = Vec::new();
    if let Some(url) = &new.return_url {
        let (settings, _) = read_settings(node, organization).await?;
        if !settings.allows_return(url) {
            let text = format!("{} is not one of the return origins in the portal settings", url.origin());
            violations.push(Violation::new("return_url", text));
        }
    }
    if let Some(user) = &new.user {
        if user.chars().count() > MAX_USER {
            violations.push(Violation::new("user", ViolationKind::TooLong(MAX_USER)));
        }
        if let Some(fault) = name_fault(user) {
            violations.push(Violation::new("user", fault));
        }
    }
    Ok(violations)
}

/// Checks that the creator could create keys with these scopes itself. Its networks and its expiry bound each key later.
fn check_bounds(bounds: &Authority, grants: &Grants) -> Result<(), PortalError> {
    bounds.covers(grants, &bounds.networks, bounds.not_after).map_err(PortalError::GrantExceeded)
}

/// Returns a session for the audit log.
fn audit_value(session: &PortalSession, customer: &Customer) -> serde_json::Value {
    json!({
        "session": session.id,
        "name": customer.name,
        "external_id": customer.external_id.as_str(),
        "user": session.user,
        "capabilities": session.capabilities.names(),
        "scopes": session.grants.default_scopes(),
        "return_url": session.return_url.as_ref().map(WebUrl::as_str),
        "created_by": session.created_by,
        "ends_at": crate::clock::rfc3339(session.ends_at),
    })
}
