//! Attacks from standards and advisories (RFC 8725, RFC 7515) at every endpoint that takes tokens.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::jwt::part;
use crate::support::server::{Place, Server};

fn encode(value: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(value)
}

/// Checks that all endpoints and the management API reject a token.
#[track_caller]
fn refused_everywhere(server: &Server, token: &str, what: &str) {
    let introspected =
        server.request("POST", "/oauth/introspect").api_key(&server.key.text).form(&[("token", token)]).send();
    assert_eq!(introspected.text(), r#"{"active":false}"#, "{what}");
    let revoked = server.request("POST", "/oauth/revoke").api_key(&server.key.text).form(&[("token", token)]).send();
    assert_eq!((revoked.status, revoked.text().as_str()), (200, "{}"), "{what}");
    if token.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
        for target in ["/verify", "/api/v1/me"] {
            let answer = server.get(target).bearer(token).send();
            assert_eq!(answer.status, 401, "{what}: {target} {}", answer.text());
        }
    }
}

struct Forger {
    pair: EcdsaKeyPair,
}

impl Forger {
    fn new() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self { pair: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap() }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encode(signature.as_ref()))
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "mine", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
    }
}

#[test]
fn forged_tokens_are_rejected() {
    let server = Server::start();
    let good = server.token(&server.key, &[]);
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let jwks = server.get("/.well-known/jwks.json").send().expect(200);
    let pem = server.get(&format!("/.well-known/jwks/{}.pem", header["kid"].as_str().unwrap())).send();
    let forger = Forger::new();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    let body = encode(claims.to_string());
    let rest = good.split_once('.').unwrap().1;
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let none = encode(with("alg", json!(alg)).to_string());
        refused_everywhere(&server, &format!("{none}.{body}."), alg);
        refused_everywhere(&server, &format!("{none}.{rest}"), alg);
    }
    for secret in [pem.body.clone(), pem.text().trim().as_bytes().to_vec(), jwks.to_string().into_bytes(), Vec::new()] {
        for (alg, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let message = format!("{}.{body}", encode(with("alg", json!(alg)).to_string()));
            let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), message.as_bytes());
            refused_everywhere(&server, &format!("{message}.{}", encode(tag.as_ref())), "HMAC with the public key");
        }
    }
    for alg in ["ES384", "RS256", "PS256", "EdDSA", "ES256K"] {
        refused_everywhere(&server, &format!("{}.{rest}", encode(with("alg", json!(alg)).to_string())), alg);
    }
    for (what, header) in [
        ("an embedded key", with("jwk", forger.jwk())),
        ("an embedded key and its kid", {
            let mut h = with("jwk", forger.jwk());
            h["kid"] = json!("mine");
            h
        }),
        ("a key elsewhere", with("jku", json!("http://127.0.0.1:1/jwks.json"))),
        ("a certificate", with("x5c", json!(["MIIB"]))),
        ("a certificate elsewhere", with("x5u", json!("http://127.0.0.1:1/cert"))),
        ("critical extensions", with("crit", json!(["exp"]))),
        ("no base64", with("b64", json!(false))),
        ("compression", with("zip", json!("DEF"))),
        ("another typ", with("typ", json!("JWT"))),
        ("a typ of another kind", with("typ", json!("logout+jwt"))),
        ("no kid", {
            let mut h = header.clone();
            h.as_object_mut().unwrap().remove("kid");
            h
        }),
        ("a kid that is a path", with("kid", json!("../../../../dev/null"))),
        ("a kid that is SQL", with("kid", json!("' OR '1'='1"))),
        ("a kid that is a number", with("kid", json!(1))),
        ("a kid that is a list", with("kid", json!([header["kid"]]))),
        ("another signature", header.clone()),
    ] {
        refused_everywhere(&server, &forger.sign(&header, &claims), what);
        refused_everywhere(&server, &format!("{}.{rest}", encode(header.to_string())).replace(&good, "x.y.z"), what);
    }
    assert_eq!(server.me(&good).status, 200, "the good token is still good");
}

#[test]
fn token_has_only_one_valid_encoding() {
    let server = Server::start();
    let good = server.token(&server.key, &[]);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!("three parts") };
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der = der_signature(&raw);
    let last = signature.chars().last().unwrap();
    let neighbour = char::from(u8::try_from(last).unwrap() ^ 1);
    for (what, token) in [
        ("no signature", format!("{header}.{body}")),
        ("an empty signature", format!("{header}.{body}.")),
        ("half a signature", format!("{header}.{body}.{}", encode(&raw[..32]))),
        ("a longer signature", format!("{header}.{body}.{}", encode([&raw[..], b"\0"].concat()))),
        ("a signature of zeros", format!("{header}.{body}.{}", encode([0; 64]))),
        ("a DER signature", format!("{header}.{body}.{}", encode(der))),
        ("padding", format!("{header}.{body}.{signature}==")),
        ("other trailing bits", format!("{header}.{body}.{}{neighbour}", &signature[..signature.len() - 1])),
        ("standard base64", format!("{header}.{body}.{}", signature.replace('-', "+").replace('_', "/")) + "="),
        ("four parts", format!("{good}.")),
        ("five parts", format!("{good}.x.y")),
        ("an empty part", format!(".{body}.{signature}")),
        ("a space", format!("{good} ")),
        ("a line break", format!("{header}.{body}.\n{signature}")),
    ] {
        let token = token.trim_end_matches(' ');
        if token != good {
            refused_everywhere(&server, token, what);
        }
    }
    assert_eq!(server.me(&good).status, 200);
}

#[test]
fn other_organizations_key_is_rejected() {
    let place = Place::new();
    let acme = place.init(&["--organization", "acme"]).key;
    let server = place.start();
    let theirs = server.token(&acme, &[]);
    let ours = server.token(&server.key, &[]);
    let mixed = format!(
        "{}.{}.{}",
        theirs.split('.').next().unwrap(),
        ours.split('.').nth(1).unwrap(),
        theirs.split('.').nth(2).unwrap()
    );
    refused_everywhere(&server, &mixed, "their header and signature on our claims");
    assert_eq!(server.get("/api/v1/organizations/default/keys").bearer(&theirs).send().status, 404);
}

/// Converts a fixed-size ECDSA signature to DER.
fn der_signature(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if bytes.first().is_some_and(|byte| *byte & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        [&[2, u8::try_from(bytes.len()).unwrap()], &bytes[..]].concat()
    };
    let inner = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, u8::try_from(inner.len()).unwrap()], &inner[..]].concat()
}
