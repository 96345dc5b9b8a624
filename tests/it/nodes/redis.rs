//! The data in Redis for gateways and operators. Nothing depends on it.

use std::time::Duration;

use serde_json::json;

use crate::customers;
use crate::nodes::{LEASES_OVER, Two, is_good, logged, metric, place_with, timed, warnings};
use crate::support::postgres::Database;
use crate::support::redis::Redis;
use crate::support::{Key, Place, Server, eventually, jwt};

fn change(server: &Server, key: &Key, what: &str) {
    server.change("POST", &format!("{}/{what}", key.id), &json!({}));
}

/// Returns the list's entry for a key; empty if there is none.
fn listed(redis: &Redis, key: &Key) -> String {
    redis.ask(&["--raw", "GET", &format!("keyturn:revoked:key:{}", key.id)])
}

fn seconds_left(redis: &Redis, name: &str) -> i64 {
    redis.ask(&["TTL", name]).parse().unwrap()
}

fn jti(token: &str) -> String {
    jwt::part(token, 1)["jti"].as_str().unwrap().to_owned()
}

fn generation(server: &Server, key: &Key) -> String {
    jwt::part(&server.token(key, &[]), 1)["gen"].to_string()
}

fn revoke_token(server: &Server, key: &Key, token: &str) {
    let request = server.request("POST", "/oauth/revoke").basic(&key.id, &key.text);
    request.form(&[("token", token)]).send().expect(200);
}

/// Returns the only warning.
fn warned(server: &Server) -> String {
    let mut found = eventually("a warning", || Some(warnings(server)).filter(|found| !found.is_empty()));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn in_use(server: &Server) {
    eventually("Redis in use without complaint", || warnings(server).is_empty().then_some(()));
    eventually("Redis in use", || (metric(server, "keyturn_redis_up")? == 1.0).then_some(()));
}

#[test]
fn list_has_the_lowest_valid_generation() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    in_use(&two.b);
    let (key, untouched) = (two.a.make(&json!({})), two.a.make(&json!({})));
    assert_eq!(listed(&redis, &key), "", "of a key that was only made it says nothing");
    let name = format!("keyturn:revoked:key:{}", key.id);
    let first = generation(&two.a, &key);
    for (n, what) in ["disable", "enable", "narrow", "revoke"].into_iter().enumerate() {
        let (one, other) = two.turn(n);
        match what {
            "narrow" => drop(one.change("PATCH", &key.id, &json!({ "scopes": [] }))),
            _ => change(one, &key, what),
        }
        let found = listed(&redis, &key);
        let expected = if matches!(what, "disable" | "revoke") { "-".into() } else { generation(other, &key) };
        assert_eq!(found, expected, "{what}");
        assert_ne!(found, first, "tokens from before are not good");
        assert!((3600..=3660).contains(&seconds_left(&redis, &name)));
    }
    assert_eq!(listed(&redis, &untouched), "");
}

#[test]
fn list_has_the_generation_of_customers_also_after_a_flush() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    let customer = customers::new_customer(&two.a);
    let name = format!("keyturn:revoked:customer:{customer}");
    let listed = || redis.ask(&["--raw", "GET", &name]);
    assert_eq!(listed(), "");
    for (n, (what, expected)) in [("suspend", "-"), ("reinstate", "2")].into_iter().enumerate() {
        let (one, _) = two.turn(n);
        one.api("POST", &format!("customers/{customer}/{what}")).json(&json!({})).send().expect(200);
        // A write that takes Redis too long is repeated later.
        eventually(&format!("the entry after {what}"), || (listed() == expected).then_some(()));
        redis.ask(&["FLUSHALL"]);
        eventually("the list", || (listed() == expected).then_some(()));
    }
}

#[test]
fn revoked_token_is_listed_until_it_expires() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    let token = two.b.token(&two.a.key, &[]);
    revoke_token(&two.a, &two.a.key, &token);
    let name = format!("keyturn:revoked:token:{}", jti(&token));
    assert_eq!(redis.ask(&["EXISTS", &name]), "1");
    assert!(
        (3650..=3660).contains(&seconds_left(&redis, &name)),
        "as long as any token lives, whatever the clock says"
    );
    assert_eq!(redis.keys("keyturn:revoked:*"), [name]);
}

