//! `keyturn keys …`: every change goes through the API of the running server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::server::{Ended, scope_list};
use crate::support::{Place, Server, database, eventually, field};

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

/// The objects that a list prints, one per line.
#[track_caller]
fn done_lines(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let ended = keys(server, &[arguments, &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
            "--expires-in",
            "1h",
        ],
    );
    let (id, text) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(server.exchange(text, &[]).expect(200)["scope"], "read:invoices/* write");
    assert_eq!((made["name"].as_str(), made["description"].as_str()), (Some("billing"), Some("nightly")));
    assert_eq!(done(&server, &["show", id])["id"], id);

    let rotated = done(&server, &["rotate", id, "--name", "renamed", "--grace", "1m"]);
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
        (&["create", "--expires-in", "0s"], "expires_in_seconds"),
        (&["create", "--expires-at", "2020-01-31"], "expires_at"),
    ] {
        let ended = keys(&server, arguments);
        assert!(ended.refused(1).contains(said), "{}", ended.stderr);
    }
    for (arguments, said) in [
        (&["show", "../me"][..], "key ID"),
        (&["rotate", "short"], "key ID"),
        (&["usage", "../../me"], "key ID"),
        (&["update", unknown], "nothing to change"),
        (&["update", unknown, "--scope", "read", "--no-scopes"], "--no-scopes"),
        (&["create", "--expires-at", "2030-01-31", "--expires-in", "1d"], "--expires-in"),
        (&["create", "--expires-at", "10000-01-01T00:00:00Z"], "--expires-at"),
        (&["create", "--expires-in", "90 days"], "--expires-in"),
        (&["rotate", unknown, "--grace=-5"], "--grace"),
        (&["list", "--status", "gone"], "--status"),
    ] {
        let ended = keys(&server, arguments);
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_refusal_that_is_explained_ends_with_1_and_names_the_check() {
    let server = Server::start();
    let made = done(&server, &["create", "--scope", "read:a/*", "--cidr", "10.0.0.0/8"]);
    let id = made["id"].as_str().unwrap();
    let fine = ["explain", id, "--address", "10.1.2.3", "--action", "read", "--resource", "a/b"];
    assert_eq!(done(&server, &fine)["verdict"], "allowed");
    assert!(keys(&server, &fine).stdout.contains("10.1.2.3 is in 10.0.0.0/8"));
    let refused = keys(&server, &["explain", id, "--address", "192.0.2.1", "--json"]);
    let answer: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!((refused.code, &answer["verdict"]), (1, &Value::from("denied")));
    assert!(refused.stderr.contains("network") && refused.stderr.contains("192.0.2.1"), "{}", refused.stderr);
    let skipped = keys(&server, &["explain", id, "--address", "10.1.2.3"]);
    assert!(skipped.code == 1 && skipped.stderr.contains("incomplete"), "{}", skipped.stderr);
    assert_eq!(keys(&server, &["explain", id]).code, 2);
    assert_eq!(keys(&server, &["explain", id, "--address", "10.0.0.1", "--action", "read"]).code, 2);
    assert!(keys(&server, &["explain", id, "--address", "nowhere"]).refused(1).contains("address"));
}

#[test]
fn token_is_previewed_with_what_validators_see() {
    let server = Server::start();
    let made = done(&server, &["create", "--scope", "read:a/*"]);
    let id = made["id"].as_str().unwrap();
    let preview = done(&server, &["preview", id]);
    assert_eq!(preview["payload"]["scope"], "read:a/*");
    let shown = keys(&server, &["preview", id, "--scope", "read:a/1", "--scope", "read:a/2"]).stdout;
    for part in ["\"typ\": \"at+jwt\"", "\"scope\": \"read:a/1 read:a/2\"", "SCOPE_read:a/1", "AWS API Gateway"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let refused = keys(&server, &["preview", id, "--scope", "read:b"]);
    assert!(
        refused.refused(1).contains("400 invalid_scope") && refused.stderr.contains("read:a/*"),
        "{}",
        refused.stderr
    );
    assert!(keys(&server, &["preview", id, "--previous-secret"]).refused(1).contains("no previous secret"));
    assert!(keys(&server, &["preview", id, "--audience", "https://x.example"]).refused(1).contains("invalid_target"));
    assert_eq!(keys(&server, &["preview"]).code, 2);
}

#[test]
fn denials_are_listed_with_what_the_client_saw() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"] }));
    let denied = server.exchange(&key.text, &[]);
    let request_id = denied.header("x-request-id").unwrap();
    let listed = done(&server, &["denials", &key.id]);
    assert_eq!((&listed["code"], &listed["status"]), (&json!("API_KEY_IP_NOT_ALLOWED"), &json!(403)));
    let table = keys(&server, &["denials", "--request-id", request_id, "--reason", "api_key_ip_not_allowed"]).stdout;
    for part in [&*key.id, "127.0.0.1", "/oauth/token", request_id] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert_eq!(keys(&server, &["denials", &key.text]).code, 2, "a secret is not an ID");
}

#[test]
fn update_changes_only_what_is_given() {
    let server = Server::start();
    let created = done(
        &server,
        &["create", "--name", "a", "--scope", "read:a", "--cidr", "10.0.0.0/8", "--expires-at", "2031-01-31"],
    );
    let id = created["id"].as_str().unwrap();
    assert_eq!(created["expires_at"], "2031-01-31T00:00:00Z");
    let mut expected = created.clone();
    expected.as_object_mut().unwrap().retain(|name, _| name != "secret" && name != "warnings");
    for (arguments, field, value) in [
        (&["--name", "b"][..], "name", json!("b")),
        (&["--description", "nightly"], "description", json!("nightly")),
        (&["--scope", "read:a", "--scope", "write"], "scopes", scope_list("read:a write:*")),
        (&["--no-scopes"], "scopes", json!([])),
        (&["--cidr", "127.0.0.0/8", "--cidr", "::1"], "allowed_cidrs", json!(["127.0.0.0/8", "::1/128"])),
        (&["--no-cidrs"], "allowed_cidrs", json!([])),
        (&["--expires-at", "2032-01-31T12:00:00Z"], "expires_at", json!("2032-01-31T12:00:00Z")),
        (&["--no-expiry"], "expires_at", Value::Null),
    ] {
        let mut updated = done(&server, &[&["update", id], arguments].concat());
        updated.as_object_mut().unwrap().remove("warnings");
        if field == "scopes" {
            let given =
                arguments.iter().filter(|argument| argument.starts_with("read") || argument.starts_with("write"));
            expected["apis"][0]["scopes"] = given.copied().collect();
        }
        expected[field] = value;
        expected["version"] = json!(expected["version"].as_u64().unwrap() + 1);
        assert_eq!(updated, expected, "{arguments:?}");
    }
    done(&server, &["update", id, "--expires-in", "90d"]);
    let end = done(&server, &["show", id])["expires_at"].as_str().unwrap().to_owned();
    let life = keyturn::testing::clock::parse_rfc3339(&end).unwrap().millis_since(keyturn::testing::clock::now());
    assert!((life - 90 * 86_400_000).abs() < 60_000, "{end}");
}

#[test]
fn tables_have_whole_seconds_and_json_has_one_key_per_line() {
    let server = Server::start();
    server.make(&json!({ "name": "one", "expires_at": "2031-01-31T00:00:00.25Z" }));
    server.token(&server.key, &[]);
    let used = || done_lines(&server, &["list"]).iter().find_map(|key| key["last_used_at"].as_str().map(str::to_owned));
    eventually("the use to be counted", used);
    let table = keys(&server, &["list"]).stdout;
    let moments: Vec<_> = table.split_whitespace().filter(|word| word.contains(":") && word.ends_with('Z')).collect();
    assert!(moments.len() >= 2 && moments.contains(&"2031-01-31T00:00:00Z"), "{table}");
    assert!(moments.iter().all(|moment| moment.len() == "2031-01-31T00:00:00Z".len()), "{table}");
    assert!(done_lines(&server, &["list"]).iter().any(|key| key["expires_at"] == "2031-01-31T00:00:00.25Z"));
    let help = server.run(&["keys", "list", "--help"]).stdout;
    assert!(help.contains("one object per line"), "{help}");
}

#[test]
fn usage_is_of_one_key_or_lists_the_busiest() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "busy" }));
    for _ in 0..3 {
        server.token(&key, &[]);
    }
    let used = || {
        let usage = done(&server, &["usage", &key.id, "--interval", "day", "--from", "1d"]);
        (usage["totals"]["exchanges"] == 3).then_some(usage)
    };
    let usage = eventually("the use to be counted", used);
    assert_eq!((&usage["id"], &usage["interval"]), (&json!(key.id), &json!("day")));
    let table = keys(&server, &["usage", &key.id]).stdout;
    let total = table.lines().find(|line| line.trim_start().starts_with("total")).unwrap();
    assert_eq!(total.split_whitespace().collect::<Vec<_>>(), ["total", "3", "0", "0"], "{table}");
    let busiest = done_lines(&server, &["usage"]);
    let exchanges = |id: &str| Some(busiest.iter().find(|key| key["id"] == id)?["totals"]["exchanges"].clone());
    assert_eq!(exchanges(&key.id), Some(json!(3)), "{busiest:?}");
    assert!(keys(&server, &["usage"]).stdout.contains("busy"));
    assert!(keys(&server, &["usage", &key.id, "--from", "2020-01-01"]).refused(1).contains("from: "));
}

