//! Lists: filters, search, and pages without loss or repeat.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::check::wrong_field;
use crate::support::{Server, eventually, field};

fn ids(list: &Value) -> Vec<String> {
    field(&list["items"], "id").into_iter().map(str::to_owned).collect()
}

fn list(server: &Server, query: &str) -> Value {
    server.api("GET", &format!("keys?{query}")).send().expect(200)
}

#[test]
fn pages_over_many_keys_lose_and_repeat_none_while_others_are_made() {
    let server = Server::start();
    let made: BTreeSet<String> = (0..120).map(|n| server.make(&json!({ "name": format!("{n}") })).id).collect();
    for limit in [7, 50, 200] {
        let (mut seen, mut query) = (Vec::new(), format!("limit={limit}"));
        loop {
            let page = list(&server, &query);
            let found = ids(&page);
            assert!(found.len() <= limit && !found.is_empty());
            seen.extend(found);
            // A key made meanwhile is newer than all that is still to come.
            server.make(&json!({ "name": "meanwhile" }));
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("limit={limit}&cursor={cursor}"),
                None => break,
            }
        }
        let different: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(different.len(), seen.len(), "none twice");
        assert!(made.is_subset(&different) && different.contains(&server.key.id), "none lost");
    }
    let all = list(&server, "limit=200");
    let times: Vec<&str> = field(&all["items"], "created_at");
    let parsed: Vec<jiff::Timestamp> = times.iter().map(|time| time.parse().unwrap()).collect();
    assert!(parsed.is_sorted_by(|one, other| one >= other), "newest first");
    assert_eq!(list(&server, "")["items"].as_array().unwrap().len(), 50, "fifty unless asked otherwise");
}

#[test]
fn a_page_that_is_exactly_full_is_the_last() {
    let server = Server::start();
    server.make(&json!({}));
    assert_eq!(list(&server, "limit=2")["next_cursor"], json!(null));
    assert!(list(&server, "limit=1")["next_cursor"].is_string());
}

#[test]
fn a_status_selects_the_keys_that_are_in_it_now() {
    let server = Server::start();
    let make = || server.make(&json!({ "name": "one of four" })).id;
    let (active, disabled, revoked) = (make(), make(), make());
    let expired = server.make(&json!({ "name": "one of four", "expires_in_seconds": 1 })).id;
    server.change("POST", &format!("{disabled}/disable"), &json!({}));
    server.change("POST", &format!("{revoked}/revoke"), &json!({}));
    eventually("expiry", || {
        let key = server.api("GET", &format!("keys/{expired}")).send().expect(200);
        (key["status"] == "expired").then_some(())
    });
    for (status, id) in [("active", active), ("disabled", disabled), ("revoked", revoked), ("expired", expired)] {
        let found = list(&server, &format!("search=four&status={status}"));
        assert_eq!(ids(&found), [id], "{status}");
        assert_eq!(found["items"][0]["status"], status);
    }
    assert_eq!(ids(&list(&server, "search=four")).len(), 4, "all is the default");
    assert_eq!(ids(&list(&server, "search=four&status=all")).len(), 4);
}

#[test]
fn a_search_takes_nothing_for_a_wildcard() {
    let server = Server::start();
    for name in ["100%", "100 percent", "snake_case", "snakeXcase", "back\\slash", "Grün", "it's", "a+b"] {
        server.make(&json!({ "name": name }));
    }
    for (search, expected) in [
        ("%25", vec!["100%"]),
        ("0%25", vec!["100%"]),
        ("_", vec!["snake_case"]),
        ("e_c", vec!["snake_case"]),
        ("%5C", vec!["back\\slash"]),
        ("SNAKE", vec!["snake_case", "snakeXcase"]),
        ("gr%C3%BCn", vec!["Grün"]),
        ("%27s", vec!["it's"]),
        ("a%2Bb", vec!["a+b"]),
        ("100+p", vec!["100 percent"]),
        ("%25%25", vec![]),
        ("%27+OR+1%3D1+--", vec![]),
    ] {
        let found = list(&server, &format!("search={search}"));
        let names: BTreeSet<&str> = field(&found["items"], "name").into_iter().collect();
        assert_eq!(names, expected.into_iter().collect(), "{search}");
    }
}

#[test]
fn parameters_that_cannot_be_meant_are_named() {
    let server = Server::start();
    let cursor = {
        server.make(&json!({}));
        list(&server, "limit=1")["next_cursor"].as_str().unwrap().to_owned()
    };
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=-1".into(), "limit"),
        ("limit=9999".into(), "limit"),
        ("limit=201".into(), "limit"),
        ("limit=ten".into(), "limit"),
        ("limit=99999999999999999999".into(), "limit"),
        ("limit=1.0".into(), "limit"),
        ("limit=1&limit=2".into(), "limit"),
        ("status=gone".into(), "status"),
        ("status=Active".into(), "status"),
        (format!("search={}", "x".repeat(101)), "search"),
        ("cursor=x".into(), "cursor"),
        ("cursor=!!!".into(), "cursor"),
        ("cursor=AAAA".into(), "cursor"),
        (format!("cursor={cursor}A"), "cursor"),
        (format!("cursor={}", &cursor[1..]), "cursor"),
        ("search=%00".into(), "query"),
        ("search=%zz".into(), "query"),
        ("search=%ff".into(), "query"),
        ("colour=red".into(), "query"),
    ] {
        let answer = server.api("GET", &format!("keys?{query}")).send();
        assert_eq!(answer.status, 422, "{query}: {}", answer.text());
        let message = wrong_field(&answer, field);
        assert!(!message.is_empty());
    }
    list(&server, "limit=&search=&status=&cursor=&owner=");
}
