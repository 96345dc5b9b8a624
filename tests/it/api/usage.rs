//! Usage by hour and day, of keys and of organizations.

use std::path::Path;

use keyturn::domain::key_text::KeyId;
use keyturn::domain::usage::{KeyUsage, UsageOutcome};
use keyturn::store::Store;
use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::{Key, Place, Server, eventually, field, now};

fn usage(server: &Server, rest: &str) -> Value {
    server.api("GET", rest).send().expect(200)
}

/// The usage of a key once as much of it was written.
fn written(server: &Server, key: &Key, exchanges: u64) -> Value {
    eventually("the counts", || {
        let found = usage(server, &format!("keys/{}/usage", key.id));
        (found["totals"]["exchanges"] == exchanges).then_some(found)
    })
}

/// Counts of other days, written into the store of a server that is stopped.
fn add(database: &Path, key: &str, counts: &[(i64, UsageOutcome, u64)]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open_sqlite(database, 1).await.unwrap();
        let key = KeyId::parse(key).unwrap();
        store.add_usage(&[KeyUsage { counts: counts.to_vec(), ..KeyUsage::new(key) }]).await.unwrap();
        store.close().await;
    });
}

#[test]
fn uses_and_denials_of_a_key_are_told_by_hour_and_by_day() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let token = server.token(&key, &[]);
    for _ in 0..2 {
        server.token(&key, &[]);
        assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    }
    server.exchange(&key.text, &[("scope", "write:a")]).expect(400);
    server.exchange(&key.text, &[("resource", "https://other.example")]).expect(400);
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    server.exchange(&key.text, &[]).expect(403);
    let totals = json!({ "exchanges": 3, "verifications": 2, "denials":
        { "invalid": 0, "expired": 0, "disabled": 1, "network": 0, "scope": 1, "audience": 1 } });
    eventually("the counts", || {
        let found = usage(&server, &format!("keys/{}/usage", key.id));
        (found["totals"] == totals).then_some(())
    });
    for (query, count, hours) in [("", 24, 1), ("?interval=hour", 24, 1), ("?interval=day", 30, 24)] {
        let found = usage(&server, &format!("keys/{}/usage{query}", key.id));
        assert_eq!(found["totals"], totals, "{query}");
        let starts: Vec<jiff::Timestamp> =
            field(&found["buckets"], "start").iter().map(|start| start.parse().unwrap()).collect();
        assert_eq!(starts.len(), count, "those without use too");
        for pair in starts.windows(2) {
            assert_eq!((pair[1] - pair[0]).total(jiff::Unit::Hour).unwrap(), f64::from(hours));
        }
        assert_eq!(starts[0].as_second() % (3600 * i64::from(hours)), 0, "whole in UTC");
        let summed: u64 = found["buckets"].as_array().unwrap().iter().map(|b| b["exchanges"].as_u64().unwrap()).sum();
        assert_eq!(summed, 3);
        assert_eq!(
            (&found["id"], &found["interval"]),
            (&json!(key.id), &json!(if hours == 1 { "hour" } else { "day" }))
        );
    }
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!(usage(&server, &format!("keys/{}/usage", key.id))["last_used_at"], shown["last_used_at"]);
}

