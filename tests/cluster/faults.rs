//! The fault of each scenario, and the evidence that it had an effect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::cluster::{Cluster, JOINING, NODES};
use crate::history::Outcome;
use crate::http::Silence;
use crate::load::Load;
use crate::proxy::Flow;
use crate::{probes, redis_faults, restore};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Fault {
    None,
    RedisKilled,
    RedisRestartedEmpty,
    RedisRestartedFromOldFile,
    RedisFlushed,
    RedisStopped,
    RedisUnreachableTo,
    RedisUnreachableFrom,
    RedisUnreachable,
    RedisCut,
    RedisFailover,
    RedisSplitBrain,
    PostgresRestarted,
    PostgresCrashed,
    PostgresDown,
    PostgresSlow,
    PostgresSlowReads,
    PostgresSlowPolls,
    PostgresUnreachable,
    PostgresRestored,
    NodeStopped,
    NodeKilled,
    NodeJoins,
    NodeRestarted,
    ClientsReset,
    RedisKilledNodeStopped,
}

/// Evidence of the fault.
#[derive(Default)]
pub struct Evidence(pub Vec<(bool, String)>);

impl Evidence {
    /// Records an observation, and whether it shows that the fault had an effect.
    pub fn shows(&mut self, bit: bool, what: String) {
        self.0.push((bit, what));
    }

    /// Records a fact.
    pub fn notes(&mut self, what: String) {
        self.0.push((true, what));
    }
}

