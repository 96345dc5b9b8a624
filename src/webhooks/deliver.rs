//! The delivery loop: claims, so that several nodes share the work, and slots, so that slow receivers do not delay
//! other organizations or webhooks.

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

/// Interval of polling for due deliveries.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Interval of counting waiting deliveries.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Duration of a claim. An attempt and the write of its result take less.
const CLAIM_SECONDS: i64 = 30;

/// A receiver that takes longer than this gets one slot until it responds faster.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// How far a clock can be ahead of the database's before its schedules are corrected.
const CLOCK_TOLERANCE_SECONDS: i64 = 2;

/// Maximum number of webhooks that a node remembers as failing or slow.
const MAX_REMEMBERED: usize = 10_000;

/// How long running attempts can take at shutdown. Unfinished ones are released and repeated.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the time for due deliveries and claims: the database's clock if several nodes share it.
pub(super) fn shared_now(node: &Node) -> Timestamp {
    node.database_time()
}

/// Dependencies of the delivery loop.
pub struct DeliveryWorker {
    pub node: Arc<Node>,
    /// The store with a connection pool of its own, so that deliveries do not delay requests.
    pub outbox: Arc<Store>,
    pub sender: Sender,
    /// Name for claims; unique to each start of the process.
    pub claimant: String,
}

/// Delivers due events until canceled.
pub async fn deliver(worker: Arc<DeliveryWorker>, stop: CancellationToken) {
    // Without other nodes, existing claims belong to a process that has ended.
    if worker.node.cluster.is_none() {
        worker.release(None).await;
    }
    let mut state = DeliveryLoop {
        worker,
        attempts: JoinSet::new(),
        in_flight: HashMap::new(),
        turns: HashMap::new(),
        turn: 0,
        is_cut_off: false,
    };
    let mut polling = interval(POLL_INTERVAL);
    let mut counting = interval(COUNT_INTERVAL);
    for ticks in [&mut polling, &mut counting] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut may_be_more = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = polling.tick() => {
                state.worker.reschedule().await;
                may_be_more = state.start_due().await;
            }
            Some(_) = state.attempts.join_next(), if !state.attempts.is_empty() => {
                if may_be_more {
                    may_be_more = state.start_due().await;
                }
            }
            _ = counting.tick() => state.worker.count().await,
        }
    }
    let ended = timeout(SHUTDOWN_TIMEOUT, async { while state.attempts.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        state.attempts.shutdown().await;
        state.worker.release(Some(&state.worker.claimant)).await;
    }
}

struct DeliveryLoop {
    worker: Arc<DeliveryWorker>,
    attempts: JoinSet<()>,
    in_flight: HashMap<WebhookId, Arc<InFlight>>,
    /// Last turn of each organization with due deliveries.
    turns: HashMap<Slug, u64>,
    turn: u64,
    is_cut_off: bool,
}

/// State of a webhook's deliveries on this node.
struct InFlight {
    organization: Slug,
    attempts: AtomicU32,
    is_failing: AtomicBool,
    is_slow: AtomicBool,
}

/// Held during an attempt.
struct Permit(Arc<InFlight>);

impl Permit {
    fn acquire(in_flight: &Arc<InFlight>) -> Self {
        in_flight.attempts.fetch_add(1, Ordering::Relaxed);
        Self(in_flight.clone())
    }

    /// Makes an attempt and records whether the receiver is failing or slow.
    async fn attempt(self, worker: &DeliveryWorker, webhook: &Webhook, delivery: Delivery) {
        let attempt = attempt(worker, webhook, delivery);
        tokio::pin!(attempt);
        let is_accepted = match timeout(SLOW_AFTER, &mut attempt).await {
            Ok(is_accepted) => {
                // One fast response among slow ones does not reset the flag.
                if self.0.attempts.load(Ordering::Relaxed) == 1 {
                    self.0.is_slow.store(false, Ordering::Relaxed);
                }
                is_accepted
            }
            Err(_) => {
                self.0.is_slow.store(true, Ordering::Relaxed);
                attempt.await
            }
        };
        self.0.is_failing.store(!is_accepted, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.attempts.fetch_sub(1, Ordering::Relaxed);
    }
}

impl InFlight {
    fn new(organization: &Slug) -> Self {
        Self {
            organization: organization.clone(),
            attempts: AtomicU32::new(0),
            is_failing: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
        }
    }

    fn is_busy(&self) -> bool {
        self.attempts.load(Ordering::Relaxed) > 0
    }

    fn is_limited(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed) || self.is_slow.load(Ordering::Relaxed)
    }
}

