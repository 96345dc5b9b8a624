//! Signing keys: published ahead of their use, and kept for the tokens they have signed.
//!
//! On SQLite where one is to sign at once: with PostgreSQL it does so only when every node has heard of it.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::server::scope_list;
use crate::support::{Place, Server, database, field, jwt, now};

fn rotate(server: &Server, body: &Value) -> Value {
    server.api("POST", "signing-keys/rotate").json(body).send().expect(201)
}

fn published(server: &Server) -> Value {
    server.get("/.well-known/jwks.json").send().expect(200)
}

fn kid(token: &str) -> String {
    jwt::part(token, 0)["kid"].as_str().unwrap().to_owned()
}

#[test]
fn the_next_key_is_published_before_its_first_use() {
    let server = Server::start();
    let first = kid(&server.token(&server.key, &[]));
    let made = rotate(&server, &json!({}));
    assert_eq!((made["status"].as_str(), made["algorithm"].as_str()), (Some("next"), Some("ES256")));
    let from: jiff::Timestamp = made["active_from"].as_str().unwrap().parse().unwrap();
    assert!((from.as_second() - now() - 900).abs() < 60, "fifteen minutes");
    let kids: Vec<String> = field(&published(&server)["keys"], "kid").into_iter().map(str::to_owned).collect();
    assert!(kids.len() == 2 && kids.contains(&first) && kids.contains(&made["kid"].as_str().unwrap().to_owned()));
    assert_eq!(kid(&server.token(&server.key, &[])), first, "the old one signs on");
    problem(&server.api("POST", "signing-keys/rotate").json(&json!({})).send(), 409, "CONFLICT");
    let listed = server.api("GET", "signing-keys").send().expect(200);
    assert_eq!(field(&listed["items"], "status"), ["current", "next"]);
    assert!(!listed.to_string().contains("sealed") && listed["items"][0].get("pkcs8").is_none());
}

#[test]
fn old_tokens_stay_valid_after_immediate_rotation() {
    let server = Place::on_sqlite().start();
    let old = server.token(&server.key, &[]);
    for _ in 0..3 {
        let made = rotate(&server, &json!({ "publish_ahead_seconds": 0 }));
        assert_eq!(made["status"], "current");
        let new = server.token(&server.key, &[]);
        assert_eq!(kid(&new), made["kid"].as_str().unwrap());
        for token in [&old, &new] {
            jwt::verify(token, &published(&server));
            server.me(token).expect(200);
        }
    }
    let listed = server.api("GET", "signing-keys").send().expect(200);
    assert_eq!(field(&listed["items"], "status"), ["retired", "retired", "retired", "current"]);
    assert_eq!(published(&server)["keys"].as_array().unwrap().len(), 4);
}

#[test]
fn immediate_rotation_skips_the_published_key() {
    let server = Place::on_sqlite().start();
    let pending = rotate(&server, &json!({ "publish_ahead_seconds": 900 }));
    problem(&server.api("POST", "signing-keys/rotate").json(&json!({})).send(), 409, "CONFLICT");
    let urgent = rotate(&server, &json!({ "publish_ahead_seconds": 0 }));
    assert_eq!((&pending["status"], &urgent["status"]), (&json!("next"), &json!("current")));
    let token = server.token(&server.key, &[]);
    assert_eq!(kid(&token), urgent["kid"].as_str().unwrap());
    server.claims(&token);
    assert!(
        field(&published(&server)["keys"], "kid").contains(&pending["kid"].as_str().unwrap()),
        "it stays published"
    );
}

#[test]
fn rotated_keys_are_there_after_a_restart() {
    let server = Place::on_sqlite().start();
    let old = server.token(&server.key, &[]);
    let made = rotate(&server, &json!({ "publish_ahead_seconds": 0 }));
    let key = server.key.clone();
    let (listen, place) = (server.address.to_string(), server.stop());
    let server = place.set("KEYTURN_SERVER__LISTEN", listen).serve(key);
    assert_eq!(kid(&server.token(&server.key, &[])), made["kid"].as_str().unwrap());
    jwt::verify(&old, &published(&server));
    server.me(&old).expect(200);
}

