//! Redis: what nodes tell each other there to be fast, and the list that gateways may read.
//!
//! Nothing here is needed for a decision to be right. Every call is short, and fails at once while Redis is known
//! to be away.

mod connection;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, cmd};
use tokio::sync::Notify;

pub use connection::RedisUrlError;

use crate::clock;
use crate::crypto::node_signature::NodeSigner;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::key_text::KeyId;
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

/// The purposes of signed messages.
const NUDGE: &str = "nudge";
const REPORT: &str = "report";

/// Names that one call of SCAN looks at.
const SCAN_COUNT: usize = 500;

/// Seconds for which a report is kept.
const REPORT_SECONDS: i64 = 60;

/// The list in Redis, and the notes that nodes leave for each other there.
pub struct RedisList {
    redis: Redis,
    prefix: String,
    /// The name of this deployment; notes of another one are left alone.
    deployment: String,
    signer: NodeSigner,
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
        (deployment, signer): (String, NodeSigner),
        store: Arc<dyn Store>,
        nudged: Arc<Notify>,
        metrics: ClusterMetrics,
    ) -> Result<Self, RedisUrlError> {
        Ok(Self {
            redis: Redis::at(url)?,
            prefix: prefix.to_owned(),
            deployment,
            signer,
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
        publish.arg(self.name("changes")).arg(self.signed(NUDGE, "", seq));
        self.ask(&publish).await
    }

    /// Notes up to which change a node has followed.
    pub async fn report(&self, node: &NodeId, applied: Seq) -> Result<(), RedisFailure> {
        let mut set = cmd("SET");
        set.arg(self.name(&format!("applied:{}", node.as_str())))
            .arg(self.signed(REPORT, node.as_str(), applied))
            .arg("EX")
            .arg(REPORT_SECONDS);
        self.ask(&set).await
    }

    /// Up to which change each node has followed, as far as it is noted.
    pub async fn reports(&self, nodes: impl Iterator<Item = &NodeId>) -> Result<Vec<Option<Seq>>, RedisFailure> {
        let mut reports = Vec::new();
        for node in nodes {
            let mut get = cmd("GET");
            get.arg(self.name(&format!("applied:{}", node.as_str())));
            let report: Option<String> = self.ask(&get).await?;
            reports.push(report.and_then(|report| self.verified(REPORT, node.as_str(), &report)));
        }
        Ok(reports)
    }

    /// A number that this node vouches for: the number, and signatures over it, its purpose, the deployment and the node.
    fn signed(&self, purpose: &str, node: &str, number: Seq) -> String {
        let signatures = self.signer.sign(&[purpose, &self.deployment, node, &number.to_string()]);
        format!("{number} {signatures}")
    }

    /// The number in a message, if a node of this deployment signed it for this purpose. Redis is not trusted: whoever
    /// can write to it must not be able to make a change count as followed.
    fn verified(&self, purpose: &str, node: &str, message: &str) -> Option<Seq> {
        let verified = message.split_once(' ').and_then(|(number, signatures)| {
            let is_signed = self.signer.verify(&[purpose, &self.deployment, node, number], signatures);
            number.parse().ok().filter(|_| is_signed)
        });
        if verified.is_none() {
            self.metrics.redis_unauthenticated();
        }
        verified
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
    pub async fn put_token(&self, token: &RevokedToken) -> Result<(), RedisFailure> {
        self.or_behind(self.ask(&self.set_token(token)).await)
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
        let tokens = self.store.revoked_tokens(now).await?;
        for token in &tokens {
            self.ask::<()>(&self.set_token(token)).await?;
        }
        let mut written: HashMap<KeyId, u64> = HashMap::new();
        for _ in 0..REWRITE_ROUNDS {
            let mut keys = self.store.changed_keys(now.plus_seconds(-LIST_SECONDS)).await?;
            keys.retain(|key| written.get(&key.id) != Some(&key.version));
            if keys.is_empty() {
                self.remove_unconfirmed(&written, &tokens).await?;
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

    /// Corrects entries that the store does not confirm, such as those from before a restore. What was just written is
    /// left alone; everything else is read from the store once more first, because another node may have just written it.
    /// On a Redis Cluster, entries that nobody confirms expire by themselves.
    async fn remove_unconfirmed(
        &self,
        written: &HashMap<KeyId, u64>,
        tokens: &[RevokedToken],
    ) -> Result<(), RedisFailure> {
        if self.redis.is_cluster() {
            return Ok(());
        }
        let tokens: HashSet<&str> = tokens.iter().map(|token| token.jti.as_str()).collect();
        let (of_key, of_token) = (self.name("revoked:key:"), self.name("revoked:token:"));
        let pattern = format!("{}*", escaped(&self.name("revoked:")));
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let (next, names): (u64, Vec<String>) = self.ask(&scan).await?;
            for name in names {
                let is_confirmed = if let Some(id) = name.strip_prefix(&of_key) {
                    match KeyId::parse(id) {
                        Some(id) if written.contains_key(&id) => true,
                        Some(id) => self.confirm_key(&id, &name).await?,
                        None => false,
                    }
                } else if let Some(jti) = name.strip_prefix(&of_token) {
                    tokens.contains(jti) || self.store.is_token_revoked(jti).await?
                } else {
                    true
                };
                if !is_confirmed {
                    self.ask::<()>(cmd("DEL").arg(&name)).await?;
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Makes the entry of a key say what the store says; false if there is no such key.
    async fn confirm_key(&self, id: &KeyId, name: &str) -> Result<bool, RedisFailure> {
        let Some(key) = self.store.key(id).await? else { return Ok(false) };
        let entry: Option<String> = self.ask(cmd("GET").arg(name)).await?;
        if entry.is_some_and(|entry| entry != lowest_good(&key)) {
            self.try_put_key(&key).await?;
        }
        Ok(true)
    }

    fn set_key(&self, id: &str, lowest_good: &str) -> Cmd {
        let mut set = cmd("SET");
        set.arg(self.name(&format!("revoked:key:{id}"))).arg(lowest_good).arg("EX").arg(LIST_SECONDS);
        set
    }

    /// Kept for as long as any token lives: this node's clock may be ahead, and must not shorten it.
    fn set_token(&self, token: &RevokedToken) -> Cmd {
        let mut set = cmd("SET");
        set.arg(self.name(&format!("revoked:token:{}", token.jti))).arg(token.key.as_str()).arg("EX").arg(LIST_SECONDS);
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

/// A text in which SCAN takes no character for a wildcard.
fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
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
