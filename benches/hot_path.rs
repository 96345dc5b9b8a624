//! The steps of a token request and of a verification, each measured alone.
//!
//! `cargo bench --bench hot_path [FILTER]`. `scripts/instructions` counts the instructions of a whole request, and
//! `scripts/throughput` measures a running server.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops at the first error")]

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use divan::Bencher;
use keyturn::domain::api_key::{ApiKey, Lifecycle, SecretVerifier};
use keyturn::domain::choices::{Algorithm, ForwardingHeader, TokenType};
use keyturn::domain::claims::{Audience, Claims};
use keyturn::domain::decision::{ClientAddress, DecisionInput, Proof, SecretMatch, decide};
use keyturn::domain::grants::Grants;
use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText};
use keyturn::domain::networks::Networks;
use keyturn::domain::profile::SharedAccess;
use keyturn::domain::scope::ScopeSet;
use keyturn::domain::slug::Slug;
use keyturn::domain::timestamp::Timestamp;
use keyturn::signing::{KeyMaterial, SigningKey, check_times, peek, verify};
use keyturn::testing::crypto::fast_verifier;
use keyturn::testing::crypto::master_key::MasterKeys;
use keyturn::testing::crypto::mint::{MintedKey, mint};
use keyturn::testing::http::client_address::TrustedProxies;
use keyturn::testing::http::credentials;
use keyturn::testing::http::form::Form;
use zeroize::Zeroizing;

fn main() {
    divan::Divan::from_args().min_time(Duration::from_millis(300)).main();
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://keys.example.com";

fn address() -> IpAddr {
    "203.0.113.7".parse().unwrap()
}

fn master_keys() -> MasterKeys {
    MasterKeys::derive(&[Zeroizing::new([7; 32])]).unwrap()
}

fn secret_text() -> Zeroizing<String> {
    KeyText::new(KeyPrefix::default(), KeyId::from_random([7; 16]), [9; 32]).reveal()
}

/// A key as customers have them: three scopes and four allowed networks, the last of which has the caller.
fn key() -> ApiKey {
    let text = KeyText::parse(&secret_text()).unwrap();
    ApiKey {
        id: text.id(),
        organization: Slug::default_organization(),
        prefix: KeyPrefix::default(),
        name: "billing".into(),
        description: String::new(),
        metadata: Default::default(),
        owner: None,
        customer: None,
        profile: None,
        grants: Grants::of_default(
            ScopeSet::parse("read:projects/acme/* write:projects/acme/invoices/# read:reports").unwrap(),
        ),
        networks: Networks::parse(&["10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32", "203.0.113.0/24"]).unwrap(),
        named_networks: Vec::new(),
        expires_at: Some(NOW.plus_seconds(86_400)),
        lifecycle: Lifecycle::Active,
        generation: 3,
        secret_version: 2,
        version: 5,
        secret: SecretVerifier {
            phc: String::new(),
            fast: Some(fast_verifier::make(&master_keys(), &text.id(), text.secret())),
        },
        previous: None,
        hint: text.hint(),
        created_at: NOW,
        created_by: "keyturn".into(),
        rotated_at: None,
        last_used_at: None,
        last_used_ip: None,
    }
}

fn claims() -> Claims {
    let key = key();
    Claims {
        iss: ISSUER.into(),
        sub: key.id.to_string(),
        client_id: key.id.to_string(),
        aud: Audience::One("https://api.example.com".into()),
        iat: NOW.as_seconds(),
        exp: NOW.as_seconds() + 600,
        jti: "0123456789abcdefghijkl".into(),
        scope: key.grants.of_default_api().to_string(),
        org: key.organization.to_string(),
        generation: key.generation,
        secret_version: key.secret_version,
        customer: None,
        customer_generation: None,
        cidrs: Some(key.networks.to_strings()),
    }
}

fn signing_key(algorithm: Algorithm) -> SigningKey {
    let material = KeyMaterial::generate(algorithm).unwrap();
    SigningKey::read(material.kid, algorithm, &material.pkcs8, NOW, NOW).unwrap()
}

mod request {
    use super::*;

    #[divan::bench]
    fn form(bencher: Bencher) {
        let body = "grant_type=client_credentials&scope=read%3Aprojects%2Facme%2F*+read%3Areports";
        bencher.bench(|| Form::parse(black_box(body.as_bytes())).unwrap());
    }

    #[divan::bench]
    fn basic_header(bencher: Bencher) {
        use base64::Engine;
        let text = secret_text();
        let pair = format!("{}:{}", KeyText::parse(&text).unwrap().id(), text.as_str());
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&basic).unwrap());
        bencher.bench(|| credentials::from_headers(black_box(&headers)).unwrap());
    }

    #[divan::bench]
    fn forwarded_address(bencher: Bencher) {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()], ForwardingHeader::XForwardedFor);
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static("x-forwarded-for");
        headers.insert(name, HeaderValue::from_static("198.51.100.1, 203.0.113.7, 10.0.0.2"));
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        bencher.bench(|| proxies.client_address(black_box(Some(peer)), black_box(&headers)));
    }
}

