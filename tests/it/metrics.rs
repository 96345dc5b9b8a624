//! `/metrics`: names and conventions, and values that are not counted per request.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::nodes::place_at;
use crate::support::person::{start, try_sign_in};
use crate::support::postgres::Database;
use crate::support::{Place, Server, eventually};

/// Returns a sample's value by its name with labels.
fn value(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

fn metrics(server: &Server) -> String {
    server.get("/metrics").send().text()
}

fn is_snake_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The conventions of Prometheus (naming) and of OpenMetrics (families).
fn check_conventions(text: &str) {
    const SUFFIXES: [&str; 6] = ["_total", "_bucket", "_count", "_sum", "_info", ""];
    let mut types = BTreeMap::new();
    let mut helps = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("# ") && *line != "# EOF") {
        let mut words = line.splitn(4, ' ').skip(1);
        let (keyword, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
        match keyword {
            "HELP" => {
                assert!(helps.insert(name) && rest.starts_with(|c: char| c.is_ascii_uppercase() || c == '1'), "{line}");
            }
            "TYPE" => assert!(types.insert(name, rest).is_none(), "{line}"),
            _ => panic!("{line}"),
        }
        assert!(is_snake_case(name) && (name.starts_with("keyturn_") || name.starts_with("process_")), "{line}");
        for unit in ["milli", "micro", "minutes", "hours", "_ms", "_kb", "_mib", "percent"] {
            assert!(!name.contains(unit), "{line}: base units are seconds and bytes");
        }
        assert!(!name.ends_with("_total") && !name.ends_with("_count"), "{line}: suffixes are added to samples");
    }
    assert_eq!(types.keys().copied().collect::<BTreeSet<_>>(), helps);
    let mut samples = 0;
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = sample.split_once(['{', ' ']).unwrap();
        let family = SUFFIXES.iter().find_map(|suffix| types.get_key_value(name.strip_suffix(suffix)?));
        let (_, kind) = family.unwrap_or_else(|| panic!("no family: {sample}"));
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{sample}");
        if sample.contains('{') {
            for pair in rest.split('}').next().unwrap().split("\",") {
                assert!(is_snake_case(pair.split('=').next().unwrap()), "{sample}");
            }
        }
        samples += 1;
    }
    assert!(samples > 30, "{samples}");
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
}

#[test]
fn names_follow_the_conventions() {
    let server = Server::start();
    server.token(&server.key.clone(), &[]);
    check_conventions(&metrics(&server));
    let database = Database::create();
    let server = place_at(&database.url()).start();
    server.token(&server.key.clone(), &[]);
    check_conventions(&metrics(&server));
}

#[test]
fn process_is_described() {
    let server = Server::start();
    let held: Vec<_> = (0..20).map(|_| std::net::TcpStream::connect(server.address).unwrap()).collect();
    eventually("the connections", || (value(&metrics(&server), "process_open_fds")? > 25.0).then_some(()));
    drop(held);
    let text = metrics(&server);
    let of = |name: &str| value(&text, name).unwrap_or_else(|| panic!("{name}: {text}"));
    assert!((5e6..1e9).contains(&of("process_resident_memory_bytes")));
    assert!(of("process_virtual_memory_bytes") > of("process_resident_memory_bytes"));
    assert!(of("process_max_fds") >= of("process_open_fds") && of("process_threads") >= 2.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((-2.0..600.0).contains(&(now - of("process_start_time_seconds"))));
    assert!((0.0..600.0).contains(&of("process_cpu_seconds_total")));
    for _ in 0..200 {
        server.get("/openapi.json").send();
    }
    let later = value(&metrics(&server), "process_cpu_seconds_total").unwrap();
    assert!(later > of("process_cpu_seconds_total"), "{later}");
}

#[test]
fn sign_ins_are_counted_by_outcome() {
    let (server, owner) = start();
    try_sign_in(&server, "default", &owner.email, "a wrong password").expect(401);
    try_sign_in(&server, "nobody", &owner.email, "a wrong password").expect(401);
    try_sign_in(&server, "default", "no login", "a wrong password").expect(422);
    let text = metrics(&server);
    for (outcome, count) in [("signed_in", 1.0), ("refused", 2.0), ("invalid", 1.0)] {
        let name = format!("keyturn_sign_ins_total{{outcome=\"{outcome}\"}}");
        assert_eq!(value(&text, &name), Some(count), "{outcome}: {text}");
    }
}

#[test]
fn keys_that_expire_soon_are_counted() {
    let server = Place::new().start();
    let expiring = |days: i64| server.make(&json!({ "expires_in_seconds": days * 86_400 - 600 }));
    let (_, week, _, _) = (expiring(1), expiring(7), expiring(30), expiring(31));
    let revoked = expiring(1);
    server.change("POST", &format!("{}/revoke", revoked.id), &json!({}));
    let first = server.key.clone();
    // Counted at start and every five minutes.
    let server = server.stop().serve(first);
    let within = |text: &str, period: &str| value(text, &format!("keyturn_keys_expiring{{within=\"{period}\"}}"));
    let text = eventually("the count", || Some(metrics(&server)).filter(|text| within(text, "1d").is_some()));
    assert_eq!([within(&text, "1d"), within(&text, "7d"), within(&text, "30d")], [Some(1.0), Some(2.0), Some(3.0)]);
    server.change("POST", &format!("{}/disable", week.id), &json!({}));
    let first = server.key.clone();
    let server = server.stop().serve(first);
    eventually("the count without a disabled key", || (within(&metrics(&server), "7d")? == 1.0).then_some(()));
}

#[test]
fn pool_of_connections_is_described_on_postgresql() {
    let database = Database::create();
    let server = place_at(&database.url()).set("KEYTURN_STORE__CONNECTIONS", 3).start();
    for _ in 0..5 {
        server.make_with("read:*");
    }
    let text = metrics(&server);
    let of = |name: &str| value(&text, name).unwrap_or_else(|| panic!("{name}: {text}"));
    assert_eq!(of("keyturn_database_connections_max"), 3.0);
    let open = of("keyturn_database_connections{state=\"idle\"}") + of("keyturn_database_connections{state=\"used\"}");
    assert!((1.0..=3.0).contains(&open), "{text}");
    assert!(of("keyturn_database_connection_waits_total") >= 5.0);
    assert!((0.0..60.0).contains(&of("keyturn_database_connection_wait_seconds_total")));
    assert!(!metrics(&Place::on_sqlite().start()).contains("keyturn_database_"), "SQLite has no such pool");
}
