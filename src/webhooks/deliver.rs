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
use crate::domain::webhook::{Webhook, WebhookId};
use crate::node::Node;
use crate::store::{ClaimTerms, StoreError};
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

/// Delivers what is due until told to stop.
pub async fn deliver(node: Arc<Node>, courier: Arc<Courier>, claimant: String, stop: Arc<Notify>) {
    // Alone with its store, whoever has claimed something is no more.
    if node.cluster.is_none() {
        release(&node, None).await;
    }
    let mut work = Work { node, courier, claimant: claimant.into(), under_way: JoinSet::new(), loads: HashMap::new() };
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
            _ = counting.tick() => work.count().await,
        }
    }
    let ended = timeout(LAST_ATTEMPTS, async { while work.under_way.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        work.under_way.shutdown().await;
        release(&work.node, Some(&work.claimant)).await;
    }
}

struct Work {
    node: Arc<Node>,
    courier: Arc<Courier>,
    claimant: Arc<str>,
    under_way: JoinSet<()>,
    loads: HashMap<WebhookId, Arc<Load>>,
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
            Ok(may_be_more) => may_be_more,
            Err(error) => {
                tracing::warn!(%error, "what is due for webhooks could not be taken up; it waits");
                false
            }
        }
    }

    async fn claim_and_begin(&mut self) -> Result<bool, StoreError> {
        let mut may_be_more = false;
        for webhook in self.node.store.due_webhooks(shared_now(&self.node)).await? {
            let load = self.loads.entry(webhook.id.clone()).or_default().clone();
            let slots = load.free().min(u32::try_from(AT_ONCE.saturating_sub(self.under_way.len())).unwrap_or(0));
            if slots == 0 {
                may_be_more = true;
                continue;
            }
            let now = shared_now(&self.node);
            let terms = ClaimTerms { by: &self.claimant, now, until: now.plus_seconds(CLAIM_SECONDS), limit: slots };
            let claimed = self.node.store.claim_deliveries(&webhook.id, terms).await?;
            may_be_more |= claimed.len() == slots as usize;
            let webhook = Arc::new(webhook);
            for delivery in claimed {
                let (node, courier, claimant) = (self.node.clone(), self.courier.clone(), self.claimant.clone());
                let (webhook, slot): (Arc<Webhook>, _) = (webhook.clone(), Slot::take(&load));
                self.under_way.spawn(async move {
                    let is_taken = attempt(&node, &courier, &claimant, &webhook, delivery).await;
                    slot.0.is_failing.store(!is_taken, Ordering::Relaxed);
                });
            }
        }
        Ok(may_be_more)
    }

    /// Counts what waits, for whoever watches.
    async fn count(&self) {
        match self.node.store.backlog().await {
            Ok(backlog) => {
                let now = shared_now(&self.node);
                let oldest = backlog.oldest.map_or(0, |oldest| now.millis_since(oldest).max(0) / 1000);
                self.node.metrics.webhooks().backlog(backlog.pending, oldest);
            }
            Err(error) => tracing::debug!(%error, "what waits for webhooks could not be counted"),
        }
    }
}

async fn release(node: &Node, claimant: Option<&str>) {
    if let Err(error) = node.store.release_claims(claimant, shared_now(node)).await {
        tracing::warn!(%error, "claimed deliveries could not be given back; they come free by themselves");
    }
}
