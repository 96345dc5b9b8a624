//! `keyturn init`.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::support::{Place, database};

#[test]
fn init_says_once_all_that_is_needed_and_it_works() {
    let place = Place::on_sqlite().set("KEYTURN_SERVER__LISTEN", "127.0.0.1:8080");
    let ended = place.run(&["init", "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let said: Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = |pointer: &str| said.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let expected = json!({
        "organization": "default",
        "issuer": "http://127.0.0.1:8080",
        "console": {
            "url": "http://127.0.0.1:8080/console", "email": "owner@localhost", "password": text("/console/password"),
        },
        "api_key": { "client_id": text("/api_key/client_id"), "client_secret": text("/api_key/client_secret") },
    });
    assert_eq!(said, expected);
    assert!(text("/console/password").len() >= 20);
    assert!(text("/api_key/client_secret").starts_with(&format!("kt_{}_", text("/api_key/client_id"))));

    let key = fs::metadata(place.path("data/master.key")).unwrap();
    assert_eq!(key.mode() & 0o777, 0o600);
    let place = place.set("KEYTURN_SERVER__LISTEN", "127.0.0.1:0");
    let key = crate::support::Key { id: text("/api_key/client_id"), text: text("/api_key/client_secret") };
    let server = place.serve(key);
    server.token(&server.key, &[]);
    assert!(!server.stdout().contains(&server.key.text), "shown once");
}

#[test]
fn init_for_people_prints_a_line_that_works_when_pasted() {
    let place = Place::on_sqlite();
    let ended = place.run(&["init"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let line = ended.stdout.lines().find(|line| line.trim().starts_with("curl ")).unwrap();
    let pair = line.split('\'').nth(1).unwrap();
    let (id, text) = pair.split_once(':').unwrap();
    let server = place.serve(crate::support::Key { id: id.into(), text: text.into() });
    let answer = server.token_request().form_text("grant_type=client_credentials").basic(id, text).send();
    answer.expect(200);
}

#[test]
fn init_of_an_organization_that_there_is_changes_nothing() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let key = fs::read(place.path("data/master.key")).unwrap();
    let before = database::contents(&place.database());
    for arguments in [&["init"][..], &["init", "--json"], &["init", "--organization", "default", "--email", "x@y"]] {
        let ended = place.run(arguments);
        assert!(ended.refused(2).contains("default"));
    }
    assert_eq!(database::contents(&place.database()), before);
    assert_eq!(fs::read(place.path("data/master.key")).unwrap(), key);

    let server = place.serve(founded.key);
    server.run(&["init", "--json"]).refused(2);
    let ended = server.run(&["init", "--json", "--organization", "acme"]);
    assert!(ended.refused(1).contains("in use"));
    server.token(&server.key, &[]);
}

#[test]
fn init_refuses_what_cannot_be_a_slug_or_a_login_and_makes_nothing() {
    let long = "x".repeat(41);
    for arguments in [
        ["--organization", ""],
        ["--organization", "Acme"],
        ["--organization", "a/b"],
        ["--organization", "../a"],
        ["--organization", &long],
        ["--email", "nobody"],
        ["--email", "a@b\n"],
        ["--email", ""],
    ] {
        let place = Place::on_sqlite();
        let ended = place.run(&[&["init"], &arguments[..]].concat());
        assert!(ended.refused(2).contains(arguments[0]));
        assert!(!place.path("data").exists(), "{arguments:?}");
    }
}
