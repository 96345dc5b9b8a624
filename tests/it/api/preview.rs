//! `POST …/keys/{id}/token-preview`.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::jwt;
use crate::support::server::{Key, Server};
use crate::support::{Answer, field};

const ORDERS: &str = "https://orders.example.com";
const BILLING: &str = "https://billing.example.com";

fn preview(server: &Server, key: &Key, body: &Value) -> Value {
    server.api("POST", &format!("keys/{}/token-preview", key.id)).json(body).send().expect(200)
}

/// Two APIs with plain scopes, one of them with its own lifetime and type, and a key for both and the default one.
fn start() -> (Server, Key) {
    let server = Server::start();
    let api = |body: &Value| server.api("POST", "apis").json(body).send().expect(201);
    let scopes = json!([{ "scope": "orders.read" }, { "scope": "orders.write" }, { "scope": "shared.read" }]);
    api(
        &json!({ "name": "orders", "audience": ORDERS, "scopes": scopes, "token_typ": "JWT", "token_ttl_seconds": 120 }),
    );
    let scopes = json!([{ "scope": "bills.read" }, { "scope": "shared.read" }]);
    api(&json!({ "name": "billing", "audience": BILLING, "scopes": scopes, "token_typ": "JWT" }));
    let key = json!({
        "name": "shop",
        "apis": [
            { "api": "default", "scopes": ["read:a/*", "write"] },
            { "api": "orders", "scopes": ["orders.read", "orders.write", "shared.read"] },
            { "api": "billing", "scopes": ["bills.read", "shared.read"] },
        ],
        "allowed_cidrs": ["127.0.0.0/8", "10.0.0.0/8"],
        "expires_in_seconds": 7200,
    });
    let made = server.api("POST", "keys").json(&key).send().expect(201);
    let key = Key { id: made["id"].as_str().unwrap().into(), text: made["secret"].as_str().unwrap().into() };
    (server, key)
}

/// The form of a preview request.
fn form<'a>(body: &'a Value, secret: &'a str) -> Vec<(&'static str, &'a str)> {
    let of = |name: &'static str| {
        let texts = body[name].as_array().map(Vec::as_slice).unwrap_or_default();
        texts.iter().map(move |text| (name, text.as_str().unwrap()))
    };
    let scope = body["scope"].as_str().map(|scope| ("scope", scope));
    let grant = [("grant_type", "client_credentials"), ("client_secret", secret)];
    grant.into_iter().chain(scope).chain(of("resource")).chain(of("audience")).collect()
}

fn exchange(server: &Server, body: &Value, secret: &str) -> Answer {
    server.request("POST", "/oauth/token").form(&form(body, secret)).send()
}

#[test]
fn preview_has_every_member_of_the_exchanged_token() {
    let (server, key) = start();
    let requests = [
        json!({}),
        json!({ "scope": "read:a/b" }),
        json!({ "scope": "read:a/b write:x" }),
        json!({ "scope": "" }),
        json!({ "scope": "orders.write" }),
        json!({ "resource": [ORDERS] }),
        json!({ "audience": [BILLING], "scope": "bills.read" }),
        json!({ "resource": ["HTTPS://ORDERS.example.com/"], "scope": "orders.read" }),
        json!({ "resource": [ORDERS, BILLING, ORDERS] }),
        json!({ "resource": [ORDERS], "audience": [BILLING], "scope": "shared.read" }),
    ];
    for body in requests {
        let previewed = preview(&server, &key, &body);
        let answer = exchange(&server, &body, &key.text).expect(200);
        let token = answer["access_token"].as_str().unwrap();
        let (mut payload, mut expected) = (previewed["payload"].clone(), jwt::part(token, 1));
        assert_eq!(payload["jti"], "preview", "a placeholder");
        assert_eq!(previewed["header"], jwt::part(token, 0), "{body}");
        let life = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!((life(&payload), &previewed["expires_in"]), (life(&expected), &answer["expires_in"]), "{body}");
        let names = |claims: &Value| claims.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&payload), names(&expected), "{body}");
        for name in ["iat", "exp", "jti"] {
            payload[name] = Value::Null;
            expected[name] = Value::Null;
        }
        assert_eq!(payload, expected, "{body}");
    }
}

#[test]
fn refusal_is_that_of_the_token_endpoint() {
    let (server, key) = start();
    let requests = [
        json!({ "scope": "read:b" }),
        json!({ "scope": "delete:a" }),
        json!({ "scope": "read:a/../b" }),
        json!({ "resource": ["https://nowhere.example"] }),
        json!({ "resource": [ORDERS, server.claims(&server.token(&key, &[]))["aud"]] }),
        json!({ "resource": [ORDERS], "scope": "bills.read" }),
    ];
    for body in requests {
        let refusal = preview(&server, &key, &body)["refusal"].clone();
        let answer = exchange(&server, &body, &key.text);
        let expected: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(refusal["status"], answer.status, "{body}");
        for name in ["error", "code", "error_description"] {
            assert_eq!(refusal[name], expected[name], "{body}");
        }
    }
    let hint = |body: &Value| preview(&server, &key, body)["refusal"]["hint"].as_str().unwrap().to_owned();
    assert_eq!(
        hint(&json!({ "resource": [ORDERS], "scope": "bills.read" })),
        "scopes of the key for orders: orders.read orders.write shared.read"
    );
    assert!(
        hint(&json!({ "resource": ["https://nowhere.example"] })).ends_with(&format!("{BILLING}, {ORDERS}")),
        "granted audiences"
    );
}

