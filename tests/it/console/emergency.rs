//! Emergency checklists: a secret leaked, a member left, a webhook endpoint was compromised.

use serde_json::json;

use super::visiting;
use crate::support::console::text;
use crate::support::{Person, Server, Visitor, eventually};

fn make(owner: &Person, name: &str) -> (String, String) {
    let made = owner.make(&json!({ "name": name, "scopes": ["read:orders/*"] }));
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

/// Whether a step of a checklist is done.
#[track_caller]
fn state(visitor: &Visitor, path: &str, title: &str) -> String {
    let says = visitor.read(path);
    let rest = says.split(title).nth(1).unwrap_or_else(|| panic!("{title} in {says}"));
    rest.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn leaked_secret_is_found_without_being_in_an_address() {
    let (server, owner, visitor) = visiting();
    let (id, secret) = make(&owner, "leaked");
    let line = format!("curl -H 'Authorization: Bearer {secret}' https://api.example");
    let answer = visitor.submit("/emergency/secret", "/emergency/secret", &[("text", &line)]);
    assert_eq!(visitor.led_to(&answer), format!("/emergency/secret/{id}"));
    let unknown = visitor.submit("/emergency/secret", "/emergency/secret", &[("text", "kt_nothing")]);
    assert!(text(&unknown.text()).contains("refers to no key"), "{}", text(&unknown.text()));
    let (other, _) = make(&owner, "other");
    let several = visitor.submit("/emergency/secret", "/emergency/secret", &[("text", &format!("{id} {other}"))]);
    let html = several.text();
    assert!(html.contains(&format!("/emergency/secret/{other}\"")) && !html.contains(&secret[20..]), "{html}");
    assert!(!server.stderr().contains(&secret[20..]) && !server.stdout().contains(&secret[20..]));
}

#[test]
fn leaked_secret_is_stopped_in_one_step() {
    let (server, owner, visitor) = visiting();
    let (id, secret) = make(&owner, "leaked");
    let token = server.exchange(&secret, &[("scope", "read:orders/1")]).expect(200);
    let token = token["access_token"].as_str().unwrap().to_owned();
    let (page, stop) = (format!("/emergency/secret/{id}"), format!("/emergency/secret/{id}/stop"));
    assert_eq!(state(&visitor, &page, "Stop the secret"), "To do");
    eventually("the use to be counted", || visitor.read(&page).contains("read:orders/1, 1 requests").then_some(()));
    let says = visitor.read(&page);
    assert!(
        says.contains("127.0.0.1, 1 requests") && says.contains("it could not change anything in Keyturn"),
        "{says}"
    );

    // Revoking needs the last four characters of the secret, disabling nothing.
    let form = |fields: &[(&str, &str)]| visitor.submit(&page, &stop, fields);
    assert_eq!(form(&[("how", "revoke"), ("confirm", "nope")]).status, 409);
    server.exchange(&secret, &[]).expect(200);
    let says = visitor.next(&form(&[("how", "disable")]));
    assert!(says.contains("Key disabled."), "{says}");
    assert_eq!(state(&visitor, &page, "Stop the secret"), "Done The");
    server.exchange(&secret, &[]).expect(403);
    assert_eq!(server.get("/verify").bearer(&token).send().status, 403, "the token stops with the key");
    let hint = owner.api("GET", &format!("keys/{id}")).send().expect(200)["hint"].as_str().unwrap().to_owned();
    let last_four = &hint[hint.len() - 4..];
    assert!(visitor.next(&form(&[("how", "revoke"), ("confirm", last_four)])).contains("Key revoked."));
    let key = owner.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!((&key["status"], &key["revoked_reason"]), (&json!("revoked"), &json!("its secret leaked")));
    assert!(!visitor.page(&page).contains("/stop\""), "there is nothing left to stop");
}

#[test]
fn rotation_without_grace_stops_the_leaked_secret() {
    let (_server, owner, visitor) = visiting();
    let (id, _) = make(&owner, "leaked");
    let page = format!("/emergency/secret/{id}");
    let rotate = |seconds: u32| {
        let body = json!({ "grace_seconds": seconds });
        owner.api("POST", &format!("keys/{id}/rotate")).json(&body).send().expect(200);
    };
    rotate(3600);
    assert_eq!(state(&visitor, &page, "Stop the secret"), "To do");
    assert!(visitor.read(&page).contains("A previous secret works until"));
    owner.api("POST", &format!("keys/{id}/end-grace")).json(&json!({})).send().expect(200);
    assert_eq!(state(&visitor, &page, "Stop the secret"), "Done The");
    assert_eq!(state(&visitor, &page, "Give the application a new secret"), "Done Rotate");
}

#[test]
fn what_a_leaked_management_key_created_is_listed() {
    let (server, owner, visitor) = visiting();
    let made = owner.make(&json!({ "name": "manager", "owner": null, "scopes": ["*:*", "*:keyturn/*"] }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let body = json!({ "name": "back door", "scopes": ["read:orders/*"] });
    server.request("POST", "/api/v1/organizations/default/keys").bearer(secret).json(&body).send().expect(201);
    let says = visitor.read(&format!("/emergency/secret/{id}"));
    assert!(says.contains("could use the management API") && says.contains("back door"), "{says}");
}

#[test]
fn developers_stop_their_own_keys_only() {
    let (server, owner, _) = visiting();
    let developer = owner.add(&server, "developer");
    let theirs = developer.make(&json!({ "name": "mine" }))["id"].as_str().unwrap().to_owned();
    let (others, _) = make(&owner, "not mine");
    let visitor = Visitor::of(&server, &developer);
    let stop = |id: &str| format!("/emergency/secret/{id}/stop");
    assert!(visitor.page(&format!("/emergency/secret/{theirs}")).contains(&stop(&theirs)));
    let says = visitor.page(&format!("/emergency/secret/{others}"));
    assert!(!says.contains(&stop(&others)) && text(&says).contains("Ask its owner or an admin"), "{says}");
    let form = crate::support::console::filled(&visitor.page("/account"), "/console/sign-out", &[("how", "disable")]);
    assert_eq!(visitor.post(&stop(&others)).form_text(form).send().status, 403);
    for path in ["/emergency/member", "/emergency/webhook"] {
        assert_eq!(visitor.get(path).status, 403, "{path}");
    }
    let says = visitor.read("/emergency");
    assert!(says.contains("A secret leaked") && !says.contains("A member left"), "{says}");
    let viewer = Visitor::of(&server, &owner.add(&server, "viewer"));
    assert!(!viewer.page("/account").contains("/console/emergency"), "a viewer cannot stop anything");
}

#[test]
fn member_who_left_is_locked_out_step_by_step() {
    let (server, owner, visitor) = visiting();
    let leaver = owner.add(&server, "admin");
    let key = leaver.make(&json!({ "name": "their own" }))["id"].as_str().unwrap().to_owned();
    let page = format!("/emergency/member/{}", leaver.id);
    assert!(visitor.page("/emergency/member").contains(&format!("/console{page}\"")));
    assert_eq!(state(&visitor, &page, "End their sessions"), "To do");
    let says = visitor.done(&page, &format!("{page}/end-sessions"), &[]);
    assert!(says.contains("Sessions ended.") && says.contains("No browser is signed in"), "{says}");
    assert!(!leaver.is_signed_in());

    // The secret that they saw counts until it is replaced, and the key until it has another owner.
    assert_eq!(state(&visitor, &page, "Rotate keys whose secrets they saw"), "To do");
    assert_eq!(state(&visitor, &page, "Transfer or revoke their keys"), "To do");
    owner.api("PATCH", &format!("keys/{key}")).json(&json!({ "owner": null })).send().expect(200);
    assert_eq!(state(&visitor, &page, "Transfer or revoke their keys"), "Done They");
    owner.api("POST", &format!("keys/{key}/rotate")).json(&json!({ "grace_seconds": 0 })).send().expect(200);
    assert_eq!(state(&visitor, &page, "Rotate keys whose secrets they saw"), "Done Keyturn");
    assert!(visitor.read(&page).contains("created key"), "their changes are listed");

    // The page of a removed member still answers.
    assert_eq!(state(&visitor, &page, "Remove the member"), "To do");
    owner.api("DELETE", &format!("members/{}", leaver.id)).send();
    assert_eq!(state(&visitor, &page, "Remove the member"), "Done They");
    assert!(visitor.read(&page).contains(&leaver.email));
}

#[test]
fn sessions_of_owners_are_ended_by_owners_only() {
    let (server, owner, visitor) = visiting();
    let admin = Visitor::of(&server, &owner.add(&server, "admin"));
    let page = format!("/emergency/member/{}", owner.id);
    let end = format!("{page}/end-sessions");
    assert!(!admin.page(&page).contains(&end) && !visitor.page(&page).contains(&end));
    for browser in [&admin, &visitor] {
        let form = crate::support::console::filled(&browser.page("/account"), "/console/sign-out", &[]);
        let answer = browser.post(&end).form_text(form).send();
        assert!(matches!(answer.status, 403 | 409), "{}", text(&answer.text()));
    }
    assert!(owner.is_signed_in());
}

fn webhook(server: &Server) -> String {
    let body = json!({ "url": "https://hooks.example/path?token=hidden", "events": ["key.created"] });
    let made = server.api("POST", "webhooks").json(&body).send().expect(201);
    made["id"].as_str().unwrap().to_owned()
}

#[test]
fn compromised_webhook_is_secured_step_by_step() {
    let (server, _, visitor) = visiting();
    let id = webhook(&server);
    let page = format!("/emergency/webhook/{id}");
    assert!(visitor.page("/emergency/webhook").contains(&format!("/console{page}\"")));
    for title in ["Stop sending events", "Rotate the signing secret", "Send events again"] {
        assert_eq!(state(&visitor, &page, title), "To do", "{title}");
    }
    let says = visitor.done(&page, &format!("{page}/disable"), &[]);
    assert!(says.contains("Webhook disabled.") && !says.contains("token=hidden"), "{says}");
    assert_eq!(server.api("GET", &format!("webhooks/{id}")).send().expect(200)["state"], "disabled");
    assert_eq!(state(&visitor, &page, "Stop sending events"), "Done The");
    server.api("POST", &format!("webhooks/{id}/rotate-secret")).json(&json!({})).send().expect(200);
    assert_eq!(state(&visitor, &page, "Rotate the signing secret"), "Done The");
    assert!(visitor.read(&page).contains("signed with the previous secret as well"));
    assert!(visitor.done(&page, &format!("{page}/enable"), &[]).contains("Webhook enabled."));
    assert_eq!(state(&visitor, &page, "Send events again"), "Done The");
    assert_eq!(visitor.get("/emergency/webhook/nothing").status, 404);
}
