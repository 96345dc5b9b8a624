//! The OpenAPI document.

use std::collections::BTreeSet;

use crate::support::Server;

#[test]
fn committed_document_is_current() {
    let server = Server::start();
    let served = server.get("/openapi.json").send();
    assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(committed).unwrap();
    assert!(served.text() == committed, "regenerate it: cargo run -- openapi > docs/openapi.json");
}

#[test]
fn document_is_also_a_page() {
    let server = Server::start();
    let page = server.get("/docs").send();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let text = page.text();
    for part in ["Create an API key", "/api/v1/organizations/{org}/keys", "schema-NewKey", "Idempotency-Key"] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("<script") && !text.contains(" style="));
    assert_eq!(server.get("/docs/style.css").send().status, 200);
}

#[test]
fn every_code_and_event_is_listed() {
    let document = std::fs::read_to_string("docs/openapi.json").unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    let listed: BTreeSet<&str> = codes.iter().map(|code| code.as_str().unwrap()).collect();
    // Every problem is made in this file.
    let source = std::fs::read_to_string("src/api/problem.rs").unwrap();
    let code = source.split("#[cfg(test)]").next().unwrap();
    let is_code = |text: &&str| text.len() > 5 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let used: BTreeSet<&str> = code.split('"').skip(1).step_by(2).filter(is_code).collect();
    assert!(used.len() > 15, "{used:?}");
    assert_eq!(listed, used);
    let events: BTreeSet<&str> = document["webhooks"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(events, keyturn::domain::event::KNOWN.into_iter().collect());
}
