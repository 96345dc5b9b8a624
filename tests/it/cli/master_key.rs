//! `keyturn master-key rotate`: everything goes on working under a new master key.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::support::check::oauth_error;
use crate::support::{Place, Server, database, jwt};

fn slow_checks(server: &Server) -> u64 {
    let text = server.get("/metrics").send().text();
    let line = text.lines().find_map(|line| line.strip_prefix("keyturn_argon2_checks_total "));
    line.expect("the metric").parse().unwrap()
}

#[test]
fn after_a_rotation_every_key_works_and_only_its_first_use_is_slow() {
    let server = Place::on_sqlite().start();
    let graced = server.make(&json!({}));
    let new = server.change("POST", &format!("{}/rotate", graced.id), &json!({ "grace_seconds": 600 }));
    let new = new["secret"].as_str().unwrap().to_owned();
    let gone = server.make(&json!({}));
    server.change("POST", &format!("{}/rotate", gone.id), &json!({}));
    let token = server.token(&server.key, &[]);
    let key = server.key.clone();
    let (listen, place) = (server.address.to_string(), server.stop());
    let before = fs::read_to_string(place.path("data/master.key")).unwrap();

    let ended = place.run(&["master-key", "rotate"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let after = fs::read_to_string(place.path("data/master.key")).unwrap();
    let old_key = before.lines().last().unwrap();
    assert!(!after.contains(old_key) && !ended.stdout.contains(old_key));
    assert!(!ended.stdout.contains(after.lines().last().unwrap()));
    assert_eq!(fs::metadata(place.path("data/master.key")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(place.path("data"))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("master.key") })
            .count(),
        1,
        "no copy is left behind"
    );

    let server = place.set("KEYTURN_SERVER__LISTEN", listen).serve(key);
    assert_eq!(slow_checks(&server), 0);
    jwt::verify(&token, &server.get("/.well-known/jwks.json").send().expect(200));
    server.me(&token).expect(200);
    for (text, count) in [(&server.key.text, 1), (&server.key.text, 1), (&new, 2), (&new, 2)] {
        server.exchange(text, &[]).expect(200);
        assert_eq!(slow_checks(&server), count);
    }
    server.exchange(&graced.text, &[]).expect(200);
    let count = slow_checks(&server);
    server.exchange(&graced.text, &[]).expect(200);
    assert_eq!(slow_checks(&server), count);
    server.exchange(&gone.text, &[]).expect(401);
    let key = server.key.clone();
    let server = server.stop().serve(key);
    server.exchange(&new, &[]).expect(200);
    assert_eq!(slow_checks(&server), 0, "the fast verifier is in the store");
}

#[test]
fn many_first_uses_of_one_key_cost_one_slow_check() {
    let server = Place::on_sqlite().start();
    let key = server.key.clone();
    server.token(&key, &[]);
    // The Argon2id string is computed after the secret was used.
    crate::support::eventually("the Argon2id string", || {
        let verifiers = database::column(&server.path("data/keyturn.db"), "SELECT secret_phc FROM api_keys");
        verifiers[0].starts_with("$argon2id$").then_some(())
    });
    let place = server.stop();
    assert_eq!(place.run(&["master-key", "rotate"]).code, 0);
    let server = place.serve(key);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(|| server.exchange(&server.key.text, &[]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().any(|answer| answer.status == 200));
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        oauth_error(answer, 503, "temporarily_unavailable", "UNAVAILABLE");
        assert!(answer.header("retry-after").is_some(), "too many wait already");
    }
    server.token(&server.key, &[]);
    assert_eq!(slow_checks(&server), 1);
}

#[test]
fn a_master_key_in_use_is_not_rotated() {
    let server = Place::on_sqlite().start();
    let before = fs::read(server.path("data/master.key")).unwrap();
    assert!(server.run(&["master-key", "rotate"]).refused(1).contains("in use"));
    assert_eq!(fs::read(server.path("data/master.key")).unwrap(), before);
    server.token(&server.key, &[]);
}

#[test]
fn without_a_database_there_is_nothing_to_rotate() {
    let place = Place::on_sqlite();
    assert!(place.run(&["master-key", "rotate"]).refused(1).contains("keyturn init"));
    assert!(!place.path("data").exists());
}

#[test]
fn a_retired_master_key_behind_the_current_one_still_opens_what_it_sealed() {
    let (one, two) = ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    let place = Place::on_sqlite().unset("KEYTURN_SECRETS__MASTER_KEY_FILE").set("KEYTURN_SECRETS__MASTER_KEY", one);
    let key = place.init(&[]).key;
    let place = place.set("KEYTURN_SECRETS__MASTER_KEY", two);
    assert!(place.run(&["serve"]).refused(1).contains("master key"));
    let server = place.set("KEYTURN_SECRETS__MASTER_KEY", format!("{two},{one}")).serve(key.clone());
    server.token(&server.key, &[]);
    assert_eq!(slow_checks(&server), 0, "both peppers are held");
    let server = server.stop().set("KEYTURN_SECRETS__MASTER_KEY", two).serve(key);
    server.token(&server.key, &[]);
}
