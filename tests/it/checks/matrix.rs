//! Every route that takes credentials, with every kind of credential. A route without an entry fails.

use std::collections::BTreeMap;

use serde_json::json;

use crate::checks::{unknown_key_text, wrong_secret};
use crate::customers;
use crate::portal;
use crate::profiles;
use crate::support::eventually;
use crate::support::server::{Key, Place, Server, new_member, scope_list, unique};
use crate::webhooks;

/// Every route and its kind: the columns of the matrix.
const ROUTES: &[(&str, &str, Kind)] = &[
    ("POST", "/oauth/token", Kind::Token),
    ("POST", "/oauth/introspect", Kind::OAuth),
    ("POST", "/oauth/revoke", Kind::OAuth),
    ("GET", "/verify", Kind::Verify),
    ("GET", "/verify/{path:.*}", Kind::Verify),
    ("GET", "/o/{slug}/verify", Kind::Verify),
    ("GET", "/o/{slug}/verify/{path:.*}", Kind::Verify),
    ("GET", "/api/v1/me", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/keys", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/keys/{id}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}/keys/{id}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/keys/{id}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/rotate", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/end-grace", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/extend-grace", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/revoke", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/disable", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/enable", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/explain", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/impact", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/{id}/token-preview", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/keys/{id}/usage", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/keys/stale", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/bulk", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/keys/lookup", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/denials", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/usage", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/apis/{api}/usage", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/signing-keys", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/signing-keys/rotate", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/signing-keys/{kid}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/suspend", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/resume", Kind::Api),
    ("GET", "/api/v1/organizations", Kind::Api),
    ("POST", "/api/v1/organizations", Kind::Api),
    ("GET", "/api/v1/organizations/{org}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/bootstrap", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/apis", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/apis", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/apis/{api}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}/apis/{api}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/apis/{api}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/apis/{api}/impact", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/profiles", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/profiles", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/profiles/{profile}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}/profiles/{profile}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/profiles/{profile}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/profiles/{profile}/impact", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/networks", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/networks", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/networks/{network}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}/networks/{network}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/networks/{network}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/networks/{network}/impact", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/customers", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/customers", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/customers/{id}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}/customers/{id}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/customers/{id}", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/customers/{id}/usage", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/customers/{id}/suspend", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/customers/{id}/reinstate", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/customers/{id}/portal-sessions", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/customers/{id}/portal-sessions", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/customers/{id}/portal-sessions/{session}", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/portal", Kind::Api),
    ("PUT", "/api/v1/organizations/{org}/portal", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/policy", Kind::Api),
    ("PUT", "/api/v1/organizations/{org}/policy", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/members", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/members", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/members/{id}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}/members/{id}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/members/{id}", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/members/{id}/sessions", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/members/{id}/sessions/{session}", Kind::Api),
    ("GET", "/api/v1/session", Kind::Person),
    ("DELETE", "/api/v1/session", Kind::Person),
    ("POST", "/api/v1/me/password", Kind::Person),
    ("GET", "/api/v1/organizations/{org}/audit", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/webhooks", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/webhooks", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/webhooks/{id}", Kind::Api),
    ("PATCH", "/api/v1/organizations/{org}/webhooks/{id}", Kind::Api),
    ("DELETE", "/api/v1/organizations/{org}/webhooks/{id}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/webhooks/{id}/rotate-secret", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/webhooks/{id}/test", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/webhooks/{id}/deliveries", Kind::Api),
    ("GET", "/api/v1/organizations/{org}/webhooks/{id}/deliveries/{delivery}", Kind::Api),
    ("POST", "/api/v1/organizations/{org}/webhooks/{id}/deliveries/{delivery}/retry", Kind::Api),
];

/// Routes that take no credentials.
const OPEN: &[&str] = &[
    "/oauth/authorize",
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/jwks.json",
    "/.well-known/jwks/{kid}.pem",
    "/.well-known/oauth-protected-resource/{api}",
    "/.well-known/oauth-authorization-server/o/{slug}",
    "/o/{slug}/.well-known/openid-configuration",
    "/o/{slug}/.well-known/jwks.json",
    "/o/{slug}/.well-known/jwks/{kid}.pem",
    "/o/{slug}/.well-known/oauth-protected-resource/{api}",
    "/healthz",
    "/readyz",
    "/metrics",
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Token,
    OAuth,
    Verify,
    Api,
    /// For members only; keys get 404.
    Person,
}

struct Credentials {
    texts: BTreeMap<&'static str, Option<String>>,
}

/// The expected response for each credential by kind of route: `None` is a success.
fn expected(kind: Kind, credential: &str) -> Option<(u16, &'static str)> {
    match (credential, kind) {
        ("none", _) => Some((401, "API_KEY_REQUIRED")),
        ("malformed" | "unknown" | "wrong secret" | "revoked" | "rotated out", _) => Some((401, "API_KEY_INVALID")),
        ("dead token", _) => Some((401, "API_KEY_INVALID")),
        ("expired", _) => Some((401, "API_KEY_EXPIRED")),
        ("disabled", _) => Some((403, "API_KEY_DISABLED")),
        ("customer suspended", _) => Some((403, "CUSTOMER_SUSPENDED")),
        ("wrong address", _) => Some((403, "API_KEY_IP_NOT_ALLOWED")),
        (_, Kind::Person) => Some((404, "NOT_FOUND")),
        ("wrong organization", Kind::Api) => Some((404, "NOT_FOUND")),
        ("wrong organization", Kind::Verify) => Some((401, "API_KEY_INVALID")),
        ("wrong organization", _) => None,
        ("wrong scope", Kind::Api) => Some((403, "INSUFFICIENT_SCOPE")),
        ("wrong scope", Kind::Verify) => Some((403, "INSUFFICIENT_SCOPE")),
        ("wrong scope", Kind::Token) => Some((400, "INSUFFICIENT_SCOPE")),
        ("wrong scope", Kind::OAuth) => None,
        ("token", Kind::Token | Kind::OAuth) => Some((401, "API_KEY_INVALID")),
        ("token" | "right", _) => None,
        (other, _) => panic!("no row for {other}"),
    }
}

/// A valid body for the route.
fn body(pattern: &str) -> serde_json::Value {
    match pattern {
        "/api/v1/organizations" => json!({ "slug": unique(), "owner_email": "o@example.org" }),
        "/api/v1/organizations/{org}/members" => {
            json!({ "email": format!("{}@example.org", unique()), "role": "viewer" })
        }
        _ if pattern.ends_with("/apis") => json!({ "name": unique(), "audience": unique() }),
        _ if pattern.ends_with("/customers") => customers::body(),
        _ if pattern.ends_with("/portal-sessions") => portal::body(),
        _ if pattern.ends_with("/profiles") => profiles::body(),
        _ if pattern.ends_with("/networks") => profiles::network_body(),
        _ if pattern.ends_with("/webhooks") => json!({ "url": webhooks::NOWHERE }),
        _ if pattern.ends_with("/keys/bulk") => json!({ "ids": ["0000000000000000"], "action": "disable" }),
        _ if pattern.ends_with("/keys/lookup") => json!({ "text": "nothing" }),
        _ if pattern.ends_with("/extend-grace") => json!({ "grace_seconds": 60 }),
        _ => json!({}),
    }
}

fn credentials(server: &Server, acme: &Key) -> Credentials {
    let full = "*:* *:keyturn/*";
    let change = |key: &Key, what: &str| server.change("POST", &format!("{}/{what}", key.id), &json!({}));
    let all = scope_list(full);
    let expired = server.make(&json!({ "scopes": all, "expires_in_seconds": 1 }));
    let (revoked, disabled, rotated) = (server.make_with(full), server.make_with(full), server.make_with(full));
    let dead = server.token(&revoked, &[]);
    change(&revoked, "revoke");
    change(&disabled, "disable");
    change(&rotated, "rotate");
    let customer = customers::new_customer(server);
    let of_suspended = server.make(&json!({ "scopes": all, "customer": customer }));
    server.api("POST", &format!("customers/{customer}/suspend")).json(&json!({})).send().expect(200);
    let elsewhere = server.make(&json!({ "scopes": all, "allowed_cidrs": ["192.0.2.1"] }));
    let unknown = unknown_key_text();
    let mut texts = BTreeMap::new();
    let mut add = |name, text: String| texts.insert(name, Some(text));
    add("malformed", "kt_short_x".into());
    add("unknown", unknown);
    add("wrong secret", wrong_secret(&server.key.id));
    add("revoked", revoked.text);
    add("rotated out", rotated.text);
    add("dead token", dead);
    add("disabled", disabled.text);
    add("customer suspended", of_suspended.text);
    add("wrong address", elsewhere.text);
    add("wrong organization", acme.text.clone());
    add("wrong scope", server.make_with("read:nothing").text);
    add("token", server.token(&server.key, &[]));
    add("right", server.key.text.clone());
    eventually("the expiry", || (server.me(&expired.text).status == 401).then_some(()));
    add("expired", expired.text);
    texts.insert("none", None);
    Credentials { texts }
}

#[test]
fn every_route_with_every_credential() {
    let place = Place::new();
    let acme = place.init(&["--organization", "acme"]).key;
    let server = place.start();
    let Credentials { texts } = credentials(&server, &acme);
    for (method, pattern, kind) in ROUTES {
        for (name, text) in &texts {
            let (target, delivery) = match webhooks::is_about_one(pattern) {
                true => webhooks::with_delivery(&server),
                false if pattern.contains("/members/") => (new_member(&server), String::new()),
                false if pattern.contains("/customers/") => (customers::new_customer(&server), String::new()),
                false => (server.make_with("read:target").id, String::new()),
            };
            let path = pattern
                .replace("{org}", "default")
                .replace("{id}", &target)
                .replace("{path:.*}", "a/b")
                .replace("{slug}", "default")
                .replace("{api}", "default");
            let path = path.replace("{delivery}", &delivery);
            let path = match () {
                () if path.contains("{profile}") => path.replace("{profile}", &profiles::new_profile(&server)),
                () if path.contains("{network}") => path.replace("{network}", &profiles::new_network(&server)),
                () => path,
            };
            let path = if *kind == Kind::Verify { format!("{path}?keyturn_require=write:x") } else { path };
            let mut request = server.request(method, &path);
            if let Some(text) = text {
                request = request.bearer(text);
            }
            request = match kind {
                Kind::Token => request.form(&[("grant_type", "client_credentials"), ("scope", "write:x")]),
                Kind::OAuth => request.form(&[("token", "x")]),
                Kind::Verify => request,
                Kind::Api if *method == "GET" || *method == "DELETE" => request,
                Kind::Person => request,
                Kind::Api => request.json(&body(pattern)),
            };
            let answer = request.send();
            webhooks::remove_all(&server);
            let what = format!("{method} {pattern} with {name}: {} {}", answer.status, answer.text());
            // `me` works with any valid credential and names no organization.
            let expected = match (*pattern, *name) {
                ("/api/v1/me", "wrong scope" | "wrong organization") => None,
                ("/api/v1/organizations" | "/api/v1/organizations/{org}", "wrong scope") if *method == "GET" => None,
                ("/api/v1/organizations", "wrong organization") if *method == "GET" => None,
                ("/api/v1/organizations", "wrong organization") => Some((403, "INSUFFICIENT_SCOPE")),
                (path, "right" | "token") if path.ends_with("{session}") || path.ends_with("{kid}") => {
                    Some((404, "NOT_FOUND"))
                }
                _ => expected(*kind, name),
            };
            match expected {
                Some((status, code)) => {
                    assert_eq!(answer.status, status, "{what}");
                    assert_eq!(answer.json()["code"], code, "{what}");
                }
                None => assert!((200..300).contains(&answer.status) || answer.status == 409, "{what}"),
            }
            let challenge = answer.header("www-authenticate").is_some();
            assert!(answer.status != 401 || challenge, "{what}");
        }
    }
}

#[test]
fn every_route_has_an_entry() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/openapi.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let mut found: std::collections::BTreeSet<String> =
        document["paths"].as_object().unwrap().keys().cloned().collect();
    // The other surfaces register the paths that their source names.
    for folder in ["oauth", "gateway", "http"] {
        for entry in std::fs::read_dir(root.join("src").join(folder)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let literals = code.split('"').skip(1).step_by(2);
            let is_path = |literal: &&str| {
                literal.starts_with('/')
                    && literal.len() > 1
                    && !literal.contains([' ', ','])
                    && !literal.contains("{}")
            };
            found.extend(literals.filter(is_path).filter(|literal| *literal != "/api/v1").map(str::to_owned));
        }
    }
    let known =
        |route: &String| OPEN.contains(&route.as_str()) || ROUTES.iter().any(|(_, pattern, _)| pattern == route);
    let missing: Vec<_> = found.iter().filter(|route| !known(route)).collect();
    assert!(missing.is_empty(), "routes without a row: {missing:?}");
    let gone: Vec<_> =
        ROUTES.iter().map(|(_, pattern, _)| *pattern).filter(|pattern| !found.contains(*pattern)).collect();
    assert!(gone.is_empty() && found.len() >= 25, "rows without a route: {gone:?}; {} found", found.len());
}
