//! Creates an organization with its signing key, owner and first API key, in one transaction.

use zeroize::Zeroizing;

use crate::crypto::argon2_gate::{Argon2Gate, Lane, QueueKey};
use crate::crypto::master_key::MasterKeys;
use crate::crypto::mint::mint;
use crate::crypto::random;
use crate::crypto::sealing::{self, SealError};
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::choices::Algorithm;
use crate::domain::grants::Grants;
use crate::domain::key_text::{KeyPrefix, KeyText};
use crate::domain::member::{Member, MemberId, Role};
use crate::domain::metadata::Metadata;
use crate::domain::networks::Networks;
use crate::domain::organization::Organization;
use crate::domain::scope::{ScopeError, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::limits::name;
use crate::node::Unavailable;
use crate::signing::{KeyMaterial, SigningError};
use crate::store::{AuditEntry, NewOrganization, Store, StoredSigningKey, WriteError, action};

/// Scopes of the first key: everything, including the management API.
const FIRST_SCOPES: &str = "*:* *:keyturn/*";

/// Credentials of a new organization, shown once.
pub struct BootstrappedOrganization {
    pub organization: Slug,
    pub email: String,
    pub password: Zeroizing<String>,
    pub key: KeyText,
}

/// Reason why an organization was not created.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The slug is in use.
    #[error("organization {0} already exists; nothing was changed")]
    Exists(Slug),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The built-in scopes are not valid.
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

/// Creates an organization that is ready for use.
pub async fn bootstrap_organization(
    store: &Store,
    gate: &Argon2Gate,
    keys: &MasterKeys,
    algorithm: Algorithm,
    (organization, email): (Slug, String),
    now: Timestamp,
) -> Result<BootstrappedOrganization, BootstrapError> {
    let email = email.to_lowercase();
    // 1. The signing key, active immediately.
    let signing_key = new_signing_key(keys, algorithm, &organization, now, now).await?;

    // 2. The owner.
    let (owner, password, phc) = first_owner(gate, &organization, &email, now).await?;

    // 3. The first key.
    let bounds = FirstKey { networks: Networks::all(), expires_at: None, created_by: "keyturn".into(), now };
    let (key, text) = first_key(keys, &organization, bounds)?;

    // 4. The write.
    let new = NewOrganization {
        organization: Organization::new(organization.clone(), now),
        algorithm,
        signing_key: Some(signing_key),
        owner: (owner, phc),
        key: Some(key),
    };
    let entry = AuditEntry::by_keyturn(now, action::ORGANIZATION_CREATE, &organization, None, Some(audit_value(&new)));
    match store.create_organization(&new, &entry).await {
        Ok(_) => Ok(BootstrappedOrganization { organization, email, password, key: text }),
        Err(WriteError::Refused(_)) => Err(BootstrapError::Exists(organization)),
        Err(WriteError::Store(error)) => Err(Unavailable::from(error).into()),
    }
}

/// Restrictions and origin of an organization's first key.
pub(super) struct FirstKey {
    pub(super) networks: Networks,
    pub(super) expires_at: Option<Timestamp>,
    /// As in the audit log.
    pub(super) created_by: String,
    pub(super) now: Timestamp,
}

/// Creates an organization's first key, with all scopes.
pub(super) fn first_key(
    keys: &MasterKeys,
    organization: &Slug,
    first: FirstKey,
) -> Result<(ApiKey, KeyText), BootstrapError> {
    let minted = mint(keys, KeyPrefix::default(), None).map_err(Unavailable::from)?;
    let key = ApiKey {
        id: minted.text.id(),
        organization: organization.clone(),
        prefix: minted.text.prefix().clone(),
        name: "first key".into(),
        description: "created with the organization; has all permissions".into(),
        metadata: Metadata::default(),
        owner: None,
        customer: None,
        profile: None,
        grants: Grants::of_default(ScopeSet::parse(FIRST_SCOPES)?),
        networks: first.networks,
        named_networks: Vec::new(),
        expires_at: first.expires_at,
        lifecycle: Lifecycle::Active,
        generation: 1,
        secret_version: 1,
        version: 1,
        secret: minted.verifier,
        previous: None,
        hint: minted.text.hint(),
        created_at: first.now,
        created_by: first.created_by,
        rotated_at: None,
        last_used_at: None,
        last_used_ip: None,
    };
    Ok((key, minted.text))
}

/// Returns the audit value of a new organization.
pub(super) fn audit_value(new: &NewOrganization) -> serde_json::Value {
    let (owner, _) = &new.owner;
    serde_json::json!({
        "name": new.organization.name,
        "policy": new.organization.policy,
        "owner": { "id": owner.id, "email": owner.email, "role": owner.role },
        "first_key": new.key.as_ref().map(|key| serde_json::json!({
            "id": key.id, "name": key.name, "scopes": key.grants.default_scopes(), "allowed_cidrs": key.networks,
        })),
        "signing_key": new.signing_key.as_ref().map(|key| serde_json::json!({
            "kid": key.kid, "algorithm": key.algorithm,
        })),
    })
}

/// Creates an organization's first owner. Returns the generated password and its PHC string.
pub(super) async fn first_owner(
    gate: &Argon2Gate,
    organization: &Slug,
    email: &str,
    now: Timestamp,
) -> Result<(Member, Zeroizing<String>, String), Unavailable> {
    let password = Zeroizing::new(random::identifier()?);
    let queue = QueueKey { lane: Lane::Management, share: vec![name(organization.as_str())] };
    let phc = gate.hash(queue, password.as_bytes()).await?;
    let owner = Member {
        id: MemberId(random::identifier()?),
        organization: organization.clone(),
        email: email.to_owned(),
        role: Role::Owner,
        created_at: now,
        version: 1,
        last_sign_in_at: None,
    };
    Ok((owner, password, phc))
}

/// Generates and encrypts a signing key. Runs on the blocking pool, because RSA takes long.
pub(super) async fn new_signing_key(
    keys: &MasterKeys,
    algorithm: Algorithm,
    organization: &Slug,
    now: Timestamp,
    active_from: Timestamp,
) -> Result<StoredSigningKey, BootstrapError> {
    let generated = tokio::task::spawn_blocking(move || KeyMaterial::generate(algorithm)).await;
    let material = generated.unwrap_or(Err(SigningError::Key("could not be generated"))).map_err(Unavailable::from)?;
    let sealed = sealing::seal(keys, &material.kid, &material.pkcs8)?;
    Ok(StoredSigningKey {
        kid: material.kid,
        organization: organization.clone(),
        algorithm: algorithm.as_str().to_owned(),
        sealed,
        created_at: now,
        active_from,
    })
}
