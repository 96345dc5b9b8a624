//! The state of a running node: the adapters and the organizations in memory, for the use cases.
//!
//! Imports the adapters; use cases import it.

mod changes;
mod denials;
mod events;
mod gateways;
mod load;
mod records;
mod settings;
mod uses;
mod verifiers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock::{self, BootTime};
use crate::crypto::argon2_gate::{Argon2Gate, Lane, QueueKey};
use crate::crypto::master_key::MasterKeys;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::hour_of;
use crate::limits::{NameLimit, levels, name};
use crate::revocation::{CLOCK_TOLERANCE, Cluster, LONGEST_LIFE, RedisList};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::verification::{Memory, Verifier};
use uses::RareUses;

pub use changes::{Affects, ChangeError};
pub use denials::{Denials, Denied};
pub use events::{EventCounts, RepeatedEvent};
pub use gateways::{GatewayWatch, ObservedRequest};
pub use settings::NodeSettings;
pub use uses::UNWRITTEN_SECONDS;

pub use crate::verification::{LoadError, Tenant, Unavailable};
use verifiers::PendingVerifiers;

/// How long shutdown waits for deferrable tasks.
const DEFERRABLE: Duration = Duration::from_secs(2);

/// Retention of the change log: longer than the lifetime of any token, because the list in Redis is written from it.
const CHANGE_LOG_SECONDS: i64 = 7200;

/// How long the response to a request with an `Idempotency-Key` can be repeated.
pub const RESPONSE_SECONDS: i64 = 86_400;
/// Retention of successful deliveries: a week.
const DELIVERED_SECONDS: i64 = 7 * 86_400;

/// How long after the end of an hour its repeated events are written to the audit log.
const HOUR_SETTLES_SECONDS: i64 = 60;

/// Retention of dead letters.
const DEAD_LETTER_SECONDS: i64 = 30 * 86_400;

pub struct Node {
    /// The authoritative data.
    pub store: Arc<Store>,
    /// The same store with a connection pool of its own, which requests cannot exhaust: for renewing the lease.
    pub steady_store: Arc<Store>,
    /// The state that decisions read.
    pub memory: Memory,
    /// The other nodes; `None` on SQLite.
    pub cluster: Option<Arc<Cluster>>,
    /// The revocation list in Redis, if configured.
    pub redis: Option<Arc<RedisList>>,
    /// Bounded Argon2 hashing.
    pub gate: Argon2Gate,
    /// Keys for secrets at rest.
    pub master_keys: MasterKeys,
    pub metrics: Metrics,
    rare_uses: Arc<RareUses>,
    /// Repeated security events that are not written yet.
    pub events: EventCounts,
    /// Denied requests that are not written yet.
    pub denials: Denials,
    /// Verification requests of gateways that somebody checks.
    pub gateways: GatewayWatch,
    pub settings: NodeSettings,
    changes: TaskTracker,
    /// Tasks for which shutdown waits only briefly.
    deferrable: TaskTracker,
    runtime: Handle,
    /// Keys whose new secrets wait for their Argon2id PHC string on this node.
    pub(crate) pending_verifiers: PendingVerifiers,
    revocations: NameLimit,
    /// Signing keys whose tokens have all expired by the wall clock, and when this process first noticed it.
    expired_signing_keys: Mutex<HashMap<String, BootTime>>,
    dummy_password: tokio::sync::OnceCell<String>,
}

/// The adapters of a node.
pub struct Adapters {
    pub store: Arc<Store>,
    /// The same store with a connection pool of its own.
    pub steady_store: Arc<Store>,
    /// The state that decisions read.
    pub memory: Memory,
    /// The other nodes; `None` on SQLite.
    pub cluster: Option<Arc<Cluster>>,
    /// The revocation list in Redis, if configured.
    pub redis: Option<Arc<RedisList>>,
    pub metrics: Metrics,
    pub gate: Argon2Gate,
    pub master_keys: MasterKeys,
    pub settings: NodeSettings,
    /// The runtime of changes, which is independent of requests.
    pub runtime: Handle,
}

impl Node {
    /// Creates a node without organizations in memory.
    pub fn new(adapters: Adapters) -> Self {
        Self {
            store: adapters.store,
            steady_store: adapters.steady_store,
            memory: adapters.memory,
            cluster: adapters.cluster,
            redis: adapters.redis,
            gate: adapters.gate,
            master_keys: adapters.master_keys,
            metrics: adapters.metrics,
            rare_uses: Arc::default(),
            events: EventCounts::default(),
            denials: Denials::default(),
            gateways: GatewayWatch::default(),
            revocations: NameLimit::per_minute(adapters.settings.revocations_per_minute),
            settings: adapters.settings,
            changes: TaskTracker::new(),
            deferrable: TaskTracker::new(),
            runtime: adapters.runtime,
            pending_verifiers: PendingVerifiers::default(),
            expired_signing_keys: Mutex::default(),
            dummy_password: tokio::sync::OnceCell::new(),
        }
    }

    /// Whether memory may be used for decisions.
    pub fn is_current(&self) -> bool {
        self.memory.is_current()
    }

