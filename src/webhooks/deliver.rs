//! Delivering what is due: claims, so that several nodes share the work, and slots, so that a slow receiver holds up
//! nobody but itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock;
use crate::courier::Courier;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::WebhookId;
use crate::node::Node;
use crate::store::{ClaimTerms, Store, StoreError};
use crate::webhooks::attempt::attempt;

/// How often what is due is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often what waits is counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// For how long a claim holds: an attempt, and writing what became of it, take less.
const CLAIM_SECONDS: i64 = 30;

/// Attempts that one node makes at once.
const AT_ONCE: usize = 256;

/// Attempts for one webhook that one node makes at once; one alone for a webhook that took nothing the last time.
const AT_ONCE_OF_WEBHOOK: u32 = 4;

/// Webhooks that one node remembers to have taken nothing.
const MAX_REMEMBERED: usize = 10_000;

/// How long attempts under way may go on once a node is told to stop. Then they are given back, to be made again.
const LAST_ATTEMPTS: Duration = Duration::from_secs(5);

/// The time by which deliveries are due and claims run out: the database's clock, where nodes share one.
pub(super) fn shared_now(node: &Node) -> Timestamp {
    clock::now().plus_millis(node.cluster.as_ref().map_or(0, |cluster| cluster.clock_offset()))
}

/// What delivering takes.
pub struct Outgoing {
    /// The node.
    pub node: Arc<Node>,
    /// Its store, over connections of their own: what is told keeps nobody waiting who asks.
    pub outbox: Arc<dyn Store>,
    /// Who sends.
    pub courier: Courier,
    /// The name that deliveries are claimed under; no two runs have the same.
    pub claimant: String,
}

/// Delivers what is due until told to stop.
pub async fn deliver(outgoing: Outgoing, stop: Arc<Notify>) {
    // Alone with its store, whoever has claimed something is no more.
    if outgoing.node.cluster.is_none() {
        outgoing.release(None).await;
    }
    let mut work =
        Work { outgoing: Arc::new(outgoing), under_way: JoinSet::new(), loads: HashMap::new(), is_cut_off: false };
    let mut looking = interval(LOOK_EVERY);
    let mut counting = interval(COUNT_EVERY);
    for ticks in [&mut looking, &mut counting] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut may_be_more = false;
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => break,
            _ = looking.tick() => may_be_more = work.take_up().await,
            Some(_) = work.under_way.join_next(), if !work.under_way.is_empty() => {
                if may_be_more {
                    may_be_more = work.take_up().await;
                }
            }
            _ = counting.tick() => work.outgoing.count().await,
        }
    }
    let ended = timeout(LAST_ATTEMPTS, async { while work.under_way.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        work.under_way.shutdown().await;
        work.outgoing.release(Some(&work.outgoing.claimant)).await;
    }
}

struct Work {
    outgoing: Arc<Outgoing>,
    under_way: JoinSet<()>,
    loads: HashMap<WebhookId, Arc<Load>>,
    is_cut_off: bool,
}

/// What this node is doing for a webhook.
#[derive(Default)]
struct Load {
    under_way: AtomicU32,
    is_failing: AtomicBool,
}

/// Held during an attempt.
struct Slot(Arc<Load>);

impl Slot {
    fn take(load: &Arc<Load>) -> Self {
        load.under_way.fetch_add(1, Ordering::Relaxed);
        Self(load.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Load {
    fn free(&self) -> u32 {
        let most = if self.is_failing.load(Ordering::Relaxed) { 1 } else { AT_ONCE_OF_WEBHOOK };
        most.saturating_sub(self.under_way.load(Ordering::Relaxed))
    }
}

impl Work {
    /// Begins attempts at what is due. True: there may be more than there are slots for.
    async fn take_up(&mut self) -> bool {
        self.loads
            .retain(|_, load| load.under_way.load(Ordering::Relaxed) > 0 || load.is_failing.load(Ordering::Relaxed));
        if self.loads.len() > MAX_REMEMBERED {
            self.loads.retain(|_, load| load.under_way.load(Ordering::Relaxed) > 0);
        }
        match self.claim_and_begin().await {
            Ok(may_be_more) => {
                self.is_cut_off = false;
                may_be_more
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_cut_off, true) {
                    tracing::warn!(%error, "what is due for webhooks cannot be taken up; it waits");
                }
                self.outgoing.mend(&error).await;
                false
            }
        }
    }

    async fn claim_and_begin(&mut self) -> Result<bool, StoreError> {
        let outgoing = self.outgoing.clone();
        let mut may_be_more = false;
        for webhook in outgoing.outbox.due_webhooks(shared_now(&outgoing.node)).await? {
            let load = self.loads.entry(webhook.id.clone()).or_default().clone();
            let slots = load.free().min(u32::try_from(AT_ONCE.saturating_sub(self.under_way.len())).unwrap_or(0));
            if slots == 0 {
                may_be_more = true;
                continue;
            }
            let now = shared_now(&outgoing.node);
            let until = now.plus_seconds(CLAIM_SECONDS);
            let terms = ClaimTerms { by: &outgoing.claimant, now, until, limit: slots };
            let claimed = outgoing.outbox.claim_deliveries(&webhook.id, terms).await?;
            may_be_more |= claimed.len() == slots as usize;
            let webhook = Arc::new(webhook);
            for delivery in claimed {
                let (outgoing, webhook, slot) = (outgoing.clone(), webhook.clone(), Slot::take(&load));
                self.under_way.spawn(async move {
                    let is_taken = attempt(&outgoing, &webhook, delivery).await;
                    slot.0.is_failing.store(!is_taken, Ordering::Relaxed);
                });
            }
        }
        Ok(may_be_more)
    }
}

impl Outgoing {
    /// Counts what waits, for whoever watches.
    async fn count(&self) {
        match self.outbox.backlog().await {
            Ok(backlog) => {
                let now = shared_now(&self.node);
                let oldest = backlog.oldest.map_or(0, |oldest| now.millis_since(oldest).max(0) / 1000);
                self.node.metrics.webhooks().backlog(backlog.pending, oldest);
            }
            Err(error) => tracing::debug!(%error, "what waits for webhooks could not be counted"),
        }
    }

    async fn release(&self, claimant: Option<&str>) {
        if let Err(error) = self.outbox.release_claims(claimant, shared_now(&self.node)).await {
            tracing::warn!(%error, "claimed deliveries could not be given back; they come free by themselves");
        }
    }

    /// Replaces connections that were all lost in silence.
    async fn mend(&self, error: &StoreError) {
        if error.is_used_up()
            && let Err(error) = self.outbox.recover().await
        {
            tracing::debug!(%error, "the connections to the database could not be replaced");
        }
    }
}
