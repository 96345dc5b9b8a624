//! The rules of the policy for profiles, moving keys between profiles, and what reports say of keys with one.

use serde_json::{Value, json};

use super::{create, key_with, name_of, new_profile, scope_of};
use crate::support::Answer;
use crate::support::check::{problem, wrong_field};
use crate::support::server::{Server, unique};

fn profile(server: &Server, scopes: &[&str]) -> String {
    name_of(&create(server, &json!({ "name": unique(), "scopes": scopes })).expect(201))
}

fn set_policy(server: &Server, policy: &Value) {
    server.api("PUT", "policy").json(policy).send().expect(200);
}

fn patch(server: &Server, name: &str, body: &Value) -> Answer {
    server.api("PATCH", &format!("profiles/{name}")).json(body).send()
}

#[test]
fn a_profile_with_a_removed_action_is_restricted_in_every_other_way() {
    let server = Server::start();
    let name = profile(&server, &["read:a", "write:a"]);
    set_policy(&server, &json!({ "actions": ["read"] }));
    let restricted = json!({
        "description": "incident", "allowed_cidrs": ["127.0.0.1"], "networks": [], "token_ttl_seconds": 60,
    });
    patch(&server, &name, &restricted).expect(200);
    wrong_field(&patch(&server, &name, &json!({ "scopes": ["read:a", "write:b"] })), "scopes[1].action");
    patch(&server, &name, &json!({ "scopes": ["read:a"] })).expect(200);
}

#[test]
fn only_new_scopes_must_be_grantable() {
    let server = Server::start();
    let name = profile(&server, &["read:a", "write:a"]);
    set_policy(&server, &json!({ "grantable_scopes": ["read:*"] }));
    patch(&server, &name, &json!({ "scopes": ["read:b", "write:a"] })).expect(200);
    wrong_field(&patch(&server, &name, &json!({ "scopes": ["write:b"] })), "scopes[0]");
}

#[test]
fn a_profile_needs_no_scopes_even_if_keys_do() {
    let server = Server::start();
    set_policy(&server, &json!({ "scopes_required": true }));
    let name = profile(&server, &[]);
    patch(&server, &name, &json!({ "allowed_cidrs": ["127.0.0.1"] })).expect(200);
    wrong_field(&server.api("POST", "keys").json(&json!({ "name": "k", "profile": name })).send(), "scopes");
}

#[test]
fn a_key_with_the_scopes_of_its_profile_violates_no_rule_for_scopes() {
    let server = Server::start();
    let [scopes, nothing] = [&["read:a"][..], &[]].map(|scopes| profile(&server, scopes));
    key_with(&server, &json!({ "name": "k", "profile": scopes }));
    let without = key_with(&server, &json!({ "name": "k", "profile": nothing }));
    let policy = json!({ "scopes_required": true });
    let effects = server.api("PUT", "policy?dry_run=true").json(&policy).send().expect(200)["effects"].clone();
    assert_eq!((&effects[0]["setting"], &effects[0]["count"]), (&json!("scopes_required"), &json!(1)), "{effects}");
    assert_eq!(effects[0]["examples"], json!([without.id]));
}

#[test]
fn keys_are_moved_only_if_the_policy_allows_each_its_scopes() {
    let server = Server::start();
    let (from, to) = (profile(&server, &["read:a", "write:a"]), profile(&server, &["read:a", "write:b"]));
    let keys = [json!({}), json!({ "scopes": ["read:a"] })].map(|more| {
        let mut body = json!({ "name": "k", "profile": from });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key_with(&server, &body)
    });
    set_policy(&server, &json!({ "grantable_scopes": ["read:*"] }));
    let move_keys = || server.api("DELETE", &format!("profiles/{from}?move_keys_to={to}")).send();
    let found = wrong_field(&move_keys(), "move_keys_to");
    assert!(found.contains("write:b"), "{found}");
    assert_eq!(scope_of(&server.exchange(&keys[0].text, &[])), "read:a write:a", "nothing was changed");
    // The other key would have none of the scopes that cannot be granted.
    server.change("POST", &format!("{}/revoke", keys[0].id), &json!({}));
    assert_eq!(move_keys().expect(200), json!({ "changed_keys": 1 }));
    assert_eq!(scope_of(&server.exchange(&keys[1].text, &[])), "read:a");
}

#[test]
fn a_key_does_not_delete_its_own_profile() {
    let server = Server::start();
    let own = profile(&server, &["*:*", "*:keyturn/*"]);
    let other = profile(&server, &["*:*", "*:keyturn/*"]);
    let caller = key_with(&server, &json!({ "name": "caller", "profile": own }));
    let second = key_with(&server, &json!({ "name": "second", "profile": own }));
    for query in [format!("move_keys_to={other}"), "revoke_keys=true".into()] {
        let answer = server.api_as(&caller.text, "DELETE", &format!("profiles/{own}?{query}")).send();
        let body = problem(&answer, 409, "CONFLICT");
        assert!(body["detail"].as_str().unwrap().contains("your own key has this profile"), "{body}");
    }
    assert_eq!(server.api("GET", &format!("profiles/{own}")).send().expect(200)["keys"], 2);
    server.exchange(&second.text, &[]).expect(200);
}

#[test]
fn apis_count_the_keys_that_are_granted_them_by_a_profile() {
    let server = Server::start();
    let body = json!({ "name": "photos", "audience": "https://photos.example", "scopes": [{ "scope": "all" }, { "scope": "some" }] });
    server.api("POST", "apis").json(&body).send().expect(201);
    let photos = |scopes: &[&str]| json!([{ "api": "photos", "scopes": scopes }]);
    let granting =
        name_of(&create(&server, &json!({ "name": unique(), "apis": photos(&["all", "some"]) })).expect(201));
    let without = new_profile(&server);
    let by_profile = key_with(&server, &json!({ "name": "a", "profile": granting }));
    key_with(&server, &json!({ "name": "b", "profile": granting, "apis": photos(&["some"]) }));
    server.make(&json!({ "scopes": [], "apis": photos(&["all"]) }));
    // Neither has the API in effect.
    key_with(&server, &json!({ "name": "c", "profile": granting, "scopes": ["read:a"] }));
    let hidden = server.make(&json!({ "scopes": [], "apis": photos(&["all"]) }));
    server.change("PATCH", &hidden.id, &json!({ "profile": without }));
    assert_eq!(server.api("GET", "apis/photos").send().expect(200)["keys"], 3);
    server.token(&by_profile, &[]);
    let impact = |body: Value| server.api("POST", "apis/photos/impact").json(&body).send().expect(200);
    assert_eq!(impact(json!({ "delete": true }))["key_count"], 3);
    let narrowed = impact(json!({ "scopes": [{ "scope": "some" }] }));
    assert_eq!(narrowed["key_count"], 2, "one has it by the profile, one by itself");
    let found = crate::support::eventually("the count", || {
        let found = impact(json!({ "delete": true }));
        (found["failed"]["exchanges"] == 1).then_some(found)
    });
    assert_eq!(found["keys"][0]["id"], by_profile.id.as_str());
}
