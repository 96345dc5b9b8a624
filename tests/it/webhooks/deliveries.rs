//! The stored and shown parts of a delivery: its request, and its attempts with their responses.

use std::fs;

use serde_json::{Value, json};

use super::{
    Receiver, Reply, await_delivery, details, hook, permissive, place, place_on_sqlite, place_with_responses, test,
};
use crate::cli::{json_object, run};
use crate::support::check::problem;
use crate::support::person::start_in;
use crate::support::{Visitor, eventually_within};

/// A complete response with a body.
fn raw(status: u16, headers: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    Reply::Raw([head.as_bytes(), body].concat())
}

#[test]
fn request_and_attempts_are_shown() {
    let receiver = Receiver::answering(|_, before| match before {
        0 => raw(500, "Content-Type: text/plain\r\nX-Trace: a1\r\n", b"boom: database is down"),
        _ => Reply::Status(204, ""),
    });
    let server = place_with_responses().start();
    let made = server.api("POST", "webhooks").json(&json!({
        "url": receiver.url(), "events": ["key.*"], "headers": { "X-Team": "canary-of-the-header" },
    }));
    let id = made.send().expect(201)["id"].as_str().unwrap().to_owned();
    let delivery = test(&server, &id);
    await_delivery(&server, &id, &delivery, "delivered");
    let found = details(&server, &id, &delivery);
    let received = receiver.received();
    assert_eq!(found["payload"].as_str().unwrap().as_bytes(), received[0].body, "as sent");
    assert_eq!((&found["attempts"], &found["state"]), (&json!(2), &json!("delivered")));
    // The headers that the receiver got, and no others but those of HTTP itself.
    let mut sent: Vec<&str> = received[0].headers.keys().map(String::as_str).collect();
    sent.retain(|name| !["host", "accept", "content-length"].contains(name));
    sent.sort_unstable();
    let mut shown: Vec<&str> =
        found["request_headers"].as_array().unwrap().iter().map(|header| header["name"].as_str().unwrap()).collect();
    shown.sort_unstable();
    assert_eq!(shown, sent);
    for header in found["request_headers"].as_array().unwrap() {
        let name = header["name"].as_str().unwrap();
        match header["value"].as_str() {
            Some(value) => assert_eq!(value, received[0].headers[name], "{name}"),
            None => assert!(["webhook-timestamp", "webhook-signature", "x-team"].contains(&name), "{name}"),
        }
    }
    let [second, first] = found["history"].as_array().unwrap().as_slice() else { panic!("{found}") };
    assert_eq!((&first["number"], &second["number"]), (&json!(1), &json!(2)));
    assert_eq!((&first["status"], &first["error"]), (&json!(500), &json!("HTTP 500")));
    assert_eq!((&second["status"], &second["error"]), (&json!(204), &Value::Null));
    let response = &first["response"];
    assert_eq!(response["body"], "boom: database is down");
    assert_eq!((&response["bytes"], &response["truncated"]), (&json!(22), &json!(false)));
    let header = |name: &str| response["headers"].as_array().unwrap().iter().find(|header| header["name"] == name);
    assert_eq!(header("x-trace").unwrap()["value"], "a1");
    assert!(first["duration_ms"].as_u64().unwrap() < 5_000 && first["at"].as_str() < second["at"].as_str());
    assert!(!found.to_string().contains("canary"), "{found}");

    // The command line shows the same.
    let said = run(&server, &["webhooks", "delivery", &id, &delivery]).stdout;
    for part in
        ["boom: database is down", "x-trace: a1", "HTTP 500", "Attempt 2", "x-team: (not shown)", "webhook.test"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let listed = run(&server, &["webhooks", "deliveries", &id, "--state", "delivered"]).stdout;
    assert!(listed.contains(&delivery), "{listed}");
    assert_eq!(json_object(&server, &["webhooks", "delivery", &id, &delivery])["payload"], found["payload"]);
    let of_none = server.api("GET", &format!("webhooks/{id}/deliveries/msg_none")).send();
    problem(&of_none, 404, "NOT_FOUND");
}

#[test]
fn secrets_are_removed_from_responses() {
    // A receiver that repeats the request, and adds secrets of its own.
    let receiver = Receiver::answering(|request, before| {
        let headers: String = request.headers.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let own = "password: canary-p4ss kt_0123456789abcdef_canary0123456789canary0123456789canary0123 \
                   eyJhbGciOiJFUzI1NiJ9.eyJjYW5hcnkiOjF9.Y2FuYXJ5 {\"access_token\":\"canary-t0ken\"}";
        let body = format!("POST {}\n{headers}{own}", request.target);
        let secret = format!("Set-Cookie: sid=canary-c00kie\r\nX-Path: {}\r\n", request.target);
        raw(if before == 0 { 500 } else { 200 }, &secret, body.as_bytes())
    });
    let server = permissive(place_on_sqlite()).set("KEYTURN_WEBHOOKS__STORED_RESPONSES", "all").start();
    let url = receiver.url_of("/canary-path/T0/x?key=canary-query&n=1");
    let headers = json!({ "Authorization": "Bearer canary-auth", "X-Other": "canary other" });
    let made = server.api("POST", "webhooks").json(&json!({ "url": url, "events": ["key.*"], "headers": headers }));
    let id = made.send().expect(201)["id"].as_str().unwrap().to_owned();
    let delivery = test(&server, &id);
    await_delivery(&server, &id, &delivery, "delivered");
    let found = details(&server, &id, &delivery);
    let body = found["history"][1]["response"]["body"].as_str().unwrap();
    assert!(body.contains("content-type=application/json") && body.contains("[removed]"), "the rest is there: {body}");
    let signature = receiver.received()[0].headers["webhook-signature"].clone();
    let signature = signature.strip_prefix("v1,").unwrap();
    let said = found.to_string() + &run(&server, &["webhooks", "delivery", &id, &delivery]).stdout;
    let place = server.stop();
    let mut stored = vec![("a response".to_owned(), said.into_bytes())];
    for entry in fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        stored.push((path.display().to_string(), fs::read(path).unwrap()));
    }
    for (name, bytes) in stored {
        for canary in ["canary", signature, "Y2FuYXJ5", "eyJjYW5hcnkiOjF9"] {
            let found = bytes.windows(canary.len()).position(|part| part == canary.as_bytes());
            let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(60)..at + 20]).into_owned());
            assert_eq!(around, None, "{canary} in {name}");
        }
    }
}

