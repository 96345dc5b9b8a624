//! Authentication and permissions of every route, and what all routes have in common.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::customers;
use crate::portal;
use crate::profiles;
use crate::support::check::{problem, wrong_field};
use crate::support::server::{new_member, scope_list, unique};
use crate::support::{Place, Request, Server, database, person};
use crate::webhooks;

/// A route of the committed OpenAPI document: method, path below `/api/v1`, and the scope that it requires, if one is
/// enough to call it.
pub struct Route {
    pub method: String,
    pub path: String,
    pub scope: Option<String>,
}

/// Reads the routes. `POST /session`, which takes no credentials, is left out.
pub fn routes() -> Vec<Route> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["security"] == json!([]) {
                assert_eq!((method.as_str(), path.as_str()), ("post", "/api/v1/session"));
                continue;
            }
            let description = operation["description"].as_str().unwrap_or_default();
            let scope = description.strip_prefix("Requires the scope `");
            let scope = scope.and_then(|rest| rest.strip_suffix("`, or a role that includes it."));
            routes.push(Route {
                method: method.to_uppercase(),
                path: path.strip_prefix("/api/v1").unwrap().to_owned(),
                scope: scope.map(str::to_owned),
            });
        }
    }
    assert!(routes.iter().filter(|route| route.scope.is_some()).count() > 30);
    routes
}

fn request(server: &Server, method: &str, route: &str, id: &str) -> Request {
    let (id, delivery) = id.split_once(' ').unwrap_or((id, "msg_x"));
    let id = match route {
        _ if route.contains("/members/") => new_member(server),
        _ if route.contains("/customers/") => customers::new_customer(server),
        _ => id.to_owned(),
    };
    let path = route.replace("{org}", "default").replace("{id}", &id).replace("{delivery}", delivery);
    let path = if path.contains("{api}") { path.replace("{api}", &new_api(server)) } else { path };
    let path =
        if path.contains("{profile}") { path.replace("{profile}", &profiles::new_empty_profile(server)) } else { path };
    let path =
        if path.contains("{network}") { path.replace("{network}", &profiles::new_network(server)) } else { path };
    let request = server.request(method, &format!("/api/v1{path}"));
    let body = match route {
        "/organizations" => json!({ "slug": unique(), "owner_email": "o@example.org" }),
        "/organizations/{org}/members" => json!({ "email": format!("{}@example.org", unique()), "role": "viewer" }),
        "/organizations/{org}/apis" => json!({ "name": unique(), "audience": unique() }),
        "/organizations/{org}/customers" => customers::body(),
        "/organizations/{org}/customers/{id}/portal-sessions" => portal::body(),
        // A caller without scopes can grant none.
        "/organizations/{org}/profiles" => json!({ "name": unique() }),
        "/organizations/{org}/networks" => profiles::network_body(),
        "/organizations/{org}/webhooks" => json!({ "url": webhooks::NOWHERE }),
        "/organizations/{org}/keys/bulk" => json!({ "ids": [id], "action": "disable" }),
        "/organizations/{org}/keys/lookup" => json!({ "text": id }),
        "/organizations/{org}/keys/{id}/extend-grace" => extension(),
        _ => json!({}),
    };
    if matches!(method, "POST" | "PATCH" | "PUT") { request.json(&body) } else { request }
}

/// Creates an API and returns its name.
fn new_api(server: &Server) -> String {
    let body = json!({ "name": unique(), "audience": unique() });
    let made = server.api("POST", "apis").json(&body).send().expect(201);
    made["name"].as_str().unwrap().to_owned()
}

/// A longer grace period, for a key that has none.
fn extension() -> Value {
    json!({ "grace_seconds": 3600 })
}

/// The id of something that a route is about; of a dead letter with a space before its own.
fn subject(server: &Server, route: &str) -> String {
    if !webhooks::is_about_one(route) {
        return server.make(&json!({ "scopes": [] })).id;
    }
    webhooks::remove_all(server);
    let (id, delivery) = webhooks::with_delivery(server);
    if route.contains("{delivery}") {
        webhooks::await_delivery(server, &id, &delivery, "dead");
    }
    format!("{id} {delivery}")
}

#[test]
fn every_route_requires_credentials() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for Route { method, path: route, .. } in &routes() {
        let bare = request(&server, method, route, &key.id);
        for request in [bare.clone(), bare.clone().basic(&server.key.id, &server.key.text)] {
            let answer = request.send();
            problem(&answer, 401, "API_KEY_REQUIRED");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
        }
        for credential in ["x", "kt_0000000000000000_0000000000000000000000000000000000000000000000000", "a.b.c"] {
            let answer = bare.clone().bearer(credential).send();
            problem(&answer, 401, "API_KEY_INVALID");
            assert!(answer.header("www-authenticate").unwrap().contains("error=\"invalid_token\""));
        }
    }
    assert_eq!(server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["version"], 1, "nothing was done");
}

