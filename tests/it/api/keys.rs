//! Keys made, shown and edited.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::person::start;
use crate::support::server::scope_list;
use crate::support::{Person, Place, Server, database, now};

#[test]
fn a_new_key_is_shown_whole_and_its_text_only_once() {
    let server = Server::start();
    let body = json!({
        "name": "billing", "description": "for the nightly run",
        "scopes": [{ "action": "read", "resource": "invoices/*" }, { "action": "*", "resource": "reports/#" }],
        "allowed_cidrs": ["10.0.0.0/8", "192.0.2.7", "2001:db8::1"],
        "expires_at": "2031-02-03T04:05:06+01:00",
    });
    let answer = server.api("POST", "keys").json(&body).send();
    let made = answer.expect(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(format!("/api/v1/organizations/default/keys/{id}").as_str()));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for (name, value) in [
        ("name", json!("billing")),
        ("description", json!("for the nightly run")),
        ("organization", json!("default")),
        ("owner", json!(null)),
        ("status", json!("active")),
        ("scopes", body["scopes"].clone()),
        ("allowed_cidrs", json!(["10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128"])),
        ("created_by", json!(format!("key:{}", server.key.id))),
        ("expires_at", json!("2031-02-03T03:05:06Z")),
        ("rotated_at", json!(null)),
        ("revoked_at", json!(null)),
        ("revoked_reason", json!(null)),
        ("last_used_at", json!(null)),
        ("last_used_ip", json!(null)),
        ("version", json!(1)),
    ] {
        assert_eq!(made.get(name), Some(&value), "{name}");
    }
    let created_at: jiff::Timestamp = made["created_at"].as_str().unwrap().parse().unwrap();
    assert!((now() - created_at.as_second()).abs() < 60);
    let text = made["secret"].as_str().unwrap();
    assert!(text.starts_with(&format!("kt_{id}_")) && text.len() == 2 + 1 + 16 + 1 + 49, "{}", text.len());
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    let hint = made["hint"].as_str().unwrap();
    assert!(hint.starts_with("kt_") && hint.ends_with(&text[text.len() - 4..]) && hint.len() < 16, "{hint}");

    let shown = server.api("GET", &format!("keys/{id}")).send();
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(shown.expect(200), expected);
    assert_eq!(shown.header("etag"), Some("\"1\""));
    assert!(!server.api("GET", "keys").send().text().contains(&text[20..]));
}

#[test]
fn a_key_can_be_made_of_nothing_and_may_do_nothing() {
    let server = Server::start();
    for request in [server.api("POST", "keys").json(&json!({})), server.api("POST", "keys")] {
        let made = request.send().expect(201);
        assert_eq!((&made["name"], &made["scopes"], &made["expires_at"]), (&json!(""), &json!([]), &json!(null)));
    }
}

#[test]
fn an_expiry_is_a_date_or_a_lifetime_and_is_written_in_utc() {
    let server = Server::start();
    let made = server.api("POST", "keys").json(&json!({ "expires_in_seconds": 3600 })).send().expect(201);
    let end: jiff::Timestamp = made["expires_at"].as_str().unwrap().parse().unwrap();
    assert!((end.as_second() - now() - 3600).abs() < 60, "{end}");
    assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
    let made = server.api("POST", "keys").json(&json!({ "expires_at": "9999-12-31T23:59:59Z" })).send().expect(201);
    assert_eq!(made["expires_at"], "9999-12-31T23:59:59Z");
    let made = server.api("POST", "keys").json(&json!({ "expires_at": null })).send().expect(201);
    assert_eq!(made["expires_at"], json!(null));
}

#[test]
fn text_comes_back_as_it_was_given() {
    let server = Server::start();
    for text in [
        "<script>alert(1)</script>",
        "'; DROP TABLE api_keys; --",
        "100 % _sure_ \\ \"quoted\"",
        "Grüße, 世界 👩‍👩‍👧",
        "{{7*7}} ${x} %s",
        &"ä".repeat(100),
    ] {
        let made = server.api("POST", "keys").json(&json!({ "name": text, "description": text })).send();
        assert_eq!(made.header("content-type"), Some("application/json"));
        let made = made.expect(201);
        assert_eq!((made["name"].as_str(), made["description"].as_str()), (Some(text), Some(text)));
        let listed = server.api("GET", "keys?limit=1").send().expect(200);
        assert_eq!(listed["items"][0]["name"], text);
    }
}