#[test]
fn uses_are_told_by_api() {
    let server = Server::start();
    for name in ["photos", "orders"] {
        let audience = format!("https://{name}.example");
        let body = json!({ "name": name, "audience": audience, "scopes": [{ "scope": "all" }, { "scope": "some" }] });
        server.api("POST", "apis").json(&body).send().expect(201);
    }
    let granted = ["photos", "orders"].map(|api| json!({ "api": api, "scopes": ["all", "some"] }));
    let key = server.make(&json!({ "apis": granted }));
    let (photos, orders) = (("resource", "https://photos.example"), ("resource", "https://orders.example"));
    let token = |parameters: &[(&str, &str)]| server.token(&key, parameters);
    let of_photos = token(&[photos, ("scope", "some")]);
    let of_both = token(&[photos, orders, ("scope", "all")]);
    token(&[]);
    let verify = |query: &str, credential: &str| {
        assert_eq!(server.get(&format!("/verify{query}")).bearer(credential).send().status, 200, "{query}");
    };
    verify("", &of_photos);
    verify("", &of_both);
    verify("?keyturn_api=orders", &of_both);
    verify("?keyturn_audience=https://orders.example", &of_both);
    verify("?keyturn_api=photos&keyturn_require=all", &key.text);
    verify("?keyturn_audience=https://orders.example", &key.text);
    verify("", &key.text);
    // Keyturn's own endpoints are of no API.
    let own = server.make(&json!({ "scopes": [], "apis": [{ "api": "photos", "scopes": ["all"] }] }));
    server.get("/api/v1/me").bearer(&own.text).send().expect(200);
    server.request("POST", "/oauth/introspect").bearer(&own.text).form(&[("token", "x")]).send().expect(200);
    eventually("the uses", || {
        (usage(&server, &format!("keys/{}/usage", own.id))["totals"]["verifications"] == 2).then_some(())
    });
    server.exchange(&key.text, &[photos, ("scope", "other")]).expect(400);

    let of = |api: &str| usage(&server, &format!("apis/{api}/usage"));
    let counts = |exchanges: u64, verifications: u64| json!({ "exchanges": exchanges, "verifications": verifications });
    eventually("the counts", || (of("photos")["totals"] == counts(2, 3)).then_some(()));
    let found = of("photos");
    assert_eq!((&found["totals"], &found["name"]), (&counts(2, 3), &json!("photos")));
    assert_eq!(found["buckets"].as_array().unwrap().len(), 30, "those without use too");
    assert_eq!(of("orders")["totals"], counts(1, 4));
    let all = usage(&server, "usage");
    let named = |name: &str, exchanges: u64, verifications: u64| json!({ "name": name, "exchanges": exchanges, "verifications": verifications });
    let is_listed = |of: &Value| all["apis"].as_array().unwrap().contains(of);
    assert!(is_listed(&named("photos", 2, 3)) && is_listed(&named("orders", 1, 4)), "{}", all["apis"]);

    // What a restriction of the key, or a change of an API, would have denied.
    let impact = |body: &Value| server.api("POST", &format!("keys/{}/impact", key.id)).json(body).send().expect(200);
    let found = impact(&json!({ "apis": [{ "api": "photos", "scopes": ["all"] }] }));
    let uses_of = |api: &str| found["by_api"].as_array().unwrap().iter().find(|each| each["api"] == api).cloned();
    assert_eq!(uses_of("orders").map(|of| of["verifications"].clone()), Some(json!(4)));
    assert_eq!(uses_of("photos"), None);
    let scope = &found["by_scope"][0];
    assert_eq!((&scope["api"], &scope["scope"], &scope["exchanges"]), (&json!("photos"), &json!("some"), &json!(1)));
    let change = json!({ "scopes": [{ "scope": "all" }] });
    let found = server.api("POST", "apis/photos/impact").json(&change).send().expect(200);
    let of_key = &found["keys"][0];
    assert_eq!((&of_key["failed"], &of_key["unattributed"]), (&counts(1, 0), &counts(1, 0)), "{found}");

    assert_eq!(server.api("DELETE", "apis/orders").send().status, 204);
    let deleted = usage(&server, "usage")["apis"].as_array().unwrap().iter().find(|api| api["name"].is_null()).cloned();
    assert_eq!(deleted.map(|api| api["verifications"].clone()), Some(json!(4)));
    problem(&server.api("GET", "apis/orders/usage").send(), 404, "NOT_FOUND");
    wrong_field(&server.api("GET", "apis/photos/usage?interval=hour").send(), "query");
}

#[test]
fn organization_usage_lists_keys_busiest_first() {
    let server = Server::start();
    let keys: Vec<Key> = (0..4).map(|n| server.make(&json!({ "name": format!("key {n}") }))).collect();
    for (n, key) in keys.iter().enumerate() {
        for _ in 0..n {
            server.token(key, &[]);
        }
    }
    written(&server, &keys[3], 3);
    let all = eventually("all counts", || {
        let all = usage(&server, "usage?interval=day");
        (all["totals"]["exchanges"] == 6).then_some(all)
    });
    assert_eq!(all["buckets"].as_array().unwrap().len(), 30);
    assert_eq!(all["next_cursor"], Value::Null);
    // The first key asks, which counts as well: it is the busiest.
    assert_eq!(field(&all["items"], "name")[1..], ["key 3", "key 2", "key 1", "key 0"], "those without use too");
    assert_eq!(all["items"][0]["id"], server.key.id.as_str());
    assert_eq!(all["items"][1]["totals"]["exchanges"], 3);
    assert!(all["items"][1]["last_used_at"].is_string() && all["items"][4]["last_used_at"].is_null());
    for interval in ["day", "hour"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = usage(&server, &format!("usage?interval={interval}&limit=2{cursor}"));
            seen.extend(field(&page["items"], "id").into_iter().map(str::to_owned));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, field(&all["items"], "id"), "{interval}");
    }
}

