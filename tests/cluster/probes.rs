//! Requests that a fault needs besides the ordinary load to reveal a mistake in the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::api_changers::{GrantedApi, grant_new_api};
use crate::calls::Key;
use crate::dice::Dice;
use crate::faults::Evidence;
use crate::history::{Call, Event, Outcome, What};
use crate::load::{Caller, Load};
use crate::organization_changers::{PERMANENT, audiences};

/// Revokes keys that every node has cached, on nodes that can respond; returns the confirmed ones.
pub async fn revoke_elsewhere(load: &Arc<Load>, count: usize) -> (Vec<Arc<Key>>, Duration) {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for key in std::iter::from_fn(|| load.warmed()).take(count) {
        let load = load.clone();
        tasks.spawn(async move {
            let mut caller = Caller::new(&load.scene.world);
            let node = caller.dice.pick(&load.scene.world.able()).copied().unwrap_or_default();
            if load.scene.change(caller.to(node), &key, &What::Revoke).await != Outcome::Accepted {
                return None;
            }
            load.volley(&mut caller, &key).await;
            Some(key)
        });
    }
    let mut answered = Vec::new();
    while let Some(done) = tasks.join_next().await {
        answered.extend(done.ok().flatten());
    }
    (answered, begun.elapsed())
}

/// Returns a key with an audience for which every node issues tokens. Changers are paused until
/// [`remove_audience_twice`] has ended.
pub async fn allow_audience(load: &Arc<Load>) -> Option<(Caller, Arc<Key>)> {
    load.calm(true);
    // Running changes end meanwhile: the next policy must be the one that is removed.
    sleep(Duration::from_millis(500)).await;
    let (mut caller, key) = (Caller::new(&load.scene.world), load.warmed()?);
    let audience = format!("https://audience-{}.example", load.scene.world.next_number());
    key.set_audience(&audience);
    let node = caller.choose();
    let allowed = load.scene.change(caller.to(node), &key, &audiences(&[PERMANENT, &audience])).await;
    load.warm(&mut caller, &key, Duration::from_secs(1)).await;
    (allowed == Outcome::Accepted).then_some((caller, key))
}

/// Removes the audience on one node and, while that change waits for the first node, again on another. Makes exchanges
/// on the first node as soon as the second change is confirmed.
pub async fn remove_audience_twice(load: &Arc<Load>, (mut caller, key): (Caller, Arc<Key>), evidence: &mut Evidence) {
    let removing = (load.clone(), key.clone());
    let first = tokio::spawn(async move {
        let (load, key) = removing;
        load.scene.change(Caller::new(&load.scene.world).to(1), &key, &audiences(&[PERMANENT])).await
    });
    sleep(Duration::from_millis(100)).await;
    let again = load.scene.change(caller.to(2), &key, &audiences(&[PERMANENT])).await;
    for shown in key.secret().into_iter().cycle().take(3) {
        load.scene.check(caller.to(0), (&key, &shown), (Call::Exchange, false, false)).await;
    }
    evidence.notes(format!("an audience was removed twice: {:?}, {again:?}", first.await.ok()));
    load.calm(false);
}

/// Revokes keys on another node and, while that change waits for `node`, again on `node`, which is asked as soon as it
/// has confirmed the second. Returns how many it confirmed.
pub async fn repeat_revokes(load: &Arc<Load>, node: usize, hold: Duration) -> usize {
    let (begun, mut confirmed) = (Instant::now(), 0);
    let mut caller = Caller::new(&load.scene.world);
    while begun.elapsed() < hold {
        let Some(key) = load.warmed() else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        load.warm(&mut caller, &key, Duration::from_secs(1)).await;
        let first = {
            let (load, key, other) = (load.clone(), key.clone(), caller.choose());
            tokio::spawn(async move {
                let mut caller = Caller::new(&load.scene.world);
                load.scene.change(caller.to(other), &key, &What::Revoke).await
            })
        };
        sleep(Duration::from_millis(caller.dice.between(20, 120))).await;
        if load.scene.change(caller.to(node), &key, &What::Revoke).await == Outcome::Accepted {
            confirmed += 1;
            for shown in key.all().into_iter().rev().take(2) {
                load.scene.check(caller.to(node), (&key, &shown), (Call::Verify, false, false)).await;
            }
        }
        let _ = first.await;
    }
    confirmed
}

