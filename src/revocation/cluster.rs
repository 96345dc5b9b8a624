//! One node among others: it is a member, follows what the others change, and waits for them with its own changes.
//!
//! The promise: once a change is answered, no check that begins later succeeds under what was before, on any node.
//! Every node acts on memory only under a lease, which runs for [`LEASE`] from a moment at which it asked the store
//! for changes and has applied them all. A change is answered when every member has applied it, or when no lease
//! can be left from before it.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::clock::{self, BootTime};
use crate::crypto::random::{self, RandomError};
use crate::domain::timestamp::Timestamp;
use crate::revocation::lease::{LEASE, Lease, MARGIN};
use crate::revocation::list::RevocationList;
use crate::revocation::redis::RedisList;
use crate::store::{ChangeBatch, NodeId, RegisteredNode, Seq, Store, StoreError};
use crate::telemetry::{ClusterMetrics, Settled};

/// How often changes are asked for when nobody says that there is one.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// The shortest time between two askings, however many nudges come.
const FOLLOW_AT_MOST_EVERY: Duration = Duration::from_millis(5);

/// How long one asking may take before its connection is given up.
const FOLLOW_PATIENCE: Duration = Duration::from_secs(3);

/// How much longer than that shows that the process itself was stopped meanwhile.
const STOPPED: Duration = Duration::from_millis(100);

/// Changes asked for at once.
const FOLLOW_LIMIT: u32 = 1000;

/// How often a node lets the store know that it is there.
const SEEN_EVERY: Duration = Duration::from_secs(2);

/// How soon a node lets the store know how far it has followed, where Redis knows it already.
const REPORT_TO_STORE_EVERY: Duration = Duration::from_millis(200);

/// How long a request may wait for this node to have followed.
const CATCH_UP: Duration = Duration::from_secs(2);

/// A member that was not heard of for so long, and that a change waits for, is given up.
const SILENT_AFTER: Duration = Duration::from_secs(6);

/// How far a node's clock may be from the database's: two nodes are then at most twice that apart.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// What a node has to do with the others.
pub struct Cluster {
    store: Arc<Store>,
    list: Arc<RevocationList>,
    lease: Arc<Lease>,
    redis: Option<Arc<RedisList>>,
    metrics: ClusterMetrics,
    /// Under which name this node is a member, and up to which change it has followed.
    standing: watch::Sender<Standing>,
    /// Somebody says that there is a change.
    nudged: Arc<Notify>,
    /// The last asking failed.
    is_cut_off: AtomicBool,
    /// Milliseconds by which the database's clock is ahead of ours.
    clock_offset: AtomicI64,
    /// Settings that other nodes have with other values.
    pub(super) disagreements: Mutex<Vec<String>>,
}

/// Why following failed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("organizations could not be read anew: {0}")]
    Reload(String),
}

/// A member's name, and up to which change it has followed under that name.
#[derive(Clone, PartialEq, Eq)]
struct Standing {
    id: NodeId,
    applied: Seq,
}

/// How far a node has followed; `None` in place of it is no member.
struct Position {
    id: NodeId,
    applied: Seq,
}

impl Cluster {
    /// A node that is no member yet. `nudged` is notified when somebody has made a change.
    pub fn new(
        store: Arc<Store>,
        (list, lease): (Arc<RevocationList>, Arc<Lease>),
        redis: Option<Arc<RedisList>>,
        nudged: Arc<Notify>,
        metrics: ClusterMetrics,
    ) -> Self {
        Self {
            store,
            list,
            lease,
            redis,
            metrics,
            standing: watch::Sender::new(Standing { id: NodeId::from(String::new()), applied: 0 }),
            nudged,
            is_cut_off: AtomicBool::new(false),
            clock_offset: AtomicI64::new(0),
            disagreements: Mutex::default(),
        }
    }

    /// Following has ended: memory is not decided from until it has begun anew.
    pub fn halt(&self) {
        self.lease.end();
        self.metrics.lease(false);
    }

