//! `POST …/keys/lookup`: finds a key by what was pasted, without using it.

use serde_json::{Value, json};

use crate::support::{Server, person};

fn lookup(server: &Server, credential: &str, text: &str) -> Value {
    server.api_as(credential, "POST", "keys/lookup").json(&json!({ "text": text })).send().expect(200)
}

#[test]
fn secrets_tokens_and_ids_are_found_without_a_use() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "found" }));
    let by = server.key.text.clone();
    let found = lookup(&server, &by, &format!("denied: {}", key.text));
    let item = &found["items"][0];
    assert_eq!((item["found_by"].as_str(), item["key"]["id"].as_str()), (Some("secret"), Some(key.id.as_str())));
    assert_eq!(item["secret"], json!({ "checksum_valid": true, "state": "current" }));
    assert_eq!(item["key"]["last_used_at"], json!(null));
    assert!(!found.to_string().contains(&key.text[20..]));

    assert_eq!(lookup(&server, &by, &key.id)["items"][0]["found_by"], "id");
    let end = &key.text[key.text.len() - 4..];
    assert_eq!(lookup(&server, &by, &format!("kt_...{end}"))["items"][0]["found_by"], "last_four");
    let token = server.token(&key, &[]);
    let item = &lookup(&server, &by, &token)["items"][0];
    assert_eq!((item["found_by"].as_str(), item["token"]["state"].as_str()), (Some("token"), Some("valid")), "{item}");
    let forged = format!("{}A", &token[..token.len() - 1]);
    let forged = if forged == token { format!("{}B", &token[..token.len() - 1]) } else { forged };
    assert_eq!(lookup(&server, &by, &forged)["items"], json!([]), "nothing in it can be believed");

    server.change("POST", &format!("{}/rotate", key.id), &json!({ "grace_seconds": 3600 }));
    assert_eq!(lookup(&server, &by, &key.text)["items"][0]["secret"]["state"], "previous");
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    let item = &lookup(&server, &by, &key.text)["items"][0];
    assert_eq!((item["key"]["status"].as_str(), item["secret"]["state"].as_str()), (Some("revoked"), Some("other")));
    assert_eq!(lookup(&server, &by, &token)["items"][0]["token"]["state"], "key_changed");
    assert_eq!(lookup(&server, &by, "nothing here")["items"], json!([]));
}

#[test]
fn callers_without_management_learn_the_key_but_not_the_match() {
    let (server, owner) = person::start();
    let made = owner.make(&json!({ "name": "of the owner" }));
    let secret = made["secret"].as_str().unwrap();
    let reader = server.make_with("read:keyturn/keys");
    let item = &lookup(&server, &reader.text, secret)["items"][0];
    assert_eq!(item["secret"]["state"], "not_checked");
    let developer = owner.add(&server, "developer");
    let found = developer.api("POST", "keys/lookup").json(&json!({ "text": secret })).send().expect(200);
    assert_eq!(found["items"][0]["secret"]["state"], "not_checked");
    let none = server.make_with("read:orders/*");
    let refused = server.api_as(&none.text, "POST", "keys/lookup").json(&json!({ "text": secret })).send();
    assert_eq!(refused.status, 403);
    for wrong in [json!({}), json!({ "text": "" }), json!({ "text": "x".repeat(16_385) }), json!({ "texts": "x" })] {
        let answer = server.api("POST", "keys/lookup").json(&wrong).send();
        assert_eq!(answer.status, 422, "{wrong}: {}", answer.text());
    }
}
