//! The ways to present a key, and that it is presented in exactly one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::check::oauth_error;
use crate::support::{Request, Server};

const GRANT: &str = "grant_type=client_credentials";

/// Every way to present a key that is taken, and whether a refusal of it carries a challenge.
fn ways(server: &Server, id: &str, text: &str, secret: &str) -> Vec<(&'static str, Request, bool)> {
    let form = || server.token_request().form_text(GRANT);
    let body = |rest: String| server.token_request().form_text(format!("{GRANT}&{rest}"));
    let basic = |scheme: &str, pair: String| format!("{scheme} {}", STANDARD.encode(pair));
    vec![
        ("basic, key text", form().basic(id, text), true),
        ("basic, bare secret", form().basic(id, secret), true),
        ("basic, no id", form().basic("", text), true),
        ("lower-case basic", form().header("authorization", basic("basic", format!("{id}:{text}"))), true),
        ("upper-case basic", form().header("AUTHORIZATION", basic("BASIC", format!("{id}:{text}"))), true),
        ("basic, same id in the body", body(format!("client_id={id}")).basic(id, text), true),
        ("body, id and key text", body(format!("client_id={id}&client_secret={text}")), false),
        ("body, id and bare secret", body(format!("client_id={id}&client_secret={secret}")), false),
        ("body, key text alone", body(format!("client_secret={text}")), false),
        ("bearer", form().bearer(text), true),
        ("lower-case bearer", form().header("Authorization", format!("bearer {text}")), true),
        ("bearer, same id in the body", body(format!("client_id={id}")).bearer(text), true),
        ("x-api-key", form().api_key(text), false),
    ]
}

#[test]
fn a_key_is_taken_in_every_way() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for (way, request, _) in ways(&server, &key.id, &key.text, key.secret()) {
        let answer = request.send();
        assert_eq!(answer.status, 200, "{way}: {}", answer.text());
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(server.claims(&token)["sub"], key.id.as_str(), "{way}");
    }
}

#[test]
fn a_refusal_challenges_those_who_used_the_authorization_header_and_nobody_else() {
    let server = Server::start();
    let key = server.make(&json!({}));
    server.change("POST", &format!("{}/revoke", key.id), &json!({}));
    for (way, request, challenged) in ways(&server, &key.id, &key.text, key.secret()) {
        let answer = request.send();
        oauth_error(&answer, 401, "invalid_client", "API_KEY_INVALID");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge.is_some(), challenged, "{way}");
        assert!(challenge.is_none_or(|text| text.starts_with("Basic realm=\"")), "{way}");
    }
}

#[test]
fn no_key_at_all_is_challenged() {
    let server = Server::start();
    for request in [
        server.token_request().form_text(GRANT),
        server.token_request().form_text(format!("{GRANT}&client_id={}", server.key.id)),
        server.token_request().form_text(format!("{GRANT}&client_secret=")),
        server.token_request().form_text(GRANT).header("Authorization", "Digest username=\"x\""),
    ] {
        let answer = request.send();
        oauth_error(&answer, 401, "invalid_client", "API_KEY_REQUIRED");
        assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic ")));
    }
}

#[test]
fn both_parts_of_basic_are_form_decoded() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    server.token_request().form_text(GRANT).basic(&escape(&key.id), &escape(&key.text)).send().expect(200);
    server.token_request().form_text(GRANT).basic(&escape(&key.id), &key.text.replace('_', "%5F")).send().expect(200);
    let answer = server.token_request().form_text(GRANT).basic(&key.id, &format!("{}+", key.text)).send();
    oauth_error(&answer, 401, "invalid_client", "API_KEY_INVALID");
}

#[test]
fn the_form_may_say_any_charset_and_hold_empty_unknown_and_repeated_values() {
    let server = Server::start();
    let text = &server.key.text;
    let good = format!("{GRANT}&client_secret={text}");
    for content_type in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded;charset=UTF-8",
        "application/x-www-form-urlencoded; charset=ISO-8859-1",
        "Application/X-WWW-Form-URLencoded ; charset=\"utf-8\"; boundary=x",
    ] {
        server.token_request().body(content_type, &good).send().expect(200);
    }
    for rest in [
        "&scope=",
        "&resource=&audience=",
        "&&",
        "&",
        "&unknown=1&another",
        "&client_id=",
        "&scope=read:a+read:a+read:a",
        "&scope=+read:a++write:a+",
        "&%63lient_id=",
    ] {
        server.token_request().form_text(format!("{good}{rest}")).send().expect(200);
    }
}

#[test]
fn more_than_one_way_at_once_is_refused() {
    let server = Server::start();
    let (id, text) = (&server.key.id, &server.key.text);
    let in_body = server.token_request().form_text(format!("{GRANT}&client_secret={text}"));
    for request in [
        in_body.clone().basic(id, text),
        in_body.clone().bearer(text),
        in_body.clone().api_key(text),
        in_body.clone().header("Authorization", "Digest x"),
        server.token_request().form_text(GRANT).basic(id, text).api_key(text),
        server.token_request().form_text(GRANT).bearer(text).api_key(text),
        server.token_request().form_text(GRANT).basic(id, text).basic(id, text),
        server.token_request().form_text(GRANT).bearer(text).bearer(text),
        server.token_request().form_text(GRANT).bearer(text).basic(id, text),
        server.token_request().form_text(GRANT).api_key(text).api_key(text),
    ] {
        oauth_error(&request.send(), 400, "invalid_request", "VALIDATION_FAILED");
    }
}

#[test]
fn a_client_id_that_is_not_the_keys_is_refused() {
    let server = Server::start();
    let (key, other) = (server.make(&json!({})), server.make(&json!({})));
    let id = &other.id;
    let body = |rest: String| server.token_request().form_text(format!("{GRANT}&{rest}"));
    for request in [
        body(format!("client_id={id}&client_secret={}", key.text)),
        body(format!("client_id={id}")).basic(&key.id, &key.text),
        body(format!("client_id={id}")).basic(&key.id, key.secret()),
        body(String::new()).basic(id, &key.text),
        body(format!("client_id={id}")).bearer(&key.text),
        body(format!("client_id={id}")).api_key(&key.text),
        body("client_id=somebody".into()).basic(&key.id, &key.text),
    ] {
        let description = oauth_error(&request.send(), 400, "invalid_request", "VALIDATION_FAILED");
        assert!(description.starts_with("client_id: "), "{description}");
    }
    for request in
        [body(format!("client_id={id}&client_secret={}", key.secret())), body(String::new()).basic(id, key.secret())]
    {
        oauth_error(&request.send(), 401, "invalid_client", "API_KEY_INVALID");
    }
}

#[test]
fn a_typing_error_is_refused_like_a_wrong_secret() {
    let server = Server::start();
    let key = &server.key;
    let changed = |place: usize| {
        let mut bytes = key.text.clone().into_bytes();
        bytes[place] = if bytes[place] == b'a' { b'b' } else { b'a' };
        String::from_utf8(bytes).unwrap()
    };
    for text in [changed(0), changed(5), changed(25), changed(key.text.len() - 1)] {
        oauth_error(&server.exchange(&text, &[]), 401, "invalid_client", "API_KEY_INVALID");
    }
}
