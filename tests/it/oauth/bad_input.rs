//! Invalid requests get a 4xx response that names the field and the allowed values, in the format of RFC 6749 section
//! 5.2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::check::oauth_error;
use crate::support::{Request, Server};

const GRANT: &str = "grant_type=client_credentials";

/// Checks an `invalid_request` error whose description starts with the field.
#[track_caller]
fn refused(request: &Request, about: &str) {
    let description = oauth_error(&request.send(), 400, "invalid_request", "VALIDATION_FAILED");
    assert!(description.starts_with(about), "{description}");
}

#[test]
fn repeated_parameters_are_rejected() {
    let server = Server::start();
    let text = &server.key.text;
    let good = format!("{GRANT}&client_secret={text}");
    for (rest, name) in [
        (GRANT.to_owned(), "grant_type: "),
        (format!("client_secret={text}"), "client_secret: "),
        (format!("client_id={0}&client_id={0}", server.key.id), "client_id: "),
        ("scope=read&scope=read".into(), "scope: "),
        ("scope=read&%73cope=write".into(), "scope: "),
        ("audience=a&audience=a".into(), "audience: "),
    ] {
        refused(&server.token_request().form_text(format!("{good}&{rest}")), name);
    }
}

#[test]
fn nul_and_invalid_encodings_are_rejected() {
    let server = Server::start();
    let good = format!("{GRANT}&client_secret={}", server.key.text).into_bytes();
    for (rest, name) in [
        (&b"&scope=a%00b"[..], "scope: "),
        (b"&scope=a\0b", "scope: "),
        (b"&scope=%", "scope: "),
        (b"&scope=%4", "scope: "),
        (b"&scope=%zz", "scope: "),
        (b"&resource=%ff%fe", "resource: "),
        (b"&audience=%c0%80", "audience: "),
        (b"&client_id=%00", "client_id: "),
        (b"&a%00=b", ""),
        (b"&a=\xff", ""),
        (b"&other=%00", ""),
    ] {
        refused(&server.token_request().form_text([&good, rest].concat()), name);
    }
}

#[test]
fn invalid_authorization_headers_are_rejected() {
    let server = Server::start();
    let (id, text) = (&server.key.id, &server.key.text);
    let form = || server.token_request().form_text(GRANT);
    let basic = |bytes: &[u8]| form().header("Authorization", format!("Basic {}", STANDARD.encode(bytes)));
    for request in [
        form().header("Authorization", "Basic !!!"),
        form().header("Authorization", "Basic YTpi=YTpi"),
        form().header("Authorization", "Basic"),
        form().header("Authorization", "Bearer"),
        form().header("Authorization", format!("Bearer {text} {text}")),
        form().header("Authorization", format!("Basic {id}:{text}")),
        basic(b"no colon"),
        basic(b"\xff:\xfe"),
        basic(format!("{id}:{text}\0").as_bytes()),
        basic(format!("{id}:%00").as_bytes()),
        basic(format!("{id}:%zz").as_bytes()),
        basic(format!("%:{text}").as_bytes()),
        form().header("Authorization", b"Basic \xe9\xe9"),
        form().header("Authorization", ""),
    ] {
        let answer = request.send();
        assert!(matches!(answer.status, 400 | 401), "{}", answer.text());
        if answer.status == 400 {
            refused(&request, "Authorization: ");
        } else {
            oauth_error(&answer, 401, "invalid_client", "API_KEY_REQUIRED");
        }
    }
    refused(&form().header("X-Api-Key", b"\xe9"), "X-Api-Key: ");
    for request in [form().api_key(""), form().api_key("  ")] {
        oauth_error(&request.send(), 401, "invalid_client", "API_KEY_REQUIRED");
    }
    refused(&form().basic(id, text).basic(id, text), "more than one Authorization header");
}

#[test]
fn key_in_the_url_is_rejected() {
    let server = Server::start();
    let (id, text) = (&server.key.id, &server.key.text);
    let good = format!("{GRANT}&client_secret={text}");
    for query in [
        format!("client_secret={text}"),
        format!("client_id={id}"),
        format!("{GRANT}&client_id={id}&client_secret={text}"),
        format!("x={text}"),
        format!("a=b&{text}"),
        format!("CLIENT_SECRET={text}"),
        format!("client%5Fsecret={text}"),
        format!("x={}", text.replace('_', "%5F")),
        "access_token=x".into(),
    ] {
        let request = server.request("POST", &format!("/oauth/token?{query}")).form_text(&good);
        let description = oauth_error(&request.send(), 400, "invalid_request", "VALIDATION_FAILED");
        assert!(description.contains("URL") && !description.contains(text.as_str()), "{query}: {description}");
    }
}

