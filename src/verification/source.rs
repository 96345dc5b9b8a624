//! What a verifier asks for beyond its memory.

use std::sync::Arc;

use crate::domain::api_key::ApiKey;
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::decision::{ClientAddress, SecretMatch};
use crate::domain::key_text::{KeyId, Secret};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::verification::{Tenant, Unavailable};

/// The source of records: the state after every change that was confirmed.
pub trait Records: Sync {
    /// Fails if the source is known to be unreachable. Called before a read without a lease.
    fn check_reachable(&self) -> Result<(), Unavailable>;

    /// Returns the record of a key.
    fn key(&self, id: &KeyId) -> impl Future<Output = Result<Option<ApiKey>, Unavailable>> + Send;

    /// Returns a customer. It is an error if there is none, because a key refers to it.
    fn customer(&self, id: &CustomerId) -> impl Future<Output = Result<Customer, Unavailable>> + Send;

    /// Returns an organization with its signing keys.
    fn tenant(&self, slug: &Slug) -> impl Future<Output = Result<Option<Arc<Tenant>>, Unavailable>> + Send;

    /// Returns the organization of a signing key.
    fn organization_of_signing_key(&self, kid: &str) -> impl Future<Output = Result<Option<Slug>, Unavailable>> + Send;

    /// Whether a token was revoked individually.
    fn is_token_revoked(&self, jti: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

/// A source that also compares secrets and stores uses.
pub trait Secrets: Records {
    /// Returns which of the key's secrets this is.
    fn check_secret(
        &self,
        key: &Arc<ApiKey>,
        secret: &Secret,
        address: ClientAddress,
        now: Timestamp,
    ) -> impl Future<Output = Result<SecretMatch, Unavailable>> + Send;

    /// Takes as long as the comparison with a key that exists.
    fn check_unknown(&self, id: &KeyId, secret: &Secret);

    /// Writes a use before the response if losing it would make the key look stale.
    fn keep_use(&self, key: &ApiKey, address: ClientAddress, now: Timestamp) -> impl Future<Output = ()> + Send;
}
