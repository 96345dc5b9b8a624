//! Changers: each task changes keys in one way, and checks on every node as soon as the change is confirmed.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::calls::{Key, Shown};
use crate::history::{Call, Credential, Outcome, What};
use crate::load::{Caller, Load};

/// How long a changer waits until the nodes have cached a key again.
pub const WARM: Duration = Duration::from_millis(150);

pub fn start(load: &Arc<Load>, tasks: &mut JoinSet<()>) {
    for _ in 0..2 {
        tasks.spawn(revoker(load.clone()));
        tasks.spawn(switcher(load.clone()));
        tasks.spawn(narrower(load.clone()));
    }
    tasks.spawn(rotator(load.clone()));
    tasks.spawn(token_revoker(load.clone()));
}

/// Revokes keys that every node has cached, in all possible ways.
async fn revoker(load: Arc<Load>) {
    let mut caller = Caller::new(&load.scene.world);
    while load.changing() {
        sleep(Duration::from_millis(caller.dice.between(60, 300))).await;
        load.turn().await;
        let Some(key) = load.warmed() else { continue };
        let node = caller.choose();
        match caller.dice.below(6) {
            0 => {
                load.scene.give_up(caller.to(node), &key).await;
            }
            1 => {
                let after = Duration::from_millis(caller.dice.between(0, 6));
                load.scene.reset(node, &key, &What::Revoke, sleep(after)).await;
                sleep(Duration::from_millis(caller.dice.between(0, 20))).await;
            }
            2 | 3 => repeat(&load, &mut caller, (&key, &What::Revoke), (2, 40)).await,
            _ => {}
        }
        insist(&load, &mut caller, &key, &What::Revoke).await;
    }
}

/// Sends the same change several times, each after a pause of up to `pause` ms, while the first still waits for the
/// other nodes.
pub async fn repeat(
    load: &Arc<Load>,
    caller: &mut Caller,
    (key, what): (&Arc<Key>, &What),
    (times, pause): (usize, u64),
) {
    let mut sent = JoinSet::new();
    for _ in 0..times {
        let (load, key, node, what) = (load.clone(), key.clone(), caller.choose(), what.clone());
        sent.spawn(async move {
            let mut caller = Caller::new(&load.scene.world);
            if load.scene.change(caller.to(node), &key, &what).await == Outcome::Accepted {
                load.volley(&mut caller, &key).await;
            }
        });
        sleep(Duration::from_millis(caller.dice.between(0, pause))).await;
    }
    while sent.join_next().await.is_some() {}
}

/// Disables and enables the same key repeatedly; half of the time so soon that it is being read.
async fn switcher(load: Arc<Load>) {
    let Some((mut caller, key)) = own_key(&load).await else { return };
    while load.changing() {
        load.warm(&mut caller, &key, WARM).await;
        insist(&load, &mut caller, &key, &What::Disable).await;
        sleep(Duration::from_millis(caller.dice.between(0, 400))).await;
        insist(&load, &mut caller, &key, &What::Enable).await;
        if caller.dice.one_in(2) {
            read_and_change(&load, &mut caller, &key).await;
        }
    }
}

/// Lets every node start to read the key's record, and disables the key meanwhile.
async fn read_and_change(load: &Arc<Load>, caller: &mut Caller, key: &Arc<Key>) {
    let meanwhile = Duration::from_millis(caller.dice.between(0, 30));
    load.warm(caller, key, meanwhile).await;
    insist(load, caller, key, &What::Disable).await;
    sleep(Duration::from_millis(caller.dice.between(500, 1500))).await;
    insist(load, caller, key, &What::Enable).await;
}

async fn narrower(load: Arc<Load>) {
    let Some((mut caller, key)) = own_key(&load).await else { return };
    while load.changing() {
        load.warm(&mut caller, &key, WARM).await;
        insist(&load, &mut caller, &key, &What::Narrow).await;
        sleep(Duration::from_millis(caller.dice.between(50, 400))).await;
        insist(&load, &mut caller, &key, &What::Widen).await;
    }
}

async fn rotator(load: Arc<Load>) {
    let Some((mut caller, key)) = own_key(&load).await else { return };
    while load.changing() {
        load.warm(&mut caller, &key, WARM).await;
        let rotation = if caller.dice.one_in(3) { What::RotateWithGrace } else { What::Rotate };
        insist(&load, &mut caller, &key, &rotation).await;
        sleep(Duration::from_millis(caller.dice.between(100, 400))).await;
    }
}

/// Revokes single tokens that every node has just accepted.
async fn token_revoker(load: Arc<Load>) {
    let Some((mut caller, key)) = own_key(&load).await else { return };
    while load.changing() {
        load.warm(&mut caller, &key, WARM).await;
        if let Some(Shown { credential: Credential::Token { mint }, .. }) = key.token() {
            insist(&load, &mut caller, &key, &What::RevokeToken { mint }).await;
        }
        sleep(Duration::from_millis(caller.dice.between(50, 200))).await;
    }
}

/// Repeats a change until it is confirmed, and then checks on all nodes immediately.
pub async fn insist(load: &Arc<Load>, caller: &mut Caller, key: &Arc<Key>, what: &What) {
    load.turn().await;
    while load.changing() {
        let node = caller.choose();
        match load.scene.change(caller.to(node), key, what).await {
            // Changes that grant rights are not checked immediately: the changer may need the record to be uncached.
            Outcome::Accepted if is_giving(what) => return,
            Outcome::Accepted => return load.volley(caller, key).await,
            Outcome::Refused => return,
            _ => sleep(Duration::from_millis(60)).await,
        }
    }
}

/// Whether a change only grants rights.
fn is_giving(what: &What) -> bool {
    matches!(what, What::Enable | What::Widen | What::Resume { .. } | What::ReinstateCustomer { .. })
}

pub async fn own_key(load: &Arc<Load>) -> Option<(Caller, Arc<Key>)> {
    let mut caller = Caller::new(&load.scene.world);
    load.turn().await;
    while load.changing() {
        if let Some(key) = load.warmed() {
            let node = caller.choose();
            if let Some(shown) = key.secret() {
                load.scene.check(caller.to(node), (&key, &shown), (Call::Exchange, false, false)).await;
            }
            return Some((caller, key));
        }
        sleep(Duration::from_millis(20)).await;
    }
    None
}
