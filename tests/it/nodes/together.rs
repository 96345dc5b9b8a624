//! Two nodes on one database: a change that one has confirmed is effective on the other immediately.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::nodes::wire::Wire;
use crate::nodes::{LEASES_OVER, Two, is_good, logged, metric, place, place_at, place_with, timed};
use crate::support::postgres::Database;
use crate::support::redis::Redis;
use crate::support::server::scope_list;
use crate::support::{Answer, Key, Server, eventually, jwt};

/// Changes that remove rights. All of them invalidate a token; the result of an exchange with the secret differs.
const TAKING: usize = 9;

/// Makes one of them. Returns the status that an exchange with the same secret must have from then on.
#[track_caller]
fn take_away(server: &Server, key: &Key, token: &str, which: usize) -> u16 {
    let own = |token: &str| {
        let request = server.request("POST", "/oauth/revoke").basic(&key.id, &key.text);
        request.form(&[("token", token)]).send().expect(200);
    };
    let id = &key.id;
    match which % TAKING {
        0 => drop(server.change("POST", &format!("{id}/revoke"), &json!({}))),
        1 => drop(server.api("DELETE", &format!("keys/{id}")).send().expect(200)),
        2 => own(&key.text),
        3 => drop(server.change("POST", &format!("{id}/rotate"), &json!({}))),
        4 => drop(server.change("POST", &format!("{id}/disable"), &json!({}))),
        5 => drop(server.change("PATCH", id, &json!({ "allowed_cidrs": ["192.0.2.0/24"] }))),
        6 => drop(server.change("PATCH", id, &json!({ "scopes": scope_list("read:a") }))),
        7 => drop(server.change("PATCH", id, &json!({ "expires_in_seconds": 600 }))),
        _ => own(token),
    }
    [401, 401, 401, 401, 403, 403, 200, 200, 200][which % TAKING]
}

/// One node makes changes and the other is checked immediately, alternately.
#[track_caller]
fn taken_away_everywhere(two: &Two, times: usize) {
    for n in 0..times {
        let (one, other) = two.turn(n);
        let key = one.make(&json!({ "scopes": scope_list("read:*") }));
        let token = other.token(&key, &[]);
        assert!(is_good(one, &token) && is_good(other, &token));
        one.exchange(&key.text, &[]).expect(200);
        let status = take_away(one, &key, &token, n);
        let after = other.exchange(&key.text, &[]);
        assert_eq!(after.status, status, "change {}: {}", n % TAKING, after.text());
        assert!(!is_good(other, &token), "change {}", n % TAKING);
        assert!(!is_good(one, &token), "change {}", n % TAKING);
        if n % TAKING == 6 {
            assert_eq!(after.json()["scope"], "read:a");
        }
    }
}

#[test]
fn revocations_are_effective_on_the_other_node() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    taken_away_everywhere(&two, 4 * TAKING);
    for server in [&two.a, &two.b] {
        assert!(metric(server, "keyturn_change_wait_seconds_count{by=\"followed\"}") >= Some(15.0));
        assert_eq!(metric(server, "keyturn_change_wait_seconds_count{by=\"leases_over\"}").unwrap_or(0.0), 0.0);
    }
}

#[test]
fn revocations_are_effective_without_redis() {
    taken_away_everywhere(&Two::embedded(), TAKING);
}

/// Ends a grace period on one node and checks the other immediately.
#[track_caller]
fn grace_is_ended_everywhere(two: &Two, times: usize) {
    for n in 0..times {
        let (one, other) = two.turn(n);
        let key = one.make(&json!({ "scopes": scope_list("read:*") }));
        let before = other.token(&key, &[]);
        let rotated = one.change("POST", &format!("{}/rotate", key.id), &json!({ "grace_seconds": 600 }));
        let new = Key { id: key.id.clone(), text: rotated["secret"].as_str().unwrap().to_owned() };
        let (previous, current) = (other.token(&key, &[]), other.token(&new, &[]));
        for server in [one, other] {
            assert!([&before, &previous, &current].into_iter().all(|token| is_good(server, token)));
        }
        one.change("POST", &format!("{}/end-grace", key.id), &json!({}));
        // The first request counts, on the other node first.
        for server in [other, one] {
            assert!(!is_good(server, &previous) && !is_good(server, &before));
            server.exchange(&key.text, &[]).expect(401);
            assert!(is_good(server, &current));
            server.exchange(&new.text, &[]).expect(200);
        }
    }
}

