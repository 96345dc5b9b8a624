//! Slow receivers of some organizations and wrong clocks do not delay events of others.

use std::time::Instant;

use serde_json::json;

use crate::support::{Server, database};
use crate::webhooks::{Receiver, Reply, await_delivery, hook, place, place_on_sqlite, test};

/// Creates keys, whose events go to every webhook of the organization.
fn create_keys(server: &Server, organization: &str, secret: &str, count: usize) {
    for _ in 0..count {
        let create = server.request("POST", &format!("/api/v1/organizations/{organization}/keys")).bearer(secret);
        create
            .json(&json!({ "name": "fair", "scopes": [{ "action": "read", "resource": "things" }] }))
            .send()
            .expect(201);
    }
}

#[test]
fn hanging_receivers_do_not_delay_other_organizations() {
    let (hanging, quick) = (Receiver::answering(|_, _| Reply::Silence), Receiver::start());
    let place = place();
    let founded = place.init(&[]);
    let busy = ["one", "two", "three", "four"].map(|name| (name, place.init(&["--organization", name]).key));
    let server = place.serve(founded.key);
    let quiet = hook(&server, &quick.url(), &["policy.changed"]);
    for (name, key) in &busy {
        for _ in 0..20 {
            let create = server.request("POST", &format!("/api/v1/organizations/{name}/webhooks")).bearer(&key.text);
            create.json(&json!({ "url": hanging.url(), "events": ["key.created"] })).send().expect(201);
        }
    }
    // 80 webhooks with 6 events each: 4 concurrent attempts for each would exceed the number of slots.
    for (name, key) in &busy {
        create_keys(&server, name, &key.text, 6);
    }
    hanging.await_count(80);
    for count in 1..=5 {
        let queued = Instant::now();
        test(&server, &quiet.id);
        quick.await_count(count);
        assert!(queued.elapsed().as_millis() < 3000, "event {count} took {:?}", queued.elapsed());
    }
    assert!(hanging.received().len() < 256, "some slots stay free");
}

#[test]
fn slow_receiver_gets_one_request_at_a_time() {
    // It responds successfully to each request after seven seconds.
    let slow = Receiver::answering(|_, _| Reply::Late(7));
    let server = place().start();
    let hook = hook(&server, &slow.url(), &["key.created"]);
    for _ in 0..7 {
        server.make(&json!({}));
    }
    // Four at first, because it is not known to be slow; then one at a time.
    let received = slow.await_count(6);
    let arrivals: Vec<i64> = received.iter().map(|request| request.timestamp()).collect();
    assert!(arrivals[3] - arrivals[0] <= 3, "{arrivals:?}");
    assert!(arrivals[5] - arrivals[4] >= 6, "one at a time: {arrivals:?}");
    drop(hook);
}

#[test]
fn deliveries_of_a_clock_ahead_are_rescheduled() {
    let (receiver, server) = (Receiver::start(), place_on_sqlite().start());
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let id = test(&server, &hook.id);
    await_delivery(&server, &hook.id, &id, "delivered");
    let key = server.key.clone();
    let place = server.stop();
    // As if a clock that was two hours ahead had queued it.
    database::execute(
        &place.database(),
        "UPDATE webhook_deliveries SET state = 'pending', ended_at = NULL, due_at = due_at + 7200000, \
         scheduled_at = scheduled_at + 7200000",
    );
    let server = place.serve(key);
    receiver.await_count(2);
    await_delivery(&server, &hook.id, &id, "delivered");
    assert!(server.stderr().contains("rescheduled deliveries"), "{}", server.stderr());
}