mod secret {
    use super::*;

    #[divan::bench]
    fn parse(bencher: Bencher) {
        let text = secret_text();
        bencher.bench(|| KeyText::parse(black_box(&text)).unwrap());
    }

    #[divan::bench]
    fn fast_verifier(bencher: Bencher) {
        let (keys, text, key) = (master_keys(), KeyText::parse(&secret_text()).unwrap(), key());
        let verifier = key.secret.fast.unwrap();
        bencher.bench(|| fast_verifier::check(&keys, black_box(&verifier), &text.id(), black_box(text.secret())));
    }

    #[divan::bench]
    fn create(bencher: Bencher) {
        let keys = master_keys();
        bencher.bench(|| -> MintedKey { mint(&keys, KeyPrefix::default(), None).unwrap() });
    }
}

mod decision {
    use super::*;

    #[divan::bench]
    fn parse_scope(bencher: Bencher) {
        bencher.bench(|| ScopeSet::parse(black_box("read:projects/acme/invoices/2026 read:reports")).unwrap());
    }

    #[divan::bench]
    fn scopes_contain(bencher: Bencher) {
        let (granted, requested) = (
            key().grants.of_default_api().clone(),
            ScopeSet::parse("read:projects/acme/invoices read:reports").unwrap(),
        );
        assert!(granted.contains_all(&requested));
        bencher.bench(|| black_box(&granted).contains_all(black_box(&requested)));
    }

    #[divan::bench]
    fn networks_allow(bencher: Bencher) {
        let (networks, address) = (key().networks, address());
        assert!(networks.allows(address));
        bencher.bench(|| black_box(&networks).allows(black_box(address)));
    }

    #[divan::bench]
    fn decide_by_secret(bencher: Bencher) {
        let (key, scopes) = (key(), ScopeSet::parse("read:projects/acme/invoices read:reports").unwrap());
        let input = DecisionInput {
            proof: Proof::Secret(SecretMatch::Current),
            address: ClientAddress::Known(address()),
            scopes: Some(&scopes),
            held: Ok(key.grants.of_default_api()),
            customer: None,
            shared: &SharedAccess::empty(),
            is_suspended: false,
        };
        assert!(decide(&key, &input, NOW).is_ok());
        bencher.bench(|| decide(black_box(&key), black_box(&input), NOW));
    }

    #[divan::bench]
    fn decide_by_token(bencher: Bencher) {
        let key = key();
        let proof = Proof::Token {
            generation: key.generation,
            secret_version: key.secret_version,
            customer_generation: None,
            issued_at: NOW,
            scopes: key.grants.of_default_api(),
            is_known_within: true,
        };
        let input = DecisionInput {
            proof,
            address: ClientAddress::Known(address()),
            scopes: None,
            held: Ok(key.grants.of_default_api()),
            customer: None,
            shared: &SharedAccess::empty(),
            is_suspended: false,
        };
        assert!(decide(&key, &input, NOW).is_ok());
        bencher.bench(|| decide(black_box(&key), black_box(&input), NOW));
    }
}

mod token {
    use super::*;

    const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

    #[divan::bench(args = ALGORITHMS)]
    fn sign(bencher: Bencher, algorithm: Algorithm) {
        let key = signing_key(algorithm);
        let (header, claims) = (key.header(TokenType::AtJwt).unwrap(), claims());
        bencher.bench(|| key.sign(black_box(&header), black_box(&claims)).unwrap());
    }

    #[divan::bench(args = ALGORITHMS)]
    fn verify_signature(bencher: Bencher, algorithm: Algorithm) {
        let key = signing_key(algorithm);
        let token = key.sign(&key.header(TokenType::AtJwt).unwrap(), &claims()).unwrap();
        bencher.bench(|| {
            let token = black_box(token.as_str());
            assert_eq!(peek(token).unwrap().0, key.kid());
            let claims = verify(token, &key, ISSUER).unwrap();
            check_times(&claims, NOW).unwrap();
            claims
        });
    }
}
