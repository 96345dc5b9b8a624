//! Invalid bodies. Each gets a 4xx problem document that names the field and what is allowed.

use serde_json::{Value, json};

use crate::support::check::{problem, unsupported_media_type, wrong_field};
use crate::support::{Answer, Server};

fn create(server: &Server, body: impl AsRef<[u8]>) -> Answer {
    server.api("POST", "keys").body("application/json", body).send()
}

/// Returns the error for a field of a new key.
#[track_caller]
fn refused(server: &Server, field: &str, body: &Value) -> String {
    wrong_field(&create(server, body.to_string()), field)
}

#[test]
fn unknown_fields_are_named_with_those_that_are_known() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for (method, rest, body, field) in [
        ("POST", "keys".to_owned(), json!({ "colour": "red" }), "colour"),
        ("POST", "keys".into(), json!({ "id": "0000000000000000" }), "id"),
        ("POST", "keys".into(), json!({ "scopes": [{ "action": "read", "resource": "a", "x": 1 }] }), "scopes[0].x"),
        ("PATCH", format!("keys/{}", key.id), json!({ "status": "active" }), "status"),
        ("POST", format!("keys/{}/rotate", key.id), json!({ "scopes": [] }), "scopes"),
        ("POST", format!("keys/{}/revoke", key.id), json!({ "why": "x" }), "why"),
        ("POST", format!("keys/{}/disable", key.id), json!({ "reason": "x" }), "reason"),
        ("POST", format!("keys/{}/enable", key.id), json!({ "reason": "x" }), "reason"),
        ("POST", "signing-keys/rotate".into(), json!({ "ahead": 1 }), "ahead"),
    ] {
        let answer = server.api(method, &rest).json(&body).send();
        let message = wrong_field(&answer, field);
        assert!(message.contains("unknown"), "{message}");
    }
    assert_eq!(server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["version"], 1, "nothing was done");
}

#[test]
fn wrong_types_are_named_with_the_field() {
    let server = Server::start();
    for (body, field) in [
        (json!({ "name": 1 }), "name"),
        (json!({ "name": null }), "name"),
        (json!({ "name": ["x"] }), "name"),
        (json!({ "description": {} }), "description"),
        (json!({ "scopes": "read:a" }), "scopes"),
        (json!({ "scopes": [1] }), "scopes[0]"),
        (json!({ "scopes": [{ "action": "read" }] }), "scopes[0]"),
        (json!({ "scopes": [{ "action": 1, "resource": "a" }] }), "scopes[0].action"),
        (json!({ "scopes": null }), "scopes"),
        (json!({ "allowed_cidrs": "10.0.0.0/8" }), "allowed_cidrs"),
        (json!({ "allowed_cidrs": [1] }), "allowed_cidrs[0]"),
        (json!({ "expires_at": 1_900_000_000 }), "expires_at"),
        (json!({ "expires_in_seconds": "60" }), "expires_in_seconds"),
        (json!({ "expires_in_seconds": 1.5 }), "expires_in_seconds"),
        (json!({ "owner": 1 }), "owner"),
    ] {
        refused(&server, field, &body);
    }
    for body in ["{\"expires_in_seconds\":1e3}", "{\"expires_in_seconds\":99999999999999999999}"] {
        wrong_field(&create(&server, body), "expires_in_seconds");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let server = Server::start();
    for body in [
        &b"{"[..],
        b"[]",
        b"[\"a name\",\"a text\",null,null,[],[],null]",
        b"null",
        b"1",
        b"\"x\"",
        b"{} {}",
        b"{}x",
        b"{'name':'x'}",
        b"name=x",
        b"\xff\xfe",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"\\ud800\"}",
        b"{\"name\":\"a\nb\"}",
        b"NaN",
    ] {
        let answer = create(&server, body);
        assert_eq!(answer.status, 422, "{}: {}", String::from_utf8_lossy(body), answer.text());
        problem(&answer, 422, "VALIDATION_FAILED");
    }
    let deep = [vec![b'['; 20_000], vec![b']'; 20_000]].concat();
    problem(&create(&server, deep), 422, "VALIDATION_FAILED");
    let answer = create(&server, "{\"name\":\"a\",\"name\":\"b\"}");
    assert!(wrong_field(&answer, "name").contains("twice"));
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = server.api("POST", "keys").body(content_type, "{}").send();
        assert!(unsupported_media_type(&answer, "Content-Type").contains("application/json"));
    }
    server.api("POST", "keys").body("application/json; charset=utf-8", "{}").send().expect(201);
}

