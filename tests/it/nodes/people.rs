//! Changes of members, policies and organizations on one node are effective on the other when they are confirmed.

use serde_json::{Value, json};

use crate::nodes::Two;
use crate::support::server::unique;
use crate::support::{Key, Person, Server};

fn key_of(made: &Value) -> Key {
    Key { id: made["id"].as_str().unwrap().into(), text: made["secret"].as_str().unwrap().into() }
}

/// A member who signs in at this node.
#[track_caller]
fn member(server: &Server, role: &str) -> Person {
    let body = json!({ "email": format!("{}@example.org", unique()), "role": role });
    let made = server.api("POST", "members").json(&body).send().expect(201);
    Person::sign_in(server, "default", body["email"].as_str().unwrap(), made["password"].as_str().unwrap())
}

#[test]
fn removed_member_loses_access_on_both_nodes() {
    let two = Two::embedded();
    for n in 0..6 {
        let (here, there) = two.turn(n);
        let person = member(here, "developer");
        let keys: Vec<Key> = (0..3).map(|_| key_of(&person.make(&json!({})))).collect();
        let tokens: Vec<String> = keys.iter().map(|key| there.token(key, &[])).collect();
        let abroad = person.at(there);
        assert!(abroad.is_signed_in());
        for token in &tokens {
            there.me(token).expect(200);
        }
        let removed = here.api("DELETE", &format!("members/{}?keys=revoke", person.id)).send().expect(200);
        // Immediately: the first request counts.
        for (key, token) in keys.iter().zip(&tokens) {
            assert_eq!(there.get("/verify").bearer(token).send().status, 401);
            assert_eq!(there.me(token).status, 401);
            there.exchange(&key.text, &[]).expect(401);
        }
        assert!(!abroad.is_signed_in() && !person.is_signed_in());
        assert_eq!(removed["revoked_keys"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn session_and_role_are_the_same_on_every_node() {
    let two = Two::embedded();
    let person = member(&two.a, "viewer");
    let abroad = person.at(&two.b);
    assert_eq!(abroad.api("POST", "keys").json(&json!({})).send().status, 403);
    let body = json!({ "role": "developer" });
    two.a.api("PATCH", &format!("members/{}", person.id)).json(&body).send().expect(200);
    abroad.make(&json!({}));
    assert_eq!(abroad.call("DELETE", "/api/v1/session").send().status, 204);
    assert!(!person.is_signed_in());
}

#[test]
fn repeated_request_on_another_node_is_processed_once() {
    let two = Two::embedded();
    for n in 0..4 {
        let (here, there) = two.turn(n);
        let name = unique();
        let create = |server: &Server| {
            let request = server.api("POST", "keys").header("Idempotency-Key", &name).json(&json!({ "name": name }));
            request.send().expect(201)
        };
        let made = std::thread::scope(|scope| {
            let threads = [here, there, here, there].map(|server| scope.spawn(|| create(server)));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(made.iter().all(|one| *one == made[0] && *one == create(there)));
        there.exchange(made[0]["secret"].as_str().unwrap(), &[("scope", "")]).expect(200);
    }
}

#[test]
fn policy_and_organization_are_effective_on_both_nodes() {
    let two = Two::embedded();
    for n in 0..4_usize {
        let (here, there) = two.turn(n);
        here.api("PUT", "policy")
            .json(&json!({ "max_keys": 1000 + n, "name_required": n.is_multiple_of(2) }))
            .send()
            .expect(200);
        let answer = there.api("POST", "keys").json(&json!({})).send();
        assert_eq!(answer.status, if n.is_multiple_of(2) { 422 } else { 201 }, "{}", answer.text());
        assert_eq!(there.api("GET", "policy").send().expect(200)["max_keys"], 1000 + n);

        let slug = unique();
        let body = json!({ "slug": slug, "owner_email": "boss@example.org" });
        let made = here.request("POST", "/api/v1/organizations").bearer(&here.key.text).json(&body).send().expect(201);
        let boss = Person::sign_in(there, &slug, "boss@example.org", made["owner"]["password"].as_str().unwrap());
        // The signing key is active immediately on both nodes.
        let key = key_of(&boss.make(&json!({})));
        for server in [there, here] {
            let token = server.token(&key, &[]);
            two.a.me(&token).expect(200);
            two.b.me(&token).expect(200);
        }
    }
}
