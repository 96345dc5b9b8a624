//! A node among others: it registers, applies the changes of other nodes, and waits for them with its own changes.
//!
//! The guarantee: after a change is confirmed, no check that starts later succeeds with the state before it, on any
//! node. Nodes act on memory only under a lease. A lease lasts for [`LEASE`] from a moment at which the node requested
//! changes from the store, all of which it has applied. A change is confirmed after every registered node has applied
//! it, or after all leases from before it have expired.

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

/// Interval of polling for changes without notifications.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Minimum interval between polls, regardless of notifications.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Time limit of a poll, after which its connection is closed.
const POLL_TIMEOUT: Duration = Duration::from_secs(3);

/// A poll that exceeds the limit by this much shows that the process was suspended meanwhile.
const STOPPED: Duration = Duration::from_millis(100);

/// Maximum number of changes per poll.
const FOLLOW_LIMIT: u32 = 1000;

/// Interval of reports to the store.
const REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Interval of reports to the store after changes, if Redis has the report already.
const CHANGE_REPORT_INTERVAL: Duration = Duration::from_millis(200);

/// How long a request waits for this node to apply changes.
const CATCH_UP: Duration = Duration::from_secs(2);

/// A registered node that has not reported for this long and delays a change is removed.
const SILENT_AFTER: Duration = Duration::from_secs(6);

/// Maximum difference between a node's clock and the database's; two nodes can differ by twice that.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(1);

/// This node's relation to the other nodes.
pub struct Cluster {
    store: Arc<Store>,
    list: Arc<RevocationList>,
    lease: Arc<Lease>,
    redis: Option<Arc<RedisList>>,
    metrics: ClusterMetrics,
    /// The ID under which this node is registered, and the last change that it has applied.
    position: watch::Sender<Position>,
    /// Notified when another node has made a change.
    nudged: Arc<Notify>,
    /// The last poll failed.
    is_cut_off: AtomicBool,
    /// Milliseconds by which the database's clock is ahead of the local clock.
    clock_offset: AtomicI64,
    /// Settings that have different values on other nodes.
    pub(super) disagreements: Mutex<Vec<String>>,
}

/// Reason why changes could not be followed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("failed to reload organizations: {0}")]
    Reload(String),
}

/// The ID of a registered node, and the last change that it has applied.
#[derive(Clone, PartialEq, Eq)]
struct Position {
    id: NodeId,
    applied: Seq,
}

