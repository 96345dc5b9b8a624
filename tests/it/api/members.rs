//! Members: added, changed and removed, with what follows for their sessions and keys.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::person::{start, try_sign_in};
use crate::support::server::{scope_list, unique};
use crate::support::{Answer, Key, Person, Place, field};

fn add(by: &Person, body: &Value) -> Answer {
    by.api("POST", "members").json(body).send()
}

fn change(by: &Person, id: &str, body: &Value) -> Answer {
    by.api("PATCH", &format!("members/{id}")).json(body).send()
}

fn remove(by: &Person, id: &str) -> Answer {
    by.api("DELETE", &format!("members/{id}")).send()
}

fn key_of(made: &Value) -> Key {
    Key { id: made["id"].as_str().unwrap().into(), text: made["secret"].as_str().unwrap().into() }
}

#[test]
fn a_member_is_added_with_a_password_that_is_shown_once() {
    let (server, owner) = start();
    let answer = add(&owner, &json!({ "email": "Ada@Example.org", "role": "developer" }));
    let made = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    let (id, password) = (made["id"].as_str().unwrap(), made["password"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(&*format!("/api/v1/organizations/default/members/{id}")));
    assert_eq!((made["email"].as_str(), made["role"].as_str()), (Some("ada@example.org"), Some("developer")));
    assert!(made["last_sign_in_at"].is_null() && made["version"] == 1 && made["organization"] == "default");
    assert!(password.len() >= 20);

    let names: BTreeSet<String> = owner.member(id).as_object().unwrap().keys().cloned().collect();
    let expected = ["created_at", "email", "id", "last_sign_in_at", "organization", "role", "version"];
    assert_eq!(names, expected.map(str::to_owned).into());
    let list = owner.api("GET", "members").send().expect(200);
    assert_eq!(field(&list["items"], "email"), ["ada@example.org", owner.email.as_str()]);
    assert!(!list.to_string().contains("password"));
    Person::sign_in(&server, "default", "ADA@example.org", password);
    assert!(owner.member(id)["last_sign_in_at"].is_string());
}

#[test]
fn a_login_belongs_to_one_member_of_an_organization() {
    let (server, owner) = start();
    add(&owner, &json!({ "email": "ada@example.org", "role": "viewer" })).expect(201);
    for email in ["ada@example.org", "ADA@EXAMPLE.ORG", &owner.email] {
        wrong_field(&add(&owner, &json!({ "email": email, "role": "viewer" })), "email");
    }
    let bob = owner.add(&server, "viewer");
    wrong_field(&change(&owner, &bob.id, &json!({ "email": "Ada@example.org" })), "email");
    let body = json!({ "email": "twin@example.org", "role": "viewer" });
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| add(&owner, &body).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 422].contains(status)), "{statuses:?}");
}

#[test]
fn a_change_is_made_to_the_version_that_was_seen() {
    let (server, owner) = start();
    let ada = owner.add(&server, "viewer");
    let with = |method: &str, tag: &str, body: &Value| {
        owner.api(method, &format!("members/{}", ada.id)).header("If-Match", tag).json(body).send()
    };
    let answer = with("PATCH", "\"1\"", &json!({ "role": "developer" }));
    assert_eq!((answer.expect(200)["role"].as_str(), answer.header("etag")), (Some("developer"), Some("\"2\"")));
    for tag in ["\"1\"", "\"3\"", "1", "\"x\"", "\"-2\"", "", "\"99999999999999999999\""] {
        for (method, body) in [("PATCH", json!({ "role": "admin" })), ("PATCH", json!({ "reset_password": true }))] {
            problem(&with(method, tag, &body), 412, "PRECONDITION_FAILED");
        }
        problem(&with("DELETE", tag, &json!({})), 412, "PRECONDITION_FAILED");
    }
    assert!(ada.is_signed_in() && owner.member(&ada.id)["version"] == 2);
    let same = with("PATCH", "W/\"2\"", &json!({ "role": "developer" })).expect(200);
    assert_eq!(same["version"], 2, "nothing to change is no change");
    assert_eq!(with("PATCH", "*", &json!({ "email": "eve@example.org" })).expect(200)["version"], 3);
    assert_eq!(with("DELETE", "\"3\"", &json!({})).status, 200);
}