#[test]
fn compressed_bodies_are_unsupported() {
    let server = Server::start();
    for coding in ["gzip", "identity, br", "zstd"] {
        let answer = server.api("POST", "keys").header("Content-Encoding", coding).json(&json!({})).send();
        assert!(unsupported_media_type(&answer, "Content-Encoding").contains("without compression"));
    }
    server.api("POST", "keys").header("Content-Encoding", "identity").json(&json!({})).send().expect(201);
}

#[test]
fn merge_patch_is_for_patch_only() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let body = r#"{"name":"patched"}"#;
    let merge_patch = |method: &str, rest: &str| server.api(method, rest).body("application/merge-patch+json", body);
    let answer = merge_patch("PATCH", &format!("keys/{}", key.id)).send();
    assert_eq!(answer.expect(200)["name"], "patched");
    unsupported_media_type(&merge_patch("POST", "keys").send(), "Content-Type");
}

#[test]
fn scopes_are_strings_or_objects() {
    let server = Server::start();
    let scopes = json!(["read", { "action": "write", "resource": "orders/*" }, "read:a/#"]);
    let key = server.make(&json!({ "scopes": scopes }));
    assert_eq!(server.exchange(&key.text, &[]).expect(200)["scope"], "read write:orders/* read:a/#");
    for (scope, field, message) in [
        (json!("read:a//b"), "scopes[0]", "segment 2"),
        (json!("read,write"), "scopes[0]", "spaces"),
        (json!("fly:a"), "scopes[0].action", "unknown action"),
        (json!(1), "scopes[0]", "a string such as read:orders/*, or an object with action and resource"),
        (json!(["read"]), "scopes[0]", "a string such as read:orders/*, or an object with action and resource"),
        (json!({ "action": "read" }), "scopes[0]", "resource"),
        (json!({ "action": "read", "resource": "a", "x": 1 }), "scopes[0].x", "unknown field"),
        (json!({ "action": "read", "resource": "a,b" }), "scopes[0].resource", "comma"),
    ] {
        let answer = server.api("POST", "keys").json(&json!({ "scopes": [scope] })).send();
        let said = wrong_field(&answer, field);
        assert!(said.contains(message), "{scope}: {said}");
    }
}

#[test]
fn large_bodies_are_refused() {
    let server = Server::start();
    for size in [65 * 1024, 1024 * 1024] {
        let answer = create(&server, json!({ "name": "x".repeat(size) }).to_string());
        let body = problem(&answer, 413, "VALIDATION_FAILED");
        assert_eq!(body["errors"][0]["field"], "body");
    }
    assert_eq!(create(&server, json!({ "name": "x".repeat(20 * 1024) }).to_string()).status, 422);
}

#[test]
fn names_and_texts_have_an_end_and_no_control_characters() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for name in ["a\0b", "a\nb", "a\rb", "\u{1b}[31m", "\u{7f}", "\u{9b}", &"x".repeat(101)] {
        refused(&server, "name", &json!({ "name": name }));
        wrong_field(&server.api("PATCH", &format!("keys/{}", key.id)).json(&json!({ "name": name })).send(), "name");
        let answer = server.api("POST", &format!("keys/{}/rotate", key.id)).json(&json!({ "name": name })).send();
        wrong_field(&answer, "name");
    }
    for text in ["a\0b", "a\rb", "\u{1b}", &"x".repeat(1001)] {
        refused(&server, "description", &json!({ "description": text }));
        let answer = server.api("POST", &format!("keys/{}/revoke", key.id)).json(&json!({ "reason": text })).send();
        wrong_field(&answer, "reason");
    }
    create(&server, json!({ "description": "lines\nand\ttabs" }).to_string()).expect(201);
}

