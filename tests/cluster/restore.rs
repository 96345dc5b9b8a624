//! A database that goes back in time: a backup under load, more changes, and a restore with all nodes stopped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep;

use crate::cluster::{Cluster, NODES};
use crate::faults::Evidence;
use crate::history::{Call, Outcome, What};
use crate::http::request;
use crate::load::{Caller, Load};
use crate::world::FreshKey;

/// Keys created after the backup.
const LOST_KEYS: usize = 5;

/// The highest number of any key, policy, member, webhook or change.
const HIGHEST: &str = "SELECT GREATEST((SELECT seq FROM change_seq), \
    (SELECT MAX(GREATEST(generation, secret_version, version)) FROM api_keys), \
    (SELECT MAX(policy_version) FROM organizations), (SELECT COALESCE(MAX(version), 0) FROM members))";

/// The lowest number that is used next.
const LOWEST: &str = "SELECT LEAST((SELECT seq FROM change_seq), \
    (SELECT MIN(LEAST(generation, secret_version, version)) FROM api_keys), \
    (SELECT MIN(policy_version) FROM organizations), (SELECT COALESCE(MIN(version), 9e18::BIGINT) FROM members))";

pub async fn restore(
    cluster: &mut Cluster,
    load: &Arc<Load>,
    evidence: &mut Evidence,
    hold: Duration,
) -> Result<(), String> {
    let recorder = &load.scene.recorder;
    // 1. A backup of data that is being changed. Keys that are being created may be missing from it.
    cluster.world.close(true);
    sleep(Duration::from_millis(500)).await;
    let backup = recorder.begins(What::Backup);
    cluster.postgres.back_up()?;
    recorder.over(backup);

    // 2. Changes that the restore loses: keys, and every change of the load meanwhile.
    let mut caller = Caller::new(&cluster.world);
    let mut lost = Vec::new();
    for _ in 0..LOST_KEYS {
        lost.push(create(cluster, &mut caller).await?);
    }
    let accepted = exchanges(&mut caller, &lost).await;
    evidence.shows(accepted == LOST_KEYS, format!("{accepted} keys were created and used after the backup"));
    sleep(hold * 3 / 4).await;

    // 3. The restore, as in the documentation.
    let begun = Instant::now();
    let restored = recorder.begins(What::Restore { backup });
    for number in 0..NODES {
        cluster.serves(number, false);
    }
    for number in 0..NODES {
        cluster.nodes[number].end(Signal::TERM).await?;
    }
    let highest = cluster.postgres.number(HIGHEST)?;
    cluster.postgres.restore()?;
    let before = cluster.postgres.number("SELECT seq FROM change_seq")?;
    // A backup is usually older than the 15 s after which its nodes count as stopped.
    cluster.postgres.sql("UPDATE nodes SET seen_at = seen_at - 60000")?;
    cluster.nodes[0].prepare_restored()?;
    let lowest = cluster.postgres.number(LOWEST)?;
    evidence.shows(before < highest, format!("the backup ends at number {before}, {highest} had been given"));
    evidence.shows(lowest > highest, format!("the lowest number is now {lowest}"));
    recorder.over(restored);

    // 4. Keys from after the backup are gone, and keys from before it are served.
    for number in 0..NODES {
        cluster.nodes[number].start()?;
    }
    for number in 0..NODES {
        cluster.nodes[number].ready().await?;
        cluster.serves(number, true);
    }
    cluster.world.close(false);
    evidence.notes(format!("served again after {} ms", begun.elapsed().as_millis()));
    let accepted = exchanges(&mut caller, &lost).await;
    evidence.shows(accepted == 0, format!("{accepted} of the keys created after the backup are accepted"));
    sleep(hold * 3 / 4).await;
    bites(load, (backup, restored), evidence);
    Ok(())
}

/// Creates a key; a concurrent change of the policy can prevent it for a moment.
async fn create(cluster: &Cluster, caller: &mut Caller) -> Result<FreshKey, String> {
    let begun = Instant::now();
    loop {
        match cluster.world.create(caller.to(0).1).await {
            Err(error) if !error.contains("CONFLICT") || begun.elapsed() > Duration::from_secs(5) => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)).await,
            Ok(key) => return Ok(key),
        }
    }
}

/// Returns how many of these keys get a token, each on the next node.
async fn exchanges(caller: &mut Caller, keys: &[FreshKey]) -> usize {
    let mut accepted = 0;
    for (number, key) in keys.iter().enumerate() {
        let body = format!("grant_type=client_credentials&client_secret={}", key.text);
        let exchange = request("POST", "/oauth/token", None, Some(("application/x-www-form-urlencoded", &body)));
        let answer = caller.to(number % NODES).1.call(&exchange, Duration::from_secs(10)).await;
        accepted += usize::from(answer.is_ok_and(|answer| answer.status == 200));
    }
    accepted
}

/// Shows that changes were lost, that earlier tokens were tried, and that new ones were accepted.
fn bites(load: &Load, (backup, restored): (u64, u64), evidence: &mut Evidence) {
    let history = load.scene.recorder.snapshot();
    let event = |id: u64| usize::try_from(id).ok().and_then(|place| history.get(place));
    let (Some(backup), Some(restored)) = (event(backup), event(restored)) else { return };
    let (taken, stopped, over) = (backup.last_moment(), restored.at, restored.last_moment());
    let is_change = |what: &What| !matches!(what, What::Check(_) | What::View { .. } | What::Create { .. });
    let lost = history.iter().filter(|event| {
        is_change(&event.what) && event.at > taken && event.at < stopped && event.outcome == Outcome::Accepted
    });
    let lost = lost.count();
    evidence.shows(lost > 5, format!("{lost} answered changes were lost"));
    let (mut dead, mut minted) = (0, 0);
    for event in history.iter().filter(|event| event.at >= over) {
        let What::Check(check) = &event.what else { continue };
        let crate::history::Credential::Token { mint } = check.credential else {
            minted += usize::from(check.call == Call::Exchange && event.outcome == Outcome::Accepted);
            continue;
        };
        let is_old = history.get(usize::try_from(mint).unwrap_or_default()).is_some_and(|mint| mint.at < over);
        dead += usize::from(is_old && event.outcome == Outcome::Refused);
    }
    evidence.shows(dead > 20, format!("tokens from before it were refused {dead} times"));
    evidence.shows(minted > 20, format!("{minted} tokens were minted after it"));
}