impl DeliveryLoop {
    /// Starts attempts for due deliveries. Returns whether more may be due than there were slots for.
    async fn start_due(&mut self) -> bool {
        self.in_flight.retain(|_, webhook| webhook.is_busy() || webhook.is_limited());
        if self.in_flight.len() > MAX_REMEMBERED {
            self.in_flight.retain(|_, webhook| webhook.is_busy());
        }
        match self.claim_and_start().await {
            Ok(may_be_more) => {
                self.is_cut_off = false;
                may_be_more
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_cut_off, true) {
                    tracing::warn!(%error, "failed to read due webhook deliveries");
                }
                self.worker.recover(&error).await;
                false
            }
        }
    }

    async fn claim_and_start(&mut self) -> Result<bool, StoreError> {
        // 1. Due deliveries, and the number of slots for each webhook.
        let worker = self.worker.clone();
        let due = worker.outbox.due_webhooks(shared_now(&worker.node), AT_ONCE_OF_WEBHOOK).await?;
        let grants = self.share(&due);

        // 2. Claims, and attempts for the deliveries that this node claimed first.
        let mut may_be_more = false;
        for (DueWebhook { webhook, due }, slots) in due.into_iter().zip(grants) {
            may_be_more |= slots < due || slots == AT_ONCE_OF_WEBHOOK;
            if slots == 0 {
                continue;
            }
            let in_flight = self
                .in_flight
                .entry(webhook.id.clone())
                .or_insert_with(|| Arc::new(InFlight::new(&webhook.organization)));
            let in_flight = in_flight.clone();
            let now = shared_now(&worker.node);
            let until = now.plus_seconds(CLAIM_SECONDS);
            let terms = ClaimTerms { by: &worker.claimant, now, until, limit: slots };
            let claimed = worker.outbox.claim_deliveries(&webhook.id, terms).await?;
            let webhook = Arc::new(webhook);
            for delivery in claimed {
                let (worker, webhook, permit) = (worker.clone(), webhook.clone(), Permit::acquire(&in_flight));
                self.attempts.spawn(async move { permit.attempt(&worker, &webhook, delivery).await });
            }
        }
        Ok(may_be_more)
    }

    /// Returns how many attempts may begin for each webhook with due deliveries.
    fn share(&mut self, due: &[DueWebhook]) -> Vec<u32> {
        let mut usages: HashMap<Slug, Usage> = HashMap::new();
        for webhook in self.in_flight.values() {
            usages.entry(webhook.organization.clone()).or_default().under_way +=
                webhook.attempts.load(Ordering::Relaxed);
        }
        let candidate = |DueWebhook { webhook, due }: &DueWebhook| {
            let in_flight = self.in_flight.get(&webhook.id);
            Candidate {
                organization: webhook.organization.clone(),
                under_way: in_flight.map_or(0, |in_flight| in_flight.attempts.load(Ordering::Relaxed)),
                limit: if in_flight.is_some_and(|in_flight| in_flight.is_limited()) { 1 } else { AT_ONCE_OF_WEBHOOK },
                due: *due,
            }
        };
        let candidates: Vec<Candidate> = due.iter().map(candidate).collect();
        for candidate in &candidates {
            let last_turn = self.turns.get(&candidate.organization).copied().unwrap_or(0);
            usages.entry(candidate.organization.clone()).or_default().last_turn = last_turn;
        }
        let grants = share(&candidates, &mut usages, &mut self.turn);
        // An organization without due deliveries keeps no turn.
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

impl DeliveryWorker {
    /// Updates the metrics of waiting deliveries.
    async fn count(&self) {
        match self.outbox.backlog().await {
            Ok(backlog) => {
                let now = shared_now(&self.node);
                let oldest = backlog.oldest.map_or(0, |oldest| now.millis_since(oldest).max(0) / 1000);
                self.node.metrics.webhooks().backlog(backlog.pending, oldest);
            }
            Err(error) => tracing::debug!(%error, "failed to count waiting webhook deliveries"),
        }
    }

    /// Corrects schedules of a clock that was ahead.
    async fn reschedule(&self) {
        match self.outbox.reschedule_deliveries(shared_now(&self.node), CLOCK_TOLERANCE_SECONDS).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "rescheduled deliveries that a clock running ahead had put off"),
            Err(error) => tracing::debug!(%error, "failed to find deliveries scheduled by a clock running ahead"),
        }
    }

    async fn release(&self, claimant: Option<&str>) {
        if let Err(error) = self.outbox.release_claims(claimant, shared_now(&self.node)).await {
            tracing::warn!(%error, "failed to release claimed deliveries; the claims expire");
        }
    }

    /// Replaces the connection pool if all its connections are broken.
    async fn recover(&self, error: &StoreError) {
        if error.is_pool_exhausted()
            && let Err(error) = self.outbox.recover().await
        {
            tracing::debug!(%error, "failed to replace the connection pool");
        }
    }
}
