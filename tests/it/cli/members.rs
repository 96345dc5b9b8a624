//! `keyturn members …` through the API of a running server.

use serde_json::{Value, json};

use crate::cli::{json_lines, json_object, run};
use crate::support::person::{start, try_sign_in};

#[test]
fn member_is_added_changed_and_removed() {
    let (server, _) = start();
    let added = json_object(&server, &["members", "add", "--email", "Jo@example.org", "--role", "developer"]);
    let password = added["password"].as_str().unwrap();
    assert_eq!(try_sign_in(&server, "default", "jo@example.org", password).status, 201);
    let logins = || -> Vec<Value> {
        json_lines(&server, &["members", "list"])
            .iter()
            .map(|member| json!([member["email"], member["role"]]))
            .collect()
    };
    assert_eq!(logins(), [json!(["jo@example.org", "developer"]), json!(["owner@localhost", "owner"])]);

    let updated = json_object(&server, &["members", "update", "JO@example.org", "--role", "admin"]);
    assert_eq!((&updated["role"], updated.get("password")), (&json!("admin"), None));
    let id = added["id"].as_str().unwrap();
    let reset = json_object(&server, &["members", "update", id, "--reset-password"]);
    assert_eq!(try_sign_in(&server, "default", "jo@example.org", password).status, 401);
    let password = reset["password"].as_str().unwrap();
    assert_eq!(try_sign_in(&server, "default", "jo@example.org", password).status, 201);

    server.make(&json!({ "owner": id }));
    let removed = run(&server, &["members", "remove", "jo@example.org", "--keys", "revoke"]);
    assert_eq!((removed.code, removed.stderr.as_str()), (0, ""));
    assert!(removed.stdout.starts_with("Removed jo@example.org. Revoked 1 key.\n"), "{}", removed.stdout);
    assert_eq!(logins(), [json!(["owner@localhost", "owner"])]);

    let added = json_object(&server, &["members", "add", "--email", "jo@example.org", "--role", "developer"]);
    let kept = server.make(&json!({ "owner": added["id"] }));
    let removed = run(&server, &["members", "remove", "jo@example.org"]);
    let said = "Removed jo@example.org. Transferred 1 key to the organization. Revoked 0 keys.\n";
    assert!(removed.stdout.starts_with(said), "{}", removed.stdout);
    server.exchange(&kept.text, &[]).expect(200);
}

#[test]
fn password_is_shown_once_and_the_table_has_none() {
    let (server, _) = start();
    let added = run(&server, &["members", "add", "--email", "jo@example.org", "--role", "viewer"]);
    let password = added.stdout.lines().last().unwrap().trim().to_owned();
    assert_eq!(try_sign_in(&server, "default", "jo@example.org", &password).status, 201);
    let listed = run(&server, &["members", "list"]);
    assert!(listed.stdout.contains("jo@example.org") && !listed.stdout.contains(&password), "{}", listed.stdout);
}

#[test]
fn errors_name_the_field_or_the_member() {
    let (server, _) = start();
    let add = run(&server, &["members", "add", "--email", "nobody", "--role", "viewer"]);
    assert!(add.refused(1).starts_with("keyturn: email: "), "{}", add.stderr);
    let gone = run(&server, &["members", "remove", "gone@example.org"]);
    assert!(gone.refused(1).contains("gone@example.org"), "{}", gone.stderr);
    let nothing = run(&server, &["members", "update", "owner@localhost"]);
    assert!(nothing.refused(2).contains("nothing to change"));
    let last = run(&server, &["members", "update", "owner@localhost", "--role", "viewer"]);
    assert!(last.refused(1).contains("CONFLICT"), "{}", last.stderr);
    assert_eq!(run(&server, &["members", "add", "--email", "a@b", "--role", "king"]).code, 2);
}
