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
fn pages_are_complete_while_keys_are_created() {
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
    for (empty, field) in [
        ("limit=", "limit"),
        ("search=", "search"),
        ("status=", "status"),
        ("cursor=", "cursor"),
        ("owner=", "owner"),
        ("limit=1&search", "search"),
        ("colour=", "query"),
    ] {
        wrong_field(&server.api("GET", &format!("keys?{empty}")).send(), field);
    }
}

/// The cursor and the ids of a page in some order.
fn page(server: &Server, query: &str) -> (Option<String>, Vec<String>) {
    let page = list(server, query);
    (page["next_cursor"].as_str().map(str::to_owned), ids(&page))
}

#[test]
fn pages_keep_the_requested_order() {
    let server = Server::start();
    let names = ["b", "A", "a", "Ä", "a", "", "b%", "B", "z", "_"];
    for (n, name) in names.iter().enumerate() {
        let key = server.make(&json!({ "name": name }));
        if n % 3 > 0 {
            server.change("PATCH", &key.id, &json!({ "expires_in_seconds": 1000 + 100 * (n % 3) }));
        }
    }
    // The key that asks is used by that, and must not change its place while pages are read.
    eventually("the use of the first key", || {
        let first = server.api("GET", &format!("keys/{}", server.key.id)).send().expect(200);
        first["last_used_at"].is_string().then_some(())
    });
    let text = |key: &Value, name: &str| key[name].as_str().map(str::to_owned);
    // A time as it is written has more digits or fewer.
    let time = |key: &Value, name: &str| {
        let time: jiff::Timestamp = key[name].as_str()?.parse().unwrap();
        Some(format!("{:020}", time.as_millisecond()))
    };
    for (sort, value) in [
        ("created_at", Box::new(|key: &Value| time(key, "created_at")) as Box<dyn Fn(&Value) -> Option<String>>),
        ("name", Box::new(|key| text(key, "name").map(|name| name.to_lowercase()))),
        // Without an expiry is later than any.
        ("expires_at", Box::new(|key| time(key, "expires_at").or(Some("~".into())))),
        ("last_used_at", Box::new(|key| time(key, "last_used_at"))),
    ] {
        let mut orders = Vec::new();
        for sort in [sort.to_owned(), format!("-{sort}")] {
            let whole = list(&server, &format!("limit=200&sort={sort}"));
            let values: Vec<_> = whole["items"].as_array().unwrap().iter().map(&value).collect();
            assert!(
                values.is_sorted_by(|a, b| if sort.starts_with('-') { a >= b } else { a <= b }),
                "{sort}: {values:?}"
            );
            let (mut paged, mut query) = (Vec::new(), format!("limit=3&sort={sort}"));
            loop {
                let (cursor, found) = page(&server, &query);
                paged.extend(found);
                let Some(cursor) = cursor else { break };
                query = format!("limit=3&sort={sort}&cursor={cursor}");
            }
            assert_eq!(paged, ids(&whole), "{sort}: none lost and none twice");
            orders.push(paged);
        }
        orders[1].reverse();
        assert_eq!(orders[0], orders[1], "{sort} is the other way round");
    }
    assert_eq!(ids(&list(&server, "sort=-created_at")), ids(&list(&server, "")), "newest first unless asked otherwise");
}

#[test]
fn a_cursor_holds_for_the_order_that_gave_it() {
    let server = Server::start();
    server.make(&json!({ "name": "x y" }));
    let orders =
        ["created_at", "-created_at", "name", "-name", "expires_at", "-expires_at", "last_used_at", "-last_used_at"];
    for given in orders {
        let (cursor, _) = page(&server, &format!("limit=1&sort={given}"));
        let cursor = cursor.unwrap();
        for asked in orders {
            let answer = server.api("GET", &format!("keys?sort={asked}&cursor={cursor}")).send();
            if asked == given {
                assert_eq!(answer.expect(200)["items"].as_array().unwrap().len(), 1);
            } else {
                wrong_field(&answer, "cursor");
            }
        }
    }
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let id = &server.key.id;
    for (sort, cursor) in [
        ("created_at", format!("created_at {id} x")),
        ("created_at", format!("created_at {id} 99999999999999999999")),
        ("created_at", format!("created_at {id}")),
        ("created_at", "created_at short 1".into()),
        ("created_at", format!("created_at  {id} 1")),
        ("name", format!("name {id} a\0b")),
        ("name", format!("name {id}")),
        ("name", "name".into()),
    ] {
        let answer = server.api("GET", &format!("keys?sort={sort}&cursor={}", encode(&cursor))).send();
        wrong_field(&answer, "cursor");
    }
    // One that was made up but could be ours shows nothing beyond the caller's own organization.
    let far = encode(&format!("created_at {id} {}", i64::MIN));
    assert_eq!(page(&server, &format!("sort=created_at&cursor={far}")).1.len(), 2);
    for sort in
        ["", "id", "Name", "name,created_at", "--name", "-", "name desc", "name%00", "secret_phc", "1", "name;--"]
    {
        let answer = server.api("GET", &format!("keys?sort={}", sort.replace(' ', "+"))).send();
        assert!(sort.is_empty() || answer.status == 422, "{sort}: {}", answer.text());
        if !sort.is_empty() {
            wrong_field(&answer, if sort.contains("%00") { "query" } else { "sort" });
        }
    }
    wrong_field(&server.api("GET", "keys?sort=name&sort=name").send(), "sort");
}
