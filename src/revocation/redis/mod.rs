//! Redis: what nodes tell each other there to be fast, and the list that gateways may read.
//!
//! Nothing here is needed for a decision to be right. Every call is short, and fails at once while Redis is known
//! to be away.

mod connection;
mod watch;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, cmd};
use tokio::sync::Notify;

pub use connection::RedisUrlError;

use crate::clock;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::revocation::redis::connection::Redis;
use crate::store::{NodeId, RevokedToken, Seq, Store, StoreError};
use crate::telemetry::ClusterMetrics;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long nothing is tried after a call that failed.
const REST: Duration = Duration::from_millis(500);

/// Seconds for which the longest-lived token can concern a gateway: the longest life, and a minute.
const LIST_SECONDS: i64 = 3660;

/// How often in a row the list is written for what has changed while it was written.
const REWRITE_ROUNDS: usize = 10;

/// Seconds for which a report is kept.
const REPORT_SECONDS: i64 = 60;

/// The list in Redis, and the notes that nodes leave for each other there.
pub struct RedisList {
    redis: Redis,
    prefix: String,
    /// The name of this deployment; notes of another one are left alone.
    deployment: String,
    store: Arc<dyn Store>,
    nudged: Arc<Notify>,
    metrics: ClusterMetrics,
    /// Nothing is tried before this moment.
    rests_until: AtomicU64,
    /// A change could not be put on the list.
    is_behind: AtomicBool,
    condition: Mutex<Condition>,
}

/// How Redis was found when it was last looked at.
#[derive(Clone, Default, Debug)]
struct Condition {
    /// Why it cannot be used.
    trouble: Option<String>,
    /// Used all the same, but not as it should be.
    warning: Option<String>,
    /// Another deployment's: not used.
    is_foreign: bool,
}

