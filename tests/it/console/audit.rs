//! The audit log.

use serde_json::json;

use crate::support::console::text;
use crate::support::person::start;
use crate::support::{Person, Place, Server, Visitor};

const SCRIPT: &str = "\"><script>alert(1)</script>";

/// Starts a server and signs in its owner.
fn begin() -> (Server, Person, Visitor) {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    (server, owner, visitor)
}

/// Returns the text of each entry on a page.
fn rows(html: &str) -> Vec<String> {
    let Some((_, body)) = html.split_once("<tbody>") else { return Vec::new() };
    let body = body.split("</tbody>").next().unwrap();
    body.split("<tr>").skip(1).map(text).collect()
}

fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new("/audit?".to_owned()).extend_pairs(pairs).finish()
}

#[test]
fn entries_show_actor_action_target_and_changes() {
    let (server, owner, visitor) = begin();
    let ada = owner.add(&server, "developer");
    let key = ada.make(&json!({ "name": "billing" }));
    let id = key["id"].as_str().unwrap();
    server.change("PATCH", id, &json!({ "name": "invoices", "allowed_cidrs": ["10.0.0.0/8"] }));
    let html = visitor.page("/audit");
    let rows = rows(&html);
    assert!(
        rows[0].contains("first key") && rows[0].contains("updated key") && rows[0].contains("invoices"),
        "{}",
        rows[0]
    );
    for part in [
        "Name: billing → invoices",
        "Allowed networks: any network → 10.0.0.0/8",
        "updated key Restricted",
        "Earlier tokens: valid → invalidated",
        "127.0.0.1",
    ] {
        assert!(rows[0].contains(part), "{part} in {}", rows[0]);
    }
    assert!(!rows[0].split("Raw entry").next().unwrap().contains("version"), "{}", rows[0]);
    assert!(rows[1].contains(&format!("{}{}", ada.email, ada.id)) || rows[1].contains(&ada.email), "{}", rows[1]);
    assert!(rows[1].contains("created key") && rows[1].contains("billing") && rows[1].contains("Scopes: read:*"));
    assert!(rows[1].contains(&format!("Owner: {}", ada.email)), "{}", rows[1]);
    assert!(rows.last().unwrap().contains("Keyturn (system) created organization"), "{}", rows.last().unwrap());
    for link in [
        format!("href=\"/console/keys/{id}\""),
        format!("href=\"/console/keys/{}\"", server.key.id),
        format!("href=\"/console/members/{}\"", ada.id),
    ] {
        assert!(html.contains(&link), "{link}");
    }
    assert!(text(&html).contains("keyturn audit verify"));
}

#[test]
fn only_admins_read_the_log() {
    let (server, owner, _) = begin();
    for (role, status) in [("viewer", 403), ("developer", 403), ("admin", 200)] {
        let person = owner.add(&server, role);
        let visitor = Visitor::of(&server, &person);
        assert_eq!(visitor.get("/audit").status, status, "{role}");
        assert_eq!(visitor.page("/account").contains("/console/audit\""), status == 200, "{role}");
        assert_eq!(visitor.page(&format!("/members/{}", person.id)).contains("trail-heading"), status == 200, "{role}");
    }
}

#[test]
fn filters_accept_emails_and_ids() {
    let (server, owner, visitor) = begin();
    let ada = owner.add(&server, "developer");
    let key = ada.make(&json!({ "name": "billing" }));
    let id = key["id"].as_str().unwrap();
    server.change("POST", &format!("{id}/disable"), &json!({}));
    let shown = |pairs: &[(&str, &str)]| rows(&visitor.page(&query(pairs)));
    for (pairs, expected) in [
        (&[("action", "key.create")][..], vec!["created key"]),
        (&[("actor", ada.email.as_str()), ("action", "key.create")], vec!["created key"]),
        (&[("actor", &ada.email.to_uppercase()), ("action", "key.create")], vec!["created key"]),
        (&[("actor", &ada.id), ("action", "key.create")], vec!["created key"]),
        (&[("actor", &format!("member:{}", ada.id)), ("action", "key.create")], vec!["created key"]),
        (&[("actor", &server.key.id)], vec!["disabled key"]),
        (&[("subject", id)], vec!["disabled key", "created key"]),
        (&[("subject", &ada.email)], vec!["signed in", "added member"]),
        (&[("actor", "keyturn")], vec!["created organization"]),
        (&[("from", "2020-01-01"), ("until", "2020-01-02")], vec![]),
        (&[("from", "2020-01-01"), ("until", "2999-01-02"), ("action", "key.disable")], vec!["disabled key"]),
        (&[("action", "something.else")], vec![]),
    ] {
        let found = shown(pairs);
        assert_eq!(found.len(), expected.len(), "{pairs:?}: {found:?}");
        for (row, part) in found.iter().zip(expected) {
            assert!(row.contains(part), "{pairs:?}: {row}");
        }
    }
    let html = visitor.page(&query(&[("action", "key.create"), ("actor", &ada.email), ("from", "2020-01-01")]));
    assert!(html.contains("<option value=\"key.create\" selected>"), "{html}");
    assert!(html.contains(&format!("value=\"{}\"", ada.email)) && html.contains("value=\"2020-01-01\""));
    let says = visitor.read(&query(&[("until", "2001-01-01")]));
    assert!(says.contains("No entries match these filters.") && says.contains("Clear filters"), "{says}");
}

