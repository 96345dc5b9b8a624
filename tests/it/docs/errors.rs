//! `docs/reference/errors.md` lists every error code.

use std::collections::BTreeSet;

use keyturn::domain::outcome::Code;

use crate::docs::{first_columns, read, sources};
use crate::support::Server;

/// Upper-case string literals of the surfaces that are not error codes.
const OTHER_WORDS: [&str; 16] = [
    "API",
    "CARGO_PKG_VERSION",
    "CONNECT",
    "DELETE",
    "GET",
    "HEAD",
    "JWT",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "TRACE",
    "URI",
    "URL",
    "WHATWG",
    "YOUR_SECRET",
];

/// Returns the upper-case string literals of a source text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let literals = text.split('"').skip(1);
    literals
        .filter(|literal| literal.len() > 2 && literal.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
}

#[test]
fn every_code_is_listed() {
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    let listed = first_columns(&read("docs/reference/errors.md"));
    assert_eq!(listed, codes, "in docs/reference/errors.md, and in src/domain/outcome.rs");
}

#[test]
fn no_surface_has_a_code_of_its_own() {
    let texts = ["src/oauth", "src/gateway", "src/api", "src/http", "src/console"].map(sources).concat();
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let found: BTreeSet<&str> =
        texts.iter().flat_map(|text| words(text)).filter(|word| !OTHER_WORDS.contains(word)).collect();
    let other: Vec<_> = found.difference(&codes).collect();
    assert!(other.is_empty(), "not in src/domain/outcome.rs: {other:?}");
}

#[test]
fn statuses_are_those_of_the_table() {
    let page = read("docs/reference/errors.md");
    for code in Code::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}`", code.as_str()))).unwrap();
        let statuses = row.split(" | ").nth(1).unwrap();
        assert!(statuses.starts_with(&code.status().to_string()), "{}: {statuses}", code.as_str());
    }
}

#[test]
fn statuses_match_the_server() {
    let server = Server::start();
    let page = read("docs/reference/errors.md");
    let key = server.make_with("read:orders/*");
    let token = server.token_request();
    for (code, answer) in [
        ("API_KEY_REQUIRED", server.get("/verify").send()),
        ("API_KEY_INVALID", server.exchange("kt_wrong", &[])),
        ("INSUFFICIENT_SCOPE", server.get("/verify?keyturn_require=write:a").bearer(&key.text).send()),
        ("INSUFFICIENT_SCOPE", server.exchange(&key.text, &[("scope", "write:orders/*")])),
        ("VALIDATION_FAILED", token.form(&[("grant_type", "password")]).send()),
        ("VALIDATION_FAILED", server.api("POST", "keys").json(&serde_json::json!({ "scopes": 1 })).send()),
        ("VALIDATION_FAILED", server.get("/verify?keyturn_require=").bearer(&key.text).send()),
        ("NOT_FOUND", server.api("GET", "keys/aaaaaaaaaaaaaaaa").send()),
    ] {
        assert_eq!(answer.json()["code"], code, "{}", answer.text());
        let row = page.lines().find(|line| line.starts_with(&format!("| `{code}`"))).unwrap();
        let statuses = row.split(" | ").nth(1).unwrap();
        assert!(statuses.contains(&answer.status.to_string()), "{code}: {statuses}, and {}", answer.status);
    }
}
