//! `/verify` with `keyturn_api`: the API that a gateway protects, and the challenge that describes it (RFC 9728 §5).

use serde_json::json;

use crate::nodes::Two;
use crate::support::server::{Key, Place, Server};
use crate::support::{Answer, eventually};

const MCP: &str = "https://mcp.example.com/mcp";
const METADATA: &str = r#", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;

/// A server with an API `mcp`, and a key that may use it and the default API.
fn start() -> (Server, Key) {
    let server = Server::start();
    let key = add_api(&server);
    (server, key)
}

fn add_api(server: &Server) -> Key {
    let scopes = json!([{ "scope": "tools.call" }, { "scope": "tools.list" }]);
    server.api("POST", "apis").json(&json!({ "name": "mcp", "audience": MCP, "scopes": scopes })).send().expect(201);
    server.make(&json!({ "scopes": ["read"], "apis": [{ "api": "mcp", "scopes": ["tools.list"] }] }))
}

fn verify(server: &Server, query: &str, credential: &str) -> Answer {
    server.get(&format!("/verify?{query}")).bearer(credential).send()
}

fn challenge(answer: &Answer) -> &str {
    answer.header("www-authenticate").unwrap_or_default()
}

#[test]
fn credential_must_be_for_the_api() {
    let (server, key) = start();
    let (for_mcp, for_default) = (server.token(&key, &[("resource", MCP)]), server.token(&key, &[("scope", "read")]));
    let only_default = server.make(&json!({ "scopes": ["read"] }));
    for (credential, status) in
        [(&for_mcp, 200), (&key.text, 200), (&for_default, 401), (&only_default.text, 401), (&server.key.text, 401)]
    {
        assert_eq!(verify(&server, "keyturn_api=mcp", credential).status, status);
    }
    let answer = verify(&server, "keyturn_api=mcp&keyturn_require=tools.list", &key.text);
    assert_eq!((answer.status, answer.header("x-keyturn-scope")), (200, Some("tools.list")));
    assert_eq!(verify(&server, "keyturn_api=default&keyturn_require=read:a", &key.text).status, 200);
    assert_eq!(verify(&server, "keyturn_api=default", &for_mcp).status, 401);
}

