//! Each denial, made directly and through nginx, is explained by one log line.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{line, place};
use crate::support::{Key, Request, Server, eventually};

/// The address of nginx, which the server trusts; clients connect from 127.0.0.1.
const NGINX: &str = "127.0.0.9";

/// nginx in front of a server; killed when it is dropped.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nginx {
    #[track_caller]
    fn start(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let at = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .join("\n");
        let configuration = format!(
            "daemon off; worker_processes 1; pid {at}/pid; error_log {at}/error.log; events {{}}\n\
             http {{ access_log off; {temporary}\n\
             server {{ listen {address}; location / {{\n\
             proxy_pass http://{}; proxy_bind {NGINX}; proxy_http_version 1.1;\n\
             proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header Forwarded \"\";\n\
             proxy_set_header X-Request-Id $request_id; }} }} }}\n",
            server.address
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-e").arg(folder.path().join("error.log")).arg("-c").arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("nginx");
        eventually("nginx", || {
            assert!(
                child.try_wait().unwrap().is_none(),
                "{}",
                fs::read_to_string(folder.path().join("error.log")).unwrap()
            );
            TcpStream::connect(address).ok()
        });
        Self { child, address, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // nginx stops its workers itself; killing it would leave them running.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// A denied request, and the expected fields of its log line besides those of every line.
struct Refusal {
    request: Request,
    route: &'static str,
    status: u16,
    expected: Value,
}

/// Keys and tokens for the requests.
struct Actors {
    good: Key,
    other: Key,
    disabled: Key,
    elsewhere: Key,
    revoked: Key,
    token: String,
    revoked_token: String,
}

impl Actors {
    fn new(server: &Server) -> Self {
        let make = |more: Value| server.make(&more);
        let (good, other, disabled, revoked) = (make(json!({})), make(json!({})), make(json!({})), make(json!({})));
        let elsewhere = make(json!({ "allowed_cidrs": ["192.0.2.0/24"] }));
        let (token, revoked_token) = (server.token(&good, &[]), server.token(&revoked, &[]));
        server.change("POST", &format!("{}/disable", disabled.id), &json!({}));
        server.change("POST", &format!("{}/revoke", revoked.id), &json!({}));
        Self { good, other, disabled, elsewhere, revoked, token, revoked_token }
    }

    fn secrets(&self) -> Vec<&str> {
        let keys = [&self.good, &self.other, &self.disabled, &self.elsewhere, &self.revoked];
        let mut secrets: Vec<&str> = keys.iter().map(|key| key.secret()).collect();
        secrets.extend([self.token.as_str(), &self.revoked_token, "a wrong password", "owner@localhost"]);
        secrets
    }

    fn refusals(&self, at: SocketAddr) -> Vec<Refusal> {
        let exchange = || Request::new(at, "POST", "/oauth/token");
        let form = "grant_type=client_credentials";
        let refusal = |request: Request, route, status, expected| Refusal { request, route, status, expected };
        let of = |key: &Key| json!({ "client_id": key.id, "organization": "default" });
        let and = |mut fields: Value, more: Value| {
            fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            fields
        };
        let unknown = "0123456789abcdef";
        let typo = format!("{}x", &self.good.text[..self.good.text.len() - 1]);
        vec![
            refusal(
                exchange().basic(&self.good.id, self.other.secret()).form_text(form),
                "/oauth/token",
                401,
                and(of(&self.good), json!({ "code": "API_KEY_INVALID", "reason": "wrong_secret" })),
            ),
            refusal(
                exchange().basic(unknown, self.other.secret()).form_text(form),
                "/oauth/token",
                401,
                json!({ "code": "API_KEY_INVALID", "reason": "unknown_key", "client_id": unknown }),
            ),
            refusal(
                exchange().bearer(&typo).form_text(form),
                "/oauth/token",
                401,
                json!({ "code": "API_KEY_INVALID", "reason": "malformed_secret" }),
            ),
            refusal(
                exchange().bearer(&self.disabled.text).form_text(form),
                "/oauth/token",
                403,
                and(of(&self.disabled), json!({ "code": "API_KEY_DISABLED" })),
            ),
            refusal(
                exchange().bearer(&self.elsewhere.text).form_text(form),
                "/oauth/token",
                403,
                and(of(&self.elsewhere), json!({ "code": "API_KEY_IP_NOT_ALLOWED" })),
            ),
            refusal(
                exchange().bearer(&self.good.text).form_text(format!("{form}&scope=write:orders")),
                "/oauth/token",
                400,
                and(of(&self.good), json!({ "code": "INSUFFICIENT_SCOPE", "scope": "write:orders" })),
            ),
            refusal(
                exchange().bearer(&self.good.text).form_text(format!("{form}&resource=https://other.example")),
                "/oauth/token",
                400,
                and(of(&self.good), json!({ "code": "VALIDATION_FAILED", "reason": "audience_not_allowed" })),
            ),
            refusal(
                exchange().bearer(&self.good.text).form_text(format!("{form}&scope=openid")),
                "/oauth/token",
                400,
                and(of(&self.good), json!({ "code": "VALIDATION_FAILED", "reason": "unknown_action" })),
            ),
            refusal(
                exchange().bearer(&self.good.text).form_text("grant_type=password"),
                "/oauth/token",
                400,
                json!({ "code": "VALIDATION_FAILED", "reason": "unsupported_grant_type" }),
            ),
            refusal(
                exchange().bearer(&self.good.text).form_text(format!("{form}&{form}")),
                "/oauth/token",
                400,
                json!({ "code": "VALIDATION_FAILED", "reason": "invalid_request" }),
            ),
            refusal(
                Request::new(at, "POST", "/oauth/introspect").api_key(&self.revoked.text).form_text("token=x"),
                "/oauth/introspect",
                401,
                and(of(&self.revoked), json!({ "code": "API_KEY_INVALID", "reason": "key_revoked" })),
            ),
            refusal(
                Request::new(at, "GET", "/verify?keyturn_require=write:orders/7").bearer(&self.token),
                "/verify",
                403,
                and(of(&self.good), json!({ "code": "INSUFFICIENT_SCOPE", "scope": "write:orders/7" })),
            ),
            refusal(
                Request::new(at, "GET", "/verify").bearer(&self.revoked_token),
                "/verify",
                401,
                and(of(&self.revoked), json!({ "code": "API_KEY_INVALID", "reason": "key_revoked" })),
            ),
            refusal(
                Request::new(at, "GET", "/verify?keyturn_requires=read:a").bearer(&self.good.text),
                "/verify",
                403,
                and(of(&self.good), json!({ "code": "VALIDATION_FAILED" })),
            ),
            refusal(
                Request::new(at, "GET", "/verify").bearer(&format!("{}x", self.token)),
                "/verify",
                401,
                json!({ "code": "API_KEY_INVALID", "reason": "invalid_signature" }),
            ),
            refusal(
                Request::new(at, "GET", "/api/v1/organizations/default/audit").bearer(&self.good.text),
                "/api/v1/organizations/{org}/audit",
                403,
                and(of(&self.good), json!({ "code": "INSUFFICIENT_SCOPE", "scope": "read:keyturn/audit" })),
            ),
            refusal(
                Request::new(at, "POST", "/api/v1/session")
                    .json(&json!({ "email": "owner@localhost", "password": "a wrong password" })),
                "/api/v1/session",
                401,
                json!({ "code": "SIGN_IN_REFUSED", "organization": "default" }),
            ),
        ]
    }
}

#[test]
fn one_line_explains_each_denial() {
    let server = place().set("KEYTURN_SERVER__TRUSTED_PROXIES", NGINX).start();
    let nginx = Nginx::start(&server);
    let actors = Actors::new(&server);
    let mut drilled = Vec::new();
    for (at, peer) in [(server.address, "127.0.0.1"), (nginx.address, NGINX)] {
        for Refusal { request, route, status, expected } in actors.refusals(at) {
            let answer = request.send();
            assert_eq!(answer.status, status, "{route}: {}", answer.text());
            let mut found = line(&server, &answer);
            println!("{found}");
            assert_eq!(found["request_id"], answer.header("x-request-id").unwrap(), "{found}");
            drilled.push(answer);
            for secret in actors.secrets() {
                assert!(!found.to_string().contains(secret), "{found}");
            }
            assert_eq!((&found["route"], &found["status"]), (&json!(route), &json!(status)), "{found}");
            assert_eq!((&found["client_address"], &found["peer"]), (&json!("127.0.0.1"), &json!(peer)), "{found}");
            assert!(found["milliseconds"].is_number() && found["method"].is_string(), "{found}");
            let explains = ["code", "reason", "client_id", "member", "organization", "scope"];
            found.as_object_mut().unwrap().retain(|name, _| explains.contains(&name.as_str()));
            assert_eq!(found, expected, "{route} by {peer}");
        }
    }
    assert!(drilled.len() >= 20);
    // There is no second line, and no log line contains a secret.
    for answer in &drilled {
        line(&server, answer);
    }
    let log = server.stop();
    let log = fs::read_to_string(log.path("stderr.log")).unwrap();
    for secret in actors.secrets() {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}