#[test]
fn an_owner_is_a_member_of_the_organization() {
    let server = Place::on_sqlite().start();
    let owner = database::column(&server.database(), "SELECT id FROM members").remove(0);
    let made = server.api("POST", "keys").json(&json!({ "owner": owner })).send().expect(201);
    assert_eq!(made["owner"], owner.as_str());
    let listed = server.api("GET", &format!("keys?owner={owner}")).send().expect(200);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &made["id"]));
}

#[test]
fn an_edit_changes_what_it_names_and_nothing_else() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "before", "description": "text", "expires_in_seconds": 3600 }));
    let before = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    for (edit, name, value) in [
        (json!({ "name": "after" }), "name", json!("after")),
        (json!({ "description": "" }), "description", json!("")),
        (json!({ "scopes": scope_list("read:a write:b") }), "scopes", scope_list("read:a write:b")),
        (json!({ "allowed_cidrs": ["127.0.0.1"] }), "allowed_cidrs", json!(["127.0.0.1/32"])),
        (json!({ "expires_at": "2040-01-01T00:00:00Z" }), "expires_at", json!("2040-01-01T00:00:00Z")),
        (json!({ "expires_at": null }), "expires_at", json!(null)),
    ] {
        let mut expected = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
        if name == "scopes" {
            expected["apis"][0]["scopes"] = json!(["read:a", "write:b"]);
        }
        expected[name] = value;
        expected["version"] = json!(expected["version"].as_u64().unwrap() + 1);
        let edited = server.api("PATCH", &format!("keys/{}", key.id)).json(&edit).send();
        // A restriction comes with a warning.
        let mut told = edited.expect(200);
        let is_warned = told.as_object_mut().unwrap().remove("warnings").is_some();
        assert_eq!(is_warned, ["scopes", "allowed_cidrs"].contains(&name), "{edit}");
        assert_eq!(told, expected, "{edit}");
        assert_eq!(edited.header("etag"), Some(format!("\"{}\"", expected["version"]).as_str()));
    }
    assert_eq!(before["created_at"], server.change("PATCH", &key.id, &json!({}))["created_at"]);
}

#[test]
fn an_edit_that_changes_nothing_is_no_change() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "same" }));
    let token = server.token(&key, &[]);
    for edit in [json!({}), json!({ "name": "same" }), json!({ "scopes": scope_list("read:*") })] {
        assert_eq!(server.change("PATCH", &key.id, &edit)["version"], 1);
    }
    server.me(&token).expect(200);
}

#[test]
fn spelling_of_a_scope_is_kept_until_it_is_given_as_text() {
    let server = Server::start();
    let key = server.make(&json!({ "scopes": ["read"] }));
    let token = server.token(&key, &[]);
    let granted = || server.exchange(&key.text, &[]).expect(200)["scope"].as_str().unwrap().to_owned();
    assert_eq!(server.claims(&token)["scope"], "read");
    // A client that reads a key and writes it back knows objects only.
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!(server.change("PATCH", &key.id, &json!({ "scopes": shown["scopes"] }))["version"], 1);
    let edited = server.change("PATCH", &key.id, &json!({ "scopes": scope_list("read:* write:a") }));
    assert_eq!((edited["version"].as_u64(), granted().as_str()), (Some(2), "read write:a"));
    let edited = server.change("PATCH", &key.id, &json!({ "scopes": ["read:*", "write:a"] }));
    assert_eq!((edited["version"].as_u64(), granted().as_str()), (Some(3), "read:* write:a"));
    server.me(&token).expect(200);
}

#[test]
fn a_change_to_a_version_that_was_not_seen_fails() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let path = format!("keys/{}", key.id);
    let edit = |tag: &str| server.api("PATCH", &path).header("If-Match", tag).json(&json!({ "name": tag })).send();
    edit("\"1\"").expect(200);
    problem(&edit("\"1\""), 412, "PRECONDITION_FAILED");
    problem(&edit("\"3\""), 412, "PRECONDITION_FAILED");
    edit("\"2\"").expect(200);
    edit("*").expect(200);
    for (method, rest) in
        [("POST", "/rotate"), ("POST", "/revoke"), ("POST", "/disable"), ("POST", "/enable"), ("DELETE", "")]
    {
        let answer = server.api(method, &format!("{path}{rest}")).header("If-Match", "\"1\"").send();
        problem(&answer, 412, "PRECONDITION_FAILED");
    }
    let shown = server.api("GET", &path).send();
    assert_eq!((shown.expect(200)["version"].as_u64(), shown.header("etag")), (Some(4), Some("\"4\"")));
    server.api("POST", &format!("{path}/disable")).header("If-Match", "\"4\"").send().expect(200);
}

