//! `/verify`, for gateways.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::server::{Place, Server};
use crate::support::{Answer, Request};

const IDENTITY: [&str; 6] = [
    "x-keyturn-client-id",
    "x-keyturn-organization",
    "x-keyturn-scope",
    "x-keyturn-key-name",
    "x-keyturn-token-id",
    "x-keyturn-external-id",
];

/// Checks a complete denial (RFC 6750 section 3).
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer realm=\"keyturn\"")));
    assert!(IDENTITY.iter().all(|name| answer.header(name).is_none()));
}

#[test]
fn identity_headers_are_always_present() {
    let server = Server::start();
    let key = server.make(&json!({ "name": "caf\u{e9} 100%" }));
    let token = server.token(&key, &[]);
    for (request, has_token_id) in
        [(server.get("/verify").bearer(&token), true), (server.get("/verify").api_key(&key.text), false)]
    {
        let answer = request.header("X-Keyturn-Client-Id", "smuggled").send();
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(answer.header("x-keyturn-client-id"), Some(key.id.as_str()));
        assert_eq!(answer.header("x-keyturn-organization"), Some("default"));
        assert_eq!(answer.header("x-keyturn-scope"), Some("read:*"));
        assert_eq!(answer.header("x-keyturn-key-name"), Some("caf%C3%A9 100%25"));
        assert_eq!(answer.header("x-keyturn-token-id").is_some_and(|id| !id.is_empty()), has_token_id);
        assert!(IDENTITY.iter().all(|name| answer.headers.iter().any(|(found, _)| found == name)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn vary_header_lists_all_inputs() {
    let server = Place::new().set("KEYTURN_GATEWAY__VERDICT_MAX_AGE_SECONDS", 60).start();
    let good = || server.get("/verify").api_key(&server.key.text).send();
    let forbidden = server.get("/verify?x=1").api_key(&server.key.text).send();
    for (answer, status) in [(good(), 200), (server.get("/verify").send(), 401), (forbidden, 403)] {
        assert_eq!(answer.status, status);
        let vary = answer.header("vary").unwrap().to_ascii_lowercase();
        for name in ["authorization", "x-api-key", "x-forwarded-for", "forwarded", "x-original-uri", "x-forwarded-uri"]
        {
            assert!(vary.split(", ").any(|listed| listed == name), "{name} in {vary}");
        }
    }
}

#[test]
fn credentials_of_other_organizations_are_denied() {
    let server = Server::start();
    let text = &server.key.text;
    let status = |target: &str| server.get(target).api_key(text).send().status;
    assert_eq!(
        (status("/verify"), status("/o/default/verify"), status("/verify?keyturn_organization=*")),
        (200, 200, 200)
    );
    for target in ["/o/acme/verify", "/o/ACME/verify", "/o/acme/verify/x"] {
        refused(&server.get(target).api_key(text).send(), 401, "API_KEY_INVALID");
    }
    for target in ["/o/acme/verify?keyturn_organization=*", "/verify/x?keyturn_organization=*"] {
        assert_ne!(status(target), 200, "{target}");
    }
}

#[test]
fn token_must_have_the_audience() {
    let server = Place::new().set("KEYTURN_TOKEN__AUDIENCE", "https://api.example").start();
    let token = server.token(&server.key, &[]);
    let status = |query: &str, text: &str| server.get(&format!("/verify?{query}")).bearer(text).send().status;
    for credential in [token.as_str(), server.key.text.as_str()] {
        assert_eq!(status("keyturn_audience=https://api.example", credential), 200);
        assert_eq!(status("keyturn_audience=https://x&keyturn_audience=https://api.example", credential), 200);
        assert_eq!(status("keyturn_audience=https://other.example", credential), 401);
        assert_eq!(status("keyturn_audience=", credential), 403);
    }
}

#[test]
fn any_method_is_accepted_and_the_body_ignored() {
    let server = Server::start();
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        for target in ["/verify", "/verify/", "/verify/a/b?c=d"] {
            let request = server.request(method, target).api_key(&server.key.text);
            let answer = request.header("If-None-Match", "*").header("Range", "bytes=0-1").send();
            assert_eq!(answer.status, 200, "{method} {target}");
        }
    }
    // A body that is announced and never sent.
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!("POST /verify HTTP/1.0\r\nX-Api-Key: {}\r\nContent-Length: 1000000\r\n\r\n", server.key.text);
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert!(first.ends_with(b" 200"), "{}", String::from_utf8_lossy(&first));
}

#[test]
fn requirements_are_combined() {
    let server = Server::start();
    let key = server.make_with("read:projects/* write:projects/acme");
    let ask = |query: &str| server.get(&format!("/verify?{query}")).api_key(&key.text).send();
    for query in [
        "",
        "keyturn_require=read:projects/x",
        "keyturn_require=read:projects/x&keyturn_require=write:projects/acme",
        "keyturn_require=read%3Aprojects%2Fx",
    ] {
        assert_eq!(ask(query).status, 200, "{query}");
    }
    for query in [
        "keyturn_require=write:projects/x",
        "keyturn_require=read:projects/x&keyturn_require=write:projects/x",
        "keyturn_require=write:projects/x&keyturn_require=read:projects/x",
        "keyturn_require=read:*",
        "keyturn_require=read:keyturn/keys",
        "keyturn_require=read",
    ] {
        refused(&ask(query), 403, "INSUFFICIENT_SCOPE");
    }
    for query in [
        "keyturn_require=",
        "keyturn_requires=read:projects/x",
        "keytrun_require=read:projects/x",
        "utm=1",
        "keyturn_require=%zz",
        "keyturn_map=x",
    ] {
        refused(&ask(query), 403, "VALIDATION_FAILED");
    }
}

#[test]
fn requirement_from_the_forwarded_request() {
    let server = Server::start();
    let key = server.make_with("read:projects/* write:projects/acme/#");
    let ask = |method: &str, uri: &str| {
        let request = server.get("/verify?keyturn_map=http").api_key(&key.text);
        request.header("X-Forwarded-Method", method).header("X-Forwarded-Uri", uri).send().status
    };
    assert_eq!(ask("GET", "/projects/x/y?z=1"), 200);
    assert_eq!(ask("GET", &format!("/projects/{}", "long/".repeat(400))), 200, "a long path lies within a wildcard");
    assert_eq!(ask("POST", "/projects/acme/1"), 200);
    for (method, uri) in [
        ("POST", "/projects/x"),
        ("DELETE", "/projects/acme/1/2"),
        ("GET", "/"),
        ("GET", "/projects/../admin"),
        ("GET", "/projects//x"),
        ("GET", "/projects/%2e%2e/admin"),
        ("GET", "/keyturn/keys"),
        ("G T", "/projects/x"),
        ("GET", "projects/x"),
    ] {
        assert_eq!(ask(method, uri), 403, "{method} {uri}");
    }
    let without = server.get("/verify?keyturn_map=http").api_key(&key.text);
    refused(&without.send(), 403, "VALIDATION_FAILED");
    let two = without
        .header("X-Original-Method", "GET")
        .header("X-Original-URI", "/projects/x")
        .header("X-Forwarded-Uri", "/y");
    refused(&two.send(), 403, "VALIDATION_FAILED");
}

#[test]
fn exactly_one_credential_is_accepted() {
    let server = Server::start();
    let key = &server.key.text;
    let ask = || server.get("/verify");
    refused(&ask().send(), 401, "API_KEY_REQUIRED");
    refused(&ask().header("Authorization", "Digest x").send(), 401, "API_KEY_REQUIRED");
    refused(&ask().api_key(key).bearer(key).send(), 401, "API_KEY_INVALID");
    refused(&ask().bearer(key).bearer(key).send(), 401, "API_KEY_INVALID");
    refused(&ask().bearer("x").send(), 401, "API_KEY_INVALID");
    let plain = ask().send();
    assert_eq!(plain.header("www-authenticate"), Some("Bearer realm=\"keyturn\""), "no error without credentials");
}

#[test]
fn networks_apply_to_the_callers_address() {
    let server = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start();
    let body = json!({ "scopes": [], "allowed_cidrs": ["192.0.2.0/24", "2001:db8::/32"] });
    let make = server.api("POST", "keys").header("X-Forwarded-For", "198.51.100.9").json(&body);
    let text = make.send().expect(201)["secret"].as_str().unwrap().to_owned();
    let exchange = server.token_request().header("X-Forwarded-For", "192.0.2.1").api_key(&text);
    let granted = exchange.form(&[("grant_type", "client_credentials")]).send().expect(200);
    let token = granted["access_token"].as_str().unwrap().to_owned();
    let ask = |forwarded: &str| server.get("/verify").bearer(&token).header("X-Forwarded-For", forwarded).send();
    for good in ["192.0.2.7", "::ffff:192.0.2.7", "198.51.100.1, 192.0.2.7", "2001:db8::5", "192.0.2.7, 127.0.0.2"] {
        assert_eq!(ask(good).status, 200, "{good}");
    }
    for bad in ["198.51.100.1", "192.0.2.7, 198.51.100.1", "unknown", "", "fe80::1%eth0", &["192.0.2.7"; 40].join(", ")]
    {
        refused(&ask(bad), 403, "API_KEY_IP_NOT_ALLOWED");
    }
    refused(&server.get("/verify").bearer(&token).send(), 403, "API_KEY_IP_NOT_ALLOWED");
}

#[test]
fn cache_lifetime_is_limited_by_the_credential() {
    let server = Place::new().set("KEYTURN_GATEWAY__VERDICT_MAX_AGE_SECONDS", 60).start();
    let brief = server.make(&json!({ "expires_in_seconds": 30 }));
    let cache = |text: &str| server.get("/verify").api_key(text).send().header("cache-control").unwrap().to_owned();
    assert_eq!(cache(&server.key.text), "max-age=60");
    let left: u32 = cache(&brief.text).strip_prefix("max-age=").unwrap().parse().unwrap();
    assert!((20..=30).contains(&left), "{left}");
    refused(&server.get("/verify").send(), 401, "API_KEY_REQUIRED");
}

#[test]
fn huge_headers_are_rejected() {
    let server = Server::start();
    let request: Request = server.get("/verify").header("X-Filler", "x".repeat(1 << 20)).api_key(&server.key.text);
    if let Ok(answer) = request.try_send() {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(server.get("/verify").api_key(&server.key.text).send().status, 200);
}

#[test]
fn http_basic_is_accepted_everywhere() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["127.0.0.0/8"] }));
    let (id, text, secret) = (key.id.as_str(), key.text.as_str(), key.secret());
    for target in ["/verify", "/verify/a?b=c", "/o/default/verify", "/verify?keyturn_require=read:a"] {
        for (user, password) in [(id, text), (id, secret), ("", text), (id, &format!("{text}\n"))] {
            let answer = server.get(target).basic(user, password).send();
            assert_eq!(answer.status, 200, "{target}");
            assert_eq!(answer.header("x-keyturn-client-id"), Some(id));
        }
    }
    let other = server.make(&json!({}));
    for (user, password) in [
        (other.id.as_str(), text),
        (&other.id, secret),
        ("somebody", text),
        ("", secret),
        (id, "x"),
        (id, &server.token(&key, &[])),
    ] {
        refused(&server.get("/verify").basic(user, password).send(), 401, "API_KEY_INVALID");
    }
    refused(&server.get("/verify?keyturn_require=write:a").basic(id, text).send(), 403, "INSUFFICIENT_SCOPE");
    refused(&server.get("/o/acme/verify").basic(id, text).send(), 401, "API_KEY_INVALID");
    // The secret belongs in the password.
    refused(&server.get("/verify").basic(text, "").send(), 401, "API_KEY_REQUIRED");
    server.change("POST", &format!("{id}/disable"), &json!({}));
    refused(&server.get("/verify").basic(id, text).send(), 403, "API_KEY_DISABLED");
}