#[test]
fn filters_find_widened_keys_by_field_and_name() {
    let (server, _owner, visitor) = begin();
    let key = server.make(&json!({ "name": "orders-worker", "allowed_cidrs": ["127.0.0.0/8"] }));
    let other = server.make(&json!({ "name": "other", "scopes": crate::support::server::scope_list("read:a") }));
    server.change("PATCH", &key.id, &json!({ "allowed_cidrs": [] }));
    server.change("PATCH", &key.id, &json!({ "allowed_cidrs": ["10.0.0.0/8"] }));
    server.change("PATCH", &other.id, &json!({ "scopes": crate::support::server::scope_list("read:a read:b") }));
    server.change("PATCH", &other.id, &json!({ "name": "renamed" }));
    let shown = |pairs: &[(&str, &str)]| rows(&visitor.page(&query(pairs)));
    let widened = "updated key Widened";
    for (pairs, parts) in [
        (&[("direction", "widened")][..], &[widened, widened][..]),
        (&[("direction", "widened"), ("field", "allowed_cidrs")], &["127.0.0.0/8 → any network"]),
        (&[("direction", "restricted")], &["updated key Restricted"]),
        (&[("field", "name")], &["other → renamed"]),
        (&[("subject", "orders-worker"), ("action", "key.edit")], &["Restricted", "Widened"]),
        (&[("subject", "ORDERS-WORKER"), ("direction", "widened")], &[widened]),
        (&[("subject", "no such key")], &[]),
    ] {
        let found = shown(pairs);
        assert_eq!(found.len(), parts.len(), "{pairs:?}: {found:?}");
        assert!(found.iter().zip(parts).all(|(row, part)| row.contains(part)), "{pairs:?}: {found:?}");
    }
    for (name, text) in [("direction", "sideways"), ("field", "a'b")] {
        assert_eq!(visitor.get(&query(&[(name, text)])).status, 422, "{name}");
    }
    let html = visitor.page(&query(&[("direction", "widened")]));
    assert!(html.contains(">Last 7 days</a>") && html.contains("direction=widened&#38;from="), "{html}");
    let exported = server.api("GET", "audit?format=ndjson&direction=widened&field=allowed_cidrs").send();
    assert_eq!(exported.text().matches("\"action\":\"key.edit\"").count(), 1, "{}", exported.text());
    crate::support::check::wrong_field(&server.api("GET", "audit?direction=sideways").send(), "direction");
    crate::support::check::wrong_field(&server.api("GET", "audit?field=A").send(), "field");
}

#[test]
fn invalid_filters_are_reported_at_the_field() {
    let (_server, _owner, visitor) = begin();
    for (pairs, field) in [
        (&[("from", "yesterday")][..], "from"),
        (&[("from", "2030-02-30")], "from"),
        (&[("until", "2030-01-01T00:00:00Z")], "until"),
        (&[("from", "-0001-01-01")], "from"),
        (&[("from", "1960-01-01")], "from"),
        (&[("from", "2030-01-02"), ("until", "2030-01-01")], "until"),
        (&[("actor", "nobody@example.org")], "actor"),
        (&[("subject", "nobody@example.org")], "subject"),
        (&[("actor", "a\u{1}b")], "actor"),
        (&[("subject", &"x".repeat(201))], "subject"),
        (&[("action", &"x".repeat(201))], "action"),
    ] {
        let answer = visitor.get(&query(pairs));
        assert_eq!(answer.status, 422, "{pairs:?}");
        assert!(answer.text().contains(&format!("id=\"{field}-error\"")), "{pairs:?}: {}", answer.text());
    }
    for cursor in ["x", "", "YXVkaXQuMS4", "a.b.c", "%00", "%ff"] {
        let status = visitor.get(&format!("/audit?cursor={cursor}")).status;
        assert!([200, 422].contains(&status), "{cursor}: {status}");
    }
    assert_eq!(visitor.get("/audit?cursor=x").status, 422);
    let html = visitor
        .get(&query(&[
            ("action", SCRIPT),
            ("actor", SCRIPT),
            ("subject", SCRIPT),
            ("from", SCRIPT),
            ("cursor", SCRIPT),
        ]))
        .text();
    assert!(!html.contains("<script>alert") && html.contains("alert(1)"), "{html}");
}