/// Why Redis was of no use.
#[derive(Debug, thiserror::Error)]
pub enum RedisFailure {
    /// It failed or was silent a moment ago; not tried.
    #[error("Redis is away")]
    Away,
    /// It belongs to another deployment; not tried.
    #[error("Redis belongs to another deployment")]
    Foreign,
    /// It did not answer in time.
    #[error("Redis did not answer within {} ms", PATIENCE.as_millis())]
    Silent,
    /// No connection.
    #[error("{0}")]
    Connection(String),
    /// It refused, or the connection broke.
    #[error("{}", told(.0))]
    Redis(#[from] redis::RedisError),
    /// The store, for what the list is written from.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RedisList {
    /// Prepares a list at a URL; no connection is made yet. `nudged` is notified when another node has made a change.
    pub fn new(
        (url, prefix): (&str, &str),
        deployment: String,
        store: Arc<dyn Store>,
        nudged: Arc<Notify>,
        metrics: ClusterMetrics,
    ) -> Result<Self, RedisUrlError> {
        Ok(Self {
            redis: Redis::at(url)?,
            prefix: prefix.to_owned(),
            deployment,
            store,
            nudged,
            metrics,
            rests_until: AtomicU64::new(0),
            is_behind: AtomicBool::new(false),
            condition: Mutex::default(),
        })
    }

    /// Checks a URL without reaching anything.
    pub fn check_url(url: &str) -> Result<(), RedisUrlError> {
        Redis::at(url).map(drop)
    }

    /// What an operator should know of Redis, one line each.
    pub fn complaints(&self) -> Vec<String> {
        let condition = self.condition();
        condition.trouble.into_iter().chain(condition.warning).collect()
    }

    /// Tells every node that there is a change.
    pub async fn nudge(&self, seq: Seq) -> Result<(), RedisFailure> {
        let mut publish = cmd("PUBLISH");
        publish.arg(self.name("changes")).arg(seq);
        self.ask(&publish).await
    }

    /// Notes up to which change a node has followed.
    pub async fn report(&self, node: &NodeId, applied: Seq) -> Result<(), RedisFailure> {
        let mut set = cmd("SET");
        set.arg(self.name(&format!("applied:{}", node.as_str()))).arg(applied).arg("EX").arg(REPORT_SECONDS);
        self.ask(&set).await
    }

    /// Up to which change each node has followed, as far as it is noted.
    pub async fn reports(&self, nodes: impl Iterator<Item = &NodeId>) -> Result<Vec<Option<Seq>>, RedisFailure> {
        let mut reports = Vec::new();
        for node in nodes {
            let mut get = cmd("GET");
            get.arg(self.name(&format!("applied:{}", node.as_str())));
            reports.push(self.ask(&get).await?);
        }
        Ok(reports)
    }

    /// Puts a changed key on the list. Of two changes at once the later one stays, whoever comes last to Redis.
    pub async fn put_key(&self, changed: &ApiKey) -> Result<(), RedisFailure> {
        self.or_behind(self.try_put_key(changed).await)
    }

    async fn try_put_key(&self, changed: &ApiKey) -> Result<(), RedisFailure> {
        let mut written = changed.version;
        let mut lowest_good = lowest_good(changed);
        // Each further round means that another change was made; that node writes as well.
        for _ in 0..4 {
            self.ask::<()>(&self.set_key(changed.id.as_str(), &lowest_good)).await?;
            match self.store.key(&changed.id).await? {
                Some(current) if current.version != written => {
                    (written, lowest_good) = (current.version, self::lowest_good(&current));
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Puts a revoked token on the list.
    pub async fn put_token(&self, token: &RevokedToken, now: Timestamp) -> Result<(), RedisFailure> {
        self.or_behind(self.ask(&self.set_token(token, now)).await)
    }

    /// A change that could not be put on the list is a reason to write all of it anew.
    fn or_behind(&self, put: Result<(), RedisFailure>) -> Result<(), RedisFailure> {
        if put.is_err() {
            self.is_behind.store(true, Ordering::Relaxed);
        }
        put
    }

    /// Writes the whole list anew. What changes meanwhile is written again: of two writers of a key, the one that reads
    /// it last has it right.
    async fn rewrite(&self) -> Result<usize, RedisFailure> {
        let now = clock::now();
        let tokens = self.store.revoked_tokens().await?;
        for token in &tokens {
            self.ask::<()>(&self.set_token(token, now)).await?;
        }
        let mut written: HashMap<KeyId, u64> = HashMap::new();
        for _ in 0..REWRITE_ROUNDS {
            let mut keys = self.store.changed_keys(now.plus_seconds(-LIST_SECONDS)).await?;
            keys.retain(|key| written.get(&key.id) != Some(&key.version));
            if keys.is_empty() {
                return Ok(written.len() + tokens.len());
            }
            for key in keys {
                self.ask::<()>(&self.set_key(key.id.as_str(), &lowest_good(&key))).await?;
                written.insert(key.id, key.version);
            }
        }
        // More is changed than can be followed at once: gone on with at the next look.
        self.is_behind.store(true, Ordering::Relaxed);
        Ok(written.len() + tokens.len())
    }

    fn set_key(&self, id: &str, lowest_good: &str) -> Cmd {
        let mut set = cmd("SET");
        set.arg(self.name(&format!("revoked:key:{id}"))).arg(lowest_good).arg("EX").arg(LIST_SECONDS);
        set
    }

    fn set_token(&self, token: &RevokedToken, now: Timestamp) -> Cmd {
        let seconds = (token.expires_at.millis_since(now) / 1000).clamp(1, LIST_SECONDS);
        let mut set = cmd("SET");
        set.arg(self.name(&format!("revoked:token:{}", token.jti))).arg(token.key.as_str()).arg("EX").arg(seconds);
        set
    }

    fn name(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// One command, unless Redis is known to be of no use.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        if self.condition.lock().unwrap_or_else(PoisonError::into_inner).is_foreign {
            return Err(RedisFailure::Foreign);
        }
        if clock::boot().as_nanos() < self.rests_until.load(Ordering::Relaxed) {
            return Err(RedisFailure::Away);
        }
        self.try_ask(command).await
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        let answered = tokio::time::timeout(PATIENCE, self.redis.ask(command)).await;
        let answer = answered.unwrap_or(Err(RedisFailure::Silent));
        if answer.is_err() {
            self.metrics.redis_failed();
            self.rests_until.store(clock::boot().plus(REST).as_nanos(), Ordering::Relaxed);
        }
        answer
    }

    fn condition(&self) -> Condition {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The lowest generation whose tokens are good; `-`: none.
fn lowest_good(key: &ApiKey) -> String {
    match key.lifecycle {
        Lifecycle::Active => key.generation.to_string(),
        Lifecycle::Disabled { .. } | Lifecycle::Revoked { .. } => "-".to_owned(),
    }
}

/// A failure of Redis for an operator: what to do where that is known.
fn told(error: &redis::RedisError) -> String {
    let is_login = error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"));
    if is_login {
        format!("Redis does not let us in ({error}); correct user and password in revocation.url")
    } else {
        format!("Redis cannot be used: {error}")
    }
}
