//! Nodes of one deployment whose settings differ.

use crate::nodes::{logged, metric, place, warnings};
use crate::support::postgres::Database;
use crate::support::{Server, eventually};

fn named(server: &Server) -> Vec<String> {
    let setting = |line: String| line.split_once(" differs between nodes").map(|(name, _)| name.to_owned());
    warnings(server).into_iter().filter_map(setting).collect()
}

#[test]
fn different_settings_are_reported_on_every_node() {
    let database = Database::create();
    let a = place(&database).start();
    let other = place(&database)
        .set("KEYTURN_SERVER__PUBLIC_URL", "http://other.test")
        .set("KEYTURN_TOKEN__TTL_SECONDS", "300")
        .set("KEYTURN_TOKEN__TYP", "JWT");
    let b = other.serve(a.key.clone());
    let settings = ["server.public_url", "token.audience", "token.ttl_seconds", "token.typ"];
    for server in [&a, &b] {
        eventually("the warnings", || (named(server) == settings).then_some(()));
    }
    assert!(
        warnings(&a)
            .iter()
            .any(|line| line.contains("\"http://keyturn.test\" on this node, \"http://other.test\" on others"))
    );
    eventually("the log", || (logged(&a, "token.typ differs between nodes").len() == 1).then_some(()));

    drop(b.stop());
    eventually("no warnings", || named(&a).is_empty().then_some(()));
    let b = place(&database).serve(a.key.clone());
    // Both nodes have compared at least once more.
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!((named(&a), named(&b)), (vec![], vec![]));
}

#[test]
fn lease_and_redis_are_metrics_of_nodes_that_have_them() {
    let database = Database::create();
    let node = place(&database).start();
    assert_eq!((metric(&node, "keyturn_lease_live"), metric(&node, "keyturn_redis_up")), (Some(1.0), None));
    let alone = crate::support::Place::on_sqlite().start();
    assert_eq!((metric(&alone, "keyturn_lease_live"), metric(&alone, "keyturn_redis_up")), (None, None));
}
