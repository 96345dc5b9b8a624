//! Requested scopes: a token contains those that the key has.

use crate::support::Server;
use crate::support::check::oauth_error;

#[test]
fn requested_scopes_are_narrowed_and_keep_their_spelling() {
    let server = Server::start();
    let verify = |credential: &str| {
        let answer = server.get("/verify").bearer(credential).send();
        assert_eq!(answer.status, 200);
        answer.header("x-keyturn-scope").unwrap().to_owned()
    };
    let introspect = |credential: &str| {
        let caller = server.request("POST", "/oauth/introspect").basic(&server.key.id, &server.key.text);
        caller.form(&[("token", credential)]).send().expect(200)["scope"].as_str().unwrap().to_owned()
    };
    for (held, asked, granted) in [
        ("*:projects/*", "read:projects/acme/#", "read:projects/acme/#"),
        ("*:projects/*", "read:projects/acme write:projects/a/b/*", "read:projects/acme write:projects/a/b/*"),
        ("*:*", "read", "read"),
        ("*:*", "read write", "read write"),
        ("*:*", "read:*", "read:*"),
        ("read", "", "read"),
        ("read", "read:*", "read:*"),
        ("*:*", "*", "*"),
        ("*:*", "read:#/*", "read:#/*"),
        ("read:* write:a", "write:a read", "write:a read"),
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
        let token = answer["access_token"].as_str().unwrap();
        assert_eq!((verify(token).as_str(), introspect(token).as_str()), (granted, granted), "{asked} of {held}");
        assert_eq!((verify(&key.text).as_str(), introspect(&key.text).as_str()), (held, held));
    }
}

#[test]
fn scopes_beyond_the_key_are_invalid() {
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
fn key_without_scopes_gets_a_token_without_scopes() {
    let server = Server::start();
    let key = server.make(&serde_json::json!({ "scopes": [] }));
    let answer = server.exchange(&key.text, &[]).expect(200);
    assert_eq!(answer["scope"], "");
    assert_eq!(server.claims(answer["access_token"].as_str().unwrap())["scope"], "");
    let answer = server.exchange(&key.text, &[("scope", "read")]);
    oauth_error(&answer, 400, "invalid_scope", "INSUFFICIENT_SCOPE");
}

#[test]
fn maximum_number_of_scopes_can_be_requested() {
    let server = Server::start();
    let scopes: Vec<String> = (0..50).map(|n| format!("read:{}/{n:02}", "x".repeat(253))).collect();
    let scopes = scopes.join(" ");
    let key = server.make_with(&scopes);
    let answer = server.exchange(&key.text, &[("scope", &scopes)]).expect(200);
    assert_eq!(answer["scope"].as_str().unwrap(), scopes);
}

#[test]
fn unknown_action_is_an_invalid_scope_even_for_a_wildcard() {
    let server = Server::start();
    for (asked, hint) in [
        ("openid", "OpenID Connect scopes are not supported"),
        ("read:a offline_access", "item 2 has an unknown action; OpenID Connect"),
        ("delete:a", "item 1 has an unknown action; allowed are read, write, admin and *"),
        ("raed", "allowed are read, write, admin and *"),
        ("read:a delete", "item 2 "),
    ] {
        for held in ["*:*", "*", "read:a"] {
            let key = server.make_with(held);
            let answer = server.exchange(&key.text, &[("scope", asked)]);
            let description = oauth_error(&answer, 400, "invalid_scope", "VALIDATION_FAILED");
            assert!(description.starts_with("scope: ") && description.contains(hint), "{asked} {held}: {description}");
        }
    }
    for asked in ["read:a/b,read:c/d", "read,write", "read:a,", ",read"] {
        let answer = server.exchange(&server.key.text, &[("scope", asked)]);
        let description = oauth_error(&answer, 400, "invalid_scope", "VALIDATION_FAILED");
        assert!(description.contains("separate scopes by spaces"), "{asked}: {description}");
    }
}

#[test]
fn action_that_was_removed_can_be_requested_with_a_key_that_names_it() {
    let server = Server::start();
    let policy = server.api("GET", "policy").send().expect(200);
    let set_actions = |actions: &[&str]| {
        let mut policy = policy.clone();
        policy["actions"] = serde_json::json!(actions);
        server.api("PUT", "policy").json(&policy).send().expect(200);
    };
    set_actions(&["read", "write", "admin", "photos.read"]);
    let (named, wildcard) = (server.make_with("photos.read"), server.make_with("*:*"));
    let ask = |text: &str| server.exchange(text, &[("scope", "photos.read")]);
    assert_eq!(ask(&named.text).expect(200)["scope"], "photos.read");
    assert_eq!(ask(&wildcard.text).expect(200)["scope"], "photos.read");
    set_actions(&["read", "write", "admin"]);
    assert_eq!(ask(&named.text).expect(200)["scope"], "photos.read");
    assert_eq!(server.exchange(&named.text, &[]).expect(200)["scope"], "photos.read");
    oauth_error(&ask(&wildcard.text), 400, "invalid_scope", "VALIDATION_FAILED");
}

#[test]
fn actions_are_not_shown_to_strangers() {
    let server = Server::start();
    let mut wrong = server.key.text.clone();
    let last = if wrong.pop() == Some('a') { 'b' } else { 'a' };
    wrong.push(last);
    let answer = server.exchange(&wrong, &[("scope", "openid")]);
    oauth_error(&answer, 401, "invalid_client", "API_KEY_INVALID");
}
