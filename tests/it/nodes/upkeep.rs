//! Uses on one node and upkeep on others: a key that is used anywhere is never disabled as stale, and an idle one is
//! disabled once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::nodes::{Two, place};
use crate::support::postgres::Database;
use crate::support::{Key, Place, Server, eventually};
use crate::webhooks::{Hook, Receiver, hook, permissive};

const DAY: i64 = 86_400_000;

/// Days without use until keys are stale.
const STALE_AFTER: i64 = 30;

/// A way to use a key: its name, and a request that authenticates with it.
type Use<'a> = (&'static str, Box<dyn Fn(&Key) -> u16 + 'a>);

/// Every way to use a key on a node.
fn uses<'a>(server: &'a Server, subject: &'a str, tokens: &'a BTreeMap<String, String>) -> Vec<Use<'a>> {
    let post = move |path: &str, key: &Key| server.request("POST", path).api_key(&key.text);
    let manage = move |key: &Key, method: &str| server.api_as(&key.text, method, "keys");
    vec![
        ("management API", Box::new(move |key| manage(key, "GET").send().status)),
        (
            "management API, a change",
            Box::new(move |key| manage(key, "POST").json(&json!({ "name": "a" })).send().status),
        ),
        (
            "introspection",
            Box::new(move |key| post("/oauth/introspect", key).form(&[("token", subject)]).send().status),
        ),
        ("revocation", Box::new(move |key| post("/oauth/revoke", key).form(&[("token", "unknown")]).send().status)),
        ("exchange", Box::new(move |key| server.exchange(&key.text, &[]).status)),
        ("verification of the secret", Box::new(move |key| server.get("/verify").bearer(&key.text).send().status)),
        ("verification of a token", Box::new(move |key| server.get("/verify").bearer(&tokens[&key.id]).send().status)),
        ("a token at the management API", Box::new(move |key| server.me(&tokens[&key.id]).status)),
    ]
}

/// Makes keys look as if they were created 100 days ago and last used `used` days ago, if ever. Upkeep reaches the
/// oldest last.
fn age(database: &Database, keys: &[&Key], created: i64, used: Option<i64>) {
    let ids: Vec<String> = keys.iter().map(|key| format!("'{}'", key.id)).collect();
    let now = crate::support::now() * 1000;
    let used = used.map_or("NULL".into(), |days| (now - days * DAY).to_string());
    let created = now - created * DAY;
    let ids = ids.join(", ");
    database.sql(&format!("UPDATE api_keys SET created_at = {created}, last_used_at = {used} WHERE id IN ({ids})"));
}

fn status(server: &Server, key: &Key) -> String {
    server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["status"].as_str().unwrap().to_owned()
}

/// Returns the number of audit entries of `keyturn` for an action and a key.
fn entries(database: &Database, action: &str, key: &Key) -> String {
    let id = &key.id;
    database.sql(&format!(
        "SELECT COUNT(*) FROM audit WHERE action = '{action}' AND subject = '{id}' AND actor = 'keyturn'"
    ))
}

/// Starts nodes at the same time. Each starts with the upkeep of keys.
fn start_together(database: &Database, key: &Key) -> [Server; 2] {
    let start = || permissive(place(database)).serve(key.clone());
    std::thread::scope(|scope| [(); 2].map(|()| scope.spawn(start)).map(|thread| thread.join().unwrap()))
}

/// Two nodes with a webhook for the events of upkeep, and a policy that disables stale keys.
fn deployment() -> (Two, Receiver, Hook) {
    let two = Two::on(Database::create(), |database: &Database| -> Place { permissive(place(database)) });
    let receiver = Receiver::start();
    let hook = hook(&two.a, &receiver.url(), &["key.disabled", "key.stale"]);
    let policy = json!({ "stale_after_days": STALE_AFTER, "disable_when_stale": true });
    two.a.api("PUT", "policy").json(&policy).send().expect(200);
    (two, receiver, hook)
}

