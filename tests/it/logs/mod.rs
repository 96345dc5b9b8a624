//! Log lines of requests and their effects.

mod operators;
mod refusals;

use serde_json::{Value, json};

use crate::support::{Answer, Place, Server, eventually};

/// A server whose log is JSON.
fn place() -> Place {
    Place::new().set("KEYTURN_LOG__FORMAT", "json")
}

/// Returns the ID of a request from its response.
#[track_caller]
fn id_of(answer: &Answer) -> &str {
    answer.header("x-request-id").expect("a request ID")
}

/// Returns all log lines of a request, in order.
fn lines(server: &Server, id: &str) -> Vec<Value> {
    let log = server.stderr();
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    // The last line may be incomplete.
    let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    whole.lines().map(read).filter(|line: &Value| line["request_id"] == id).collect()
}

/// Returns the only log line of a request.
#[track_caller]
fn line(server: &Server, answer: &Answer) -> Value {
    let id = id_of(answer);
    let lines = eventually("the log line", || Some(lines(server, id)).filter(|lines| !lines.is_empty()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["target"], "keyturn::access");
    lines[0].clone()
}

#[test]
fn each_denial_has_a_code() {
    let server = place().start();
    let all: [(&str, &str, &str); 17] = [
        ("GET", "/nothing", "NOT_FOUND"),
        ("GET", "/oauth/token", "VALIDATION_FAILED"),
        ("POST", "/oauth/token", "VALIDATION_FAILED"),
        ("POST", "/oauth/introspect", "API_KEY_REQUIRED"),
        ("POST", "/oauth/revoke", "API_KEY_REQUIRED"),
        ("GET", "/verify", "API_KEY_REQUIRED"),
        ("GET", "/o/nothing!/verify", "API_KEY_INVALID"),
        ("GET", "/o/nothing/.well-known/jwks.json", "NOT_FOUND"),
        ("POST", "/healthz", "VALIDATION_FAILED"),
        ("GET", "/api/v1/nothing", "NOT_FOUND"),
        ("GET", "/api/v1/me", "API_KEY_REQUIRED"),
        ("PUT", "/api/v1/me", "VALIDATION_FAILED"),
        ("POST", "/api/v1/session", "VALIDATION_FAILED"),
        ("POST", "/api/v1/organizations/default/keys", "API_KEY_REQUIRED"),
        ("GET", "/console/nothing", "NOT_FOUND"),
        ("POST", "/console/sign-in", "CSRF_TOKEN_INVALID"),
        ("POST", "/console/keys/new", "CSRF_TOKEN_INVALID"),
    ];
    for (method, path, code) in all {
        let answer = server.request(method, path).send();
        let line = line(&server, &answer);
        assert!(answer.status >= 400, "{method} {path}");
        assert_eq!((&line["status"], &line["code"]), (&json!(answer.status), &json!(code)), "{method} {path}");
        assert_eq!((&line["message"], &line["level"]), (&json!("request denied"), &json!("INFO")), "{method} {path}");
    }
}

#[test]
fn successes_are_logged_if_configured() {
    let server = place().set("KEYTURN_LOG__REQUESTS", "all").start();
    let key = server.make_with("read:*");
    let token = server.exchange(&key.text, &[]);
    let verified = server.get("/verify").bearer(&key.text).send();
    let introspect = server.request("POST", "/oauth/introspect").api_key(&key.text).form(&[("token", "x")]).send();
    let me = server.me(&key.text);
    for answer in [&token, &verified, &introspect, &me] {
        let line = line(&server, answer);
        assert_eq!((&line["status"], &line["message"]), (&json!(200), &json!("request served")), "{line}");
        assert_eq!((&line["client_id"], &line["organization"]), (&json!(key.id), &json!("default")), "{line}");
        assert_eq!((&line["client_address"], &line["peer"]), (&json!("127.0.0.1"), &json!("127.0.0.1")), "{line}");
        assert!(line["milliseconds"].is_number() && line.get("code").is_none(), "{line}");
    }

    for requests in ["failed", "none"] {
        let server = place().set("KEYTURN_LOG__REQUESTS", requests).start();
        let (good, bad) = (server.get("/healthz").send(), server.exchange("nothing", &[]));
        // A later line, to ensure that the others have been written.
        let last = server.make_with("read:*");
        eventually("the last line", || server.stderr().contains(&last.id).then_some(()));
        assert_eq!(lines(&server, id_of(&good)), [] as [Value; 0], "{requests}");
        assert_eq!(lines(&server, id_of(&bad)).len(), usize::from(requests == "failed"), "{requests}");
    }
}

#[test]
fn changes_are_logged_with_the_request_id() {
    let server = place().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let (key, other) = (server.make_with("read:*"), server.make_with("read:*"));
    let form = [("grant_type", "client_credentials"), ("client_secret", other.text.as_str())];
    let token = server.token_request().form(&form).header("X-Forwarded-For", "192.0.2.1").send().expect(200);
    let token = token["access_token"].as_str().unwrap();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traced = |request: crate::support::Request| {
        request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01")).send()
    };
    let policy = server.api("GET", "policy").send();
    let changes = [
        ("key.disable", traced(server.api("POST", &format!("keys/{}/disable", key.id)))),
        ("key.create", traced(server.api("POST", "keys").json(&json!({ "name": "one" })))),
        ("signing-key.create", traced(server.api("POST", "signing-keys/rotate").json(&json!({})))),
        (
            "policy.change",
            traced(
                server
                    .api("PUT", "policy")
                    .header("If-Match", policy.header("etag").unwrap())
                    .json(&json!({ "max_keys": 1000 })),
            ),
        ),
        (
            "token.revoke",
            traced(
                server
                    .request("POST", "/oauth/revoke")
                    .api_key(&other.text)
                    .header("X-Forwarded-For", "192.0.2.1")
                    .form(&[("token", token)]),
            ),
        ),
    ];
    for (action, answer) in changes {
        assert!((200..300).contains(&answer.status), "{action}: {}", answer.text());
        let found =
            eventually(action, || lines(&server, id_of(&answer)).into_iter().find(|line| line["action"] == action));
        assert_eq!(found["message"], "change made");
        assert_eq!(found["trace_id"], trace, "{found}");
    }
}

#[test]
fn ids_of_trusted_proxies_are_kept() {
    const XFF: &str = "X-Forwarded-For";
    let server = place().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let sent = server
        .get("/verify")
        .header(XFF, "192.0.2.9")
        .header("X-Request-Id", "my-trace-1")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .send();
    assert_eq!(id_of(&sent), "my-trace-1");
    let line = line(&server, &sent);
    assert_eq!((&line["trace_id"], &line["client_address"]), (&json!(trace), &json!("192.0.2.9")), "{line}");
    assert_eq!(line["peer"], "127.0.0.1", "{line}");
    let odd = server.get("/verify").header(XFF, "192.0.2.9").header("X-Request-Id", "an id").send();
    assert_ne!(id_of(&odd), "an id");

    let stranger = place().start();
    let sent = stranger.get("/verify").header("X-Request-Id", "my-trace-1").header("traceparent", trace).send();
    assert_ne!(id_of(&sent), "my-trace-1");
    assert_eq!(self::line(&stranger, &sent).get("trace_id"), None);
}

#[test]
fn unknown_address_has_a_reason() {
    let server = place().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let key = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24"] }));
    let refused = server.exchange(&key.text, &[]);
    let line = line(&server, &refused);
    assert_eq!((&line["code"], &line["level"]), (&json!("API_KEY_IP_NOT_ALLOWED"), &json!("WARN")), "{line}");
    assert_eq!(line["error"], "the trusted proxy sent no forwarding header", "{line}");
    assert_eq!((&line["client_id"], line.get("client_address")), (&json!(key.id), None), "{line}");
}
