//! The task that suspends and reinstates the customer of a key, and its requests.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::calls::{Key, Scene};
use crate::changers::{WARM, insist, own_key};
use crate::history::{Outcome, What};
use crate::http::Connection;
use crate::load::{Caller, Load};
use crate::organization_changers::remove;
use crate::world::{CHANGE_LIMIT, KEYS};

const CUSTOMERS: &str = "/api/v1/organizations/default/customers";

pub fn start(load: &Arc<Load>, tasks: &mut JoinSet<()>) {
    for _ in 0..2 {
        tasks.spawn(suspender(load.clone()));
    }
}

/// Gives keys to customers, suspends and reinstates each a few times, and then does the same with another key.
async fn suspender(load: Arc<Load>) {
    while load.changing() {
        let Some((mut caller, key)) = own_key(&load).await else { return };
        let node = caller.choose();
        let Ok(customer) = load.scene.create_customer(caller.to(node).1).await else {
            sleep(Duration::from_millis(200)).await;
            continue;
        };
        if !give(&load, &mut caller, &key, &customer).await {
            sleep(Duration::from_millis(60)).await;
            continue;
        }
        for _ in 0..4 {
            load.warm(&mut caller, &key, WARM).await;
            remove(&load, &mut caller, &key, &What::SuspendCustomer { customer: customer.clone() }).await;
            sleep(Duration::from_millis(caller.dice.between(0, 400))).await;
            insist(&load, &mut caller, &key, &What::ReinstateCustomer { customer: customer.clone() }).await;
        }
    }
}

/// Gives a key to a customer. The write is checked against the policy, which other changers change all the time.
async fn give(load: &Load, caller: &mut Caller, key: &Key, customer: &str) -> bool {
    let given = What::GiveToCustomer { customer: customer.to_owned() };
    for _ in 0..50 {
        let node = caller.choose();
        match load.scene.change(caller.to(node), key, &given).await {
            Outcome::Accepted => return true,
            Outcome::Refused if load.changing() => sleep(Duration::from_millis(caller.dice.between(5, 60))).await,
            _ => break,
        }
    }
    false
}

impl Scene {
    /// Creates a customer without keys; returns its ID.
    async fn create_customer(&self, connection: &mut Connection) -> Result<String, String> {
        let body = json!({ "external_id": format!("customer-{}", self.world.next_number()) }).to_string();
        let answer = connection.call(&self.world.manage("POST", CUSTOMERS, Some(&body)), CHANGE_LIMIT).await;
        let answer = answer.map_err(|silence| format!("a customer could not be created: {silence:?}"))?;
        let created = answer.json();
        let id = created["id"].as_str();
        id.map(str::to_owned).ok_or_else(|| format!("a customer could not be created: {} {created}", answer.status))
    }

    /// Returns the request for a change of a key's customer.
    pub fn customer_request(&self, key: &Key, what: &What) -> Option<Vec<u8>> {
        let post =
            |customer: &str, action| self.world.manage("POST", &format!("{CUSTOMERS}/{customer}/{action}"), Some("{}"));
        match what {
            What::GiveToCustomer { customer } => {
                let body = json!({ "owner": null, "customer": customer }).to_string();
                Some(self.world.manage("PATCH", &format!("{KEYS}/{}", key.id), Some(&body)))
            }
            What::SuspendCustomer { customer } => Some(post(customer, "suspend")),
            What::ReinstateCustomer { customer } => Some(post(customer, "reinstate")),
            _ => None,
        }
    }
}
