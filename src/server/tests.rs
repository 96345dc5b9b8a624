//! The whole server in this process, without sockets, so that tests can reach into the node behind it.
//!
//! Everything that a client can see of a process is tested in `tests/it`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::from_fn;
use actix_web::test::TestRequest;
use actix_web::{App, Error, test, web};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Opened, http, node, opening, settings};
use crate::clock;
use crate::config::Settings;
use crate::domain::key_text::KeyText;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::http::request_log;
use crate::node::Node;
use crate::organizations::bootstrap_organization;
use crate::server::tasks::{Tasks, follow};

/// A node with an organization and its first key, as a member of a cluster or alone.
struct InProcess {
    node: Arc<Node>,
    context: web::Data<HttpContext>,
    first_secret: String,
    _folder: tempfile::TempDir,
}

impl InProcess {
    async fn new(is_alone: bool, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("keyturn.db").display());
        let fixed = [
            ("KEYTURN_STORE__URL", url.as_str()),
            ("KEYTURN_SECRETS__MASTER_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
            ("KEYTURN_ARGON2__MEMORY_KIB", "8192"),
            ("KEYTURN_ARGON2__ITERATIONS", "1"),
        ];
        let variables = fixed.iter().chain(variables).map(|(name, value)| ((*name).into(), (*value).into()));
        let settings = Settings::load(None, variables, folder.path()).unwrap();
        let Opened { store, master_keys, gate, .. } = opening::open(&settings).await.unwrap();
        let owner = (Slug::default_organization(), "owner@localhost".to_owned());
        let algorithm = settings.token.algorithm;
        let first = bootstrap_organization(&store, &gate, &master_keys, algorithm, owner, clock::now()).await.unwrap();
        let node = node::build(&settings, &store, master_keys, gate, is_alone).await.unwrap();
        node::load(&node).await.unwrap();
        let context = settings::http_context(&settings, &node);
        Self { node, context, first_secret: first.key.reveal().to_string(), _folder: folder }
    }

    /// Returns the server with all routes of the public address.
    async fn serve(
        &self,
    ) -> impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error> {
        let app = App::new().app_data(self.context.clone()).wrap(from_fn(request_log::log_request));
        test::init_service(app.configure(|config| http::routes(config, &self.context, false))).await
    }
}

/// Sends a request and returns the status and the body, which is `null` if it is not JSON.
async fn send<B: MessageBody>(
    server: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    request: TestRequest,
) -> (u16, Value) {
    let peer = "127.0.0.1:50000".parse().unwrap();
    let response = test::call_service(server, request.peer_addr(peer).to_request()).await;
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&test::read_body(response).await).unwrap_or_default())
}

async fn eventually(is_true: impl Fn() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap();
}

#[tokio::test]
async fn token_is_exchanged_verified_and_denied_after_the_revocation() {
    let process = InProcess::new(true, &[]).await;
    let server = process.serve().await;
    let form = [("grant_type", "client_credentials"), ("client_secret", process.first_secret.as_str())];
    let (status, body) = send(&server, TestRequest::post().uri("/oauth/token").set_form(form)).await;
    assert_eq!(status, 200, "{body}");
    let bearer = (header::AUTHORIZATION, format!("Bearer {}", body["access_token"].as_str().unwrap()));
    let verify = || TestRequest::get().uri("/verify?keyturn_require=read:orders/1").insert_header(bearer.clone());
    assert_eq!(send(&server, verify()).await, (200, Value::Null));

    // The record and the signature are in memory now, and nothing else decides.
    let id = KeyText::parse(&process.first_secret).unwrap().id();
    let record = process.node.memory.list.record(&id).unwrap();
    let authority = crate::domain::authority::ChangeContext::keyturn(clock::now());
    crate::keys::revoke(&process.node, &record.organization, &authority, &id, None, None).await.unwrap();
    assert!(process.node.memory.list.record(&id).is_none(), "the revocation drops the record");
    let (status, body) = send(&server, verify()).await;
    assert_eq!((status, &body["code"]), (401, &json!("API_KEY_INVALID")));
}

#[tokio::test]
async fn other_methods_are_answered_with_the_allowed_ones() {
    let get = "GET, HEAD, OPTIONS";
    let post = |with_pages| if with_pages { "OPTIONS, POST" } else { "POST" };
    for with_pages in [false, true] {
        let origins: &[(&str, &str)] =
            if with_pages { &[("KEYTURN_CORS__ALLOWED_ORIGINS", "https://app.example.com")] } else { &[] };
        let process = InProcess::new(true, origins).await;
        let server = process.serve().await;
        for (path, allowed) in [
            ("/oauth/token", post(with_pages)),
            ("/oauth/revoke", post(with_pages)),
            ("/oauth/introspect", "POST"),
            ("/oauth/authorize", "GET, HEAD, POST"),
            ("/.well-known/oauth-authorization-server", get),
            ("/.well-known/openid-configuration", get),
            ("/.well-known/jwks.json", get),
            ("/.well-known/jwks/none.pem", get),
            ("/.well-known/oauth-authorization-server/o/acme", get),
            ("/o/acme/.well-known/openid-configuration", get),
            ("/o/acme/.well-known/jwks.json", get),
            ("/o/acme/.well-known/jwks/none.pem", get),
        ] {
            let request = TestRequest::with_uri(path).method(Method::DELETE);
            let request = request.insert_header((header::ORIGIN, "https://app.example.com")).to_request();
            let response = test::call_service(&server, request).await;
            assert_eq!(response.status(), 405, "{path}");
            assert_eq!(response.headers().get(header::ALLOW).unwrap(), allowed, "{path}");
            let is_readable = response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(is_readable, with_pages && allowed.starts_with("OPTIONS"), "{path}");
            let body: Value = test::read_body_json(response).await;
            assert_eq!(body["error"], "invalid_request", "{path}");
            assert_eq!(body["error_description"], format!("only {allowed} is allowed here"), "{path}");
        }
    }
}

#[tokio::test]
async fn panic_while_following_ends_the_lease_until_the_restart() {
    let process = InProcess::new(false, &[]).await;
    let (server, node) = (process.serve().await, &process.node);
    let ready = async || send(&server, TestRequest::get().uri("/readyz")).await;

    let (tasks, failure) = (Tasks::new(node), Arc::new(Notify::new()));
    let (following, failing) = (node.clone(), failure.clone());
    tasks.supervise_following(node.cluster.as_ref().unwrap(), move || {
        let (node, failure) = (following.clone(), failing.clone());
        async move {
            tokio::select! {
                () = follow(node) => {}
                () = failure.notified() => panic!("injected"),
            }
        }
    });
    eventually(|| node.is_current()).await;
    assert_eq!(ready().await, (200, json!({ "status": "ready", "lease": "live" })));

    failure.notify_one();
    eventually(|| node.metrics.tasks().restarts("follow") == 1).await;
    let reason = "the changes of other nodes are not followed yet";
    assert_eq!(ready().await, (503, json!({ "status": "not ready", "reason": reason, "lease": "none" })));

    eventually(|| node.is_current()).await;
    assert_eq!(ready().await.0, 200);
    tasks.stop(node).await;
}
