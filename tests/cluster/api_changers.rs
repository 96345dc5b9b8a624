//! Tasks that change APIs, and what a key is granted of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::calls::{Key, Target};
use crate::changers::{WARM, insist};
use crate::history::{Outcome, What};
use crate::load::{Caller, Load};
use crate::organization_changers::remove;
use crate::world::{DEFAULT_API, LIMITED};

pub fn start(load: &Arc<Load>, tasks: &mut JoinSet<()>) {
    for _ in 0..2 {
        tasks.spawn(api_remover(load.clone()));
    }
    tasks.spawn(scope_remover(load.clone()));
}

/// Creates an API, lets every node accept its tokens, and removes a scope, its audience, the key's grant, or the API.
async fn api_remover(load: Arc<Load>) {
    let mut caller = Caller::new(&load.scene.world);
    while load.changing() {
        load.turn().await;
        let Some(key) = load.warmed() else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Some(GrantedApi { name: api, audience }) = grant_new_api(&load, &mut caller, &key).await else {
            sleep(Duration::from_millis(60)).await;
            continue;
        };
        let edit = |audience: &str, write| What::EditApi {
            organization: 0,
            api: api.clone(),
            audience: Some(audience.into()),
            write,
        };
        let (grant, ungrant) = (What::Grant { api: api.clone() }, What::Ungrant { api: api.clone() });
        load.warm(&mut caller, &key, WARM).await;
        let round_trip = match caller.dice.below(4) {
            0 => Some((edit(&audience, false), edit(&audience, true))),
            1 => Some((edit(&format!("https://moved-{api}.example"), true), edit(&audience, true))),
            2 => Some((ungrant, grant)),
            _ => None,
        };
        if let Some((away, back)) = round_trip {
            remove(&load, &mut caller, &key, &away).await;
            sleep(Duration::from_millis(caller.dice.between(0, 200))).await;
            insist(&load, &mut caller, &key, &back).await;
            load.warm(&mut caller, &key, WARM).await;
        }
        remove(&load, &mut caller, &key, &What::DeleteApi { organization: 0, api: api.clone() }).await;
        sleep(Duration::from_millis(caller.dice.between(0, 200))).await;
    }
}

/// An API that a key was just granted.
pub struct GrantedApi {
    pub name: String,
    pub audience: String,
}

/// Creates an API, grants the key its scopes, and directs the key's later requests to it.
pub async fn grant_new_api(load: &Arc<Load>, caller: &mut Caller, key: &Arc<Key>) -> Option<GrantedApi> {
    let name = format!("api-{}", load.scene.world.next_number());
    let audience = format!("https://{name}.example");
    let create = What::CreateApi { organization: 0, api: name.clone(), audience: audience.clone() };
    for what in [create, What::Grant { api: name.clone() }] {
        let node = caller.choose();
        if load.scene.change(caller.to(node), key, &what).await != Outcome::Accepted {
            return None;
        }
    }
    key.set_target(Target { audience: Some(audience.clone()), api: Some(name.clone()) });
    Some(GrantedApi { name, audience })
}

/// Removes scopes from the default API of an organization, whose tokens the management API accepts too, and gives them back.
async fn scope_remover(load: Arc<Load>) {
    let (mut caller, key) = (Caller::new(&load.scene.world), load.enter_first_key(LIMITED));
    let edit = |write| What::EditApi { organization: LIMITED, api: DEFAULT_API.into(), audience: None, write };
    // An earlier history may have ended without the scopes, while the other changers are still paused.
    insist(&load, &mut caller, &key, &edit(true)).await;
    while load.changing() {
        load.warm(&mut caller, &key, WARM).await;
        remove(&load, &mut caller, &key, &edit(false)).await;
        sleep(Duration::from_millis(caller.dice.between(0, 400))).await;
        insist(&load, &mut caller, &key, &edit(true)).await;
    }
}
