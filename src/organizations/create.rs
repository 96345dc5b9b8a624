//! Making further organizations, and their first signing key.

use zeroize::Zeroizing;

use crate::domain::authority::By;
use crate::domain::member::is_email;
use crate::domain::organization::Organization;
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::node::{Node, Unavailable};
use crate::organizations::founding::first_owner;
use crate::organizations::signing_keys::{RotateError, SigningKeyRotation, rotate_signing_key};
use crate::store::{AuditEntry, Founding, action};

/// A new organization and its owner's credentials, which are shown once.
pub struct Created {
    /// The organization. It has no signing key yet.
    pub organization: Organization,
    /// Its owner's login.
    pub email: String,
    /// Its owner's password.
    pub password: Zeroizing<String>,
}

/// Why an organization was not made.
#[derive(Debug)]
pub enum CreateError {
    /// Fields that are not as they should be.
    Invalid(Vec<Violation>),
    /// There is one of that slug.
    Exists,
    /// It could not be done now.
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for CreateError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Makes an organization with an owner, the default policy, and nothing to sign with until it is bootstrapped.
pub async fn create(node: &Node, by: &By, slug: Slug, owner_email: &str) -> Result<Created, CreateError> {
    // 1. Its owner.
    let email = owner_email.to_lowercase();
    if !is_email(&email) {
        let wrong = Violation::new("owner_email", "must be an email address");
        return Err(CreateError::Invalid(vec![wrong]));
    }
    let (owner, password, phc) = first_owner(&node.gate, &slug, &email, by.now).await?;

    // 2. The write.
    let organization = Organization::new(slug.clone(), by.now);
    let founding = Founding { organization: organization.clone(), signing_key: None, owner: (owner, phc), key: None };
    let new = serde_json::json!({ "owner": email, "policy": organization.policy });
    let entry = AuditEntry::of(by, action::ORGANIZATION_CREATE, &slug, None, Some(new));
    let written = node.store.found(&founding, &entry).await;

    // 3. Memory, here and everywhere.
    node.settle_tenant(&slug, written, |made| made.ok()).await?.map_err(|_| CreateError::Exists)?;
    node.metrics.change(action::ORGANIZATION_CREATE);
    tracing::info!(action = action::ORGANIZATION_CREATE, organization = %slug, actor = by.actor, "organization made");
    Ok(Created { organization, email, password })
}

/// Makes an organization's first signing key, in use at once; `None` where it has one. Gives the key's id.
pub async fn bootstrap(node: &Node, by: &By, slug: &Slug) -> Result<Option<String>, RotateError> {
    let Some(tenant) = node.current_tenant(slug).await? else { return Ok(None) };
    if tenant.ring.newest().is_some() {
        return Ok(None);
    }
    let rotation = SigningKeyRotation { algorithm: node.settings.algorithm, ahead_seconds: 0, retire_now: false };
    Ok(Some(rotate_signing_key(node, slug, rotation, by).await?))
}