#[test]
fn a_role_counts_from_the_next_request_on() {
    let (server, owner) = start();
    let ada = owner.add(&server, "viewer");
    let make = || ada.api("POST", "keys").json(&json!({})).send();
    problem(&make(), 403, "ROLE_REQUIRED");
    change(&owner, &ada.id, &json!({ "role": "developer" })).expect(200);
    make().expect(201);
    let new = json!({ "email": "x@example.org", "role": "viewer" });
    problem(&add(&ada, &new), 403, "ROLE_REQUIRED");
    change(&owner, &ada.id, &json!({ "role": "admin" })).expect(200);
    add(&ada, &new).expect(201);
    change(&owner, &ada.id, &json!({ "role": "viewer" })).expect(200);
    problem(&make(), 403, "ROLE_REQUIRED");
    problem(&add(&ada, &new), 403, "ROLE_REQUIRED");
    assert_eq!(ada.call("GET", "/api/v1/me").send().expect(200)["member"]["role"], "viewer");
}

#[test]
fn a_password_that_is_reset_ends_every_session() {
    let (server, owner) = start();
    let ada = owner.add(&server, "viewer");
    let other = ada.again(&server);
    let reset = change(&owner, &ada.id, &json!({ "reset_password": true })).expect(200);
    let password = reset["password"].as_str().unwrap();
    assert!(!ada.is_signed_in() && !other.is_signed_in() && owner.is_signed_in());
    problem(&try_sign_in(&server, "default", &ada.email, &ada.password), 401, "SIGN_IN_REFUSED");
    Person::sign_in(&server, "default", &ada.email, password);
    assert!(change(&owner, &ada.id, &json!({ "reset_password": false })).expect(200).get("password").is_none());
}

