//! Redis: notifications between nodes, and a revocation list that gateways can read.
//!
//! Decisions do not depend on it. Every call has a short time limit, and fails immediately while Redis is known to be
//! unavailable.

mod connection;
mod login;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue, cmd};
use tokio::sync::Notify;

pub use connection::RedisUrlError;

use crate::clock;
use crate::crypto::messages::MessageKeys;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::key_text::KeyId;
use crate::revocation::redis::connection::Redis;
use crate::revocation::redis::login::{Login, is_login_refused};
use crate::store::{NodeId, RevokedToken, Seq, Store, StoreError, UrlSource};
use crate::telemetry::ClusterMetrics;

/// Time limit of one call.
const TIMEOUT: Duration = Duration::from_millis(250);

/// Pause after a failed call.
const PAUSE: Duration = Duration::from_millis(500);

/// How long an entry matters to gateways: the longest token lifetime plus a minute.
const LIST_SECONDS: i64 = 3660;

/// Maximum number of rounds to write changes that were made during a rewrite.
const REWRITE_ROUNDS: usize = 10;

/// Prefix of the names of keys' entries.
const KEY_ENTRY: &str = "revoked:key:";

/// Prefix of the names of customers' entries.
const CUSTOMER_ENTRY: &str = "revoked:customer:";

/// Value of the entry of a key or a customer if no generation is valid.
const NO_GENERATION: &str = "-";

/// Heartbeat message on the channel.
const ALIVE: &str = "alive";

/// Expiry of a node's report.
const REPORT_SECONDS: i64 = 60;

/// The revocation list in Redis, and the messages and reports of nodes.
pub struct RedisList {
    login: Login,
    prefix: String,
    /// Name of this deployment; data of others is left alone.
    deployment: String,
    /// Authenticates messages of nodes, because others may be able to write to Redis.
    keys: MessageKeys,
    /// Last change that this node has applied; notifications of earlier ones are ignored.
    applied: AtomicU64,
    store: Arc<Store>,
    nudged: Arc<Notify>,
    metrics: ClusterMetrics,
    /// No calls before this time.
    paused_until: AtomicU64,
    /// A change could not be written to the list.
    is_behind: AtomicBool,
    condition: Mutex<Condition>,
}

/// Result of the last check of Redis.
#[derive(Clone, Default, Debug)]
struct Condition {
    /// Reason why it cannot be used.
    error: Option<String>,
    /// Configuration problem that does not prevent its use.
    warning: Option<String>,
    /// It belongs to another deployment and is not used.
    is_foreign: bool,
}