#[test]
fn every_route_requires_its_scope() {
    let server = Place::new().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start();
    let routes = routes();
    let all: BTreeSet<&str> = routes.iter().filter_map(|route| route.scope.as_deref()).collect();
    for Route { method, path: route, scope } in &routes {
        let Some(scope) = scope.as_deref() else { continue };
        let others: Vec<&str> = all.iter().filter(|other| **other != scope).copied().collect();
        let without = server.make_with(&format!("*:* {}", others.join(" ")));
        // Giving a role grants all its scopes.
        let hands_out = scope == "admin:keyturn/members";
        let with = if hands_out { server.make_with("*:* *:keyturn/*") } else { server.make_with(scope) };
        let narrowed = [("scope", scope)];
        let subject = subject(&server, route);
        for credential in [without.text.clone(), server.token(&without, &[])] {
            let answer = request(&server, method, route, &subject).bearer(&credential).send();
            let body = problem(&answer, 403, "INSUFFICIENT_SCOPE");
            assert!(body["detail"].as_str().unwrap().contains(scope), "{body}");
        }
        let token = server.token(&with, if hands_out { &[] } else { &narrowed });
        let answer = request(&server, method, route, &subject).bearer(&token).send();
        // Allowed, and then refused for what it is: `default` has a signing key and is never suspended, no signing key
        // and no session is called that, and the key has no grace period.
        let is_refused_later = match route.as_str() {
            "/organizations/{org}/bootstrap"
            | "/organizations/{org}/suspend"
            | "/organizations/{org}"
            | "/organizations/{org}/keys/{id}/extend-grace" => answer.status == 409,
            "/organizations/{org}/signing-keys/{kid}"
            | "/organizations/{org}/customers/{id}/portal-sessions/{session}" => answer.status == 404,
            _ => false,
        };
        assert!((200..300).contains(&answer.status) || is_refused_later, "{method} {route}: {}", answer.text());
    }
}

#[test]
fn other_organizations_are_not_found() {
    let place = Place::new().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "");
    let founded = place.init(&[]);
    let acme = place.init(&["--organization", "acme"]);
    let server = place.serve(founded.key);
    let theirs = server.make(&json!({}));
    for Route { method, path: route, .. } in routes().iter().filter(|route| route.path.contains("{org}")) {
        let theirs = if webhooks::is_about_one(route) { subject(&server, route) } else { theirs.id.clone() };
        let answer = request(&server, method, route, &theirs).bearer(&acme.key.text).send();
        problem(&answer, 404, "NOT_FOUND");
        // By their own organization's path, a key of another is as unknown as one that never was.
        if route.contains("{id}") {
            let (id, delivery) = theirs.split_once(' ').unwrap_or((&theirs, ""));
            let path = route.replace("{org}", "acme").replace("{id}", id).replace("{delivery}", delivery);
            let filled = if route.ends_with("/extend-grace") { extension() } else { json!({}) };
            let body = if method == "GET" || method == "DELETE" { None } else { Some(filled) };
            let call = server.request(method, &format!("/api/v1{path}")).bearer(&acme.key.text);
            let answer = body.map_or(call.clone(), |body| call.json(&body)).send();
            problem(&answer, 404, "NOT_FOUND");
        }
    }
    assert_eq!(server.api("GET", &format!("keys/{}", theirs.id)).send().expect(200)["version"], 1, "nothing was done");
    let listed = server.get("/api/v1/organizations/acme/keys").bearer(&acme.key.text).send().expect(200);
    assert_eq!(crate::support::field(&listed["items"], "id"), [acme.key.id.as_str()]);
    assert_eq!(server.me(&server.token(&acme.key, &[])).expect(200)["organization"], "acme");
}

#[test]
fn only_one_credential_is_accepted() {
    let server = Server::start();
    let text = &server.key.text;
    for request in [
        server.get("/api/v1/me").bearer(text).api_key(text),
        server.get("/api/v1/me").bearer(text).bearer(text),
        server.get("/api/v1/me").api_key(text).api_key(text),
        server.get("/api/v1/me").header("Authorization", "Basic !!"),
        server.get("/api/v1/me").header("Authorization", b"Bearer \xe9"),
    ] {
        problem(&request.send(), 422, "VALIDATION_FAILED");
    }
    for empty in ["", "Bearer", "Bearer null", "Basic Og=="] {
        let request = server.get("/api/v1/me").header("Authorization", empty);
        problem(&request.send(), 401, "API_KEY_REQUIRED");
        request.api_key(text).send().expect(200);
    }
}

