//! Narrowing: a token carries what was asked for, if the key has it.

use crate::support::Server;
use crate::support::check::oauth_error;

#[test]
fn a_request_narrows_on_both_axes_and_the_answer_says_what_was_granted() {
    let server = Server::start();
    for (held, asked, granted) in [
        ("*:projects/*", "read:projects/acme/#", "read:projects/acme/#"),
        ("*:projects/*", "read:projects/acme write:projects/a/b/*", "read:projects/acme write:projects/a/b/*"),
        ("*:*", "read", "read:*"),
        ("*:*", "*", "*:*"),
        ("*:*", "read:#/*", "read:#/*"),
        ("read:* write:a", "write:a read", "write:a read:*"),
        ("read:#/b", "read:a/b", "read:a/b"),
        ("*:keyturn/* read:a", "read:keyturn/keys", "read:keyturn/keys"),
        ("read:a", "", "read:a"),
        ("read:a read:a/*", "read:a/b read:a read:a/b", "read:a/b read:a"),
        ("read:urn:x/y", "read:urn:x/y", "read:urn:x/y"),
    ] {
        let key = server.make_with(held);
        let answer = server.exchange(&key.text, &[("scope", asked)]).expect(200);
        assert_eq!(answer["scope"], granted, "{asked} of {held}");
        let claims = server.claims(answer["access_token"].as_str().unwrap());
        assert_eq!(claims["scope"], granted, "{asked} of {held}");
    }
}

#[test]
fn what_the_key_does_not_have_is_an_invalid_scope() {
    let server = Server::start();
    for (held, asked) in [
        ("read:projects/*", "write:projects/acme"),
        ("read:projects/*", "*:projects/acme"),
        ("read:projects/*", "read:projects"),
        ("read:projects/*", "read:*"),
        ("read:projects/*", "read"),
        ("read:projects/*", "read:Projects/acme"),
        ("read:projects/#", "read:projects/*"),
        ("read:projects/#", "read:projects/a/b"),
        ("read:projects/#", "read:projects/a read:projects/a/b"),
        ("*:*", "read:keyturn/keys"),
        ("*:*", "read:keyturn"),
        ("*:*", "*:keyturn/*"),
        ("read:#/*", "read:keyturn/keys"),
        ("read:a/b read:a/#/*", "read:a/*"),
    ] {
        let key = server.make_with(held);
        let answer = server.exchange(&key.text, &[("scope", asked)]);
        let description = oauth_error(&answer, 400, "invalid_scope", "INSUFFICIENT_SCOPE");
        assert!(description.starts_with("scope: "), "{description}");
    }
}

#[test]
fn a_key_without_scopes_mints_a_token_without_any() {
    let server = Server::start();
    let key = server.make(&serde_json::json!({ "scopes": [] }));
    let answer = server.exchange(&key.text, &[]).expect(200);
    assert_eq!(answer["scope"], "");
    assert_eq!(server.claims(answer["access_token"].as_str().unwrap())["scope"], "");
    let answer = server.exchange(&key.text, &[("scope", "read")]);
    oauth_error(&answer, 400, "invalid_scope", "INSUFFICIENT_SCOPE");
}

#[test]
fn as_many_scopes_as_a_key_can_have_can_be_asked_for() {
    let server = Server::start();
    let scopes: Vec<String> = (0..50).map(|n| format!("read:{}/{n:02}", "x".repeat(253))).collect();
    let scopes = scopes.join(" ");
    let key = server.make_with(&scopes);
    let answer = server.exchange(&key.text, &[("scope", &scopes)]).expect(200);
    assert_eq!(answer["scope"].as_str().unwrap(), scopes);
}
