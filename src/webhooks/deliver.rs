//! Delivering what is due: claims, so that several nodes share the work, and slots, so that slow receivers hold up neither
//! other organizations nor other webhooks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::{Delivery, Webhook, WebhookId};
use crate::node::Node;
use crate::outbound::Sender;
use crate::store::{ClaimTerms, DueWebhook, Store, StoreError};
use crate::webhooks::attempt::attempt;
use crate::webhooks::shares::{AT_ONCE_OF_WEBHOOK, Candidate, Usage, share};

/// How often what is due is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often what waits is counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// For how long a claim holds: an attempt, and writing what became of it, take less.
const CLAIM_SECONDS: i64 = 30;

/// A receiver that takes longer than this has one slot until it is quicker.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// How far a clock may run ahead of the database's before what it scheduled is moved back.
const CLOCK_TOLERANCE_SECONDS: i64 = 2;

/// Webhooks that one node remembers as failing or slow.
const MAX_REMEMBERED: usize = 10_000;

/// How long attempts under way may go on once a node is told to stop. Then they are given back, to be made again.
const LAST_ATTEMPTS: Duration = Duration::from_secs(5);

/// The time by which deliveries are due and claims run out: the database's clock, where nodes share one.
pub(super) fn shared_now(node: &Node) -> Timestamp {
    node.database_time()
}

/// What delivering takes.
pub struct Outgoing {
    /// The node.
    pub node: Arc<Node>,
    /// Its store, over connections of their own: what is told keeps nobody waiting who asks.
    pub outbox: Arc<Store>,
    /// Who sends.
    pub sender: Sender,
    /// The name that deliveries are claimed under; no two runs have the same.
    pub claimant: String,
}

/// Delivers what is due until told to stop.
pub async fn deliver(outgoing: Arc<Outgoing>, stop: CancellationToken) {
    // Alone with its store, whoever has claimed something is no more.
    if outgoing.node.cluster.is_none() {
        outgoing.release(None).await;
    }
    let mut work = Work {
        outgoing,
        under_way: JoinSet::new(),
        loads: HashMap::new(),
        turns: HashMap::new(),
        turn: 0,
        is_cut_off: false,
    };
    let mut looking = interval(LOOK_EVERY);
    let mut counting = interval(COUNT_EVERY);
    for ticks in [&mut looking, &mut counting] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut may_be_more = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = looking.tick() => {
                work.outgoing.reschedule().await;
                may_be_more = work.take_up().await;
            }
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
    /// The last turn of each organization.
    turns: HashMap<Slug, u64>,
    turn: u64,
    is_cut_off: bool,
}

/// What this node is doing for a webhook.
struct Load {
    organization: Slug,
    under_way: AtomicU32,
    is_failing: AtomicBool,
    is_slow: AtomicBool,
}

/// Held during an attempt.
struct Slot(Arc<Load>);

impl Slot {
    fn take(load: &Arc<Load>) -> Self {
        load.under_way.fetch_add(1, Ordering::Relaxed);
        Self(load.clone())
    }

    /// Makes an attempt, and notes how the receiver does.
    async fn attempt(self, outgoing: &Outgoing, webhook: &Webhook, delivery: Delivery) {
        let attempt = attempt(outgoing, webhook, delivery);
        tokio::pin!(attempt);
        let is_taken = match timeout(SLOW_AFTER, &mut attempt).await {
            Ok(is_taken) => {
                // One quick answer among slow ones does not make a receiver quick.
                if self.0.under_way.load(Ordering::Relaxed) == 1 {
                    self.0.is_slow.store(false, Ordering::Relaxed);
                }
                is_taken
            }
            Err(_) => {
                self.0.is_slow.store(true, Ordering::Relaxed);
                attempt.await
            }
        };
        self.0.is_failing.store(!is_taken, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Load {
    fn new(organization: &Slug) -> Self {
        Self {
            organization: organization.clone(),
            under_way: AtomicU32::new(0),
            is_failing: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
        }
    }

    fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    fn is_limited(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed) || self.is_slow.load(Ordering::Relaxed)
    }
}

impl Work {
    /// Begins attempts at what is due. True: there may be more than there are slots for.
    async fn take_up(&mut self) -> bool {
        self.loads.retain(|_, load| load.is_busy() || load.is_limited());
        if self.loads.len() > MAX_REMEMBERED {
            self.loads.retain(|_, load| load.is_busy());
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
        // 1. What is due, and who may have how many slots.
        let outgoing = self.outgoing.clone();
        let due = outgoing.outbox.due_webhooks(shared_now(&outgoing.node), AT_ONCE_OF_WEBHOOK).await?;
        let grants = self.share(&due);

        // 2. Claims, and attempts at what this node was first to claim.
        let mut may_be_more = false;
        for (DueWebhook { webhook, due }, slots) in due.into_iter().zip(grants) {
            may_be_more |= slots < due || slots == AT_ONCE_OF_WEBHOOK;
            if slots == 0 {
                continue;
            }
            let load =
                self.loads.entry(webhook.id.clone()).or_insert_with(|| Arc::new(Load::new(&webhook.organization)));
            let load = load.clone();
            let now = shared_now(&outgoing.node);
            let until = now.plus_seconds(CLAIM_SECONDS);
            let terms = ClaimTerms { by: &outgoing.claimant, now, until, limit: slots };
            let claimed = outgoing.outbox.claim_deliveries(&webhook.id, terms).await?;
            let webhook = Arc::new(webhook);
            for delivery in claimed {
                let (outgoing, webhook, slot) = (outgoing.clone(), webhook.clone(), Slot::take(&load));
                self.under_way.spawn(async move { slot.attempt(&outgoing, &webhook, delivery).await });
            }
        }
        Ok(may_be_more)
    }

    /// Returns how many attempts may begin for each webhook with due deliveries.
    fn share(&mut self, due: &[DueWebhook]) -> Vec<u32> {
        let mut usages: HashMap<Slug, Usage> = HashMap::new();
        for load in self.loads.values() {
            usages.entry(load.organization.clone()).or_default().under_way += load.under_way.load(Ordering::Relaxed);
        }
        let candidate = |DueWebhook { webhook, due }: &DueWebhook| {
            let load = self.loads.get(&webhook.id);
            Candidate {
                organization: webhook.organization.clone(),
                under_way: load.map_or(0, |load| load.under_way.load(Ordering::Relaxed)),
                limit: if load.is_some_and(|load| load.is_limited()) { 1 } else { AT_ONCE_OF_WEBHOOK },
                due: *due,
            }
        };
        let candidates: Vec<Candidate> = due.iter().map(candidate).collect();
        for candidate in &candidates {
            let last_turn = self.turns.get(&candidate.organization).copied().unwrap_or(0);
            usages.entry(candidate.organization.clone()).or_default().last_turn = last_turn;
        }
        let grants = share(&candidates, &mut usages, &mut self.turn);
        // An organization without due deliveries needs no turn.
        self.turns = candidates
            .into_iter()
            .map(|candidate| {
                let last_turn = usages.get(&candidate.organization).map_or(0, |usage| usage.last_turn);
                (candidate.organization, last_turn)
            })
            .collect();
        grants
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

    /// Moves back what a clock that was ahead put into the future.
    async fn reschedule(&self) {
        match self.outbox.reschedule_deliveries(shared_now(&self.node), CLOCK_TOLERANCE_SECONDS).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "rescheduled deliveries that a clock running ahead had put off"),
            Err(error) => tracing::debug!(%error, "failed to look for deliveries scheduled by a clock running ahead"),
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