#[test]
fn state_and_network_of_the_key_are_checked() {
    let (server, key) = start();
    let code = |body: &Value| preview(&server, &key, body)["refusal"]["code"].clone();
    assert_eq!(code(&json!({ "address": "192.0.2.1" })), "API_KEY_IP_NOT_ALLOWED");
    assert_eq!(code(&json!({ "address": "::ffff:10.1.2.3" })), Value::Null, "no refusal");
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    assert_eq!(code(&json!({})), "API_KEY_DISABLED");
    server.change("POST", &format!("{}/enable", key.id), &json!({}));
    server.api("POST", &format!("keys/{}/revoke", key.id)).json(&json!({})).send().expect(200);
    assert_eq!(code(&json!({})), exchange(&server, &json!({}), &key.text).expect(401)["code"]);
}

#[test]
fn previous_secret_is_previewed_within_its_grace_period() {
    let (server, key) = start();
    let previous = json!({ "secret": "previous" });
    let refusal = preview(&server, &key, &previous)["refusal"].clone();
    assert_eq!(
        (refusal["code"].as_str(), refusal["error"].as_str()),
        (Some("API_KEY_INVALID"), Some("invalid_client"))
    );
    assert_eq!(refusal["hint"], "the key has no previous secret in a grace period");
    let rotated = server.change("POST", &format!("{}/rotate", key.id), &json!({ "grace_seconds": 60 }));
    for (body, secret) in [(&previous, key.text.as_str()), (&json!({}), rotated["secret"].as_str().unwrap())] {
        let previewed = preview(&server, &key, body);
        let answer = exchange(&server, &json!({}), secret).expect(200);
        let claims = jwt::part(answer["access_token"].as_str().unwrap(), 1);
        assert_eq!(
            (&previewed["payload"]["sv"], &previewed["payload"]["gen"]),
            (&claims["sv"], &claims["gen"]),
            "{body}"
        );
    }
    let life = preview(&server, &key, &previous)["expires_in"].as_i64().unwrap();
    assert!((1..=60).contains(&life), "the token ends with the grace period, after {life} s");
}

#[test]
fn nothing_is_counted_as_used() {
    let (server, key) = start();
    preview(&server, &key, &json!({}));
    preview(&server, &key, &json!({ "scope": "read:b" }));
    let used = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!(used["last_used_at"], Value::Null);
    // An exchange is counted, and so would be a use before it.
    exchange(&server, &json!({}), &key.text).expect(200);
    let totals = crate::support::eventually("the exchange is counted", || {
        let usage = server.api("GET", &format!("keys/{}/usage", key.id)).send().expect(200);
        (usage["totals"]["exchanges"] != 0).then(|| usage["totals"].clone())
    });
    assert_eq!(totals["exchanges"], 1);
    assert!(totals["denials"].as_object().unwrap().values().all(|count| *count == 0), "{totals}");
}

#[test]
fn views_say_who_accepts_the_token() {
    let (server, key) = start();
    let views = |body: &Value| preview(&server, &key, body)["views"].clone();
    let plain = views(&json!({ "resource": [ORDERS], "scope": "orders.read" }));
    assert_eq!(
        field(&plain, "validator"),
        ["spring_security", "express_oauth2_jwt_bearer", "envoy_jwt_authn", "aws_api_gateway"]
    );
    let accepts = |views: &Value| {
        views.as_array().unwrap().iter().map(|view| view["accepts"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(accepts(&plain), [true, true, true, false], "ES256 and JWT");
    assert_eq!(plain[0]["sees"], json!([{ "name": "authorities", "values": ["SCOPE_orders.read"] }]));
    assert_eq!(plain[1]["sees"], json!([{ "name": "requiredScopes", "values": ["orders.read"] }]));
    assert_eq!(plain[2]["settings"][1], json!({ "name": "audiences", "values": [ORDERS] }));
    assert!(plain[3]["refusals"][0].as_str().unwrap().contains("ES256"));
    let default = views(&json!({}));
    assert_eq!(accepts(&default), [false, true, true, false], "ES256 and at+jwt");
    assert!(default[0]["refusals"][0].as_str().unwrap().contains("at+jwt"));
}

#[test]
fn invalid_requests_name_the_field() {
    let (server, key) = start();
    let send = |body: &Value| server.api("POST", &format!("keys/{}/token-preview", key.id)).json(body).send();
    assert_eq!(wrong_field(&send(&json!({ "secret": "next" })), "secret"), "must be current or previous");
    wrong_field(&send(&json!({ "address": "nowhere" })), "address");
    problem(&send(&json!({ "scopes": [] })), 422, "VALIDATION_FAILED");
}