#[test]
fn ended_grace_is_effective_on_the_other_node() {
    let redis = Redis::start();
    grace_is_ended_everywhere(&Two::with(&redis.url()), 8);
}

#[test]
fn ended_grace_is_effective_without_redis() {
    grace_is_ended_everywhere(&Two::embedded(), 2);
}

#[test]
fn no_exchange_succeeds_after_a_revoke_under_load() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    for n in 0..8 {
        let (one, other) = two.turn(n);
        let key = one.make(&json!({}));
        let token = one.token(&key, &[]);
        let (is_answered, asked) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for server in [one, other, other] {
                let (key, token, is_answered, asked) = (&key, &token, &is_answered, &asked);
                scope.spawn(move || {
                    loop {
                        let after = is_answered.load(Ordering::SeqCst);
                        let exchanged = server.exchange(&key.text, &[]).status;
                        let good = server.me(token).status;
                        assert!(!after || (exchanged, good) == (401, 401), "{exchanged} {good}");
                        if after {
                            return;
                        }
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            eventually("some exchanges", || (asked.load(Ordering::Relaxed) >= 6).then_some(()));
            take_away(one, &key, &token, n % 3);
            is_answered.store(true, Ordering::SeqCst);
        });
    }
}

/// Changes that grant rights are effective on the other node.
#[track_caller]
fn given_everywhere(two: &Two, times: usize) {
    for n in 0..times {
        let (one, other) = two.turn(n);
        let key = one.make(&json!({ "scopes": scope_list("read:a"), "allowed_cidrs": ["192.0.2.0/24"] }));
        other.exchange(&key.text, &[]).expect(403);
        one.change("PATCH", &key.id, &json!({ "allowed_cidrs": [], "scopes": scope_list("read:*") }));
        assert_eq!(other.exchange(&key.text, &[]).expect(200)["scope"], "read:*");
        other.change("POST", &format!("{}/disable", key.id), &json!({}));
        one.exchange(&key.text, &[]).expect(403);
        other.change("POST", &format!("{}/enable", key.id), &json!({}));
        let token = one.token(&key, &[]);
        assert!(is_good(other, &token));
        let rotated = one.change("POST", &format!("{}/rotate", key.id), &json!({ "grace_seconds": 60 }));
        for text in [&key.text, rotated["secret"].as_str().unwrap()] {
            let token = other.exchange(text, &[]).expect(200)["access_token"].as_str().unwrap().to_owned();
            assert!(is_good(one, &token));
        }
    }
}

#[test]
fn grants_are_effective_on_the_other_node() {
    let redis = Redis::start();
    given_everywhere(&Two::with(&redis.url()), 5);
}

#[test]
fn grants_are_effective_without_redis() {
    given_everywhere(&Two::embedded(), 2);
}

#[test]
fn same_change_on_both_nodes_is_made_once() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    for n in 0..10 {
        let key = two.a.make(&json!({}));
        let token = two.b.token(&key, &[]);
        std::thread::scope(|scope| {
            for (server, other) in [(&two.a, &two.b), (&two.b, &two.a)] {
                let (key, token) = (&key, &token);
                scope.spawn(move || {
                    let path = format!("{}/{}", key.id, ["revoke", "disable"][n % 2]);
                    server.change("POST", &path, &json!({}));
                    assert!(matches!(other.exchange(&key.text, &[]).status, 401 | 403));
                    assert!(!is_good(other, token), "the second answer is as good as the first");
                });
            }
        });
        let version = two.a.api("GET", &format!("keys/{}", key.id)).send().expect(200)["version"].clone();
        assert_eq!(version, 2);
    }
}