#[test]
fn challenge_names_the_metadata_and_the_required_scopes() {
    let (server, key) = start();
    let query = "keyturn_api=mcp&keyturn_require=tools.list&keyturn_require=tools.call";
    let scope = r#", scope="tools.list tools.call""#;
    let none = server.get(&format!("/verify?{query}")).send();
    assert_eq!((none.status, challenge(&none)), (401, &*format!(r#"Bearer realm="keyturn"{scope}{METADATA}"#)));
    let other = verify(&server, query, &server.token(&key, &[("scope", "read")]));
    let invalid =
        r#"Bearer realm="keyturn", error="invalid_token", error_description="the credential is not for this audience""#;
    assert_eq!((other.status, challenge(&other)), (401, &*format!("{invalid}{scope}{METADATA}")));
    let missing = verify(&server, query, &key.text);
    assert_eq!(missing.status, 403);
    assert!(challenge(&missing).contains(r#"error="insufficient_scope""#), "{}", challenge(&missing));
    assert!(challenge(&missing).ends_with(&format!("{scope}{METADATA}")), "{}", challenge(&missing));
    // Without the parameter, the challenge is as it was.
    let plain = server.get("/verify?keyturn_require=tools.list").send();
    assert_eq!(challenge(&plain), r#"Bearer realm="keyturn""#);
}

#[test]
fn path_of_the_client_is_not_in_the_challenge() {
    let (server, _) = start();
    let request = server.get("/verify?keyturn_api=mcp&keyturn_map=http");
    let answer = request.header("X-Original-Method", "GET").header("X-Original-URI", "/private/path").send();
    assert_eq!(challenge(&answer), format!(r#"Bearer realm="keyturn"{METADATA}"#));
}

#[test]
fn api_whose_audience_is_no_url_has_no_metadata() {
    let server = Server::start();
    server.api("POST", "apis").json(&json!({ "name": "queue", "audience": "rabbitmq" })).send().expect(201);
    let answer = server.get("/verify?keyturn_api=queue").send();
    assert_eq!((answer.status, challenge(&answer)), (401, r#"Bearer realm="keyturn""#));
    let key = server.make(&json!({ "apis": [{ "api": "queue", "scopes": [] }] }));
    assert_eq!(verify(&server, "keyturn_api=queue", &key.text).status, 200);
}

#[test]
fn challenges_never_lead_to_keyturn_itself() {
    let (server, _) = start();
    let answer = server.get("/verify?keyturn_api=default").send();
    assert_eq!((answer.status, challenge(&answer)), (401, r#"Bearer realm="keyturn""#));
}

#[test]
fn unknown_api_is_denied_and_logged() {
    let (server, key) = start();
    let answer = verify(&server, "keyturn_api=mpc", &key.text);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("VALIDATION_FAILED")));
    assert!(answer.json()["error_description"].as_str().unwrap().starts_with("keyturn_api:"), "{}", answer.text());
    assert_eq!(challenge(&server.get("/verify?keyturn_api=mpc").send()), r#"Bearer realm="keyturn""#);
    eventually("the reason", || server.stderr().contains("unknown_api").then_some(()));
    for query in
        ["keyturn_api=", "keyturn_api=MCP", "keyturn_api=mcp&keyturn_api=mcp", "keyturn_api=mcp&keyturn_organization=*"]
    {
        assert_eq!(verify(&server, query, &key.text).status, 403, "{query}");
    }
}

#[test]
fn every_requirement_must_hold() {
    let (server, key) = start();
    let token = server.token(&key, &[("resource", MCP)]);
    for credential in [&token, &key.text] {
        assert_eq!(verify(&server, &format!("keyturn_api=mcp&keyturn_audience={MCP}"), credential).status, 200);
        assert_eq!(verify(&server, "keyturn_api=mcp&keyturn_audience=https://other", credential).status, 401);
        // A client cannot choose the API behind /verify/.
        for query in ["keyturn_api=mcp", "keyturn_api=default", "Keyturn_api=mcp", &format!("keyturn_audience={MCP}")] {
            assert_eq!(server.get(&format!("/verify/x?{query}")).bearer(credential).send().status, 403, "{query}");
        }
    }
    // A secret has the scopes of one API, and that must be a required one.
    let audience = &server.public_url;
    assert_eq!(verify(&server, &format!("keyturn_audience={audience}"), &key.text).status, 200);
    assert_eq!(verify(&server, &format!("keyturn_audience={audience}&keyturn_api=mcp"), &key.text).status, 401);
}

#[test]
fn changes_of_the_api_take_effect_at_once() {
    let (server, key) = start();
    let token = server.token(&key, &[("resource", MCP)]);
    assert_eq!(verify(&server, "keyturn_api=mcp", &token).status, 200);
    server.api("PATCH", "apis/mcp").json(&json!({ "name": "tools" })).send().expect(200);
    assert_eq!(verify(&server, "keyturn_api=mcp", &token).status, 403);
    assert_eq!(verify(&server, "keyturn_api=tools", &token).status, 200);
    server.api("PATCH", "apis/tools").json(&json!({ "audience": "https://other.example" })).send().expect(200);
    assert_eq!(verify(&server, "keyturn_api=tools", &token).status, 401);
    assert_eq!(verify(&server, "keyturn_api=tools", &key.text).status, 200);
    let answer = server.get("/verify?keyturn_api=tools").send();
    assert!(challenge(&answer).contains("https://other.example/.well-known/oauth-protected-resource"));
}

#[test]
fn api_is_one_of_the_organization_of_the_path() {
    let place = Place::new();
    let founded = place.init(&[]);
    let acme = place.init(&["--organization", "acme", "--email", "boss@acme.example"]);
    let server = place.serve(founded.key);
    let body = json!({ "name": "mcp", "audience": MCP });
    server.request("POST", "/api/v1/organizations/acme/apis").bearer(&acme.key.text).json(&body).send().expect(201);
    let of = |target: &str, secret: &str| server.get(target).bearer(secret).send().status;
    assert_eq!(of("/o/acme/verify?keyturn_api=default", &acme.key.text), 200);
    assert_eq!(of("/o/acme/verify?keyturn_api=mcp", &acme.key.text), 401, "not granted");
    assert_eq!(of("/verify?keyturn_api=mcp", &server.key.text), 403, "unknown");
    assert!(challenge(&server.get("/o/acme/verify?keyturn_api=mcp").send()).contains(METADATA));
}

#[test]
fn required_api_is_current_on_every_node() {
    let two = Two::embedded();
    let (a, _) = two.turn(0);
    let key = add_api(a);
    for n in 1..=8 {
        let (here, there) = two.turn(n);
        let audience = format!("https://mcp.example.com/{n}");
        here.api("PATCH", "apis/mcp").json(&json!({ "audience": audience })).send().expect(200);
        let token = there.token(&key, &[("resource", &audience)]);
        for server in [here, there] {
            assert_eq!(verify(server, "keyturn_api=mcp&keyturn_require=tools.list", &token).status, 200, "{n}");
            let challenge = server.get("/verify?keyturn_api=mcp").send();
            let metadata = format!("https://mcp.example.com/.well-known/oauth-protected-resource/{n}");
            assert!(challenge.header("www-authenticate").unwrap().contains(&metadata), "{n}");
        }
        // Its tokens are for the earlier audience.
        let next = json!({ "audience": format!("https://mcp.example.com/{}", n + 100) });
        there.api("PATCH", "apis/mcp").json(&next).send().expect(200);
        for server in [here, there] {
            assert_eq!(verify(server, "keyturn_api=mcp", &token).status, 401, "{n}");
        }
        here.api("PATCH", "apis/mcp").json(&json!({ "scopes": [] })).send().expect(200);
        assert_eq!(verify(there, "keyturn_api=mcp&keyturn_require=tools.list", &key.text).status, 403, "{n}");
        let scopes = json!({ "scopes": [{ "scope": "tools.list" }, { "scope": "tools.call" }] });
        there.api("PATCH", "apis/mcp").json(&scopes).send().expect(200);
        assert_eq!(verify(here, "keyturn_api=mcp&keyturn_require=tools.list", &key.text).status, 200, "{n}");
    }
}
