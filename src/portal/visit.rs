//! What a customer can do in the portal.

use std::fmt;

use crate::customers;
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::authority::ChangeContext;
use crate::domain::customer::Customer;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::page::Page;
use crate::domain::portal::{Capability, PortalSession};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
use crate::keys::{self, IdempotentRequest, NewKey, RotateKey};
use crate::members::SessionSecret;
use crate::node::{Node, Unavailable};
use crate::portal::error::PortalError;
use crate::portal::sessions::{self, digest};
use crate::store::KeyFilter;
use crate::usage::{self, Span, Usage};

/// A request in a valid session. Every function checks the session's capability, and reaches only keys of the session's customer.
pub struct PortalVisit {
    session: PortalSession,
    customer: Customer,
    address: ClientAddress,
    now: Timestamp,
}

impl fmt::Debug for PortalVisit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortalVisit({})", self.session.id)
    }
}

impl PortalVisit {
    /// Returns the visit of a session, if the session is valid. It is read from the database, like the states of its customer,
    /// its organization and its creator, which must still have the rights that bound the session.
    pub async fn resume(
        node: &Node,
        secret: &SessionSecret,
        address: ClientAddress,
        now: Timestamp,
    ) -> Result<Option<Self>, Unavailable> {
        let digest = digest(secret);
        let found = node.store.read_current(node.store.portal_session(&digest, now)).await?;
        let Some(session) = found else { return Ok(None) };
        let Some(session) = sessions::within_creator(node, session).await? else { return Ok(None) };
        match customers::find(node, &session.organization, &session.customer).await {
            Ok(customer) => Ok(Some(Self { session, customer, address, now })),
            Err(customers::CustomerError::Unavailable(cause)) => Err(cause),
            Err(_) => Ok(None),
        }
    }

    /// Ends the session of a secret, if it is a valid one of the organization.
    pub async fn end_replaced(
        node: &Node,
        organization: &Slug,
        secret: &SessionSecret,
        address: ClientAddress,
        now: Timestamp,
    ) -> Result<(), PortalError> {
        match Self::resume(node, secret, address, now).await? {
            Some(visit) if visit.session.organization == *organization => visit.end(node).await,
            _ => Ok(()),
        }
    }

    pub fn session(&self) -> &PortalSession {
        &self.session
    }

    pub fn customer(&self) -> &Customer {
        &self.customer
    }

    /// The time of the request.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether the code is the one that opened this session.
    pub async fn was_opened_with(&self, node: &Node, code: &SessionSecret) -> Result<bool, Unavailable> {
        Ok(node.store.is_code_of_portal_session(&self.session.id, &digest(code)).await?)
    }

    /// Returns a page of the customer's keys that match a filter, which is restricted to them.
    pub async fn keys(&self, node: &Node, filter: KeyFilter) -> Result<Page<ApiKey>, PortalError> {
        self.check(Capability::Read)?;
        let filter = KeyFilter { customer: Some(self.customer.id), ..filter };
        Ok(keys::list(node, filter).await?)
    }

    /// Returns one of the customer's keys.
    pub async fn key(&self, node: &Node, id: &KeyId) -> Result<ApiKey, PortalError> {
        self.check(Capability::Read)?;
        let key = keys::find(node, &self.session.organization, id).await?;
        match key.customer == Some(self.customer.id) {
            true => Ok(key),
            false => Err(PortalError::NotFound),
        }
    }

    /// Returns the use of all keys of the customer.
    pub async fn usage(&self, node: &Node, span: Span) -> Result<Usage, PortalError> {
        self.check(Capability::Read)?;
        Ok(usage::usage_of_customer(node, &self.customer.id, span).await?)
    }

    /// Returns the use of one of the customer's keys.
    pub async fn usage_of(&self, node: &Node, key: &ApiKey, span: Span) -> Result<Usage, PortalError> {
        let key = self.key(node, &key.id).await?;
        Ok(usage::usage_of_key(node, &self.session.organization, &key.id, span).await?.1)
    }

    /// Creates a key of the customer. Returns its secret, which is not available later.
    pub async fn create_key(
        &self,
        node: &Node,
        new: NewKey,
        once: &IdempotentRequest,
    ) -> Result<(ApiKey, KeyText), PortalError> {
        self.check(Capability::Create)?;
        if new.grants.is_absent() {
            // Such a key could get tokens of the default API, which the session need not grant.
            return Err(PortalError::Invalid(vec![Violation::new("scopes", "required")]));
        }
        let by = self.session.by_to_create(self.address, self.now);
        let new = NewKey { owner: Some(None), customer: Some(self.customer.id), ..new };
        Ok(keys::create(node, &self.session.organization, &by, new, Some(once)).await?)
    }

    /// Rotates one of the customer's keys. Returns its new secret.
    pub async fn rotate_key(
        &self,
        node: &Node,
        id: &KeyId,
        version: u64,
        rotation: RotateKey,
        once: &IdempotentRequest,
    ) -> Result<(ApiKey, KeyText), PortalError> {
        self.check(Capability::Rotate)?;
        let organization = &self.session.organization;
        // A rotation gives an expired key a new lifetime, as a new key would have.
        if keys::find(node, organization, id).await?.status(self.now) == Status::Expired {
            self.check(Capability::Create)?;
        }
        Ok(keys::rotate(node, organization, &self.by(), id, Some(version), rotation, Some(once)).await?)
    }

    /// Revokes one of the customer's keys, whatever others have changed meanwhile.
    pub async fn revoke_key(&self, node: &Node, id: &KeyId) -> Result<ApiKey, PortalError> {
        self.check(Capability::Revoke)?;
        let reason = Some("revoked by the customer".to_owned());
        Ok(keys::revoke(node, &self.session.organization, &self.by(), id, None, reason).await?)
    }

    /// Ends the session.
    pub async fn end(&self, node: &Node) -> Result<(), PortalError> {
        let session = &self.session;
        match sessions::end(node, &session.organization, &self.by(), &session.customer, &session.id).await {
            Err(PortalError::NotFound) => Ok(()),
            result => result,
        }
    }

    fn by(&self) -> ChangeContext {
        self.session.by(self.address, self.now)
    }

    fn check(&self, capability: Capability) -> Result<(), PortalError> {
        match self.session.capabilities.include(capability) {
            true => Ok(()),
            false => Err(PortalError::NotAllowed(capability)),
        }
    }
}
