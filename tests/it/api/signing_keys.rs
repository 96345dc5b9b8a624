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
fn without_notice_the_new_key_signs_at_once_and_old_tokens_stay_good() {
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
fn a_key_that_is_to_sign_at_once_does_not_wait_for_one_that_is_published() {
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
fn with_another_algorithm_one_key_type_is_published_at_a_time() {
    let server = Place::on_sqlite().start();
    let old = server.token(&server.key, &[]);
    let key = server.key.clone();
    let (listen, place) = (server.address.to_string(), server.stop());
    let server = place.set("KEYTURN_SERVER__LISTEN", listen).set("KEYTURN_TOKEN__ALGORITHM", "EdDSA").serve(key);
    assert_eq!(jwt::part(&server.token(&server.key, &[]), 0)["alg"], "ES256", "until it is rotated");
    let made = rotate(&server, &json!({}));
    assert_eq!((made["algorithm"].as_str(), made["status"].as_str()), (Some("EdDSA"), Some("current")));
    assert_eq!(field(&published(&server)["keys"], "alg"), ["EdDSA"]);
    jwt::verify(&server.token(&server.key, &[]), &published(&server));
    server.me(&old).expect(200);
}

#[test]
fn of_rotations_at_the_same_time_each_makes_one_key_or_is_told() {
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
fn a_key_that_is_old_enough_is_rotated_by_itself_and_published_ahead() {
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
