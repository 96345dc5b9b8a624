//! What one running node holds: the adapters, and the organizations in memory. Use cases are handed it.
//!
//! Stands between the adapters, which it imports, and the use cases, which import it.

mod events;
mod load;
mod tenants;
mod uses;
mod verifiers;
mod view;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock::{self, BootTime};
use crate::crypto::argon2_gate::{Argon2Gate, GateError, Lane, Turn};
use crate::crypto::master_key::MasterKeys;
use crate::crypto::random::RandomError;
use crate::domain::api_key::ApiKey;
use crate::domain::claims::Claims;
use crate::domain::decision::ClientAddress;
use crate::domain::destination::Reach;
use crate::domain::key_text::KeyId;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Details, KeyUsage, hour_of};
use crate::limits::{NameLimit, levels, name};
use crate::revocation::{
    CLOCK_TOLERANCE, Cluster, LONGEST_LIFE, Lease, RedisFailure, RedisList, RevocationList, SharedSettings,
};
use crate::signing::{Algorithm, SigningError};
use crate::store::{AuditEntry, Notice, RevokedToken, Seq, Store, StoreError, action, kind};
use crate::telemetry::{Metrics, Usage};
use uses::RareUses;

pub use events::{EventCounts, RepeatedEvent};
pub use load::LoadError;
pub use tenants::{Tenant, Tenants};
pub use uses::UNWRITTEN_SECONDS;
use verifiers::PendingVerifiers;
pub use view::View;

/// How long a server that stops waits for what can be done later.
const DEFERRABLE: Duration = Duration::from_secs(2);

/// Counts of use that are written at once.
const COUNTS_AT_ONCE: usize = 5_000;

/// Addresses of one key and hour that are told of when its networks keep them out.
const KEPT_OUT_TOLD: u32 = 64;

/// For how long the log of changes is kept: longer than any token lives, for the list in Redis is written from it.
const CHANGES_KEPT_SECONDS: i64 = 7200;

/// For how long the answer to a request with an `Idempotency-Key` can be asked for again.
pub const ANSWERS_KEPT_SECONDS: i64 = 86_400;
/// For how long what webhooks have taken is kept: a week.
const DELIVERED_KEPT_SECONDS: i64 = 7 * 86_400;

/// How long after its end an hour's repeated events are summed up.
const HOUR_SETTLES_SECONDS: i64 = 60;

/// For how long dead letters are kept.
const DEAD_KEPT_SECONDS: i64 = 30 * 86_400;

/// A running node.
pub struct Node {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The same over connections that no crowd of requests uses up: for what a node needs to keep its lease.
    pub steady_store: Arc<dyn Store>,
    /// What is held of it in memory.
    pub list: Arc<RevocationList>,
    /// Until when that may be acted on.
    pub lease: Arc<Lease>,
    /// The other nodes, where there may be others.
    pub cluster: Option<Arc<Cluster>>,
    /// The list in Redis, if there is one.
    pub redis: Option<Arc<RedisList>>,
    /// Argon2, bounded.
    pub gate: Argon2Gate,
    /// What secrets at rest depend on.
    pub master_keys: MasterKeys,
    /// What is counted.
    pub metrics: Metrics,
    /// How often keys were used, until it is written.
    pub usage: Usage,
    rare_uses: Arc<RareUses>,
    /// Security events that were repeated, until they are written.
    pub events: EventCounts,
    /// How this node was set up.
    pub settings: NodeSettings,
    /// Tokens whose signature was checked, by digest.
    pub verified_tokens: Cache<[u8; 32], Arc<VerifiedToken>, TokenSize>,
    tenants: ArcSwap<Tenants>,
    changes: TaskTracker,
    /// Work that a server that stops waits for only briefly.
    deferrable: TaskTracker,
    runtime: Handle,
    /// Keys whose minted secrets wait for their Argon2id PHC string on this node.
    pub(crate) pending_verifiers: PendingVerifiers,
    revocations: NameLimit,
    /// How often an organization in memory was marked as stale.
    stale_marks: AtomicU64,
    /// Signing keys whose tokens have all expired by the wall clock, and since when this process has seen them so.
    expired_signing_keys: Mutex<HashMap<String, BootTime>>,
    dummy_password: tokio::sync::OnceCell<String>,
}

