//! Exports: the complete log as lines of JSON, verified without a database.

use std::fs;

use serde_json::{Value, json};

use crate::audit::{bad, busy, good, head, verify};
use crate::support::server::{Ended, Key};
use crate::support::{Place, Server};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `keyturn audit export` with a key.
fn export(server: &Server, key: &Key, arguments: &[&str]) -> Ended {
    let mut command = server.command(&[&["audit", "export"], arguments].concat());
    command.env("KEYTURN_SERVER", &server.public_url).env("KEYTURN_API_KEY", &key.text);
    Ended::of(command)
}

#[track_caller]
fn exported(server: &Server, arguments: &[&str]) -> String {
    let ended = export(server, &server.key, arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    ended.stdout
}

/// Writes an export to a file.
fn written(place: &Place, text: impl AsRef<[u8]>) -> String {
    let path = place.path("export.ndjson");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn export_is_the_complete_log_with_its_end() {
    let (server, _) = busy(Place::new());
    for request in [
        server.api("GET", "audit?format=ndjson"),
        server.api("GET", "audit").header("Accept", "text/html, Application/X-NDJSON;q=0.9"),
    ] {
        let answer = request.send();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"audit-default.ndjson\""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let found = lines(&answer.text());
        let mut listed = server.api("GET", "audit?limit=200").send().expect(200)["items"].as_array().unwrap().clone();
        listed.reverse();
        let (last, rows) = found.split_last().unwrap();
        assert_eq!(rows, listed);
        let newest = rows.last().unwrap();
        let end = json!({ "organization": "default", "id": newest["id"], "position": 13, "hash": newest["hash"] });
        assert_eq!(*last, json!({ "end": end }));
        assert_eq!(answer.text(), exported(&server, &[]), "the command line gives the same bytes");
    }
    let json = server.api("GET", "audit?format=json").header("Accept", "application/x-ndjson").send();
    assert!(json.expect(200)["items"].is_array(), "what is asked for by name comes first");
}

#[test]
fn long_log_is_exported_completely() {
    let server = Server::start();
    let key = server.make_with("read:a");
    std::thread::scope(|scope| {
        for part in 0..4 {
            let (server, key) = (&server, &key);
            scope.spawn(move || {
                for n in 0..300 {
                    let body = json!({ "name": format!("{part} {n}") });
                    let path = format!("keys/{}", key.id);
                    while server.api("PATCH", &path).json(&body).send().status != 200 {}
                }
            });
        }
    });
    let text = exported(&server, &[]);
    assert!(text.lines().count() > 1200);
    let file = written(&server, &text);
    assert!(good(&server, &["--file", &file])[0].starts_with("default: 12"));
}

#[test]
fn export_is_verified_without_a_database() {
    let (server, acme) = busy(Place::new());
    let text = exported(&server, &[]);
    let file = written(&server, &text);
    let line = good(&server, &["--file", &file]).remove(0);
    assert!(line.starts_with("default: 13 entries, head 14:"), "{line}");
    assert_eq!(
        good(&server, &["--file", &file, "--head", &head(&line), "--organization", "default"]),
        std::slice::from_ref(&line)
    );
    assert!(bad(&server, &["--file", &file, "--organization", "acme"]).contains("organization default"));
    let unknown = format!("7:{}", "0".repeat(64));
    assert!(bad(&server, &["--file", &file, "--head", &unknown]).contains("entry 7 does not have the noted hash"));
    let missing = format!("99:{}", "0".repeat(64));
    assert!(bad(&server, &["--file", &file, "--head", &missing]).contains("entry 99 was noted"));
    let own = export(&server, &acme, &["--organization", "acme"]);
    let file = written(&server, own.stdout);
    assert!(good(&server, &["--file", &file])[0].starts_with("acme: 1 entry, head 2:"));

    // Needs neither a database nor a configuration.
    let elsewhere = Place::on_sqlite();
    let file = written(&elsewhere, &text);
    assert_eq!(good(&elsewhere, &["--file", &file]), [line]);
}

#[test]
fn tampering_is_detected_at_the_first_bad_entry() {
    let (server, _) = busy(Place::new());
    let text = exported(&server, &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 14);
    let joined = |lines: Vec<&str>| lines.join("\n") + "\n";
    let without = |gone: &[usize]| {
        joined(lines.iter().enumerate().filter(|(n, _)| !gone.contains(n)).map(|(_, line)| *line).collect())
    };
    let replaced = |n: usize, from: &str, to: &str| {
        assert!(lines[n].contains(from), "{}", lines[n]);
        text.replace(lines[n], &lines[n].replacen(from, to, 1))
    };
    let swapped = |one: usize, other: usize| {
        let mut lines = lines.clone();
        lines.swap(one, other);
        joined(lines)
    };
    let doubled = joined([&lines[..4], &lines[3..]].concat());
    // Entry 5 is on the fourth line.
    for (changed, said) in [
        (replaced(3, "renamed", "Renamed"), "entry 5 was changed"),
        (replaced(3, "key.edit", "key.create"), "entry 5 was changed"),
        (replaced(3, "127.0.0.1", "127.0.0.2"), "entry 5 was changed"),
        (replaced(3, "\"at\":\"20", "\"at\":\"21"), "entry 5 was changed"),
        (replaced(3, "\"name\":\"renamed\"", "\"name\":\"forged\",\"name\":\"renamed\""), "entry 5 was changed"),
        (replaced(3, "\"position\":4", "\"position\":40"), "entry 5 was changed"),
        (replaced(3, "\"position\":4", "\"position\":null"), "entry 5 is not part of the chain"),
        (replaced(3, "\"id\":5", "\"id\":50"), "entry 50 was changed"),
        (replaced(3, "\"organization\":\"default\"", "\"organization\":\"acme\""), "entry 5 was changed"),
        (without(&[3]), "entry 6: entries before it are missing (1)"),
        (without(&[3, 4]), "entry 7: entries before it are missing (2)"),
        (without(&[0]), "entry 3: entries before it are missing (1)"),
        (without(&[13]), "the export ends after entry 14"),
        (without(&[12]), "entry 13: entries after it are missing at the end of the log (1)"),
        (without(&[10, 11, 12, 13]), "the export ends after entry 11"),
        (text[..text.len() - 1].to_owned(), "the export ends after entry 14"),
        (text[..lines[..4].concat().len()].to_owned(), "the export ends after entry 4"),
        (swapped(3, 4), "entry 6 is out of order"),
        (swapped(3, 9), "entry 11 is out of order"),
        (swapped(12, 13), "entry 14 was added after the end"),
        (doubled, "entry 5 is out of order"),
        (
            replaced(13, "\"position\":13", "\"position\":14"),
            "entry 14: entries after it are missing at the end of the log",
        ),
        (replaced(13, "\"id\":14", "\"id\":15"), "entry 14 is the last, but differs from the recorded end of the log"),
        (joined(vec![lines[13]]), "line 1 is not part of an audit log export"),
        (String::new(), "the export has no entries"),
        ("\n".into(), "line 1 is not part of an audit log export"),
        (replaced(3, "{", "["), "line 4 is not part of an audit log export"),
        (replaced(3, "\"id\":5", "\"id\":5,\"x\":1"), "line 4 is not part of an audit log export"),
        (replaced(3, "\"id\":5", "\"id\":\"5\""), "line 4 is not part of an audit log export"),
        (replaced(3, "\"at\":\"20", "\"at\":\"x"), "line 4 is not part of an audit log export"),
    ] {
        let file = written(&server, &changed);
        let ended = verify(&server, &["--file", &file]);
        assert!(ended.refused(1).contains(said), "{said}: {}", ended.stderr);
    }
    let file = written(&server, b"\xff\xfe\n");
    verify(&server, &["--file", &file]).refused(1);
}

#[test]
fn partial_export_needs_the_previous_head() {
    let (server, _) = busy(Place::new());
    let first = written(&server, exported(&server, &[]));
    let noted = head(&good(&server, &["--file", &first])[0]);
    // Entries of the same millisecond stay together.
    let listed = server.api("GET", "audit?limit=1").send().expect(200);
    let newest = listed["items"][0]["at"].as_str().unwrap().to_owned();
    crate::support::eventually("a later moment", || (jiff::Timestamp::now().to_string() > newest).then_some(()));
    let since = jiff::Timestamp::now().to_string();
    server.make_with("read:a");
    server.make_with("read:b");
    let part = exported(&server, &["--since", &since]);
    assert_eq!(part.lines().count(), 3);
    let file = written(&server, &part);
    assert!(bad(&server, &["--file", &file]).contains("entry 15: entries before it are missing (13)"));
    assert!(good(&server, &["--file", &file, "--head", &noted])[0].starts_with("default: 15 entries, head 16:"));
    let until = exported(&server, &["--until", &since]);
    assert_eq!(until.lines().count(), 14);
    let file = written(&server, &until);
    assert!(good(&server, &["--file", &file])[0].ends_with(&noted));
}

#[test]
fn filtered_export_cannot_be_verified() {
    let (server, _) = busy(Place::new());
    let text = exported(&server, &["--action", "key.edit", "--actor", &format!("key:{}", server.key.id)]);
    let found = lines(&text);
    assert!(found.len() == 5 && found[..4].iter().all(|line| line["action"] == "key.edit"), "{text}");
    let file = written(&server, &text);
    assert!(bad(&server, &["--file", &file]).contains("entries before it are missing"));
    let subject = found[0]["subject"].as_str().unwrap();
    assert_eq!(exported(&server, &["--subject", subject]).lines().count(), 7);
    let none = exported(&server, &["--subject", "nobody"]);
    let end = json!({ "organization": "default", "id": null, "position": null, "hash": null });
    assert_eq!(lines(&none), [json!({ "end": end })]);
}

#[test]
fn denied_export_prints_one_error_line() {
    let (server, acme) = busy(Place::new());
    for (arguments, said) in [(&["--organization", "acme"][..], "NOT_FOUND"), (&["--action", "\u{1b}"], "action")] {
        let ended = export(&server, &server.key, arguments);
        assert!(ended.refused(1).contains(said), "{}", ended.stderr);
    }
    assert!(export(&server, &acme, &["--organization", "default"]).refused(1).contains("NOT_FOUND"));
    export(&server, &acme, &["--organization", "A b"]).refused(2);
    let ended = export(&server, &server.key, &["--since", "yesterday"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("--since") && ended.stderr.contains("such as 24h"), "{}", ended.stderr);
    assert_eq!(exported(&server, &["--since", "0s"]).lines().count(), 1, "only the end");
    assert_eq!(exported(&server, &["--since", "1d"]), exported(&server, &[]));
    let reader = server.make_with("read:keyturn/keys");
    assert!(export(&server, &reader, &[]).refused(1).contains("INSUFFICIENT_SCOPE"));
    let help = server.run(&["audit", "--help"]);
    assert!(help.stdout.contains("verify") && help.stdout.contains("export"));
}