#[test]
fn change_of_a_disconnected_client_is_effective() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    for n in 0..10 {
        let (one, other) = two.turn(n);
        let key = one.make(&json!({}));
        let token = other.token(&key, &[]);
        let request = one.api("POST", &format!("keys/{}/revoke", key.id)).json(&json!({}));
        let mut stream = TcpStream::connect(one.address).unwrap();
        stream.write_all(&request.bytes()).unwrap();
        drop(stream);
        // A repetition is confirmed only after the first change is effective.
        eventually("the revocation", || (one.exchange(&key.text, &[]).status == 401).then_some(()));
        one.change("POST", &format!("{}/revoke", key.id), &json!({}));
        other.exchange(&key.text, &[]).expect(401);
        assert!(!is_good(other, &token));
    }
}

#[test]
fn id_requested_before_its_creation_works() {
    let database = Database::create();
    let a = place(&database).start();
    let key = a.make(&json!({}));
    database.sql(&format!(
        "CREATE TABLE aside AS SELECT * FROM api_keys WHERE id = '{0}'; DELETE FROM usage_hours WHERE key_id = '{0}'; \
         DELETE FROM usage_totals WHERE key_id = '{0}'; DELETE FROM key_grants WHERE key_id = '{0}'; DELETE FROM api_keys WHERE id = '{0}'",
        key.id
    ));
    // A key ID that was never requested before.
    let b = place(&database).serve(a.key.clone());
    for _ in 0..3 {
        b.exchange(&key.text, &[]).expect(401);
    }
    let columns = database.sql(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns \
         WHERE table_name = 'api_keys' AND is_generated = 'NEVER'",
    );
    let seq = database.sql(&format!(
        "BEGIN; UPDATE change_seq SET seq = seq + 1; INSERT INTO api_keys ({columns}) SELECT {columns} FROM aside; \
         INSERT INTO key_changes (seq, key_id, generation, at) SELECT seq, '{}', 1, 0 FROM change_seq; COMMIT; \
         SELECT seq FROM change_seq",
        key.id
    ));
    let seq: f64 = seq.parse().unwrap();
    eventually("the change", || (metric(&b, "keyturn_applied_change")? >= seq).then_some(()));
    b.exchange(&key.text, &[]).expect(200);
    drop((a, b));
}

#[test]
fn new_organization_is_served_without_a_restart() {
    let database = Database::create();
    let place_of_a = place(&database);
    let a = place_of_a.start();
    let b = place(&database).serve(a.key.clone());
    assert_eq!(b.get("/o/other/.well-known/jwks.json").send().status, 404);
    let founded = place(&database).init(&["--organization", "other"]);
    assert_eq!(founded.issuer, "http://keyturn.test/o/other");
    for server in [&a, &b] {
        eventually("its token", || (server.exchange(&founded.key.text, &[]).status == 200).then_some(()));
        let jwks = server.get("/o/other/.well-known/jwks.json").send().expect(200);
        let token = server.token(&founded.key, &[]);
        assert_eq!(jwt::verify(&token, &jwks).1["iss"], "http://keyturn.test/o/other");
        server.get("/.well-known/oauth-authorization-server/o/other").send().expect(200);
    }
    let token = a.token(&founded.key, &[]);
    assert_eq!(b.me(&token).status, 200);
    drop((a, b));
}

#[test]
fn key_of_a_new_organization_is_not_rejected() {
    let two = Two::embedded();
    for n in 0..3 {
        let founded = place(&two.database).init(&["--organization", &format!("o{n}")]);
        let (one, _) = two.turn(n);
        let first = one.exchange(&founded.key.text, &[]);
        assert!(matches!(first.status, 200 | 503), "{} {}", first.status, first.text());
        eventually("its token", || (one.exchange(&founded.key.text, &[]).status == 200).then_some(()));
    }
}

