//! `docs/reference/metrics.md` lists every metric.

use std::collections::BTreeSet;

use serde_json::json;

use crate::docs::{first_columns, read, sources};
use crate::nodes::place_at;
use crate::support::Server;
use crate::support::postgres::Database;

/// A metric without labels and without the suffixes of samples.
fn family(name: &str) -> &str {
    let name = name.split('{').next().unwrap_or_default();
    ["_total", "_info", "_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

fn listed() -> BTreeSet<String> {
    first_columns(&read("docs/reference/metrics.md")).iter().map(|name| family(name).to_owned()).collect()
}

/// The families that a server exports now.
fn exported(server: &Server) -> BTreeSet<String> {
    server.token(&server.key.clone(), &[]);
    server.make(&json!({}));
    let text = server.get("/metrics").send().text();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    families.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn every_exported_metric_is_listed() {
    let database = Database::create();
    for server in [Server::start(), place_at(&database.url()).start()] {
        let exported = exported(&server);
        assert!(exported.len() > 15, "{exported:?}");
        let missing: Vec<_> = exported.difference(&listed()).cloned().collect();
        assert!(missing.is_empty(), "not in docs/reference/metrics.md: {missing:?}");
    }
}

#[test]
fn every_registered_metric_is_listed() {
    let mut registered = BTreeSet::new();
    for text in sources("src/telemetry") {
        for (_, rest) in text.match_indices("registry.register(").map(|(at, found)| text.split_at(at + found.len())) {
            if let Some(rest) = rest.trim_start().strip_prefix('"') {
                registered.insert(format!("keyturn_{}", rest.split('"').next().unwrap()));
            }
        }
    }
    for known in ["keyturn_lease_live", "keyturn_redis_up", "keyturn_webhook_attempts"] {
        assert!(registered.contains(known), "{known} is found in the source");
    }
    let missing: Vec<_> = registered.difference(&listed()).cloned().collect();
    assert!(missing.is_empty(), "not in docs/reference/metrics.md: {missing:?}");
}

#[test]
fn every_listed_metric_exists() {
    let source = sources("src/telemetry").concat();
    for name in listed() {
        let short = name.strip_prefix("keyturn_").unwrap_or(&name);
        assert!(source.contains(&format!("\"{short}\"")), "{name} is not in src/telemetry");
    }
}
