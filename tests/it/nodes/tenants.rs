//! The policy, state and signing keys of an organization are effective on every node when a change is confirmed,
//! including nodes that have lost the database or are behind.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::nodes::wire::Wire;
use crate::nodes::{Two, is_good, place, place_at};
use crate::support::check::problem;
use crate::support::postgres::Database;
use crate::support::{Answer, Key, Server, eventually};

/// An audience that a policy allows or denies.
const API: &str = "https://api.example";

fn put(server: &Server, policy: &Value) -> Answer {
    server.api("PUT", "policy").json(policy).send()
}

fn allow(server: &Server, audiences: &[&str]) {
    put(server, &json!({ "audiences": audiences })).expect(200);
}

fn exchange_for_api(server: &Server, key: &Key) -> u16 {
    server.exchange(&key.text, &[("audience", API)]).status
}

/// A node whose connections to the database go through a wire.
fn on_a_wire(database: &Database, key: &Key) -> (Wire, Server) {
    let wire = Wire::to(Database::port());
    let server = place_at(&database.url_at(wire.port)).serve(key.clone());
    (wire, server)
}

#[test]
fn repeated_policy_put_waits_like_the_first() {
    let two = Two::embedded();
    let (wire, cut) = on_a_wire(&two.database, &two.a.key);
    for round in 0..3 {
        allow(&two.a, &[API]);
        eventually("the audience on the third node", || (exchange_for_api(&cut, &cut.key) == 200).then_some(()));
        wire.hold();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| allow(&two.a, &[]));
            std::thread::sleep(Duration::from_millis(80));
            allow(&two.b, &[]);
            let answered = Instant::now();
            while answered.elapsed() < Duration::from_millis(700) {
                let status = exchange_for_api(&cut, &cut.key);
                assert_ne!(status, 200, "round {round}, {:?} after the repeated PUT was confirmed", answered.elapsed());
            }
            first.join().unwrap();
        });
        wire.release();
        eventually("the third node", || (cut.exchange(&cut.key.text, &[]).status == 200).then_some(()));
    }
    drop((cut, wire));
}

#[test]
fn node_without_database_does_not_use_an_old_policy() {
    let two = Two::embedded();
    let (wire, cut) = on_a_wire(&two.database, &two.a.key);
    for round in 0..3 {
        allow(&two.a, &[API]);
        eventually("the audience on the third node", || (exchange_for_api(&cut, &cut.key) == 200).then_some(()));
        wire.hold();
        allow(&two.a, &[]);
        // Requests that wait while the node is cut off, and others that start when it reconnects.
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|n| {
                    let cut = &cut;
                    scope.spawn(move || {
                        std::thread::sleep(Duration::from_millis(120 * n));
                        exchange_for_api(cut, &cut.key)
                    })
                })
                .collect();
            std::thread::sleep(Duration::from_millis(500));
            wire.release();
            for asked in asking {
                assert_ne!(asked.join().unwrap(), 200, "round {round}");
            }
        });
        eventually("the third node", || (cut.exchange(&cut.key.text, &[]).status == 200).then_some(()));
        assert_eq!(exchange_for_api(&cut, &cut.key), 400);
    }
    drop((cut, wire));
}

#[test]
fn policy_put_is_compared_with_the_store() {
    let two = Two::embedded();
    let (wire, behind) = on_a_wire(&two.database, &two.a.key);
    for _ in 0..3 {
        allow(&two.a, &["https://one.example"]);
        eventually("the policy", || {
            (behind.api("GET", "policy").send().expect(200)["audiences"][0] == "https://one.example").then_some(())
        });
        wire.hold();
        allow(&two.a, &["https://two.example"]);
        std::thread::scope(|scope| {
            let put = scope.spawn(|| {
                eventually("an answer", || {
                    let answer = put(&behind, &json!({ "audiences": ["https://one.example"] }));
                    (answer.status == 200).then_some(())
                });
            });
            std::thread::sleep(Duration::from_millis(50));
            wire.release();
            put.join().unwrap();
        });
        for server in [&two.a, &two.b, &behind] {
            let policy = server.api("GET", "policy").send().expect(200);
            assert_eq!(policy["audiences"], json!(["https://one.example"]), "a confirmed PUT is effective");
        }
    }
    drop((behind, wire));
}

