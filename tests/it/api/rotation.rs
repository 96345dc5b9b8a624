//! Rotation: a new secret under the same id.

use serde_json::json;

use crate::support::check::{problem, wrong_field};
use crate::support::{Key, Place, Server, database, eventually, jwt, now};

fn rotate(server: &Server, key: &Key, body: &serde_json::Value) -> Key {
    let rotated = server.change("POST", &format!("{}/rotate", key.id), body);
    assert_eq!(rotated["id"], key.id.as_str());
    Key { id: key.id.clone(), text: rotated["secret"].as_str().unwrap().to_owned() }
}

#[test]
fn old_secret_stops_working_without_grace() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let token = server.token(&key, &[]);
    let new = rotate(&server, &key, &json!({}));
    problem(&server.me(&token), 401, "API_KEY_INVALID");
    problem(&server.me(&key.text), 401, "API_KEY_INVALID");
    server.exchange(&key.text, &[]).expect(401);
    assert_ne!(new.secret(), key.secret());
    server.me(&server.token(&new, &[])).expect(200);
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert!(shown["rotated_at"].is_string() && shown["version"] == 2 && shown.get("secret").is_none());
    assert!(
        new.text.ends_with(&shown["hint"].as_str().unwrap()[6..]),
        "the hint is the new secret's: {}",
        shown["hint"]
    );
}

#[test]
fn old_secret_works_until_grace_ends() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let before = server.token(&key, &[]);
    let end = now() + 4;
    let new = rotate(&server, &key, &json!({ "grace_seconds": 3 }));
    let answer = server.exchange(&key.text, &[]).expect(200);
    let claims = jwt::part(answer["access_token"].as_str().unwrap(), 1);
    assert!(claims["exp"].as_i64().unwrap() <= end, "a token of the old secret ends with its grace");
    assert!(answer["expires_in"].as_i64().unwrap() <= 4);
    assert_eq!(server.exchange(&new.text, &[]).expect(200)["expires_in"], 600);
    let dead = eventually("the end of the grace", || Some(server.exchange(&key.text, &[])).filter(|a| a.status != 200));
    assert_eq!(dead.expect(401)["code"], "API_KEY_INVALID");
    assert!(now() >= end - 2, "not before the grace was over");
    server.exchange(&new.text, &[]).expect(200);
    eventually("the end of earlier tokens", || (server.me(&before).status == 401).then_some(()));
    eventually("nothing left of the old secret", || {
        let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
        shown["previous_secret_until"].is_null().then_some(())
    });
}

#[test]
fn second_rotation_with_grace_conflicts() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let new = rotate(&server, &key, &json!({ "grace_seconds": 600 }));
    let again = server.api("POST", &format!("keys/{}/rotate", key.id)).json(&json!({ "grace_seconds": 600 })).send();
    problem(&again, 409, "CONFLICT");
    server.exchange(&key.text, &[]).expect(200);
    let last = rotate(&server, &key, &json!({}));
    server.exchange(&key.text, &[]).expect(401);
    server.exchange(&new.text, &[]).expect(401);
    server.exchange(&last.text, &[]).expect(200);
}

#[test]
fn ending_the_grace_stops_the_previous_secret_and_its_tokens() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let before = server.token(&key, &[]);
    let new = rotate(&server, &key, &json!({ "grace_seconds": 600 }));
    let (previous, current) = (server.token(&key, &[]), server.token(&new, &[]));
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    let hint = shown["previous_secret_hint"].as_str().unwrap();
    assert!(key.text.ends_with(&hint[hint.len() - 4..]) && hint != shown["hint"], "{hint}");
    let path = format!("{}/end-grace", key.id);
    let ended = server.change("POST", &path, &json!({}));
    assert_eq!((&ended["previous_secret_until"], &ended["version"]), (&json!(null), &json!(3)));
    for token in [&before, &previous] {
        problem(&server.me(token), 401, "API_KEY_INVALID");
        assert_eq!(server.get("/verify").bearer(token).send().status, 401);
    }
    server.exchange(&key.text, &[]).expect(401);
    server.me(&current).expect(200);
    server.exchange(&new.text, &[]).expect(200);
    // Idempotent: no other version, no other entry.
    assert_eq!(server.change("POST", &path, &json!({}))["version"], 3);
    let trail = server.api("GET", &format!("audit?subject={}&action=key.end-grace", key.id)).send().expect(200);
    assert_eq!(trail["items"].as_array().unwrap().len(), 1);
    assert!(trail["items"][0]["old"]["previous_secret_until"].is_string());
    let stale = server.api("POST", &format!("keys/{path}")).header("If-Match", "\"2\"").send();
    assert_eq!(stale.status, 412);
    // A third secret is not needed: the next rotation may have a grace period again.
    rotate(&server, &new, &json!({ "grace_seconds": 600 }));
}