#[test]
fn algorithm_in_the_configuration_is_for_new_organizations() {
    let server = Place::on_sqlite().start();
    let key = server.key.clone();
    let (listen, place) = (server.address.to_string(), server.stop());
    let server = place.set("KEYTURN_SERVER__LISTEN", listen).set("KEYTURN_TOKEN__ALGORITHM", "EdDSA").serve(key);
    let made = rotate(&server, &json!({ "publish_ahead_seconds": 0 }));
    assert_eq!((made["algorithm"].as_str(), made["status"].as_str()), (Some("ES256"), Some("current")));
    assert_eq!(jwt::part(&server.token(&server.key, &[]), 0)["alg"], "ES256");
    let acme = json!({ "slug": "acme", "owner_email": "boss@acme.example", "api_key": true });
    let made = server.request("POST", "/api/v1/organizations").bearer(&server.key.text).json(&acme).send().expect(201);
    let secret = made["api_key"]["secret"].as_str().unwrap();
    for list in ["apis", "signing-keys"] {
        let listed = server.get(&format!("/api/v1/organizations/acme/{list}")).bearer(secret).send().expect(200);
        assert_eq!(field(&listed["items"], "algorithm"), ["EdDSA"], "{list}");
    }
}

#[test]
fn each_algorithm_is_rotated_on_its_own() {
    let server = Place::on_sqlite().start();
    let api =
        json!({ "name": "aws", "audience": "https://aws.example", "algorithm": "RS256", "scopes": [{ "scope": "x" }] });
    server.api("POST", "apis").json(&api).send().expect(201);
    let key = server.make(&json!({ "scopes": ["read"], "apis": [{ "api": "aws", "scopes": ["x"] }] }));
    let token = |resource: &str| server.token(&key, &[("resource", resource)]);
    let (of_default, of_aws) = (token(&server.public_url), token("https://aws.example"));
    let made = rotate(&server, &json!({ "algorithm": "RS256", "publish_ahead_seconds": 0 }));
    assert_eq!((made["algorithm"].as_str(), made["status"].as_str()), (Some("RS256"), Some("current")));
    assert_eq!(kid(&token(&server.public_url)), kid(&of_default));
    assert_eq!(kid(&token("https://aws.example")), made["kid"].as_str().unwrap());
    jwt::verify(&of_aws, &published(&server));

    // A leaked key takes only the tokens of its algorithm with it.
    let made = rotate(&server, &json!({ "algorithm": "RS256", "retire_now": true }));
    assert_eq!(server.get("/verify").bearer(&of_aws).send().status, 401);
    assert_eq!(server.get("/verify").bearer(&of_default).send().status, 200);
    assert_eq!(kid(&token("https://aws.example")), made["kid"].as_str().unwrap());
    let listed = server.api("GET", "signing-keys").send().expect(200);
    assert_eq!(field(&listed["items"], "algorithm"), ["ES256", "RS256"]);

    let unused = server.api("POST", "signing-keys/rotate").json(&json!({ "algorithm": "EdDSA" })).send();
    assert!(wrong_field(&unused, "algorithm").contains("no API has tokens signed with EdDSA"));
    let unknown = server.api("POST", "signing-keys/rotate").json(&json!({ "algorithm": "HS256" })).send();
    assert!(wrong_field(&unknown, "algorithm").contains("ES256 or EdDSA or RS256"));
}

