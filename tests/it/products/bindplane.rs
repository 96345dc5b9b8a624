//! Bindplane: each member of a project creates up to 25 keys with a description and any expiry and deletes them after a
//! confirmation, and the audit log contains both.

use serde_json::json;

use crate::products::{assert_error, text, under, wrong_field};
use crate::support::check::problem;

#[test]
fn members_create_up_to_25_keys() {
    let (server, owner) = under("bindplane");
    let dana = owner.add(&server, "developer");
    for n in 0..25 {
        dana.make(&json!({ "description": format!("key {n}") }));
    }
    problem(&dana.api("POST", "keys").json(&json!({})).send(), 409, "KEY_LIMIT_REACHED");
    owner.make(&json!({}));
}

#[test]
fn description_and_expiry_are_optional() {
    let (server, owner) = under("bindplane");
    let dana = owner.add(&server, "developer");
    let made =
        dana.make(&json!({ "name": "", "description": "Terraform, nightly", "expires_at": "2041-05-06T07:08:09Z" }));
    assert_eq!(made["description"], "Terraform, nightly");
    assert_eq!(made["expires_at"], "2041-05-06T07:08:09Z");
    let plain = dana.api("POST", "keys").json(&json!({})).send().expect(201);
    assert_eq!((&plain["description"], &plain["expires_at"]), (&json!(""), &json!(null)));
    let past = json!({ "expires_at": "2020-01-01T00:00:00Z" });
    assert_eq!(wrong_field(&dana.api("POST", "keys").json(&past).send()), "expires_at");
    for key in [&made, &plain] {
        server.exchange(&text(&key["secret"]), &[]).expect(200);
    }
}

#[test]
fn deletion_is_confirmed_and_audited() {
    let (server, owner) = under("bindplane");
    let dana = owner.add(&server, "developer");
    let made = dana.make(&json!({ "description": "to go" }));
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));

    // The dialog shows the key's current state; confirming deletes only that state.
    let shown = dana.api("GET", &format!("keys/{id}")).send();
    let etag = shown.header("etag").unwrap().to_owned();
    dana.api("PATCH", &format!("keys/{id}")).json(&json!({ "description": "still needed" })).send().expect(200);
    let stale = dana.api("DELETE", &format!("keys/{id}")).header("If-Match", &etag).send();
    problem(&stale, 412, "PRECONDITION_FAILED");
    server.exchange(&secret, &[]).expect(200);
    let now = dana.api("GET", &format!("keys/{id}")).send().header("etag").unwrap().to_owned();
    let gone = dana.api("DELETE", &format!("keys/{id}")).header("If-Match", &now).send().expect(200);
    assert_eq!(gone["status"], "revoked");
    assert_error(&server.exchange(&secret, &[]), 401, "API_KEY_INVALID");

    // The log contains creation and deletion, with actor and object; admins can read it, developers cannot.
    problem(&dana.api("GET", "audit").send(), 403, "ROLE_REQUIRED");
    let log = owner.api("GET", &format!("audit?subject={id}")).send().expect(200);
    let rows = log["items"].as_array().unwrap();
    let actions: Vec<_> = rows.iter().map(|row| text(&row["action"])).collect();
    assert_eq!(actions, ["key.revoke", "key.edit", "key.create"]);
    for row in rows {
        assert_eq!(text(&row["actor"]), format!("member:{}", dana.id));
        assert_eq!(row["address"], "127.0.0.1");
    }
    assert_eq!((&rows[2]["old"], &rows[2]["new"]["description"]), (&json!(null), &json!("to go")));
    assert_eq!((&rows[0]["old"]["state"], &rows[0]["new"]["state"]), (&json!("active"), &json!("revoked")));
    assert!(!log.to_string().contains(&secret));
}