/// The settings that use cases go by.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Without trailing slash.
    pub public_url: String,
    /// The audience of a token when none is asked for.
    pub audience: String,
    /// Life of a token in seconds, where the organization has no other.
    pub ttl_seconds: u32,
    /// What new organizations sign with, and rotated keys.
    pub algorithm: Algorithm,
    /// The `typ` of tokens.
    pub typ: String,
    /// Days between rotations of signing keys; 0: on command only.
    pub rotate_every_days: u32,
    /// Seconds between publication and first use of a signing key.
    pub publish_ahead_seconds: u32,
    /// Life of a session, in seconds.
    pub session_seconds: i64,
    /// Seconds without use after which a session ends.
    pub session_idle_seconds: i64,
    /// Where webhooks may go.
    pub webhook_reach: Reach,
    /// Tokens that one key may revoke in a minute; 0 is no limit.
    pub revocations_per_minute: u32,
    /// Seconds from each attempt at a webhook that failed to the next.
    pub webhook_retry_seconds: Vec<u32>,
}

impl NodeSettings {
    /// What every node of a deployment must have alike: else tokens of one are not valid on another.
    pub fn shared(&self) -> SharedSettings {
        let settings = [
            ("server.public_url", self.public_url.clone()),
            ("token.audience", self.audience.clone()),
            ("token.ttl_seconds", self.ttl_seconds.to_string()),
            ("token.typ", self.typ.clone()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A token whose signature, issuer and form were checked once.
#[derive(Debug)]
pub struct VerifiedToken {
    /// What it says.
    pub claims: Claims,
    /// The key it was minted from.
    pub key: KeyId,
    /// What it carries.
    pub scopes: ScopeSet,
    /// The signing key that signed it: once that has left the ring, the token is worth nothing.
    pub kid: String,
    /// The organization that issued it.
    pub organization: Slug,
    /// The version of its key at which `scopes` were last found within the key's scopes; 0 if never.
    pub within_at: AtomicU64,
    /// Bytes of the token as it was presented.
    pub length: usize,
}

/// Bytes of a verified token beyond twice its length: its parts, and its share of the table.
const TOKEN_BYTES: u64 = 1024;

/// Weighs a verified token by the memory that it takes: its claims, and its scopes once more.
#[derive(Clone, Debug)]
pub struct TokenSize;

impl Weighter<[u8; 32], Arc<VerifiedToken>> for TokenSize {
    fn weight(&self, _: &[u8; 32], token: &Arc<VerifiedToken>) -> u64 {
        TOKEN_BYTES + 2 * token.length as u64
    }
}

/// Something that keeps a node from deciding. The caller is told to come back, never yes.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Too much is being hashed.
    #[error("too many secrets are being hashed")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Signing.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// Randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Hashing.
    #[error("{0}")]
    Hashing(GateError),
    /// An organization that has no key to sign with.
    #[error("organization {0} has no signing key in use")]
    NoSigningKey(Slug),
    /// An organization's signing keys cannot be read.
    #[error("an organization could not be loaded: {0}")]
    Organization(LoadError),
    /// Sealing.
    #[error("a value could not be sealed")]
    Sealing,
    /// Other changes of the same key came first each time.
    #[error("the key was changed at the same time by others each time; nothing was done")]
    Contended,
    /// The task that ran a change ended without a result.
    #[error("a change ended without a result; whether it was made must be looked up")]
    Lost,
}

impl From<LoadError> for Unavailable {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => Self::Store(error),
            unreadable @ (LoadError::Seal(..) | LoadError::Signing(_) | LoadError::Algorithm(_)) => {
                Self::Organization(unreadable)
            }
        }
    }
}

impl From<GateError> for Unavailable {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Busy => Self::Busy,
            broken @ GateError::Broken(_) => Self::Hashing(broken),
        }
    }
}

/// The adapters a node is made of.
pub struct Parts {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The same over connections of its own.
    pub steady_store: Arc<dyn Store>,
    /// What memory holds of it.
    pub list: Arc<RevocationList>,
    /// Until when that may be acted on.
    pub lease: Arc<Lease>,
    /// The other nodes, where there may be others.
    pub cluster: Option<Arc<Cluster>>,
    /// The list in Redis, if there is one.
    pub redis: Option<Arc<RedisList>>,
    /// What is counted.
    pub metrics: Metrics,
    /// Bytes for verified tokens.
    pub token_bytes: u64,
    /// Argon2.
    pub gate: Argon2Gate,
    /// The master keys.
    pub master_keys: MasterKeys,
    /// Settings.
    pub settings: NodeSettings,
    /// Where changes run, whatever becomes of the request that asked for them.
    pub runtime: Handle,
}