#[test]
fn tokens_are_valid_on_both_nodes_during_rotations() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    let stop = AtomicBool::new(false);
    let jwks = |server: &Server| server.get("/.well-known/jwks.json").send().expect(200);
    let (kids, count) = std::thread::scope(|scope| {
        let minters: Vec<_> = [(&two.a, &two.b), (&two.b, &two.a)]
            .map(|(one, other)| {
                let stop = &stop;
                scope.spawn(move || {
                    let (mut kids, mut count) = (BTreeSet::new(), 0);
                    while !stop.load(Ordering::Relaxed) {
                        let published = jwks(other);
                        let token = one.token(&one.key, &[]);
                        // Even with the keys that were published before it was issued.
                        jwt::verify(&token, &published);
                        jwt::verify(&token, &jwks(one));
                        assert!(is_good(other, &token));
                        kids.insert(jwt::part(&token, 0)["kid"].as_str().unwrap().to_owned());
                        count += 1;
                    }
                    (kids, count)
                })
            })
            .into();
        let mut made = Vec::new();
        for n in 0..4 {
            let (one, _) = two.turn(n);
            let body = json!({ "publish_ahead_seconds": 0 });
            let answer = one.api("POST", "signing-keys/rotate").json(&body).send();
            // The other node may have read its keys before the last rotation.
            if answer.status != 409 {
                made.push(answer.expect(201)["kid"].as_str().unwrap().to_owned());
            }
            std::thread::sleep(Duration::from_millis(400));
        }
        assert!(made.len() >= 3, "{} rotations", made.len());
        let last = made.last().unwrap();
        for server in [&two.a, &two.b] {
            eventually("the last key in use", || {
                let token = server.token(&server.key, &[]);
                (jwt::part(&token, 0)["kid"] == last.as_str()).then_some(())
            });
        }
        stop.store(true, Ordering::Relaxed);
        let mut all = (BTreeSet::new(), 0);
        for minter in minters {
            let (kids, count) = minter.join().unwrap();
            all.0.extend(kids);
            all.1 += count;
        }
        all
    });
    assert!(kids.len() >= 2 && count > 100, "{} keys, {count} tokens", kids.len());
}

fn members(database: &Database) -> Vec<String> {
    database.sql("SELECT id FROM nodes ORDER BY id").lines().map(str::to_owned).collect()
}

#[test]
fn node_is_registered_while_it_runs() {
    let two = Two::embedded();
    let both = members(&two.database);
    assert_eq!(both.len(), 2);
    let Two { a, b, database } = two;
    let key = b.key.clone();
    let place = b.stop();
    let left = members(&database);
    assert!(left.len() == 1 && both.contains(&left[0]));
    let key_alone = a.make(&json!({}));
    let (took, _) = timed(|| a.change("POST", &format!("{}/revoke", key_alone.id), &json!({})));
    assert!(took < Duration::from_millis(800), "nobody is waited for: {took:?}");
    let b = place.serve(key);
    let again = members(&database);
    assert!(again.len() == 2 && again.iter().filter(|id| both.contains(id)).count() == 1, "under a new name");
    let place = b.stop();
    drop(a.stop());
    assert_eq!(members(&database), [""; 0]);
    drop(place);
}

/// Makes changes until one is fast. Returns how many waited for the lease of a silent node.
#[track_caller]
fn until_given_up(server: &Server) -> u32 {
    let (begun, mut waited, key) = (Instant::now(), 0, server.make(&json!({})));
    loop {
        let (took, _) = timed(|| server.change("PATCH", &key.id, &json!({ "description": format!("{waited}") })));
        assert!(took < LEASES_OVER, "a change took {took:?}");
        if took < Duration::from_millis(300) {
            return waited;
        }
        waited += 1;
        assert!(begun.elapsed() < Duration::from_secs(14), "it is waited for after {:?}", begun.elapsed());
    }
}

