//! `keyturn keys …`: every change goes through the API of the running server.

use serde_json::Value;

use crate::support::server::Ended;
use crate::support::{Server, field};

/// Runs `keyturn keys` against a server as its first key.
fn keys(server: &Server, arguments: &[&str]) -> Ended {
    let mut command = server.command(&[&["keys"], arguments].concat());
    command.env("KEYTURN_SERVER", &server.public_url).env("KEYTURN_API_KEY", &server.key.text);
    Ended::of(command)
}

#[track_caller]
fn done(server: &Server, arguments: &[&str]) -> Value {
    let ended = keys(server, &[arguments, &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn white_space_around_the_credential_is_ignored() {
    let server = Server::start();
    let list = |name: &str, value: &str| {
        let mut command = server.command(&["keys", "list", "--json"]);
        Ended::of({
            command.env("KEYTURN_SERVER", &server.public_url).env(name, value);
            command
        })
    };
    let (text, token) = (&server.key.text, server.token(&server.key, &[("scope", "read:keyturn/keys")]));
    for value in [format!("{text}\n"), format!(" \t{text}\r\n")] {
        assert_eq!(list("KEYTURN_API_KEY", &value).code, 0);
    }
    let audience = server.claims(&token);
    assert_eq!(list("KEYTURN_TOKEN", &format!("{token}\n")).code, 0, "{audience}");
    for (value, fault) in [
        (format!("\"{text}\""), "contains a quotation mark"),
        (format!("{text}\u{200b}"), "contains a non-ASCII character"),
        (text[..text.len() - 3].to_owned(), "is too short or too long"),
    ] {
        let ended = list("KEYTURN_API_KEY", &value);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("KEYTURN_API_KEY") && ended.stderr.contains(fault), "{}", ended.stderr);
        assert!(!ended.stderr.contains(&text[25..60]), "{}", ended.stderr);
    }
}

#[test]
fn a_key_lives_its_whole_life_on_the_command_line() {
    let server = Server::start();
    let made = done(
        &server,
        &[
            "create",
            "--name",
            "billing",
            "--description",
            "nightly",
            "--scope",
            "read:invoices/*",
            "--scope",
            "write",
            "--cidr",
            "127.0.0.0/8",
            "--expires-in-seconds",
            "3600",
        ],
    );
    let (id, text) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(server.exchange(text, &[]).expect(200)["scope"], "read:invoices/* write");
    assert_eq!((made["name"].as_str(), made["description"].as_str()), (Some("billing"), Some("nightly")));
    assert_eq!(done(&server, &["show", id])["id"], id);

    let rotated = done(&server, &["rotate", id, "--name", "renamed", "--grace-seconds", "60"]);
    server.exchange(text, &[]).expect(200);
    let text = rotated["secret"].as_str().unwrap();
    assert_eq!(rotated["name"], "renamed");
    assert_eq!(done(&server, &["disable", id])["status"], "disabled");
    server.exchange(text, &[]).expect(403);
    assert_eq!(done(&server, &["enable", id])["status"], "active");
    server.exchange(text, &[]).expect(200);
    assert_eq!(done(&server, &["revoke", id, "--reason", "over"])["revoked_reason"], "over");
    server.exchange(text, &[]).expect(401);
}

#[test]
fn lists_hold_every_page_and_show_no_secret() {
    let server = Server::start();
    for n in 0..210 {
        server.make(&serde_json::json!({ "name": format!("key {n}") }));
    }
    let ended = keys(&server, &["list", "--json"]);
    assert_eq!(ended.stdout.lines().count(), 211);
    let list: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut ids = field(&Value::Array(list.clone()), "id").into_iter().map(str::to_owned).collect::<Vec<_>>();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 211);
    let ended = keys(&server, &["list", "--search", "key 7", "--status", "active"]);
    assert_eq!(ended.code, 0);
    assert_eq!(ended.stdout.lines().filter(|line| line.contains("key 7")).count(), 11);
    assert!(!ended.stdout.contains("key 80"));
}

#[test]
fn for_people_a_key_is_shown_as_a_table_and_its_text_once() {
    let server = Server::start();
    let ended = keys(&server, &["create", "--name", "for people", "--scope", "read:a"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let text = ended.stdout.split_whitespace().find(|word| word.starts_with("kt_") && word.len() == 69).unwrap();
    server.exchange(text, &[]).expect(200);
    let shown = keys(&server, &["show", text.split('_').nth(1).unwrap()]);
    assert!(shown.stdout.contains("for people") && !shown.stdout.contains(text));
}

#[test]
fn a_refusal_is_one_line_with_its_code_and_field() {
    let server = Server::start();
    let unknown = "0000000000000000";
    for (arguments, said) in [
        (&["show", unknown][..], "NOT_FOUND"),
        (&["revoke", unknown], "NOT_FOUND"),
        (&["create", "--cidr", "10.0.0.1/8"], "allowed_cidrs[0]"),
        (&["create", "--scope", "read:a//b"], "scopes[0]"),
        (&["create", "--expires-in-seconds=-5"], "expires_in_seconds"),
        (&["create", "--expires-at", "10000-01-01T00:00:00Z"], "expires_at"),
        (&["list", "--status", "gone"], "status"),
    ] {
        let ended = keys(&server, arguments);
        assert!(ended.refused(1).contains(said), "{}", ended.stderr);
    }
    for arguments in
        [&["show", "../me"][..], &["rotate", "short"], &["create", "--expires-at", "x", "--expires-in-seconds", "1"]]
    {
        assert_eq!(keys(&server, arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn a_refusal_that_is_explained_ends_with_1_and_names_the_check() {
    let server = Server::start();
    let made = done(&server, &["create", "--scope", "read:a/*", "--cidr", "10.0.0.0/8"]);
    let id = made["id"].as_str().unwrap();
    let fine = ["explain", id, "--address", "10.1.2.3", "--action", "read", "--resource", "a/b"];
    assert_eq!(done(&server, &fine)["allowed"], true);
    assert!(keys(&server, &fine).stdout.contains("10.1.2.3 is in 10.0.0.0/8"));
    let refused = keys(&server, &["explain", id, "--address", "192.0.2.1", "--json"]);
    let answer: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!((refused.code, &answer["allowed"]), (1, &Value::Bool(false)));
    assert!(refused.stderr.contains("network") && refused.stderr.contains("192.0.2.1"), "{}", refused.stderr);
    assert_eq!(keys(&server, &["explain", id]).code, 2);
    assert_eq!(keys(&server, &["explain", id, "--address", "10.0.0.1", "--action", "read"]).code, 2);
    assert!(keys(&server, &["explain", id, "--address", "nowhere"]).refused(1).contains("address"));
}

#[test]
fn the_credential_comes_from_the_environment() {
    let server = Server::start();
    let with = |variables: &[(&str, &str)]| {
        let mut command = server.command(&["keys", "list"]);
        command.env("KEYTURN_SERVER", &server.public_url);
        Ended::of({
            for (name, value) in variables {
                command.env(name, value);
            }
            command
        })
    };
    assert!(with(&[]).refused(2).contains("KEYTURN_API_KEY"));
    let token = server.token(&server.key, &[]);
    assert_eq!(with(&[("KEYTURN_TOKEN", &token)]).code, 0);
    assert!(with(&[("KEYTURN_API_KEY", "kt_nonsense")]).refused(1).contains("API_KEY_INVALID"));
    let help = server.run(&["keys", "--help"]);
    assert!(!help.stdout.contains(&token));
    let ended = with(&[("KEYTURN_API_KEY", &server.key.text), ("KEYTURN_SERVER", "http://127.0.0.1:1")]);
    assert!(!ended.refused(1).contains(&server.key.text));
    with(&[("KEYTURN_API_KEY", &server.key.text), ("KEYTURN_SERVER", "not a url")]).refused(2);
}
