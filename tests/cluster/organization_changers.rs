//! Tasks that change the other inputs of decisions: the policy, the state and the signing keys of organizations, and
//! the roles and sessions of members.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::calls::Key;
use crate::changers::{WARM, insist, own_key, repeat};
use crate::history::{Outcome, What};
use crate::load::{Caller, Load};
use crate::world::{ROTATED, SUSPENDED};

/// An audience that every policy has, so that a new node's default never equals a policy.
pub const PERMANENT: &str = "https://permanent.example";

pub fn start(load: &Arc<Load>, tasks: &mut JoinSet<()>) {
    tasks.spawn(audience_remover(load.clone()));
    tasks.spawn(suspender(load.clone()));
    tasks.spawn(signing_key_rotator(load.clone()));
    tasks.spawn(session_ender(load.clone()));
}

/// Returns the change of the first organization's policy to these audiences.
pub fn audiences(list: &[&str]) -> What {
    What::SetAudiences { organization: 0, audiences: list.iter().map(|audience| (*audience).into()).collect() }
}

/// Allows an audience, lets every node accept it, and removes it again.
async fn audience_remover(load: Arc<Load>) {
    let Some((mut caller, key)) = own_key(&load).await else { return };
    while load.changing() {
        load.turn().await;
        // A new name each time: a policy without a known outcome can allow the previous one at any later time.
        let audience = format!("https://audience-{}.example", load.scene.world.next_number());
        key.set_audience(&audience);
        let node = caller.choose();
        if load.scene.change(caller.to(node), &key, &audiences(&[PERMANENT, &audience])).await != Outcome::Accepted {
            sleep(Duration::from_millis(60)).await;
            continue;
        }
        if caller.dice.one_in(4) {
            // A node that follows slowly has cached this policy by then.
            sleep(Duration::from_millis(caller.dice.between(1000, 2500))).await;
        }
        load.warm(&mut caller, &key, WARM).await;
        remove(&load, &mut caller, &key, &audiences(&[PERMANENT])).await;
        sleep(Duration::from_millis(caller.dice.between(0, 200))).await;
    }
}

/// Makes a change in one of several ways: once, several times at once, or after a client that reset its connection.
pub async fn remove(load: &Arc<Load>, caller: &mut Caller, key: &Arc<Key>, what: &What) {
    load.turn().await;
    match caller.dice.below(4) {
        0 => {
            let (node, after) = (caller.choose(), Duration::from_millis(caller.dice.between(0, 6)));
            load.scene.reset(node, key, what, sleep(after)).await;
            sleep(Duration::from_millis(caller.dice.between(0, 20))).await;
        }
        1 | 2 => repeat(load, caller, (key, what), (4, 120)).await,
        _ => {}
    }
    insist(load, caller, key, what).await;
}

/// Suspends and resumes an organization.
async fn suspender(load: Arc<Load>) {
    let (mut caller, key) = (Caller::new(&load.scene.world), load.enter_first_key(SUSPENDED));
    // An earlier history may have ended in a suspension, while the other changers are still paused.
    let resume = What::Resume { organization: SUSPENDED };
    while load.changing() {
        let node = caller.choose();
        if load.scene.change(caller.to(node), &key, &resume).await == Outcome::Accepted {
            break;
        }
        sleep(Duration::from_millis(60)).await;
    }
    while load.changing() {
        load.warm(&mut caller, &key, WARM).await;
        remove(&load, &mut caller, &key, &What::Suspend { organization: SUSPENDED }).await;
        sleep(Duration::from_millis(caller.dice.between(0, 400))).await;
        insist(&load, &mut caller, &key, &What::Resume { organization: SUSPENDED }).await;
    }
}

/// Rotates the signing key of an organization and checks a token that every node accepted before.
async fn signing_key_rotator(load: Arc<Load>) {
    let (mut caller, key) = (Caller::new(&load.scene.world), load.enter_first_key(ROTATED));
    while load.changing() {
        load.turn().await;
        load.warm(&mut caller, &key, WARM).await;
        let Some(token) = key.token() else {
            sleep(Duration::from_millis(60)).await;
            continue;
        };
        load.check_everywhere(&mut caller, &key, &token, 1).await;
        // Faults keep the first node from responding. A rotation takes seconds and would be interrupted.
        let nodes: Vec<_> = load.scene.world.able().into_iter().filter(|node| *node > 0).collect();
        if let Some(node) = caller.dice.pick(&nodes).copied()
            && load.scene.change(caller.to(node), &key, &What::RotateSigningKey { organization: ROTATED }).await
                == Outcome::Accepted
        {
            load.check_everywhere(&mut caller, &key, &token, 4).await;
        }
        sleep(Duration::from_millis(caller.dice.between(50, 400))).await;
    }
}

/// Removes a member's role and gives it back, and ends the member's session.
async fn session_ender(load: Arc<Load>) {
    let mut caller = Caller::new(&load.scene.world);
    load.turn().await;
    while load.changing() {
        load.turn().await;
        let node = caller.choose();
        let Ok((session, cookie)) = load.scene.sign_in(caller.to(node).1).await else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        let key = load.enter_session(session, &cookie);
        for what in [What::Narrow, What::Widen, What::Narrow, What::Widen, What::Revoke] {
            insist(&load, &mut caller, &key, &what).await;
            sleep(Duration::from_millis(caller.dice.between(0, 200))).await;
        }
    }
}
