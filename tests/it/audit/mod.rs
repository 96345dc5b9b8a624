//! The audit log: lists, exports, and detection of tampering.

mod api;
mod export;
mod tampering;
mod versions;

use serde_json::json;

use crate::support::server::{Ended, Key};
use crate::support::{Place, Server};

/// Two organizations, and changes of every kind in the default one: entries 1 and 3 to 14, with 2 in `acme`.
fn busy(place: Place) -> (Server, Key) {
    let first = place.init(&[]).key;
    let acme = place.init(&["--organization", "acme"]).key;
    let server = place.serve(first);
    change_everything(&server);
    (server, acme)
}

/// Makes a change of every kind: twelve entries.
fn change_everything(server: &Server) {
    let key = server.make(&json!({ "name": "Grüße \u{1f511} '\"%_\\", "description": "two\nlines" }));
    let other = server.make(&json!({ "allowed_cidrs": ["127.0.0.0/8"] }));
    let post = |rest: &str, body| server.change("POST", &format!("{}/{rest}", key.id), &body);
    server.change("PATCH", &key.id, &json!({ "name": "renamed" }));
    post("disable", json!({}));
    post("enable", json!({}));
    post("rotate", json!({ "grace_seconds": 60 }));
    post("revoke", json!({ "reason": "over" }));
    let token = server.token(&other, &[]);
    server.request("POST", "/oauth/revoke").basic(&other.id, &other.text).form(&[("token", &token)]).send().expect(200);
    server.api("POST", "signing-keys/rotate").json(&json!({})).send().expect(201);
    for name in ["x", "y", "z"] {
        server.change("PATCH", &other.id, &json!({ "name": name }));
    }
}

fn verify(place: &Place, arguments: &[&str]) -> Ended {
    place.run(&[&["audit", "verify"], arguments].concat())
}

/// Verifies all logs, which must be valid, and returns the output lines.
#[track_caller]
fn good(place: &Place, arguments: &[&str]) -> Vec<String> {
    let ended = verify(place, arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    ended.stdout.lines().map(str::to_owned).collect()
}

/// Verifies all logs, one of which must be invalid, and returns the error line.
#[track_caller]
fn bad(place: &Place, arguments: &[&str]) -> String {
    let ended = verify(place, arguments);
    assert_eq!((ended.code, ended.stderr.lines().count()), (1, 1), "{}{}", ended.stdout, ended.stderr);
    ended.stderr.trim_end().trim_start_matches("keyturn: ").to_owned()
}

/// Returns `ID:HASH` from a line of `audit verify`.
fn head(line: &str) -> String {
    line.rsplit(' ').next().unwrap().to_owned()
}
