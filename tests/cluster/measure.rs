//! Measures instead of checking: the duration of revokes and exchanges, with and without faults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::calls::{Key, Scene};
use crate::cluster::Cluster;
use crate::history::{Call, Outcome, What};
use crate::recorder::Recorder;
use crate::report::percentile;

/// Revokes for each line of the table.
const REVOKES: usize = 200;

/// Concurrent callers that make exchanges, on all nodes.
const CALLERS: usize = 12;

pub async fn run(cluster: &mut Cluster, span: Duration) -> Result<(), String> {
    let span = span.max(Duration::from_secs(5));
    println!("| revoke confirmed after, in ms | count | median | p99 | longest |\n| --- | --- | --- | --- | --- |");
    revokes(cluster, "all is well", &[0, 1, 2], REVOKES).await?;
    cluster.redis.kill().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    revokes(cluster, "Redis is killed", &[0, 1, 2], REVOKES).await?;
    cluster.recover().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.redis.signal(Signal::STOP)?;
    revokes(cluster, "Redis is stopped (SIGSTOP)", &[0, 1, 2], REVOKES / 4).await?;
    cluster.recover().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    reserve(cluster, 60).await?;
    cluster.nodes[2].end(Signal::KILL).await?;
    for second in (0..20).step_by(2) {
        revokes_for(cluster, &format!("a node is killed, from {second} s on"), &[0, 1], Duration::from_secs(2)).await?;
    }
    cluster.recover().await?;

    println!(
        "\n| exchanges, {CALLERS} callers on 3 nodes | made | succeeded | p50 in ms | p99 in ms |\n| --- | --- | --- | --- | --- |"
    );
    exchanges(cluster, "all is well", span).await?;
    cluster.redis.kill().await?;
    exchanges(cluster, "Redis is killed", span).await?;
    cluster.recover().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.redis.signal(Signal::STOP)?;
    exchanges(cluster, "Redis is stopped (SIGSTOP)", span).await?;
    cluster.recover().await.map(drop)
}

/// Ensures that enough keys exist to revoke; works without Redis.
async fn reserve(cluster: &Cluster, count: usize) -> Result<(), String> {
    let mut connection = cluster.world.connect(0);
    while cluster.world.fresh() < count {
        cluster.world.make(&mut connection).await?;
    }
    Ok(())
}

async fn revokes(cluster: &Cluster, title: &str, nodes: &[usize], count: usize) -> Result<(), String> {
    reserve(cluster, count).await?;
    let scene = scene(cluster);
    let mut waits = Vec::new();
    for number in 0..count {
        waits.extend(revoke(&scene, nodes[number % nodes.len()], number).await);
    }
    row(title, waits);
    Ok(())
}

async fn revokes_for(cluster: &Cluster, title: &str, nodes: &[usize], span: Duration) -> Result<(), String> {
    let (begun, scene, mut waits, mut number) = (Instant::now(), scene(cluster), Vec::new(), 0);
    while begun.elapsed() < span {
        reserve(cluster, 1).await?;
        waits.extend(revoke(&scene, nodes[number % nodes.len()], number).await);
        number += 1;
    }
    row(title, waits);
    Ok(())
}

/// Revokes a key that every node has cached; returns the time in microseconds if it was confirmed.
async fn revoke(scene: &Scene, node: usize, number: usize) -> Option<u64> {
    let key = enter(scene, number)?;
    let shown = key.secret()?;
    let mut connection = scene.world.connect(node);
    scene.check((node, &mut connection), (&key, &shown), (Call::Exchange, false, false)).await;
    let begun = Instant::now();
    let outcome = scene.change((node, &mut connection), &key, &What::Revoke).await;
    (outcome == Outcome::Accepted).then(|| begun.elapsed().as_micros() as u64)
}

async fn exchanges(cluster: &Cluster, title: &str, span: Duration) -> Result<(), String> {
    reserve(cluster, CALLERS).await?;
    let scene = Arc::new(scene(cluster));
    let mut tasks = JoinSet::new();
    for caller in 0..CALLERS {
        let key = enter(&scene, caller).ok_or("no key")?;
        let (scene, node) = (scene.clone(), caller % 3);
        tasks.spawn(async move {
            let mut connection = scene.world.connect(node);
            let (begun, mut waits, mut failed) = (Instant::now(), Vec::new(), 0);
            while let Some(shown) = key.secret()
                && begun.elapsed() < span
            {
                let asked = Instant::now();
                let how = (Call::Exchange, false, false);
                match scene.check((node, &mut connection), (&key, &shown), how).await {
                    Outcome::Accepted => waits.push(asked.elapsed().as_micros() as u64),
                    _ => failed += 1,
                }
            }
            (waits, failed)
        });
    }
    let (mut waits, mut failed) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (more, unmade) = done.map_err(|error| error.to_string())?;
        waits.extend(more);
        failed += unmade;
    }
    waits.sort_unstable();
    let made = waits.len() + failed;
    let rate = 100.0 * waits.len() as f64 / made.max(1) as f64;
    let [median, most] = [50, 99].map(|percent| percentile(&waits, percent) as f64 / 1000.0);
    println!("| {title} | {made} | {rate:.3} % | {median:.2} | {most:.2} |");
    Ok(())
}

fn scene(cluster: &Cluster) -> Scene {
    Scene { world: cluster.world.clone(), recorder: Recorder::new() }
}

fn enter(scene: &Scene, number: usize) -> Option<Key> {
    let fresh = scene.world.take()?;
    let number = u32::try_from(number).ok()?;
    let issued = scene.recorder.created(number, &fresh.id, 0);
    Some(Key::new(number, 0, fresh.id, (issued, &fresh.text), None))
}

fn row(title: &str, mut waits: Vec<u64>) {
    waits.sort_unstable();
    let [median, most, longest] = [50, 99, 100].map(|percent| percentile(&waits, percent) as f64 / 1000.0);
    println!("| {title} | {} | {median:.1} | {most:.1} | {longest:.1} |", waits.len());
}