impl Fault {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
    }

    /// Whether a node may return 503: it does not reach PostgreSQL, its deadlines passed while it was suspended, or a
    /// change waited for too long behind those of a node that reaches PostgreSQL slowly.
    pub fn excuses_unavailable(self, node: Option<usize>, is_change: bool) -> bool {
        match self {
            Self::PostgresRestarted | Self::PostgresCrashed | Self::PostgresDown => true,
            Self::PostgresSlow => node == Some(0) || is_change,
            Self::PostgresSlowReads | Self::PostgresSlowPolls | Self::PostgresUnreachable => node == Some(0),
            Self::NodeStopped | Self::RedisKilledNodeStopped => node == Some(0),
            _ => false,
        }
    }

    /// Injects the fault under load, for about this long. The cluster recovers afterwards.
    pub async fn inject(self, cluster: &mut Cluster, load: &Arc<Load>, hold: Duration) -> Result<Evidence, String> {
        let mut evidence = Evidence::default();
        match self {
            Self::None => {
                let before = cluster.metric("change_wait_seconds_count", "followed").await;
                sleep(hold).await;
                let followed = cluster.metric("change_wait_seconds_count", "followed").await - before;
                evidence.shows(
                    followed > 0.0,
                    format!("{followed} changes were confirmed because all nodes had applied them"),
                );
            }
            Self::RedisKilled => {
                cluster.redis.kill().await?;
                redis_faults::redis_is_away(cluster, &mut evidence, hold).await;
            }
            Self::RedisStopped => {
                cluster.redis.signal(Signal::STOP)?;
                redis_faults::redis_is_away(cluster, &mut evidence, hold.max(Duration::from_secs(5))).await;
                cluster.redis.signal(Signal::CONT)?;
                sleep(Duration::from_secs(1)).await;
            }
            Self::RedisRestartedEmpty => redis_faults::restart_redis(cluster, &mut evidence, hold, false).await?,
            Self::RedisRestartedFromOldFile => redis_faults::restart_redis(cluster, &mut evidence, hold, true).await?,
            Self::RedisFlushed => redis_faults::flush_redis(cluster, &mut evidence, hold).await?,
            Self::RedisUnreachableTo => {
                redis_faults::silence_redis(cluster, &mut evidence, hold, (Flow::Hold, Flow::Pass)).await
            }
            Self::RedisUnreachableFrom => {
                redis_faults::silence_redis(cluster, &mut evidence, hold, (Flow::Pass, Flow::Hold)).await
            }
            Self::RedisUnreachable => {
                redis_faults::silence_redis(cluster, &mut evidence, hold, (Flow::Hold, Flow::Hold)).await
            }
            Self::RedisCut => {
                let proxy = &cluster.nodes[0].redis;
                let before = proxy.bites()[0];
                proxy.cut();
                sleep(hold).await;
                let refused = proxy.bites()[0] - before;
                evidence.shows(refused > 0, format!("{refused} connections to Redis were refused"));
                proxy.pass();
                sleep(Duration::from_secs(1)).await;
            }
            Self::RedisFailover => redis_faults::fail_over(cluster, &mut evidence, hold, false).await?,
            Self::RedisSplitBrain => redis_faults::fail_over(cluster, &mut evidence, hold, true).await?,
            Self::PostgresRestarted => restart_postgres(cluster, load, &mut evidence, hold, false).await?,
            Self::PostgresCrashed => restart_postgres(cluster, load, &mut evidence, hold, true).await?,
            Self::PostgresDown => {
                cluster.postgres.stop(true).await?;
                let outage = load.scene.recorder.outage_begins(None);
                sleep(hold.max(Duration::from_secs(4))).await;
                evidence.shows(!cluster.postgres.answers().await, "PostgreSQL took nobody in".into());
                load.scene.recorder.outage_ends(outage);
                cluster.postgres.start_again().await?;
                probes::unavailable(load, outage, &mut evidence);
                let took = recovered(cluster).await?;
                evidence.notes(format!("all nodes ready {took} ms after PostgreSQL"));
                sleep(Duration::from_millis(1500)).await;
            }
            Self::PostgresUnreachable => {
                let held = cluster.nodes[0].postgres.bites()[1];
                mute(cluster, 0).await;
                let allowed = probes::allow_audience(load).await;
                cluster.nodes[0].postgres.flow(Flow::Hold, Flow::Hold);
                let outage = load.scene.recorder.outage_begins(Some(0));
                match allowed {
                    Some(allowed) => probes::remove_audience_twice(load, allowed, &mut evidence).await,
                    None => load.calm(false),
                }
                let changes = probes::revoke_elsewhere(load, 12).await;
                sleep(hold.max(Duration::from_secs(4)).saturating_sub(changes.1)).await;
                let burst = load.burst(0, &changes.0).await;
                sleep(Duration::from_millis(600)).await;
                load.scene.recorder.outage_ends(outage);
                let held = cluster.nodes[0].postgres.bites()[1] - held;
                cluster.nodes[0].postgres.pass();
                evidence.shows(held > 0, format!("{held} pieces to or from PostgreSQL were held"));
                probes::unavailable(load, outage, &mut evidence);
                probes::answered(burst, &mut evidence).await;
            }
            Self::PostgresRestored => restore::restore(cluster, load, &mut evidence, hold).await?,
            Self::PostgresSlow => slow_postgres(cluster, load, &mut evidence, hold).await,
            Self::PostgresSlowReads => slow_reads(cluster, load, &mut evidence, hold).await,
            Self::PostgresSlowPolls => slow_polls(cluster, load, &mut evidence, hold).await,
            Self::NodeStopped => stop_node(cluster, load, &mut evidence, hold).await?,
            Self::RedisKilledNodeStopped => {
                cluster.redis.kill().await?;
                evidence.shows(!cluster.redis.answers().await, "PING had no answer".into());
                stop_node(cluster, load, &mut evidence, hold).await?;
            }
            Self::NodeKilled => {
                cluster.serves(2, false);
                cluster.nodes[2].end(Signal::KILL).await?;
                let refused = cluster.nodes[2].get("/healthz").await.err() == Some(Silence::Unreached);
                evidence.shows(refused, "the node took no connection".into());
                sleep(hold / 2 + Duration::from_secs(1)).await;
                start_node(cluster, 2, &mut evidence).await?;
                sleep(hold / 2).await;
            }
            Self::NodeRestarted => {
                cluster.serves(1, false);
                let took = cluster.nodes[1].end(Signal::TERM).await?;
                evidence.notes(format!("it left {} ms after SIGTERM", took.as_millis()));
                let refused = cluster.nodes[1].get("/healthz").await.err() == Some(Silence::Unreached);
                evidence.shows(refused, "the node took no connection".into());
                sleep(hold / 3).await;
                start_node(cluster, 1, &mut evidence).await?;
                sleep(hold / 2).await;
            }
            Self::NodeJoins => {
                start_node(cluster, JOINING, &mut evidence).await?;
                sleep(hold).await;
                let served = load.scene.recorder.snapshot();
                let served =
                    served.iter().filter(|event| event.node == Some(JOINING) && event.outcome == Outcome::Accepted);
                let served = served.count();
                evidence.shows(served > 20, format!("the fourth node accepted {served} times"));
            }
            Self::ClientsReset => probes::reset_clients(load, &mut evidence, hold).await,
        }
        Ok(evidence)
    }
}

