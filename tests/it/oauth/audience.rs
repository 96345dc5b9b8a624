//! `resource` and `audience`: the audience of a token.

use serde_json::json;

use crate::support::check::oauth_error;
use crate::support::{Place, Server, database};

#[test]
fn default_audience_is_the_public_url() {
    let server = Server::start();
    let token = server.token(&server.key, &[]);
    assert_eq!(server.claims(&token)["aud"], server.public_url.as_str());
}

#[test]
fn default_audience_is_configurable() {
    let server = Place::new().set("KEYTURN_TOKEN__AUDIENCE", "https://api.example/v1").start();
    let token = server.token(&server.key, &[]);
    assert_eq!(server.claims(&token)["aud"], "https://api.example/v1");
}

#[test]
fn only_audiences_of_the_policy_can_be_requested() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    database::execute(
        &place.database(),
        r#"UPDATE organizations SET policy = json_set(policy, '$.audiences', json('["https://a.example","urn:b"]'))"#,
    );
    let server = place.serve(founded.key);
    let url = server.public_url.clone();
    let slash = format!("{url}/");
    for (asked, expected) in [
        (vec![("resource", "https://a.example")], json!("https://a.example")),
        (vec![("audience", "urn:b")], json!("urn:b")),
        (vec![("resource", "https://a.example"), ("resource", "urn:b")], json!(["https://a.example", "urn:b"])),
        (vec![("resource", "urn:b"), ("resource", "urn:b")], json!("urn:b")),
        (vec![("resource", "urn:b"), ("audience", "urn:b")], json!("urn:b")),
        (vec![("resource", url.as_str())], json!(url)),
        (vec![("resource", slash.as_str())], json!(url)),
        (vec![("audience", "HTTPS://A.example:443/")], json!("https://a.example")),
        (vec![("resource", "https://a.example/"), ("resource", "https://a.example")], json!("https://a.example")),
    ] {
        let token = server.token(&server.key, &asked);
        assert_eq!(server.claims(&token)["aud"], expected, "{asked:?}");
    }
    for asked in [
        vec![("resource", "https://b.example")],
        vec![("audience", "https://a.example/x")],
        vec![("audience", "https://a.example//")],
        vec![("audience", "https://a.example/#x")],
        vec![("audience", "http://a.example")],
        vec![("audience", "URN:b")],
        vec![("resource", "https://a.example"), ("resource", "https://b.example")],
    ] {
        let answer = server.exchange(&server.key.text, &asked);
        let description = oauth_error(&answer, 400, "invalid_target", "VALIDATION_FAILED");
        assert!(description.contains("resource") && description.contains("audience"), "{description}");
    }
}

#[test]
fn audience_is_not_repeatable() {
    let server = Server::start();
    let url = server.public_url.clone();
    let answer = server.exchange(&server.key.text, &[("audience", &url), ("audience", &url)]);
    let description = oauth_error(&answer, 400, "invalid_request", "VALIDATION_FAILED");
    assert!(description.starts_with("audience: "), "{description}");
}