#[test]
fn key_limit_applies_on_a_node_that_is_behind() {
    let two = Two::embedded();
    let (wire, behind) = on_a_wire(&two.database, &two.a.key);
    behind.make(&json!({}));
    wire.hold();
    put(&two.a, &json!({ "max_keys": 1 })).expect(200);
    std::thread::scope(|scope| {
        let creating = scope.spawn(|| behind.api("POST", "keys").json(&json!({})).send());
        std::thread::sleep(Duration::from_millis(300));
        wire.release();
        let answer = creating.join().unwrap();
        assert_ne!(answer.status, 201, "{}", answer.text());
    });
    let refused = eventually("an answer", || {
        let answer = behind.api("POST", "keys").json(&json!({})).send();
        (answer.status != 503).then_some(answer)
    });
    problem(&refused, 409, "KEY_LIMIT_REACHED");
    drop((behind, wire));
}

#[test]
fn retired_signing_key_is_not_used_on_any_node() {
    let two = Two::embedded();
    let (wire, cut) = on_a_wire(&two.database, &two.a.key);
    for n in 0..3 {
        let (one, other) = two.turn(n);
        let tokens: Vec<String> = [one, other, &cut].map(|server| server.token(&server.key, &[])).into();
        for token in &tokens {
            // Verified on every node, and so in every cache.
            assert!([one, other, &cut].into_iter().all(|server| is_good(server, token)));
        }
        if n == 1 {
            wire.hold();
        }
        let made = one.api("POST", "signing-keys/rotate").json(&json!({ "retire_now": true })).send().expect(201);
        for token in &tokens {
            assert!(!is_good(one, token) && !is_good(other, token), "round {n}");
            assert_ne!(cut.me(token).status, 200, "round {n}, on a node that is cut off or not");
        }
        wire.release();
        eventually("the third node", || (cut.exchange(&cut.key.text, &[]).status == 200).then_some(()));
        let kid = made["kid"].as_str().unwrap();
        for server in [one, other, &cut] {
            let token = server.token(&server.key, &[]);
            assert_eq!(crate::support::jwt::part(&token, 0)["kid"], kid);
            assert!([one, other, &cut].into_iter().all(|server| is_good(server, &token)), "round {n}");
        }
        let kids = two.a.api("GET", "signing-keys").send().expect(200)["items"].as_array().unwrap().len();
        assert_eq!(kids, 1);
    }
    drop((cut, wire));
}

#[test]
fn deleted_signing_key_is_replaced_first() {
    let database = Database::create();
    let server = place(&database).start();
    let token = server.token(&server.key, &[]);
    let first = crate::support::jwt::part(&token, 0)["kid"].as_str().unwrap().to_owned();
    assert_eq!(server.api("DELETE", &format!("signing-keys/{first}")).send().status, 204);
    assert!(!is_good(&server, &token));
    let next = server.token(&server.key, &[]);
    assert!(is_good(&server, &next));
    problem(&server.api("DELETE", &format!("signing-keys/{first}")).send(), 404, "NOT_FOUND");
    drop(server);
}

#[test]
fn policy_change_never_hides_the_organization() {
    let two = Two::embedded();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for server in [&two.a, &two.b, &two.a, &two.b] {
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    server.exchange(&server.key.text, &[]).expect(200);
                }
            });
        }
        let ends = OnDrop(&is_over);
        for n in 0..40 {
            allow(if n % 2 == 0 { &two.a } else { &two.b }, if n % 3 == 0 { &[API] } else { &[] });
        }
        drop(ends);
    });
}

/// Sets the flag even if a panic leaves the scope.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