    /// Whether the store did not answer when it was last asked.
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off.load(Ordering::Relaxed)
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref()
    }

    /// The name under which this node is a member; empty if it is none yet.
    pub(super) fn id(&self) -> NodeId {
        self.standing.borrow().id.clone()
    }

    /// By how much the database's clock is ahead of ours, in milliseconds.
    pub fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Ordering::Relaxed)
    }

    /// Follows the changes of others until the process ends. `reload` loads the organizations that changed after a
    /// change number, or all of them.
    pub async fn follow<E: Display, R>(&self, reload: impl Fn(Option<Seq>) -> R + Sync)
    where
        R: Future<Output = Result<(), E>> + Send,
    {
        let (mut position, mut tenants, mut has_failed) = (None, None, false);
        loop {
            let asked = clock::boot();
            match self.follow_once(&mut position, &mut tenants, asked, &reload).await {
                Ok(true) => continue,
                Ok(false) => {
                    self.is_cut_off.store(false, Ordering::Relaxed);
                    if std::mem::take(&mut has_failed) {
                        tracing::info!("changes are followed again");
                    }
                    self.metrics.followed(clock::boot().since(asked));
                }
                Err(error) => {
                    // A process that was stopped finds its question too old when it goes on: it asks again at once.
                    let is_late = matches!(error, FollowError::Store(StoreError::Silent));
                    if is_late && clock::boot().since(asked) > FOLLOW_PATIENCE + STOPPED {
                        continue;
                    }
                    if !has_failed {
                        tracing::error!(%error, "changes cannot be followed; without them every decision asks the database");
                    }
                    has_failed = true;
                    // Only where the database itself does not answer is it not asked; the rest must not keep it from that.
                    let is_silent = matches!(error, FollowError::Store(_));
                    self.is_cut_off.store(is_silent, Ordering::Relaxed);
                    self.metrics.follow_failed();
                    if let FollowError::Store(error) = &error {
                        self.mend(error).await;
                    }
                }
            }
            self.metrics.lease(self.lease.is_live(clock::boot()));
            let rest = FOLLOW_EVERY.saturating_sub(clock::boot().since(asked));
            // A nudge is heard at once, unless the last one was a moment ago: then a little later, with all that came since.
            let _ = tokio::time::timeout(rest, self.nudged.notified()).await;
            tokio::time::sleep(FOLLOW_AT_MOST_EVERY.saturating_sub(clock::boot().since(asked))).await;
        }
    }

    /// Asks once, and applies what has changed. True: there is more to ask for.
    async fn follow_once<E: Display, R>(
        &self,
        following: &mut Option<Position>,
        tenants: &mut Option<Seq>,
        asked: BootTime,
        reload: &(impl Fn(Option<Seq>) -> R + Sync),
    ) -> Result<bool, FollowError>
    where
        R: Future<Output = Result<(), E>> + Send,
    {
        let Some(position) = following else {
            *following = Some(self.join().await?);
            // The lease must not run from before the entry: a change that is made in between does not wait for us.
            return Ok(true);
        };
        let asked_at = clock::now();
        let asking = self.store.follow(position.applied, &position.id, FOLLOW_LIMIT);
        let Ok(news) = tokio::time::timeout(FOLLOW_PATIENCE, asking).await else {
            return Err(StoreError::Silent.into());
        };
        let news = news?;
        self.compare_clocks(asked_at, &news);
        if !news.is_member || news.last_seq < position.applied || position.applied < news.pruned_seq {
            tracing::warn!(node = position.id.as_str(), "this node was given up, or was away for long; it begins anew");
            self.lease.end();
            if news.last_seq < position.applied {
                tracing::error!(
                    applied = position.applied,
                    last = news.last_seq,
                    "the database went back in time: a restore, or a fail-over that lost changes"
                );
                self.store.begin_epoch(Some(position.applied), clock::now()).await?;
            }
            // Numbers from before may have been given out a second time: everything is read again.
            *tenants = None;
            *following = None;
            return Ok(true);
        }
        for change in &news.changes {
            if let Some(token) = &change.token {
                self.list.apply_token_revocation(&token.jti, token.expires_at);
            } else {
                self.list.apply_key_change(&change.key);
            }
        }
        if !news.is_whole {
            position.applied = news.changes.last().map_or(position.applied, |change| change.seq);
            return Ok(true);
        }
        if tenants.is_none_or(|seen| news.tenants_seq > seen) {
            reload(*tenants).await.map_err(|error| FollowError::Reload(error.to_string()))?;
            *tenants = Some(news.tenants_seq);
        }
        position.applied = news.last_seq;
        self.lease.extend(asked);
        self.standing.send_if_modified(|standing| {
            let is_news = standing.applied != news.last_seq || standing.id != position.id;
            *standing = Standing { id: position.id.clone(), applied: news.last_seq };
            is_news
        });
        self.metrics.applied(news.last_seq);
        Ok(false)
    }

    /// Becomes a member under a name that nobody had before, with nothing in memory.
    async fn join(&self) -> Result<Position, FollowError> {
        self.lease.end();
        let id = NodeId::from(random::identifier()?);
        self.store.join(&id, self.database_time()).await?;
        let old = self.standing.send_replace(Standing { id: id.clone(), applied: 0 });
        if !old.id.as_str().is_empty() {
            self.store.leave(&old.id).await?;
        }
        // From here on every change waits for us, and those after this one are followed. Only now is memory emptied: a
        // record that is read from here on is as new as the place that we follow from.
        let applied = self.store.last_seq().await?;
        self.list.forget_records();
        for token in self.store.revoked_tokens().await? {
            self.list.apply_token_revocation(&token.jti, token.expires_at);
        }
        tracing::info!(node = id.as_str(), change = applied, "member");
        Ok(Position { id, applied })
    }

    /// Lets others know up to which change this node has followed: through Redis, and through the store, at once where
    /// Redis does not take it and otherwise soon, for those whom Redis does not answer.
    pub async fn report(&self) {
        let mut standings = self.standing.subscribe();
        let (mut seen, mut told) = (BootTime::from_nanos(0), None);
        loop {
            let is_told = told.as_ref() == Some(&*standings.borrow());
            let pause = if is_told { SEEN_EVERY / 2 } else { REPORT_TO_STORE_EVERY };
            let _ = tokio::time::timeout(pause, standings.changed()).await;
            let standing = standings.borrow_and_update().clone();
            if standing.id.as_str().is_empty() {
                continue;
            }
            let has_redis = match &self.redis {
                Some(redis) => redis.report(&standing.id, standing.applied).await.is_ok(),
                None => false,
            };
            let now = clock::boot();
            let is_due = match now.since(seen) {
                silence if silence >= SEEN_EVERY => true,
                _ if told.as_ref() == Some(&standing) => false,
                silence => !has_redis || silence >= REPORT_TO_STORE_EVERY,
            };
            if is_due && !self.is_cut_off() {
                match self.store.report(&standing.id, standing.applied, self.database_time()).await {
                    Ok(()) => (seen, told) = (now, Some(standing)),
                    Err(error) => {
                        tracing::debug!(%error, "the store was not told how far this node is");
                        self.mend(&error).await;
                    }
                }
            }
        }
    }

    /// Leaves, once nothing is decided here any more, and closes its connections.
    pub async fn leave(&self) {
        self.lease.end();
        let id = self.standing.borrow().id.clone();
        if let Err(error) = self.store.leave(&id).await {
            tracing::warn!(%error, "the other nodes could not be told that this one stops; they will find out");
        }
        self.store.close().await;
    }

    /// Returns when this node has followed every change that is committed by now; an error where that takes too long.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let seq = self.store.last_seq().await?;
        let mut standings = self.standing.subscribe();
        self.nudged.notify_one();
        let following = standings.wait_for(|standing| standing.applied >= seq);
        match tokio::time::timeout(CATCH_UP, following).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StoreError::Silent),
        }
    }

    /// Returns when a change that is committed is effective on every node.
    pub async fn settle(self: &Arc<Self>, seq: Seq) {
        let committed = clock::boot();
        let over = committed.plus(LEASE).plus(MARGIN);
        let mut others: Option<Vec<RegisteredNode>> = None;
        let (mut pause, mut ask_store_at) = (Duration::from_millis(1), committed);
        loop {
            // 1. Who has to follow. Read after the commit: whoever enters later begins with the change.
            if clock::boot() >= ask_store_at {
                let own = self.standing.borrow().id.clone();
                match tokio::time::timeout(LEASE + MARGIN, self.store.nodes()).await {
                    Ok(Ok(nodes)) => {
                        // Of those in the first answer; whoever came later has the change.
                        let is_awaited = |node: &RegisteredNode| match &others {
                            Some(others) => others.iter().any(|other| other.id == node.id),
                            None => node.id != own,
                        };
                        others = Some(nodes.into_iter().filter(is_awaited).filter(|node| node.applied < seq).collect());
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "the members could not be read"),
                    Err(_) => {}
                }
                ask_store_at = clock::boot().plus(Duration::from_millis(50));
            }

            // 2. Who has followed.
            if let (Some(others), Some(redis)) = (&mut others, &self.redis)
                && let Ok(reports) = redis.reports(others.iter().map(|node| &node.id)).await
            {
                let mut reports = reports.into_iter();
                others.retain(|_| reports.next().flatten().is_none_or(|applied| applied < seq));
            }
            let now = clock::boot();
            if others.as_ref().is_some_and(Vec::is_empty) {
                return self.metrics.settled(Settled::Followed, now.since(committed));
            }

            // 3. Nobody can act on what was before the change any more.
            if now >= over {
                self.metrics.settled(Settled::LeasesOver, now.since(committed));
                let cluster = self.clone();
                tokio::spawn(async move { cluster.give_up(others.unwrap_or_default()).await });
                return;
            }
            tokio::time::sleep(pause.min(over.since(now))).await;
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// Gives up members that were not heard of for long, so that later changes need not wait for them. In two steps:
    /// one that is struck is still waited for until its lease must have ended, for it may be alive and not know yet.
    async fn give_up(&self, silent: Vec<RegisteredNode>) {
        let heard_before = self.database_time().plus_millis(-millis(SILENT_AFTER));
        for node in silent {
            if node.seen_at >= heard_before {
                continue;
            }
            let is_struck = match self.store.strike(&node.id, heard_before).await {
                Ok(true) => {
                    tracing::warn!(node = node.id.as_str(), "a member that does not answer is given up");
                    true
                }
                // Whoever struck it may be gone before it was removed.
                Ok(false) => node.is_struck,
                Err(error) => {
                    tracing::debug!(%error, "a silent member could not be struck");
                    false
                }
            };
            if is_struck {
                let store = self.store.clone();
                tokio::spawn(async move {
                    let struck = clock::boot();
                    while clock::boot() < struck.plus(LEASE).plus(MARGIN) {
                        tokio::time::sleep(LEASE + MARGIN).await;
                    }
                    if let Err(error) = store.leave(&node.id).await {
                        tracing::debug!(%error, "a struck member could not be removed");
                    }
                });
            }
        }
    }

    /// Replaces connections that were all lost in silence.
    async fn mend(&self, error: &StoreError) {
        if error.is_used_up()
            && let Err(error) = self.store.recover().await
        {
            tracing::debug!(%error, "the connections to the database could not be replaced");
        }
    }

    /// The database's clock, as far as it is known.
    pub(super) fn database_time(&self) -> Timestamp {
        clock::now().plus_millis(self.clock_offset())
    }

    fn compare_clocks(&self, asked_at: Timestamp, news: &ChangeBatch) {
        let Some(clock) = news.clock else { return };
        let answered_at = clock::now();
        let took = answered_at.as_millis() - asked_at.as_millis();
        let offset = clock.as_millis() - asked_at.as_millis() - took / 2;
        // A slow answer says little about the clock.
        if (0..200).contains(&took) {
            self.clock_offset.store(offset, Ordering::Relaxed);
            self.metrics.clock_offset(offset);
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
