//! What goes wrong in each scenario, and the evidence that it did.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::calls::Key;
use crate::cluster::{Cluster, JOINING, NODES};
use crate::history::{Outcome, What};
use crate::http::Silence;
use crate::load::{Caller, Load};
use crate::proxy::Flow;

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
    PostgresUnreachable,
    NodeStopped,
    NodeKilled,
    NodeJoins,
    NodeRestarted,
    ClientsReset,
    RedisKilledNodeStopped,
}

/// What shows that the fault was there.
#[derive(Default)]
pub struct Evidence(pub Vec<(bool, String)>);

impl Evidence {
    /// Notes what was seen, and whether it shows that the fault did bite.
    fn shows(&mut self, bit: bool, what: String) {
        self.0.push((bit, what));
    }

    /// Notes a fact.
    fn notes(&mut self, what: String) {
        self.0.push((true, what));
    }
}

impl Fault {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
    }

    /// Whether a node may answer with 503 in it: only for want of PostgreSQL, or of quick answers from it.
    pub fn takes_postgres(self, node: Option<usize>) -> bool {
        match self {
            Self::PostgresRestarted | Self::PostgresCrashed | Self::PostgresDown => true,
            Self::PostgresSlow | Self::PostgresUnreachable => node == Some(0),
            _ => false,
        }
    }

    /// Injects the fault under load, for about this long. The cluster recovers afterwards.
    pub async fn inject(self, cluster: &mut Cluster, load: &Arc<Load>, hold: Duration) -> Result<Evidence, String> {
        let mut evidence = Evidence::default();
        match self {
            Self::None => {
                let before = cluster.metric("change_wait_seconds_count", "Followed").await;
                sleep(hold).await;
                let followed = cluster.metric("change_wait_seconds_count", "Followed").await - before;
                evidence.shows(followed > 0.0, format!("{followed} changes were answered because all had followed"));
            }
            Self::RedisKilled => {
                cluster.redis.kill().await?;
                redis_is_away(cluster, &mut evidence, hold).await;
            }
            Self::RedisStopped => {
                cluster.redis.signal(Signal::STOP)?;
                redis_is_away(cluster, &mut evidence, hold).await;
                cluster.redis.signal(Signal::CONT)?;
                sleep(Duration::from_secs(1)).await;
            }
            Self::RedisRestartedEmpty => restart_redis(cluster, &mut evidence, hold, false).await?,
            Self::RedisRestartedFromOldFile => restart_redis(cluster, &mut evidence, hold, true).await?,
            Self::RedisFlushed => flush_redis(cluster, &mut evidence, hold).await?,
            Self::RedisUnreachableTo => silence_redis(cluster, &mut evidence, hold, (Flow::Hold, Flow::Pass)).await,
            Self::RedisUnreachableFrom => silence_redis(cluster, &mut evidence, hold, (Flow::Pass, Flow::Hold)).await,
            Self::RedisUnreachable => silence_redis(cluster, &mut evidence, hold, (Flow::Hold, Flow::Hold)).await,
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
            Self::RedisFailover => fail_over(cluster, &mut evidence, hold, false).await?,
            Self::RedisSplitBrain => fail_over(cluster, &mut evidence, hold, true).await?,
            Self::PostgresRestarted => restart_postgres(cluster, load, &mut evidence, hold, false).await?,
            Self::PostgresCrashed => restart_postgres(cluster, load, &mut evidence, hold, true).await?,
            Self::PostgresDown => {
                cluster.postgres.stop(true).await?;
                let outage = load.scene.recorder.outage_begins(None);
                sleep(hold.max(Duration::from_secs(4))).await;
                evidence.shows(!cluster.postgres.answers().await, "PostgreSQL took nobody in".into());
                load.scene.recorder.outage_ends(outage);
                cluster.postgres.start_again().await?;
                unavailable(load, outage, &mut evidence);
                let took = recovered(cluster).await?;
                evidence.notes(format!("all nodes ready {took} ms after PostgreSQL"));
                sleep(Duration::from_millis(1500)).await;
            }
            Self::PostgresUnreachable => {
                let held = cluster.nodes[0].postgres.bites()[1];
                mute(cluster, 0).await;
                cluster.nodes[0].postgres.flow(Flow::Hold, Flow::Hold);
                let outage = load.scene.recorder.outage_begins(Some(0));
                let changes = revoke_elsewhere(load, 12).await;
                sleep(hold.max(Duration::from_secs(4)).saturating_sub(changes.1)).await;
                let burst = load.burst(0, &changes.0).await;
                sleep(Duration::from_millis(600)).await;
                load.scene.recorder.outage_ends(outage);
                let held = cluster.nodes[0].postgres.bites()[1] - held;
                cluster.nodes[0].postgres.pass();
                evidence.shows(held > 0, format!("{held} pieces to or from PostgreSQL were held"));
                unavailable(load, outage, &mut evidence);
                answered(burst, &mut evidence).await;
            }
            Self::PostgresSlow => slow_postgres(cluster, &mut evidence, hold).await,
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
            Self::ClientsReset => reset_clients(load, &mut evidence, hold).await,
        }
        Ok(evidence)
    }
}

