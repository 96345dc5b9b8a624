//! `POST /oauth/revoke` (RFC 7009).

use serde_json::json;

use crate::support::check::{oauth_error, problem};
use crate::support::server::{Key, Place, Server};

fn revoke(server: &Server, caller: &Key, token: &str) -> crate::support::Answer {
    server.request("POST", "/oauth/revoke").basic(&caller.id, &caller.text).form(&[("token", token)]).send()
}

#[test]
fn revoking_a_token_affects_only_that_token() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let (one, other) = (server.token(&key, &[]), server.token(&key, &[]));
    assert_eq!(revoke(&server, &key, &one).expect(200), json!({}));
    problem(&server.me(&one), 401, "API_KEY_INVALID");
    assert_eq!(server.get("/verify").bearer(&one).send().status, 401);
    assert_eq!(server.me(&other).status, 200);
    assert_eq!(revoke(&server, &key, &one).expect(200), json!({}), "a second time is no error");
}

#[test]
fn revoked_token_stays_revoked_after_restart() {
    let server = Server::start();
    let (key, token) = (server.key.clone(), server.token(&server.key, &[]));
    revoke(&server, &key, &token).expect(200);
    let server = server.kill().serve(key);
    assert_eq!(server.get("/verify").bearer(&token).send().status, 401);
}

#[test]
fn bearer_can_revoke_the_key_from_any_address() {
    let server = Server::start();
    let leaked = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"] }));
    assert_eq!(server.exchange(&leaked.text, &[]).status, 403, "it cannot be used from here");
    assert_eq!(revoke(&server, &leaked, &leaked.text).expect(200), json!({}));
    oauth_error(&server.exchange(&leaked.text, &[]), 401, "invalid_client", "API_KEY_INVALID");
    let shown = server.api("GET", &format!("keys/{}", leaked.id)).send().expect(200);
    assert_eq!(
        (shown["status"].clone(), shown["revoked_reason"].clone()),
        (json!("revoked"), json!("revoked by its bearer"))
    );
}

#[test]
fn other_and_unknown_tokens_are_ignored() {
    let place = Place::new();
    let acme = place.init(&["--organization", "acme"]).key;
    let server = place.start();
    let token = server.token(&acme, &[]);
    let wrong = format!("kt_{}_{}", server.key.id, acme.secret());
    for unknown in [token.as_str(), &acme.text, &wrong, "x", "a.b.c"] {
        assert_eq!(revoke(&server, &server.key, unknown).expect(200), json!({}), "{unknown}");
    }
    assert_eq!(server.me(&token).status, 200);
    assert_eq!(server.exchange(&acme.text, &[]).status, 200);
    assert_eq!(server.exchange(&server.key.text, &[]).status, 200);
}

#[test]
fn revocation_requires_credentials() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let bare = server.request("POST", "/oauth/revoke").form(&[("token", &key.text)]).send();
    oauth_error(&bare, 401, "invalid_client", "API_KEY_REQUIRED");
    assert!(bare.header("www-authenticate").is_some());
    assert_eq!(server.exchange(&key.text, &[]).status, 200);
}
