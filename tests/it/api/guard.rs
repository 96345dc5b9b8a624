//! Who may call what: every route refuses without credentials and without its scope.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::check::problem;
use crate::support::server::{new_member, scope_list, unique};
use crate::support::{Place, Request, Server, database};
use crate::webhooks;

/// Every route, and the scope it asks for; none: any good credential.
const ROUTES: &[(&str, &str, Option<&str>)] = &[
    ("GET", "/me", None),
    ("GET", "/organizations/{org}/keys", Some("read:keyturn/keys")),
    ("POST", "/organizations/{org}/keys", Some("write:keyturn/keys")),
    ("GET", "/organizations/{org}/keys/{id}", Some("read:keyturn/keys")),
    ("PATCH", "/organizations/{org}/keys/{id}", Some("write:keyturn/keys")),
    ("DELETE", "/organizations/{org}/keys/{id}", Some("write:keyturn/keys")),
    ("POST", "/organizations/{org}/keys/{id}/rotate", Some("write:keyturn/keys")),
    ("POST", "/organizations/{org}/keys/{id}/revoke", Some("write:keyturn/keys")),
    ("POST", "/organizations/{org}/keys/{id}/disable", Some("write:keyturn/keys")),
    ("POST", "/organizations/{org}/keys/{id}/enable", Some("write:keyturn/keys")),
    ("POST", "/organizations/{org}/keys/{id}/explain", Some("read:keyturn/keys")),
    ("POST", "/organizations/{org}/keys/{id}/impact", Some("read:keyturn/usage")),
    ("GET", "/organizations/{org}/keys/{id}/usage", Some("read:keyturn/usage")),
    ("GET", "/organizations/{org}/keys/stale", Some("read:keyturn/keys")),
    ("GET", "/organizations/{org}/usage", Some("read:keyturn/usage")),
    ("GET", "/organizations/{org}/signing-keys", Some("read:keyturn/signing-keys")),
    ("POST", "/organizations/{org}/signing-keys/rotate", Some("admin:keyturn/signing-keys")),
    ("DELETE", "/organizations/{org}/signing-keys/{kid}", Some("admin:keyturn/signing-keys")),
    ("POST", "/organizations/{org}/suspend", Some("admin:keyturn/organizations")),
    ("POST", "/organizations/{org}/resume", Some("admin:keyturn/organizations")),
    ("GET", "/organizations", None),
    ("POST", "/organizations", Some("admin:keyturn/organizations")),
    ("GET", "/organizations/{org}", None),
    ("POST", "/organizations/{org}/bootstrap", Some("admin:keyturn/signing-keys")),
    ("GET", "/organizations/{org}/policy", Some("read:keyturn/policy")),
    ("PUT", "/organizations/{org}/policy", Some("admin:keyturn/policy")),
    ("GET", "/organizations/{org}/members", Some("read:keyturn/members")),
    ("POST", "/organizations/{org}/members", Some("admin:keyturn/members")),
    ("GET", "/organizations/{org}/members/{id}", Some("read:keyturn/members")),
    ("PATCH", "/organizations/{org}/members/{id}", Some("admin:keyturn/members")),
    ("DELETE", "/organizations/{org}/members/{id}", Some("admin:keyturn/members")),
    ("GET", "/organizations/{org}/members/{id}/sessions", None),
    ("DELETE", "/organizations/{org}/members/{id}/sessions/{session}", None),
    ("GET", "/session", None),
    ("DELETE", "/session", None),
    ("POST", "/me/password", None),
    ("GET", "/organizations/{org}/audit", Some("read:keyturn/audit")),
    ("GET", "/organizations/{org}/webhooks", Some("read:keyturn/webhooks")),
    ("POST", "/organizations/{org}/webhooks", Some("admin:keyturn/webhooks")),
    ("GET", "/organizations/{org}/webhooks/{id}", Some("read:keyturn/webhooks")),
    ("PATCH", "/organizations/{org}/webhooks/{id}", Some("admin:keyturn/webhooks")),
    ("DELETE", "/organizations/{org}/webhooks/{id}", Some("admin:keyturn/webhooks")),
    ("POST", "/organizations/{org}/webhooks/{id}/rotate-secret", Some("admin:keyturn/webhooks")),
    ("POST", "/organizations/{org}/webhooks/{id}/test", Some("admin:keyturn/webhooks")),
    ("GET", "/organizations/{org}/webhooks/{id}/deliveries", Some("read:keyturn/webhooks")),
    ("POST", "/organizations/{org}/webhooks/{id}/deliveries/{delivery}/retry", Some("admin:keyturn/webhooks")),
];