#[test]
fn nodes_report_and_announce_changes() {
    let redis = Redis::start();
    let heard = redis.listen("keyturn:changes");
    let two = Two::with(&redis.url());
    in_use(&two.a);
    let key = two.a.make(&json!({}));
    change(&two.a, &key, "disable");
    let seq = two.database.sql("SELECT seq FROM change_seq");
    let nudge = format!("{seq}.");
    let has_heard = |heard: &Vec<String>| heard.iter().any(|message| message.starts_with(&nudge));
    assert!(eventually("the message", || Some(heard.messages()).filter(has_heard)).len() > 1);
    for node in two.database.sql("SELECT id FROM nodes").lines() {
        let name = format!("keyturn:applied:{node}");
        let report = || Some(redis.ask(&["--raw", "GET", &name])).filter(|at| at.starts_with(&format!("{seq}.")));
        eventually("its report", report);
        assert!((50..=60).contains(&seconds_left(&redis, &name)));
    }
    assert_eq!(redis.keys("keyturn:applied:*").len(), 2);
    assert_eq!(redis.ask(&["--raw", "GET", "keyturn:deployment"]), two.database.sql("SELECT id FROM deployment"));
    let names = redis.keys("*");
    assert!(names.iter().all(|name| name.starts_with("keyturn:")), "{names:?}");
}

#[test]
fn every_name_has_the_prefix() {
    let redis = Redis::start();
    let heard = redis.listen("prod-eu_1.keys:changes");
    let url = format!("{}/3", redis.url());
    let two = Two::on(Database::create(), |database| {
        place_with(database, &url).set("KEYTURN_REVOCATION__PREFIX", "prod-eu_1.keys")
    });
    in_use(&two.a);
    let key = two.a.make(&json!({}));
    change(&two.a, &key, "revoke");
    revoke_token(&two.a, &two.a.key, &two.a.token(&two.a.key, &[]));
    assert!(!heard.messages().is_empty());
    assert!(redis.keys("*").is_empty(), "they are in the database that was named");
    let names = redis.ask_with(&["-n", "3", "--raw"], &["KEYS", "*"]);
    assert!(names.lines().all(|name| name.starts_with("prod-eu_1.keys:")), "{names}");
    assert!(names.lines().any(|name| name == format!("prod-eu_1.keys:revoked:key:{}", key.id)), "{names}");
}

#[test]
fn lost_list_is_rewritten() {
    let mut redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    in_use(&two.b);
    let (revoked, rotated, disabled) = (two.a.make(&json!({})), two.a.make(&json!({})), two.b.make(&json!({})));
    change(&two.a, &revoked, "revoke");
    change(&two.a, &rotated, "rotate");
    change(&two.b, &disabled, "disable");
    let token = two.a.token(&two.a.key, &[]);
    revoke_token(&two.a, &two.a.key, &token);
    let names = redis.keys("keyturn:revoked:*");
    assert_eq!(names.len(), 4);
    // The start of a node does not count as a loss.
    eventually("the first list", || (logged(&two.a, "revocation list written to Redis").len() == 1).then_some(()));
    assert_eq!(logged(&two.a, "Redis was restarted, replaced or emptied"), [""; 0]);
    for n in 0..2 {
        if n == 0 {
            redis.ask(&["FLUSHALL"]);
        } else {
            redis.kill();
            redis.run();
        }
        eventually("the list", || (redis.keys("keyturn:revoked:*") == names).then_some(()));
        eventually("the loss in the log", || {
            (!logged(&two.a, "Redis was restarted, replaced or emptied").is_empty()).then_some(())
        });
        assert_eq!([&revoked, &rotated, &disabled].map(|key| listed(&redis, key)), ["-", "2", "-"]);
        let left = seconds_left(&redis, &format!("keyturn:revoked:token:{}", jti(&token)));
        assert!((3600..=3660).contains(&left), "{left}");
        // Meanwhile no revoked key was accepted, and changes stay fast.
        two.b.exchange(&revoked.text, &[]).expect(401);
        assert!(!is_good(&two.b, &token));
        in_use(&two.a);
        in_use(&two.b);
        eventually("a fast change", || {
            let key = two.a.make(&json!({}));
            (timed(|| change(&two.a, &key, "rotate")).0 < Duration::from_millis(150)).then_some(())
        });
        redis.ask(&["FLUSHALL"]);
        eventually("the list", || (redis.keys("keyturn:revoked:*").len() > names.len()).then_some(()));
        for key in redis.keys("keyturn:revoked:*") {
            if !names.contains(&key) {
                two.database.sql(&format!(
                    "DELETE FROM key_changes WHERE key_id = '{}'",
                    key.trim_start_matches("keyturn:revoked:key:")
                ));
                redis.ask(&["DEL", &key]);
            }
        }
    }
}