#[test]
fn concurrent_rotations_create_one_key_each_or_fail() {
    let server = Server::start();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let rotate = || server.api("POST", "signing-keys/rotate").json(&json!({})).send();
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(rotate)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        problem(answer, 409, "CONFLICT");
    }
    assert_eq!(published(&server)["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn the_time_ahead_has_bounds() {
    let server = Server::start();
    for seconds in [-1, 86_401, i64::MAX] {
        let body = json!({ "publish_ahead_seconds": seconds });
        let answer = server.api("POST", "signing-keys/rotate").json(&body).send();
        assert!(wrong_field(&answer, "publish_ahead_seconds").contains("0 to 86400"));
    }
    let body = json!({ "publish_ahead_seconds": "0" });
    wrong_field(&server.api("POST", "signing-keys/rotate").json(&body).send(), "publish_ahead_seconds");
    assert_eq!(published(&server)["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn old_keys_are_rotated_automatically() {
    let place = Place::on_sqlite().set("KEYTURN_SIGNING__ROTATE_EVERY_DAYS", 1);
    let founded = place.init(&[]);
    let two_days = 2 * 86_400_000i64;
    let statement =
        format!("UPDATE signing_keys SET created_at = created_at - {two_days}, active_from = active_from - {two_days}");
    database::execute(&place.database(), &statement);
    let server = place.serve(founded.key);
    let listed = crate::support::eventually_within(60, "the next key", || {
        let listed = server.api("GET", "signing-keys").send().expect(200);
        (listed["items"].as_array().unwrap().len() == 2).then_some(listed)
    });
    assert_eq!(field(&listed["items"], "status"), ["current", "next"]);
    assert_eq!(published(&server)["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn signing_keys_are_for_those_who_hold_their_scopes() {
    let server = Server::start();
    let reader = server.make(&json!({ "scopes": scope_list("read:keyturn/signing-keys *:keyturn/keys *:*") }));
    server.api_as(&reader.text, "GET", "signing-keys").send().expect(200);
    let answer = server.api_as(&reader.text, "POST", "signing-keys/rotate").json(&json!({})).send();
    problem(&answer, 403, "INSUFFICIENT_SCOPE");
}

#[test]
fn at_most_eight_keys_have_not_expired() {
    let server = Place::on_sqlite().start();
    for _ in 0..7 {
        rotate(&server, &json!({ "publish_ahead_seconds": 0 }));
    }
    let refused = server.api("POST", "signing-keys/rotate").json(&json!({ "publish_ahead_seconds": 0 })).send();
    problem(&refused, 409, "CONFLICT");
    assert_eq!(published(&server)["keys"].as_array().unwrap().len(), 8);
    // A leaked key is replaced all the same, and a deleted one makes room.
    rotate(&server, &json!({ "retire_now": true }));
    let listed = server.api("GET", "signing-keys").send().expect(200);
    let oldest = listed["items"][0]["kid"].as_str().unwrap();
    assert_eq!(server.api("DELETE", &format!("signing-keys/{oldest}")).send().status, 204);
    rotate(&server, &json!({ "publish_ahead_seconds": 0 }));
    server.me(&server.token(&server.key, &[])).expect(200);
}

#[test]
fn deleting_a_key_invalidates_verified_tokens() {
    let server = Place::on_sqlite().start();
    let (seen, unseen) = (server.token(&server.key, &[]), server.token(&server.key, &[]));
    server.me(&seen).expect(200);
    server.get("/verify").bearer(&seen).send();
    let made = rotate(&server, &json!({ "retire_now": true }));
    assert_eq!(made["status"], "current");
    for token in [&seen, &unseen] {
        assert_eq!(server.me(token).status, 401);
        assert_eq!(server.get("/verify").bearer(token).send().status, 401);
        let introspection = server.request("POST", "/oauth/introspect").basic(&server.key.id, &server.key.text);
        assert_eq!(introspection.form(&[("token", token)]).send().expect(200), json!({ "active": false }));
    }
    assert_eq!(field(&published(&server)["keys"], "kid"), [made["kid"].as_str().unwrap()]);
    server.me(&server.token(&server.key, &[])).expect(200);
    let audit = server.api("GET", "audit?action=signing-key.delete").send().expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}

#[test]
fn retiring_leaves_no_time_for_publication() {
    let server = Server::start();
    let body = json!({ "retire_now": true, "publish_ahead_seconds": 900 });
    let answer = server.api("POST", "signing-keys/rotate").json(&body).send();
    assert!(wrong_field(&answer, "publish_ahead_seconds").contains("retire_now"));
    problem(&server.api("DELETE", "signing-keys/unknown").send(), 404, "NOT_FOUND");
}

#[test]
fn clock_that_was_ahead_loses_no_key_or_revocation() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let (good, revoked) = (server.token(&server.key, &[]), server.token(&server.key, &[]));
    let revoke = server.request("POST", "/oauth/revoke").basic(&server.key.id, &server.key.text);
    revoke.form(&[("token", &revoked)]).send().expect(200);
    let (key, listen, mut place) = (server.key.clone(), server.address.to_string(), server.stop());
    place = place.set("KEYTURN_SERVER__LISTEN", listen);
    let library = crate::nodes::clocks::libfaketime().display().to_string();
    // Far enough for the next signing key to be created, then for the first one and the revocation to have expired, then
    // for the one after the next.
    for ahead in ["+100d", "+8650800s", "+200d"] {
        let wrong = place.set("LD_PRELOAD", &library).set("FAKETIME", ahead).set("DONT_FAKE_MONOTONIC", 1);
        let server = wrong.serve(key.clone());
        crate::support::eventually("a token", || (server.exchange(&key.text, &[]).status == 200).then_some(()));
        place = server.stop().unset("LD_PRELOAD").unset("FAKETIME");
    }
    let server = place.serve(key.clone());
    let token = server.token(&key, &[]);
    jwt::verify(&token, &published(&server));
    server.me(&token).expect(200);
    server.me(&good).expect(200);
    assert_eq!(server.me(&revoked).status, 401, "revoked before the clock was ahead");
    rotate(&server, &json!({ "publish_ahead_seconds": 0 }));
    let token = server.token(&key, &[]);
    server.me(&token).expect(200);
}