/// Where credentials are what is asked for.
const OPEN: &[(&str, &str)] = &[("POST", "/session")];

fn request(server: &Server, method: &str, route: &str, id: &str) -> Request {
    let (id, delivery) = id.split_once(' ').unwrap_or((id, "msg_x"));
    let id = if route.contains("/members/") { new_member(server) } else { id.to_owned() };
    let path = route.replace("{org}", "default").replace("{id}", &id).replace("{delivery}", delivery);
    let request = server.request(method, &format!("/api/v1{path}"));
    let body = match route {
        "/organizations" => json!({ "slug": unique(), "owner_email": "o@example.org" }),
        "/organizations/{org}/members" => json!({ "email": format!("{}@example.org", unique()), "role": "viewer" }),
        "/organizations/{org}/webhooks" => json!({ "url": webhooks::NOWHERE }),
        _ => json!({}),
    };
    if matches!(method, "POST" | "PATCH" | "PUT") { request.json(&body) } else { request }
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

/// The routes that `src/api` registers, read from its text: each call of `.route(web::METHOD().to(…))` in the
/// order in which the resources are named.
pub fn registered() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    for text in texts {
        let constants: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("const ")?.split_once(": &str = \""))
            .filter_map(|(name, rest)| Some((name.to_owned(), rest.strip_suffix("\";")?.to_owned())))
            .collect();
        let path_of = |argument: &str| {
            let text = argument.trim().trim_start_matches("format!(").split([',', ')']).next().unwrap();
            let text = text.trim_end_matches(".into(").trim_matches('"').to_owned();
            constants.iter().fold(text, |text, (name, path)| {
                if text == *name { path.clone() } else { text.replace(&format!("{{{name}}}"), path) }
            })
        };
        for piece in text.split(".service(").skip(1) {
            let argument = piece.split_once("resource(").map(|(_, rest)| rest).unwrap_or_default();
            let end = argument.find(".route(").unwrap_or(argument.len());
            let first = argument[..end].lines().next().unwrap_or_default();
            let path = path_of(first);
            for route in piece.split(".route(web::").skip(1) {
                let method = route.split('(').next().unwrap().to_ascii_uppercase();
                found.insert((method, path.replace("{{", "{").replace("}}", "}")));
            }
        }
    }
    found
}

#[test]
fn every_registered_route_is_in_the_table() {
    let open = OPEN.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
    let listed =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).chain(open).collect();
    assert_eq!(registered(), listed);
}