impl Cluster {
    /// Creates an unregistered node. `nudged` is notified when another node has made a change.
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
            position: watch::Sender::new(Position { id: NodeId::from(String::new()), applied: 0 }),
            nudged,
            is_cut_off: AtomicBool::new(false),
            clock_offset: AtomicI64::new(0),
            disagreements: Mutex::default(),
        }
    }

    /// Stops following changes: memory is not used for decisions until it starts again.
    pub fn halt(&self) {
        self.lease.end();
        self.metrics.lease(false);
    }

    /// Whether the last poll of the store failed.
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off.load(Ordering::Relaxed)
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref()
    }

    /// Returns the ID under which this node is registered; empty if it is not.
    pub(super) fn id(&self) -> NodeId {
        self.position.borrow().id.clone()
    }

    /// Returns the milliseconds by which the database's clock is ahead of the local clock.
    pub fn clock_offset(&self) -> i64 {
        self.clock_offset.load(Ordering::Relaxed)
    }

    /// Applies the changes of other nodes until the process ends. `reload` loads the organizations that changed after a
    /// change number, or all of them.
    pub async fn follow<E: Display, R>(&self, reload: impl Fn(Option<Seq>) -> R + Sync)
    where
        R: Future<Output = Result<(), E>> + Send,
    {
        let (mut position, mut tenants, mut has_failed) = (None, None, false);
        loop {
            let started = clock::boot();
            match self.follow_once(&mut position, &mut tenants, started, &reload).await {
                Ok(true) => continue,
                Ok(false) => {
                    self.is_cut_off.store(false, Ordering::Relaxed);
                    if std::mem::take(&mut has_failed) {
                        tracing::info!("following changes of other nodes again");
                    }
                    self.metrics.followed(clock::boot().since(started));
                }
                Err(error) => {
                    // After the process was suspended, the poll has timed out although the database may respond: try
                    // again immediately.
                    let is_late = matches!(error, FollowError::Store(StoreError::Silent));
                    if is_late && clock::boot().since(started) > POLL_TIMEOUT + STOPPED {
                        continue;
                    }
                    if !has_failed {
                        tracing::error!(%error, "failed to follow changes of other nodes; decisions read the database");
                    }
                    has_failed = true;
                    // Only if the database itself failed do decisions stop reading it.
                    let is_database_error = matches!(error, FollowError::Store(_));
                    self.is_cut_off.store(is_database_error, Ordering::Relaxed);
                    self.metrics.follow_failed();
                    if let FollowError::Store(error) = &error {
                        self.recover_pool(error).await;
                    }
                }
            }
            self.metrics.lease(self.lease.is_live(clock::boot()));
            let pause = POLL_INTERVAL.saturating_sub(clock::boot().since(started));
            // A notification ends the pause, but not before the minimum interval; further notifications are then
            // covered too.
            let _ = tokio::time::timeout(pause, self.nudged.notified()).await;
            tokio::time::sleep(MIN_POLL_INTERVAL.saturating_sub(clock::boot().since(started))).await;
        }
    }

    /// Polls once and applies the changes. Returns whether to poll again immediately.
    async fn follow_once<E: Display, R>(
        &self,
        following: &mut Option<Position>,
        tenants: &mut Option<Seq>,
        started: BootTime,
        reload: &(impl Fn(Option<Seq>) -> R + Sync),
    ) -> Result<bool, FollowError>
    where
        R: Future<Output = Result<(), E>> + Send,
    {
        let Some(position) = following else {
            *following = Some(self.join().await?);
            // The lease must not start before the registration, because changes made in between do not wait for this
            // node.
            return Ok(true);
        };
        let requested_at = clock::now();
        let request = self.store.follow(position.applied, &position.id, FOLLOW_LIMIT);
        let Ok(batch) = tokio::time::timeout(POLL_TIMEOUT, request).await else {
            return Err(StoreError::Silent.into());
        };
        let batch = batch?;
        self.compare_clocks(requested_at, &batch);
        if !batch.is_member || batch.has_lost_changes || position.applied < batch.pruned_seq {
            self.lease.end();
            tracing::warn!(
                node = position.id.as_str(),
                "this node was removed by others or was unavailable for too long; registering again"
            );
            if batch.has_lost_changes {
                self.begin_epoch().await?;
            }
            // Earlier numbers may have been used a second time, so everything is read again.
            *tenants = None;
            *following = None;
            return Ok(true);
        }
        for change in &batch.changes {
            if let Some(token) = &change.token {
                self.list.apply_token_revocation(&token.jti, token.expires_at);
            } else if let Some(customer) = &change.customer {
                self.list.apply_customer_change(customer);
            } else {
                self.list.apply_key_change(&change.key);
            }
        }
        if !batch.is_complete {
            position.applied = batch.changes.last().map_or(position.applied, |change| change.seq);
            return Ok(true);
        }
        if tenants.is_none_or(|known| batch.tenants_seq > known) {
            reload(*tenants).await.map_err(|error| FollowError::Reload(error.to_string()))?;
            *tenants = Some(batch.tenants_seq);
        }
        position.applied = batch.last_seq;
        self.lease.extend(started);
        self.position.send_if_modified(|published| {
            let is_changed = *published != *position;
            published.clone_from(position);
            is_changed
        });
        self.metrics.applied(batch.last_seq);
        Ok(false)
    }

    /// Registers under a new ID, with empty memory.
    async fn join(&self) -> Result<Position, FollowError> {
        self.lease.end();
        let id = NodeId::from(random::identifier()?);
        self.store.join(&id, self.database_time()).await?;
        let old = self.position.send_replace(Position { id: id.clone(), applied: 0 });
        if !old.id.as_str().is_empty() {
            self.store.leave(&old.id).await?;
        }
        // From here on every change waits for this node, and later changes are followed. Only now is memory emptied: a
        // record that is read from here on is at least as new as the position from which changes are followed.
        let applied = match self.store.last_seq().await {
            Err(StoreError::LostChanges) => self.begin_epoch().await?,
            applied => applied?,
        };
        self.list.forget_records();
        for token in self.store.revoked_tokens().await? {
            self.list.apply_token_revocation(&token.jti, token.expires_at);
        }
        tracing::info!(node = id.as_str(), change = applied, "registered this node");
        Ok(Position { id, applied })
    }

    /// Starts a new epoch, if no other node has started it. Returns the number of the last change.
    async fn begin_epoch(&self) -> Result<Seq, StoreError> {
        tracing::error!("the database went back in time: a restore, or a fail-over that lost changes");
        self.store.begin_epoch(clock::now()).await?;
        self.store.last_seq().await
    }

    /// Reports the last applied change to other nodes: through Redis, and through the store. The store is updated
    /// immediately if Redis is not available, and otherwise soon, for nodes that cannot reach Redis.
    pub async fn report(&self) {
        let mut positions = self.position.subscribe();
        let (mut reported_at, mut reported) = (BootTime::from_nanos(0), None);
        loop {
            let is_reported = reported.as_ref() == Some(&*positions.borrow());
            let pause = if is_reported { REPORT_INTERVAL / 2 } else { CHANGE_REPORT_INTERVAL };
            let _ = tokio::time::timeout(pause, positions.changed()).await;
            let position = positions.borrow_and_update().clone();
            if position.id.as_str().is_empty() {
                continue;
            }
            let has_redis = match &self.redis {
                Some(redis) => redis.report(&position.id, position.applied).await.is_ok(),
                None => false,
            };
            let now = clock::boot();
            let is_due = match now.since(reported_at) {
                silence if silence >= REPORT_INTERVAL => true,
                _ if reported.as_ref() == Some(&position) => false,
                silence => !has_redis || silence >= CHANGE_REPORT_INTERVAL,
            };
            if is_due && !self.is_cut_off() {
                match self.store.report(&position.id, position.applied, self.database_time()).await {
                    Ok(()) => (reported_at, reported) = (now, Some(position)),
                    Err(error) => {
                        tracing::debug!(%error, "failed to report applied changes to the store");
                        self.recover_pool(&error).await;
                    }
                }
            }
        }
    }

    /// Unregisters this node after it has stopped deciding, and closes the store.
    pub async fn leave(&self) {
        self.lease.end();
        let id = self.position.borrow().id.clone();
        if let Err(error) = self.store.leave(&id).await {
            tracing::warn!(%error, "failed to unregister this node; other nodes will remove it");
        }
        self.store.close().await;
    }

    /// Waits until this node has applied every change that is committed now. Fails after a time limit.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let seq = self.store.last_seq().await?;
        let mut positions = self.position.subscribe();
        self.nudged.notify_one();
        let following = positions.wait_for(|position| position.applied >= seq);
        match tokio::time::timeout(CATCH_UP, following).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StoreError::Silent),
        }
    }

    /// Waits until a committed change is effective on every node.
    pub async fn settle(self: &Arc<Self>, seq: Seq) {
        let committed = clock::boot();
        let leases_over = committed.plus(LEASE).plus(MARGIN);
        let mut others: Option<Vec<RegisteredNode>> = None;
        let (mut pause, mut read_nodes_at) = (Duration::from_millis(1), committed);
        loop {
            // 1. The nodes to wait for. Read after the commit, because nodes that register later start with the change.
            if clock::boot() >= read_nodes_at {
                let own = self.position.borrow().id.clone();
                match tokio::time::timeout(LEASE + MARGIN, self.store.nodes()).await {
                    Ok(Ok(nodes)) => {
                        // Only those in the first result; nodes that registered later have the change.
                        let is_awaited = |node: &RegisteredNode| match &others {
                            Some(others) => others.iter().any(|other| other.id == node.id),
                            None => node.id != own,
                        };
                        others = Some(nodes.into_iter().filter(is_awaited).filter(|node| node.applied < seq).collect());
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "failed to read the registered nodes"),
                    Err(_) => {}
                }
                read_nodes_at = clock::boot().plus(Duration::from_millis(50));
            }

            // 2. The nodes that have applied the change.
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

            // 3. No node can act on the state before the change.
            if now >= leases_over {
                self.metrics.settled(Settled::LeasesOver, now.since(committed));
                let cluster = self.clone();
                tokio::spawn(async move { cluster.remove_silent(others.unwrap_or_default()).await });
                return;
            }
            tokio::time::sleep(pause.min(leases_over.since(now))).await;
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// Removes nodes that have not reported for a long time, so that later changes do not wait for them. In two steps:
    /// a removed node is still waited for until its lease has expired, because it may be running without knowing that
    /// it was removed.
    async fn remove_silent(&self, silent: Vec<RegisteredNode>) {
        let seen_before = self.database_time().plus_millis(-millis(SILENT_AFTER));
        for node in silent {
            if node.seen_at >= seen_before {
                continue;
            }
            let is_removed = match self.store.remove_silent_node(&node.id, seen_before).await {
                Ok(true) => {
                    tracing::warn!(node = node.id.as_str(), "removed a node that does not respond");
                    true
                }
                // The node that removed it may have stopped before it could unregister it.
                Ok(false) => node.is_removed,
                Err(error) => {
                    tracing::debug!(%error, "failed to remove a silent node");
                    false
                }
            };
            if is_removed {
                let store = self.store.clone();
                tokio::spawn(async move {
                    let removed_at = clock::boot();
                    while clock::boot() < removed_at.plus(LEASE).plus(MARGIN) {
                        tokio::time::sleep(LEASE + MARGIN).await;
                    }
                    if let Err(error) = store.leave(&node.id).await {
                        tracing::debug!(%error, "failed to unregister a removed node");
                    }
                });
            }
        }
    }

    /// Replaces the connection pool if all its connections are broken.
    async fn recover_pool(&self, error: &StoreError) {
        if error.is_pool_exhausted()
            && let Err(error) = self.store.recover().await
        {
            tracing::debug!(%error, "failed to replace the connection pool");
        }
    }

    /// Returns the database's time, as far as it is known.
    pub(super) fn database_time(&self) -> Timestamp {
        clock::now().plus_millis(self.clock_offset())
    }

    fn compare_clocks(&self, requested_at: Timestamp, batch: &ChangeBatch) {
        let Some(clock) = batch.clock else { return };
        let received_at = clock::now();
        let duration = received_at.as_millis() - requested_at.as_millis();
        let offset = clock.as_millis() - requested_at.as_millis() - duration / 2;
        // A slow response is too imprecise.
        if (0..200).contains(&duration) {
            self.clock_offset.store(offset, Ordering::Relaxed);
            self.metrics.clock_offset(offset);
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
