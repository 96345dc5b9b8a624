//! Find, without JavaScript: the server shortens what it receives and keeps none of it.

use serde_json::json;

use super::visiting;
use crate::support::console::text;
use crate::support::{Person, Visitor, eventually};

/// Submits a text to Find and returns the HTML of the result.
#[track_caller]
fn find(visitor: &Visitor, text_to_find: &str) -> String {
    let answer = visitor.submit("/find", "/find", &[("text", text_to_find)]);
    assert_eq!(answer.status, 200, "{}", text(&answer.text()));
    answer.text()
}

fn make(owner: &Person, name: &str) -> (String, String) {
    let made = owner.make(&json!({ "name": name, "description": "Nightly ledger" }));
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

#[test]
fn leaked_secret_leads_to_its_key() {
    let (server, owner, visitor) = visiting();
    let (id, secret) = make(&owner, "leaked");
    let line = format!("2026-11-29 curl -H 'Authorization: Bearer {secret}' failed");
    let html = find(&visitor, &line);
    let says = text(&html);
    assert!(says.contains("leaked") && says.contains("This is the current secret, and it works."), "{says}");
    assert!(says.contains("Checksum Valid"), "{says}");
    assert!(html.contains(&format!("/keys/{id}/revoke\"")), "Revoke is beside it");
    assert!(!html.contains(&secret[20..]), "the secret is not sent back");

    let unused = owner.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!(unused["last_used_at"], json!(null), "a lookup is not a use");
    assert!(!server.stderr().contains(&secret[20..]) && !server.stdout().contains(&secret[20..]));

    let mistyped = format!("{}{}", &secret[..secret.len() - 1], if secret.ends_with('x') { "y" } else { "x" });
    let says = text(&find(&visitor, &mistyped));
    assert!(says.contains("Checksum Invalid") && says.contains("neither the current nor the previous"), "{says}");

    owner.api("POST", &format!("keys/{id}/rotate")).json(&json!({ "grace_seconds": 3600 })).send().expect(200);
    let says = text(&find(&visitor, &secret));
    assert!(says.contains("This is the previous secret."), "{says}");
    owner.api("POST", &format!("keys/{id}/rotate")).json(&json!({ "grace_seconds": 0 })).send().expect(200);
    let says = text(&find(&visitor, &secret));
    assert!(says.contains("neither the current nor the previous secret"), "{says}");
}

#[test]
fn token_leads_to_its_key_and_can_be_revoked_alone() {
    let (server, owner, visitor) = visiting();
    let (id, secret) = make(&owner, "of the token");
    let token = || server.exchange(&secret, &[]).expect(200)["access_token"].as_str().unwrap().to_owned();
    let (token, other) = (token(), token());
    let html = find(&visitor, &format!("Authorization: Bearer {token}"));
    let says = text(&html);
    assert!(says.contains("of the token") && says.contains("The token is valid."), "{says}");
    assert!(says.contains("read:*") && !html.contains(&token[40..]), "{says}");

    let revoke = format!("/keys/{id}/revoke-token");
    let form = crate::support::console::filled(&html, &visitor.link(&revoke), &[]);
    let done = visitor.post(&revoke).form_text(form.clone()).send();
    assert_eq!(visitor.led_to(&done), format!("/keys/{id}"));
    let verified = |token: &str| {
        let request = server.request("GET", "/verify").bearer(token);
        request.send().status
    };
    assert_eq!((verified(&token), verified(&other)), (401, 200), "only this one");
    assert!(text(&find(&visitor, &token)).contains("The token is revoked."));
    let again = visitor.post(&revoke).form_text(form).send();
    assert_eq!(again.status, 303, "repeating it is safe");

    // A token cannot be remembered for longer than any token lives.
    let html = find(&visitor, &other);
    for far in ["99999999999", "1"] {
        let form = crate::support::console::filled(&html, &visitor.link(&revoke), &[("expires_at", far)]);
        let status = visitor.post(&revoke).form_text(form).send().status;
        assert_eq!(status, if far == "1" { 303 } else { 409 }, "{far}");
    }
    assert_eq!(verified(&other), 200, "an expired one needs no revocation");
}

#[test]
fn names_ids_ends_and_emails_are_found() {
    let (_server, owner, visitor) = visiting();
    let (id, secret) = make(&owner, "billing-export");
    for wanted in [
        "billing",
        "NIGHTLY ledger",
        &id,
        &secret[secret.len() - 4..],
        &format!("kt_...{}", &secret[secret.len() - 4..]),
    ] {
        assert!(text(&find(&visitor, wanted)).contains("billing-export"), "{wanted}");
    }
    let says = text(&find(&visitor, owner.email.split('@').next().unwrap()));
    assert!(says.contains(&format!("keys of {}", owner.email)), "{says}");
    assert!(text(&find(&visitor, "nothing like it")).contains("No key, customer or member matches."));
    let html = find(&visitor, "\"><script>alert(1)</script>");
    assert!(!html.contains("<script>alert"));
}

#[test]
fn other_organizations_are_not_found_and_others_keys_are_not_checked() {
    let (server, owner, _visitor) = visiting();
    let (id, secret) = make(&owner, "of the owner");
    let developer = owner.add(&server, "developer");
    let html = find(&Visitor::of(&server, &developer), &secret);
    assert!(
        text(&html).contains("was not checked") && !html.contains(&format!("/keys/{id}/revoke")),
        "{}",
        text(&html)
    );

    let made = owner.call("POST", "/api/v1/organizations");
    let made = made.json(&json!({ "slug": "other", "owner_email": "eve@other.example" })).send();
    if made.status != 201 {
        panic!("{}", made.text());
    }
    let password = made.json()["password"].as_str().or(made.json()["owner"]["password"].as_str()).unwrap().to_owned();
    let eve = Person::sign_in(&server, "other", "eve@other.example", &password);
    let html = find(&Visitor::of(&server, &eve), &secret);
    let says = text(&html);
    assert!(says.contains("of no key in this organization") && !says.contains("of the owner"), "{says}");
    assert!(!html.contains(&format!("/keys/{id}")), "{says}");
}

#[test]
fn search_that_looks_like_a_secret_is_looked_up_instead() {
    let (_server, owner, visitor) = visiting();
    let (_, secret) = make(&owner, "pasted into the filter");
    let answer = visitor.submit("/keys", "/keys/filter", &[("search", &secret)]);
    assert_eq!(answer.status, 200, "no redirect to an address with it");
    assert!(text(&answer.text()).contains("This is the current secret"), "{}", text(&answer.text()));
    let html = visitor.page(&format!("/keys?search={secret}"));
    assert!(text(&html).contains("looks like a secret") && !html.contains(&secret[20..]), "{}", text(&html));
    let answer = visitor.submit("/keys", "/keys/filter", &[("search", "a plain name"), ("cidr", "10.0.0.0/8")]);
    assert_eq!(visitor.led_to(&answer), "/keys?search=a+plain+name&cidr=10.0.0.0%2F8");
}

#[test]
fn request_id_leads_to_its_denial() {
    let (server, owner, visitor) = visiting();
    let made = owner.make(&json!({ "name": "far away", "allowed_cidrs": ["203.0.113.0/24"] }));
    let answer = server.exchange(made["secret"].as_str().unwrap(), &[]);
    assert_eq!(answer.status, 403);
    let id = answer.header("x-request-id").unwrap().to_owned();
    let path = eventually("the denial to be written", || {
        let answer = visitor.submit("/find", "/find", &[("text", &id)]);
        (answer.status == 303).then(|| visitor.led_to(&answer))
    });
    assert!(path.starts_with("/denials/") && visitor.read(&path).contains("far away"), "{path}");
    // In a log line it is one of the results.
    let line = format!("level=warn status=403 request_id={id} client_id={}", made["id"].as_str().unwrap());
    let html = find(&visitor, &line);
    assert!(html.contains(&format!("href=\"/console{path}\"")) && text(&html).contains("far away"), "{html}");
    // Without the permission for usage, and in other organizations, there is nothing to find.
    let body = json!({ "slug": "acme", "owner_email": "boss@acme.example" });
    let acme = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    let password = acme["owner"]["password"].as_str().unwrap();
    let stranger = Visitor::sign_in_to(&server, "acme", "boss@acme.example", password);
    assert!(text(&find(&stranger, &id)).contains("No key, customer or member matches."));
}