#[test]
fn hostile_bodies_are_bounded_and_harmless() {
    let html = b"<script>alert(1)</script><img src=x onerror=alert(1)>\"'&";
    let kinds: [fn() -> Reply; 7] = [
        || Reply::Body(500, 10 * 1024 * 1024),
        || Reply::Endless(500),
        || raw(500, "Content-Type: image/png\r\n", b"\x89PNG\r\n\x1a\n\0\0\0\x0d\xff\xfe"),
        || raw(500, "", b"caf\xe9 au lait, and more text that is readable"),
        || {
            raw(
                500,
                "X-Odd: \u{e9}t\u{e9}\r\n",
                b"a\x1b[2J\x1b]0;title\x07\x1b[31mred and more text that is readable as such",
            )
        },
        || raw(500, "", b"<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"),
        || {
            raw(
                500,
                &"X-Long: 0123456789 \r\n".repeat(90),
                "\u{202e} many words in a sentence ".repeat(4000).as_bytes(),
            )
        },
    ];
    let (server, owner) = start_in(place_with_responses().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "86400"));
    let visitor = Visitor::of(&server, &owner);
    let mut waiting = Vec::new();
    for reply in kinds {
        let receiver = Receiver::answering(move |_, _| reply());
        let hook = hook(&server, &receiver.url(), &["policy.changed"]);
        let delivery = test(&server, &hook.id);
        waiting.push((receiver, hook.id, delivery));
    }
    for (kind, (_, id, delivery)) in waiting.iter().enumerate() {
        let attempt = eventually_within(40, "an attempt", || {
            let found = details(&server, id, delivery);
            found["history"].as_array().unwrap().first().cloned()
        });
        let (response, status) = (&attempt["response"], &attempt["status"]);
        assert_eq!(status, 500, "{kind}");
        let body = response["body"].as_str().unwrap_or_default();
        let headers: usize = response["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| header["name"].as_str().unwrap().len() + header["value"].as_str().unwrap().len() + 3)
            .sum();
        assert!(body.len() <= 4096 && headers <= 2048, "{kind}: {} and {headers}", body.len());
        let is_safe = |c: char| !c.is_control() || c == '\n' || c == '\t';
        assert!(body.chars().all(is_safe) && !body.contains(['\u{202e}', '\u{200b}']), "{kind}: {body:?}");
        assert_eq!(response["body"].is_null(), kind == 2, "{kind}: only binary data is left out");
        assert_eq!(response["truncated"], json!([0, 1, 6].contains(&kind)), "{kind}");
        assert!(response["bytes"].as_u64().unwrap() <= 64 * 1024, "{kind}: reading ends");
        let said = run(&server, &["webhooks", "delivery", id, delivery]).stdout;
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "{kind}: {said:?}");
        let page = visitor.page(&format!("/webhooks/{id}/deliveries/{delivery}"));
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{kind}");
        assert!(page.len() < 150_000 && !page.contains('\u{1b}'), "{kind}: {}", page.len());
    }
    let (_, id, delivery) = &waiting[5];
    let body = details(&server, id, delivery)["history"][0]["response"]["body"].clone();
    assert_eq!(body.as_str().unwrap().as_bytes(), html, "as received");
}