#[test]
fn stale_lists_keys_without_use() {
    let server = Place::on_sqlite().start();
    let old = server.make(&json!({ "name": "forgotten" }));
    database::execute(
        &server.database(),
        &format!("UPDATE api_keys SET created_at = created_at - {} WHERE id = '{}'", 100 * 86_400_000_i64, old.id),
    );
    let stale = done_lines(&server, &["stale", "--days", "90"]);
    assert_eq!(field(&json!(stale), "id"), [old.id.as_str()]);
    assert!(keys(&server, &["stale", "--days", "90"]).stdout.contains("forgotten"));
    assert_eq!(done_lines(&server, &["stale", "--days", "101"]), Vec::<Value>::new());
    assert!(keys(&server, &["stale", "--days", "0"]).refused(1).contains("days: "));
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
    let both = with(&[("KEYTURN_API_KEY", &server.key.text), ("KEYTURN_TOKEN", &token)]);
    assert!(both.refused(2).contains("set only one of KEYTURN_API_KEY and KEYTURN_TOKEN"), "{}", both.stderr);
    assert_eq!(with(&[("KEYTURN_API_KEY", &server.key.text), ("KEYTURN_TOKEN", "")]).code, 0);
}

#[test]
fn the_credential_comes_from_a_secret_file() {
    let server = Server::start();
    let file = |name: &str, text: &str, mode: u32| {
        let path = server.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let key = file("key", &format!("{}\n", server.key.text), 0o400);
    let token = file("token", &server.token(&server.key, &[]), 0o440);
    let list = |option: &str, path: &str, variable: Option<&str>| {
        let mut command = match variable {
            Some(_) => server.command(&["keys", "list"]),
            None => server.command(&["keys", "list", option, path]),
        };
        command.env("KEYTURN_SERVER", &server.public_url);
        if let Some(variable) = variable {
            command.env(variable, path);
        }
        Ended::of(command)
    };
    for (option, variable, path) in
        [("--api-key-file", "KEYTURN_API_KEY_FILE", &key), ("--token-file", "KEYTURN_TOKEN_FILE", &token)]
    {
        for variable in [None, Some(variable)] {
            let ended = list(option, path, variable);
            assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{option}");
        }
        assert!(
            list(option, "/nonexistent", None).refused(2).contains(&format!("{option}: /nonexistent: no such file"))
        );
        assert!(list(option, &file("empty", "\n", 0o600), None).refused(2).contains("the file is empty"));
    }
    let open = list("--api-key-file", &file("open", &server.key.text, 0o604), None);
    assert_eq!(open.code, 0);
    assert!(open.stderr.starts_with("keyturn: warning: ") && open.stderr.contains("chmod o-r"), "{}", open.stderr);
    let writable = list("--api-key-file", &file("writable", &server.key.text, 0o602), None);
    assert!(writable.refused(2).contains("can be written by others"));
    let mut both = server.command(&["keys", "list", "--token-file", &token]);
    both.env("KEYTURN_API_KEY", &server.key.text);
    assert!(Ended::of(both).refused(2).contains("set only one of KEYTURN_API_KEY and --token-file"));
}

#[test]
fn leaked_secret_is_looked_up_from_standard_input() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "leaked" }));
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &str| {
        let path = folder.path().join("input.txt");
        fs::write(&path, input).unwrap();
        let mut command = server.command(&[&["keys"], arguments].concat());
        command.env("KEYTURN_SERVER", &server.public_url).env("KEYTURN_API_KEY", &server.key.text);
        command.stdin(fs::File::open(&path).unwrap());
        Ended::of(command)
    };
    let ended = run(&["lookup"], &format!("GET /?key={} 403", key.text));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.contains(&key.id) && ended.stdout.contains("current"), "{}", ended.stdout);
    assert!(!ended.stdout.contains(&key.text[20..]));
    let ended = run(&["lookup"], "nothing");
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("no key of this organization"), "{}", ended.stderr);

    let ended = run(&["bulk", "revoke", "--reason", "leaked"], &format!("{}\n", key.id));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.contains("1 changed, 0 failed."), "{}", ended.stdout);
    let ended = run(&["bulk", "enable", &key.id], "");
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    let ended = run(&["bulk", "disable", &key.text], "");
    assert!(ended.code == 2 && !ended.stderr.contains(&key.text[20..]), "{}", ended.stderr);
    for wrong in [&["bulk", "set-expiry", &key.id][..], &["bulk", "disable", "--no-expiry", &key.id]] {
        assert_eq!(run(wrong, "").code, 2, "{wrong:?}");
    }
}