#[test]
fn pages_have_fifty_entries() {
    let (server, _owner, visitor) = begin();
    let names: Vec<String> = (0..60).map(|number| format!("key number {number} of sixty")).collect();
    for name in &names {
        server.make(&json!({ "name": name }));
    }
    let mut page = "/audit?action=key.create".to_owned();
    let mut found = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let html = visitor.page(&page);
        let shown = rows(&html);
        sizes.push(shown.len());
        found.extend(shown);
        let Some((before, _)) = html.split_once("rel=\"next\"") else { break };
        let link = before.rsplit("href=\"").next().unwrap().split('"').next().unwrap();
        assert!(link.contains("action=key.create"), "{link}");
        page = link.strip_prefix("/console").unwrap().replace("&#38;", "&");
    }
    assert_eq!(sizes, [50, 10]);
    for (row, name) in found.iter().zip(names.iter().rev()) {
        assert!(row.contains(name.as_str()), "{row}");
    }
    assert!(visitor.page(&page).contains("Newest"));
}

#[test]
fn values_are_escaped_and_pages_stay_small() {
    let (server, owner, visitor) = begin();
    let long = format!("{SCRIPT}{}", "ö".repeat(900));
    for _ in 0..50 {
        server.make(&json!({ "name": SCRIPT, "description": long }));
    }
    let made = owner.make(&json!({ "name": SCRIPT }));
    let removed = owner.add(&server, "developer");
    owner.api("DELETE", &format!("members/{}", removed.id)).send().expect(200);
    let html = visitor.page("/audit");
    assert!(!html.contains("<script>alert") && text(&html).contains(SCRIPT), "{html}");
    assert!(text(&html).contains("Too long to show. Export the log to see it."));
    assert!(html.len() < 150_000, "{}", html.len());
    let rows = rows(&html);
    assert!(
        rows[0].contains("removed member") && rows[0].contains(&removed.email),
        "what they were called: {}",
        rows[0]
    );
    assert!(!html.contains(&format!("/members/{}\"", removed.id)), "they have no page any more");
    assert!(made["id"].is_string());
}

#[test]
fn the_export_applies_the_filters() {
    let place = Place::new().set("KEYTURN_SERVER__PUBLIC_URL", "http://id.example/keyturn");
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let visitor = Visitor::sign_in(&server, &founded.email, &founded.password);
    server.make(&json!({ "name": "one" }));
    let html = visitor.page(&query(&[
        ("action", "key.create"),
        ("actor", &server.key.id),
        ("from", "2020-01-01"),
        ("until", "2999-12-31"),
    ]));
    let link = html.split("href=\"").find(|part| part.contains("format=ndjson")).unwrap().split('"').next().unwrap();
    let link = link.replace("&#38;", "&");
    let path = link.strip_prefix("/keyturn").expect("the public URL's path");
    let cookies: Vec<String> = visitor.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let answer = server.get(path).header("Cookie", cookies.join("; ")).send();
    let lines = answer.text();
    assert_eq!((answer.status, lines.lines().count()), (200, 2), "{lines}");
    assert!(lines.contains("\"action\":\"key.create\"") && lines.contains("\"end\""), "{lines}");
}

#[test]
fn other_organizations_are_hidden() {
    let place = Place::new();
    let acme = place.init(&["--organization", "acme"]);
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let made = server.make(&json!({ "name": "of default" }));
    let visitor = Visitor::sign_in_to(&server, "acme", &acme.email, &acme.password);
    let says = visitor.read("/audit");
    assert!(!says.contains("of default"), "{says}");
    assert!(rows(&visitor.page(&query(&[("subject", &made.id)]))).is_empty());
}

#[test]
fn member_pages_show_their_trail() {
    let (server, owner, visitor) = begin();
    let ada = owner.add(&server, "developer");
    owner.api("PATCH", &format!("members/{}", ada.id)).json(&json!({ "role": "viewer" })).send().expect(200);
    let html = visitor.page(&format!("/members/{}", ada.id));
    let trail = html.split("id=\"trail-heading\"").nth(1).unwrap();
    let rows = rows(trail);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].contains("updated member") && rows[0].contains("Role: developer → viewer"), "{rows:?}");
    assert!(rows[2].contains("added member") && rows[2].contains(&owner.email), "{rows:?}");
    assert!(trail.contains(&format!("/console/audit?subject={}", ada.id)));
    for _ in 0..21 {
        ada.again(&server);
    }
    let says = visitor.read(&format!("/members/{}", ada.id));
    assert!(says.contains("View all in audit log"), "{says}");
}
