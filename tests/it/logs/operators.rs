//! Lines for operators are logged once.

use serde_json::{Value, json};

use super::place;
use crate::support::{Server, eventually};

/// Returns all log lines with a message.
fn found(server: &Server, message: &str) -> Vec<Value> {
    let log = server.stderr();
    let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    let lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == message).collect()
}

#[test]
fn start_logs_the_master_key_id() {
    let server = place().start();
    let lines = found(&server, "all secrets are encrypted under the current master key");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0]["retired"].as_u64(), lines[0]["level"].as_str()), (Some(0), Some("INFO")), "{lines:?}");
    let before = lines[0]["master_key"].as_str().unwrap().to_owned();
    assert_eq!(before.len(), 12);

    let key = server.key.clone();
    let place = server.stop();
    assert_eq!(place.run(&["master-key", "rotate"]).code, 0);
    let server = place.serve(key);
    let lines = found(&server, "all secrets are encrypted under the current master key");
    assert_eq!(lines.len(), 2);
    assert_ne!(lines[1]["master_key"], json!(before), "the new one");
}

#[test]
fn libraries_log_nothing_at_start_and_stop() {
    let server = place().start();
    server.token(&server.key.clone(), &[]);
    let place = server.stop();
    let log = std::fs::read_to_string(place.path("stderr.log")).unwrap();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["target"].as_str().unwrap().starts_with("keyturn"), "{line}");
    }
}

#[test]
fn unready_node_logs_it_once() {
    let server = place().set("KEYTURN_SERVER__DRAIN_SECONDS", 4).start();
    server.terminate();
    eventually("the end of readiness", || (server.get("/readyz").send().status == 503).then_some(()));
    for _ in 0..20 {
        server.get("/readyz").send().expect(503);
    }
    let lines = eventually("the line", || Some(found(&server, "not ready")).filter(|lines| !lines.is_empty()));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0]["reason"].as_str(), lines[0]["level"].as_str()), (Some("stopping"), Some("WARN")));
    assert_eq!(found(&server, "request failed"), [] as [Value; 0], "probes have no line of their own");
    assert_eq!(found(&server, "ready again"), [] as [Value; 0]);
}