#[test]
fn grace_is_extended_within_the_policy_and_the_expiry() {
    let server = Server::start();
    server.api("PUT", "policy").json(&json!({ "max_grace_seconds": 7200 })).send().expect(200);
    let key = server.make(&json!({ "expires_in_seconds": 5000 }));
    let path = format!("{}/extend-grace", key.id);
    let extend =
        |seconds: i64| server.api("POST", &format!("keys/{path}")).json(&json!({ "grace_seconds": seconds })).send();
    problem(&extend(600), 409, "CONFLICT");
    rotate(&server, &key, &json!({ "grace_seconds": 600 }));
    let until = |shown: &serde_json::Value| {
        let end = shown["previous_secret_until"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        let rotated = shown["rotated_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        end - rotated
    };
    assert_eq!(until(&extend(3600).expect(200)), 3600, "counted from the rotation");
    let again = extend(3600).expect(200);
    assert_eq!((until(&again), &again["version"]), (3600, &json!(3)), "nothing to extend");
    assert!(wrong_field(&extend(3599), "grace_seconds").contains("must be at least 3600"));
    assert!(wrong_field(&extend(7201), "grace_seconds").contains("must be from 0 to 7200"));
    wrong_field(&extend(-1), "grace_seconds");
    assert_eq!(until(&extend(3600).expect(200)), 3600, "a wrong request changed nothing");
    let capped = until(&extend(7200).expect(200));
    assert!((4900..=5000).contains(&capped), "the key's expiry: {capped}");
    let body = server.api("POST", &format!("keys/{path}")).json(&json!({})).send();
    assert_eq!(body.status, 422);
    server.exchange(&key.text, &[]).expect(200);
    server.change("POST", &format!("{}/end-grace", key.id), &json!({}));
    problem(&extend(7200), 409, "CONFLICT");
    server.exchange(&key.text, &[]).expect(401);
}

#[test]
fn revoking_during_the_grace_ends_both_secrets() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let new = rotate(&server, &key, &json!({ "grace_seconds": 600 }));
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    server.exchange(&key.text, &[]).expect(401);
    server.exchange(&new.text, &[]).expect(401);
}

#[test]
fn a_rotation_may_set_name_and_expiry() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "before" }));
    let body = json!({ "name": "after", "expires_at": "2040-01-01T00:00:00Z" });
    let rotated = server.change("POST", &format!("{}/rotate", key.id), &body);
    assert_eq!(
        (rotated["name"].as_str(), rotated["expires_at"].as_str()),
        (Some("after"), Some("2040-01-01T00:00:00Z"))
    );
    let kept = server.change("POST", &format!("{}/rotate", key.id), &json!({}));
    assert_eq!((&kept["name"], &kept["expires_at"]), (&rotated["name"], &rotated["expires_at"]));
    let ended = server.change("POST", &format!("{}/rotate", key.id), &json!({ "expires_in_seconds": 100 }));
    let end: jiff::Timestamp = ended["expires_at"].as_str().unwrap().parse().unwrap();
    assert!((end.as_second() - now() - 100).abs() < 60);
}

#[test]
fn a_disabled_key_stays_disabled_when_it_is_rotated() {
    let server = Server::start();
    let key = server.make(&json!({}));
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    let new = rotate(&server, &key, &json!({}));
    server.exchange(&new.text, &[]).expect(403);
}

#[test]
fn one_of_two_concurrent_rotations_succeeds() {
    let server = Server::start();
    for _ in 0..10 {
        let key = server.make(&json!({}));
        let rotate = || server.api("POST", &format!("keys/{}/rotate", key.id)).header("If-Match", "\"1\"").send();
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(rotate);
            (rotate(), other.join().unwrap())
        });
        let (won, lost) = if one.status == 200 { (one, other) } else { (other, one) };
        let text = won.expect(200)["secret"].as_str().unwrap().to_owned();
        assert!(matches!(lost.status, 409 | 412), "{}", lost.text());
        assert!(!lost.text().contains("kt_"), "no second secret");
        server.exchange(&text, &[]).expect(200);
    }
}

/// Without `If-Match` the two may also come one after the other; then both succeed, and the last one counts.
#[test]
fn only_the_last_secret_works_after_concurrent_rotations() {
    let server = Server::start();
    let mut conflicts = 0;
    for _ in 0..10 {
        let key = server.make(&json!({}));
        let answers: Vec<_> = std::thread::scope(|scope| {
            let rotate = || server.api("POST", &format!("keys/{}/rotate", key.id)).send();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(rotate)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut won: Vec<_> =
            answers.iter().filter(|answer| answer.status == 200).map(|answer| answer.json()).collect();
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            problem(lost, 409, "CONFLICT");
            conflicts += 1;
        }
        won.sort_by_key(|key| key["version"].as_u64());
        let versions: Vec<u64> = won.iter().map(|key| key["version"].as_u64().unwrap()).collect();
        assert_eq!(versions, (2..2 + won.len() as u64).collect::<Vec<_>>(), "one after the other");
        let works = |key: &serde_json::Value| server.exchange(key["secret"].as_str().unwrap(), &[]).status == 200;
        let (last, earlier) = won.split_last().expect("one has succeeded");
        assert!(works(last) && !earlier.iter().any(works));
    }
    assert!(conflicts > 0, "forty rotations in ten races, and none was in another's way");
}

#[test]
fn the_policy_bounds_the_grace() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for grace in [30 * 86_400 + 1, 4_000_000_000i64, -1, i64::MIN, i64::MAX] {
        let body = json!({ "grace_seconds": grace });
        let answer = server.api("POST", &format!("keys/{}/rotate", key.id)).json(&body).send();
        let message = wrong_field(&answer, "grace_seconds");
        assert!(message.contains(" 0 to "), "{message}");
    }
    server.exchange(&key.text, &[]).expect(200);
    server.change("POST", &format!("{}/rotate", key.id), &json!({ "grace_seconds": 30 * 86_400 }));
}

#[test]
fn a_rotated_key_takes_the_prefix_of_the_policy() {
    let server = Place::on_sqlite().start();
    let key = server.make(&json!({}));
    let first = server.key.clone();
    let place = server.stop();
    database::execute(&place.database(), "UPDATE organizations SET policy = json_set(policy, '$.key_prefix', 'uspl')");
    let server = place.serve(first);
    let new = rotate(&server, &key, &json!({ "grace_seconds": 60 }));
    assert!(new.text.starts_with("uspl_") && key.text.starts_with("kt_"));
    server.exchange(&new.text, &[]).expect(200);
    server.exchange(&key.text, &[]).expect(200);
}
