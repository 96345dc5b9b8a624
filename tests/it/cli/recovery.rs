//! `keyturn members reset-password`: access for somebody who has lost every password and key.

use serde_json::{Value, json};

use crate::nodes::place_at;
use crate::support::person::try_sign_in;
use crate::support::postgres::Database;
use crate::support::{Person, Place, database};
use crate::webhooks::{Receiver, hook, permissive};

const RESET: [&str; 3] = ["members", "reset-password", "--email"];

fn reset(place: &Place, email: &str, more: &[&str]) -> crate::support::server::Ended {
    place.run(&[&RESET, &[email][..], more].concat())
}

#[test]
fn owner_gets_in_with_the_new_password() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let ended = reset(&place, "Owner@localhost", &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.contains("owner@localhost, owner of organization default"), "{}", ended.stdout);
    let password = ended.stdout.lines().find(|line| line.starts_with("  ")).unwrap().trim();
    assert!(password.len() >= 20);
    let server = place.serve(founded.key);
    assert_eq!(try_sign_in(&server, "default", &founded.email, &founded.password).status, 401);
    assert_eq!(try_sign_in(&server, "default", &founded.email, password).status, 201);
    let entry = &server.api("GET", "audit?action=member.change").send().expect(200)["items"][0];
    assert_eq!(entry["actor"], "keyturn");
    let new = json!({ "email": "owner@localhost", "role": "owner", "password": "reset", "source": "command line" });
    assert_eq!(entry["new"], new);
    assert!(!entry.to_string().contains(password));
    assert_eq!(server.run(&["audit", "verify"]).code, 0);
}

#[test]
fn running_nodes_end_the_sessions_and_send_the_event() {
    let database = Database::create();
    let receiver = Receiver::start();
    let place = permissive(place_at(&database.url()));
    let founded = place.init(&[]);
    let a = place.serve(founded.key.clone());
    let b = permissive(place_at(&database.url())).serve(founded.key);
    hook(&a, &receiver.url(), &["member.updated"]);
    let owner = Person::sign_in(&a, "default", &founded.email, &founded.password);
    assert!(owner.at(&b).is_signed_in());

    let ended = reset(&a, &founded.email, &["--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let password = printed["password"].as_str().unwrap();
    assert!(!owner.is_signed_in() && !owner.at(&b).is_signed_in());
    for node in [&a, &b] {
        assert_eq!(try_sign_in(node, "default", &founded.email, &founded.password).status, 401);
        assert_eq!(try_sign_in(node, "default", &founded.email, password).status, 201);
    }
    assert_eq!(receiver.await_count(1)[0].json()["type"], "member.updated");
}

#[test]
fn nothing_is_created_or_changed_without_a_member() {
    let place = Place::on_sqlite();
    assert!(reset(&place, "owner@localhost", &[]).refused(1).contains("keyturn init"));
    assert!(!place.path("data").exists());

    let founded = place.init(&[]);
    let before = database::contents(&place.database());
    let unknown = reset(&place, "root@localhost", &[]);
    assert!(unknown.refused(1).contains("its owners are owner@localhost"), "{}", unknown.stderr);
    let elsewhere = reset(&place, "owner@localhost", &["--organization", "acme"]);
    assert!(elsewhere.refused(1).contains("this database has: default"), "{}", elsewhere.stderr);
    assert_eq!(reset(&place, "owner@localhost", &["--organization", "A b"]).code, 2);
    assert_eq!(database::contents(&place.database()), before);

    let server = place.serve(founded.key);
    assert!(reset(&server, "owner@localhost", &[]).refused(1).contains("in use"));
    assert_eq!(try_sign_in(&server, "default", &founded.email, &founded.password).status, 201);
}
