//! `GET /api/v1/organizations/{org}/audit`: pages of the log, newest first.

use serde_json::{Value, json};

use crate::audit::busy;
use crate::support::check::{problem, wrong_field};
use crate::support::server::scope_list;
use crate::support::{Place, Server, database, field};

fn page(server: &Server, query: &str) -> Value {
    server.api("GET", &format!("audit?{query}")).send().expect(200)
}

fn actions(page: &Value) -> Vec<&str> {
    field(&page["items"], "action")
}

#[test]
fn every_kind_of_change_is_listed() {
    let (server, _) = busy(Place::new());
    let answer = server.api("GET", "audit").send();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let listed = answer.expect(200);
    let expected = [
        "key.edit",
        "key.edit",
        "key.edit",
        "signing-key.create",
        "token.revoke",
        "key.revoke",
        "key.rotate",
        "key.enable",
        "key.disable",
        "key.edit",
        "key.create",
        "key.create",
        "organization.create",
    ];
    assert_eq!(actions(&listed), expected, "newest first");
    assert_eq!(listed["next_cursor"], Value::Null);
    let items = listed["items"].as_array().unwrap();
    let members =
        ["action", "actor", "address", "at", "hash", "id", "new", "old", "organization", "position", "subject"];
    for item in items {
        assert_eq!(item.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), members);
        assert_eq!(item["hash"].as_str().unwrap().len(), 64);
        assert_eq!(item["organization"], "default");
        item["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    for item in &items[..12] {
        assert!(item["actor"].as_str().unwrap().starts_with("key:") && item["address"] == "127.0.0.1", "{item}");
    }
    assert_eq!(items[9]["old"]["name"], "Grüße \u{1f511} '\"%_\\", "exactly as it is");
    assert_eq!((&items[9]["new"]["name"], &items[10]["old"]), (&json!("renamed"), &Value::Null));
    assert_eq!(items[12]["new"]["owner"]["email"], "owner@localhost");
    assert_eq!(items[12]["new"]["first_key"]["id"], server.key.id);
    assert_eq!(items[12]["new"]["policy"]["actions"], json!(["read", "write", "admin"]));
}

#[test]
fn pages_are_stable_during_changes() {
    let (server, _) = busy(Place::new());
    let ids = |page: &Value| -> Vec<i64> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
    };
    let whole = ids(&page(&server, "limit=200"));
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(&server, &format!("limit=5{cursor}"));
        paged.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        assert_eq!(page["items"].as_array().unwrap().len(), 5);
        cursor = format!("&cursor={next}");
        server.make_with("read:a");
    }
    assert_eq!(paged, whole);
}

#[test]
fn filters() {
    let (server, _) = busy(Place::new());
    assert_eq!(actions(&page(&server, "action=key.revoke")), ["key.revoke"]);
    assert_eq!(actions(&page(&server, "actor=keyturn")), ["organization.create"]);
    let listed = page(&server, "action=key.disable");
    let (subject, at) = (listed["items"][0]["subject"].as_str().unwrap(), listed["items"][0]["at"].as_str().unwrap());
    let of_key = ["key.revoke", "key.rotate", "key.enable", "key.disable", "key.edit", "key.create"];
    assert_eq!(actions(&page(&server, &format!("subject={subject}"))), of_key);
    let both = format!("subject={subject}&action=key.enable&actor=key:{}", server.key.id);
    assert_eq!(actions(&page(&server, &both)), ["key.enable"]);
    assert_eq!(actions(&page(&server, "action=nothing&subject=%25")), [""; 0]);
    let count = |query: &str| page(&server, query)["items"].as_array().unwrap().len();
    assert_eq!(count(&format!("since={at}")) + count(&format!("until={at}")), 13, "from this moment, and before it");
    assert_eq!((count("since=2999-01-01T00:00:00Z"), count("until=2000-01-01T00:00:00%2B02:00")), (0, 0));
    assert_eq!(count("limit=13&format=json"), 13);
    for (empty, field) in [
        ("action=&limit=13", "action"),
        ("limit=13&cursor=", "cursor"),
        ("until", "until"),
        ("action=key.revoke&since=", "since"),
    ] {
        wrong_field(&server.api("GET", &format!("audit?{empty}")).send(), field);
    }
}

#[test]
fn other_organizations_log_is_not_found() {
    let (server, acme) = busy(Place::new());
    let of = |organization: &str, text: &str| {
        server.get(&format!("/api/v1/organizations/{organization}/audit")).bearer(text).send()
    };
    problem(&of("acme", &server.key.text), 404, "NOT_FOUND");
    problem(&of("default", &acme.text), 404, "NOT_FOUND");
    problem(&of("nobody", &server.key.text), 404, "NOT_FOUND");
    let own = of("acme", &acme.text).expect(200);
    assert_eq!((actions(&own), field(&own["items"], "subject")), (vec!["organization.create"], vec!["acme"]));
    let export = server.get("/api/v1/organizations/default/audit?format=ndjson").bearer(&acme.text).send();
    problem(&export, 404, "NOT_FOUND");
    // A cursor of one log shows nothing of another.
    let cursor = page(&server, "limit=1")["next_cursor"].as_str().unwrap().to_owned();
    let listed = server.get(&format!("/api/v1/organizations/acme/audit?cursor={cursor}")).bearer(&acme.text).send();
    assert_eq!(field(&listed.expect(200)["items"], "organization"), ["acme"]);
}