async fn redis_is_away(cluster: &Cluster, evidence: &mut Evidence, hold: Duration) {
    let followed = cluster.metric("change_wait_seconds_count", "").await;
    evidence.shows(!cluster.redis.answers().await, "PING had no answer".into());
    sleep(hold).await;
    evidence.shows(!cluster.redis.answers().await, "nor had it at the end".into());
    let up = cluster.metric("redis_up", "").await;
    evidence.shows(up < NODES as f64, format!("{up} of {NODES} nodes call Redis up"));
    let followed = cluster.metric("change_wait_seconds_count", "").await - followed;
    evidence.notes(format!("{followed} changes settled meanwhile"));
}

async fn restart_redis(
    cluster: &mut Cluster,
    evidence: &mut Evidence,
    hold: Duration,
    old: bool,
) -> Result<(), String> {
    let (run, mut then) = (cluster.redis.run_id().await?, 0);
    if old {
        cluster.redis.keep_file().await?;
        then = cluster.redis.keys().await?;
        sleep(Duration::from_millis(2500)).await;
    }
    let before = cluster.redis.keys().await?;
    cluster.redis.kill().await?;
    if old {
        cluster.redis.put_file_back()?
    } else {
        cluster.redis.remove_file()
    }
    cluster.redis.start_again().await?;
    let (after, keys) = (cluster.redis.run_id().await?, cluster.redis.keys().await?);
    evidence.shows(run != after, "another run_id".into());
    evidence
        .shows(before > then, format!("{before} keys when it was killed, {then} in its file, {keys} once it was back"));
    sleep(hold).await;
    cluster.redis.remove_file();
    Ok(())
}

async fn flush_redis(cluster: &Cluster, evidence: &mut Evidence, hold: Duration) -> Result<(), String> {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < hold {
        let before = cluster.redis.keys().await?;
        cluster.redis.ask("FLUSHALL").await?;
        seen.push((before, cluster.redis.keys().await?));
        sleep(Duration::from_millis(1300)).await;
    }
    evidence
        .shows(seen.iter().any(|(before, after)| after < before), format!("keys before and after FLUSHALL: {seen:?}"));
    Ok(())
}

async fn silence_redis(cluster: &Cluster, evidence: &mut Evidence, hold: Duration, (to, from): (Flow, Flow)) {
    let proxy = &cluster.nodes[0].redis;
    let held = proxy.bites()[1];
    proxy.flow(to, from);
    sleep(hold).await;
    let held = proxy.bites()[1] - held;
    evidence.shows(held > 0, format!("{held} pieces to or from Redis were held"));
    evidence.notes(format!("node 0 calls Redis up: {:?}", cluster.nodes[0].metric("redis_up", "").await));
    proxy.pass();
    sleep(Duration::from_secs(1)).await;
}

