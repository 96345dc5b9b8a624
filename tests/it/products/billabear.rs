//! BillaBear: developers and higher roles create keys with a name and an expiry; the key is shown once and sent as a
//! bearer token; unused keys are found and disabled.

use serde_json::json;

use crate::products::{assert_error, names, text, under, wrong_field};
use crate::support::check::problem;
use crate::support::{Key, eventually};

#[test]
fn creating_keys_requires_a_role() {
    let (server, owner) = under("billabear");
    let body = json!({ "name": "invoices", "expires_at": "2041-01-01T00:00:00Z" });
    let viewer = owner.add(&server, "viewer");
    problem(&viewer.api("POST", "keys").json(&body).send(), 403, "ROLE_REQUIRED");
    for role in ["developer", "admin", "owner"] {
        owner.add(&server, role).api("POST", "keys").json(&body).send().expect(201);
    }
}

#[test]
fn name_and_expiry_are_required() {
    let (server, owner) = under("billabear");
    let dana = owner.add(&server, "developer");
    let make = |body| dana.api("POST", "keys").json(&body).send();
    assert_eq!(wrong_field(&make(json!({ "expires_at": "2041-01-01T00:00:00Z" }))), "name");
    assert_eq!(wrong_field(&make(json!({ "name": " ", "expires_at": "2041-01-01T00:00:00Z" }))), "name");
    assert_eq!(wrong_field(&make(json!({ "name": "invoices" }))), "expires_at");
    assert_eq!(wrong_field(&make(json!({ "name": "invoices", "expires_at": null }))), "expires_at");
    let made = make(json!({ "name": "invoices", "expires_at": "2041-01-01T00:00:00Z" })).expect(201);
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));

    // Shown once.
    let shown = dana.api("GET", &format!("keys/{id}")).send().text();
    assert!(!shown.contains(&secret));

    // Sent as `Authorization: Bearer`, to an API behind a gateway and to the token endpoint.
    assert_eq!(server.get("/verify").bearer(&secret).send().status, 200);
    let token = server.token_request().bearer(&secret).form(&[("grant_type", "client_credentials")]).send().expect(200);
    assert_eq!(server.get("/verify").bearer(&text(&token["access_token"])).send().status, 200);
}

#[test]
fn stale_keys_are_found_and_disabled() {
    let (server, owner) = under("billabear");
    let make = |name: &str| {
        let made = owner.make(&json!({ "name": name, "expires_at": "2041-01-01T00:00:00Z" }));
        Key { id: text(&made["id"]), text: text(&made["secret"]) }
    };
    let (used, unused) = (make("used"), make("unused"));
    for _ in 0..3 {
        server.exchange(&used.text, &[]).expect(200);
    }
    let usage = eventually("what was counted", || {
        let usage = owner.api("GET", &format!("keys/{}/usage", used.id)).send().expect(200);
        (usage["totals"]["exchanges"] == 3).then_some(usage)
    });
    assert!(usage["last_used_at"].is_string());
    let none = owner.api("GET", &format!("keys/{}/usage", unused.id)).send().expect(200);
    assert_eq!((&none["totals"]["exchanges"], &none["last_used_at"]), (&json!(0), &json!(null)));

    // The policy's limit is 90 days; no key is that old yet.
    assert_eq!(owner.api("GET", "policy").send().expect(200)["stale_after_days"], 90);
    assert!(names(&owner.api("GET", "keys/stale").send().expect(200)).is_empty());
    // Sorted by last use, unused keys are first.
    let list = owner.api("GET", "keys?sort=last_used_at&status=active").send().expect(200);
    assert_eq!(names(&list).last().map(String::as_str), Some("used"));

    let disabled = owner.api("POST", &format!("keys/{}/disable", unused.id)).send().expect(200);
    assert_eq!(disabled["status"], "disabled");
    assert_error(&server.exchange(&unused.text, &[]), 403, "API_KEY_DISABLED");
    owner.api("POST", &format!("keys/{}/enable", unused.id)).send().expect(200);
    server.exchange(&unused.text, &[]).expect(200);
}