#[test]
fn of_many_edits_of_one_version_exactly_one_is_made() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let (server, key) = (&server, &key);
        let edit = move |n: usize| {
            let request = server.api("PATCH", &format!("keys/{}", key.id)).header("If-Match", "\"1\"");
            request.json(&json!({ "name": format!("edit {n}") })).send().status
        };
        let threads: Vec<_> = (0..12).map(|n| scope.spawn(move || edit(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 409 | 412)), "{statuses:?}");
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!(shown["version"], 2);
}

#[test]
fn what_is_not_there_is_not_found() {
    let server = Server::start();
    for path in ["keys/0000000000000000", "keys/short", "keys/..", "keys/%00", "keys/0000000000000000/rotate"] {
        let method = if path.ends_with("rotate") { "POST" } else { "GET" };
        problem(&server.api(method, path).send(), 404, "NOT_FOUND");
    }
}

#[test]
fn me_says_who_a_credential_is() {
    let server = Server::start();
    let key =
        server.make(&json!({ "name": "it", "expires_at": "2040-01-01T00:00:00Z", "allowed_cidrs": ["127.0.0.0/8"] }));
    for request in [server.get("/api/v1/me").bearer(&key.text), server.get("/api/v1/me").api_key(&key.text)] {
        let me = request.send().expect(200);
        assert_eq!((me["organization"].as_str(), me["key"]["id"].as_str()), (Some("default"), Some(key.id.as_str())));
        assert_eq!((&me["scopes"], &me["expires_at"]), (&scope_list("read:*"), &json!("2040-01-01T00:00:00Z")));
        assert_eq!(me["allowed_cidrs"], json!(["127.0.0.0/8"]));
    }
    let token = server.token(&key, &[("scope", "read:a")]);
    let me = server.me(&token).expect(200);
    assert_eq!(me["scopes"], scope_list("read:a"));
    let end: jiff::Timestamp = me["expires_at"].as_str().unwrap().parse().unwrap();
    assert!((end.as_second() - now() - 600).abs() < 60);
}

#[test]
fn owner_is_changed_within_the_limit_of_the_new_owner() {
    let (server, owner) = start();
    let (dana, kim) = (owner.add(&server, "developer"), owner.add(&server, "developer"));
    server.api("PUT", "policy").json(&json!({ "max_keys_per_user": 1 })).send().expect(200);
    let key = server.make(&json!({}));
    let token = server.token(&key, &[]);
    let change = |id: &str, to: Value| server.api("PATCH", &format!("keys/{id}")).json(&json!({ "owner": to })).send();
    assert_eq!(change(&key.id, json!(dana.id)).expect(200)["owner"], dana.id.as_str());
    server.me(&token).expect(200);
    assert_eq!(change(&key.id, json!(dana.id)).expect(200)["version"], 2, "nothing to change");
    let second = server.make(&json!({}));
    problem(&change(&second.id, json!(dana.id)), 409, "KEY_LIMIT_REACHED");
    assert_eq!(change(&second.id, json!(kim.id)).expect(200)["owner"], kim.id.as_str());
    // A revoked key does not change; a member who left cannot own a key.
    let gone = owner.add(&server, "developer");
    owner.api("DELETE", &format!("members/{}", gone.id)).send().expect(200);
    wrong_field(&change(&second.id, json!(gone.id)), "owner");
    wrong_field(&change(&second.id, json!("nobody")), "owner");
    assert_eq!(change(&key.id, Value::Null).expect(200)["owner"], Value::Null);
    assert_eq!(change(&second.id, json!(dana.id)).expect(200)["owner"], dana.id.as_str(), "there is room again");
    // Developers can neither give away nor take keys.
    let by = |person: &Person, id: &str, to: Value| {
        person.api("PATCH", &format!("keys/{id}")).json(&json!({ "owner": to })).send()
    };
    for (person, id, to) in [
        (&dana, &second.id, Value::Null),
        (&dana, &second.id, json!(kim.id)),
        (&kim, &second.id, json!(kim.id)),
        (&kim, &key.id, json!(kim.id)),
    ] {
        problem(&by(person, id, to), 403, "ROLE_REQUIRED");
    }
}
