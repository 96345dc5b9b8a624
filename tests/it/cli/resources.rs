//! `keyturn organizations`, `webhooks`, `signing-keys`, `completion`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::cli::{json_lines, json_object, run};
use crate::support::person::try_sign_in;
use crate::support::{Server, field};
use crate::webhooks::{Receiver, place};

#[test]
fn organization_is_created_renamed_suspended_and_resumed() {
    let server = Server::start();
    let created = json_object(&server, &["organizations", "create", "acme", "--owner-email", "owner@acme.example"]);
    let password = created["owner"]["password"].as_str().unwrap();
    assert_eq!(try_sign_in(&server, "acme", "owner@acme.example", password).status, 201);
    assert_eq!((&created["bootstrapped"], &created["name"]), (&json!(true), &json!("acme")));
    assert_eq!(run(&server, &["organizations", "bootstrap", "acme"]).code, 1, "it has a signing key");
    let renamed = json_object(&server, &["organizations", "rename", "acme", "Acme Rockets"]);
    assert_eq!((&renamed["slug"], &renamed["name"]), (&json!("acme"), &json!("Acme Rockets")));
    let suspended = || json_lines(&server, &["organizations", "list"])[0]["suspended_at"].is_string();
    assert!(!suspended());
    assert_eq!(run(&server, &["organizations", "suspend", "acme"]).code, 0);
    assert!(suspended());
    assert_eq!(run(&server, &["organizations", "resume", "acme"]).code, 0);
    assert!(!suspended());
    let table = run(&server, &["organizations", "list"]).stdout;
    assert!(table.contains("Acme Rockets") && table.contains("active keys") && table.contains("default"), "{table}");

    let again = run(&server, &["organizations", "create", "acme", "--owner-email", "x@y"]);
    assert!(again.refused(1).contains("(409 CONFLICT)"), "{}", again.stderr);
    assert_eq!(run(&server, &["organizations", "suspend", "../keys"]).code, 2);
}