/// Removes a scope from an API on one node and, while that change waits for `slow`, requests it there again; then deletes the
/// API in the same way. `slow` is asked as soon as the second change is confirmed. Returns how many were.
pub async fn repeat_api_changes(load: &Arc<Load>, slow: usize, hold: Duration) -> usize {
    let (begun, mut confirmed) = (Instant::now(), 0);
    let mut caller = Caller::new(&load.scene.world);
    while begun.elapsed() < hold {
        let Some(key) = load.warmed() else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Some(GrantedApi { name: api, audience }) = grant_new_api(load, &mut caller, &key).await else { continue };
        load.warm(&mut caller, &key, Duration::from_secs(1)).await;
        let narrow = What::EditApi { organization: 0, api: api.clone(), audience: Some(audience), write: false };
        for what in [narrow, What::DeleteApi { organization: 0, api }] {
            let Some(one) = load.scene.world.able().into_iter().find(|node| *node != slow) else { break };
            let first = {
                let (load, key, what) = (load.clone(), key.clone(), what.clone());
                tokio::spawn(async move {
                    let mut caller = Caller::new(&load.scene.world);
                    load.scene.change(caller.to(one), &key, &what).await
                })
            };
            // The node has committed and applied its change, which still waits for the slow one.
            await_refusal(load, &mut caller, (&key, one), matches!(what, What::EditApi { .. })).await;
            if load.scene.change(caller.to(one), &key, &what).await == Outcome::Accepted {
                confirmed += 1;
                for shown in key.all().into_iter().rev().take(3) {
                    load.scene.check(caller.to(slow), (&key, &shown), (Call::Verify, false, false)).await;
                }
                if let Some(shown) = key.secret() {
                    load.scene.check(caller.to(slow), (&key, &shown), (Call::Exchange, false, false)).await;
                }
            }
            let _ = first.await;
            // Tokens of the narrower API.
            load.warm(&mut caller, &key, Duration::from_secs(1)).await;
        }
    }
    confirmed
}

/// Waits until a node refuses a token, or the write scope, to the key, for at most two seconds.
async fn await_refusal(load: &Arc<Load>, caller: &mut Caller, (key, node): (&Arc<Key>, usize), write: bool) {
    let begun = Instant::now();
    while let Some(shown) = key.secret()
        && begun.elapsed() < Duration::from_secs(2)
        && load.scene.check(caller.to(node), (key, &shown), (Call::Exchange, write, false)).await != Outcome::Refused
    {
        sleep(Duration::from_millis(2)).await;
    }
}

/// Lets one node read records of keys while another node changes them, repeatedly; returns how often.
pub async fn race_reads(load: &Arc<Load>, reader: usize, hold: Duration) -> usize {
    let (begun, mut tasks, mut raced) = (Instant::now(), JoinSet::new(), 0);
    for key in std::iter::from_fn(|| load.warmed()).take(4) {
        let load = load.clone();
        tasks.spawn(async move {
            let mut raced = 0;
            while begun.elapsed() < hold {
                raced += usize::from(race_read(&load, reader, &key).await);
            }
            raced
        });
    }
    while let Some(done) = tasks.join_next().await {
        raced += done.unwrap_or_default();
    }
    raced
}

/// Makes the reader drop a key, lets it read the key, and revokes the key on another node meanwhile.
async fn race_read(load: &Arc<Load>, reader: usize, key: &Arc<Key>) -> bool {
    let mut caller = Caller::new(&load.scene.world);
    let node = caller.choose();
    if load.scene.change(caller.to(node), key, &What::Enable).await != Outcome::Accepted {
        return false;
    }
    let done = Arc::new(AtomicBool::new(false));
    let reading = tokio::spawn(read_on(load.clone(), reader, key.clone(), done.clone()));
    // A driver may check its connection before it reads, which takes as long as the read.
    sleep(Duration::from_millis(Dice::another().between(60, 700))).await;
    let node = caller.choose();
    let outcome = load.scene.change(caller.to(node), key, &What::Disable).await;
    // Until the last read has completed, and its result was used.
    sleep(Duration::from_millis(800)).await;
    done.store(true, Ordering::Relaxed);
    let _ = reading.await;
    outcome == Outcome::Accepted
}

