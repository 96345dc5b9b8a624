//! Making further organizations, and their first signing key.

use zeroize::Zeroizing;

use crate::domain::authority::By;
use crate::domain::member::is_email;
use crate::domain::organization::Organization;
use crate::domain::policy::{Policy, Violation};
use crate::domain::slug::Slug;
use crate::node::{Node, Unavailable};
use crate::organizations::founding::first_owner;
use crate::organizations::load::{LoadError, load_tenants};
use crate::organizations::signing_keys::{RotateError, rotate_signing_key};
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
    /// It is written, and memory could not be brought up to date.
    Load(LoadError),
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
        let wrong = Violation::new("owner_email", "a login like owner@example.org is expected");
        return Err(CreateError::Invalid(vec![wrong]));
    }
    let (owner, password, phc) = first_owner(&node.gate, &slug, &email, by.now).await?;

    // 2. The write.
    let organization =
        Organization { slug: slug.clone(), policy: Policy::default(), policy_version: 1, created_at: by.now };
    let founding = Founding { organization: organization.clone(), signing_key: None, owner: (owner, phc), key: None };
    let new = serde_json::json!({ "owner": email, "policy": organization.policy });
    let entry = AuditEntry::of(by, action::ORGANIZATION_CREATE, &slug, None, Some(new));
    let written = node.store.found(&founding, &entry).await?;
    let seq = written.map_err(|_| CreateError::Exists)?;

    // 3. Memory, here and everywhere.
    load_tenants(node).await.map_err(CreateError::Load)?;
    node.settle_tenants(seq).await;
    node.metrics.change(action::ORGANIZATION_CREATE);
    tracing::info!(action = action::ORGANIZATION_CREATE, organization = %slug, actor = by.actor, "organization made");
    Ok(Created { organization, email, password })
}

/// Makes an organization's first signing key, in use at once; `None` where it has one. Gives the key's id.
pub async fn bootstrap(node: &Node, by: &By, slug: &Slug) -> Result<Option<String>, RotateError> {
    let Some(tenant) = node.tenant(slug) else { return Ok(None) };
    if tenant.ring.newest().is_some() {
        return Ok(None);
    }
    let kid = rotate_signing_key(node, &tenant, node.settings.algorithm, 0, by).await?;
    Ok(Some(kid))
}
