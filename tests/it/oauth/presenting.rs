//! The ways to present a key, exactly one of which must be used.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::check::oauth_error;
use crate::support::{Request, Server};

const GRANT: &str = "grant_type=client_credentials";

/// Every accepted way to present a key, and whether a denial of it has a challenge.
fn ways(server: &Server, id: &str, text: &str, secret: &str) -> Vec<(&'static str, Request, bool)> {
    let form = || server.token_request().form_text(GRANT);
    let body = |rest: String| server.token_request().form_text(format!("{GRANT}&{rest}"));
    let basic = |scheme: &str, pair: String| format!("{scheme} {}", STANDARD.encode(pair));
    vec![
        ("basic, secret", form().basic(id, text), true),
        ("basic, last part of the secret", form().basic(id, secret), true),
        ("basic, no id", form().basic("", text), true),
        ("lower-case basic", form().header("authorization", basic("basic", format!("{id}:{text}"))), true),
        ("upper-case basic", form().header("AUTHORIZATION", basic("BASIC", format!("{id}:{text}"))), true),
        ("basic, same id in the body", body(format!("client_id={id}")).basic(id, text), true),
        ("body, ID and secret", body(format!("client_id={id}&client_secret={text}")), false),
        ("body, ID and last part of the secret", body(format!("client_id={id}&client_secret={secret}")), false),
        ("body, secret only", body(format!("client_secret={text}")), false),
        ("bearer", form().bearer(text), true),
        ("lower-case bearer", form().header("Authorization", format!("bearer {text}")), true),
        ("bearer, same id in the body", body(format!("client_id={id}")).bearer(text), true),
        ("x-api-key", form().api_key(text), false),
    ]
}

