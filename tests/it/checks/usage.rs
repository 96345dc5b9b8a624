//! Uses of keys are counted, and the counts survive an orderly stop.

use serde_json::{Value, json};

use crate::support::database::{column, execute};
use crate::support::eventually;
use crate::support::server::{Key, Place, Server};

#[test]
fn uses_and_denials_are_counted_and_flushed() {
    let server = Place::on_sqlite().start();
    let key = server.make(&json!({}));
    let token = server.token(&key, &[]);
    for _ in 0..3 {
        assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    }
    assert_eq!(server.get("/verify?keyturn_require=write:a").bearer(&token).send().status, 403);
    assert_eq!(server.exchange(&key.text, &[("scope", "write:a")]).status, 400);
    assert_eq!(server.exchange(&key.text, &[("resource", "https://other.example")]).status, 400);
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    assert_eq!(server.exchange(&key.text, &[]).status, 403);
    let id = key.id.clone();
    let place = server.stop();
    let query = format!(
        "SELECT outcome || ' ' || SUM(count) FROM usage_hours WHERE key_id = '{id}' GROUP BY outcome ORDER BY outcome"
    );
    let expected = ["denied_audience 1", "denied_disabled 1", "denied_scope 2", "exchanged 1", "verified 3"];
    assert_eq!(column(&place.database(), &query), expected);
}

#[test]
fn last_use_is_shown_within_seconds() {
    let server = Server::start();
    let key = server.make(&json!({}));
    server.token(&key, &[]);
    let shown = eventually("the last use", || {
        let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
        (!shown["last_used_at"].is_null()).then_some(shown)
    });
    assert_eq!(shown["last_used_ip"], "127.0.0.1");
    assert_eq!(shown["version"], 1, "a use is no change");
}

/// Returns the counts of a key by outcome, after a total is reached.
fn counted(server: &Server, key: &Key, in_all: u64) -> Value {
    eventually("the counts", || {
        let found = server.api("GET", &format!("keys/{}/usage", key.id)).send().expect(200)["totals"].clone();
        let denials = found["denials"].as_object().unwrap().values();
        let all = [&found["exchanges"], &found["verifications"]].into_iter().chain(denials);
        (all.map(|count| count.as_u64().unwrap()).sum::<u64>() >= in_all).then_some(found)
    })
}

fn last_use(server: &Server, key: &Key) -> Value {
    server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["last_used_at"].clone()
}

#[test]
fn every_authentication_counts_as_use() {
    let server = Server::start();
    let subject = server.make(&json!({}));
    let token = server.token(&subject, &[]);
    let post = |path: &str, key: &Key| server.request("POST", path).api_key(&key.text);
    let manage = |key: &Key, method: &str, rest: &str| server.api_as(&key.text, method, rest);
    type Call<'a> = Box<dyn Fn(&Key) -> u16 + 'a>;
    let calls: [(&str, Call<'_>); 6] = [
        ("introspection", Box::new(|key| post("/oauth/introspect", key).form(&[("token", &token)]).send().status)),
        ("revocation", Box::new(|key| post("/oauth/revoke", key).form(&[("token", "x")]).send().status)),
        ("reading", Box::new(|key| manage(key, "GET", "keys?limit=1").send().status)),
        ("a token", Box::new(|key| server.me(&server.token(key, &[])).status)),
        ("a change", Box::new(|key| manage(key, "POST", "keys").json(&json!({ "name": "made" })).send().status)),
        ("a verification", Box::new(|key| server.get("/verify").bearer(&key.text).send().status)),
    ];
    for (name, call) in &calls {
        let key = server.make_with("read:* read:keyturn/keys write:keyturn/keys");
        assert!(matches!(call(&key), 200 | 201), "{name}");
        let exchanges = u64::from(*name == "a token");
        let found = counted(&server, &key, 1 + exchanges);
        assert_eq!((&found["exchanges"], &found["verifications"]), (&json!(exchanges), &json!(1)), "{name}: {found}");
        assert!(last_use(&server, &key).is_string(), "{name}");

        // A denied request counts as a use if it was authenticated.
        let disabled = server.make(&json!({}));
        server.change("POST", &format!("{}/disable", disabled.id), &json!({}));
        if *name != "a token" {
            assert_eq!(call(&disabled), 403, "{name}");
            assert_eq!(counted(&server, &disabled, 1)["denials"]["disabled"], 1, "{name}");
            assert_eq!(last_use(&server, &disabled), Value::Null, "{name}");
        }
    }
    for query in ["keyturn_require=write:a", "keyturn_audience=https://other.example"] {
        let key = server.make(&json!({}));
        let answer = server.get(&format!("/verify?{query}")).bearer(&key.text).send();
        assert!(matches!(answer.status, 401 | 403), "{query}");
        eventually(query, || last_use(&server, &key).is_string().then_some(()));
    }
    let narrow = server.make(&json!({}));
    assert_eq!(manage(&narrow, "GET", "audit").send().status, 403);
    assert_eq!(counted(&server, &narrow, 1)["denials"]["scope"], 1);
    assert!(last_use(&server, &narrow).is_string());
    // The checked token's own exchange, and one verification for each introspection.
    let own = counted(&server, &subject, 2);
    assert_eq!((&own["exchanges"], &own["verifications"]), (&json!(1), &json!(1)));
}

#[test]
fn rare_use_is_written_before_the_response() {
    let server = Place::on_sqlite().start();
    let (first, keys) = (server.key.clone(), [(); 5].map(|()| server.make_with("read:* read:keyturn/keys")));
    let place = server.stop();
    let hundred_days = 100 * 86_400_000_i64;
    execute(
        &place.database(),
        &format!("UPDATE api_keys SET created_at = created_at - {hundred_days}, last_used_at = NULL"),
    );
    let server = place.serve(first.clone());
    let [exchanged, verified, managing, introspecting, unused] = &keys;
    server.exchange(&exchanged.text, &[]).expect(200);
    assert_eq!(server.get("/verify").bearer(&verified.text).send().status, 200);
    server.api_as(&managing.text, "GET", "keys").send().expect(200);
    let introspect = server.request("POST", "/oauth/introspect").api_key(&introspecting.text);
    introspect.form(&[("token", "x")]).send().expect(200);
    let place = server.kill();
    let never = column(&place.database(), "SELECT id FROM api_keys WHERE last_used_at IS NULL ORDER BY id");
    let mut expected = vec![first.id.clone(), unused.id.clone()];
    expected.sort();
    assert_eq!(never, expected);

    // So that upkeep considers none of them stale, although no count was written.
    let policy = "UPDATE organizations SET policy = json_set(policy, '$.stale_after_days', 30, '$.disable_when_stale', \
        json('true'))";
    execute(&place.database(), policy);
    execute(
        &place.database(),
        &format!("UPDATE api_keys SET created_at = created_at + {hundred_days} WHERE id = '{}'", first.id),
    );
    let server = place.serve(first);
    let status = |key: &Key| server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["status"].clone();
    eventually("the stale key to be disabled", || (status(unused) == "disabled").then_some(()));
    for key in [exchanged, verified, managing, introspecting] {
        assert_eq!(status(key), "active");
    }
}