#[test]
fn every_route_refuses_without_credentials() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for (method, route, _) in ROUTES {
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
fn every_route_refuses_a_key_and_a_token_without_its_scope_and_takes_one_with_it() {
    let server = Place::new().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start();
    let all: BTreeSet<&str> = ROUTES.iter().filter_map(|(_, _, scope)| *scope).collect();
    for (method, route, scope) in ROUTES {
        let Some(scope) = scope else { continue };
        let others: Vec<&str> = all.iter().filter(|other| *other != scope).copied().collect();
        let without = server.make_with(&format!("*:* {}", others.join(" ")));
        // Whoever gives somebody a role hands out all that it holds.
        let hands_out = *scope == "admin:keyturn/members";
        let with = if hands_out { server.make_with("*:* *:keyturn/*") } else { server.make_with(scope) };
        let narrowed = [("scope", *scope)];
        let subject = subject(&server, route);
        for credential in [without.text.clone(), server.token(&without, &[])] {
            let answer = request(&server, method, route, &subject).bearer(&credential).send();
            let body = problem(&answer, 403, "INSUFFICIENT_SCOPE");
            assert!(body["detail"].as_str().unwrap().contains(scope), "{body}");
        }
        let token = server.token(&with, if hands_out { &[] } else { &narrowed });
        let answer = request(&server, method, route, &subject).bearer(&token).send();
        // Allowed, and then refused for what it is: `default` has a signing key and is never suspended, and no signing key
        // is called that.
        let is_refused_later = match *route {
            "/organizations/{org}/bootstrap" | "/organizations/{org}/suspend" => answer.status == 409,
            "/organizations/{org}/signing-keys/{kid}" => answer.status == 404,
            _ => false,
        };
        assert!((200..300).contains(&answer.status) || is_refused_later, "{method} {route}: {}", answer.text());
    }
}

#[test]
fn every_route_of_another_organization_is_not_found() {
    let place = Place::new().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "");
    let founded = place.init(&[]);
    let acme = place.init(&["--organization", "acme"]);
    let server = place.serve(founded.key);
    let theirs = server.make(&json!({}));
    for (method, route, _) in ROUTES.iter().filter(|(_, route, _)| route.contains("{org}")) {
        let theirs = if webhooks::is_about_one(route) { subject(&server, route) } else { theirs.id.clone() };
        let answer = request(&server, method, route, &theirs).bearer(&acme.key.text).send();
        problem(&answer, 404, "NOT_FOUND");
        // By their own organization's path, a key of another is as unknown as one that never was.
        if route.contains("{id}") {
            let (id, delivery) = theirs.split_once(' ').unwrap_or((&theirs, ""));
            let path = route.replace("{org}", "acme").replace("{id}", id).replace("{delivery}", delivery);
            let body = if *method == "GET" || *method == "DELETE" { None } else { Some(json!({})) };
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
fn a_credential_is_presented_in_one_way() {
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
fn a_token_for_another_audience_is_refused() {
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
    // At /verify the same code has another cause, so the log tells them apart.
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
fn a_token_with_anything_changed_is_refused() {
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
fn the_networks_of_a_key_hold_for_its_tokens_too() {
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
fn a_method_that_a_route_does_not_take_is_told_which_ones_it_does() {
    let server = Server::start();
    for (method, path, allowed) in [
        ("DELETE", "/api/v1/me", "GET"),
        ("PUT", "/api/v1/organizations/default/keys", "GET, POST"),
        ("POST", "/api/v1/organizations/default/keys/0000000000000000", "GET, PATCH, DELETE"),
        ("GET", "/api/v1/organizations/default/keys/0000000000000000/rotate", "POST"),
        ("POST", "/api/v1/organizations/default/signing-keys", "GET"),
        ("GET", "/api/v1/organizations/default/signing-keys/rotate", "POST"),
        ("PUT", "/api/v1/organizations/default/webhooks", "GET, POST"),
        ("POST", "/api/v1/organizations/default/webhooks/x", "GET, PATCH, DELETE"),
        ("GET", "/api/v1/organizations/default/webhooks/x/rotate-secret", "POST"),
        ("GET", "/api/v1/organizations/default/webhooks/x/test", "POST"),
        ("POST", "/api/v1/organizations/default/webhooks/x/deliveries", "GET"),
        ("GET", "/api/v1/organizations/default/webhooks/x/deliveries/y/retry", "POST"),
    ] {
        let answer = server.request(method, path).bearer(&server.key.text).send();
        problem(&answer, 405, "VALIDATION_FAILED");
        assert_eq!(answer.header("allow"), Some(allowed));
    }
}
