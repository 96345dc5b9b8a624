//! Access tokens and the response that contains them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::check::{no_nulls, no_store, oauth_error};
use crate::support::{Place, Server, eventually, jwt, now};

#[test]
fn response_has_the_standard_fields_and_is_not_cached() {
    let server = Server::start();
    let answer = server.exchange(&server.key.text, &[]);
    let body = answer.expect(200);
    no_store(&answer);
    no_nulls(&body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"].as_i64(), Some(600), "an integer");
    assert_eq!(body["scope"], "*:* *:keyturn/*");
}

#[test]
fn token_has_the_documented_claims() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let earliest = now();
    let token = server.token(&key, &[("scope", "read:a")]);
    let (header, claims) = jwt::verify(&token, &server.get("/.well-known/jwks.json").send().expect(200));
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&header), BTreeSet::from(["alg", "kid", "typ"].map(str::to_owned)));
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("at+jwt")));
    let expected = ["aud", "client_id", "exp", "gen", "iat", "iss", "jti", "org", "scope", "sub", "sv"];
    assert_eq!(names(&claims), BTreeSet::from(expected.map(str::to_owned)));
    for (name, value) in [
        ("iss", json!(server.public_url)),
        ("aud", json!(server.public_url)),
        ("sub", json!(key.id)),
        ("client_id", json!(key.id)),
        ("scope", json!("read:a")),
        ("org", json!("default")),
        ("gen", json!(1)),
        ("sv", json!(1)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!((earliest..=now()).contains(&iat), "iat is rounded down");
    assert_eq!(exp - iat, 600);
    let again = server.claims(&server.token(&key, &[]));
    assert_ne!(claims["jti"], again["jti"]);
}

#[test]
fn token_contains_the_allowed_networks() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["127.0.0.1", "2001:db8::/32"] }));
    assert_eq!(server.claims(&server.token(&key, &[]))["cidrs"], json!(["127.0.0.1/32", "2001:db8::/32"]));
    let key = server.make(&json!({ "allowed_cidrs": ["*"] }));
    assert_eq!(server.claims(&server.token(&key, &[])).get("cidrs"), None, "not restricted");
}

#[test]
fn every_algorithm_verifies_with_the_published_key() {
    for (algorithm, kind) in [("ES256", "EC"), ("EdDSA", "OKP"), ("RS256", "RSA")] {
        let server = Place::new().set("KEYTURN_TOKEN__ALGORITHM", algorithm).start();
        let jwks = server.get("/.well-known/jwks.json").send().expect(200);
        let (header, claims) = jwt::verify(&server.token(&server.key, &[]), &jwks);
        assert_eq!((header["alg"].as_str(), claims["sub"].as_str()), (Some(algorithm), Some(server.key.id.as_str())));
        assert_eq!((jwks["keys"][0]["kty"].as_str(), jwks["keys"][0]["alg"].as_str()), (Some(kind), Some(algorithm)));
    }
}

#[test]
fn typ_and_lifetime_are_configurable() {
    let server = Place::new().set("KEYTURN_TOKEN__TYP", "JWT").set("KEYTURN_TOKEN__TTL_SECONDS", 60).start();
    let answer = server.exchange(&server.key.text, &[]).expect(200);
    assert_eq!(answer["expires_in"], 60);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(jwt::part(token, 0)["typ"], "JWT");
    server.me(token).expect(200);
}

#[test]
fn a_token_never_outlives_its_key() {
    let server = Server::start();
    let end = now() + 100;
    let key = server.make(&json!({ "expires_in_seconds": 100 }));
    let answer = server.exchange(&key.text, &[]).expect(200);
    let claims = server.claims(answer["access_token"].as_str().unwrap());
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    let expires_at: jiff::Timestamp = shown["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(claims["exp"].as_i64().unwrap() <= expires_at.as_second());
    assert!(claims["exp"].as_i64().unwrap() <= end + 5);
    let expires_in = answer["expires_in"].as_i64().unwrap();
    assert!((1..=100).contains(&expires_in), "{expires_in}");
    // `iat` is rounded down and `exp` is the key's expiry, so `expires_in` can be a second less than their difference.
    let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((0..=1).contains(&(life - expires_in)), "{life} {expires_in}");
}

#[test]
fn token_is_invalid_with_its_key() {
    let server = Server::start();
    let key = server.make(&json!({ "expires_in_seconds": 4 }));
    let token = server.token(&key, &[]);
    server.me(&token).expect(200);
    eventually("the death of the token", || (server.me(&token).status == 401).then_some(()));
}

#[test]
fn only_post_and_client_credentials_are_accepted() {
    let server = Server::start();
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD"] {
        let answer = server.request(method, "/oauth/token").send();
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
        if method != "HEAD" {
            oauth_error(&answer, 405, "invalid_request", "VALIDATION_FAILED");
        }
    }
    for grant in ["password", "authorization_code", "Client_Credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    {
        let answer = server.token_request().form(&[("grant_type", grant), ("client_secret", &server.key.text)]).send();
        let description = oauth_error(&answer, 400, "unsupported_grant_type", "VALIDATION_FAILED");
        assert!(description.contains("client_credentials"), "{description}");
    }
    for form in [
        vec![("client_secret", server.key.text.as_str())],
        vec![("grant_type", ""), ("client_secret", &server.key.text)],
    ] {
        let description =
            oauth_error(&server.token_request().form(&form).send(), 400, "invalid_request", "VALIDATION_FAILED");
        assert!(description.starts_with("grant_type: "), "{description}");
    }
}

#[test]
fn concurrent_exchanges_get_different_tokens() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let tokens: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..10).map(|_| scope.spawn(|| (0..10).map(|_| server.token(&key, &[])).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(tokens.len(), 100);
}
