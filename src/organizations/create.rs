//! Creates further organizations, and their first signing key.

use zeroize::Zeroizing;

use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyText;
use crate::domain::member::is_email;
use crate::domain::organization::Organization;
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

/// Creates an organization with an owner and the default policy. Without an API key it also has no signing key until it
/// is bootstrapped. With one it is ready for use; the key has the networks and the expiry of the caller.
pub async fn create(
    node: &Node,
    by: &ChangeContext,
    slug: Slug,
    owner_email: &str,
    with_key: bool,
) -> Result<Created, CreateError> {
    // 1. The owner.
    let email = owner_email.to_lowercase();
    if !is_email(&email) {
        let violation = Violation::new("owner_email", "must be an email address");
        return Err(CreateError::Invalid(vec![violation]));
    }
    let (owner, password, phc) = first_owner(&node.gate, &slug, &email, by.now).await?;

    // 2. The first API key, and a signing key.
    let (mut signing_key, mut first) = (None, None);
    if with_key {
        let algorithm = node.settings.algorithm;
        signing_key = Some(new_signing_key(&node.master_keys, algorithm, &slug, by.now, by.now).await?);
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
    let organization = Organization::new(slug.clone(), by.now);
    let new = NewOrganization { organization: organization.clone(), signing_key, owner: (owner, phc), key };
    let entry = AuditEntry::of(by, action::ORGANIZATION_CREATE, &slug, None, Some(audit_value(&new)));
    match node.change(&entry, Affects::Organization(&slug), node.store.create_organization(&new, &entry)).await {
        Ok(_) => Ok(Created { organization, email, password, key: text }),
        Err(ChangeError::Refused(_)) => Err(CreateError::Exists),
        Err(ChangeError::Unavailable(cause)) => Err(cause.into()),
    }
}

/// Creates an organization's first signing key, active immediately, and returns its ID. Returns `None` if the
/// organization has one.
pub async fn bootstrap(node: &Node, by: &ChangeContext, slug: &Slug) -> Result<Option<String>, RotateError> {
    let Some(tenant) = node.current_tenant(slug).await? else { return Ok(None) };
    if tenant.ring.newest().is_some() {
        return Ok(None);
    }
    let rotation = SigningKeyRotation { algorithm: node.settings.algorithm, ahead_seconds: 0, retire_now: false };
    Ok(Some(rotate_signing_key(node, slug, rotation, by).await?))
}