#[test]
fn silent_nodes_delay_changes_until_removed() {
    let (database, redis) = (Database::create(), Redis::start());
    let node = || place_with(&database, &redis.url());
    let a = node().start();
    let [killed, still] = [node(), node()].map(|place| place.serve(a.key.clone()));
    let before = members(&database);
    let key = a.make(&json!({}));
    let token = still.token(&key, &[]);
    let place = killed.kill();
    still.signal("STOP");
    take_away(&a, &key, &token, 0);
    let waited = until_given_up(&a);
    assert!((2..=10).contains(&waited), "{waited} changes waited");
    let left = members(&database);
    assert!(left.len() == 1 && before.contains(&left[0]), "{left:?}");
    assert_eq!(logged(&a, "removed a node that does not respond").len(), 2, "once each");
    let other = a.make(&json!({}));
    for what in ["disable", "enable", "revoke"] {
        let (took, _) = timed(|| a.change("POST", &format!("{}/{what}", other.id), &json!({})));
        assert!(took < Duration::from_millis(800), "nobody is waited for: {took:?}");
    }

    // One node continues, and registers again.
    still.signal("CONT");
    still.exchange(&key.text, &[]).expect(401);
    assert!(!is_good(&still, &token));
    let after = eventually("its return", || Some(members(&database)).filter(|now| now.len() == 2));
    assert_eq!(after.iter().filter(|id| before.contains(id)).count(), 1, "under a new name");
    eventually("its lease", || (metric(&still, "keyturn_lease_live")? == 1.0).then_some(()));
    // The other node is started again.
    let killed = place.serve(a.key.clone());
    assert_eq!(members(&database).len(), 3);
    for other in [&still, &killed] {
        let key = a.make(&json!({}));
        let token = other.token(&key, &[]);
        take_away(&a, &key, &token, 0);
        other.exchange(&key.text, &[]).expect(401);
        assert!(!is_good(other, &token));
    }
    drop((a, still, killed));
}

#[test]
fn suspended_node_applies_missed_changes() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    for n in 0..2 {
        let keys = [two.a.make(&json!({})), two.a.make(&json!({}))];
        let tokens = keys.each_ref().map(|key| two.b.token(key, &[]));
        let good = two.a.make(&json!({}));
        two.b.token(&good, &[]);
        two.b.signal("STOP");
        std::thread::scope(|scope| {
            for (key, token) in keys.iter().zip(&tokens) {
                let a = &two.a;
                scope.spawn(move || {
                    let (took, _) = timed(|| take_away(a, key, token, n));
                    assert!(took < LEASES_OVER, "{took:?}");
                });
            }
        });
        // Requested while the node is suspended, and returned when it continues.
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| two.b.exchange(&keys[0].text, &[]));
            let second = scope.spawn(|| two.b.me(&tokens[1]));
            std::thread::sleep(Duration::from_millis(50));
            two.b.signal("CONT");
            (first.join().unwrap(), second.join().unwrap())
        });
        assert_eq!((first.status, second.status), (401, 401), "{} {}", first.text(), second.text());
        two.b.exchange(&keys[1].text, &[]).expect(401);
        assert!(!is_good(&two.b, &tokens[0]));
        two.b.exchange(&good.text, &[]).expect(200);
    }
}

/// A node whose connections to the database can be held.
fn on_a_wire(database: &Database, redis: &Redis, key: &Key) -> (Wire, Server) {
    let wire = Wire::to(Database::port());
    let place = place_at(&database.url_at(wire.port)).set("KEYTURN_REVOCATION__URL", redis.url());
    let server = place.serve(key.clone());
    (wire, server)
}

#[test]
fn node_without_database_accepts_nothing_revoked() {
    let (database, redis) = (Database::create(), Redis::start());
    let a = place_with(&database, &redis.url()).start();
    let (wire, b) = on_a_wire(&database, &redis, &a.key);
    let (key, good) = (a.make(&json!({})), a.make(&json!({})));
    let (token, good_token) = (b.token(&key, &[]), b.token(&good, &[]));
    wire.hold();
    let (took, _) = timed(|| take_away(&a, &key, &token, 0));
    assert!(took < LEASES_OVER, "{took:?}");
    let refused = |answer: &Answer| assert_eq!(answer.status, 503, "{}", answer.text());
    let (took, answers) = timed(|| {
        std::thread::scope(|scope| {
            let asks = [
                scope.spawn(|| b.exchange(&key.text, &[])),
                scope.spawn(|| b.me(&token)),
                scope.spawn(|| b.exchange(&good.text, &[])),
                scope.spawn(|| b.me(&good_token)),
            ];
            asks.map(|ask| ask.join().unwrap())
        })
    });
    answers.iter().for_each(refused);
    assert!(took < Duration::from_secs(14), "{took:?}");
    // A node that knows that it is cut off fails without waiting.
    eventually("the end of readiness", || (b.get("/readyz").send().status == 503).then_some(()));
    let (took, answer) = timed(|| b.exchange(&good.text, &[]));
    refused(&answer);
    assert!(took < Duration::from_millis(300), "{took:?}");
    wire.release();
    eventually("readiness", || (b.get("/readyz").send().status == 200).then_some(()));
    b.exchange(&key.text, &[]).expect(401);
    b.exchange(&good.text, &[]).expect(200);
    assert!(!is_good(&b, &token) && is_good(&b, &good_token));
    drop((a, b));
}