    /// Returns the verifier of this node.
    pub fn verifier(&self) -> Verifier<'_, Self> {
        Verifier::new(&self.memory, self)
    }

    /// Spawns a task for which shutdown waits.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.changes.spawn_on(work.in_current_span(), &self.runtime));
    }

    /// Spawns a task that can also be done after the next start; shutdown waits only briefly for it.
    pub fn spawn_deferrable(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.deferrable.spawn_on(work, &self.runtime));
    }

    /// Waits for running changes. No more can start.
    pub async fn drain(&self) {
        self.changes.close();
        self.changes.wait().await;
        self.deferrable.close();
        let _ = tokio::time::timeout(DEFERRABLE, self.deferrable.wait()).await;
    }

    /// Counts a token revocation by a key. Over the limit, returns the seconds to wait.
    pub fn count_revocation(&self, key: &KeyId) -> Result<(), u64> {
        self.revocations.count(key.as_str())
    }

    /// Queue of an authenticated management request: one share per organization.
    pub fn management_queue(&self, organization: &Slug) -> QueueKey {
        QueueKey { lane: Lane::Management, share: vec![name(organization.as_str())] }
    }

    /// Queue of an unauthenticated check: one share per network, and within it per subject.
    pub fn unauthenticated_queue(&self, lane: Lane, address: ClientAddress, subject: &str) -> QueueKey {
        let share = levels(address).iter().map(name).chain([name(subject)]).collect();
        QueueKey { lane, share }
    }

    /// Returns the PHC string of an unknown password, for checks that must take as long as others.
    pub async fn dummy_password(&self) -> Result<&str, Unavailable> {
        let dummy = self.dummy_password.get_or_try_init(async || {
            let password = zeroize::Zeroizing::new(crate::crypto::random::identifier()?);
            let queue = QueueKey { lane: Lane::SignIn, share: Vec::new() };
            Ok::<_, Unavailable>(self.gate.hash(queue, password.as_bytes()).await?)
        });
        Ok(dummy.await?)
    }

    /// Returns the database's time if it is known, otherwise the local time. Used for decisions that affect all nodes.
    pub fn database_time(&self) -> Timestamp {
        let offset = self.cluster.as_ref().map_or(0, |cluster| cluster.clock_offset());
        clock::now().plus_millis(offset)
    }

    /// Updates the metrics of the database connection pool.
    pub fn observe_pool(&self) {
        if let Some(pool) = self.store.pool() {
            let database = self.metrics.database();
            database.connections(pool.idle, pool.used, pool.most);
            database.waits(pool.waits, pool.wait_nanos);
        }
    }

    /// Returns warnings for operators. None of them affects decisions.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.redis.as_ref().map(|redis| redis.warnings()).unwrap_or_default();
        warnings.extend(self.cluster.iter().flat_map(|cluster| cluster.disagreements()));
        let offset = self.cluster.as_ref().map_or(0, |cluster| cluster.clock_offset());
        if i128::from(offset).unsigned_abs() > CLOCK_TOLERANCE.as_millis() {
            let side = if offset > 0 { "behind" } else { "ahead of" };
            warnings.push(format!(
                "this node's clock is {}.{} s {side} the database's; tokens may be rejected as not yet valid, or be valid too \
                 long: synchronize the clocks (NTP)",
                offset.unsigned_abs() / 1000,
                offset.unsigned_abs() % 1000 / 100
            ));
        }
        for tenant in self.memory.tenants.all() {
            let slug = &tenant.organization.slug;
            let soon = clock::now().plus_seconds(60);
            let current = |algorithm| tenant.ring.current(soon, algorithm);
            for key in tenant.algorithms(soon).into_iter().filter_map(current).filter(|key| key.active_from() > soon) {
                warnings.push(format!(
                    "the current signing key of organization {slug} is not active before {}: this node's clock is behind, or \
                     a clock was ahead when the key was created; if the clocks are right now, rotate the signing key",
                    clock::rfc3339(key.active_from())
                ));
            }
        }
        warnings
    }

    /// Whether a signing key can be deleted because its tokens have expired. The wall clock alone is not enough: if it
    /// was ahead and is corrected, keys that are in use would be deleted. So the key must also have been expired for
    /// the longest lifetime of a token by a monotonic clock.
    pub fn can_delete_signing_key(&self, kid: &str, is_over: bool) -> bool {
        let mut expired_since = self.expired_signing_keys.lock();
        if !is_over {
            expired_since.remove(kid);
            return false;
        }
        let now = clock::boot();
        let since = *expired_since.entry(kid.to_owned()).or_insert(now);
        let can_delete = now.since(since) >= LONGEST_LIFE;
        if can_delete {
            expired_since.remove(kid);
        }
        can_delete
    }

    /// Deletes expired data.
    pub async fn delete_expired(&self) -> Result<(), StoreError> {
        let now = clock::now();
        self.metrics.records(self.memory.list.len());
        self.store.forget_revoked_tokens(&self.memory.list.forget_tokens(now, clock::boot())).await?;
        self.store.forget_sessions(now, now.plus_seconds(-self.settings.session_idle_seconds)).await?;
        self.store.forget_portal_sessions(now).await?;
        // The other nodes have written their counts of the hour by now.
        let closing = hour_of(now.plus_seconds(-HOUR_SETTLES_SECONDS));
        while self.store.close_event_hours(closing, now).await? > 0 {}
        self.prune_denials(now).await?;
        self.store.delete_responses(now.plus_seconds(-RESPONSE_SECONDS)).await?;
        let retention = (now.plus_seconds(-DELIVERED_SECONDS), now.plus_seconds(-DEAD_LETTER_SECONDS));
        self.store.forget_deliveries(retention, now).await?;
        self.store.prune_changes(now.plus_seconds(-CHANGE_LOG_SECONDS)).await
    }
}
