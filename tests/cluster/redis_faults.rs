//! Faults of Redis, and the evidence that they had an effect.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};
use crate::faults::Evidence;
use crate::proxy::Flow;

pub async fn redis_is_away(cluster: &Cluster, evidence: &mut Evidence, hold: Duration) {
    let followed = cluster.metric("change_wait_seconds_count", "").await;
    evidence.shows(!cluster.redis.answers().await, "PING had no answer".into());
    sleep(hold).await;
    evidence.shows(!cluster.redis.answers().await, "nor had it at the end".into());
    let up = cluster.metric("redis_up", "").await;
    evidence.shows(up < NODES as f64, format!("{up} of {NODES} nodes call Redis up"));
    let followed = cluster.metric("change_wait_seconds_count", "").await - followed;
    evidence.notes(format!("{followed} changes settled meanwhile"));
}

pub async fn restart_redis(
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

pub async fn flush_redis(cluster: &Cluster, evidence: &mut Evidence, hold: Duration) -> Result<(), String> {
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

pub async fn silence_redis(cluster: &Cluster, evidence: &mut Evidence, hold: Duration, (to, from): (Flow, Flow)) {
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

/// The replica stops following, the primary receives more writes, and then nodes are connected to the replica. In a
/// split brain node 0 stays connected to the old primary.
pub async fn fail_over(
    cluster: &mut Cluster,
    evidence: &mut Evidence,
    hold: Duration,
    split: bool,
) -> Result<(), String> {
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