async fn restart_postgres(
    cluster: &mut Cluster,
    load: &Arc<Load>,
    evidence: &mut Evidence,
    hold: Duration,
    immediate: bool,
) -> Result<(), String> {
    cluster.postgres.stop(immediate).await?;
    let outage = load.scene.recorder.outage_begins(None);
    evidence.shows(!cluster.postgres.answers().await, "PostgreSQL took nobody in".into());
    sleep(Duration::from_millis(if immediate { 300 } else { 1500 })).await;
    load.scene.recorder.outage_ends(outage);
    cluster.postgres.start_again().await?;
    let took = recovered(cluster).await?;
    evidence.notes(format!("all nodes ready {took} ms after it"));
    sleep(hold).await;
    Ok(())
}

/// Responses to one node are delayed by most of a lease, so the changes that it reads are old.
async fn slow_postgres(cluster: &Cluster, load: &Arc<Load>, evidence: &mut Evidence, hold: Duration) {
    mute(cluster, 0).await;
    let before = cluster.nodes[0].postgres.bites()[2];
    let unled = cluster.metric("records_without_lease_total", "").await;
    let allowed = probes::allow_audience(load).await;
    cluster.nodes[0].postgres.flow(Flow::Pass, Flow::Delay(850, 950));
    match allowed {
        Some(allowed) => {
            // The lease expires, and memory keeps its contents.
            sleep(Duration::from_millis(1500)).await;
            probes::remove_audience_twice(load, allowed, evidence).await;
        }
        None => load.calm(false),
    }
    // Each change of the slow node delays those of the others by seconds, so all of them may time out.
    let (mut revoked, mut took) = (0, Duration::ZERO);
    for _ in 0..4 {
        let (changed, elapsed) = probes::revoke_elsewhere(load, 12).await;
        (revoked, took) = (revoked + changed.len(), took + elapsed);
        if revoked > 0 {
            break;
        }
    }
    evidence.shows(revoked > 0, format!("{revoked} keys were revoked meanwhile"));
    sleep(hold.saturating_sub(took)).await;
    cluster.nodes[0].postgres.flow(Flow::Pass, Flow::Delay(0, 950));
    sleep(hold).await;
    let delayed = cluster.nodes[0].postgres.bites()[2] - before;
    evidence.shows(delayed > 10, format!("{delayed} answers were delayed"));
    let unled = cluster.metric("records_without_lease_total", "").await - unled;
    evidence.notes(format!("{unled} records were read for want of a lease"));
    cluster.nodes[0].postgres.pass();
}

/// The same, except for its polls of changes: a change of a record overtakes its read.
async fn slow_reads(cluster: &Cluster, load: &Arc<Load>, evidence: &mut Evidence, hold: Duration) {
    mute(cluster, 0).await;
    let before = cluster.nodes[0].postgres.bites()[2];
    load.calm(true);
    cluster.nodes[0].postgres.flow(Flow::Pass, Flow::DelayReads(100, 300));
    let raced = probes::race_reads(load, 0, hold.max(Duration::from_secs(4))).await;
    evidence.shows(raced > 0, format!("{raced} keys were changed while the node read them slowly"));
    let delayed = cluster.nodes[0].postgres.bites()[2] - before;
    evidence.shows(delayed > 10, format!("{delayed} answers were delayed"));
    cluster.nodes[0].postgres.pass();
    load.calm(false);
}

