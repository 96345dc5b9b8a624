//! Redis: what nodes tell each other there to be fast, and the list that gateways may read.
//!
//! Nothing here is needed for a decision to be right. Every call is short, and fails at once while Redis is known
//! to be away.

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
use crate::domain::key_text::KeyId;
use crate::revocation::redis::connection::Redis;
use crate::revocation::redis::login::{Login, is_login_refused};
use crate::store::{NodeId, RevokedToken, Seq, Store, StoreError, UrlSource};
use crate::telemetry::ClusterMetrics;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long nothing is tried after a call that failed.
const REST: Duration = Duration::from_millis(500);

/// Seconds for which the longest-lived token can concern a gateway: the longest life, and a minute.
const LIST_SECONDS: i64 = 3660;

/// How often in a row the list is written for what has changed while it was written.
const REWRITE_ROUNDS: usize = 10;

/// What the name of a key's entry begins with, after the prefix.
const KEY_ENTRY: &str = "revoked:key:";

/// The value of a key's entry if no generation is good.
const NO_GENERATION: &str = "-";

/// What a node says on the channel to be heard.
const ALIVE: &str = "alive";

/// Seconds for which a report is kept.
const REPORT_SECONDS: i64 = 60;

/// The list in Redis, and the notes that nodes leave for each other there.
pub struct RedisList {
    login: Login,
    prefix: String,
    /// The name of this deployment; notes of another one are left alone.
    deployment: String,
    /// What authenticates the messages of nodes: others may be able to write to Redis.
    keys: MessageKeys,
    /// Up to which change this node has followed: a nudge for an earlier one says nothing.
    applied: AtomicU64,
    store: Arc<Store>,
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
    /// Prepares a list at a URL; no connection is made yet. `source` gives the URL with its current credentials when Redis
    /// refuses those of `url`. `nudged` is notified when another node has made a change.
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
        publish.arg(self.name("changes")).arg(self.keys.seal(&["nudge", &self.deployment], &seq.to_string()));
        self.ask(&publish).await
    }

    /// Hears what was said on the channel. Only a node of this deployment can say that there is a change, and only one
    /// that this node has not followed yet is news.
    fn hear(&self, message: &str) {
        if message == ALIVE {
            return;
        }
        match self.keys.open(&["nudge", &self.deployment], message).and_then(|seq| seq.parse::<Seq>().ok()) {
            Some(seq) if seq > self.applied.load(Ordering::Relaxed) => self.nudged.notify_one(),
            Some(_) => {}
            None => self.metrics.redis_message_rejected(),
        }
    }

    /// Notes up to which change a node has followed.
    pub async fn report(&self, node: &NodeId, applied: Seq) -> Result<(), RedisFailure> {
        self.applied.store(applied, Ordering::Relaxed);
        let report = self.keys.seal(&["report", &self.deployment, node.as_str()], &applied.to_string());
        let mut set = cmd("SET");
        set.arg(self.name(&format!("applied:{}", node.as_str()))).arg(report).arg("EX").arg(REPORT_SECONDS);
        self.ask(&set).await
    }

    /// Up to which change each node has followed, as far as it is noted.
    pub async fn reports(&self, nodes: impl Iterator<Item = &NodeId>) -> Result<Vec<Option<Seq>>, RedisFailure> {
        let mut reports = Vec::new();
        for node in nodes {
            let mut get = cmd("GET");
            get.arg(self.name(&format!("applied:{}", node.as_str())));
            let report: Option<String> = self.ask(&get).await?;
            let applied = report.as_deref().map(|report| {
                let applied = self.keys.open(&["report", &self.deployment, node.as_str()], report);
                applied.and_then(|applied| applied.parse().ok())
            });
            if applied == Some(None) {
                self.metrics.redis_message_rejected();
            }
            reports.push(applied.flatten());
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
            self.list(&key_entry(changed.id.as_str()), &lowest_good).await?;
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
        self.or_behind(self.list(&token_entry(token), token.key.as_str()).await)
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
            self.list(&token_entry(token), token.key.as_str()).await?;
        }
        let mut written: HashMap<KeyId, u64> = HashMap::new();
        for _ in 0..REWRITE_ROUNDS {
            let mut keys = self.store.changed_keys(now.plus_seconds(-LIST_SECONDS)).await?;
            keys.retain(|key| written.get(&key.id) != Some(&key.version));
            if keys.is_empty() {
                return Ok(written.len() + tokens.len());
            }
            for key in keys {
                self.list(&key_entry(key.id.as_str()), &lowest_good(&key)).await?;
                written.insert(key.id, key.version);
            }
        }
        // More is changed than can be followed at once: gone on with at the next look.
        self.is_behind.store(true, Ordering::Relaxed);
        Ok(written.len() + tokens.len())
    }

    /// Puts an entry on the list. Its name is noted first, so that an entry which the database does not confirm, as after a
    /// restore, can be found again. How long it stays does not depend on a clock.
    async fn list(&self, entry: &str, value: &str) -> Result<(), RedisFailure> {
        let ends_at = clock::now().plus_seconds(LIST_SECONDS).as_seconds();
        let mut note = cmd("ZADD");
        note.arg(self.name("listed")).arg(ends_at).arg(entry);
        self.ask::<()>(&note).await?;
        let mut set = cmd("SET");
        set.arg(self.name(entry)).arg(value).arg("EX").arg(LIST_SECONDS);
        self.ask(&set).await
    }

    /// Holds every entry of the list against the database, and corrects or removes what it does not confirm.
    async fn confirm(&self) -> Result<(), RedisFailure> {
        let index = self.name("listed");
        let mut tidy = cmd("ZREMRANGEBYSCORE");
        tidy.arg(&index).arg("-inf").arg(clock::now().plus_seconds(-LIST_SECONDS).as_seconds());
        self.ask::<()>(&tidy).await?;
        let entries: Vec<String> = self.ask(cmd("ZRANGE").arg(&index).arg(0).arg(-1)).await?;
        let tokens = self.store.revoked_tokens().await?;
        let tokens: HashSet<String> = tokens.iter().map(token_entry).collect();
        for entry in entries {
            let id = entry.strip_prefix(KEY_ENTRY).and_then(KeyId::parse);
            let is_listed = match id {
                Some(id) => {
                    // A key that the database does not know has no good tokens.
                    let key = self.store.key(&id).await?;
                    let value = key.as_ref().map_or_else(|| NO_GENERATION.to_owned(), lowest_good);
                    let mut set = cmd("SET");
                    set.arg(self.name(&entry)).arg(value).arg("XX").arg("KEEPTTL");
                    self.ask::<Option<String>>(&set).await?.is_some()
                }
                None if tokens.contains(&entry) => true,
                None => {
                    self.ask::<()>(cmd("DEL").arg(self.name(&entry))).await?;
                    false
                }
            };
            if !is_listed {
                self.ask::<()>(cmd("ZREM").arg(&index).arg(&entry)).await?;
            }
        }
        Ok(())
    }

    fn name(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }

    /// One command, unless Redis is known to be of no use.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        if self.condition.lock().is_foreign {
            return Err(RedisFailure::Foreign);
        }
        if clock::boot().as_nanos() < self.rests_until.load(Ordering::Relaxed) {
            return Err(RedisFailure::Away);
        }
        self.try_ask(command).await
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        let ask = async || {
            let answered = tokio::time::timeout(PATIENCE, self.login.redis().ask(command)).await;
            answered.unwrap_or(Err(RedisFailure::Silent))
        };
        let answer = match ask().await {
            Err(failure) if self.login.read_again_after(&failure) => ask().await,
            answer => answer,
        };
        if answer.is_err() {
            self.metrics.redis_failed();
            self.rests_until.store(clock::boot().plus(REST).as_nanos(), Ordering::Relaxed);
        }
        answer
    }

    fn condition(&self) -> Condition {
        self.condition.lock().clone()
    }
}

fn key_entry(id: &str) -> String {
    format!("{KEY_ENTRY}{id}")
}

fn token_entry(token: &RevokedToken) -> String {
    format!("revoked:token:{}", token.jti)
}

/// The lowest generation whose tokens are good; `-`: none.
fn lowest_good(key: &ApiKey) -> String {
    match key.lifecycle {
        Lifecycle::Active => key.generation.to_string(),
        Lifecycle::Disabled { .. } | Lifecycle::Revoked { .. } => NO_GENERATION.to_owned(),
    }
}

/// A failure of Redis for an operator: what to do where that is known.
fn told(error: &redis::RedisError) -> String {
    if is_login_refused(error) {
        format!("Redis does not let us in ({error}); correct user and password in revocation.url")
    } else {
        format!("Redis cannot be used: {error}")
    }
}