#[test]
fn rejected_login_is_a_warning() {
    let redis = Redis::with(&["--requirepass", "right-password"]);
    let database = Database::create();
    let host = format!("127.0.0.1:{}", redis.port);
    for (n, url) in
        [format!("redis://:hunter2@{host}"), format!("redis://{host}"), format!("redis://me:hunter2@{host}")]
            .into_iter()
            .enumerate()
    {
        let place = place_with(&database, &url);
        let server = if n == 0 {
            place.start()
        } else {
            place.run(&["init", "--organization", "again"]);
            let key = Key { id: String::new(), text: String::new() };
            place.serve(key)
        };
        let warning = warned(&server);
        assert!(warning.contains("rejected the login"), "{url}: {warning}");
        assert!(warning.contains("check the user and password in revocation.url"), "{url}: {warning}");
        assert!(!warning.contains("hunter2") && !server.stderr().contains("hunter2"), "{url}: {warning}");
        assert_eq!(logged(&server, "rejected the login").len(), 1, "once: {}", server.stderr());
        if n == 0 {
            let key = server.make(&json!({}));
            let token = server.token(&key, &[]);
            change(&server, &key, "revoke");
            assert!(!is_good(&server, &token));
        }
        drop(server);
    }
    let url = format!("redis://:right-password@{host}");
    let server = place_with(&database, &url).serve(Key { id: String::new(), text: String::new() });
    in_use(&server);
    assert!(!server.stderr().contains("right-password"));
    drop(server);
}

#[test]
fn evicting_redis_is_a_warning() {
    let redis = Redis::with(&["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"]);
    let two = Two::with(&redis.url());
    let warning = warned(&two.a);
    assert!(warning.contains("allkeys-lru") && warning.contains("maxmemory-policy noeviction"), "{warning}");
    eventually("the log", || (!logged(&two.a, "allkeys-lru").is_empty()).then_some(()));
    let key = two.a.make(&json!({}));
    change(&two.a, &key, "revoke");
    assert_eq!(listed(&redis, &key), "-", "it is used all the same");
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    in_use(&two.a);
}

#[test]
fn other_deployments_redis_is_not_used() {
    let redis = Redis::start();
    let (first, second) = (Database::create(), Database::create());
    let mine = place_with(&first, &redis.url()).start();
    in_use(&mine);
    let theirs = place_with(&second, &redis.url()).start();
    let warning = warned(&theirs);
    assert!(warning.contains("another Keyturn deployment") && warning.contains("revocation.prefix"), "{warning}");
    let (key, token) = (theirs.make(&json!({})), theirs.token(&theirs.key, &[]));
    change(&theirs, &key, "revoke");
    revoke_token(&theirs, &theirs.key, &token);
    theirs.exchange(&key.text, &[]).expect(401);
    assert!(!is_good(&theirs, &token));
    assert_eq!(redis.keys("keyturn:revoked:*"), [""; 0]);
    assert_eq!(redis.ask(&["--raw", "GET", "keyturn:deployment"]), first.sql("SELECT id FROM deployment"));
    assert!(warnings(&mine).is_empty());

    // With a prefix of its own the second deployment can use it.
    let theirs = theirs.stop().set("KEYTURN_REVOCATION__PREFIX", "theirs").serve(key);
    in_use(&theirs);
    eventually("what was missed", || (redis.keys("theirs:revoked:*").len() == 2).then_some(()));
    // The second deployment can also take over after the first one's name is deleted.
    drop((mine, theirs));
    let again = place_with(&second, &redis.url()).serve(Key { id: String::new(), text: String::new() });
    warned(&again);
    redis.ask(&["DEL", "keyturn:deployment"]);
    in_use(&again);
    drop((again, first));
}

