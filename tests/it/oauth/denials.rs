//! Denied token requests and the information in their responses.

use serde_json::json;

use crate::support::check::oauth_error;
use crate::support::{Answer, Key, Place, Server, eventually};

/// A well-formed secret that was never issued.
fn stranger() -> Key {
    use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText};
    let text = KeyText::new(KeyPrefix::default(), KeyId::from_random([3; 16]), [4; 32]);
    Key { id: text.id().to_string(), text: text.reveal().to_string() }
}

/// The ID of one key with the random digits of another, with a valid checksum.
fn wrong_secret(of: &Key) -> String {
    use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText};
    KeyText::new(KeyPrefix::default(), KeyId::parse(&of.id).unwrap(), [5; 32]).reveal().to_string()
}

#[test]
fn invalid_credentials_look_the_same() {
    let server = Server::start();
    let (wrong, rotated, revoked) = (server.make(&json!({})), server.make(&json!({})), server.make(&json!({})));
    server.change("POST", &format!("{}/rotate", rotated.id), &json!({}));
    server.change("POST", &format!("{}/revoke", revoked.id), &json!({}));
    let texts = [stranger().text, wrong_secret(&wrong), rotated.text, revoked.text.clone(), wrong_secret(&revoked)];
    let answers: Vec<Answer> = texts
        .iter()
        .flat_map(|text| {
            let id = text.split('_').nth(1).unwrap();
            let form = || server.token_request().form_text("grant_type=client_credentials");
            [server.exchange(text, &[]), form().basic(id, text).send(), form().basic(id, &text[20..]).send()]
        })
        .collect();
    for group in answers.chunks(3) {
        for (answer, first) in group.iter().zip(&answers) {
            oauth_error(answer, 401, "invalid_client", "API_KEY_INVALID");
            assert_eq!(answer.text(), first.text());
            assert_eq!(answer.header_names(), first.header_names());
            assert_eq!(answer.header("www-authenticate"), first.header("www-authenticate"));
        }
    }
}

#[test]
fn revoked_key_is_always_denied() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"] }));
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    oauth_error(&server.exchange(&key.text, &[("scope", "write")]), 401, "invalid_client", "API_KEY_INVALID");
}

#[test]
fn expired_key_has_a_specific_error() {
    let server = Server::start();
    let key = server.make(&json!({ "expires_in_seconds": 1 }));
    let answer = eventually("expiry", || Some(server.exchange(&key.text, &[])).filter(|answer| answer.status != 200));
    oauth_error(&answer, 401, "invalid_client", "API_KEY_EXPIRED");
    oauth_error(&server.exchange(&wrong_secret(&key), &[]), 401, "invalid_client", "API_KEY_INVALID");
}

#[test]
fn disabled_key_has_a_specific_error() {
    let server = Server::start();
    let key = server.make(&json!({}));
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    oauth_error(&server.exchange(&key.text, &[]), 403, "unauthorized_client", "API_KEY_DISABLED");
    oauth_error(&server.exchange(&wrong_secret(&key), &[]), 401, "invalid_client", "API_KEY_INVALID");
    server.change("POST", &format!("{}/enable", key.id), &json!({}));
    server.exchange(&key.text, &[]).expect(200);
}

#[test]
fn failure_limit_spares_valid_keys() {
    let server = Place::new().set("KEYTURN_LIMITS__FAILURES_PER_MINUTE", 3).start();
    let stranger = stranger();
    for _ in 0..3 {
        oauth_error(&server.exchange(&stranger.text, &[]), 401, "invalid_client", "API_KEY_INVALID");
    }
    let answer = server.exchange(&stranger.text, &[]);
    assert_eq!(answer.status, 429, "{}", answer.text());
    oauth_error(&answer, 429, answer.json()["error"].as_str().unwrap(), "RATE_LIMITED");
    let seconds: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    server.token(&server.key, &[]);
    server.get("/.well-known/jwks.json").send().expect(200);
    let answer = server.me(&stranger.text);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (429, Some("RATE_LIMITED")));
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn failures_are_limited_by_address() {
    let server = Place::new()
        .set("KEYTURN_LIMITS__FAILURES_PER_MINUTE", 2)
        .set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1/32")
        .start_behind_proxy();
    let wrong = wrong_secret(&server.key);
    let from = |address: &str, text: &str| {
        let form = [("grant_type", "client_credentials"), ("client_secret", text)];
        server.token_request().form(&form).header("X-Forwarded-For", address).send().status
    };
    let text = server.key.text.clone();
    let seen: Vec<u16> = (0..4).map(|_| from("192.0.2.1", &wrong)).collect();
    assert_eq!(seen, [401, 401, 429, 429]);
    assert_eq!(from("192.0.2.2", &wrong), 401, "another address");
    assert_eq!((from("192.0.2.1", &text), from("192.0.2.2", &text)), (200, 200), "the key itself is not locked out");
}
