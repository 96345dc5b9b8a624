//! `POST /oauth/introspect` (RFC 7662).

use serde_json::json;

use crate::support::check::{no_nulls, no_store, oauth_error};
use crate::support::server::{Place, Server};

#[test]
fn valid_token_has_all_fields() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["127.0.0.0/8"], "expires_in_seconds": 3600 }));
    let token = server.token(&key, &[("scope", "read:a")]);
    let claims = server.claims(&token);
    let answer =
        server.request("POST", "/oauth/introspect").api_key(&server.key.text).form(&[("token", &token)]).send();
    no_store(&answer);
    let response = answer.expect(200);
    no_nulls(&response);
    for name in ["iss", "sub", "client_id", "aud", "iat", "exp", "jti", "scope", "org", "gen", "cidrs"] {
        assert_eq!(response[name], claims[name], "{name}");
    }
    assert_eq!((&response["active"], &response["token_type"]), (&json!(true), &json!("Bearer")));
}

#[test]
fn secret_is_introspected_like_a_token() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let ask = |token: &str| {
        server
            .request("POST", "/oauth/introspect")
            .basic(&server.key.id, &server.key.text)
            .form(&[("token", token)])
            .send()
    };
    let response = ask(&key.text).expect(200);
    assert_eq!((response["active"].clone(), response["client_id"].clone()), (json!(true), json!(key.id)));
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    assert_eq!(ask(&key.text).text(), r#"{"active":false}"#);
}

#[test]
fn invalid_credentials_are_only_inactive() {
    let server = Server::start();
    let revoked = server.make(&json!({}));
    let dead = server.token(&revoked, &[]);
    server.change("POST", &format!("{}/revoke", revoked.id), &json!({}));
    let good = server.token(&server.key, &[]);
    let changed = format!("{}A{}", &good[..good.len() - 5], &good[good.len() - 4..]);
    let mut wrong_key = server.key.text.clone();
    wrong_key.pop();
    for token in [dead.as_str(), &revoked.text, &changed, &wrong_key, "x", "a.b.c", "kt_", "\u{e9}"] {
        for hint in ["access_token", "refresh_token", "api_key", "?"] {
            let form = [("token", token), ("token_type_hint", hint)];
            let answer = server.request("POST", "/oauth/introspect").api_key(&server.key.text).form(&form).send();
            assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"active":false}"#), "{token} {hint}");
        }
    }
}

#[test]
fn other_organizations_tokens_are_inactive() {
    let place = Place::new();
    let acme = place.init(&["--organization", "acme"]).key;
    let server = place.start();
    let token = server.token(&acme, &[]);
    let ask = |caller: &str, token: &str| {
        server.request("POST", "/oauth/introspect").api_key(caller).form(&[("token", token)]).send().expect(200)["active"].clone()
    };
    assert_eq!(ask(&acme.text, &token), true);
    assert_eq!(ask(&server.key.text, &token), false);
    assert_eq!(ask(&server.key.text, &acme.text), false);
}

#[test]
fn introspection_requires_credentials() {
    let server = Server::start();
    let token = server.token(&server.key, &[]);
    let ask = || server.request("POST", "/oauth/introspect");
    oauth_error(&ask().form(&[("token", &token)]).send(), 401, "invalid_client", "API_KEY_REQUIRED");
    oauth_error(&ask().bearer(&token).form(&[("token", &token)]).send(), 401, "invalid_client", "API_KEY_INVALID");
    let description =
        oauth_error(&ask().api_key(&server.key.text).form(&[]).send(), 400, "invalid_request", "VALIDATION_FAILED");
    assert!(description.contains("token"), "{description}");
    let twice = ask().api_key(&server.key.text).form(&[("token", "a"), ("token", "b")]).send();
    oauth_error(&twice, 400, "invalid_request", "VALIDATION_FAILED");
}

#[test]
fn largest_token_can_be_introspected_and_revoked() {
    let server = Server::start();
    let scopes: Vec<_> = (0..50)
        .map(|n| json!({ "action": "read", "resource": format!("{}/{n}", ["x"; 3].map(|c| c.repeat(80)).join("/")) }))
        .collect();
    let cidrs: Vec<_> =
        (0..99).map(|n| format!("2001:db8:1111:2222:3333:4444:5555:{n:x}/128")).chain(["127.0.0.1".into()]).collect();
    let key = server.make(&json!({ "scopes": scopes, "allowed_cidrs": cidrs }));
    let token = server.token(&key, &[]);
    assert!(token.len() > 20_000, "{}", token.len());
    let ask = |path: &str| server.request("POST", path).api_key(&server.key.text).form(&[("token", &token)]).send();
    assert_eq!(ask("/oauth/introspect").expect(200)["active"], true);
    assert_eq!(ask("/oauth/revoke").expect(200), json!({}));
    assert_eq!(ask("/oauth/introspect").expect(200)["active"], false);
}