#[test]
fn only_idle_keys_are_disabled_once() {
    let (Two { a, b, database }, receiver, hook) = deployment();
    // Created and exchanged on the node that stops, so that the other has none of them in memory.
    let subject = b.token(&b.make(&json!({})), &[]);
    let names = uses(&a, &subject, &BTreeMap::new()).len();
    let keys: Vec<Key> = (0..names).map(|_| b.make_with("read:* read:keyturn/keys write:keyturn/keys")).collect();
    let (idle, never, later) = (b.make(&json!({})), b.make(&json!({})), b.make(&json!({})));
    let tokens: BTreeMap<String, String> = keys.iter().map(|key| (key.id.clone(), b.token(key, &[]))).collect();
    let first = a.key.clone();
    drop(b.stop());
    age(&database, &keys.iter().collect::<Vec<_>>(), 100, Some(40));
    age(&database, &[&idle], 101, Some(40));
    age(&database, &[&never], 102, None);

    for ((name, call), key) in uses(&a, &subject, &tokens).iter().zip(&keys) {
        assert!(matches!(call(key), 200 | 201), "{name}");
    }
    let others = start_together(&database, &first);
    for key in [&idle, &never] {
        eventually("an idle key to be disabled", || (status(&a, key) == "disabled").then_some(()));
        for node in [&a, &others[0], &others[1]] {
            assert_eq!(node.exchange(&key.text, &[]).expect(403)["code"], "API_KEY_DISABLED");
        }
    }
    drop(others.map(Server::stop));
    // Upkeep goes from the newest key to the oldest: when this one is disabled, a run is complete.
    age(&database, &[&later], 103, Some(40));
    let again = permissive(place(&database)).serve(first);
    eventually("the oldest key to be disabled", || (status(&a, &later) == "disabled").then_some(()));

    for ((name, call), key) in uses(&a, &subject, &tokens).iter().zip(&keys) {
        assert_eq!(status(&a, key), "active", "{name}");
        assert!(matches!(call(key), 200 | 201), "{name}");
        assert_eq!(entries(&database, "key.disable", key), "0", "{name}");
        assert_eq!(entries(&database, "key.stale", key), "0", "{name}");
        again.exchange(&key.text, &[]).expect(200);
    }
    for key in [&idle, &never, &later] {
        for node in [&a, &again] {
            assert_eq!(node.exchange(&key.text, &[]).expect(403)["code"], "API_KEY_DISABLED");
        }
        assert_eq!(entries(&database, "key.disable", key), "1");
        assert_eq!(entries(&database, "key.stale", key), "1");
    }

    // Two events for each of the three keys, and no more.
    receiver.await_count(6);
    std::thread::sleep(Duration::from_millis(1500));
    let mut received: Vec<(String, String)> = Vec::new();
    for request in receiver.received() {
        let body = request.verified(&hook.secret);
        let key = [&idle, &never, &later].into_iter().find(|key| body["data"].to_string().contains(&key.id));
        received.push((body["type"].as_str().unwrap().into(), key.expect("a key that is idle").id.clone()));
    }
    received.sort();
    let mut expected: Vec<(String, String)> = [&idle, &never, &later]
        .iter()
        .flat_map(|key| ["key.disabled", "key.stale"].map(|event| (event.to_owned(), key.id.clone())))
        .collect();
    expected.sort();
    assert_eq!(received, expected);
}

#[test]
fn key_used_during_upkeep_stays_or_is_denied() {
    let (Two { a, b, database }, ..) = deployment();
    let keys: Vec<Key> = (0..60).map(|_| b.make(&json!({}))).collect();
    let first = a.key.clone();
    drop(b.stop());
    for (days, key) in (100..).zip(&keys) {
        age(&database, &[key], days, Some(40));
    }
    let accepted: Vec<bool> = std::thread::scope(|scope| {
        // Upkeep starts with the newest key; uses start with the oldest as soon as upkeep has started.
        let user = scope.spawn(|| {
            eventually("the first key to be disabled", || {
                (database.sql("SELECT COUNT(*) FROM audit WHERE action = 'key.disable'") != "0").then_some(())
            });
            let mut accepted: Vec<bool> =
                keys.iter().rev().map(|key| a.exchange(&key.text, &[]).status == 200).collect();
            accepted.reverse();
            accepted
        });
        let others = start_together(&database, &first);
        let accepted = user.join().unwrap();
        // The oldest key: when it is disabled, a later run is complete, and so are the earlier ones.
        let last = a.make(&json!({}));
        age(&database, &[&last], 1000, None);
        let again = permissive(place(&database)).serve(first.clone());
        eventually("the oldest key to be disabled", || (status(&a, &last) == "disabled").then_some(()));
        drop((others, again));
        accepted
    });
    let mut disabled = 0;
    for (key, was_accepted) in keys.iter().zip(accepted) {
        let is_disabled = status(&a, key) == "disabled";
        assert_ne!(is_disabled, was_accepted, "a key that was used is disabled, or one that was denied is not");
        assert_eq!(entries(&database, "key.disable", key), u8::from(is_disabled).to_string());
        disabled += usize::from(is_disabled);
    }
    assert!(disabled > 0 && disabled < keys.len(), "{disabled} of {} keys are disabled: no race", keys.len());
}