#[test]
fn api_is_created_granted_listed_and_deleted() {
    let server = Server::start();
    let create =
        ["apis", "create", "orders", "--audience", "https://orders.example", "--scope", "orders.read=See orders"];
    let created = json_object(&server, &create);
    assert_eq!(created["scopes"], json!([{ "scope": "orders.read", "description": "See orders" }]));
    let key = ["keys", "create", "--name", "shop", "--api", "orders=orders.read", "--cidr", "127.0.0.1"];
    assert_eq!(run(&server, &key).code, 0);
    let names = |more: &[&str]| -> Vec<String> {
        let listed = json_lines(&server, &[&["keys", "list"], more].concat());
        listed.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--api", "orders"]), ["shop"]);
    assert_eq!(names(&["--api", "orders", "--scope", "orders.read"]), ["shop"]);
    assert_eq!(names(&["--api", "orders", "--scope", "orders.write"]), [""; 0]);
    assert!(!names(&["--api", "default"]).contains(&"shop".to_owned()));
    assert!(run(&server, &["keys", "list", "--api", "nothing"]).refused(1).contains("api: must be the name of an API"));
    let table = run(&server, &["apis", "list"]).stdout;
    assert!(table.contains("default") && table.contains("https://orders.example"), "{table}");
    assert_eq!(run(&server, &["apis", "delete", "orders"]).code, 0);
    assert_eq!(json_lines(&server, &["apis", "list"]).len(), 1);
}

#[test]
fn webhook_is_created_tested_and_removed() {
    let server = place().start();
    let receiver = Receiver::start();
    let url = server.path("url");
    fs::write(&url, format!("{}\n", receiver.url())).unwrap();
    fs::set_permissions(&url, fs::Permissions::from_mode(0o600)).unwrap();
    let url = url.to_str().unwrap();
    let create = ["webhooks", "create", "--url-file", url, "--event", "key.revoked", "--description", "siem"];
    let created = json_object(&server, &create);
    assert!(created["secret"].is_string());
    let id = created["id"].as_str().unwrap();
    let listed = run(&server, &["webhooks", "list"]).stdout;
    assert!(listed.contains(id) && listed.contains("key.revoked") && listed.contains("siem"), "{listed}");
    let delivery = json_object(&server, &["webhooks", "test", id]);
    assert_eq!(delivery["state"], "pending");
    assert_eq!(receiver.await_count(1)[0].id(), delivery["id"].as_str().unwrap());
    assert_eq!(json_object(&server, &["webhooks", "remove", id]), json!({ "id": id }));
    assert_eq!(json_lines(&server, &["webhooks", "list"]), Vec::<serde_json::Value>::new());

    let unknown = run(&server, &["webhooks", "create", "--url", &receiver.url(), "--event", "key.lost"]);
    assert!(unknown.refused(1).contains("events"), "{}", unknown.stderr);
    assert!(run(&server, &["webhooks", "remove", id]).refused(1).contains("NOT_FOUND"));
    assert!(run(&server, &["webhooks", "remove", "../keys"]).refused(2).contains("webhook ID"));
}

#[test]
fn signing_key_is_rotated_and_removed() {
    let server = Server::start();
    let token = server.token(&server.key, &[]);
    let kids = || {
        field(&json!(json_lines(&server, &["signing-keys", "list"])), "kid")
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let old = kids().remove(0);
    let rotated = json_object(&server, &["signing-keys", "rotate", "--publish-ahead", "0s"]);
    assert_eq!(rotated["status"], "current");
    assert!(kids().contains(&old) && server.me(&token).status == 200);
    let removed = run(&server, &["signing-keys", "remove", &old]);
    assert_eq!((removed.code, removed.stdout), (0, format!("Removed signing key {old}.\n")));
    assert_eq!(server.me(&token).status, 401);
    let fresh = server.token(&server.key, &[]);
    json_object(&server, &["signing-keys", "rotate", "--retire-now"]);
    assert_eq!(server.me(&fresh).status, 401);
    assert!(run(&server, &["signing-keys", "remove", &old]).refused(1).contains("NOT_FOUND"));
    for not_a_kid in ["..", "-h/x", "--kid=x"] {
        assert_eq!(run(&server, &["signing-keys", "remove", not_a_kid]).code, 2, "{not_a_kid}");
    }
    // One kid in 64 begins with a hyphen.
    for kid in ["-lBMNpC4mYaIgwYdqEYJ3hfe17sD1cz0ta9psj4XQAQ", "-hBMNpC4mYaIgwYdqEYJ3hfe17sD1cz0ta9psj4XQAQ", "--BMNpC"]
    {
        assert!(run(&server, &["signing-keys", "remove", kid]).refused(1).contains("NOT_FOUND"), "{kid}");
    }
}

#[test]
fn identifiers_may_begin_with_a_hyphen() {
    let server = Server::start();
    let id = "-hCDEFGHIJKLMNOPQRSTUV";
    for arguments in [
        &["webhooks", "remove", id][..],
        &["webhooks", "test", id],
        &["members", "remove", id],
        &["members", "update", id, "--role", "admin"],
        &["members", "update", "--role", "admin", id],
    ] {
        assert!(run(&server, arguments).refused(1).contains("NOT_FOUND"), "{arguments:?}");
    }
    let unknown = run(&server, &["keys", "create", "--name", "a", "--scope", "read", "--owner", id]);
    assert!(unknown.refused(1).contains("owner"), "{}", unknown.stderr);
    assert_eq!(run(&server, &["keys", "list", "--owner", id]).code, 0);
    for command in [["webhooks", "remove", "-h"], ["members", "remove", "-h"], ["signing-keys", "remove", "-h"]] {
        let help = run(&server, &command);
        assert!(help.code == 0 && help.stdout.contains("Usage: keyturn"), "{command:?}: {}", help.stderr);
    }
}

#[test]
fn completion_knows_the_commands() {
    let server = Server::start();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = server.run(&["completion", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{shell}");
        for word in ["signing-keys", "reset-password", "detailed-exitcode"] {
            assert!(ended.stdout.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(server.run(&["completion", "cmd"]).code, 2);
}
