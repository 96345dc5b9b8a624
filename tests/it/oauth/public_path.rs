//! A public URL with a path: routes with and without it, metadata as in RFC 8414, and CORS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::{Place, Server};

fn below(path: &str) -> Server {
    Place::new().set("KEYTURN_SERVER__PUBLIC_URL", format!("https://id.example{path}")).start()
}

#[test]
fn routes_work_with_and_without_the_path() {
    let server = below("/auth/eu");
    let token = server.token(&server.key, &[]);
    for prefix in ["", "/auth/eu"] {
        let request = server.request("POST", &format!("{prefix}/oauth/token"));
        request.form_text("grant_type=client_credentials").bearer(&server.key.text).send().expect(200);
        let verify = |query: &str| server.get(&format!("{prefix}/verify{query}")).bearer(&token).send().status;
        assert_eq!((verify(""), verify("?keyturn_require=read:orders")), (200, 200));
        assert_eq!(verify("?unknown=1"), 403, "the query arrives");
        server.get(&format!("{prefix}/api/v1/me")).bearer(&token).send().expect(200);
        let home = server.get(&format!("{prefix}/console")).send();
        assert_eq!((home.status, home.header("location")), (303, Some("/auth/eu/console/overview")));
    }
    for path in ["/auth/eu/metrics", "/auth/eu/healthz", "/auth/eu/auth/eu/verify", "/auth/verify"] {
        assert_eq!(server.get(path).bearer(&token).send().status, 404, "{path}");
    }
}

#[test]
fn metadata_is_where_rfc_8414_puts_it() {
    let server = below("/auth");
    let body = json!({ "slug": "acme", "owner_email": "owner@acme.example" });
    server.request("POST", "/api/v1/organizations").bearer(&server.key.text).json(&body).send().expect(201);
    for (paths, issuer) in [
        (["/.well-known/oauth-authorization-server/auth", "/auth/.well-known/openid-configuration"], ""),
        (
            ["/.well-known/oauth-authorization-server/auth/o/acme", "/auth/o/acme/.well-known/openid-configuration"],
            "/o/acme",
        ),
    ] {
        for path in paths {
            let document = server.get(path).send().expect(200);
            assert_eq!(document["issuer"], format!("https://id.example/auth{issuer}"), "{path}");
        }
    }
    let keys = server.get("/auth/.well-known/jwks.json").send().expect(200);
    assert_eq!(keys, server.get("/.well-known/jwks.json").send().expect(200));
    assert_eq!(server.get("/.well-known/oauth-authorization-server/other").send().status, 404);
}

#[test]
fn new_resources_are_located_below_the_path() {
    let server = below("/auth");
    let body = json!({ "name": "a key", "scopes": [{ "action": "read", "resource": "*" }] });
    for prefix in ["", "/auth"] {
        let path = format!("{prefix}/api/v1/organizations/default/keys");
        let answer = server.request("POST", &path).bearer(&server.key.text).json(&body).send();
        let id = answer.expect(201)["id"].as_str().unwrap().to_owned();
        let location = format!("/auth/api/v1/organizations/default/keys/{id}");
        assert_eq!(answer.header("location"), Some(location.as_str()));
    }
}

#[test]
fn documents_can_be_read_by_pages_of_every_origin() {
    let server = Server::start();
    let kid = server.get("/.well-known/jwks.json").send().expect(200)["keys"][0]["kid"].as_str().unwrap().to_owned();
    for path in [
        "/.well-known/jwks.json".to_owned(),
        format!("/.well-known/jwks/{kid}.pem"),
        "/.well-known/oauth-authorization-server".to_owned(),
        "/.well-known/openid-configuration".to_owned(),
    ] {
        let answer = server.get(&path).header("Origin", "https://app.example").send();
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")), "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let asked = server.request("OPTIONS", &path).header("Origin", "https://app.example");
        let preflight = asked.header("Access-Control-Request-Method", "GET").send();
        assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some("*")), "{path}");
        assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD"));
        assert_eq!(server.request("DELETE", &path).send().status, 405);
    }
    let answer = server.token_request().header("Origin", "https://app.example").send();
    assert_eq!(answer.header("access-control-allow-origin"), None, "only the documents are for pages");
}

/// A route whose first segment is not listed would be ambiguous behind a proxy that keeps the path.
#[test]
fn segments_of_every_route_are_listed() {
    let list = std::fs::read_to_string("src/http/public_path.rs").unwrap();
    let list = list.split_once("const SEGMENTS").unwrap().1.split_once("];").unwrap().0;
    let listed: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    let mut served = BTreeSet::new();
    let mut routes = 0;
    for file in rust_files(Path::new("src")) {
        // Below a scope, which is a route of its own.
        let is_nested = ["src/api", "src/console"].iter().any(|folder| file.starts_with(folder));
        let is_root = ["src/api/mod.rs", "src/api/openapi/mod.rs", "src/console/mod.rs"].map(Path::new);
        let calls: &[&str] = match is_nested && !is_root.contains(&file.as_path()) {
            true => &["web::scope(\"/"],
            false => &["resource(\"/", "scope(\"/", "operation(\"/", "document(config, \"/"],
        };
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split_once("mod tests {").map_or(text.as_str(), |(code, _)| code);
        let text = text.replace("(\n", "(").split_whitespace().collect::<Vec<_>>().join(" ").replace("( \"", "(\"");
        for call in calls {
            for (at, _) in text.match_indices(call) {
                let segment = text[at + call.len()..].split(['/', '"']).next().unwrap();
                routes += 1;
                if !segment.is_empty() {
                    served.insert(segment.to_owned());
                }
            }
        }
    }
    assert!(routes > 20, "{routes} routes were found");
    assert_eq!(served, listed);
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
