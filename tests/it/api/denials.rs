//! Recent denials: every surface, what the client saw, and nothing of a secret.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::server::scope_list;
use crate::support::{Person, Place, Server, Visitor, eventually, person};

fn denials(server: &Server, query: &str) -> Vec<Value> {
    let listed = server.api("GET", &format!("denials{query}")).send().expect(200);
    listed["items"].as_array().unwrap().clone()
}

#[test]
fn every_surface_is_recorded_as_the_client_saw_it() {
    let server = Server::start();
    let narrow = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"], "name": "narrow" }));
    let reader = server.make(&json!({ "scopes": scope_list("read:a") }));
    let answers = [
        (server.exchange(&narrow.text, &[]), &narrow.id, "/oauth/token", "api_key_ip_not_allowed"),
        (
            server.exchange(&reader.text, &[("scope", "read:a write:b"), ("resource", &server.public_url)]),
            &reader.id,
            "/oauth/token",
            "insufficient_scope",
        ),
        (
            server.exchange(&reader.text, &[("resource", "https://api.example.org")]),
            &reader.id,
            "/oauth/token",
            "audience_not_allowed",
        ),
        (server.get("/verify").bearer(&narrow.text).send(), &narrow.id, "/verify", "api_key_ip_not_allowed"),
        (
            server.get("/verify?keyturn_require=write:c").bearer(&reader.text).send(),
            &reader.id,
            "/verify",
            "insufficient_scope",
        ),
        (
            server.api_as(&reader.text, "GET", "keys").send(),
            &reader.id,
            "/api/v1/organizations/{org}/keys",
            "insufficient_scope",
        ),
    ];
    for (answer, key, endpoint, reason) in &answers {
        let found = denials(&server, &format!("?request_id={}", answer.header("x-request-id").unwrap()));
        let [denied] = &found[..] else { panic!("{endpoint} {reason}: {found:?}") };
        let code = answer.json()["code"].clone();
        assert_eq!(
            (&denied["client_id"], &denied["endpoint"], &denied["reason"], &denied["status"], &denied["code"]),
            (&json!(key), &json!(endpoint), &json!(reason), &json!(answer.status), &code)
        );
        assert_eq!((&denied["authenticated"], &denied["address"]), (&json!(true), &json!("127.0.0.1")));
    }
    let asked = &denials(&server, &format!("?key={}&reason=insufficient_scope", reader.id));
    let of_token = asked.iter().find(|denied| denied["endpoint"] == "/oauth/token").unwrap();
    assert_eq!(
        (&of_token["missing_scope"], &of_token["requested_scope"], &of_token["audience"]),
        (&json!("write:b"), &json!("read:a write:b"), &json!(server.public_url))
    );
    assert_eq!(asked.len(), 3, "{asked:?}");
}

#[test]
fn unknown_credentials_are_kept_apart_and_contain_no_secret() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let wrong = format!("{}x", &key.text[..key.text.len() - 1]);
    for credential in [wrong.as_str(), "not a key at all", "eyJhbGciOiJub25lIn0.e30.e30"] {
        server.get("/verify").bearer(credential).send();
    }
    server.exchange(&key.text, &[("scope", "read:AbCdEfGh0123456789AbCdEfGh0123456789AbCdEf")]);
    server.exchange(&key.text, &[("scope", "read:a"), ("resource", &key.text)]);
    server.get("/verify").send();
    let listed = denials(&server, "");
    assert!(listed.iter().any(|denied| denied["authenticated"] == false), "{listed:?}");
    assert!(listed.iter().all(|denied| denied["code"] != "API_KEY_REQUIRED"), "nothing was presented: {listed:?}");
    let text = json!(listed).to_string();
    assert!(!text.contains(&key.text[20..]) && !text.contains("AbCdEfGh0123456789") && !text.contains("eyJ"), "{text}");
}

#[test]
fn repetitions_are_one_item_and_pages_follow_each_other() {
    let server = Server::start();
    let key = server.make(&json!({ "scopes": scope_list("read:a") }));
    for scope in ["write:a", "write:b", "write:c", "write:c", "write:c"] {
        server.exchange(&key.text, &[("scope", scope)]);
    }
    let mut counts: Vec<u64> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.api("GET", &format!("denials?key={}&limit=1{cursor}", key.id)).send().expect(200);
        counts.extend(page["items"].as_array().unwrap().iter().map(|denied| denied["count"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 3]);
    for (query, field) in [("key=x", "key"), ("cursor=x", "cursor"), ("reason=", "reason"), ("limit=0", "limit")] {
        wrong_field(&server.api("GET", &format!("denials?{query}")).send(), field);
    }
}

#[test]
fn denials_belong_to_their_organization_and_need_the_permission() {
    let (server, owner) = person::start();
    let reader = server.make(&json!({ "scopes": scope_list("read:a read:keyturn/keys") }));
    problem(&server.api_as(&reader.text, "GET", "denials").send(), 403, "INSUFFICIENT_SCOPE");
    let viewer = owner.add(&server, "viewer");
    viewer.api("GET", "denials").send().expect(200);
    problem(&server.get("/api/v1/organizations/default/denials").send(), 401, "API_KEY_REQUIRED");
    // Another organization is not found.
    problem(&viewer.call("GET", "/api/v1/organizations/acme/denials").send(), 404, "NOT_FOUND");
}

#[test]
fn denials_survive_a_restart() {
    let server = Place::on_sqlite().start();
    let (owner_key, key) = (server.key.clone(), server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"] })));
    server.exchange(&key.text, &[]).expect(403);
    let server = server.stop().serve(owner_key);
    assert_eq!(denials(&server, &format!("?key={}", key.id)).len(), 1);
}

/// A key that only manages was used, too: the list and the key's page say so.
#[test]
fn management_counts_as_use_of_the_key() {
    let (server, owner) = person::start();
    server.make(&json!({}));
    let used = |owner: &Person| owner.api("GET", &format!("keys/{}", server.key.id)).send().expect(200);
    let key = eventually("the use", || Some(used(&owner)).filter(|key| key["last_used_at"].is_string()));
    assert_eq!(key["last_used_ip"], "127.0.0.1");
    eventually("the count", || {
        let usage = owner.api("GET", &format!("keys/{}/usage", server.key.id)).send().expect(200);
        (usage["totals"]["verifications"].as_u64().unwrap() >= 1).then_some(())
    });
    let page = Visitor::of(&server, &owner).page(&format!("/keys/{}", server.key.id));
    assert!(!page.contains("<dt>Last used</dt><dd>Never"), "{page}");
}
