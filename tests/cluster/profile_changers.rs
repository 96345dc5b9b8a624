//! Tasks that give keys a profile and edit it: its networks and its scopes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::calls::{Key, Scene};
use crate::changers::{WARM, insist, own_key};
use crate::history::{Outcome, What};
use crate::http::Connection;
use crate::load::Load;
use crate::organization_changers::remove;
use crate::world::{CHANGE_LIMIT, KEYS};

const PROFILES: &str = "/api/v1/organizations/default/profiles";

pub fn start(load: &Arc<Load>, tasks: &mut JoinSet<()>) {
    for _ in 0..2 {
        tasks.spawn(editor(load.clone()));
    }
}

/// Gives keys a profile, takes networks or the write scope from the profile and gives them back a few times, and then does the
/// same with another key.
async fn editor(load: Arc<Load>) {
    while load.changing() {
        let Some((mut caller, key)) = own_key(&load).await else { return };
        let node = caller.choose();
        let Ok(profile) = load.scene.create_profile(caller.to(node).1).await else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        let node = caller.choose();
        let given = What::GiveProfile { profile: profile.clone() };
        if load.scene.change(caller.to(node), &key, &given).await != Outcome::Accepted {
            sleep(Duration::from_millis(60)).await;
            continue;
        }
        let edit = |open, write| What::EditProfile { profile: profile.clone(), open, write };
        for _ in 0..4 {
            load.warm(&mut caller, &key, WARM).await;
            let is_closed = caller.dice.one_in(2);
            remove(&load, &mut caller, &key, &edit(!is_closed, is_closed)).await;
            sleep(Duration::from_millis(caller.dice.between(0, 400))).await;
            insist(&load, &mut caller, &key, &edit(true, true)).await;
        }
    }
}

impl Scene {
    /// Creates a profile that no key has; returns its name.
    pub async fn create_profile(&self, connection: &mut Connection) -> Result<String, String> {
        let name = format!("profile-{}", self.world.next_number());
        let body = json!({ "name": name, "scopes": ["read", "write"] }).to_string();
        let answer = connection.call(&self.world.manage("POST", PROFILES, Some(&body)), CHANGE_LIMIT).await;
        let answer = answer.map_err(|silence| format!("a profile could not be created: {silence:?}"))?;
        match answer.status {
            201 => Ok(name),
            status => Err(format!("a profile could not be created: {status} {}", answer.json())),
        }
    }

    /// Returns the request for a change of a key's profile.
    pub fn profile_request(&self, key: &Key, what: &What) -> Option<Vec<u8>> {
        match what {
            What::GiveProfile { profile } => {
                let body = json!({ "profile": profile }).to_string();
                Some(self.world.manage("PATCH", &format!("{KEYS}/{}", key.id), Some(&body)))
            }
            What::EditProfile { profile, open, write } => {
                let scopes: &[&str] = if *write { &["read", "write"] } else { &["read"] };
                let networks: &[&str] = if *open { &[] } else { &["192.0.2.0/24"] };
                let body = json!({ "scopes": scopes, "allowed_cidrs": networks }).to_string();
                Some(self.world.manage("PATCH", &format!("{PROFILES}/{profile}"), Some(&body)))
            }
            _ => None,
        }
    }
}
