//! The only way to change what decisions read: write it, invalidate memory, make it effective on every node, count it and log
//! it. Sessions begin and end without it, and notices are recorded without it: no node holds them in memory.

use std::future::Future;

use tracing::Instrument as _;

use crate::domain::api_key::ApiKey;
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::node::Node;
use crate::revocation::{RedisFailure, RedisList};
use crate::store::{AuditEntry, Refused, RevokedToken, Seq, StoreError, WriteError};
use crate::verification::{LoadError, Unavailable};

/// Records in memory that a change affects.
#[derive(Clone, Copy, Debug)]
pub enum Affects<'a> {
    /// None: the records are always read from the store.
    Nothing,
    /// A new key. No rights are removed, so nodes that cached its absence may apply the change later.
    NewKey(&'a KeyId),
    Key(&'a ApiKey),
    Customer(&'a Customer),
    /// The keys that the write returns.
    WrittenKeys,
    /// A single token.
    Token(&'a RevokedToken),
    /// An organization's policy, state or signing keys.
    Organization(&'a Slug),
}

/// Result of a write.
pub trait Written {
    /// Number of the change. `None` if nothing was written because the record is already in that state, or if nodes do
    /// not follow changes of this kind.
    fn seq(&self) -> Option<Seq>;

    /// Whether something was written.
    fn is_written(&self) -> bool {
        true
    }

    /// Changed keys, for [`Affects::WrittenKeys`].
    fn keys(&self) -> &[ApiKey] {
        &[]
    }
}

impl Written for () {
    fn seq(&self) -> Option<Seq> {
        None
    }
}

impl Written for Seq {
    fn seq(&self) -> Option<Seq> {
        Some(*self)
    }
}

impl Written for Option<Seq> {
    fn seq(&self) -> Option<Seq> {
        *self
    }

    fn is_written(&self) -> bool {
        self.is_some()
    }
}

impl Written for (Seq, Vec<ApiKey>) {
    fn seq(&self) -> Option<Seq> {
        Some(self.0)
    }

    fn keys(&self) -> &[ApiKey] {
        &self.1
    }
}

/// Reason why a change was not made.
#[derive(Debug)]
pub enum ChangeError {
    /// A rule of the store does not allow it.
    Refused(Refused),
    /// The store failed, or the outcome is unknown.
    Unavailable(Unavailable),
}

impl From<WriteError> for ChangeError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refused) => Self::Refused(refused),
            WriteError::Store(error) => Self::Unavailable(error.into()),
        }
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl From<LoadError> for ChangeError {
    fn from(error: LoadError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Node {
    /// Makes the change that `write` writes with its audit `entry`. It is effective on every node when this returns, except a
    /// new key: a node that does not know a key reads it from the database.
    ///
    /// A write that fails may have been committed, so memory is invalidated in any case.
    pub async fn change<T: Written>(
        &self,
        entry: &AuditEntry,
        affects: Affects<'_>,
        write: impl Future<Output = Result<T, impl Into<ChangeError>>>,
    ) -> Result<T, ChangeError> {
        // 1. The write, then memory.
        let written = write.await.map_err(Into::into);
        self.drop_affected(affects, matches!(written, Err(ChangeError::Unavailable(_))));

        // 2. All nodes.
        if let (Affects::Organization(slug), Ok(_) | Err(ChangeError::Refused(_))) = (affects, &written) {
            self.load_tenant(slug).await?;
        }
        match (affects, written.as_ref().map(Written::seq)) {
            (Affects::Organization(_), Err(ChangeError::Refused(_))) => self.settle_written().await?,
            (_, Err(_)) | (Affects::Nothing | Affects::NewKey(_), Ok(_)) => {}
            (Affects::Key(key), Ok(Some(seq))) => self.settle_key_change(seq, key).await,
            (Affects::Customer(customer), Ok(Some(seq))) => self.settle_customer_change(seq, customer).await,
            (Affects::WrittenKeys, Ok(Some(seq))) => {
                let keys = written.as_ref().map(Written::keys).unwrap_or_default();
                keys.iter().for_each(|key| self.forget_key(&key.id));
                // The number of the last change covers all of them.
                for key in keys {
                    self.settle_key_change(seq, key).await;
                }
            }
            (Affects::Token(token), Ok(Some(seq))) => {
                self.settle(seq, async |redis| redis.record_token(token).await).await;
            }
            (Affects::Organization(_), Ok(Some(seq))) => self.settle(seq, async |_| Ok(())).await,
            // Nothing was written, but a concurrent identical change must be effective before the response.
            (_, Ok(None)) => self.settle_written().await?,
        }
        let written = written?;

        // 3. The counter and the log.
        if written.is_written() {
            self.metrics.change(entry.action);
            let AuditEntry { action, actor, subject, .. } = entry;
            tracing::info!(action, subject, actor, "change made");
        }
        Ok(written)
    }

    fn drop_affected(&self, affects: Affects<'_>, is_unknown: bool) {
        match affects {
            Affects::Nothing => {}
            Affects::NewKey(id) => self.forget_key(id),
            Affects::Key(key) => self.forget_key(&key.id),
            Affects::Customer(customer) => self.forget_customer(&customer.id),
            // The affected keys are unknown.
            Affects::WrittenKeys if is_unknown => self.forget_all_keys(),
            Affects::WrittenKeys => {}
            Affects::Token(token) => self.memory.list.apply_token_revocation(&token.jti, token.expires_at),
            Affects::Organization(slug) => self.memory.tenants.forget(slug),
        }
    }

    /// Runs a change in a task of its own, so that a client that disconnects cannot interrupt it.
    pub async fn run_to_end<T, E>(&self, change: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unavailable> + Send + 'static,
    {
        match self.changes.spawn_on(change.in_current_span(), &self.runtime).await {
            Ok(result) => result,
            Err(_) => Err(Unavailable::Lost.into()),
        }
    }

    /// Drops the cached record of a key that was or may have been changed.
    pub fn forget_key(&self, key: &KeyId) {
        self.memory.list.apply_key_change(key);
    }

    /// Drops a cached customer that was or may have been changed.
    pub fn forget_customer(&self, id: &CustomerId) {
        self.memory.list.apply_customer_change(id);
    }

    /// Drops the cached records of all keys and customers.
    pub fn forget_all_keys(&self) {
        self.memory.list.forget_records();
    }

    async fn settle_key_change(&self, seq: Seq, changed: &ApiKey) {
        self.memory.list.apply_key_change(&changed.id);
        self.settle(seq, async |redis| redis.record_key(changed).await).await;
    }

    async fn settle_customer_change(&self, seq: Seq, changed: &Customer) {
        self.forget_customer(&changed.id);
        self.settle(seq, async |redis| redis.record_customer(changed).await).await;
    }

    /// Waits until the stored state of an organization is effective on every node.
    pub async fn settle_organization(&self, slug: &Slug) -> Result<(), LoadError> {
        self.memory.tenants.forget(slug);
        self.load_tenant(slug).await?;
        self.settle_written().await?;
        Ok(())
    }

    /// Waits until all changes that are written now are effective on every node.
    pub async fn settle_written(&self) -> Result<(), StoreError> {
        if self.cluster.is_some() {
            self.wait_for_others(self.store.last_seq().await?).await;
        }
        Ok(())
    }

    /// Waits until all changes of a key that are written now are effective on every node, including this one. A request
    /// whose change was already made by another must not be confirmed earlier.
    pub async fn settle_key(&self, key: &KeyId) -> Result<(), StoreError> {
        self.forget_key(key);
        self.settle_written().await
    }

    /// Waits until all changes of a customer that are written now are effective on every node, including this one.
    pub async fn settle_customer(&self, id: &CustomerId) -> Result<(), StoreError> {
        self.forget_customer(id);
        self.settle_written().await
    }

    /// Notifies the other nodes of a change, adds it to the revocation list in Redis, and waits until every node has
    /// applied it. Works without Redis.
    async fn settle(&self, seq: Seq, record: impl AsyncFnOnce(&RedisList) -> Result<(), RedisFailure>) {
        let notify = async {
            let Some(redis) = &self.redis else { return };
            let nudged = redis.nudge(seq).await;
            if let Err(error) = record(redis).await.and(nudged) {
                tracing::debug!(%error, "failed to write a change to Redis");
            }
        };
        tokio::join!(notify, self.wait_for_others(seq));
    }

    async fn wait_for_others(&self, seq: Seq) {
        if let Some(cluster) = &self.cluster {
            cluster.settle(seq).await;
        }
    }
}

impl From<ChangeError> for Unavailable {
    /// For changes that no rule can reject.
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unavailable(cause) => cause,
            ChangeError::Refused(_) => Self::Lost,
        }
    }
}
