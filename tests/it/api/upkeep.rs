//! Hourly upkeep: stale keys, expiry notices and keys that their networks deny.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::database::{column, execute};
use crate::support::{Key, Place, Server, eventually, field, now};

const DAY: i64 = 86_400;

/// The audit rows of an action: subject, actor and new value.
fn audit(database: &Path, action: &str) -> Vec<(String, String, Value)> {
    let rows = column(
        database,
        &format!("SELECT json_array(subject, actor, json(new_value)) FROM audit WHERE action = '{action}' ORDER BY id"),
    );
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| {
            let row: Value = serde_json::from_str(row).unwrap();
            (text(&row[0]), text(&row[1]), row[2].clone())
        })
        .collect()
}

fn policy(database: &Path, days: i64, disables: bool) {
    execute(
        database,
        &format!(
            "UPDATE organizations SET policy = json_set(policy, '$.stale_after_days', {days}, \
             '$.disable_when_stale', json('{disables}'))"
        ),
    );
}

/// Makes a key as old as so many days, and its last use, if it has one.
fn age(database: &Path, key: &Key, made: i64, used: Option<i64>) {
    let at = |days: i64| ((now() - days * DAY) * 1000).to_string();
    let used = used.map_or("NULL".into(), at);
    execute(
        database,
        &format!("UPDATE api_keys SET created_at = {}, last_used_at = {used} WHERE id = '{}'", at(made), key.id),
    );
}

fn status(server: &Server, key: &Key) -> String {
    server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["status"].as_str().unwrap().to_owned()
}

