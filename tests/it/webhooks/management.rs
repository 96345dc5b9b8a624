//! Creating, editing and deleting webhooks with the API, and listing deliveries.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::server::scope_list;
use crate::support::{Place, Server, database, field};
use crate::webhooks::{NOWHERE, await_all, hook, test};

#[test]
fn webhook_is_created_edited_and_deleted() {
    let server = Server::start();
    let body = json!({
        "url": "https://hooks.example/in?token=x", "description": "pager", "events": ["key.*", "key.*", "policy.changed"],
    });
    let answer = server.api("POST", "webhooks").json(&body).send();
    let made = answer.expect(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(format!("/api/v1/organizations/default/webhooks/{id}").as_str()));
    assert_eq!((answer.header("etag"), answer.header("cache-control")), (Some("\"1\""), Some("no-store")));
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "32 bytes");
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(
        expected,
        json!({
            "id": id, "organization": "default", "url": "https://hooks.example/in?token=x",
            "origin": "https://hooks.example", "url_digest": made["url_digest"], "header_names": [],
            "description": "pager",
            "events": ["key.*", "policy.changed"], "state": "enabled", "disabled_reason": null,
            "previous_secret_until": null, "created_at": made["created_at"],
            "created_by": format!("key:{}", server.key.id), "version": 1,
        })
    );
    assert_eq!(server.api("GET", &format!("webhooks/{id}")).send().expect(200), expected);
    let listed = server.api("GET", "webhooks").send().expect(200);
    assert_eq!(listed, json!({ "items": [expected], "next_cursor": null }));

    let edit = |body: Value| server.api("PATCH", &format!("webhooks/{id}")).json(&body).send().expect(200);
    assert_eq!(edit(json!({}))["version"], 1, "nothing is no change");
    assert_eq!(edit(json!({ "url": "https://hooks.example/in?token=x" }))["version"], 1, "the same URL");
    assert_eq!(edit(json!({ "description": "pager", "state": "enabled" }))["version"], 1);
    let edited = edit(json!({ "url": "https://other.example", "description": "", "events": [], "state": "disabled" }));
    assert_eq!((&edited["url"], &edited["events"]), (&json!("https://other.example/"), &json!([])));
    assert_eq!(
        (&edited["state"], &edited["version"], &edited["description"]),
        (&json!("disabled"), &json!(2), &json!(""))
    );
    assert!(edited.get("secret").is_none());

    let removed = server.api("DELETE", &format!("webhooks/{id}")).send();
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    for (method, rest) in [("GET", ""), ("DELETE", ""), ("GET", "/deliveries")] {
        problem(&server.api(method, &format!("webhooks/{id}{rest}")).send(), 404, "NOT_FOUND");
    }
}

#[test]
fn concurrent_change_is_rejected() {
    let server = Server::start();
    let id = hook(&server, NOWHERE, &["policy.changed"]).id;
    let path = format!("webhooks/{id}");
    let body = json!({ "description": "new" });
    for tag in ["\"2\"", "\"x\"", "1"] {
        for request in [
            server.api("PATCH", &path).json(&body),
            server.api("DELETE", &path),
            server.api("POST", &format!("{path}/rotate-secret")).json(&json!({})),
        ] {
            problem(&request.header("If-Match", tag).send(), 412, "PRECONDITION_FAILED");
        }
    }
    let edited = server.api("PATCH", &path).header("If-Match", "\"1\"").json(&body).send();
    assert_eq!((edited.expect(200)["version"].as_u64(), edited.header("etag")), (Some(2), Some("\"2\"")));
    let rotated = server.api("POST", &format!("{path}/rotate-secret")).header("If-Match", "W/\"2\"").json(&json!({}));
    assert_eq!(rotated.send().expect(200)["version"], 3);
    assert_eq!(server.api("DELETE", &path).header("If-Match", "\"3\"").send().status, 204);
}

#[test]
fn organization_has_at_most_twenty_webhooks() {
    let server = Server::start();
    for _ in 0..20 {
        hook(&server, NOWHERE, &["policy.changed"]);
    }
    let body = json!({ "url": NOWHERE });
    let refused = problem(&server.api("POST", "webhooks").json(&body).send(), 409, "CONFLICT");
    assert!(refused["detail"].as_str().unwrap().contains("20"), "{refused}");
    let listed = server.api("GET", "webhooks").send().expect(200);
    let ids = field(&listed["items"], "id");
    assert_eq!(ids.len(), 20);
    assert_eq!(server.api("DELETE", &format!("webhooks/{}", ids[0])).send().status, 204);
    server.api("POST", "webhooks").json(&body).send().expect(201);
}

