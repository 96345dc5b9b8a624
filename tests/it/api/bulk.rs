//! `POST …/keys/bulk`, and the filters of the list.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::check::wrong_field;
use crate::support::{Server, field, person};

fn bulk(server: &Server, body: &Value) -> Value {
    server.api("POST", "keys/bulk").json(body).send().expect(200)
}

#[test]
fn each_key_has_its_own_result_and_audit_entry() {
    let (server, owner) = person::start();
    let ids: Vec<String> = (0..3).map(|_| server.make(&json!({})).id).collect();
    let body = json!({ "ids": [ids[0], "aaaaaaaaaaaaaaaa", ids[1]], "action": "revoke", "reason": "contract ended" });
    let done = bulk(&server, &body);
    assert_eq!((&done["changed"], &done["failed"]), (&json!(2), &json!(1)));
    assert_eq!(field(&done["results"], "id"), [&*ids[0], "aaaaaaaaaaaaaaaa", &ids[1]], "in the order of the request");
    assert_eq!(done["results"][1]["code"], "NOT_FOUND");
    assert_eq!(done["results"][2]["status"], "revoked");
    let key = server.api("GET", &format!("keys/{}", ids[0])).send().expect(200);
    assert_eq!(key["revoked_reason"], "contract ended");
    let entries = owner.api("GET", "audit?action=key.revoke").send().expect(200);
    assert_eq!(entries["items"].as_array().unwrap().len(), 2);
    let again = bulk(&server, &body);
    assert_eq!(again["changed"], 2, "repeating it has the same result");

    let done = bulk(&server, &json!({ "ids": [ids[2]], "action": "set_expiry", "expires_at": "2020-01-01T00:00:00Z" }));
    assert!(done["results"][0]["detail"].as_str().unwrap().starts_with("expires_at: "), "{done}");
    bulk(&server, &json!({ "ids": [ids[2]], "action": "disable" }));
    let done = bulk(&server, &json!({ "ids": [ids[2], ids[0]], "action": "enable" }));
    assert_eq!((&done["results"][0]["status"], &done["results"][1]["code"]), (&json!("active"), &json!("CONFLICT")));

    let developer = owner.add(&server, "developer");
    let done =
        developer.api("POST", "keys/bulk").json(&json!({ "ids": [ids[2]], "action": "revoke" })).send().expect(200);
    assert_eq!(done["results"][0]["code"], "ROLE_REQUIRED");
}