#[test]
fn stale_keys_are_reported_once_and_disabled_by_policy() {
    let server = Place::on_sqlite().start();
    let (idle, never, fresh) = (server.make(&json!({})), server.make(&json!({})), server.make(&json!({})));
    let first = server.key.clone();
    let place = server.stop();
    let database = place.database();
    age(&database, &idle, 100, Some(32));
    age(&database, &never, 32, None);
    age(&database, &fresh, 100, Some(29));
    policy(&database, 30, false);

    // Told, and only told.
    let server = place.serve(first.clone());
    eventually("both notices", || (audit(&database, "key.stale").len() == 2).then_some(()));
    let listed = server.api("GET", "keys/stale").send().expect(200);
    assert_eq!(field(&listed["items"], "id"), [never.id.as_str(), idle.id.as_str()], "newest first");
    assert_eq!(listed["items"][0]["status"], "active");
    let page = server.api("GET", "keys/stale?limit=1").send().expect(200);
    let rest = format!("keys/stale?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(field(&server.api("GET", &rest).send().expect(200)["items"], "id"), [idle.id.as_str()]);
    let longer = server.api("GET", "keys/stale?days=32").send().expect(200);
    assert_eq!(longer["items"].as_array().unwrap().len(), 2);
    assert_eq!(server.api("GET", "keys/stale?days=33").send().expect(200)["items"], json!([]));
    let place = server.stop();
    for (subject, actor, new) in audit(&database, "key.stale") {
        assert!([&idle.id, &never.id].contains(&&subject) && actor == "keyturn");
        assert!(new["stale_after_days"] == 30 && new["idle_since"].is_string(), "{new}");
    }

    // Disabled, and at once for their tokens too, as by anybody.
    policy(&database, 30, true);
    let server = place.serve(first.clone());
    let token = server.token(&fresh, &[]);
    for key in [&idle, &never] {
        eventually("it to be disabled", || (status(&server, key) == "disabled").then_some(()));
        server.exchange(&key.text, &[]).expect(403);
    }
    assert_eq!((status(&server, &fresh).as_str(), server.get("/verify").bearer(&token).send().status), ("active", 200));
    let rows = audit(&database, "key.disable");
    assert_eq!(rows.len(), 2);
    for (_, actor, new) in rows {
        assert!(actor == "keyturn" && new["reason"].as_str().unwrap().starts_with("stale: not used since "), "{new}");
    }
    assert_eq!(audit(&database, "key.stale").len(), 2, "not told again");

    // A key that was enabled again stays enabled.
    server.change("POST", &format!("{}/enable", idle.id), &json!({}));
    let expiring = server.make(&json!({}));
    let place = server.stop();
    age(&database, &expiring, 40, None);
    let server = place.serve(first);
    eventually("the other to be disabled", || (status(&server, &expiring) == "disabled").then_some(()));
    assert_eq!(status(&server, &idle), "active");
}

#[test]
fn expiry_is_reported_once_per_threshold() {
    let server = Place::on_sqlite().start();
    let ends = server.make(&json!({ "name": "ends" }));
    let short = server.make(&json!({ "expires_in_seconds": 3600 }));
    let (first, mut place) = (server.key.clone(), server.stop());
    let database = place.database();
    age(&database, &ends, 300, None);
    // A canary: it is reported in every run, which shows that the run is over.
    let mut told = Vec::new();
    for (run, (days, expected)) in
        [(13, Some(13)), (13, None), (8, Some(8)), (6, Some(6)), (6, None), (1, Some(1))].into_iter().enumerate()
    {
        let end = (now() + days * DAY - 60) * 1000;
        // The same end as the run before, or another.
        if expected.is_some() {
            execute(&database, &format!("UPDATE api_keys SET expires_at = {end} WHERE id = '{}'", ends.id));
        }
        let server = place.serve(first.clone());
        let canary = server.make(&json!({ "name": format!("canary {run}") }));
        place = server.stop();
        age(&database, &canary, 300, None);
        execute(&database, &format!("UPDATE api_keys SET expires_at = {end} + 1000 WHERE id = '{}'", canary.id));
        let server = place.serve(first.clone());
        eventually("the notice of the canary", || {
            audit(&database, "key.expiring").iter().any(|(subject, ..)| *subject == canary.id).then_some(())
        });
        place = server.stop();
        told.extend(expected);
        let rows = audit(&database, "key.expiring");
        let days: Vec<i64> =
            rows.iter().filter(|row| row.0 == ends.id).map(|row| row.2["days_left"].as_i64().unwrap()).collect();
        assert_eq!(days, told, "run {run}");
        assert!(rows.iter().all(|(subject, actor, new)| {
            *subject != short.id && actor == "keyturn" && new["expires_at"].is_string()
        }));
    }
}

#[test]
fn network_denials_are_reported_once_per_address_and_hour() {
    let server = Place::on_sqlite().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let key = server.make(&json!({ "allowed_cidrs": ["10.0.0.0/8"] }));
    let form = [("grant_type", "client_credentials"), ("client_secret", key.text.as_str())];
    let from = |address: &str| server.token_request().form(&form).header("X-Forwarded-For", address).send().status;
    let mut denied = 0;
    let mut rows = Vec::new();
    // For as long as several batches take to be written.
    eventually("notices of two addresses and three written batches", || {
        for address in ["192.0.2.1", "192.0.2.1", "2001:db8::1"] {
            assert_eq!(from(address), 403);
            denied += 1;
        }
        rows = audit(&server.database(), "key.denied_by_network");
        let usage = server.api("GET", &format!("keys/{}/usage", key.id)).send().expect(200);
        let written = usage["totals"]["denials"]["network"].as_u64().unwrap();
        (rows.len() >= 2 && written > denied / 2 && denied > 300).then_some(())
    });
    // An hour may have ended in between.
    assert!(rows.len() <= 4, "{rows:?}");
    let hours: std::collections::BTreeSet<String> =
        rows.iter().map(|(_, _, new)| format!("{} {}", new["address"], new["hour"])).collect();
    assert_eq!(hours.len(), rows.len(), "each address once in an hour");
    assert!(rows.iter().all(|(subject, actor, _)| *subject == key.id && actor == "keyturn"));
    assert_eq!(from("10.1.2.3"), 200);
}

#[test]
fn stale_key_is_disabled_a_day_after_its_notice() {
    let server = Place::on_sqlite().start();
    let (noticed, due) = (server.make(&json!({})), server.make(&json!({})));
    let (first, place) = (server.key.clone(), server.stop());
    let database = place.database();
    age(&database, &noticed, 100, Some(30));
    age(&database, &due, 100, Some(32));
    policy(&database, 30, true);
    let server = place.serve(first);
    eventually("one to be disabled", || (status(&server, &due) == "disabled").then_some(()));
    // The run goes through the newest first, and both were noticed before.
    assert_eq!(audit(&database, "key.stale").len(), 2);
    assert_eq!((audit(&database, "key.disable").len(), status(&server, &noticed).as_str()), (1, "active"));
}
