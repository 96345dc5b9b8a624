//! Requests from other origins, at the token endpoint and at other endpoints.

use crate::support::{Answer, Place, Server};

const APP: &str = "https://app.example";

fn server() -> Server {
    Place::new().set("KEYTURN_CORS__ALLOWED_ORIGINS", format!("https://other.example,{APP}")).start()
}

fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let request = server.request("OPTIONS", path).header("Origin", origin);
    let request = request.header("Access-Control-Request-Method", "POST");
    request.header("Access-Control-Request-Headers", "authorization,content-type").send()
}

/// The response headers that browsers and caches use.
fn cors(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("access-control-allow-origin"), answer.header("vary"))
}

#[test]
fn page_of_an_allowed_origin_requests_and_revokes_a_token() {
    let server = server();
    for path in ["/oauth/token", "/oauth/revoke"] {
        let answer = preflight(&server, path, APP);
        assert_eq!(answer.status, 204, "{path}");
        assert_eq!(cors(&answer), (Some(APP), Some("Origin")));
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("Authorization, Content-Type, X-Api-Key"));
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    let form = [("grant_type", "client_credentials")];
    let request = server.token_request().form(&form).basic(&server.key.id, &server.key.text).header("Origin", APP);
    let answer = request.send();
    assert_eq!(cors(&answer), (Some(APP), Some("Origin")));
    assert_eq!(answer.header("access-control-expose-headers"), Some("Retry-After, WWW-Authenticate, X-Request-Id"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let token = answer.expect(200)["access_token"].as_str().unwrap().to_owned();
    let request = server.request("POST", "/oauth/revoke").form(&[("token", &token)]).api_key(&server.key.text);
    let answer = request.header("Origin", APP).send();
    assert_eq!((answer.status, cors(&answer)), (200, (Some(APP), Some("Origin"))));
    server.me(&token).expect(401);
}

#[test]
fn errors_can_be_read_by_the_page() {
    let server = server();
    let of = |request: crate::support::Request| request.header("Origin", APP).send();
    for (status, answer) in [
        (400, of(server.token_request().form_text("grant_type=password"))),
        (401, of(server.token_request().form_text("grant_type=client_credentials").bearer("kt_wrong"))),
        (400, of(server.token_request().body("application/json", "{}"))),
        (413, of(server.token_request().form_text("x".repeat(20_000)))),
        (405, of(server.request("PUT", "/oauth/token"))),
        (401, of(server.request("POST", "/oauth/revoke").form_text("token=x"))),
    ] {
        assert_eq!((answer.status, cors(&answer)), (status, (Some(APP), Some("Origin"))), "{}", answer.text());
    }
}

#[test]
fn other_origins_can_read_nothing() {
    let server = server();
    for origin in ["https://evil.example", "http://app.example", "https://app.example.evil.example", "null"] {
        let answer = preflight(&server, "/oauth/token", origin);
        assert_eq!((answer.status, cors(&answer)), (403, (None, Some("Origin"))), "{origin}");
        // Gateways add Origin to requests of programs, which must not be denied for it.
        let form = [("grant_type", "client_credentials")];
        let answer = server.token_request().form(&form).bearer(&server.key.text).header("Origin", origin).send();
        assert_eq!((answer.status, cors(&answer)), (200, (None, Some("Origin"))), "{origin}");
    }
    let denied = server.stderr();
    assert!(denied.contains("origin_not_allowed") && !denied.contains("evil.example"), "{denied}");
    let answer = server.exchange(&server.key.text, &[]);
    assert_eq!((answer.status, cors(&answer)), (200, (None, Some("Origin"))), "a shared cache must know");
    for (method, path) in [("POST", "/oauth/introspect"), ("GET", "/api/v1/me"), ("GET", "/verify")] {
        let request = server.request(method, path).bearer(&server.key.text).header("Origin", APP);
        let answer = if method == "POST" { request.form_text("token=x").send() } else { request.send() };
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, None), "{path}");
        assert_ne!(preflight(&server, path, APP).header("access-control-allow-origin"), Some(APP), "{path}");
    }
}

#[test]
fn no_origin_is_allowed_by_default() {
    let server = Server::start();
    let answer = preflight(&server, "/oauth/token", APP);
    assert_eq!((answer.status, answer.header("allow"), cors(&answer)), (405, Some("POST"), (None, None)));
    let form = [("grant_type", "client_credentials")];
    let answer = server.token_request().form(&form).bearer(&server.key.text).header("Origin", APP).send();
    assert_eq!((answer.status, cors(&answer)), (200, (None, None)));
}