/// Reason why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RedisFailure {
    /// A recent call failed; not attempted.
    #[error("Redis is unavailable")]
    Unavailable,
    /// Redis belongs to another deployment; not attempted.
    #[error("Redis belongs to another deployment")]
    Foreign,
    /// No response in time.
    #[error("Redis did not respond within {} ms", TIMEOUT.as_millis())]
    Silent,
    #[error("{0}")]
    Connection(String),
    /// Redis returned an error, or the connection broke.
    #[error("{}", describe_error(.0))]
    Redis(#[from] redis::RedisError),
    /// The store failed while the list was read from it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RedisList {
    /// Prepares a list at a URL, without connecting. `source` returns the URL with its current credentials if Redis
    /// rejects those of `url`. `nudged` is notified when another node has made a change.
    pub fn new(
        (url, source, prefix): (&str, Option<UrlSource>, &str),
        (deployment, keys): (String, MessageKeys),
        store: Arc<Store>,
        nudged: Arc<Notify>,
        metrics: ClusterMetrics,
    ) -> Result<Self, RedisUrlError> {
        Ok(Self {
            login: Login::new(url, source)?,
            prefix: prefix.to_owned(),
            deployment,
            keys,
            applied: AtomicU64::new(0),
            store,
            nudged,
            metrics,
            paused_until: AtomicU64::new(0),
            is_behind: AtomicBool::new(false),
            condition: Mutex::default(),
        })
    }

    /// Checks a URL without connecting.
    pub fn check_url(url: &str) -> Result<(), RedisUrlError> {
        Redis::from_url(url).map(drop)
    }

    /// Returns warnings for operators.
    pub fn warnings(&self) -> Vec<String> {
        let condition = self.condition();
        condition.error.into_iter().chain(condition.warning).collect()
    }

    /// Notifies every node of a change.
    pub async fn nudge(&self, seq: Seq) -> Result<(), RedisFailure> {
        let mut publish = cmd("PUBLISH");
        publish.arg(self.name("changes")).arg(self.keys.sign(&["nudge", &self.deployment], &seq.to_string()));
        self.run(&publish).await
    }

    /// Handles a message of the channel. Only nodes of this deployment can announce changes, and only changes that this
    /// node has not applied are relevant.
    fn handle_message(&self, message: &str) {
        if message == ALIVE {
            return;
        }
        match self.keys.verify(&["nudge", &self.deployment], message).and_then(|seq| seq.parse::<Seq>().ok()) {
            Some(seq) if seq > self.applied.load(Ordering::Relaxed) => self.nudged.notify_one(),
            Some(_) => {}
            None => self.metrics.redis_message_rejected(),
        }
    }

    /// Reports the last change that a node has applied.
    pub async fn report(&self, node: &NodeId, applied: Seq) -> Result<(), RedisFailure> {
        self.applied.store(applied, Ordering::Relaxed);
        let report = self.keys.sign(&["report", &self.deployment, node.as_str()], &applied.to_string());
        let mut set = cmd("SET");
        set.arg(self.name(&format!("applied:{}", node.as_str()))).arg(report).arg("EX").arg(REPORT_SECONDS);
        self.run(&set).await
    }

    /// Returns the reports of nodes; `None` for a node without one.
    pub async fn reports(&self, nodes: impl Iterator<Item = &NodeId>) -> Result<Vec<Option<Seq>>, RedisFailure> {
        let mut reports = Vec::new();
        for node in nodes {
            let mut get = cmd("GET");
            get.arg(self.name(&format!("applied:{}", node.as_str())));
            let report: Option<String> = self.run(&get).await?;
            let applied = report.as_deref().map(|report| {
                let applied = self.keys.verify(&["report", &self.deployment, node.as_str()], report);
                applied.and_then(|applied| applied.parse().ok())
            });
            if applied == Some(None) {
                self.metrics.redis_message_rejected();
            }
            reports.push(applied.flatten());
        }
        Ok(reports)
    }

    /// Writes a changed key to the list. Of two concurrent changes the later one remains, regardless of the order of
    /// writes.
    pub async fn record_key(&self, changed: &ApiKey) -> Result<(), RedisFailure> {
        self.track_failure(self.record_latest(&key_entry(changed.id), Listed::of_key(changed)).await)
    }

    /// Writes a changed customer to the list, like a key.
    pub async fn record_customer(&self, changed: &Customer) -> Result<(), RedisFailure> {
        let entry = customer_entry(changed.id);
        self.track_failure(self.record_latest(&entry, Listed::of_customer(changed)).await)
    }

    async fn record_latest(&self, entry: &str, mut written: Listed) -> Result<(), RedisFailure> {
        // Each further round means that another change was made, whose node writes too.
        for _ in 0..4 {
            self.write_entry(entry, &written.value()).await?;
            match self.stored(entry).await? {
                Some(Some(current)) if current.version != written.version => written = current,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Writes a revoked token to the list.
    pub async fn record_token(&self, token: &RevokedToken) -> Result<(), RedisFailure> {
        self.track_failure(self.write_entry(&token_entry(token), token.key.as_str()).await)
    }

    /// Schedules a rewrite of the list if a write failed.
    fn track_failure(&self, result: Result<(), RedisFailure>) -> Result<(), RedisFailure> {
        if result.is_err() {
            self.is_behind.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Writes the complete list. Changes during the rewrite are written again: of two writers of a key, the one that
    /// reads it last writes the correct state.
    async fn rewrite(&self) -> Result<usize, RedisFailure> {
        let now = clock::now();
        let tokens = self.store.revoked_tokens().await?;
        for token in &tokens {
            self.write_entry(&token_entry(token), token.key.as_str()).await?;
        }
        let mut written: HashMap<String, Listed> = HashMap::new();
        for _ in 0..REWRITE_ROUNDS {
            let since = now.plus_seconds(-LIST_SECONDS);
            let (keys, customers) = (self.store.changed_keys(since).await?, self.store.changed_customers(since).await?);
            let keys = keys.iter().map(|key| (key_entry(key.id), Listed::of_key(key)));
            let customers = customers.iter().map(|each| (customer_entry(each.id), Listed::of_customer(each)));
            let mut changed: Vec<_> = keys.chain(customers).collect();
            changed.retain(|(entry, listed)| written.get(entry) != Some(listed));
            if changed.is_empty() {
                return Ok(written.len() + tokens.len());
            }
            for (entry, listed) in changed {
                self.write_entry(&entry, &listed.value()).await?;
                written.insert(entry, listed);
            }
        }
        // Changes are faster than the writes; continued at the next check.
        self.is_behind.store(true, Ordering::Relaxed);
        Ok(written.len() + tokens.len())
    }

    /// Writes an entry. Its name is added to an index first, so that entries that the database does not confirm, for
    /// example after a restore, can be found. Its expiry does not depend on a clock.
    async fn write_entry(&self, entry: &str, value: &str) -> Result<(), RedisFailure> {
        let ends_at = clock::now().plus_seconds(LIST_SECONDS).as_seconds();
        let mut index = cmd("ZADD");
        index.arg(self.name("listed")).arg(ends_at).arg(entry);
        self.run::<()>(&index).await?;
        let mut set = cmd("SET");
        set.arg(self.name(entry)).arg(value).arg("EX").arg(LIST_SECONDS);
        self.run(&set).await
    }

    /// Compares every entry of the list with the database, and corrects or removes it.
    async fn reconcile(&self) -> Result<(), RedisFailure> {
        let index = self.name("listed");
        let mut prune = cmd("ZREMRANGEBYSCORE");
        prune.arg(&index).arg("-inf").arg(clock::now().plus_seconds(-LIST_SECONDS).as_seconds());
        self.run::<()>(&prune).await?;
        let entries: Vec<String> = self.run(cmd("ZRANGE").arg(&index).arg(0).arg(-1)).await?;
        let tokens = self.store.revoked_tokens().await?;
        let tokens: HashSet<String> = tokens.iter().map(token_entry).collect();
        for entry in entries {
            let is_listed = match self.stored(&entry).await? {
                Some(listed) => {
                    // A record that is missing in the database has no valid tokens.
                    let value = listed.map_or_else(|| NO_GENERATION.to_owned(), Listed::value);
                    let mut set = cmd("SET");
                    set.arg(self.name(&entry)).arg(value).arg("XX").arg("KEEPTTL");
                    self.run::<Option<String>>(&set).await?.is_some()
                }
                None if tokens.contains(&entry) => true,
                None => {
                    self.run::<()>(cmd("DEL").arg(self.name(&entry))).await?;
                    false
                }
            };
            if !is_listed {
                self.run::<()>(cmd("ZREM").arg(&index).arg(&entry)).await?;
            }
        }
        Ok(())
    }

    /// Returns what the database has for the entry of a key or a customer, if it has that; `None` for other entries.
    async fn stored(&self, entry: &str) -> Result<Option<Option<Listed>>, StoreError> {
        Ok(if let Some(id) = entry.strip_prefix(KEY_ENTRY).and_then(KeyId::parse) {
            Some(self.store.key(&id).await?.as_ref().map(Listed::of_key))
        } else if let Some(id) = entry.strip_prefix(CUSTOMER_ENTRY).and_then(CustomerId::parse) {
            Some(self.store.customer(&id).await?.as_ref().map(Listed::of_customer))
        } else {
            None
        })
    }

    fn name(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// Runs a command, unless Redis is known to be unusable.
    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        if self.condition.lock().is_foreign {
            return Err(RedisFailure::Foreign);
        }
        if clock::boot().as_nanos() < self.paused_until.load(Ordering::Relaxed) {
            return Err(RedisFailure::Unavailable);
        }
        self.try_run(command).await
    }

    async fn try_run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        let attempt = async || {
            let result = tokio::time::timeout(TIMEOUT, self.login.redis().run(command)).await;
            result.unwrap_or(Err(RedisFailure::Silent))
        };
        let result = match attempt().await {
            Err(failure) if self.login.reload_after(&failure) => attempt().await,
            result => result,
        };
        if result.is_err() {
            self.metrics.redis_failed();
            self.paused_until.store(clock::boot().plus(PAUSE).as_nanos(), Ordering::Relaxed);
        }
        result
    }

    fn condition(&self) -> Condition {
        self.condition.lock().clone()
    }
}

fn key_entry(id: KeyId) -> String {
    format!("{KEY_ENTRY}{id}")
}

fn customer_entry(id: CustomerId) -> String {
    format!("{CUSTOMER_ENTRY}{id}")
}

fn token_entry(token: &RevokedToken) -> String {
    format!("revoked:token:{}", token.jti)
}

/// The entry of a key or a customer in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Listed {
    version: u64,
    /// The lowest generation whose tokens are valid, if there is one.
    generation: Option<u64>,
}

impl Listed {
    fn of_key(key: &ApiKey) -> Self {
        let is_active = key.lifecycle == Lifecycle::Active;
        Self { version: key.version, generation: is_active.then_some(key.generation) }
    }

    fn of_customer(customer: &Customer) -> Self {
        Self { version: customer.version, generation: (!customer.is_denied()).then_some(customer.generation) }
    }

    /// The value of the entry.
    fn value(self) -> String {
        self.generation.map_or_else(|| NO_GENERATION.to_owned(), |generation| generation.to_string())
    }
}

/// Returns the error with advice for operators.
fn describe_error(error: &redis::RedisError) -> String {
    if is_login_refused(error) {
        format!("Redis rejected the login ({error}); check the user and password in revocation.url")
    } else {
        format!("Redis failed: {error}")
    }
}