impl Node {
    /// A node with no organizations in memory yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            steady_store: parts.steady_store,
            list: parts.list,
            lease: parts.lease,
            cluster: parts.cluster,
            redis: parts.redis,
            gate: parts.gate,
            master_keys: parts.master_keys,
            metrics: parts.metrics,
            usage: Usage::default(),
            rare_uses: Arc::default(),
            events: EventCounts::default(),
            revocations: NameLimit::per_minute(parts.settings.revocations_per_minute),
            settings: parts.settings,
            verified_tokens: Cache::with_weighter(
                usize::try_from(parts.token_bytes / TOKEN_BYTES).unwrap_or(usize::MAX),
                parts.token_bytes,
                TokenSize,
            ),
            tenants: ArcSwap::default(),
            changes: TaskTracker::new(),
            deferrable: TaskTracker::new(),
            runtime: parts.runtime,
            pending_verifiers: PendingVerifiers::default(),
            stale_marks: AtomicU64::default(),
            expired_signing_keys: Mutex::default(),
            dummy_password: tokio::sync::OnceCell::new(),
        }
    }

    /// Whether memory may be acted on. To be asked before memory is looked at.
    pub fn is_current(&self) -> bool {
        self.lease.is_live(clock::boot())
    }

    /// A key's record as it is now: from memory under a live lease, else from the store.
    pub async fn record(&self, id: &KeyId) -> Result<Option<Arc<ApiKey>>, StoreError> {
        self.view().record(id).await
    }

    /// Without a lease a store that is known to be away is not waited for.
    fn may_ask_store(&self) -> Result<(), StoreError> {
        self.metrics.cluster().without_lease();
        match &self.cluster {
            Some(cluster) if cluster.is_cut_off() => Err(StoreError::Silent),
            _ => Ok(()),
        }
    }

    /// Runs a change to its end in a task of its own: a caller that goes away cannot cut it in half.
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

    /// Runs something that nobody waits for; a server that stops does.
    pub fn run_beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.changes.spawn_on(work.in_current_span(), &self.runtime));
    }

    /// Runs something that can be done at a later start as well: a server that stops waits for it only briefly.
    pub fn run_deferrable(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.deferrable.spawn_on(work, &self.runtime));
    }

    /// Waits for the changes under way, once no more can begin.
    pub async fn drain(&self) {
        self.changes.close();
        self.changes.wait().await;
        self.deferrable.close();
        let _ = tokio::time::timeout(DEFERRABLE, self.deferrable.wait()).await;
    }

    /// Drops what memory holds of a key that was changed, or may have been.
    pub fn forget_key(&self, key: &KeyId) {
        self.list.apply_key_change(key);
    }

    /// Drops what memory holds of every key.
    pub fn forget_all_keys(&self) {
        self.list.forget_records();
    }

    /// Makes a written change of a key effective on every node, before it is answered.
    pub async fn settle_key_change(&self, seq: Seq, changed: &ApiKey) {
        self.list.apply_key_change(&changed.id);
        self.spread(seq, async |redis| redis.put_key(changed).await).await;
    }

    /// Makes the written revocation of one token effective on every node, before it is answered.
    pub async fn settle_token_revocation(&self, seq: Seq, token: &RevokedToken) {
        self.list.apply_token_revocation(&token.jti, token.expires_at);
        self.spread(seq, async |redis| redis.put_token(token).await).await;
    }

    /// Makes a written change of an organization's policy, state or signing keys effective on every node, before it is
    /// answered. `written` is the outcome of the write; its COMMIT may have been made even if it failed.
    pub async fn settle_tenant<T>(
        &self,
        slug: &Slug,
        written: Result<T, StoreError>,
        seq_of: impl FnOnce(&T) -> Option<Seq>,
    ) -> Result<T, LoadError> {
        self.forget_tenant(slug);
        let written = written?;
        self.load_tenant(slug).await?;
        match seq_of(&written) {
            Some(seq) => self.spread(seq, async |_| Ok(())).await,
            // Nothing was written: the same change by somebody else must be effective before this one is answered.
            None => self.settle_written().await?,
        }
        Ok(written)
    }

    /// Waits until everything that is written by now is effective on every node.
    pub async fn settle_written(&self) -> Result<(), StoreError> {
        if self.cluster.is_some() {
            self.wait_for_others(self.store.last_seq().await?).await;
        }
        Ok(())
    }

    /// Returns when all that is written of a key by now is effective on every node, this one too: a request that finds
    /// its change made by another must not be answered before that one is.
    pub async fn settle_what_is_written(&self, key: &KeyId) -> Result<(), StoreError> {
        self.forget_key(key);
        self.settle_written().await
    }

    /// Tells the others of a change, puts it on the list in Redis, and returns when all have followed. Redis need not
    /// hear of it.
    async fn spread(&self, seq: Seq, put: impl AsyncFnOnce(&RedisList) -> Result<(), RedisFailure>) {
        let telling = async {
            let Some(redis) = &self.redis else { return };
            let nudged = redis.nudge(seq).await;
            if let Err(error) = put(redis).await.and(nudged) {
                tracing::debug!(%error, "Redis was not told of a change; the list is written anew when it is back");
            }
        };
        tokio::join!(telling, self.wait_for_others(seq));
    }

    async fn wait_for_others(&self, seq: Seq) {
        if let Some(cluster) = &self.cluster {
            cluster.settle(seq).await;
        }
    }

    /// Counts a token that a key revokes. If there were too many, returns after how many seconds to come back.
    pub fn count_revocation(&self, key: &KeyId) -> Result<(), u64> {
        self.revocations.count(key.as_str())
    }

    /// The turn of an authenticated management request: every organization has a share.
    pub fn management_turn(&self, organization: &Slug) -> Turn {
        Turn { lane: Lane::Management, share: vec![name(organization.as_str())] }
    }

    /// The turn of a check whose caller has proved nothing: every network has a share, and in it every subject.
    pub fn stranger_turn(&self, lane: Lane, address: ClientAddress, subject: &str) -> Turn {
        let share = levels(address).iter().map(name).chain([name(subject)]).collect();
        Turn { lane, share }
    }

    /// The PHC string of a password that nobody has: checking against it takes as long as against any other.
    pub async fn dummy_password(&self) -> Result<&str, Unavailable> {
        let made = self.dummy_password.get_or_try_init(async || {
            let password = zeroize::Zeroizing::new(crate::crypto::random::identifier()?);
            let turn = Turn { lane: Lane::SignIn, share: Vec::new() };
            Ok::<_, Unavailable>(self.gate.hash(turn, password.as_bytes()).await?)
        });
        Ok(made.await?)
    }

    /// Writes what was counted of the use of keys. What cannot be written is kept for the next time.
    pub async fn write_usage(&self) -> Result<(), StoreError> {
        let mut batch = self.usage.take();
        while !batch.is_empty() {
            // Small enough that a change does not wait long behind it, and for one statement.
            let mut counts = 0;
            let fits = batch.iter().take_while(|usage| {
                counts += usage.counts.len();
                counts <= COUNTS_AT_ONCE
            });
            let rest = batch.split_off(fits.count().clamp(1, 500));
            if let Err(error) = self.store.add_usage(&batch).await {
                self.usage.give_back(batch);
                self.usage.give_back(rest);
                return Err(error);
            }
            // The counts are written: what is given back from here on is the details alone.
            batch.retain_mut(|usage| {
                usage.counts.clear();
                !usage.details.is_empty()
            });
            if let Err(error) = self.store.add_details(&batch).await {
                self.usage.give_back(batch);
                self.usage.give_back(rest);
                return Err(error);
            }
            batch.retain_mut(|usage| {
                usage.details = Details { denied: std::mem::take(&mut usage.details.denied), ..Details::default() };
                !usage.details.denied.is_empty()
            });
            if let Err(error) = self.tell_kept_out(&batch).await {
                self.usage.give_back(batch);
                self.usage.give_back(rest);
                return Err(error);
            }
            batch = rest;
        }
        Ok(())
    }

    /// Tells of keys that were kept out by their networks: once for each address and hour.
    async fn tell_kept_out(&self, batch: &[KeyUsage]) -> Result<(), StoreError> {
        for usage in batch {
            for (address, seen) in &usage.details.denied {
                let hour = hour_of(seen.at);
                let notice = Notice {
                    key: usage.key,
                    kind: kind::NETWORK,
                    period: hour,
                    detail: address.to_string(),
                    most: KEPT_OUT_TOLD,
                };
                let entry = AuditEntry {
                    at: seen.at,
                    actor: "keyturn".into(),
                    address: Some(address.to_string()),
                    action: action::KEY_DENIED_BY_NETWORK,
                    subject: usage.key.to_string(),
                    old: None,
                    new: Some(serde_json::json!({
                        "address": address,
                        "hour": clock::rfc3339(Timestamp::from_seconds(hour.saturating_mul(3600))),
                    })),
                    standing: None,
                };
                self.store.tell(&notice, seen.at, &entry).await?;
            }
        }
        Ok(())
    }

    /// The database's clock as far as it is known, else this machine's: what is decided for every node goes by it.
    pub fn database_time(&self) -> Timestamp {
        let offset = self.cluster.as_ref().map_or(0, |cluster| cluster.clock_offset());
        clock::now().plus_millis(offset)
    }

    /// Notes what the pool of connections to the database says of itself, for metrics.
    pub fn observe_pool(&self) {
        if let Some(pool) = self.store.pool() {
            let database = self.metrics.database();
            database.connections(pool.idle, pool.used, pool.most);
            database.waits(pool.waits, pool.wait_nanos);
        }
    }

    /// What an operator should know and do something about, though decisions are right all the same.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.redis.as_ref().map(|redis| redis.complaints()).unwrap_or_default();
        warnings.extend(self.cluster.iter().flat_map(|cluster| cluster.disagreements()));
        let offset = self.cluster.as_ref().map_or(0, |cluster| cluster.clock_offset());
        if i128::from(offset).unsigned_abs() > CLOCK_TOLERANCE.as_millis() {
            let side = if offset > 0 { "behind" } else { "ahead of" };
            warnings.push(format!(
                "this node's clock is {}.{} s {side} the database's; tokens may be refused as not yet valid, or live too \
                 long: synchronize the clocks (NTP)",
                offset.unsigned_abs() / 1000,
                offset.unsigned_abs() % 1000 / 100
            ));
        }
        for tenant in self.tenants() {
            let slug = &tenant.organization.slug;
            let soon = clock::now().plus_seconds(60);
            if let Some((key, _)) = tenant.ring.current(soon).filter(|(key, _)| key.active_from() > soon) {
                warnings.push(format!(
                    "the signing key in use of organization {slug} was to sign from {} on: this node's clock is behind, or \
                     a clock was ahead when the key was created; if the clocks are right now, rotate the signing key",
                    clock::rfc3339(key.active_from())
                ));
            }
        }
        warnings
    }

    /// Whether a signing key may be deleted because its tokens have expired. The wall clock alone does not decide: one
    /// that was ahead and is corrected would have deleted keys that are in use. So the key must have been expired for as
    /// long as any token lives by a clock that only runs forward.
    pub fn may_forget_signing_key(&self, kid: &str, is_over: bool) -> bool {
        let mut seen = self.expired_signing_keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_over {
            seen.remove(kid);
            return false;
        }
        let now = clock::boot();
        let since = *seen.entry(kid.to_owned()).or_insert(now);
        let may = now.since(since) >= LONGEST_LIFE;
        if may {
            seen.remove(kid);
        }
        may
    }

    /// Forgets what has ended by itself.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let now = clock::now();
        self.metrics.records(self.list.len());
        self.store.forget_revoked_tokens(&self.list.forget_tokens(now, clock::boot())).await?;
        self.store.forget_sessions(now, now.plus_seconds(-self.settings.session_idle_seconds)).await?;
        // The other nodes have written what they counted in the hour.
        let closing = hour_of(now.plus_seconds(-HOUR_SETTLES_SECONDS));
        while self.store.close_event_hours(closing, now).await? > 0 {}
        self.store.forget_answers(now.plus_seconds(-ANSWERS_KEPT_SECONDS)).await?;
        let kept = (now.plus_seconds(-DELIVERED_KEPT_SECONDS), now.plus_seconds(-DEAD_KEPT_SECONDS));
        self.store.forget_deliveries(kept, now).await?;
        self.store.shorten(now.plus_seconds(-CHANGES_KEPT_SECONDS)).await
    }
}
