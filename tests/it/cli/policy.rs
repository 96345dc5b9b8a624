//! `keyturn policy …`: a policy in a file, compared before it is applied.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;

use serde_json::{Value, json};

use crate::cli::run;
use crate::support::Server;
use crate::support::server::Ended;

/// Applies the text of a policy file.
fn apply(server: &Server, text: &str, more: &[&str]) -> Ended {
    let file = server.path("policy.toml");
    fs::write(&file, text).unwrap();
    run(server, &[&["policy", "apply", file.to_str().unwrap()], more].concat())
}

fn policy(server: &Server) -> Value {
    server.api("GET", "policy").send().expect(200)
}

fn etag(server: &Server) -> String {
    server.api("GET", "policy").send().header("etag").unwrap().to_owned()
}

/// How many entries the audit log has.
fn entries(server: &Server) -> usize {
    server.api("GET", "audit?limit=200").send().expect(200)["items"].as_array().unwrap().len()
}

#[test]
fn shown_policy_applied_again_is_no_change() {
    let server = Server::start();
    // The first key deviates from this policy, which is no reason to ask again.
    assert_eq!(apply(&server, "key_prefix = \"acme\"\nname_required = true\n", &["--yes"]).code, 0);
    let (before, count) = (etag(&server), entries(&server));
    let shown = run(&server, &["policy", "show"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    for more in [&[][..], &["--yes"], &["--dry-run"], &["--detailed-exitcode"]] {
        let again = apply(&server, &shown.stdout, more);
        assert_eq!((again.code, again.stdout.as_str(), again.stderr.as_str()), (0, "No changes.\n", ""), "{more:?}");
    }
    let json = apply(&server, &shown.stdout, &["--json"]);
    let nothing = json!({ "organization": "default", "changes": [], "effects": [], "applied": false });
    assert_eq!((json.code, serde_json::from_str::<Value>(&json.stdout).unwrap()), (0, nothing));
    assert_eq!((etag(&server), entries(&server)), (before, count), "nothing is written");
}

#[test]
fn only_effects_of_the_change_need_yes() {
    let server = Server::start();
    assert_eq!(apply(&server, "key_prefix = \"acme\"\n", &["--yes"]).code, 0);
    // The first key has another prefix already.
    let unrelated = apply(&server, "key_prefix = \"acme\"\nmax_keys = 100\n", &[]);
    assert_eq!((unrelated.code, unrelated.stderr.as_str()), (0, ""), "{}", unrelated.stdout);
    assert!(unrelated.stdout.contains("No existing keys are affected."), "{}", unrelated.stdout);
    assert!(!unrelated.stdout.contains("key_prefix"), "{}", unrelated.stdout);

    let affected = apply(&server, "key_prefix = \"acme\"\nmax_keys = 100\nexpiry_required = true\n", &[]);
    assert_eq!(affected.code, 1);
    assert!(affected.stderr.contains("--yes"), "{}", affected.stderr);
    assert!(affected.stdout.contains("expiry_required (1 key): ") && affected.stdout.contains(&server.key.id));
    assert_eq!(policy(&server)["expiry_required"], false);
}

#[test]
fn diff_has_every_changed_setting_with_both_values() {
    let server = Server::start();
    let text = "key_prefix = \"acme\"\nmax_keys = 100\n[expiration_choices]\ndays = [30, 90]\nnone = true\n";
    let dry = apply(&server, text, &["--dry-run"]);
    assert_eq!((dry.code, dry.stderr.as_str()), (0, ""));
    let words: Vec<Vec<&str>> = dry.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for expected in [
        "key_prefix \"kt\" -> \"acme\"",
        "max_keys (not set) -> 100",
        "expiration_choices (not set) -> { days = [30, 90], none = true }",
    ] {
        assert!(words.contains(&expected.split_whitespace().collect()), "{expected}: {}", dry.stdout);
    }
    assert_eq!(dry.stdout.matches(" -> ").count(), 3, "{}", dry.stdout);

    let refused = apply(&server, text, &["--json"]);
    assert_eq!(refused.code, 1);
    let report: Value = serde_json::from_str(&refused.stdout).unwrap();
    let changes = json!([
        { "setting": "expiration_choices", "old": null, "new": { "days": [30, 90], "none": true } },
        { "setting": "key_prefix", "old": "kt", "new": "acme" },
        { "setting": "max_keys", "old": null, "new": 100 },
    ]);
    assert_eq!((&report["changes"], &report["applied"]), (&changes, &json!(false)));
    assert_eq!(report["effects"][0]["setting"], "key_prefix");
    let applied = apply(&server, text, &["--json", "--yes"]);
    assert_eq!(serde_json::from_str::<Value>(&applied.stdout).unwrap()["applied"], true, "{}", applied.stderr);
    assert_eq!(policy(&server)["key_prefix"], "acme");
    // A setting that is left out gets its default.
    let back = apply(&server, "", &["--yes"]);
    assert_eq!((back.code, back.stdout.matches(" -> ").count()), (0, 3), "{}", back.stdout);
}

#[test]
fn detailed_exit_code_is_3_for_a_difference() {
    let server = Server::start();
    let before = policy(&server);
    assert_eq!(apply(&server, "max_keys = 9\n", &["--dry-run", "--detailed-exitcode"]).code, 3);
    assert_eq!(policy(&server), before);
    let applied = apply(&server, "max_keys = 9\n", &["--detailed-exitcode"]);
    assert_eq!((applied.code, applied.stderr.as_str()), (3, ""));
    assert_eq!(policy(&server)["max_keys"], 9);
    assert_eq!(apply(&server, "max_keys = 9\n", &["--detailed-exitcode"]).code, 0);
    assert_eq!(apply(&server, "max_keys = 0.5\n", &["--detailed-exitcode"]).code, 2);
    assert_eq!(apply(&server, "name_required = true\nexpiry_required = true\n", &["--detailed-exitcode"]).code, 1);
}

#[test]
fn policy_comes_from_standard_input() {
    let server = Server::start();
    let piped = |text: &str| {
        let mut command = server.command(&["policy", "apply", "-"]);
        command.env("KEYTURN_SERVER", &server.public_url).env("KEYTURN_API_KEY", &server.key.text);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(piped("max_keys = 7\n"), (0, String::new()));
    assert_eq!(policy(&server)["max_keys"], 7);
    let (code, line) = piped("\nmax = 7\n");
    assert!(code == 2 && line.starts_with("keyturn: standard input: line 2: "), "{line}");
}

/// A proxy that changes the policy before it forwards the write of the first caller.
fn interfering_proxy(server: &Server) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (address, other) = (server.address, server.api("PUT", "policy").json(&json!({ "max_keys": 1000 })));
    thread::spawn(move || {
        let mut other = Some(other);
        let (mut client, _) = listener.accept().unwrap();
        let mut upstream = TcpStream::connect(address).unwrap();
        let (mut down, mut up) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
        let back = thread::spawn(move || {
            let _ = std::io::copy(&mut down, &mut up);
            let _ = up.shutdown(Shutdown::Both);
        });
        let mut buffer = [0; 65_536];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            if buffer.starts_with(b"PUT /api/v1/organizations/default/policy HTTP/1.1")
                && let Some(other) = other.take()
            {
                other.send().expect(200);
            }
            if upstream.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = upstream.shutdown(Shutdown::Both);
        back.join().unwrap();
    });
    url
}

#[test]
fn policy_changed_in_the_meantime_is_not_overwritten() {
    let server = Server::start();
    let proxy = interfering_proxy(&server);
    let ended = apply(&server, "max_keys = 5\n", &["--server", &proxy]);
    assert_eq!(ended.code, 1, "{}", ended.stdout);
    assert!(ended.stderr.contains("changed in the meantime") && ended.stderr.contains("412"), "{}", ended.stderr);
    assert!(!ended.stdout.contains("Policy applied."), "{}", ended.stdout);
    assert_eq!(policy(&server)["max_keys"], 1000);
}