#[test]
fn tokens_for_other_audiences_are_rejected() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    database::execute(
        &place.database(),
        r#"UPDATE organizations SET policy = json_set(policy, '$.audiences', json('["https://api.example"]'))"#,
    );
    let server = place.serve(founded.key);
    let url = server.public_url.clone();
    server.me(&server.token(&server.key, &[("resource", &url)])).expect(200);
    let token = server.token(&server.key, &[("resource", "https://api.example")]);
    problem(&server.me(&token), 401, "API_KEY_INVALID");
    problem(&server.api_as(&token, "GET", "keys").send(), 401, "API_KEY_INVALID");
    // At /verify the same code has another cause, so the log distinguishes them.
    server.get("/verify?keyturn_audience=https://other.example").bearer(&token).send().expect(401);
    assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    crate::support::eventually("the reasons", || {
        let log = server.stderr();
        let found =
            |reason: &str| log.contains(&format!("reason=\"{reason}\"")) || log.contains(&format!("reason={reason}"));
        (found("audience_not_keyturn") && found("other_audience")).then_some(())
    });
}

#[test]
fn altered_tokens_are_rejected() {
    let server = Server::start();
    let token = server.token(&server.key, &[]);
    let other = Server::start();
    let foreign = other.token(&other.key, &[]);
    let parts: Vec<&str> = token.split('.').collect();
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    for changed in [
        format!("{}.{}.", parts[0], parts[1]),
        format!("{unsigned}.{}.", parts[1]),
        format!("{}.{}.{}", parts[0], foreign.split('.').nth(1).unwrap(), parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], parts[2].chars().rev().collect::<String>()),
        format!("{token}.{}", parts[2]),
        format!("{token}="),
        token.to_uppercase(),
        foreign,
        format!("{}.{}", parts[0], parts[1]),
        "x".repeat(7000),
    ] {
        problem(&server.me(&changed), 401, "API_KEY_INVALID");
    }
    server.me(&token).expect(200);
}

#[test]
fn allowed_networks_also_apply_to_tokens() {
    let server = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let key = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"], "scopes": scope_list("read:keyturn/keys") }));
    let form = [("grant_type", "client_credentials"), ("client_secret", key.text.as_str())];
    let minted = server.token_request().form(&form).header("X-Forwarded-For", "192.0.2.1").send().expect(200);
    let token = minted["access_token"].as_str().unwrap();
    for credential in [token, &key.text] {
        let from =
            |address: &str| server.get("/api/v1/me").bearer(credential).header("X-Forwarded-For", address).send();
        from("192.0.2.200").expect(200);
        let body = problem(&from("192.0.3.1"), 403, "API_KEY_IP_NOT_ALLOWED");
        assert!(body["detail"].as_str().unwrap().contains("192.0.3.1"), "{body}");
    }
}

#[test]
fn other_methods_get_405_with_allow() {
    let server = Server::start();
    let mut methods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Route { method, path, .. } in routes() {
        methods.entry(path).or_default().insert(method);
    }
    methods.get_mut("/session").unwrap().insert("POST".into());
    for (path, taken) in methods {
        let path = path.replace("{org}", "default").replace("{id}", &server.key.id);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
            if taken.contains(method) {
                continue;
            }
            let answer = server.request(method, &format!("/api/v1{path}")).bearer(&server.key.text).send();
            assert_eq!(answer.status, 405, "{method} {path}");
            let allow: BTreeSet<String> = answer.header("allow").unwrap().split(", ").map(str::to_owned).collect();
            assert_eq!(allow, taken, "{method} {path}");
            if method != "HEAD" {
                problem(&answer, 405, "VALIDATION_FAILED");
            }
        }
    }
}

#[test]
fn unknown_query_parameters_are_rejected_everywhere() {
    let (server, owner) = person::start();
    let all = server.make_with("*:* *:keyturn/*");
    for Route { method, path, .. } in routes() {
        let path = path.replace("{org}", "default").replace("{id}", &server.key.id);
        for query in ["foo=1", "secret=kt_1", "foo"] {
            let target = format!("/api/v1{path}?{query}");
            let request = match path.as_str() {
                "/session" | "/me/password" => owner.call(&method, &target),
                _ => server.request(&method, &target).bearer(&all.text),
            };
            let answer =
                if method == "GET" || method == "DELETE" { request.send() } else { request.json(&json!({})).send() };
            let message = wrong_field(&answer, "query");
            assert!(!message.contains("foo") && !message.contains("secret"), "{method} {path}: {message}");
        }
    }
    wrong_field(&server.request("POST", "/api/v1/session?foo=1").json(&json!({})).send(), "query");
    assert_eq!(server.api("GET", &format!("keys/{}", server.key.id)).send().expect(200)["version"], 1);
}