#[test]
fn redis_that_starts_later_is_used() {
    let mut redis = Redis::prepared(&[]);
    let two = Two::with(&redis.url());
    let warning = warned(&two.a);
    assert!(warning.contains("decisions continue"), "{warning}");
    let key = two.a.make(&json!({}));
    let (took, _) = timed(|| change(&two.a, &key, "revoke"));
    assert!(took < LEASES_OVER, "{took:?}");
    two.b.exchange(&key.text, &[]).expect(401);
    redis.run();
    in_use(&two.a);
    in_use(&two.b);
    eventually("the list", || (listed(&redis, &key) == "-").then_some(()));
    eventually("a fast change", || {
        let key = two.a.make(&json!({}));
        (timed(|| change(&two.a, &key, "rotate")).0 < Duration::from_millis(150)).then_some(())
    });
}

#[test]
fn suspended_redis_delays_only_changes() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    in_use(&two.b);
    let keys: Vec<Key> = (0..3).map(|_| two.a.make(&json!({}))).collect();
    for key in &keys {
        two.b.token(key, &[]);
    }
    redis.signal("STOP");
    for (n, key) in keys.iter().enumerate() {
        let (one, other) = two.turn(n);
        let (took, _) = timed(|| change(one, key, "revoke"));
        assert!(took < LEASES_OVER, "{took:?}");
        other.exchange(&key.text, &[]).expect(401);
        for _ in 0..10 {
            let (took, token) = timed(|| other.token(&other.key, &[]));
            assert!(took < Duration::from_millis(150), "{took:?}");
            let (took, _) = timed(|| assert!(is_good(one, &token)));
            assert!(took < Duration::from_millis(300), "{took:?}");
        }
    }
    let warning = warned(&two.a);
    assert!(warning.contains("did not respond"), "{warning}");
    redis.signal("CONT");
    in_use(&two.a);
    in_use(&two.b);
    eventually("the list", || keys.iter().all(|key| listed(&redis, key) == "-").then_some(()));
}

#[test]
fn single_node_on_sqlite_writes_the_list() {
    let mut redis = Redis::start();
    let server = Place::on_sqlite().set("KEYTURN_REVOCATION__URL", redis.url()).start();
    in_use(&server);
    let (key, token) = (server.make(&json!({})), server.token(&server.key, &[]));
    change(&server, &key, "revoke");
    revoke_token(&server, &server.key, &token);
    assert_eq!(listed(&redis, &key), "-");
    let names = redis.keys("keyturn:revoked:*");
    assert_eq!(names.len(), 2);
    redis.kill();
    let other = server.make(&json!({}));
    let (took, _) = timed(|| change(&server, &other, "disable"));
    assert!(took < Duration::from_millis(800), "nobody is waited for: {took:?}");
    redis.run();
    eventually("the list", || (redis.keys("keyturn:revoked:*").len() == 3).then_some(()));
    assert_eq!(listed(&redis, &other), "-");
    // After a restart of the node the list continues.
    let (key, place) = (server.key.clone(), server.stop());
    redis.ask(&["FLUSHALL"]);
    let server = place.serve(key);
    eventually("the list", || (redis.keys("keyturn:revoked:*").len() == 3).then_some(()));
    drop(server);
}

#[test]
fn list_is_correct_after_many_changes() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    in_use(&two.b);
    let keys: Vec<Key> = (0..4).map(|_| two.a.make(&json!({}))).collect();
    std::thread::scope(|scope| {
        for (n, key) in keys.iter().enumerate() {
            for server in [&two.a, &two.b] {
                scope.spawn(move || {
                    for round in 0..5 {
                        let what = if (round + n) % 2 == 0 { "disable" } else { "enable" };
                        server.api("POST", &format!("keys/{}/{what}", key.id)).json(&json!({})).send();
                    }
                });
            }
        }
    });
    for key in &keys {
        let row = two.database.sql(&format!("SELECT state, generation FROM api_keys WHERE id = '{}'", key.id));
        let (state, generation) = row.split_once('|').unwrap();
        let expected = if state == "active" { generation } else { "-" };
        assert_eq!(listed(&redis, key), expected, "{row}");
    }
}