#[test]
fn invalid_fields_have_specific_errors() {
    let server = Server::start();
    let id = hook(&server, NOWHERE, &["policy.changed"]).id;
    let many = vec!["key.*"; 51];
    for (field, value, at, said) in [
        ("events", json!(["key.creatd"]), "events[0]", "unknown event; use"),
        ("events", json!(["key.*", "*"]), "events[1]", "unknown event; use"),
        ("events", json!(["key"]), "events[0]", "key.created"),
        ("events", json!([""]), "events[0]", "unknown event; use"),
        ("events", json!(["key.*\u{0}"]), "events[0]", "unknown event; use"),
        ("events", json!(["key.* policy.*"]), "events[0]", "unknown event; use"),
        ("events", json!(many), "events", "at most 50"),
        ("events", json!("key.*"), "events", "expected a list"),
        ("events", json!([5]), "events[0]", "string"),
        ("description", json!("x".repeat(1001)), "description", "1000"),
        ("description", json!("a\u{0}b"), "description", "control characters"),
        ("description", json!(["x"]), "description", "string"),
    ] {
        let answer = server.api("POST", "webhooks").json(&json!({ "url": NOWHERE, field: value })).send();
        assert!(wrong_field(&answer, at).contains(said), "{}", answer.text());
        let answer = server.api("PATCH", &format!("webhooks/{id}")).json(&json!({ field: value })).send();
        assert!(wrong_field(&answer, at).contains(said), "{}", answer.text());
    }
    for (value, said) in [(json!("off"), "enabled or disabled"), (json!(""), "enabled"), (json!(true), "string")] {
        let answer = server.api("PATCH", &format!("webhooks/{id}")).json(&json!({ "state": value })).send();
        assert!(wrong_field(&answer, "state").contains(said), "{}", answer.text());
    }
    for body in [json!({}), json!({ "url": null })] {
        assert!(wrong_field(&server.api("POST", "webhooks").json(&body).send(), "url").contains("missing"));
    }
    for unknown in ["secret", "state", "id", "version"] {
        let body = json!({ "url": NOWHERE, unknown: "x" });
        wrong_field(&server.api("POST", "webhooks").json(&body).send(), unknown);
    }
    for rest in ["test", "rotate-secret"] {
        let answer = server.api("POST", &format!("webhooks/{id}/{rest}")).json(&json!({ "url": NOWHERE })).send();
        wrong_field(&answer, "url");
    }
    // Two errors are returned at once.
    let body = json!({ "url": "x", "events": ["y", "z"], "description": "\u{7}" });
    let error = problem(&server.api("POST", "webhooks").json(&body).send(), 422, "VALIDATION_FAILED");
    assert_eq!(error["errors"].as_array().unwrap().len(), 3, "{error}");
    let shown = server.api("GET", &format!("webhooks/{id}")).send().expect(200);
    assert_eq!(shown["version"], 1, "nothing was done");
}

#[test]
fn deliveries_are_paginated_and_filtered() {
    let server = Place::new().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start();
    let id = hook(&server, NOWHERE, &["policy.changed"]).id;
    let mut made: Vec<String> = (0..7).map(|_| test(&server, &id)).collect();
    await_all(&server, &id, "dead");
    let list = |query: &str| server.api("GET", &format!("webhooks/{id}/deliveries?{query}")).send();
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("limit=3{cursor}")).expect(200);
        found.extend(field(&page["items"], "id").into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found.len(), 7);
    made.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, made, "each once");
    assert_eq!(list("state=dead").expect(200)["items"].as_array().unwrap().len(), 7);
    assert_eq!(list("state=all").expect(200)["items"].as_array().unwrap().len(), 7);
    for state in ["pending", "delivered"] {
        assert_eq!(list(&format!("state={state}")).expect(200)["items"], json!([]));
    }
    let keys = server.api("GET", "keys?limit=1").send().expect(200);
    server.make(&json!({}));
    let foreign = server.api("GET", "keys?limit=1").send().expect(200)["next_cursor"].as_str().unwrap().to_owned();
    assert!(keys["items"].is_array());
    let foreign = format!("cursor={foreign}");
    for (query, at) in [
        ("state=alive", "state"),
        ("state=Dead", "state"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "query"),
        (foreign.as_str(), "cursor"),
        ("limit=1&limit=2", "limit"),
        ("status=dead", "query"),
    ] {
        wrong_field(&list(query), at);
    }
}

