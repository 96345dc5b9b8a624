//! Creates further organizations, and their first signing key.

use zeroize::Zeroizing;

use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyText;
use crate::domain::member::is_email;
use crate::domain::organization::{Organization, name_error};
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::node::{Affects, ChangeError, Node, Unavailable};
use crate::organizations::bootstrap::{BootstrapError, FirstKey, audit_value, first_key, first_owner, new_signing_key};
use crate::organizations::signing_keys::{RotateError, SigningKeyRotation, rotate_signing_key};
use crate::store::{AuditEntry, NewOrganization, action};

/// A new organization and its credentials, which are shown once.
pub struct Created {
    pub organization: Organization,
    pub email: String,
    pub password: Zeroizing<String>,
    /// Secret of its first API key, if one was created.
    pub key: Option<KeyText>,
}

/// Reason why an organization was not created.
#[derive(Debug)]
pub enum CreateError {
    Invalid(Vec<Violation>),
    /// The slug is in use.
    Exists,
    Unavailable(Unavailable),
}

impl From<BootstrapError> for CreateError {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Exists(_) => Self::Exists,
            BootstrapError::Unavailable(cause) => Self::Unavailable(cause),
            BootstrapError::Seal(_) => Self::Unavailable(Unavailable::Sealing),
            BootstrapError::Scope(cause) => Self::Invalid(vec![Violation::new("api_key", cause.to_string())]),
        }
    }
}

impl<E: Into<Unavailable>> From<E> for CreateError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Fields of a new organization.
pub struct Creation<'a> {
    pub slug: Slug,
    /// The display name; the slug if there is none.
    pub name: Option<&'a str>,
    pub owner_email: &'a str,
    /// Whether to create a first API key. It has the networks and the expiry of the caller.
    pub with_key: bool,
}

/// Creates an organization with an owner, a signing key and the default policy. It is ready for use.
pub async fn create(node: &Node, by: &ChangeContext, creation: Creation<'_>) -> Result<Created, CreateError> {
    // 1. The fields and the owner.
    let Creation { slug, name, owner_email, with_key } = creation;
    let email = owner_email.to_lowercase();
    let mut violations = Vec::new();
    violations.extend(name.and_then(name_error).map(|fault| Violation::new("name", fault)));
    if !is_email(&email) {
        violations.push(Violation::new("owner_email", "must be an email address"));
    }
    if !violations.is_empty() {
        return Err(CreateError::Invalid(violations));
    }
    let (owner, password, phc) = first_owner(&node.gate, &slug, &email, by.now).await?;

    // 2. The signing key, and the first API key.
    let algorithm = node.settings.algorithm;
    let signing_key = Some(new_signing_key(&node.master_keys, algorithm, &slug, by.now, by.now).await?);
    let mut first = None;
    if with_key {
        let bounds = FirstKey {
            networks: by.authority.networks.clone(),
            expires_at: by.authority.not_after,
            created_by: by.actor.clone(),
            now: by.now,
        };
        first = Some(first_key(&node.master_keys, &slug, bounds)?);
    }
    let (key, text) = first.unzip();

    // 3. The write.
    let mut organization = Organization::new(slug.clone(), by.now);
    if let Some(name) = name {
        name.clone_into(&mut organization.name);
    }
    let new = NewOrganization { organization: organization.clone(), algorithm, signing_key, owner: (owner, phc), key };
    let entry = AuditEntry::of(by, action::ORGANIZATION_CREATE, &slug, None, Some(audit_value(&new)));
    match node.change(&entry, Affects::Organization(&slug), node.store.create_organization(&new, &entry)).await {
        Ok(_) => Ok(Created { organization, email, password, key: text }),
        Err(ChangeError::Refused(_)) => Err(CreateError::Exists),
        Err(ChangeError::Unavailable(cause)) => Err(cause.into()),
    }
}

/// Creates the signing key of an organization without one, active immediately, and returns its ID. Returns `None` if the
/// organization has one.
pub async fn bootstrap(node: &Node, by: &ChangeContext, slug: &Slug) -> Result<Option<String>, RotateError> {
    let Some(tenant) = node.current_tenant(slug).await? else { return Ok(None) };
    if !tenant.ring.is_empty() {
        return Ok(None);
    }
    let rotation = SigningKeyRotation { algorithm: None, ahead_seconds: 0, retire_now: false };
    Ok(Some(rotate_signing_key(node, slug, rotation, by).await?))
}