/// Only polls of changes are delayed, by less than a lease: the node may use records in memory that the other nodes have
/// dropped already, while it reads the database and Redis as fast as they do.
async fn slow_polls(cluster: &Cluster, load: &Arc<Load>, evidence: &mut Evidence, hold: Duration) {
    mute(cluster, 0).await;
    let before = cluster.nodes[0].postgres.bites()[2];
    load.calm(true);
    // Running changes end meanwhile, because they wait for this node too.
    sleep(Duration::from_millis(500)).await;
    cluster.nodes[0].postgres.flow(Flow::Pass, Flow::DelayPolls(400, 600));
    let held = hold.max(Duration::from_secs(4));
    let (repeated, of_apis) =
        tokio::join!(probes::repeat_revokes(load, 0, held), probes::repeat_api_changes(load, 0, held));
    evidence.shows(repeated > 0, format!("{repeated} revokes were confirmed a second time by the slow node"));
    evidence.shows(of_apis > 0, format!("{of_apis} changes of APIs were confirmed a second time before the slow node"));
    // Nearly a lease: what a poll returns is old when it arrives, and changes are confirmed because leases have expired.
    cluster.nodes[0].postgres.flow(Flow::Pass, Flow::DelayPolls(850, 950));
    let mut revoked = 0;
    for _ in 0..2 {
        sleep(Duration::from_millis(1000)).await;
        revoked += probes::revoke_elsewhere(load, 8).await.0.len();
    }
    evidence.shows(revoked > 0, format!("{revoked} keys were revoked while its lease was nearly over"));
    let delayed = cluster.nodes[0].postgres.bites()[2] - before;
    evidence.shows(delayed > 3, format!("{delayed} polls were delayed"));
    cluster.nodes[0].postgres.pass();
    load.calm(false);
}

async fn stop_node(cluster: &Cluster, load: &Arc<Load>, evidence: &mut Evidence, hold: Duration) -> Result<(), String> {
    mute(cluster, 0).await;
    cluster.nodes[0].signal(Signal::STOP)?;
    let (changed, took) = probes::revoke_elsewhere(load, 12).await;
    sleep(hold.max(Duration::from_secs(5)).saturating_sub(took)).await;
    let silent = cluster.nodes[0].get("/healthz").await.err() == Some(Silence::Unknown);
    evidence.shows(silent, "the node did not answer within 1 s".into());
    let burst = load.burst(0, &changed).await;
    sleep(Duration::from_millis(250)).await;
    evidence.notes(format!(
        "{} checks waited in its sockets, of {} keys revoked meanwhile",
        burst.len(),
        changed.len()
    ));
    cluster.nodes[0].signal(Signal::CONT)?;
    cluster.mute(0, false);
    probes::answered(burst, evidence).await;
    sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// Stops changes on this node, and waits for running ones: in the middle of one it would block all others until
/// PostgreSQL ends its transaction.
async fn mute(cluster: &Cluster, node: usize) {
    cluster.mute(node, true);
    sleep(Duration::from_millis(500)).await;
}

async fn start_node(cluster: &mut Cluster, number: usize, evidence: &mut Evidence) -> Result<(), String> {
    cluster.nodes[number].start()?;
    let took = cluster.nodes[number].ready().await?;
    evidence.notes(format!("node {number} was ready after {} ms", took.as_millis()));
    cluster.serves(number, true);
    Ok(())
}

async fn recovered(cluster: &mut Cluster) -> Result<u128, String> {
    let begun = Instant::now();
    for number in 0..NODES {
        cluster.nodes[number].ready().await?;
    }
    Ok(begun.elapsed().as_millis())
}
