//! Webhooks, with a real receiver that checks requests according to Standard Webhooks.

mod catalog;
mod deliveries;
mod destinations;
mod failures;
mod fairness;
mod headers;
mod management;
pub mod receiver;
mod secrets;
mod sending;
mod sharing;

use serde_json::{Value, json};

pub use receiver::{Receiver, Reply};

use crate::support::{Place, Server, eventually_within};

/// A destination that is not public, which is detected when the name is resolved.
pub const NOWHERE: &str = "https://localhost/hook";

/// A place that allows the tests' receivers, with two retries after a second each.
pub fn place() -> Place {
    permissive(Place::new())
}

/// Same, and stores the responses of the tests' receivers.
pub fn place_with_responses() -> Place {
    place().set("KEYTURN_WEBHOOKS__STORED_RESPONSES", "all")
}

/// Same, with a SQLite file in the folder.
fn place_on_sqlite() -> Place {
    permissive(Place::on_sqlite())
}

pub fn permissive(place: Place) -> Place {
    place.set("KEYTURN_WEBHOOKS__PRIVATE_ADDRESSES", true).set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "1,1")
}

/// A webhook and its secret.
pub struct Hook {
    pub id: String,
    pub secret: String,
}

/// Creates a webhook for some events.
#[track_caller]
pub fn hook(server: &Server, url: &str, events: &[&str]) -> Hook {
    let made = server.api("POST", "webhooks").json(&json!({ "url": url, "events": events })).send().expect(201);
    Hook { id: made["id"].as_str().unwrap().into(), secret: made["secret"].as_str().unwrap().into() }
}

/// Returns the deliveries of a webhook, newest first.
#[track_caller]
pub fn deliveries(server: &Server, id: &str) -> Vec<Value> {
    let listed = server.api("GET", &format!("webhooks/{id}/deliveries?limit=200")).send().expect(200);
    listed["items"].as_array().unwrap().clone()
}

/// Returns a delivery with its request and attempts.
#[track_caller]
pub fn details(server: &Server, webhook: &str, delivery: &str) -> Value {
    server.api("GET", &format!("webhooks/{webhook}/deliveries/{delivery}")).send().expect(200)
}

/// Waits until a delivery has a state.
#[track_caller]
pub fn await_delivery(server: &Server, webhook: &str, delivery: &str, state: &str) -> Value {
    eventually_within(40, &format!("{delivery} is {state}"), || {
        deliveries(server, webhook).into_iter().find(|found| found["id"] == delivery && found["state"] == state)
    })
}

/// Waits until all deliveries of a webhook, at least one, have a state, and returns them.
#[track_caller]
pub fn await_all(server: &Server, webhook: &str, state: &str) -> Vec<Value> {
    eventually_within(40, &format!("all deliveries are {state}"), || {
        let found = deliveries(server, webhook);
        (!found.is_empty() && found.iter().all(|delivery| delivery["state"] == state)).then_some(found)
    })
}

/// Queues a test event and returns the delivery's ID.
#[track_caller]
pub fn test(server: &Server, webhook: &str) -> String {
    let queued = server.api("POST", &format!("webhooks/{webhook}/test")).json(&json!({})).send().expect(202);
    assert_eq!((&queued["event"], &queued["state"]), (&json!("webhook.test"), &json!("pending")));
    queued["id"].as_str().unwrap().to_owned()
}

/// Whether a route names a webhook.
pub fn is_about_one(route: &str) -> bool {
    route.contains("/webhooks/{id}")
}

/// Creates a webhook without a receiver or events, and a delivery to it.
#[track_caller]
pub fn with_delivery(server: &Server) -> (String, String) {
    let hook = hook(server, NOWHERE, &["policy.changed"]);
    let delivery = test(server, &hook.id);
    (hook.id, delivery)
}

/// Deletes all webhooks.
#[track_caller]
pub fn remove_all(server: &Server) {
    let listed = server.api("GET", "webhooks").send().expect(200);
    for id in crate::support::field(&listed["items"], "id") {
        assert_eq!(server.api("DELETE", &format!("webhooks/{id}")).send().status, 204);
    }
}
