//! What happens with a key is counted, and survives an orderly stop.

use serde_json::json;

use crate::support::database::column;
use crate::support::eventually;
use crate::support::server::{Place, Server};

#[test]
fn uses_and_denials_are_counted_by_reason_and_written_at_stop() {
    let server = Place::on_sqlite().start();
    let key = server.make(&json!({}));
    let token = server.token(&key, &[]);
    for _ in 0..3 {
        assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    }
    assert_eq!(server.get("/verify?keyturn_require=write:a").bearer(&token).send().status, 403);
    assert_eq!(server.exchange(&key.text, &[("scope", "write:a")]).status, 400);
    assert_eq!(server.exchange(&key.text, &[("resource", "https://other.example")]).status, 400);
    server.change("POST", &format!("{}/disable", key.id), &json!({}));
    assert_eq!(server.exchange(&key.text, &[]).status, 403);
    let id = key.id.clone();
    let place = server.stop();
    let query = format!(
        "SELECT outcome || ' ' || SUM(count) FROM usage_hours WHERE key_id = '{id}' GROUP BY outcome ORDER BY outcome"
    );
    let expected = ["denied_audience 1", "denied_disabled 1", "denied_scope 2", "exchanged 1", "verified 3"];
    assert_eq!(column(&place.database(), &query), expected);
}

#[test]
fn the_last_use_is_shown_within_seconds() {
    let server = Server::start();
    let key = server.make(&json!({}));
    server.token(&key, &[]);
    let shown = eventually("the last use", || {
        let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
        (!shown["last_used_at"].is_null()).then_some(shown)
    });
    assert_eq!(shown["last_used_ip"], "127.0.0.1");
    assert_eq!(shown["version"], 1, "a use is no change");
}