#[test]
fn every_way_is_accepted() {
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
fn challenge_only_for_the_authorization_header() {
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
fn missing_key_gets_a_challenge() {
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
    let answer = server.token_request().form_text(GRANT).basic(&key.id, &format!("{}%2B", key.text)).send();
    oauth_error(&answer, 401, "invalid_client", "API_KEY_INVALID");
}

#[test]
fn form_charset_and_unknown_values_are_ignored() {
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
fn more_than_one_way_is_rejected() {
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
fn client_id_of_another_key_is_an_invalid_client() {
    let server = Server::start();
    let (key, other) = (server.make(&json!({})), server.make(&json!({})));
    let id = &other.id;
    let body = |rest: String| server.token_request().form_text(format!("{GRANT}&{rest}"));
    for request in [
        body(format!("client_id={id}&client_secret={}", key.text)),
        body(format!("client_id=somebody&client_secret={}", key.text)),
        body(format!("client_id={id}")).basic(&key.id, &key.text),
        body(format!("client_id={id}")).basic(&key.id, key.secret()),
        body(String::new()).basic(id, &key.text),
        body(String::new()).basic("somebody", &key.text),
        body(format!("client_id={id}")).bearer(&key.text),
        body(format!("client_id={id}")).api_key(&key.text),
        body("client_id=somebody".into()).basic(&key.id, &key.text),
        body(format!("client_id={id}&client_secret={}", key.secret())),
        body(String::new()).basic(id, key.secret()),
    ] {
        let description = oauth_error(&request.send(), 401, "invalid_client", "API_KEY_INVALID");
        assert_eq!(description, "the API key or access token is not valid", "as for an unknown ID and a wrong secret");
    }
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        let answer = server.request("POST", path).basic(id, &key.text).form(&[("token", &key.text)]).send();
        oauth_error(&answer, 401, "invalid_client", "API_KEY_INVALID");
    }
    server.exchange(&key.text, &[]).expect(200);
}

#[test]
fn white_space_around_credentials_is_ignored() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let (id, text, secret) = (key.id.as_str(), key.text.as_str(), key.secret());
    let form = |pairs: &[(&str, &str)]| {
        server.token_request().form(&[&[("grant_type", "client_credentials")], pairs].concat())
    };
    for space in ["\n", "\r\n", " ", "\t", " \t\r\n "] {
        let around = |text: &str| format!("{space}{text}{space}");
        let (id, text, secret) = (around(id), around(text), around(secret));
        for request in [
            form(&[("client_secret", &text)]),
            form(&[("client_id", &id), ("client_secret", &text)]),
            form(&[("client_id", &id), ("client_secret", &secret)]),
            form(&[]).basic(&id, &text),
            form(&[("client_id", &id)]).basic(&key.id, &secret),
        ] {
            assert_eq!(request.send().status, 200, "{space:?}");
        }
        let token = around(&server.token(&key, &[]));
        let caller = |path: &str| server.request("POST", path).basic(&id, &text);
        for credential in [&token, &text] {
            let answer = caller("/oauth/introspect").form(&[("token", credential)]).send();
            assert_eq!(answer.expect(200)["active"], true, "{space:?}");
        }
        caller("/oauth/revoke").form(&[("token", &token)]).send().expect(200);
        assert_eq!(server.me(token.trim()).status, 401, "{space:?}: the token was revoked");
    }
    for request in
        [form(&[]).header("Authorization", format!("Bearer \t{text}\t")), form(&[]).api_key(&format!("\t{text} "))]
    {
        request.send().expect(200);
    }
}

#[test]
fn damaged_credential_is_named() {
    let server = Server::start();
    let key = server.make(&json!({}));
    let (id, text, secret) = (key.id.as_str(), key.text.as_str(), key.secret());
    let last = if text.ends_with('a') { "b" } else { "a" };
    for (id, presented, fault) in [
        (id, format!("\"{text}\""), "the secret contains a quotation mark"),
        (id, format!("'{secret}'"), "the secret contains a quotation mark"),
        (id, format!("{text}\u{a0}"), "the secret contains a non-ASCII character"),
        (id, format!("\u{200b}{secret}"), "the secret contains a non-ASCII character"),
        (id, text.replace('_', " _"), "the secret contains white space"),
        (id, text[..text.len() - 1].to_owned(), "the secret is too short or too long"),
        (id, format!("{}{last}", &text[..text.len() - 1]), "its checksum does not match"),
        (&format!("'{id}'"), text.to_owned(), "client_id: contains a quotation mark"),
        (&format!("{id}\u{feff}"), secret.to_owned(), "client_id: contains a non-ASCII character"),
    ] {
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", &presented)];
        for request in [
            server.token_request().form(&form),
            server.token_request().form_text(GRANT).basic(id, &presented),
            server.request("POST", "/oauth/introspect").basic(id, &presented).form(&[("token", "x")]),
        ] {
            let answer = request.send();
            let description = oauth_error(&answer, 401, "invalid_client", "API_KEY_INVALID");
            assert!(description.contains(fault), "{description}");
            assert!(!answer.text().contains(&text[30..50]), "the secret is not repeated");
        }
    }
}

#[test]
fn authorization_header_without_a_credential_is_ignored() {
    let server = Server::start();
    let (id, text) = (&server.key.id, &server.key.text);
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    let body = server.token_request().form_text(format!("{GRANT}&client_id={id}&client_secret={text}"));
    for value in [
        "".to_owned(),
        "Basic".into(),
        "Bearer".into(),
        "Bearer null".into(),
        "Bearer undefined".into(),
        "Basic null".into(),
        basic(":"),
        basic("null:null"),
        basic(&format!("{id}:")),
        basic(&format!("{id}:null")),
        basic("undefined:undefined"),
    ] {
        body.clone().header("Authorization", &value).send().expect(200);
        let api_key = server.token_request().form_text(GRANT).api_key(text).header("Authorization", &value);
        api_key.send().expect(200);
        let alone = server.token_request().form_text(GRANT).header("Authorization", &value).send();
        let description = oauth_error(&alone, 401, "invalid_client", "API_KEY_REQUIRED");
        assert!(value.is_empty() || description.contains("Authorization header contains no secret"), "{description}");
        assert!(alone.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic ")));
    }
    for value in ["", "null", "undefined", " "] {
        let body = server.token_request().form(&[("grant_type", "client_credentials"), ("client_secret", value)]);
        body.clone().basic(id, text).send().expect(200);
        body.clone().api_key(text).send().expect(200);
        oauth_error(&body.send(), 401, "invalid_client", "API_KEY_REQUIRED");
    }
    for (value, reason) in
        [("Digest x", "Authorization header of another scheme"), ("Bearer x", "credential in the Authorization header")]
    {
        let answer = body.clone().header("Authorization", value).send();
        let description = oauth_error(&answer, 400, "invalid_request", "VALIDATION_FAILED");
        assert!(description.contains(reason), "{description}");
    }
    let description = oauth_error(&body.api_key(text).send(), 400, "invalid_request", "VALIDATION_FAILED");
    assert!(description.contains("X-Api-Key header"), "{description}");
}

#[test]
fn typo_is_denied_like_a_wrong_secret() {
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
