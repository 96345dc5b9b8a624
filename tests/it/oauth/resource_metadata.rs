//! The metadata of APIs as protected resources (RFC 9728).

use serde_json::json;

use crate::support::check::oauth_error;
use crate::support::{Place, Server};

const MCP: &str = "https://mcp.example.com/mcp";

fn create(server: &Server, organization: &str, secret: &str, body: &serde_json::Value) {
    let path = format!("/api/v1/organizations/{organization}/apis");
    server.request("POST", &path).bearer(secret).json(body).send().expect(201);
}

fn mcp_api() -> serde_json::Value {
    json!({ "name": "mcp", "audience": MCP, "scopes": [{ "scope": "tools.call" }, { "scope": "tools.list" }] })
}

#[test]
fn document_has_the_members_of_the_standard() {
    let server = Server::start();
    create(&server, "default", &server.key.text, &mcp_api());
    let answer = server.get("/.well-known/oauth-protected-resource/mcp").header("Origin", "https://app.example").send();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        answer.expect(200),
        json!({
            "resource": MCP,
            "resource_name": "mcp",
            "authorization_servers": [server.public_url],
            "scopes_supported": ["tools.call", "tools.list"],
            "bearer_methods_supported": ["header"],
        })
    );
    let preflight = server.request("OPTIONS", "/.well-known/oauth-protected-resource/mcp").send();
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some("*")));
}

#[test]
fn token_for_the_resource_has_its_audience() {
    let server = Server::start();
    create(&server, "default", &server.key.text, &mcp_api());
    let key = server.make(&json!({ "apis": [{ "api": "mcp", "scopes": ["tools.call"] }] }));
    let document = server.get("/.well-known/oauth-protected-resource/mcp").send().expect(200);
    let issuer = document["authorization_servers"][0].as_str().unwrap();
    assert_eq!(server.get("/.well-known/oauth-authorization-server").send().expect(200)["issuer"], issuer);
    let token = server.token(&key, &[("resource", document["resource"].as_str().unwrap())]);
    assert_eq!(server.claims(&token)["aud"], MCP);
}

#[test]
fn default_api_supports_the_actions_of_the_policy() {
    let server = Place::new().set("KEYTURN_TOKEN__AUDIENCE", "https://api.example").start();
    let document = server.get("/.well-known/oauth-protected-resource/default").send().expect(200);
    assert_eq!(document["resource"], "https://api.example");
    assert_eq!(document["scopes_supported"], json!(["read", "write", "admin"]));
}

#[test]
fn document_changes_with_the_api() {
    let server = Server::start();
    create(&server, "default", &server.key.text, &mcp_api());
    let edit = json!({ "audience": "https://tools.example.com", "scopes": [] });
    server.api("PATCH", "apis/mcp").json(&edit).send().expect(200);
    let document = server.get("/.well-known/oauth-protected-resource/mcp").send().expect(200);
    assert_eq!(
        (&document["resource"], &document["scopes_supported"]),
        (&json!("https://tools.example.com"), &json!([]))
    );
    assert_eq!(server.api("DELETE", "apis/mcp").send().status, 204);
    oauth_error(&server.get("/.well-known/oauth-protected-resource/mcp").send(), 404, "invalid_request", "NOT_FOUND");
}

#[test]
fn each_organization_has_its_own_documents() {
    let place = Place::new().set("KEYTURN_SERVER__PUBLIC_URL", "https://id.example");
    let founded = place.init(&[]);
    let acme = place.init(&["--organization", "acme", "--email", "boss@acme.example"]);
    let server = place.serve(founded.key);
    create(&server, "acme", &acme.key.text, &mcp_api());
    let document = server.get("/o/acme/.well-known/oauth-protected-resource/mcp").send().expect(200);
    assert_eq!(document["authorization_servers"], json!(["https://id.example/o/acme"]));
    assert_eq!(server.get("/.well-known/oauth-protected-resource/mcp").send().status, 404);
}

#[test]
fn other_resources_are_not_found() {
    let server = Server::start();
    create(&server, "default", &server.key.text, &json!({ "name": "queue", "audience": "rabbitmq" }));
    for path in [
        "/.well-known/oauth-protected-resource/nothing",
        "/.well-known/oauth-protected-resource/MCP",
        "/.well-known/oauth-protected-resource/queue",
        "/o/nobody/.well-known/oauth-protected-resource/default",
        "/o/default/.well-known/oauth-protected-resource/default",
    ] {
        let answer = server.get(path).send();
        assert_eq!(answer.status, 404, "{path}");
        oauth_error(&answer, 404, answer.json()["error"].as_str().unwrap(), "NOT_FOUND");
    }
}