#[test]
fn rotation_is_extended_and_ended() {
    let server = Server::start();
    let made = done(&server, &["create", "--name", "turning"]);
    let (id, old) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let rotated = done(&server, &["rotate", id, "--grace", "1h"]);
    let until = |key: &Value| key["previous_secret_until"].as_str().unwrap().to_owned();
    let extended = done(&server, &["extend-grace", id, "--grace", "1d"]);
    assert!(until(&extended) > until(&rotated));
    assert!(
        keys(&server, &["extend-grace", id, "--grace", "1h"]).refused(1).contains("grace_seconds: must be at least")
    );
    server.exchange(old, &[]).expect(200);
    let ended = done(&server, &["end-grace", id]);
    assert_eq!(ended["previous_secret_until"], Value::Null);
    server.exchange(old, &[]).expect(401);
    server.exchange(rotated["secret"].as_str().unwrap(), &[]).expect(200);
    for command in ["end-grace", "extend-grace"] {
        let ended = keys(
            &server,
            &[&[command, old] as &[_], if command == "end-grace" { &[] } else { &["--grace", "1h"] }].concat(),
        );
        assert!(!ended.refused(2).contains(old), "a misplaced secret");
    }
}

#[test]
fn lists_are_filtered() {
    let server = Server::start();
    let made = server.make(&json!({ "name": "open", "scopes": ["write:invoices/*"] }));
    let ids = |arguments: &[&str]| {
        let lines = done_lines(&server, &[&["list"], arguments].concat());
        lines.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--scope", "write:invoices/1", "--search", "open"]), std::slice::from_ref(&made.id));
    assert_eq!(ids(&["--view", "rotating"]), Vec::<String>::new());
    assert!(ids(&["--view", "no_expiry", "--sort", "-name"]).contains(&made.id));
    assert_eq!(ids(&["--cidr", "10.0.0.1", "--violates", "any"]), Vec::<String>::new());
    let id = made.id.as_str();
    done_lines(&server, &["bulk", "set-expiry", "--expires-in", "30d", id]);
    assert!(done(&server, &["show", id])["expires_at"].is_string());
}

#[test]
fn owner_is_given_and_removed() {
    let (server, owner) = crate::support::person::start();
    let dana = owner.add(&server, "developer");
    let made = server.make(&json!({}));
    assert_eq!(done(&server, &["update", &made.id, "--owner", &dana.id])["owner"], dana.id.as_str());
    assert_eq!(done(&server, &["update", &made.id, "--no-owner"])["owner"], Value::Null);
}