#[test]
fn expiry_must_be_in_the_future_and_before_10000() {
    let server = Server::start();
    for seconds in [0, -1, -86_400, i64::MIN, i64::MAX, 400 * 366 * 86_400] {
        let message = refused(&server, "expires_in_seconds", &json!({ "expires_in_seconds": seconds }));
        assert!(message.contains("must be 1 to "), "{message}");
    }
    for date in [
        "10000-01-01T00:00:00Z",
        "+010000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "2020-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "0000-00-00T00:00:00Z",
        "-000001-01-01T00:00:00Z",
        "2040-01-01",
        "2040-01-01T00:00:00",
        "2040-13-01T00:00:00Z",
        "2040-02-30T00:00:00Z",
        "tomorrow",
        "",
        "1900000000",
        "2040-01-01T00:00:00Z\0",
        "2040-01-01T00:00:00+25:00",
        "20400101T000000Z",
        "2040-01-01T00:00:00Z[Europe/Paris]",
    ] {
        refused(&server, "expires_at", &json!({ "expires_at": date }));
    }
    refused(&server, "expires_in_seconds", &json!({ "expires_at": "2040-01-01T00:00:00Z", "expires_in_seconds": 60 }));
}

#[test]
fn invalid_networks_suggest_a_correction() {
    let server = Server::start();
    for (network, meant) in [
        ("10.0.0.1/8", "10.0.0.0/8"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("10.0.0.0/33", "0 to 32"),
        ("10.0.0.0/-1", "0 to 32"),
        ("2001:db8::/129", "0 to 128"),
        ("010.0.0.1", "leading zeros"),
        ("10.0.0", "address"),
        ("example.org", "address"),
        ("fe80::1%eth0", "zone"),
        (" 10.0.0.0/8", "white space"),
        ("", "empty"),
        ("10.0.0.0/8\0", ""),
        ("0x0a.0.0.1", "address"),
    ] {
        let message = refused(&server, "allowed_cidrs[1]", &json!({ "allowed_cidrs": ["192.0.2.1", network] }));
        assert!(message.contains(meant), "{network}: {message}");
    }
    let many: Vec<String> = (0..101).map(|n| format!("10.0.{n}.0/24")).collect();
    let message = refused(&server, "allowed_cidrs[100]", &json!({ "allowed_cidrs": many }));
    assert!(message.contains("100"), "{message}");
}

#[test]
fn scopes_that_cannot_be_read_are_named_by_their_place() {
    let server = Server::start();
    let with = |action: &str, resource: &str| json!({ "scopes": [{ "action": "read", "resource": "a" }, { "action": action, "resource": resource }] });
    for resource in ["", "a//b", "/a", "a/", "a/../b", ".", "a%2fb", "a b", "*/a", "a*", "a\0", "é", &"x".repeat(257)]
    {
        refused(&server, "scopes[1].resource", &with("read", resource));
    }
    for action in ["", "READ", "re ad", "read:a", "a\0", &"x".repeat(33), "é"] {
        refused(&server, "scopes[1].action", &with(action, "a"));
    }
    let many: Vec<Value> = (0..64).map(|n| json!({ "action": "read", "resource": format!("a/{n}") })).collect();
    let message = refused(&server, "scopes", &json!({ "scopes": many }));
    assert!(message.contains("50"), "{message}");
}

#[test]
fn every_mistake_is_told_at_once() {
    let server = Server::start();
    let body = json!({
        "name": "\0", "description": "\0", "allowed_cidrs": ["x"], "expires_in_seconds": -1,
        "scopes": [{ "action": "R", "resource": "%" }],
    });
    let body = problem(&create(&server, body.to_string()), 422, "VALIDATION_FAILED");
    let mut fields = crate::support::field(&body["errors"], "field");
    fields.sort_unstable();
    let expected =
        ["allowed_cidrs[0]", "description", "expires_in_seconds", "name", "scopes[0].action", "scopes[0].resource"];
    assert_eq!(fields, expected);
}

#[test]
fn an_owner_or_a_version_that_is_nobodys_is_named() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for owner in ["nobody", "", "' OR 1=1 --", "\0"] {
        refused(&server, "owner", &json!({ "owner": owner }));
    }
    for tag in ["1", "\"x\"", "\"1", "\"1\", \"2\"", "\"-1\"", "\"99999999999999999999999\"", ""] {
        let answer = server.api("PATCH", &format!("keys/{}", key.id)).header("If-Match", tag).json(&json!({})).send();
        assert!(matches!(answer.status, 412 | 422), "{tag}: {}", answer.text());
    }
}