#[test]
fn removing_a_member_ends_sessions_keys_and_tokens() {
    let (server, owner) = start();
    let (ada, bob) = (owner.add(&server, "developer"), owner.add(&server, "developer"));
    let other = ada.again(&server);
    let keys: Vec<Key> = (0..3).map(|_| key_of(&ada.make(&json!({})))).collect();
    let given = key_of(&owner.make(&json!({ "owner": ada.id })));
    let disabled = key_of(&ada.make(&json!({})));
    ada.api("POST", &format!("keys/{}/disable", disabled.id)).send().expect(200);
    let revoked = key_of(&ada.make(&json!({})));
    ada.api("POST", &format!("keys/{}/revoke", revoked.id)).json(&json!({ "reason": "mine" })).send().expect(200);
    let (kept, bobs) = (server.make(&json!({})), key_of(&bob.make(&json!({}))));
    let tokens: Vec<String> = keys.iter().map(|key| server.token(key, &[])).collect();
    let rotated = ada.api("POST", &format!("keys/{}/rotate", keys[0].id)).json(&json!({ "grace_seconds": 600 })).send();
    let rotated = key_of(&rotated.expect(200));
    for token in &tokens {
        assert_eq!(server.get("/verify").bearer(token).send().status, 200);
    }

    let gone = owner.api("DELETE", &format!("members/{}?keys=revoke", ada.id)).send().expect(200);
    assert_eq!(gone["transferred_keys"], json!([]));
    let told: BTreeSet<&str> = gone["revoked_keys"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let expected: BTreeSet<&str> = keys.iter().chain([&given, &disabled]).map(|key| key.id.as_str()).collect();
    assert_eq!(told, expected);
    assert!(!ada.is_signed_in() && !other.is_signed_in() && bob.is_signed_in());
    for key in keys.iter().chain([&given, &rotated, &disabled]) {
        problem(&server.me(&key.text), 401, "API_KEY_INVALID");
        server.exchange(&key.text, &[]).expect(401);
    }
    for token in &tokens {
        problem(&server.me(token), 401, "API_KEY_INVALID");
        assert_eq!(server.get("/verify").bearer(token).send().status, 401);
        let asked = server.request("POST", "/oauth/introspect").bearer(&server.key.text).form(&[("token", token)]);
        assert_eq!(asked.send().expect(200), json!({ "active": false }));
    }
    for key in [&kept, &bobs] {
        server.exchange(&key.text, &[]).expect(200);
    }
    let shown = owner.api("GET", &format!("keys/{}", keys[0].id)).send().expect(200);
    assert_eq!((shown["status"].as_str(), shown["owner"].as_str()), (Some("revoked"), Some(&*ada.id)));
    assert!(shown["revoked_reason"].as_str().unwrap().contains("removed"));
    let mine = owner.api("GET", &format!("keys/{}", revoked.id)).send().expect(200);
    assert_eq!(mine["revoked_reason"], "mine", "what was revoked before stays as it was");
    for again in [remove(&owner, &ada.id), change(&owner, &ada.id, &json!({ "role": "viewer" }))] {
        problem(&again, 404, "NOT_FOUND");
    }
    wrong_field(&owner.api("POST", "keys").json(&json!({ "owner": ada.id })).send(), "owner");
    problem(&try_sign_in(&server, "default", &ada.email, &ada.password), 401, "SIGN_IN_REFUSED");
    // The email address is free for another member, who inherits nothing.
    let new = add(&owner, &json!({ "email": ada.email, "role": "developer" })).expect(201);
    assert_ne!(new["id"], ada.id.as_str());
    problem(&try_sign_in(&server, "default", &ada.email, &ada.password), 401, "SIGN_IN_REFUSED");
    assert!(!ada.is_signed_in());
}

#[test]
fn keys_of_a_removed_member_are_transferred() {
    let (server, owner) = start();
    let ada = owner.add(&server, "developer");
    let key = key_of(&ada.make(&json!({ "name": "works on" })));
    let token = server.token(&key, &[]);
    let revoked = key_of(&ada.make(&json!({})));
    ada.api("POST", &format!("keys/{}/revoke", revoked.id)).json(&json!({})).send().expect(200);
    let wrong = owner.api("DELETE", &format!("members/{}?keys=keep", ada.id)).send();
    wrong_field(&wrong, "keys");
    let gone = remove(&owner, &ada.id).expect(200);
    assert_eq!((&gone["transferred_keys"], &gone["revoked_keys"]), (&json!([key.id]), &json!([])));
    assert!(!ada.is_signed_in());
    server.exchange(&key.text, &[]).expect(200);
    assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    let shown = owner.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!((&shown["owner"], &shown["status"], &shown["version"]), (&Value::Null, &json!("active"), &json!(2)));
    let trail = server.api("GET", &format!("audit?subject={}&action=key.edit", key.id)).send().expect(200);
    assert_eq!(trail["items"][0]["old"]["owner"], ada.id.as_str());
    assert_eq!(trail["items"][0]["new"]["owner"], Value::Null);
}

#[test]
fn no_key_outlives_its_owner_however_the_two_race() {
    let (server, owner) = start();
    for _ in 0..4 {
        let ada = owner.add(&server, "developer");
        let made: Vec<Answer> = std::thread::scope(|scope| {
            let makers: Vec<_> =
                (0..6).map(|_| scope.spawn(|| ada.api("POST", "keys").json(&json!({})).send())).collect();
            owner.api("DELETE", &format!("members/{}?keys=revoke", ada.id)).send().expect(200);
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        for answer in made {
            match answer.status {
                201 => problem(&server.me(answer.json()["secret"].as_str().unwrap()), 401, "API_KEY_INVALID"),
                401 => problem(&answer, 401, "API_KEY_REQUIRED"),
                _ => problem(&answer, 409, "CONFLICT"),
            };
        }
        let left = owner.api("GET", &format!("keys?status=active&owner={}", ada.id)).send().expect(200);
        assert_eq!(left["items"], json!([]));
    }
}

#[test]
fn last_owner_cannot_be_removed() {
    let (server, owner) = start();
    problem(&remove(&owner, &owner.id), 409, "CONFLICT");
    problem(&change(&owner, &owner.id, &json!({ "role": "admin" })), 409, "CONFLICT");
    let by_key = server.api("DELETE", &format!("members/{}", owner.id)).send();
    problem(&by_key, 409, "CONFLICT");
    let second = owner.add(&server, "owner");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = scope.spawn(|| remove(&owner, &second.id).status);
        let two = scope.spawn(|| change(&second, &owner.id, &json!({ "role": "viewer" })).status);
        [one, two].map(|thread| thread.join().unwrap()).into()
    });
    let list = server.api("GET", "members").send().expect(200);
    let owners = field(&list["items"], "role").iter().filter(|role| **role == "owner").count();
    assert!(owners >= 1, "{statuses:?} {list}");
    assert!(statuses.contains(&200), "{statuses:?}");
}

#[test]
fn members_are_seen_in_their_own_organization_only() {
    let place = Place::new();
    let founded = place.init(&[]);
    let acme = place.init(&["--organization", "acme", "--email", "boss@acme.example"]);
    let server = place.serve(founded.key);
    let owner = Person::sign_in(&server, "default", &founded.email, &founded.password);
    let boss = Person::sign_in(&server, "acme", &acme.email, &acme.password);
    problem(&try_sign_in(&server, "default", &acme.email, &acme.password), 401, "SIGN_IN_REFUSED");
    for (by, whose) in [(&owner, &boss), (&boss, &owner)] {
        for path in [format!("members/{}", whose.id), format!("members/{}/sessions", whose.id)] {
            problem(&by.api("GET", &path).send(), 404, "NOT_FOUND");
        }
        problem(&change(by, &whose.id, &json!({ "role": "viewer" })), 404, "NOT_FOUND");
        problem(&remove(by, &whose.id), 404, "NOT_FOUND");
        let end = by.api("DELETE", &format!("members/{}/sessions/{}", whose.id, whose.session));
        problem(&end.send(), 404, "NOT_FOUND");
        wrong_field(&by.api("POST", "keys").json(&json!({ "owner": whose.id })).send(), "owner");
        // Nor by the other's path.
        let abroad = format!("/api/v1/organizations/{}/members", whose.organization);
        problem(&by.call("GET", &abroad).send(), 404, "NOT_FOUND");
        problem(&by.call("GET", &format!("{abroad}/{}", by.id)).send(), 404, "NOT_FOUND");
    }
    assert!(owner.is_signed_in() && boss.is_signed_in());
    // The same login may be used in both.
    add(&owner, &json!({ "email": acme.email, "role": "viewer" })).expect(201);
    assert_eq!(server.api_as(&acme.key.text, "GET", "members").send().status, 404);
}

#[test]
fn a_member_that_cannot_be_meant_is_named_by_field() {
    let (server, owner) = start();
    let good = || json!({ "email": format!("{}@example.org", unique()), "role": "viewer" });
    for name in ["email", "role"] {
        let mut body = good();
        body.as_object_mut().unwrap().remove(name);
        assert!(wrong_field(&add(&owner, &body), name).contains("missing"));
        for value in [json!(null), json!(1), json!([]), json!({}), json!(true), json!("")] {
            let mut body = good();
            body[name] = value;
            wrong_field(&add(&owner, &body), name);
        }
    }
    let ada = owner.add(&server, "viewer");
    for email in [
        "x",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b\0",
        "a\r\n@b",
        "a@b\u{7f}",
        "a@b\u{9b}",
        "a@b\u{2028}",
        "<script>alert(1)</script>",
        &format!("{}@example.org", "x".repeat(243)),
    ] {
        assert!(
            wrong_field(&add(&owner, &json!({ "email": email, "role": "viewer" })), "email").contains("email address")
        );
        wrong_field(&change(&owner, &ada.id, &json!({ "email": email })), "email");
    }
    for role in ["Owner", "root", "owner ", "owner\0", "%", "viewer,owner"] {
        let message = wrong_field(&add(&owner, &json!({ "email": "a@b", "role": role })), "role");
        assert!(message.contains("viewer") && message.contains("owner"), "{message}");
        wrong_field(&change(&owner, &ada.id, &json!({ "role": role })), "role");
    }
    for (name, value) in [
        ("id", json!("x")),
        ("organization", json!("acme")),
        ("password", json!("hunter2hunter2")),
        ("version", json!(9)),
        ("reset_password", json!("yes")),
        ("reset_password", json!(1)),
        ("reset_password", json!(null)),
    ] {
        let answer = change(&owner, &ada.id, &json!({ name: value }));
        wrong_field(&answer, name);
        assert!(!answer.text().contains("hunter2"));
    }
    for twice in
        ["{\"email\":\"a@b\",\"email\":\"c@d\",\"role\":\"viewer\"}", "{\"role\":\"viewer\",\"role\":\"owner\"}"]
    {
        let answer = owner.api("POST", "members").body("application/json", twice).send();
        assert!(problem(&answer, 422, "VALIDATION_FAILED")["errors"][0]["message"] == "given twice");
    }
    for body in ["", "[]", "null", "[\"a@b\",\"viewer\"]", "{\"email\":\"\\ud800@b\",\"role\":\"viewer\"}", "{}{}"] {
        problem(&owner.api("POST", "members").body("application/json", body).send(), 422, "VALIDATION_FAILED");
    }
    let large = json!({ "email": "x".repeat(65 * 1024), "role": "viewer" });
    problem(&add(&owner, &large), 413, "VALIDATION_FAILED");
    for id in ["x", "%00", "%", "..", "%2e%2e", &"x".repeat(22), &"x".repeat(23), "%27%20OR%201%3D1"] {
        let answer = owner.api("GET", &format!("members/{id}")).send();
        assert_eq!(answer.status, 404, "{id}: {}", answer.text());
    }
    assert!(ada.is_signed_in() && owner.member(&ada.id)["version"] == 1, "nothing was changed");
}

#[test]
fn email_is_stored_in_lowercase() {
    let (server, owner) = start();
    for email in [
        "o'neil+tag@example.org",
        "\"<script>\"@example.org",
        "%_\\@example.org",
        "ünïcödé@exämple.org",
        "'--@x",
        "a@[::1]",
        "\u{5d0}\u{5d1}@example.org",
        &format!("{}@example.org", "x".repeat(242)),
    ] {
        let made = add(&owner, &json!({ "email": email, "role": "viewer" })).expect(201);
        assert_eq!(owner.member(made["id"].as_str().unwrap())["email"], email);
        Person::sign_in(&server, "default", email, made["password"].as_str().unwrap());
    }
}

#[test]
fn lowering_a_role_lists_the_keys_beyond_it() {
    let (server, owner) = start();
    let admin = owner.add(&server, "admin");
    let strong = admin.make(&json!({ "scopes": scope_list("admin:keyturn/members read:a") }));
    let plain = admin.make(&json!({ "scopes": scope_list("read:a") }));
    let lower = |role: &str| {
        owner.api("PATCH", &format!("members/{}", admin.id)).json(&json!({ "role": role })).send().expect(200)
    };
    let lowered = lower("developer");
    assert_eq!(lowered["keys_beyond_role"], json!([strong["id"]]), "{lowered}");
    // A viewer hands nothing out but the right to look.
    assert_eq!(lower("viewer")["keys_beyond_role"], json!([strong["id"], plain["id"]]));
    // They go on until somebody ends them.
    server.exchange(strong["secret"].as_str().unwrap(), &[]).expect(200);
    owner.api("POST", &format!("keys/{}/revoke", strong["id"].as_str().unwrap())).send().expect(200);
    assert_eq!(lower("developer").get("keys_beyond_role"), None);
    // A profile counts as well.
    let profile = json!({ "name": "people", "scopes": ["admin:keyturn/members"] });
    owner.api("POST", "profiles").json(&profile).send().expect(201);
    lower("admin");
    let by_profile = admin.api("POST", "keys").json(&json!({ "name": "k", "profile": "people" })).send().expect(201);
    assert_eq!(lower("developer")["keys_beyond_role"], json!([by_profile["id"]]));
}
