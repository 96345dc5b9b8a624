//! A node whose background tasks fail.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, test, web};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Opened, node, opening, settings};
use crate::clock;
use crate::config::Settings;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::http::cors::AllowedOrigins;
use crate::http::operations;
use crate::node::Node;
use crate::organizations::bootstrap_organization;
use crate::server::tasks::{Tasks, follow};

/// A node with an organization, which is a member of a cluster.
async fn member(folder: &tempfile::TempDir) -> (Settings, Arc<Node>) {
    let url = format!("sqlite://{}", folder.path().join("keyturn.db").display());
    let variables = [
        ("KEYTURN_STORE__URL", url.as_str()),
        ("KEYTURN_SECRETS__MASTER_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
        ("KEYTURN_ARGON2__MEMORY_KIB", "8192"),
        ("KEYTURN_ARGON2__ITERATIONS", "1"),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
    let settings = Settings::load(None, variables, folder.path()).unwrap();
    let Opened { store, master_keys, gate, .. } = opening::open(&settings).await.unwrap();
    let owner = (Slug::default_organization(), "owner@localhost".to_owned());
    bootstrap_organization(&store, &gate, &master_keys, settings.token.algorithm, owner, clock::now()).await.unwrap();
    let node = node::build(&settings, &store, master_keys, gate, false).await.unwrap();
    node::load(&node).await.unwrap();
    (settings, node)
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
async fn panic_while_following_ends_the_lease_until_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, node) = member(&folder).await;
    let context = web::Data::new(HttpContext::new(
        node.clone(),
        (settings::trusted_proxies(&settings), AllowedOrigins::new(&[])),
        (0, 0),
        0,
        settings.log.requests,
    ));
    let app = test::init_service(App::new().app_data(context).configure(operations::routes)).await;
    let ready = async || {
        let response = test::call_service(&app, test::TestRequest::get().uri("/readyz").to_request()).await;
        (response.status().as_u16(), test::read_body_json::<Value, _>(response).await)
    };

    let (tasks, failure) = (Tasks::new(&node), Arc::new(Notify::new()));
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
    tasks.stop(&node).await;
}
