//! `keyturn store copy`: from SQLite to PostgreSQL.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::nodes::{MASTER_KEY, place_at};
use crate::support::postgres::Database;
use crate::support::server::Ended;
use crate::support::{Place, Server, database, eventually, jwt};

/// A node on a SQLite file.
fn on_a_file() -> Place {
    let place = Place::on_sqlite()
        .unset("KEYTURN_SECRETS__MASTER_KEY_FILE")
        .set("KEYTURN_SECRETS__MASTER_KEY", MASTER_KEY)
        .set("KEYTURN_SERVER__PUBLIC_URL", "http://keyturn.test");
    let file = format!("sqlite://{}", place.path("data/keyturn.db").display());
    place.set("KEYTURN_STORE__URL", file)
}

fn file_url(place: &Place) -> String {
    format!("sqlite://{}", place.database().display())
}

/// A URL with a password, which must not be shown.
fn url(database: &Database) -> String {
    database.url_as("keyturn:hunter2")
}

fn copy(place: &Place, from: &str, to: &str) -> Ended {
    let ended = place.run(&["store", "copy", "--from", from, "--to", to]);
    assert!(!ended.stdout.contains("hunter2") && !ended.stderr.contains("hunter2"), "{}{}", ended.stdout, ended.stderr);
    ended
}

/// Returns the result of each text as secret or token.
fn verdicts(server: &Server, texts: &[String]) -> Vec<(u16, String)> {
    let ask = |text: &String| {
        let answer = server.me(text);
        // Request IDs are unique.
        (answer.status, answer.json().get("code").map(ToString::to_string).unwrap_or_default())
    };
    texts.iter().map(ask).collect()
}

#[test]
fn keys_and_tokens_survive_the_copy() {
    let server = on_a_file().start();
    let acme = {
        let (key, place) = (server.key.clone(), server.stop());
        let acme = place.init(&["--organization", "acme", "--email", "jörg@example.org"]).key;
        (acme, place.serve(key))
    };
    let (acme, server) = acme;
    let plain = server.make(&json!({ "name": "Schlüssel 鍵 🔑 \u{301}", "description": "a 'quoted' \\ \"text\"" }));
    let graced = server.make(&json!({}));
    let (disabled, revoked) = (server.make(&json!({})), server.make(&json!({})));
    let here = server.make(&json!({ "allowed_cidrs": ["127.0.0.0/8", "2001:db8::/32"], "expires_in_seconds": 3600 }));
    let elsewhere = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"] }));
    let keys = [&plain, &graced, &disabled, &revoked, &here];
    let mut texts: Vec<String> = keys.map(|key| server.token(key, &[])).to_vec();
    let dead = server.token(&plain, &[]);
    let ended = server.request("POST", "/oauth/revoke").basic(&plain.id, &plain.text).form(&[("token", &dead)]).send();
    ended.expect(200);
    let rotated = server.change("POST", &format!("{}/rotate", graced.id), &json!({ "grace_seconds": 3600 }));
    server.change("POST", &format!("{}/disable", disabled.id), &json!({}));
    server.change("POST", &format!("{}/revoke", revoked.id), &json!({ "reason": "verloren: «weg»" }));
    let made =
        server.api("POST", "signing-keys/rotate").json(&json!({ "publish_ahead_seconds": 0 })).send().expect(201);
    texts.extend([dead, rotated["secret"].as_str().unwrap().to_owned(), server.token(&plain, &[])]);
    texts.extend([server.token(&acme, &[]), acme.text.clone(), elsewhere.text.clone()]);
    texts.extend(keys.map(|key| key.text.clone()));
    let before = verdicts(&server, &texts);
    assert!(before.iter().filter(|(status, _)| *status == 200).count() >= 8, "{before:?}");
    assert!(before.iter().filter(|(status, _)| *status != 200).count() >= 5, "{before:?}");
    let listed = |server: &Server| {
        let mut list = server.api("GET", "keys?status=all&limit=100").send().expect(200);
        for key in list["items"].as_array_mut().unwrap() {
            // These requests read the keys into memory.
            key.as_object_mut().unwrap().retain(|name, _| !name.contains("last_used"));
        }
        list
    };
    let (list, jwks) = (listed(&server), server.get("/.well-known/jwks.json").send().expect(200));
    let (key, place) = (server.key.clone(), server.stop());

    let target = Database::create();
    let kept = database::contents(&place.database());
    let ended = copy(&place, &file_url(&place), &url(&target));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(database::contents(&place.database()), kept, "the file is as it was");
    for (table, rows) in &kept {
        if ["nodes", "deployment", "chores", "commits", "gateway_watches", "gateway_requests", "_sqlx_migrations"]
            .contains(&table.as_str())
        {
            continue;
        }
        let count = target.sql(&format!("SELECT COUNT(*) FROM {table}"));
        assert_eq!(count, rows.len().to_string(), "{table}");
        let said = ended.stdout.lines().find(|line| line.trim().ends_with(&format!(" {table}")));
        assert_eq!(said.and_then(|line| line.split_whitespace().next()), Some(count.as_str()), "{}", ended.stdout);
    }
    for table in ["usage_hours", "audit", "revoked_tokens", "key_changes"] {
        assert_ne!(target.sql(&format!("SELECT COUNT(*) FROM {table}")), "0", "{table}");
    }
    let names = target.sql("SELECT name FROM api_keys ORDER BY name");
    assert!(names.contains("Schlüssel 鍵 🔑 \u{301}"), "{names}");

    let server = place_at(&url(&target)).serve(key);
    assert_eq!(verdicts(&server, &texts), before);
    assert_eq!(listed(&server), list);
    assert_eq!(server.get("/.well-known/jwks.json").send().expect(200), jwks);
    let token = server.token(&plain, &[]);
    assert_eq!(jwt::part(&token, 0)["kid"], made["kid"]);
    for text in &texts {
        if text.contains('.') {
            let pem = if jwt::part(text, 1)["org"] == "acme" {
                "/o/acme/.well-known/jwks.json"
            } else {
                "/.well-known/jwks.json"
            };
            jwt::verify(text, &server.get(pem).send().expect(200));
        }
    }
    // Two nodes continue on the copy.
    let other = place_at(&url(&target)).serve(server.key.clone());
    server.change("POST", &format!("{}/revoke", plain.id), &json!({}));
    other.exchange(&plain.text, &[]).expect(401);
    assert_eq!(other.me(&token).status, 401);
    drop((server, other));
}