#[test]
fn token_of_an_unknown_signing_key_is_not_rejected() {
    let (database, redis) = (Database::create(), Redis::start());
    let a = place_with(&database, &redis.url()).start();
    let (wire, b) = on_a_wire(&database, &redis, &a.key);
    wire.hold();
    let made = a.api("POST", "signing-keys/rotate").json(&json!({ "publish_ahead_seconds": 0 })).send().expect(201);
    let token = eventually("a token of the new key", || {
        Some(a.token(&a.key, &[])).filter(|token| jwt::part(token, 0)["kid"] == made["kid"])
    });
    assert_eq!(b.me(&token).status, 503);
    assert_eq!(b.get("/verify").bearer(&token).send().status, 503);
    let ask = |path: &str| b.request("POST", path).basic(&b.key.id, &b.key.text).form(&[("token", &token)]).send();
    assert_eq!(ask("/oauth/introspect").status, 503);
    assert_eq!(ask("/oauth/revoke").status, 503, "it did not revoke it");
    wire.release();
    eventually("the token is good", || (b.me(&token).status == 200).then_some(()));
    drop((a, b));
}

#[test]
fn suspended_node_revokes_a_token_of_a_new_signing_key() {
    let (database, redis) = (Database::create(), Redis::start());
    let a = place_with(&database, &redis.url()).start();
    let b = place_with(&database, &redis.url()).serve(a.key.clone());
    b.signal("STOP");
    let made = a.api("POST", "signing-keys/rotate").json(&json!({ "publish_ahead_seconds": 0 })).send().expect(201);
    let token = eventually("a token of the new key", || {
        Some(a.token(&a.key, &[])).filter(|token| jwt::part(token, 0)["kid"] == made["kid"])
    });
    let revoked = std::thread::scope(|scope| {
        let ask = scope.spawn(|| {
            let request = b.request("POST", "/oauth/revoke").basic(&b.key.id, &b.key.text);
            request.form(&[("token", &token)]).send()
        });
        std::thread::sleep(Duration::from_millis(100));
        b.signal("CONT");
        ask.join().unwrap()
    });
    assert!(matches!(revoked.status, 200 | 503), "{}", revoked.text());
    if revoked.status == 200 {
        assert!(!is_good(&a, &token), "it was said to be revoked");
    }
    drop((a, b));
}

#[test]
fn dropped_connections_are_replaced() {
    let two = Two::embedded();
    for n in 0..2 {
        let (one, other) = two.turn(n);
        let key = one.make(&json!({}));
        let token = other.token(&key, &[]);
        two.database.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        assert!(is_good(other, &token));
        take_away(one, &key, &token, n);
        other.exchange(&key.text, &[]).expect(401);
        assert!(!is_good(other, &token));
    }
}

#[test]
fn many_changes_with_few_connections_succeed() {
    let redis = Redis::start();
    let few = |database: &Database| place_with(database, &redis.url()).set("KEYTURN_STORE__CONNECTIONS", 2);
    let two = Two::on(Database::create(), few);
    let keys: Vec<Key> = (0..12).map(|_| two.a.make(&json!({}))).collect();
    std::thread::scope(|scope| {
        for (n, key) in keys.iter().enumerate() {
            let (one, other) = two.turn(n);
            scope.spawn(move || {
                one.change("POST", &format!("{}/disable", key.id), &json!({}));
                other.exchange(&key.text, &[]).expect(403);
                other.change("POST", &format!("{}/enable", key.id), &json!({}));
                one.exchange(&key.text, &[]).expect(200);
            });
        }
    });
}
