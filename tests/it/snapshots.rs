//! Texts and documents that tools and people read as a whole, compared with `tests/it/snapshots`.
//!
//! After a wanted change, `INSTA_UPDATE=always cargo test --test it snapshots` writes them; the diff is reviewed like code.

use regex::Regex;
use serde_json::Value;

use crate::support::{Place, Server};

/// Replaces everything that differs from run to run.
fn stable(text: &str, server: &Server) -> String {
    let text = text.replace(&server.public_url, "[public_url]").replace(&server.address.to_string(), "[address]");
    [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r#""(id|client_id|subject|actor|created_by|current_token_id|request_id)": "(key:|member:)?[A-Za-z0-9_-]{16,}""#, r#""$1": "$2[id]""#),
        (r"kt_[A-Za-z0-9]{16}_[A-Za-z0-9]{49}", "[secret]"),
        (r#""hint": "[^"]*""#, r#""hint": "[hint]""#),
        (r#"value="[A-Za-z0-9_-]{20,}""#, r#"value="[random]""#),
        (r"assets/[0-9a-f]{8}\.", "assets/[digest]."),
    ]
    .into_iter()
    .fold(text, |text, (pattern, with)| Regex::new(pattern).unwrap().replace_all(&text, with).into_owned())
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// Returns the help of a command and of all its subcommands.
fn help(server: &Server, command: &[&str]) -> String {
    let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
    let shown = server.run(&arguments);
    assert_eq!(shown.code, 0, "{arguments:?}: {}", shown.stderr);
    let mut all = format!("$ keyturn {}\n{}\n", arguments.join(" "), shown.stdout);
    let list = shown.stdout.split_once("Commands:\n").map_or("", |(_, list)| list.split("\n\n").next().unwrap());
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        all += &help(server, &[command, &[name]].concat());
    }
    all
}

#[test]
fn help_of_every_command() {
    let server = Server::start();
    let all = help(&server, &[]);
    assert!(all.matches("$ keyturn").count() > 30, "{all}");
    insta::assert_snapshot!("cli_help", all);
}

#[test]
fn metadata_of_an_issuer() {
    let server = Server::start();
    let document = server.get("/.well-known/oauth-authorization-server").send().expect(200);
    insta::assert_snapshot!("oauth_metadata", stable(&pretty(&document), &server));
}

#[test]
fn key_and_its_audit_entry() {
    let server = Server::start();
    let body = serde_json::json!({
        "name": "billing", "description": "Nightly run",
        "scopes": [{ "action": "read", "resource": "invoices/*" }], "allowed_cidrs": ["10.0.0.0/8"],
        "expires_at": "2031-02-03T04:05:06Z",
    });
    let created = server.api("POST", "keys").json(&body).send().expect(201);
    insta::assert_snapshot!("api_key_created", stable(&pretty(&created), &server));
    let listed = server.api("GET", "audit?action=key.create&limit=1").send().expect(200);
    let entry = pretty(&listed["items"][0]);
    let entry = Regex::new(r#""(hash|previous_hash|hmac)": "[^"]*""#)
        .unwrap()
        .replace_all(&entry, r#""$1": "[hash]""#)
        .into_owned();
    insta::assert_snapshot!("audit_entry", stable(&entry, &server));
}

#[test]
fn sign_in_page() {
    let server = Place::new().start();
    let page = server.get("/console/sign-in").send();
    assert_eq!(page.status, 200);
    insta::assert_snapshot!("sign_in_page", stable(&page.text(), &server));
}