#[test]
fn damaged_credential_is_named() {
    let server = Server::start();
    let text = &server.key.text;
    let last = if text.ends_with('a') { "b" } else { "a" };
    for (presented, fault) in [
        (format!("'{text}'"), "the credential contains a quotation mark"),
        (text[..text.len() - 1].to_owned(), "the credential is too short or too long"),
        (format!("{}{last}", &text[..text.len() - 1]), "its checksum does not match"),
    ] {
        for request in [server.get("/verify").bearer(&presented), server.get("/verify").api_key(&presented)] {
            let answer = request.send();
            refused(&answer, 401, "API_KEY_INVALID");
            assert!(answer.json()["error_description"].as_str().unwrap().contains(fault), "{}", answer.text());
            assert!(answer.header("www-authenticate").unwrap().contains(fault));
        }
        let answer = server.me(&presented);
        assert!(answer.json()["detail"].as_str().unwrap().contains(fault), "{}", answer.text());
    }
}

#[test]
fn empty_header_beside_a_credential_is_ignored() {
    let server = Server::start();
    for value in ["", "Bearer", "Bearer null", "Basic Og=="] {
        let answer = server.get("/verify").api_key(&server.key.text).header("Authorization", value).send();
        assert_eq!(answer.status, 200, "{value}");
        refused(&server.get("/verify").header("Authorization", value).send(), 401, "API_KEY_REQUIRED");
    }
    assert_eq!(server.get("/verify").bearer(&server.key.text).header("X-Api-Key", "").send().status, 200);
    let both = server.get("/verify").api_key(&server.key.text).basic(&server.key.id, &server.key.text).send();
    refused(&both, 401, "API_KEY_INVALID");
}

#[test]
fn audience_is_compared_as_a_url() {
    let server = Place::new().set("KEYTURN_TOKEN__AUDIENCE", "https://api.example").start();
    let token = server.token(&server.key, &[]);
    let status =
        |audience: &str| server.get(&format!("/verify?keyturn_audience={audience}")).bearer(&token).send().status;
    assert_eq!((status("https://API.example/"), status("https://api.example/x")), (200, 401));
}