#[test]
fn occupied_target_is_rejected() {
    let (place, target) = (on_a_file(), Database::create());
    place.init(&[]);
    place_at(&url(&target))
        .set("KEYTURN_SECRETS__MASTER_KEY", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=")
        .init(&["--organization", "theirs"]);
    let before = target.contents();
    let ended = copy(&place, &file_url(&place), &url(&target));
    assert!(ended.refused(1).contains("already contains an organization; nothing was copied"), "{}", ended.stderr);
    assert_eq!(target.contents(), before);
}

#[test]
fn second_copy_is_rejected() {
    let (place, target) = (on_a_file(), Database::create());
    place.init(&[]);
    assert_eq!(copy(&place, &file_url(&place), &url(&target)).code, 0);
    let before = target.contents();
    copy(&place, &file_url(&place), &url(&target)).refused(1);
    assert_eq!(target.contents(), before);
}

#[test]
fn missing_file_is_not_created() {
    let (place, target) = (on_a_file(), Database::create());
    for path in ["data/keyturn.db", "nowhere/at/all.db"] {
        let from = format!("sqlite://{}", place.path(path).display());
        let ended = copy(&place, &from, &url(&target));
        assert!(ended.refused(1).contains("no such database"), "{}", ended.stderr);
    }
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 0);
    assert_eq!(target.contents(), [""; 0]);
}

#[test]
fn file_without_an_organization_is_rejected() {
    let (place, target) = (on_a_file(), Database::create());
    fs::create_dir(place.path("data")).unwrap();
    fs::write(place.database(), "").unwrap();
    let ended = copy(&place, &file_url(&place), &url(&target));
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    assert_eq!(fs::metadata(place.database()).unwrap().len(), 0, "it is left as it was");
    fs::write(place.database(), "no database, and long enough to be looked at as one".repeat(100)).unwrap();
    let before = fs::read(place.database()).unwrap();
    assert!(copy(&place, &file_url(&place), &url(&target)).refused(1).contains("keyturn.db"));
    assert_eq!(fs::read(place.database()).unwrap(), before);
    assert_eq!(target.contents(), [""; 0]);
}

#[test]
fn file_in_use_is_rejected() {
    let (server, target) = (on_a_file().start(), Database::create());
    let ended = copy(&server, &file_url(&server), &url(&target));
    assert!(ended.refused(1).contains("in use"), "{}", ended.stderr);
    assert_eq!(target.contents(), [""; 0]);
    server.token(&server.key, &[]);
    drop(server);
}