#[test]
fn usage_is_returned_while_it_is_kept() {
    let server = Place::on_sqlite().start();
    let key = server.make(&json!({}));
    let first = server.key.clone();
    let hour = now() / 3600;
    let place = server.stop();
    use UsageOutcome::{DeniedExpired, Exchanged, Verified};
    let yesterday = (hour / 24 - 1) * 24;
    add(&place.database(), &key.id, &[(yesterday, Exchanged, 5), (yesterday + 1, Verified, 2)]);
    add(&place.database(), &key.id, &[(yesterday - 24 * 40, Exchanged, 100), (yesterday - 24 * 400, DeniedExpired, 7)]);
    let server = place.serve(first);
    let at = |hour: i64| jiff::Timestamp::from_second(hour * 3600).unwrap().to_string();
    let of = |query: &str| usage(&server, &format!("keys/{}/usage?{query}", key.id));

    let hours = of(&format!("from={}&to={}", at(yesterday), at(yesterday + 2)));
    assert_eq!((&hours["from"], &hours["to"]), (&json!(at(yesterday)), &json!(at(yesterday + 2))));
    let shown: Vec<_> = hours["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| (b["exchanges"].clone(), b["verifications"].clone()))
        .collect();
    assert_eq!(shown, [(json!(5), json!(0)), (json!(0), json!(2))]);
    let days = of(&format!("interval=day&from={}&to={}", at(yesterday - 24 * 40), at(yesterday + 24)));
    assert_eq!((days["buckets"].as_array().unwrap().len(), &days["totals"]["exchanges"]), (41, &json!(105)));
    let year = of(&format!("interval=day&from={}", at(yesterday - 24 * 400)));
    assert_eq!((&year["totals"]["exchanges"], &year["totals"]["denials"]["expired"]), (&json!(105), &json!(7)));
    assert_eq!(of("interval=day")["totals"]["exchanges"], 5, "thirty days");
    let all = usage(&server, &format!("usage?interval=day&from={}&to={}", at(yesterday), at(yesterday + 24)));
    assert_eq!(
        (&all["items"][0]["id"], &all["items"][0]["totals"]["verifications"]),
        (&json!(key.id), &json!(2)),
        "{all}"
    );
    assert_eq!((&all["items_from"], &all["items_to"]), (&json!(at(yesterday)), &json!(at(yesterday + 24))));
    let before = usage(&server, &format!("usage?interval=day&from={}&to={}", at(yesterday - 240), at(yesterday)));
    assert_eq!(before["items"][0]["totals"]["exchanges"], 0);
}

#[test]
fn what_cannot_be_asked_of_usage_is_refused_with_the_field() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let at = |days: i64| jiff::Timestamp::from_second(now() + days * 86_400).unwrap().to_string();
    let list = server.api("GET", "keys?limit=1").send().expect(200);
    let foreign = list["next_cursor"].as_str().unwrap().to_owned();
    for (query, field) in [
        ("interval=week".to_owned(), "interval"),
        ("interval=hour&interval=day".to_owned(), "interval"),
        ("from=yesterday".to_owned(), "from"),
        ("from=1".to_owned(), "from"),
        ("from=-1".to_owned(), "from"),
        ("from=2020-01-01T00:00:00Z%00".to_owned(), "query"),
        (format!("from={}", at(-91)), "from"),
        (format!("interval=day&from={}", at(-732)), "from"),
        (format!("from={}&to={}", at(-1), at(-2)), "from"),
        (format!("to={}", at(2)), "to"),
        (format!("to={}", at(-91)), "to"),
        ("secret=1".to_owned(), "query"),
    ] {
        for rest in [format!("usage?{query}"), format!("keys/{}/usage?{query}", key.id)] {
            wrong_field(&server.api("GET", &rest).send(), field);
        }
    }
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=201".to_owned(), "limit"),
        ("limit=-1".to_owned(), "limit"),
        ("limit=x".to_owned(), "limit"),
        ("cursor=x".to_owned(), "cursor"),
        (format!("cursor={foreign}"), "cursor"),
    ] {
        wrong_field(&server.api("GET", &format!("usage?{query}")).send(), field);
        wrong_field(&server.api("GET", &format!("keys/stale?{query}")).send(), field);
    }
    for query in ["days=0", "days=3661", "days=1.5", "days=%2B1"] {
        wrong_field(&server.api("GET", &format!("keys/stale?{query}")).send(), "days");
    }
    wrong_field(&server.api("GET", &format!("keys/{}/usage?limit=1", key.id)).send(), "query");
    problem(&server.api("GET", "keys/0000000000000000/usage").send(), 404, "NOT_FOUND");
    problem(&server.api("GET", "keys/short/usage").send(), 404, "NOT_FOUND");
}
