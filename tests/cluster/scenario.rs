//! A scenario from the first call to the verdict: load, fault, recovery, a final check of every key, the checker.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::calls::Key;
use crate::checker;
use crate::cluster::{Cluster, NODES};
use crate::faults::Fault;
use crate::history::{self, Call};
use crate::load::{Caller, Load};
use crate::report::Report;
use crate::world::lock;

/// How often a running history is checked if a violation is expected.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long caching enough keys can take.
const WARM_UP: Duration = Duration::from_secs(40);

/// Longer than any scenario can take in addition to the duration of its fault.
const LIMIT: Duration = Duration::from_secs(150);

pub async fn run(
    cluster: &mut Cluster,
    fault: Fault,
    hold: Duration,
    hasty: bool,
    (kept, always): (&Path, bool),
) -> Result<Report, String> {
    let load = Load::new(cluster.world.clone());
    let tasks = load.start();
    let play = play(cluster, fault, &load, hold);
    let played = tokio::select! {
        played = timeout(LIMIT + hold * 3, play) => played.map_err(|_| format!("{} did not end", fault.name()))?,
        () = violation(&load), if hasty => Ok(Default::default()),
    };
    load.stop();
    // Waits for pending responses for some time; without one the outcome is unknown.
    let (evidence, problems) = match played {
        Ok(evidence) => (evidence, Vec::new()),
        Err(problem) => (Default::default(), vec![problem]),
    };
    finish(tasks).await;

    let history = load.scene.recorder.snapshot();
    let mut report = Report::new(fault, &history, checker::check(&history), evidence, problems);
    report.odd = load.scene.world.take_odd();
    if always || !report.is_good() {
        let folder = kept.join(fault.name());
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let file = folder.join("history.jsonl");
        history::save(&history, &file)?;
        cluster.keep_logs(&folder);
        report.kept = Some(file);
    }
    Ok(report)
}

async fn play(
    cluster: &mut Cluster,
    fault: Fault,
    load: &Arc<Load>,
    hold: Duration,
) -> Result<crate::faults::Evidence, String> {
    timeout(WARM_UP, async {
        while !load.is_warm() {
            sleep(Duration::from_millis(25)).await;
        }
    })
    .await
    .map_err(|_| format!("only {} keys are in every memory after {WARM_UP:?}", load.warmed_count()))?;
    load.calm(false);
    sleep(Duration::from_millis(1000)).await;
    let mut evidence = fault.inject(cluster, load, hold).await?;
    let took = cluster.recover().await?;
    if took > Duration::from_secs(1) {
        evidence.0.push((true, format!("all nodes ready {} ms after the fault", took.as_millis())));
    }
    sleep(Duration::from_millis(1000)).await;
    load.stop_changes();
    sleep(Duration::from_millis(500)).await;
    look(load).await?;
    Ok(evidence)
}

/// Checks that every confirmed change is effective on each node, and that valid credentials are accepted.
async fn look(load: &Arc<Load>) -> Result<(), String> {
    let keys: Arc<std::sync::Mutex<Vec<Arc<Key>>>> = Arc::new(std::sync::Mutex::new(load.keys()));
    let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();
    for _ in 0..4 {
        let (load, keys) = (load.clone(), keys.clone());
        tasks.spawn(async move {
            let mut caller = Caller::new(&load.scene.world);
            loop {
                let Some(key) = lock(&keys).pop() else { return Ok(()) };
                // The management API of one organization does not show keys of another.
                for node in (0..NODES).filter(|_| key.organization == 0 && key.session.is_none()) {
                    load.scene.view(caller.to(node), &key).await?;
                }
                let newest = key.secret();
                for shown in key.all() {
                    let last = newest.as_ref().is_some_and(|newest| newest.credential == shown.credential);
                    let call = match (&key.session, last) {
                        (Some(_), _) => Call::Session,
                        (None, true) => Call::Exchange,
                        (None, false) => Call::Introspect,
                    };
                    let node = caller.dice.below(NODES);
                    load.scene.check(caller.to(node), (&key, &shown), (call, false, last)).await;
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| format!("the last look: {error}"))??;
    }
    Ok(())
}

/// Returns once the history so far has a violation.
async fn violation(load: &Arc<Load>) {
    loop {
        sleep(LOOK_EVERY).await;
        let history = load.scene.recorder.snapshot();
        let found = tokio::task::spawn_blocking(move || !checker::check(&history).violations.is_empty()).await;
        if found.unwrap_or(false) {
            return;
        }
    }
}

async fn finish(mut tasks: JoinSet<()>) {
    let _ = timeout(Duration::from_secs(3), async { while tasks.join_next().await.is_some() {} }).await;
    tasks.abort_all();
}