#[test]
fn other_content_types_are_rejected() {
    let server = Server::start();
    let text = &server.key.text;
    let json = format!(r#"{{"grant_type":"client_credentials","client_secret":"{text}"}}"#);
    let form = format!("{GRANT}&client_secret={text}");
    for request in [
        server.token_request().body("application/json", &json),
        server.token_request().body("multipart/form-data; boundary=x", "--x--"),
        server.token_request().body("text/plain", &form),
        server.token_request().body("application/x-www-form-urlencoded-not", &form),
        server.token_request().body("", &form),
    ] {
        refused(&request, "Content-Type: application/x-www-form-urlencoded");
    }
    refused(&server.token_request().form_text(&json), "grant_type: ");
    refused(&server.token_request(), "grant_type: ");
}

#[test]
fn compressed_forms_are_rejected() {
    let server = Server::start();
    let form = format!("{GRANT}&client_secret={}", server.key.text);
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        for coding in ["gzip", "deflate, br", "identity, zstd"] {
            let request = server.request("POST", path).header("Content-Encoding", coding);
            refused(&request.form_text(b"\x1f\x8b\x08"), "Content-Encoding: ");
        }
    }
    server.token_request().header("Content-Encoding", "identity").form_text(&form).send().expect(200);
}

#[test]
fn large_bodies_are_rejected() {
    let server = Server::start();
    let good = format!("{GRANT}&client_secret={}", server.key.text);
    for size in [16 * 1024, 17 * 1024, 64 * 1024, 300 * 1024, 3 * 1024 * 1024] {
        let request = server.token_request().form_text(format!("{good}&x={}", "y".repeat(size)));
        let description = oauth_error(&request.send(), 413, "invalid_request", "VALIDATION_FAILED");
        assert!(description.contains("bytes are allowed"), "{description}");
    }
    server.token(&server.key, &[]);
}

#[test]
fn invalid_scopes_are_rejected() {
    let server = Server::start();
    let many = (0..64).map(|n| format!("read:a/{n}")).collect::<Vec<_>>().join(" ");
    let same = vec!["read:a"; 64].join(" ");
    let long = format!("read:{}", "x".repeat(257));
    let deep = format!("read:{}", vec!["x"; 33].join("/"));
    for scope in [
        many.as_str(),
        &same,
        &long,
        &deep,
        "read:a/../b",
        "read:..",
        "read:.",
        "read:a/./b",
        "read:a%2fb",
        "read:%",
        "read:a//b",
        "read:/a",
        "read:a/",
        "read:",
        ":a",
        "read:*/a",
        "read:a*",
        "read:a/b#",
        "READ:a",
        "read:a\tb",
        "read:a\nread:b",
        "read:a\u{7f}",
        "read:\u{1}",
        "read:\u{e9}",
        "read:a\"b",
        "read:a\\b",
        "r\u{e9}ad:a",
        "read,write",
    ] {
        let answer = server.exchange(&server.key.text, &[("scope", scope)]);
        let description = oauth_error(&answer, 400, "invalid_scope", "VALIDATION_FAILED");
        assert!(description.starts_with("scope: "), "{description}");
    }
}

#[test]
fn errors_do_not_repeat_input() {
    let server = Server::start();
    let marker = "Xq7Zr4Xq7Zr4Xq7Zr4Xq7Zr4";
    let good = format!("{GRANT}&client_secret={}", server.key.text);
    for request in [
        server.token_request().form_text(format!("grant_type={marker}")),
        server.token_request().form_text(format!("{good}&scope={marker}%zz")),
        server.token_request().form_text(format!("{good}&scope={marker}:a")),
        server.token_request().form_text(format!("{good}&{marker}=1&{marker}=2")),
        server.token_request().form_text(format!("{good}&resource={marker}")),
        server.token_request().form_text(format!("{good}&client_id={marker}")),
        server.token_request().form_text(format!("{GRANT}&client_secret={marker}")),
        server.token_request().form_text(&good).bearer(marker),
        server.token_request().body(marker, &good),
        server.request("POST", &format!("/oauth/token?client_id={marker}")).form_text(&good),
    ] {
        let answer = request.send();
        assert!((400..500).contains(&answer.status));
        assert!(!answer.text().contains(marker), "{}", answer.text());
    }
}

#[test]
fn random_bytes_never_cause_a_server_error() {
    let server = Server::start();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let pieces = [
        "grant_type=client_credentials",
        "&",
        "=",
        "%",
        "scope",
        "%00",
        "\u{e9}",
        "client_id",
        "+",
        "read:",
        "client_secret",
    ];
    for _ in 0..200 {
        let mut body = Vec::new();
        for _ in 0..random() % 12 {
            match random() % 3 {
                0 => body.push(random() as u8),
                _ => body.extend(pieces[random() as usize % pieces.len()].as_bytes()),
            }
        }
        let answer = server.token_request().form_text(&body).send();
        assert!((400..500).contains(&answer.status), "{} for {body:?}", answer.status);
        let body = answer.json();
        oauth_error(&answer, answer.status, body["error"].as_str().unwrap(), body["code"].as_str().unwrap());
    }
}