#[test]
fn other_organizations_webhooks_are_not_found() {
    let place = Place::new();
    let founded = place.init(&[]);
    let acme = place.init(&["--organization", "acme"]).key;
    let server = place.serve(founded.key);
    let id = hook(&server, NOWHERE, &["policy.changed"]).id;
    let delivery = test(&server, &id);
    let theirs = |method: &str, rest: &str| {
        server.request(method, &format!("/api/v1/organizations/acme/webhooks{rest}")).bearer(&acme.text)
    };
    for (method, rest) in [
        ("GET", format!("/{id}")),
        ("DELETE", format!("/{id}")),
        ("PATCH", format!("/{id}")),
        ("POST", format!("/{id}/test")),
        ("POST", format!("/{id}/rotate-secret")),
        ("GET", format!("/{id}/deliveries")),
        ("POST", format!("/{id}/deliveries/{delivery}/retry")),
    ] {
        problem(&theirs(method, &rest).send(), 404, "NOT_FOUND");
    }
    assert_eq!(theirs("GET", "").send().expect(200)["items"], json!([]));
    // A delivery under the path of another webhook of the same organization.
    let made = theirs("POST", "").json(&json!({ "url": NOWHERE, "events": ["policy.*"] })).send().expect(201);
    let own = made["id"].as_str().unwrap();
    problem(&theirs("POST", &format!("/{own}/deliveries/{delivery}/retry")).send(), 404, "NOT_FOUND");
    assert_eq!(theirs("GET", &format!("/{own}/deliveries")).send().expect(200)["items"], json!([]));
    for strange in ["%00", "..%2f", "x", "0123456789abcdefghijklmnop", "%ff"] {
        problem(&server.api("GET", &format!("webhooks/{strange}")).send(), 404, "NOT_FOUND");
        let retry = server.api("POST", &format!("webhooks/{id}/deliveries/{strange}/retry")).json(&json!({}));
        problem(&retry.send(), 404, "NOT_FOUND");
    }
    assert_eq!(server.api("GET", &format!("webhooks/{id}")).send().expect(200)["version"], 1);
}

#[test]
fn reading_and_changing_have_separate_scopes() {
    let server = Server::start();
    let id = hook(&server, NOWHERE, &["policy.changed"]).id;
    let reader = server.make(&json!({ "scopes": scope_list("read:keyturn/webhooks *:*") }));
    for rest in ["", &format!("/{id}"), &format!("/{id}/deliveries")] {
        let answer = server.api_as(&reader.text, "GET", &format!("webhooks{rest}")).send();
        answer.expect(200);
        assert!(!answer.text().contains("/hook\""), "the path is for admins: {}", answer.text());
    }
    let shown = server.api_as(&reader.text, "GET", &format!("webhooks/{id}")).send().expect(200);
    assert_eq!((&shown["url"], &shown["origin"]), (&json!(null), &json!("https://localhost")));
    // A token of an administrator's key that is limited to reading sees no more.
    let token = server.token(&server.key, &[("scope", "read:keyturn/webhooks")]);
    let shown = server.api_as(&token, "GET", "webhooks").send().expect(200);
    assert_eq!(shown["items"][0]["url"], json!(null));
    let shown = server.api("GET", "webhooks").send().expect(200);
    assert_eq!(shown["items"][0]["url"], NOWHERE);
    let answer = server.api_as(&reader.text, "POST", &format!("webhooks/{id}/test")).json(&json!({})).send();
    problem(&answer, 403, "INSUFFICIENT_SCOPE");
}

#[test]
fn audit_entries_contain_no_secret_and_no_url() {
    let server = Place::on_sqlite().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start();
    let body = json!({ "url": "https://localhost/path?token=hunter2", "events": ["policy.changed"] });
    let made = server.api("POST", "webhooks").json(&body).send().expect(201);
    let id = made["id"].as_str().unwrap();
    let delivery = test(&server, id);
    crate::webhooks::await_delivery(&server, id, &delivery, "dead");
    let call =
        |method: &str, rest: &str, body: Value| server.api(method, &format!("webhooks/{id}{rest}")).json(&body).send();
    call("POST", &format!("/deliveries/{delivery}/retry"), json!({})).expect(202);
    call("PATCH", "", json!({ "url": "https://localhost/other?token=hunter3" })).expect(200);
    let rotated = call("POST", "/rotate-secret", json!({})).expect(200);
    assert_eq!(call("DELETE", "", json!({})).status, 204);
    let place = server.stop();
    let column = |name: &str| {
        database::column(
            &place.database(),
            &format!("SELECT COALESCE({name}, '') FROM audit WHERE subject = '{id}' ORDER BY id"),
        )
    };
    let actions = ["create", "test", "retry", "edit", "rotate-secret", "delete"];
    assert_eq!(column("action"), actions.map(|action| format!("webhook.{action}")));
    let (old, new) = (column("old_value"), column("new_value"));
    for text in old.iter().chain(&new) {
        assert!(
            !text.contains("path")
                && !text.contains("other")
                && !text.contains("token")
                && !text.contains("hunter")
                && !text.contains("whsec_"),
            "{text}"
        );
        for secret in [&made["secret"], &rotated["secret"]] {
            assert!(!text.contains(secret.as_str().unwrap().trim_start_matches("whsec_")));
        }
    }
    assert!(old[0].is_empty() && new[0].contains("https://localhost") && new[5].is_empty());
    let digest = |text: &str| {
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(value.get("url").is_none() && value["origin"] == "https://localhost", "{value}");
        value["url_digest"].as_str().unwrap().to_owned()
    };
    // printf %s 'https://localhost/path?token=hunter2' | sha256sum | cut -c1-16
    assert_eq!((digest(&new[0]), digest(&old[3])), ("d6a2c0472af847d7".into(), "d6a2c0472af847d7".into()));
    assert_eq!((digest(&new[3]), digest(&old[5])), ("87c1968da4529071".into(), "87c1968da4529071".into()));
}
