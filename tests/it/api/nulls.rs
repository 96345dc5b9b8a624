//! `null` in an edit: it clears what can be cleared and is refused elsewhere.

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::check::wrong_field;
use crate::support::server::new_member;

#[test]
fn null_is_refused_for_fields_that_cannot_be_cleared() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["127.0.0.1"], "expires_in_seconds": 600 }));
    let member = new_member(&server);
    let webhook = server.api("POST", "webhooks").json(&json!({ "url": "https://example.org/hook" })).send().expect(201);
    let key_path = format!("keys/{}", key.id);
    let webhook_path = format!("webhooks/{}", webhook["id"].as_str().unwrap());
    let member_path = format!("members/{member}");
    let cases: [(&str, &str, &[&str]); 5] = [
        ("PATCH", &key_path, &["name", "description", "scopes", "allowed_cidrs", "expires_in_seconds"]),
        ("POST", &format!("{key_path}/rotate"), &["name", "expires_in_seconds", "grace_seconds"]),
        ("POST", &format!("{key_path}/impact"), &["scopes", "allowed_cidrs"]),
        ("PATCH", &webhook_path, &["url", "description", "events", "state"]),
        ("PATCH", &member_path, &["email", "role"]),
    ];
    let shown = |path: &str| server.api("GET", path).send().expect(200);
    for (method, path, fields) in cases {
        let of = path.split('/').take(2).collect::<Vec<_>>().join("/");
        let before = shown(&of);
        for field in fields {
            for others in [json!({}), json!({ "name": "renamed" })] {
                let mut body: Value = if method == "PATCH" && path == key_path { others } else { json!({}) };
                body[*field] = Value::Null;
                let message = wrong_field(&server.api(method, path).json(&body).send(), field);
                assert!(message.starts_with("null is not allowed"), "{path} {field}: {message}");
            }
        }
        assert_eq!(shown(&of), before, "{path}");
    }
    let cleared = server.change("PATCH", &key.id, &json!({ "expires_at": null, "allowed_cidrs": [], "owner": null }));
    assert_eq!((&cleared["expires_at"], &cleared["allowed_cidrs"]), (&Value::Null, &json!([])));
}
