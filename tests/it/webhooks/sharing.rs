//! No event is lost when a server is killed, and nodes share the work.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::postgres::Database;
use crate::support::{Place, Server, eventually_within};
use crate::webhooks::{Receiver, Reply, await_all, await_delivery, hook, permissive, place, place_on_sqlite, test};

/// A node of a deployment.
fn node(database: &Database) -> Place {
    permissive(Place::on_sqlite())
        .set("KEYTURN_STORE__URL", database.url())
        .unset("KEYTURN_SECRETS__MASTER_KEY_FILE")
        .set("KEYTURN_SECRETS__MASTER_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=")
        .set("KEYTURN_SERVER__PUBLIC_URL", "http://keyturn.test")
}

#[test]
fn events_survive_a_kill() {
    let (receiver, mut server) = (Receiver::start(), place().start());
    let hook = hook(&server, &receiver.url(), &["key.*"]);
    let mut expected = BTreeSet::new();
    for _ in 0..5 {
        for _ in 0..4 {
            expected.insert(server.make(&json!({})).id);
        }
        let key = server.key.clone();
        server = server.kill().serve(key);
    }
    await_all(&server, &hook.id, "delivered");
    let received = receiver.received();
    let delivered: BTreeSet<String> = received
        .iter()
        .map(|request| request.verified(&hook.secret)["data"]["subject"].as_str().unwrap().into())
        .collect();
    assert_eq!(delivered, expected);
    let ids: BTreeSet<&str> = received.iter().map(|request| request.id()).collect();
    assert_eq!(ids.len(), expected.len(), "repeated deliveries have the same ID");
}

#[test]
fn interrupted_attempt_is_repeated_under_the_same_id() {
    let receiver = Receiver::answering(|_, before| if before == 0 { Reply::Silence } else { Reply::Status(200, "") });
    let server = place_on_sqlite().start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let id = test(&server, &hook.id);
    receiver.await_count(1);
    let key = server.key.clone();
    let server = server.kill().serve(key);
    await_delivery(&server, &hook.id, &id, "delivered");
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|attempt| attempt.id() == id && attempt.body == received[0].body));
}

#[test]
fn shutdown_does_not_wait_for_a_slow_receiver() {
    let receiver = Receiver::answering(|_, before| if before == 0 { Reply::Silence } else { Reply::Status(200, "") });
    let server = place().start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let id = test(&server, &hook.id);
    receiver.await_count(1);
    let key = server.key.clone();
    let stopping = std::time::Instant::now();
    let place = server.stop();
    assert!(stopping.elapsed().as_secs() < 12, "{:?}", stopping.elapsed());
    let server = place.serve(key);
    await_delivery(&server, &hook.id, &id, "delivered");
    assert_eq!(receiver.received().len(), 2, "given back at once");
}

#[test]
fn two_nodes_deliver_each_event_once() {
    let (receiver, database) = (Receiver::start(), Database::create());
    let a = node(&database).start();
    let b = node(&database).serve(a.key.clone());
    let hook = hook(&a, &receiver.url(), &["key.*"]);
    let made: BTreeSet<String> = std::thread::scope(|scope| {
        let make = |server: &Server| (0..50).map(|_| server.make(&json!({})).id).collect::<Vec<_>>();
        let threads = [&a, &b].map(|server| scope.spawn(move || make(server)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.len(), 100);
    await_all(&b, &hook.id, "delivered");
    let received = receiver.received();
    assert_eq!(received.len(), 100, "none twice, for nobody died");
    let delivered: BTreeSet<String> = received
        .iter()
        .map(|request| request.verified(&hook.secret)["data"]["subject"].as_str().unwrap().into())
        .collect();
    assert_eq!(delivered, made);
    drop((a, b));
}

#[test]
fn other_node_takes_over_after_a_kill() {
    let receiver = Receiver::answering(|_, before| if before == 0 { Reply::Silence } else { Reply::Status(200, "") });
    let database = Database::create();
    let a = node(&database).start();
    let hook = hook(&a, &receiver.url(), &["policy.changed"]);
    let id = test(&a, &hook.id);
    receiver.await_count(1);
    let key = a.key.clone();
    let killed = a.kill();
    let b = node(&database).serve(key);
    let delivered = eventually_within(60, "the other node has it", || {
        let found = crate::webhooks::deliveries(&b, &hook.id);
        found.into_iter().find(|found| found["id"] == id.as_str() && found["state"] == "delivered")
    });
    assert_eq!(delivered["attempts"], 1, "an attempt that nobody saw the end of does not count");
    assert_eq!(receiver.received().len(), 2);
    drop((killed, b));
}