#[test]
fn texts_come_back_exactly_as_they_were_given() {
    let server = Server::start();
    for text in [
        "<script>alert('x')</script>",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} from right to left",
        "%_\\' OR '1'='1' --",
        "{{7*7}} ${x} &amp; \"quoted\"",
        "e\u{301} is not \u{e9}, \u{1f469}\u{200d}\u{1f4bb} is one",
        "blanks \u{a0} and\u{3000}inside",
        "\u{fffd}\u{10ffff}",
        "null",
    ] {
        let made = create(&server, json!({ "name": text, "description": text }).to_string()).expect(201);
        let path = format!("keys/{}", made["id"].as_str().unwrap());
        let shown = server.api("GET", &path).send().expect(200);
        for key in [&made, &shown] {
            assert_eq!((key["name"].as_str(), key["description"].as_str()), (Some(text), Some(text)));
        }
        let revoked = server.api("POST", &format!("{path}/revoke")).json(&json!({ "reason": text })).send().expect(200);
        assert_eq!(revoked["revoked_reason"], text);
    }
}

#[test]
fn wrong_types_are_explained_in_the_words_of_json() {
    let server = Server::start();
    for (body, field, message) in [
        (json!({ "expires_in_seconds": "60" }), "expires_in_seconds", "expected a whole number"),
        (json!({ "scopes": "read:a" }), "scopes", "expected a list"),
        (json!({ "name": 1 }), "name", "expected a string"),
        (json!({ "allowed_cidrs": { "a": 1 } }), "allowed_cidrs", "expected a list"),
    ] {
        assert_eq!(refused(&server, field, &body), message);
    }
    let policy = server.api("GET", "policy").send().expect(200);
    for (setting, value, message) in [
        ("max_keys", json!(-1), "expected a whole number from 0 to 4294967295"),
        ("expiry_required", json!("yes"), "expected true or false"),
        ("audiences", json!("https://api.example"), "expected a list"),
    ] {
        let mut wrong = policy.clone();
        wrong[setting] = value;
        let answer = server.api("PUT", "policy").json(&wrong).send();
        assert_eq!(wrong_field(&answer, setting), message, "{setting}");
    }
}

#[test]
fn names_that_are_not_seen_as_they_are_are_refused() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "\u{1f469}\u{200d}\u{1f4bb} na\u{ef}ve" }));
    for name in
        [" orders", "orders ", "\u{3000}orders", "or\u{202e}ders", "or\u{200b}ders", "or\u{2066}ders", "or\nders"]
    {
        let body = json!({ "name": name });
        refused(&server, "name", &body);
        wrong_field(&server.api("PATCH", &format!("keys/{}", key.id)).json(&body).send(), "name");
        wrong_field(&server.api("POST", &format!("keys/{}/rotate", key.id)).json(&body).send(), "name");
    }
    for text in ["a\u{202e}b", "a\u{200b}b", "a\u{0}b"] {
        refused(&server, "description", &json!({ "description": text }));
        let revoke = server.api("POST", &format!("keys/{}/revoke", key.id)).json(&json!({ "reason": text }));
        wrong_field(&revoke.send(), "reason");
        let hook = json!({ "url": "https://hooks.example", "description": text });
        wrong_field(&server.api("POST", "webhooks").json(&hook).send(), "description");
    }
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!((&shown["version"], &shown["status"]), (&json!(1), &json!("active")), "nothing was done");
}

#[test]
fn several_networks_in_one_entry_are_explained() {
    let server = Server::start();
    let message = refused(&server, "allowed_cidrs[0]", &json!({ "allowed_cidrs": ["10.0.0.0/8,192.0.2.0/24"] }));
    assert!(message.ends_with("write one network or address per entry"), "{message}");
}
