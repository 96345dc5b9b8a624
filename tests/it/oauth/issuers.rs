//! Metadata and public keys of each issuer.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::check::{no_nulls, oauth_error};
use crate::support::{Answer, Place, Server, jwt};

#[track_caller]
fn cacheable(answer: &Answer, content_type: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some(content_type));
    assert!(answer.header("cache-control").is_some_and(|value| value.contains("max-age=300")));
}

#[track_caller]
fn check_metadata(server: &Server, path: &str, issuer: &str) -> Value {
    let answer = server.get(path).send();
    cacheable(&answer, "application/json");
    let document = answer.json();
    no_nulls(&document);
    assert_eq!(document["issuer"], issuer);
    assert_eq!(document["token_endpoint"], format!("{}/oauth/token", server.public_url));
    assert_eq!(document["jwks_uri"], format!("{issuer}/.well-known/jwks.json"));
    assert_eq!(document["grant_types_supported"], json!(["client_credentials"]));
    assert_eq!(document["response_types_supported"], json!([]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert!(document["subject_types_supported"].is_array());
    assert_eq!(document["scopes_supported"], json!(["read", "write", "admin"]));
    assert_eq!(document["authorization_endpoint"], format!("{}/oauth/authorize", server.public_url));
    for method in ["client_secret_basic", "client_secret_post"] {
        assert!(document["token_endpoint_auth_methods_supported"].as_array().unwrap().contains(&json!(method)));
    }
    document
}

#[test]
fn metadata_leads_to_keys_that_verify_tokens() {
    let server = Server::start();
    let document = check_metadata(&server, "/.well-known/oauth-authorization-server", &server.public_url);
    assert_eq!(document, check_metadata(&server, "/.well-known/openid-configuration", &server.public_url));
    let jwks_path = document["jwks_uri"].as_str().unwrap().strip_prefix(&server.public_url).unwrap();
    let jwks = server.get(jwks_path).send();
    cacheable(&jwks, "application/json");
    let claims = jwt::verify(&server.token(&server.key, &[]), &jwks.json()).1;
    assert_eq!(claims["iss"], document["issuer"]);
}

#[test]
fn issuer_is_the_exact_public_url() {
    let server = Place::new().set("KEYTURN_SERVER__PUBLIC_URL", "https://id.example/keys").start();
    assert_eq!(server.public_url, "https://id.example/keys");
    check_metadata(&server, "/.well-known/oauth-authorization-server", "https://id.example/keys");
    let token = server.token(&server.key, &[]);
    assert_eq!(server.claims(&token)["iss"], "https://id.example/keys");
    server.me(&token).expect(200);
}

#[test]
fn published_keys_have_no_private_parts() {
    for (algorithm, members) in [
        ("ES256", &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
        ("EdDSA", &["alg", "crv", "kid", "kty", "use", "x"]),
        ("RS256", &["alg", "e", "kid", "kty", "n", "use"]),
    ] {
        let server = Place::new().set("KEYTURN_TOKEN__ALGORITHM", algorithm).start();
        let jwks = server.get("/.well-known/jwks.json").send().expect(200);
        let [jwk] = jwks["keys"].as_array().unwrap().as_slice() else { panic!("{jwks}") };
        let mut found: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, members);
        assert_eq!((jwk["alg"].as_str(), jwk["use"].as_str()), (Some(algorithm), Some("sig")));

        let answer = server.get(&format!("/.well-known/jwks/{}.pem", jwk["kid"].as_str().unwrap())).send();
        assert_eq!(answer.status, 200);
        assert_eq!(public_key_of_pem(&answer.text()), public_key_of_jwk(jwk), "{algorithm}");
    }
}

/// The subjectPublicKey bits of a PEM, at the end of the SubjectPublicKeyInfo (RFC 5280 section 4.1).
fn public_key_of_pem(pem: &str) -> Vec<u8> {
    let lines: Vec<&str> = pem.lines().collect();
    assert_eq!(lines.first(), Some(&"-----BEGIN PUBLIC KEY-----"));
    assert_eq!(lines.last(), Some(&"-----END PUBLIC KEY-----"));
    assert!(pem.ends_with('\n') && lines.iter().all(|line| line.len() <= 64));
    STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap()
}

/// The SubjectPublicKeyInfo of a JWK.
fn public_key_of_jwk(jwk: &Value) -> Vec<u8> {
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    match jwk["kty"].as_str().unwrap() {
        "EC" => {
            let prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
            [hex(prefix), vec![4], part("x"), part("y")].concat()
        }
        "OKP" => [hex("302a300506032b6570032100"), part("x")].concat(),
        "RSA" => {
            let numbers = [der(0x02, &[vec![0], part("n")].concat()), der(0x02, &part("e"))].concat();
            let key = [vec![0], der(0x30, &numbers)].concat();
            der(0x30, &[hex("300d06092a864886f70d0101010500"), der(0x03, &key)].concat())
        }
        other => panic!("{other}"),
    }
}

/// A DER value of up to 65535 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..128 => vec![tag, length as u8],
        128..256 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [&head, content].concat()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn each_organization_is_an_issuer() {
    let place = Place::new().set("KEYTURN_SERVER__PUBLIC_URL", "https://id.example");
    let founded = place.init(&[]);
    let acme = place.init(&["--organization", "acme", "--email", "boss@acme.example"]);
    assert_eq!((founded.issuer.as_str(), acme.issuer.as_str()), ("https://id.example", "https://id.example/o/acme"));
    assert_eq!((founded.email.as_str(), acme.email.as_str()), ("owner@localhost", "boss@acme.example"));
    let server = place.serve(founded.key);

    let issuer = "https://id.example/o/acme";
    let document = check_metadata(&server, "/.well-known/oauth-authorization-server/o/acme", issuer);
    assert_eq!(document, check_metadata(&server, "/o/acme/.well-known/openid-configuration", issuer));

    let jwks = server.get("/o/acme/.well-known/jwks.json").send();
    cacheable(&jwks, "application/json");
    let token = server.token(&acme.key, &[]);
    let claims = jwt::verify(&token, &jwks.json()).1;
    assert_eq!((claims["iss"].as_str(), claims["org"].as_str()), (Some(issuer), Some("acme")));
    let others = server.get("/.well-known/jwks.json").send().expect(200);
    assert!(jwt::try_verify(&token, &others).is_err(), "the default issuer's keys say nothing of it");
    let kid = jwks.json()["keys"][0]["kid"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/o/acme/.well-known/jwks/{kid}.pem")).send().status, 200);
    assert_eq!(server.get(&format!("/.well-known/jwks/{kid}.pem")).send().status, 404);
}

#[test]
fn unknown_issuers_are_not_found() {
    let server = Server::start();
    for path in [
        "/.well-known/oauth-authorization-server/o/nobody",
        "/o/nobody/.well-known/openid-configuration",
        "/o/nobody/.well-known/jwks.json",
        "/o/nobody/.well-known/jwks/x.pem",
        "/.well-known/jwks/x.pem",
        "/o/default/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server/o/default",
        "/o/..%2f/.well-known/jwks.json",
    ] {
        let answer = server.get(path).send();
        assert_eq!(answer.status, 404, "{path}");
        oauth_error(&answer, 404, answer.json()["error"].as_str().unwrap(), "NOT_FOUND");
    }
    let answer = server.request("POST", "/.well-known/jwks.json").send();
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    let head = server.request("HEAD", "/.well-known/jwks.json").send();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn authorization_endpoint_supports_no_response_type_and_never_redirects() {
    let server = Server::start();
    let query = "response_type=code&client_id=x&redirect_uri=https%3A%2F%2Fevil.example&state=s";
    for request in [
        server.get(&format!("/oauth/authorize?{query}")),
        server.get("/oauth/authorize"),
        server.request("POST", "/oauth/authorize").form_text(query),
        server.request("POST", "/oauth/authorize").json(&json!({})),
    ] {
        let answer = request.send();
        let description = oauth_error(&answer, 400, "unsupported_response_type", "VALIDATION_FAILED");
        assert!(description.contains("client_credentials"), "{description}");
        assert_eq!(answer.header("location"), None);
    }
    assert_eq!(server.request("HEAD", "/oauth/authorize").send().status, 400);
    assert_eq!(server.request("DELETE", "/oauth/authorize").send().header("allow"), Some("GET, HEAD, POST"));
}