/// Runs `forge` repeatedly during `work`.
fn while_forging(forge: impl Fn() + Sync, work: impl FnOnce()) {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                forge();
            }
        });
        work();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn forged_reports_are_ignored() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    in_use(&two.b);
    let nodes = two.database.sql("SELECT id FROM nodes");
    let forge = || {
        for node in nodes.lines() {
            redis.ask(&["SET", &format!("keyturn:applied:{node}"), "9000000000000000000"]);
        }
        // Nodes notice changes only by polling the database.
        redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    };
    while_forging(forge, || {
        for n in 0..12 {
            let (one, other) = two.turn(n);
            let key = one.make(&json!({}));
            let token = other.token(&key, &[]);
            assert!(is_good(other, &token));
            change(one, &key, "revoke");
            assert_eq!(other.exchange(&key.text, &[]).status, 401, "round {n}");
            assert!(!is_good(other, &token), "round {n}");
        }
    });
    assert!(metric(&two.a, "keyturn_redis_messages_rejected_total") > Some(0.0));
}

#[test]
fn forged_and_replayed_nudges_do_not_flood_the_database() {
    let redis = Redis::start();
    let heard = redis.listen("keyturn:changes");
    let two = Two::with(&redis.url());
    in_use(&two.a);
    in_use(&two.b);
    let key = two.a.make(&json!({}));
    change(&two.a, &key, "disable");
    let authentic = eventually("a nudge", || heard.messages().into_iter().find(|message| message.contains('.')));
    let count = || metric(&two.b, "keyturn_follow_seconds_count").unwrap();
    for nudge in [&authentic, "9000000000000000000", "9000000000000000000.AAAAAAAAAAAAAAAAAAAAAA", "x"] {
        let before = count();
        let (took, ()) = timed(|| {
            for _ in 0..100 {
                redis.ask(&["PUBLISH", "keyturn:changes", nudge]);
            }
        });
        // Four polls per second without notifications.
        let most = took.as_secs_f64() * 4.0 + 3.0;
        assert!(count() - before <= most, "{} follows in {took:?} after {nudge:?}", count() - before);
    }
    // A real notification still works.
    let (took, _) = timed(|| change(&two.a, &key, "enable"));
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn unconfirmed_entries_are_corrected_at_start() {
    let redis = Redis::start();
    let two = Two::with(&redis.url());
    in_use(&two.a);
    let (restored, unknown) = (two.a.make(&json!({})), two.a.make(&json!({})));
    change(&two.a, &restored, "revoke");
    change(&two.a, &unknown, "revoke");
    let token = two.a.token(&two.a.key, &[]);
    revoke_token(&two.a, &two.a.key, &token);
    assert_eq!((listed(&redis, &restored), listed(&redis, &unknown)), ("-".into(), "-".into()));
    let Two { a, b, database } = two;
    let (first, place) = (a.key.clone(), a.stop());
    drop(b.stop());
    // A restore to a state before all of it.
    database.sql(&format!(
        "UPDATE api_keys SET state = 'active', generation = 1 WHERE id = '{0}'; DELETE FROM usage_totals WHERE key_id = '{1}'; \
         DELETE FROM usage_hours WHERE key_id = '{1}'; DELETE FROM key_grants WHERE key_id = '{1}'; DELETE FROM api_keys WHERE id = '{1}'; DELETE FROM revoked_tokens; \
         DELETE FROM key_changes",
        restored.id, unknown.id
    ));
    let ended = place.run(&["store", "after-restore"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let server = place.serve(first);
    in_use(&server);
    let name = format!("keyturn:revoked:token:{}", jti(&token));
    eventually("the token's entry to go", || (redis.ask(&["EXISTS", &name]) == "0").then_some(()));
    let good = eventually("the restored key", || Some(listed(&redis, &restored)).filter(|value| value != "-"));
    assert_eq!(good, generation(&server, &restored), "the tokens of the new epoch are good");
    assert_eq!(listed(&redis, &unknown), "-", "a key that is not there has no good token");
    drop(server);
}

#[test]
fn log_has_the_reason_for_a_rewrite() {
    let redis = Redis::start();
    let database = Database::create();
    let server = place_with(&database, &redis.url()).start();
    eventually("the list at start", || server.stderr().contains("revocation list written to Redis").then_some(()));
    assert!(!server.stderr().contains("emptied"), "{}", server.stderr());
    redis.ask(&["FLUSHALL"]);
    eventually("the list once more", || {
        server
            .stderr()
            .contains("Redis was restarted, replaced or emptied; revocation list written again")
            .then_some(())
    });
}