#[test]
fn swapped_or_unsupported_urls_are_rejected() {
    let (place, target) = (on_a_file(), Database::create());
    place.init(&[]);
    let (file, url) = (file_url(&place), url(&target));
    let before = database::contents(&place.database());
    for (from, to, said) in [
        (url.as_str(), file.as_str(), "--from must be a sqlite:// URL and --to a postgres:// URL"),
        (&file, &file, "--from must be a sqlite:// URL and --to a postgres:// URL"),
        (&url, &url, "--from must be a sqlite:// URL and --to a postgres:// URL"),
        (&file, "mysql://root:hunter2@db/x", "--to"),
        ("keyturn.db", &url, "--from"),
        (&file, "postgres://keyturn:hunter2/@127.0.0.1:x/y", "--to"),
    ] {
        let ended = copy(&place, from, to);
        assert!(ended.refused(2).contains(said), "{}", ended.stderr);
    }
    for arguments in [&["store"][..], &["store", "copy"], &["store", "copy", "--from", &file]] {
        let ended = place.run(arguments);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
    }
    assert_eq!(database::contents(&place.database()), before);
    assert_eq!(target.contents(), [""; 0]);
}

#[test]
fn unusable_target_changes_nothing() {
    let (place, target) = (on_a_file(), Database::create());
    place.init(&[]);
    let before = database::contents(&place.database());
    let gone = format!("{}_gone", url(&target));
    assert!(copy(&place, &file_url(&place), &gone).refused(1).contains("does not exist"));
    place_at(&url(&target)).init(&[]);
    target.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
         VALUES (99, 'from the future', now(), true, '\\x00', 1)",
    );
    let there = target.contents();
    assert!(copy(&place, &file_url(&place), &url(&target)).refused(1).contains("newer"));
    assert_eq!(target.contents(), there);
    assert_eq!(database::contents(&place.database()), before);
}

#[test]
fn target_comes_from_a_file_and_only_from_one_place() {
    let (place, target) = (on_a_file(), Database::create());
    place.init(&[]);
    let file = place.path("target-url");
    fs::write(&file, format!("{}\n", url(&target))).unwrap();
    let (from, file) = (file_url(&place), file.display().to_string());
    let run = |place: &Place, more: &[&str]| place.run(&[&["store", "copy", "--from", &from], more].concat());
    let both = run(&place, &["--to-file", &file, "--to", &url(&target)]);
    assert_eq!(both.code, 2, "{}", both.stderr);
    assert!(run(&place, &["--to-file", "nowhere"]).refused(2).contains("--to-file: nowhere: no such file"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o646)).unwrap();
    assert!(run(&place, &["--to-file", &file]).refused(2).contains("can be written by others"));
    assert_eq!(target.contents(), [""; 0]);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let place = place.set("KEYTURN_COPY_TO_FILE", &file);
    let ended = run(&place, &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
    assert_eq!(target.sql("SELECT slug FROM organizations"), "default");
}

#[test]
fn target_from_the_environment_is_not_in_the_help() {
    let (place, target) = (on_a_file(), Database::create());
    place.init(&[]);
    let place = place.set("KEYTURN_COPY_TO", url(&target));
    let help = place.run(&["store", "copy", "--help"]);
    assert!(help.stdout.contains("KEYTURN_COPY_TO") && !help.stdout.contains("hunter2"), "{}", help.stdout);
    let ended = place.run(&["store", "copy", "--from", &file_url(&place)]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(target.sql("SELECT slug FROM organizations"), "default");
}

#[test]
fn waiting_node_serves_the_copied_organization() {
    let (place, target) = (on_a_file(), Database::create());
    let key = place.init(&[]).key;
    // The schema exists without an organization.
    place_at(&url(&target)).init(&[]);
    for table in [
        "usage_hours",
        "usage_totals",
        "audit",
        "audit_heads",
        "apis",
        "key_grants",
        "key_metadata",
        "api_keys",
        "signing_keys",
        "members",
        "organizations",
    ] {
        target.sql(&format!("DELETE FROM {table}"));
    }
    assert_eq!(copy(&place, &file_url(&place), &url(&target)).code, 0);
    let server = place_at(&url(&target)).serve(key);
    eventually("its token", || (server.exchange(&server.key.text, &[]).status == 200).then_some(()));
    drop(server);
}
