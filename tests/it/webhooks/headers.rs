//! Custom headers of webhooks: sent to their receiver only, and never shown.

use std::fs;

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::check::{problem, wrong_field};
use crate::webhooks::{Receiver, place, place_on_sqlite, test};

const CANARY: &str = "Bearer canary-of-the-receiver";

#[track_caller]
fn create(server: &Server, url: &str, headers: &Value) -> Value {
    let body = json!({ "url": url, "events": ["policy.changed"], "headers": headers });
    server.api("POST", "webhooks").json(&body).send().expect(201)
}

fn edit(server: &Server, id: &str, body: &Value) -> crate::support::Answer {
    server.api("PATCH", &format!("webhooks/{id}")).json(body).send()
}

#[test]
fn headers_are_sent_with_the_signature() {
    let receiver = Receiver::start();
    let server = place().start();
    let made = create(&server, &receiver.url(), &json!({ "Authorization": CANARY, "X-Token": "a: b" }));
    assert_eq!(made["header_names"], json!(["authorization", "x-token"]));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let sent = || {
        test(&server, id);
        let received = receiver.await_count(receiver.received().len() + 1);
        received.last().unwrap().clone()
    };
    let first = sent();
    first.verified(secret);
    assert_eq!((first.headers["authorization"].as_str(), first.headers["x-token"].as_str()), (CANARY, "a: b"));

    // The same headers are not a change; others replace all of them.
    let same = edit(&server, id, &json!({ "headers": { "x-token": "a: b", "authorization": CANARY } })).expect(200);
    assert_eq!(same["version"], 1);
    let kept = edit(&server, id, &json!({ "description": "d" })).expect(200);
    assert_eq!((&kept["version"], &kept["header_names"]), (&json!(2), &json!(["authorization", "x-token"])));
    let changed = edit(&server, id, &json!({ "headers": { "X-Token": "c" } })).expect(200);
    assert_eq!((&changed["version"], &changed["header_names"]), (&json!(3), &json!(["x-token"])));
    let second = sent();
    assert_eq!((second.headers.get("authorization"), second.headers["x-token"].as_str()), (None, "c"));
    let none = edit(&server, id, &json!({ "headers": {} })).expect(200);
    assert_eq!(none["header_names"], json!([]));
    assert!(!sent().headers.contains_key("x-token"));
}

#[test]
fn invalid_headers_are_rejected() {
    let server = place().start();
    let body = |headers: &Value| json!({ "url": "https://hooks.example", "headers": headers });
    for headers in [
        json!({ "Content-Type": "text/plain" }),
        json!({ "Webhook-Signature": "v1,x" }),
        json!({ "Host": "a.example" }),
        json!({ "X-Forwarded-For": "192.0.2.1" }),
        json!({ "X Token": "canary" }),
        json!({ "X-Token": "canary\r\nX-Other: 1" }),
        json!({ "X-Token": "" }),
        json!({ "X-Token": "canary", "x-token": "canary" }),
        (0..11).map(|n| (format!("x-{n}"), json!("canary"))).collect::<serde_json::Map<_, _>>().into(),
    ] {
        let answer = server.api("POST", "webhooks").json(&body(&headers)).send();
        let message = wrong_field(&answer, "headers");
        assert!(!message.contains("canary"), "{message}");
    }
    for headers in [json!(["X-Token"]), json!("X-Token: canary")] {
        let answer = server.api("POST", "webhooks").json(&body(&headers)).send();
        assert_eq!(wrong_field(&answer, "headers"), "expected an object");
    }
    assert_eq!(server.api("GET", "webhooks").send().expect(200)["items"], json!([]));
}

#[test]
fn headers_are_not_sent_to_another_origin() {
    let (receiver, thief) = (Receiver::start(), Receiver::start());
    let server = place().start();
    let made = create(&server, &receiver.url(), &json!({ "Authorization": CANARY }));
    let id = made["id"].as_str().unwrap();
    problem(&edit(&server, id, &json!({ "url": thief.url() })), 409, "CONFLICT");
    let path = edit(&server, id, &json!({ "url": receiver.url_of("/other") })).expect(200);
    assert_eq!(path["header_names"], json!(["authorization"]), "the same origin");
    edit(&server, id, &json!({ "url": thief.url(), "headers": {} })).expect(200);
    test(&server, id);
    assert!(!thief.await_count(1)[0].headers.contains_key("authorization"));
}

#[test]
fn values_are_encrypted_and_never_shown() {
    let (receiver, witness) = (Receiver::start(), Receiver::start());
    let server = place_on_sqlite().set("KEYTURN_LOG__LEVEL", "trace").start();
    super::hook(&server, &witness.url(), &["webhook.*"]);
    let made = create(&server, &receiver.url(), &json!({ "Authorization": CANARY }));
    let id = made["id"].as_str().unwrap().to_owned();
    test(&server, &id);
    receiver.await_count(1);
    edit(&server, &id, &json!({ "description": "d" })).expect(200);
    let heard = witness.await_count(2);
    let heard: Vec<String> = heard.into_iter().map(|event| String::from_utf8(event.body).unwrap()).collect();
    assert!(heard.concat().contains("\"header_names\":[\"authorization\"]"), "{heard:?}");
    let get = |path: &str| server.api("GET", path).send().text();
    let shown =
        [get("webhooks"), get(&format!("webhooks/{id}")), get("audit"), get(&format!("webhooks/{id}/deliveries"))];
    let metrics = server.get("/metrics").send().text();
    for (place, text) in [
        ("an event", heard.concat()),
        ("the API", shown.concat()),
        ("the metrics", metrics),
        ("the creation", made.to_string()),
        ("the log", server.stderr()),
    ] {
        let line = text.lines().find(|line| line.contains("canary-of-the-receiver"));
        assert!(line.is_none(), "in {place}: {line:?}");
    }
    let key = server.key.clone();
    let place = server.stop();
    for entry in fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "{}", path.display());
    }
    // After a change of the master key they are the same, and the old key is not needed.
    assert_eq!(place.run(&["master-key", "rotate"]).code, 0);
    let server = place.serve(key);
    test(&server, &id);
    let received = receiver.await_count(2);
    assert_eq!(received[1].headers["authorization"], CANARY);
}