#[test]
fn responses_of_private_addresses_are_stored_only_if_the_operator_says_so() {
    for (setting, is_stored) in [("public", false), ("none", false), ("all", true)] {
        let receiver = Receiver::answering(|_, _| raw(200, "", b"from the internal network"));
        let server = place().set("KEYTURN_WEBHOOKS__STORED_RESPONSES", setting).start();
        let hook = hook(&server, &receiver.url(), &["policy.changed"]);
        let delivery = test(&server, &hook.id);
        await_delivery(&server, &hook.id, &delivery, "delivered");
        let attempt = details(&server, &hook.id, &delivery)["history"][0].clone();
        assert_eq!((&attempt["status"], attempt["response"].is_object()), (&json!(200), is_stored), "{setting}");
    }
}

#[test]
fn scopes_decide_what_is_shown() {
    let receiver = Receiver::answering(|_, _| raw(200, "", b"the response"));
    let server = place_with_responses().start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let delivery = test(&server, &hook.id);
    await_delivery(&server, &hook.id, &delivery, "delivered");
    let path = format!("webhooks/{}/deliveries/{delivery}", hook.id);
    for (scopes, payload, response) in [
        ("read:keyturn/webhooks", false, false),
        ("read:keyturn/webhooks read:keyturn/audit", true, false),
        ("read:keyturn/webhooks admin:keyturn/webhooks", false, true),
    ] {
        let scopes: Vec<Value> = scopes
            .split(' ')
            .map(|scope| scope.split_once(':').unwrap())
            .map(|(action, resource)| json!({ "action": action, "resource": resource }))
            .collect();
        let key = server.make(&json!({ "scopes": scopes }));
        let found = server.api_as(&key.text, "GET", &path).send().expect(200);
        let shown = (found["payload"].is_string(), found["history"][0]["response"].is_object());
        assert_eq!(shown, (payload, response), "{scopes:?}");
    }
    let other = server.make(&json!({ "scopes": [{ "action": "read", "resource": "keyturn/keys" }] }));
    assert_eq!(server.api_as(&other.text, "GET", &path).send().status, 403);
}

#[test]
fn waiting_delivery_is_retried_now() {
    let receiver = Receiver::answering(|_, before| Reply::Status(if before == 0 { 500 } else { 204 }, ""));
    let server = place().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "3600").start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let delivery = test(&server, &hook.id);
    eventually_within(40, "the first attempt", || {
        (details(&server, &hook.id, &delivery)["attempts"] == 1).then_some(())
    });
    let waiting = details(&server, &hook.id, &delivery);
    assert_eq!(waiting["state"], "pending");
    let queued = json_object(&server, &["webhooks", "retry", &hook.id, &delivery]);
    assert_eq!((&queued["state"], &queued["attempts"]), (&json!("pending"), &json!(1)));
    let done = await_delivery(&server, &hook.id, &delivery, "delivered");
    assert_eq!(done["attempts"], 2);
    let again =
        server.api("POST", &format!("webhooks/{}/deliveries/{delivery}/retry", hook.id)).json(&json!({})).send();
    problem(&again, 409, "CONFLICT");
}