#[test]
fn owner_of_many_keys_is_changed() {
    let (server, owner) = person::start();
    let developer = owner.add(&server, "developer");
    let ids: Vec<String> = (0..2).map(|_| server.make(&json!({})).id).collect();
    let set = |by: &crate::support::Person, to: &Value| {
        let body = json!({ "ids": ids, "action": "set_owner", "owner": to });
        by.api("POST", "keys/bulk").json(&body).send()
    };
    let owners = || {
        let of = |id: &String| server.api("GET", &format!("keys/{id}")).send().expect(200)["owner"].clone();
        ids.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(set(&owner, &json!(developer.id)).expect(200)["changed"], 2);
    assert_eq!(owners(), [json!(developer.id), json!(developer.id)]);
    let refused = set(&developer, &json!(owner.id)).expect(200);
    assert_eq!(field(&refused["results"], "code"), ["ROLE_REQUIRED", "ROLE_REQUIRED"]);
    wrong_field(&set(&owner, &json!("nobody")), "owner");
    assert_eq!(set(&owner, &Value::Null).expect(200)["changed"], 2);
    assert_eq!(owners(), [Value::Null, Value::Null]);
    for body in
        [json!({ "ids": ids, "action": "set_owner" }), json!({ "ids": ids, "action": "disable", "owner": null })]
    {
        wrong_field(&server.api("POST", "keys/bulk").json(&body).send(), "owner");
    }
}

#[test]
fn requests_are_bounded_and_checked() {
    let server = Server::start();
    let id = server.make(&json!({})).id;
    for (body, name) in [
        (json!({ "ids": [], "action": "disable" }), "ids"),
        (json!({ "ids": vec![id.as_str(); 1001], "action": "disable" }), "ids"),
        (json!({ "ids": [id, id], "action": "disable" }), "ids"),
        (json!({ "ids": ["short"], "action": "disable" }), "ids[0]"),
        (json!({ "ids": [id], "action": "disable", "reason": "x" }), "reason"),
        (json!({ "ids": [id], "action": "set_expiry" }), "expires_at"),
        (json!({ "ids": [id], "action": "revoke", "expires_at": null }), "expires_at"),
        (json!({ "ids": [id], "action": "explode" }), "action"),
    ] {
        let answer = server.api("POST", "keys/bulk").json(&body).send();
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(field(&answer.json()["errors"], "field").contains(&name), "{name}: {}", answer.text());
    }
}

#[test]
fn many_keys_are_changed_within_the_limit_of_changes() {
    let server = crate::support::Place::new().set("KEYTURN_LIMITS__CHANGES_PER_MINUTE", 40).start();
    let unknown = |from: u32| (from..from + 200).map(|n| format!("{n:016}")).collect::<Vec<_>>();
    let send = |from| server.api("POST", "keys/bulk").json(&json!({ "ids": unknown(from), "action": "enable" })).send();
    assert_eq!(send(0).status, 200, "200 items count like 20 changes");
    assert_eq!(send(1000).status, 200, "another 20");
    assert_eq!(send(2000).status, 429, "the limit holds");
    let body = json!({ "ids": unknown(0), "action": "revoke" });
    assert_eq!(server.api("POST", "keys/bulk").json(&body).send().status, 200, "revoking has more room");
}

#[test]
fn lists_are_filtered_by_grants_use_and_policy() {
    let server = Server::start();
    let names = |query: &str| {
        let list = server.api("GET", &format!("keys?search=f-&{query}")).send().expect(200);
        let names = field(&list["items"], "name").into_iter().map(str::to_owned);
        (names.collect::<BTreeSet<_>>(), list["total"].clone())
    };
    server.make(&json!({ "name": "f-orders", "scopes": ["read:orders/*"], "allowed_cidrs": ["10.0.0.0/8"], "expires_in_seconds": 3600 }));
    server.make(&json!({ "name": "f-admin", "scopes": ["*:keyturn/keys"], "expires_in_seconds": 86_400 * 400 }));
    server.make(&json!({ "name": "f-none", "description": "Ärger", "scopes": [], "allowed_cidrs": ["203.0.113.7"] }));
    for (query, wanted) in [
        ("scope=read:orders/17", &["f-orders"][..]),
        ("scope=write:orders/17", &[]),
        ("scope=read:keyturn/keys", &["f-admin"]),
        ("cidr=10.9.8.7", &["f-orders"]),
        ("cidr=203.0.113.7/32", &["f-none"]),
        ("cidr=0.0.0.0/0", &[]),
        ("expires_before=2999-01-01T00:00:00Z", &["f-orders", "f-admin"]),
        ("unused_since=2020-01-01T00:00:00Z", &[]),
        ("unused_since=2999-01-01T00:00:00Z", &["f-orders", "f-admin", "f-none"]),
        ("view=full_access", &["f-admin"]),
        ("view=no_expiry", &["f-none"]),
        ("view=any_network", &["f-admin"]),
        ("view=never_used&status=active", &["f-orders", "f-admin", "f-none"]),
        ("violates=any", &[]),
        ("violates=expiry_required", &[]),
    ] {
        let wanted: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let (found, total) = names(&format!("{query}&total=true"));
        assert_eq!(found, wanted, "{query}");
        assert_eq!(total, wanted.len(), "{query}");
    }
    assert_eq!(names("limit=1&total=true").1, 3, "on all pages");
    assert_eq!(names("limit=1").1, json!(null), "only if asked for");
    let by_text = |search: &str| {
        let list = server.api("GET", &format!("keys?search={search}")).send().expect(200);
        field(&list["items"], "name").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(by_text("%C3%A4RGER"), ["f-none"], "the description, ignoring case");
    let key = server.make(&json!({ "name": "by its ID" }));
    assert_eq!(by_text(&key.id), ["by its ID"]);
    assert_eq!(by_text(&key.text[key.text.len() - 4..]), ["by its ID"]);
    for (query, name) in [
        ("scope=Read:x", "scope"),
        ("cidr=10.0.0.1/8", "cidr"),
        ("cidr=*", "cidr"),
        ("view=odd", "view"),
        ("violates=odd", "violates"),
        ("expires_before=soon", "expires_before"),
        ("total=yes", "total"),
    ] {
        let answer = server.api("GET", &format!("keys?{query}")).send();
        assert_eq!(answer.status, 422, "{query}");
        assert_eq!(field(&answer.json()["errors"], "field"), [name], "{query}");
    }
}
