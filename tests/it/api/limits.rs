//! The policy's limits hold, however many ask at once.

use serde_json::json;

use crate::support::check::{problem, wrong_field};
use crate::support::server::scope_list;
use crate::support::{Place, Server, database, eventually};

fn with_policy(changes: &str) -> Server {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    database::execute(&place.database(), &format!("UPDATE organizations SET policy = json_set(policy, {changes})"));
    place.serve(founded.key)
}

#[test]
fn a_limit_holds_under_concurrent_creates() {
    let server = with_policy("'$.max_keys', 4");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let make = || server.api("POST", "keys").json(&json!({})).send();
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().status).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "the first key is the fourth");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 17, "{statuses:?}");
    problem(&server.api("POST", "keys").json(&json!({})).send(), 409, "KEY_LIMIT_REACHED");
}

#[test]
fn revoked_and_expired_keys_do_not_count() {
    let server = with_policy("'$.max_keys', 2");
    let make = |body: serde_json::Value| server.api("POST", "keys").json(&body).send();
    let key = server.make(&json!({}));
    problem(&make(json!({})), 409, "KEY_LIMIT_REACHED");
    server.change("POST", &format!("{}/rotate", key.id), &json!({}));
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    problem(&make(json!({})), 409, "KEY_LIMIT_REACHED");
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    let short = server.make(&json!({ "expires_in_seconds": 1 }));
    eventually("a free slot", || (make(json!({})).status == 201).then_some(()));
    let revived = server.api("PATCH", &format!("keys/{}", short.id)).json(&json!({ "expires_at": null })).send();
    problem(&revived, 409, "CONFLICT");
    let revived = server.api("POST", &format!("keys/{}/rotate", short.id)).json(&json!({ "expires_at": null })).send();
    problem(&revived, 409, "KEY_LIMIT_REACHED");
}

#[test]
fn a_members_limit_counts_their_keys_only() {
    let server = with_policy("'$.max_keys_per_user', 2");
    let owner = database::column(&server.database(), "SELECT id FROM members").remove(0);
    let make = |body: serde_json::Value| server.api("POST", "keys").json(&body).send();
    for _ in 0..2 {
        make(json!({ "owner": owner })).expect(201);
    }
    problem(&make(json!({ "owner": owner })), 409, "KEY_LIMIT_REACHED");
    make(json!({})).expect(201);
}

#[test]
fn what_the_policy_requires_is_named_field_by_field() {
    let server = with_policy(
        "'$.name_required', json('true'), '$.expiry_required', json('true'), '$.scopes_required', json('true')",
    );
    let body = problem(&server.api("POST", "keys").json(&json!({ "name": "" })).send(), 422, "VALIDATION_FAILED");
    let mut fields = crate::support::field(&body["errors"], "field");
    fields.sort_unstable();
    assert_eq!(fields, ["expires_at", "name", "scopes"]);
    let good = json!({ "name": "n", "expires_in_seconds": 60, "scopes": scope_list("read:a") });
    server.api("POST", "keys").json(&good).send().expect(201);
}

#[test]
fn actions_are_the_policys_vocabulary() {
    let server = Server::start();
    let body = json!({ "scopes": scope_list("read:a fly:b") });
    let message = wrong_field(&server.api("POST", "keys").json(&body).send(), "scopes[1].action");
    assert!(message.contains("read, write, admin"), "{message}");
}
