//! What one running node holds: the adapters, and the organizations in memory. Use cases are handed it.
//!
//! Stands between the adapters, which it imports, and the use cases, which import it.

mod changes;
mod events;
mod load;
mod settings;
mod tenants;
mod unavailable;
mod uses;
mod verified_token;
mod verifiers;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock::{self, BootTime};
use crate::crypto::argon2_gate::{Argon2Gate, Lane, Turn};
use crate::crypto::master_key::MasterKeys;
use crate::domain::api_key::ApiKey;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::hour_of;
use crate::limits::{NameLimit, levels, name};
use crate::revocation::{CLOCK_TOLERANCE, Cluster, LONGEST_LIFE, Lease, RedisList, RevocationList};
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, Usage};
use uses::RareUses;

pub use changes::{Affects, ChangeError};
pub use events::{EventCounts, RepeatedEvent};
pub use load::LoadError;
pub use settings::NodeSettings;
pub use tenants::{Tenant, Tenants};
pub use unavailable::Unavailable;
pub use uses::UNWRITTEN_SECONDS;
use verified_token::TOKEN_BYTES;
pub use verified_token::{TokenSize, VerifiedToken};
use verifiers::PendingVerifiers;
pub use view::View;

/// How long a server that stops waits for what can be done later.
const DEFERRABLE: Duration = Duration::from_secs(2);

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
    pub store: Arc<Store>,
    /// The same over connections that no crowd of requests uses up: for what a node needs to keep its lease.
    pub steady_store: Arc<Store>,
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

/// The adapters a node is made of.
pub struct Parts {
    /// The store.
    pub store: Arc<Store>,
    /// The same over connections of its own.
    pub steady_store: Arc<Store>,
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
        let mut seen = self.expired_signing_keys.lock();
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