/// The replica stops to follow, the primary takes more, and then the replica is what nodes find. In a split brain
/// node 0 goes on with the old primary.
async fn fail_over(cluster: &mut Cluster, evidence: &mut Evidence, hold: Duration, split: bool) -> Result<(), String> {
    cluster.start_replica().await?;
    let replica = cluster.replica.as_ref().ok_or("no replica")?;
    replica.ask("REPLICAOF NO ONE").await?;
    sleep(Duration::from_millis(2500)).await;
    let (ahead, behind) = (cluster.redis.keys().await?, replica.keys().await?);
    evidence.shows(ahead > behind, format!("the primary has {ahead} keys, the replica {behind}"));
    let (old, new) = (cluster.redis.run_id().await?, replica.run_id().await?);
    evidence.shows(old != new, "another run_id".into());
    let port = replica.port;
    if !split {
        cluster.redis.kill().await?;
    }
    for node in cluster.nodes.iter().skip(usize::from(split)) {
        node.redis.point_to(port);
    }
    sleep(hold).await;
    Ok(())
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

/// Answers to one node come late: at first by anything up to 950 ms, later always by most of that.
async fn slow_postgres(cluster: &Cluster, evidence: &mut Evidence, hold: Duration) {
    let proxy = &cluster.nodes[0].postgres;
    let before = proxy.bites()[2];
    let unled = cluster.metric("records_without_lease_total", "").await;
    cluster.mute(0, true);
    for (least, most) in [(0, 950), (850, 950)] {
        proxy.flow(Flow::Pass, Flow::Delay(least, most));
        sleep(hold.max(Duration::from_secs(4))).await;
    }
    let delayed = proxy.bites()[2] - before;
    evidence.shows(delayed > 10, format!("{delayed} answers were delayed"));
    let unled = cluster.metric("records_without_lease_total", "").await - unled;
    evidence.notes(format!("{unled} records were read for want of a lease"));
    proxy.pass();
}

async fn stop_node(cluster: &Cluster, load: &Arc<Load>, evidence: &mut Evidence, hold: Duration) -> Result<(), String> {
    mute(cluster, 0).await;
    cluster.nodes[0].signal(Signal::STOP)?;
    let (changed, took) = revoke_elsewhere(load, 12).await;
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
    answered(burst, evidence).await;
    sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// No more changes on this node, and time for those under way: in the middle of one it would hold up all others
/// until PostgreSQL ends its transaction.
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

/// Revokes keys that every node has in memory, on nodes that can answer; gives those that were answered.
async fn revoke_elsewhere(load: &Arc<Load>, count: usize) -> (Vec<Arc<Key>>, Duration) {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for key in std::iter::from_fn(|| load.warmed()).take(count) {
        let load = load.clone();
        tasks.spawn(async move {
            let mut caller = Caller::new(&load.scene.world);
            let node = caller.dice.pick(&load.scene.world.able()).copied().unwrap_or_default();
            let outcome = load.scene.change(caller.to(node), &key, &What::Revoke).await;
            (outcome == Outcome::Accepted).then_some(key)
        });
    }
    let mut answered = Vec::new();
    while let Some(done) = tasks.join_next().await {
        answered.extend(done.ok().flatten());
    }
    (answered, begun.elapsed())
}

async fn answered(mut burst: JoinSet<Outcome>, evidence: &mut Evidence) {
    let mut outcomes = [0; 2];
    while let Some(outcome) = burst.join_next().await {
        let is_answer = outcome.is_ok_and(|outcome| !matches!(outcome, Outcome::Unknown | Outcome::Unreached));
        outcomes[usize::from(is_answer)] += 1;
    }
    let [lost, answered] = outcomes;
    evidence.shows(answered > 5, format!("of the checks that waited, {answered} were answered and {lost} were not"));
}

/// Counts what was answered in the outage.
fn unavailable(load: &Load, outage: u64, evidence: &mut Evidence) {
    let history = load.scene.recorder.snapshot();
    let Some(outage) = usize::try_from(outage).ok().and_then(|place| history.get(place)) else { return };
    let within = |event: &&crate::history::Event| {
        matches!(event.what, What::Check(_))
            && (outage.node.is_none() || outage.node == event.node)
            && event.at > outage.at
            && event.end.is_some_and(|end| outage.end.is_none_or(|over| end < over))
    };
    let count = |outcome| history.iter().filter(within).filter(|event| event.outcome == outcome).count();
    let accepts = history.iter().filter(within).filter(|event| event.outcome == Outcome::Accepted);
    let last = accepts.map(|event| event.at - outage.at).max().unwrap_or_default();
    let refused = count(Outcome::Unavailable);
    evidence.shows(refused > 0, format!("{refused} checks were answered with 503"));
    let accepted = count(Outcome::Accepted);
    evidence.notes(format!("{accepted} accepted under the lease, the last begun after {} ms", last / 1000));
}

async fn recovered(cluster: &mut Cluster) -> Result<u128, String> {
    let begun = Instant::now();
    for number in 0..NODES {
        cluster.nodes[number].ready().await?;
    }
    Ok(begun.elapsed().as_millis())
}

/// Clients that send a revoke and reset the connection; whether it was made nobody has told them.
async fn reset_clients(load: &Arc<Load>, evidence: &mut Evidence, hold: Duration) {
    let mut caller = Caller::new(&load.scene.world);
    let (begun, mut sent, mut made) = (Instant::now(), 0, 0);
    while begun.elapsed() < hold || (sent < 12 && begun.elapsed() < hold * 3) {
        let Some(key) = load.warmed() else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let after = Duration::from_millis(caller.dice.between(0, 20));
        let node = caller.choose();
        load.scene.reset(node, &key, &What::Revoke, after).await;
        sent += 1;
        // Soon, so that the repeated revoke meets the first at work; or when that must have been made.
        let pause = if caller.dice.one_in(2) { caller.dice.between(0, 40) } else { 400 };
        sleep(Duration::from_millis(pause)).await;
        let node = caller.choose();
        if load.scene.view(caller.to(node), &key).await.is_ok_and(|status| status == "revoked") {
            made += 1;
        }
        let node = caller.choose();
        if load.scene.change(caller.to(node), &key, &What::Revoke).await == Outcome::Accepted {
            load.volley(&mut caller, &key).await;
        }
    }
    evidence.shows(sent >= 5, format!("{sent} revokes were sent on connections that were reset"));
    evidence.shows(made > 0, format!("{made} of them had been made when asked, a moment later"));
}