#[test]
fn scope_is_required() {
    let server = Server::start();
    let reader = server.make(&json!({ "scopes": scope_list("read:keyturn/audit") }));
    server.api_as(&reader.text, "GET", "audit").send().expect(200);
    server.api_as(&server.token(&reader, &[]), "GET", "audit?format=json").send().expect(200);
    for scopes in ["*:*", "write:keyturn/audit", "read:keyturn/keys", "read:keyturn/audit/x"] {
        let other = server.make(&json!({ "scopes": scope_list(scopes) }));
        for query in ["", "?format=ndjson"] {
            let answer = server.api_as(&other.text, "GET", &format!("audit{query}")).send();
            let problem_body = problem(&answer, 403, "INSUFFICIENT_SCOPE");
            assert!(problem_body["detail"].as_str().unwrap().contains("read:keyturn/audit"));
        }
    }
    let answer = server.api("POST", "audit").json(&json!({})).send();
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    let answer = server.api("DELETE", "audit").send();
    assert_eq!(answer.status, 405);
}

#[test]
fn invalid_parameters_have_specific_errors() {
    let server = Server::start();
    let long = "x".repeat(201);
    let keys = {
        (0..2).for_each(|_| drop(server.make_with("read:a")));
        server.api("GET", "keys?limit=1").send().expect(200)["next_cursor"].as_str().unwrap().to_owned()
    };
    for (query, name, said) in [
        ("limit=0", "limit", "1 to 200"),
        ("limit=201", "limit", "1 to 200"),
        ("limit=-1", "limit", "1 to 200"),
        ("limit=1.5", "limit", "1 to 200"),
        ("limit=99999999999999999999", "limit", "1 to 200"),
        ("cursor=x", "cursor", "next_cursor"),
        ("cursor=%ff", "query", "UTF-8"),
        (&format!("cursor={keys}"), "cursor", "next_cursor"),
        ("since=yesterday", "since", "RFC 3339"),
        ("since=2030-01-01", "since", "RFC 3339"),
        ("until=10000-01-01T00:00:00Z", "until", "RFC 3339"),
        ("until=-1", "until", "RFC 3339"),
        ("since=2030-01-01T00:00:00Z&until=2030-01-01T00:00:00Z", "until", "later than since"),
        ("format=csv", "format", "json or ndjson"),
        ("format=JSON", "format", "json or ndjson"),
        ("action=a%00b", "query", "NUL"),
        ("actor=a%0ab", "actor", "control"),
        ("subject=a%1bb", "subject", "control"),
        (&format!("action={long}"), "action", "200"),
        ("action=a&action=b", "action", "more than once"),
        ("sort=at", "query", "unknown parameter"),
        ("offset=-1", "query", "unknown parameter"),
        ("format=ndjson&limit=5", "limit", "no pages"),
        ("format=ndjson&cursor=x", "", ""),
    ] {
        let answer = server.api("GET", &format!("audit?{query}")).send();
        if name.is_empty() {
            problem(&answer, 422, "VALIDATION_FAILED");
            continue;
        }
        let body = problem(&answer, 422, "VALIDATION_FAILED");
        let errors = body["errors"].as_array().unwrap();
        assert!(errors.iter().all(|error| error["field"] == name), "{query}: {body}");
        assert!(errors[0]["message"].as_str().unwrap().contains(said), "{query}: {body}");
    }
    let several = server.api("GET", "audit?limit=0&since=x&action=a%1b").send();
    let problem_body = problem(&several, 422, "VALIDATION_FAILED");
    assert_eq!(field(&problem_body["errors"], "field"), ["action", "since", "limit"], "all at once");
    wrong_field(&server.api("GET", "audit?limit=x").send(), "limit");
}

#[test]
fn master_key_rotation_is_in_every_log() {
    let (server, acme) = busy(Place::on_sqlite());
    let (key, place) = (server.key.clone(), server.stop());
    let before = database::column(&place.database(), "SELECT id FROM master_key");
    assert_eq!(place.run(&["master-key", "rotate"]).code, 0);
    let after = database::column(&place.database(), "SELECT id FROM master_key");
    let server = place.serve(key);
    let listed = page(&server, "action=master-key.rotate");
    assert_eq!(listed["items"][0]["old"], json!({ "master_key": before[0] }));
    assert_eq!(listed["items"][0]["new"], json!({ "master_key": after[0] }));
    let own = server.get("/api/v1/organizations/acme/audit").bearer(&acme.text).send().expect(200);
    assert_eq!(actions(&own), ["master-key.rotate", "organization.create"]);
    assert_eq!(super::good(&server, &[]).len(), 2);
}

#[test]
fn concurrent_changes_keep_the_chain_valid() {
    let server = Server::start();
    std::thread::scope(|scope| {
        for n in 0..100 {
            let server = &server;
            scope.spawn(move || {
                let body = json!({ "name": format!("key {n}"), "scopes": scope_list("read:a") });
                // Secrets are hashed a few at a time; requests over the limit get 503.
                while server.api("POST", "keys").json(&body).send().status != 201 {}
            });
        }
    });
    assert_eq!(page(&server, "limit=200&action=key.create")["items"].as_array().unwrap().len(), 100);
    assert!(super::good(&server, &[])[0].starts_with("default: 101 entries"));
}
