//! The OpenAPI document.

use std::collections::BTreeSet;

use keyturn::domain::outcome::Code;

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
    let is_of_api = |code: &&Code| !matches!(code, Code::NotReady | Code::SessionRequired);
    let codes: BTreeSet<&str> = Code::ALL.iter().filter(is_of_api).map(|code| code.as_str()).collect();
    assert_eq!(listed, codes);
    // Every problem is created in these files.
    for file in ["mod", "errors"] {
        let source = std::fs::read_to_string(format!("src/api/problem/{file}.rs")).unwrap();
        assert!(source.contains("Code::") && !source.contains("Code::NotReady"));
        assert!(!source.contains("Code::SessionRequired"));
    }
    let events: BTreeSet<&str> = document["webhooks"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(events, keyturn::domain::event::KNOWN.into_iter().collect());
}