async fn read_on(load: Arc<Load>, reader: usize, key: Arc<Key>, done: Arc<AtomicBool>) {
    let mut connection = load.scene.world.connect(reader);
    while let Some(shown) = key.secret()
        && !done.load(Ordering::Relaxed)
    {
        let how = (Call::Verify, false, false);
        load.scene.check((reader, &mut connection), (&key, &shown), how).await;
        sleep(Duration::from_millis(15)).await;
    }
}

/// Waits for checks that waited in a node's sockets.
pub async fn answered(mut burst: JoinSet<Outcome>, evidence: &mut Evidence) {
    let mut outcomes = [0; 2];
    while let Some(outcome) = burst.join_next().await {
        let is_answer = outcome.is_ok_and(|outcome| !matches!(outcome, Outcome::Unknown | Outcome::Unreached));
        outcomes[usize::from(is_answer)] += 1;
    }
    let [lost, answered] = outcomes;
    evidence.shows(answered > 5, format!("of the waiting checks, {answered} got a response and {lost} did not"));
}

/// Counts the responses during the outage.
pub fn unavailable(load: &Load, outage: u64, evidence: &mut Evidence) {
    let history = load.scene.recorder.snapshot();
    let Some(outage) = usize::try_from(outage).ok().and_then(|place| history.get(place)) else { return };
    let within = |event: &&Event| {
        matches!(event.what, What::Check(_))
            && (outage.node.is_none() || outage.node == event.node)
            && event.at > outage.at
            && event.end.is_some_and(|end| outage.end.is_none_or(|over| end < over))
    };
    let count = |outcome| history.iter().filter(within).filter(|event| event.outcome == outcome).count();
    let accepts = history.iter().filter(within).filter(|event| event.outcome == Outcome::Accepted);
    let last = accepts.map(|event| event.at - outage.at).max().unwrap_or_default();
    let refused = count(Outcome::Unavailable);
    evidence.shows(refused > 0, format!("{refused} checks got 503"));
    let accepted = count(Outcome::Accepted);
    evidence.notes(format!("{accepted} accepted under the lease, the last begun after {} ms", last / 1000));
}

/// How long [`reset_clients`] goes on at most when a machine is slow; it ends once it has sent enough.
const RESETS_LIMIT: Duration = Duration::from_secs(45);

/// Clients send a revoke and reset the connection, without learning its outcome: every second one within 20 ms, whatever
/// has become of the request; the others once the change is committed, while its response still waits for the other
/// nodes.
pub async fn reset_clients(load: &Arc<Load>, evidence: &mut Evidence, hold: Duration) {
    let mut caller = Caller::new(&load.scene.world);
    let mut watcher = Caller::new(&load.scene.world);
    let (begun, mut sent, mut made) = (Instant::now(), 0, 0);
    while begun.elapsed() < hold || (sent < 8 && begun.elapsed() < RESETS_LIMIT) {
        let Some(key) = load.warmed() else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let node = caller.choose();
        if sent % 2 == 0 {
            let mut committed = false;
            let watch = async { committed = is_revoked_within(load, &mut watcher, &key, Duration::from_secs(5)).await };
            load.scene.reset(node, &key, &What::Revoke, watch).await;
            made += usize::from(committed);
        } else {
            let after = Duration::from_millis(caller.dice.between(0, 20));
            load.scene.reset(node, &key, &What::Revoke, sleep(after)).await;
        }
        sent += 1;
        // Soon, so that the repeated revoke meets the first while it is running; or after the first must have been
        // made.
        let pause = if caller.dice.one_in(2) { caller.dice.between(0, 40) } else { 400 };
        sleep(Duration::from_millis(pause)).await;
        let node = caller.choose();
        if load.scene.change(caller.to(node), &key, &What::Revoke).await == Outcome::Accepted {
            load.volley(&mut caller, &key).await;
        }
    }
    evidence.shows(sent >= 8, format!("{sent} revokes were sent on connections that were reset"));
    evidence.shows(made > 0, format!("{made} of them after the change was committed"));
}

/// Asks until the key is revoked; `false` if it is not within `limit`.
async fn is_revoked_within(load: &Load, caller: &mut Caller, key: &Key, limit: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        let node = caller.choose();
        if load.scene.view(caller.to(node), key).await.is_ok_and(|status| status == "revoked") {
            return true;
        }
        sleep(Duration::from_millis(5)).await;
    }
    false
}
