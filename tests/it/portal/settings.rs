//! The settings of the portal.

use serde_json::{Value, json};

use super::{create, full, open, path_of};
use crate::cli::{json_lines, json_object, run};
use crate::customers::new_customer;
use crate::support::check::{problem, wrong_field};
use crate::support::console::Visitor;
use crate::support::{Answer, Server};

fn put(server: &Server, body: &Value) -> Answer {
    server.api("PUT", "portal").json(body).send()
}

fn complete() -> Value {
    json!({
        "name": "Acme Cloud",
        "color": "#0a66c2",
        "logo_url": "https://cdn.acme.example/logo.png",
        "text": "Keys for the Acme API.",
        "return_url": "https://app.acme.example/account",
        "return_origins": ["https://other.acme.example"],
        "frame_origins": ["https://app.acme.example"],
    })
}

#[test]
fn settings_are_replaced_with_their_version() {
    let server = Server::start();
    let first = server.api("GET", "portal").send();
    assert_eq!((&first.expect(200)["frame_origins"], first.header("etag")), (&json!([]), Some("\"0\"")));
    let answer = put(&server, &complete());
    assert_eq!((answer.expect(200), answer.header("etag")), (complete(), Some("\"1\"")));
    let same = put(&server, &complete());
    assert_eq!(same.header("etag"), Some("\"1\""), "nothing changed");
    let stale = server.api("PUT", "portal").header("If-Match", "\"0\"").json(&json!({})).send();
    problem(&stale, 412, "PRECONDITION_FAILED");
    let shown = server.api("GET", "portal").send();
    assert_eq!((shown.expect(200), shown.header("etag")), (complete(), Some("\"1\"")));
    for (field, value) in [
        ("color", json!("blue")),
        ("logo_url", json!("http://cdn.acme.example/logo.png")),
        ("return_url", json!("javascript:alert(1)")),
        ("return_url", json!(format!("https://a.example/?{}", "\"".repeat(1_500)))),
        ("logo_url", json!("https://*/logo.png")),
        ("name", json!("")),
        ("color", json!("")),
        ("logo_url", json!("")),
        ("return_url", json!("")),
        ("name", json!(" Acme")),
        ("text", json!("x".repeat(1001))),
    ] {
        let mut body = complete();
        body[field] = value;
        wrong_field(&put(&server, &body), field);
    }
    for wrong in [
        "https://a.example;sandbox",
        "http://[::1]:3000",
        "*",
        "https://app.acme.example/",
        "https://*.acme.example",
        "http://app.acme.example",
    ] {
        wrong_field(&put(&server, &json!({ "frame_origins": ["https://a.example", wrong] })), "frame_origins[1]");
    }
    let log = server.api("GET", "audit?action=portal.change").send().expect(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
}

#[test]
fn pages_have_the_brand_and_the_links() {
    let server = Server::start();
    put(&server, &complete()).expect(200);
    let customer = new_customer(&server);
    let page = |body: &Value| open(&server, &create(&server, &customer, body)).page("/keys");
    let own = json!({ "capabilities": ["read"], "return_url": "https://other.acme.example/back?x=1" });
    let html = page(&own);
    assert!(html.contains("Acme Cloud") && html.contains("Keys for the Acme API."), "{html}");
    assert!(html.contains("<img src=\"https://cdn.acme.example/logo.png\""), "{html}");
    assert!(html.contains("href=\"https://other.acme.example/back?x=1\""), "{html}");
    assert!(!html.contains("/console"), "{html}");
    let brand = html.split("href=\"").find(|rest| rest.contains("brand-")).unwrap().split('"').next().unwrap();
    let style = server.get(brand).send();
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(style.text().contains("background: #0a66c2") && style.text().contains("color: #ffffff"));
    assert!(page(&full()).contains("href=\"https://app.acme.example/account\""));

    // A session links back only to sites that are still listed.
    let session = create(&server, &customer, &own);
    put(&server, &json!({ "return_url": "https://app.acme.example/account" })).expect(200);
    let html = open(&server, &session).page("/keys");
    assert!(!html.contains("other.acme.example") && html.contains("https://app.acme.example/account"), "{html}");
}

#[test]
fn frames_are_allowed_for_listed_origins_only() {
    let server = Server::start();
    let customer = new_customer(&server);
    let ancestors = |answer: &Answer| {
        let policy = answer.header("content-security-policy").unwrap();
        policy.split_once("frame-ancestors ").unwrap().1.to_owned()
    };
    let browser = open(&server, &create(&server, &customer, &full()));
    assert_eq!(ancestors(&browser.get("/keys")), "'none'");
    put(&server, &json!({ "frame_origins": ["https://app.example", "http://localhost:3000"] })).expect(200);
    let session = create(&server, &customer, &full());
    let both = "https://app.example http://localhost:3000";
    assert_eq!(ancestors(&browser.get("/keys")), both, "at once");
    assert_eq!(ancestors(&browser.get(&path_of(&session))), both);
    assert_eq!(ancestors(&browser.get("/nothing")), both);
    assert_eq!(ancestors(&Visitor::in_portal(&server, "default").get("/keys")), both, "also without a session");
    assert_eq!(ancestors(&Visitor::in_portal(&server, "other").get("/keys")), "'none'");
    assert_eq!(ancestors(&Visitor::new(&server).get("/sign-in")), "'none'", "never the console");
}

#[test]
fn cli_manages_settings_and_sessions() {
    let server = Server::start();
    let update = ["portal", "update", "--name", "Acme", "--frame-origin", "https://app.example", "--text", "Hello"];
    let updated = json_object(&server, &update);
    assert_eq!((&updated["name"], &updated["frame_origins"]), (&json!("Acme"), &json!(["https://app.example"])));
    let cleared = json_object(&server, &["portal", "update", "--name", "", "--frame-origin", ""]);
    assert_eq!((&cleared["name"], &cleared["frame_origins"]), (&Value::Null, &json!([])));
    assert_eq!(json_object(&server, &["portal", "show"])["text"], "Hello");
    assert_eq!(run(&server, &["portal", "update"]).code, 2, "nothing to change");
    assert!(run(&server, &["portal", "update", "--color", "blue"]).refused(1).contains("color"));

    let customer = new_customer(&server);
    let printed = run(&server, &["portal", "create-session", &customer, "--scope", "read:a", "--user", "ada"]).stdout;
    assert!(printed.starts_with(&format!("{}/portal/default/open/", server.public_url)), "{printed}");
    let sessions = json_lines(&server, &["portal", "sessions", &customer]);
    assert_eq!((sessions.len(), &sessions[0]["user"]), (1, &json!("ada")));
    assert!(run(&server, &["portal", "sessions", &customer]).stdout.contains("ada"));
    let id = sessions[0]["id"].as_str().unwrap();
    assert_eq!(run(&server, &["portal", "end-session", &customer, id]).stdout, format!("Ended session {id}.\n"));
    assert!(json_lines(&server, &["portal", "sessions", &customer]).is_empty());
    let sudo = ["portal", "create-session", &customer, "--capability", "sudo"];
    assert_eq!(run(&server, &sudo).code, 2);
}
