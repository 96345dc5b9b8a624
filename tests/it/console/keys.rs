//! `/console/keys` without JavaScript.

use serde_json::{Value, json};

use super::visiting;
use crate::support::console::{filled, text};
use crate::support::{Person, Server, Visitor, eventually};

const HOSTILE: &str = "\"><script>alert(1)</script>";

/// Returns the secret on a page and the key's ID.
#[track_caller]
fn secret(html: &str) -> (String, String) {
    let (_, rest) = html.split_once("<code id=\"secret\">").unwrap_or_else(|| panic!("no secret: {}", text(html)));
    let key = rest.split('<').next().unwrap().to_owned();
    let id = key.split('_').nth(1).unwrap().to_owned();
    (key, id)
}

#[track_caller]
fn create(visitor: &Visitor, fields: &[(&str, &str)]) -> (String, String) {
    let answer = visitor.submit("/keys/new", "/keys/new", fields);
    assert_eq!(answer.status, 200, "{}", text(&answer.text()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    secret(&answer.text())
}

fn key(person: &Person, id: &str) -> Value {
    person.api("GET", &format!("keys/{id}")).send().expect(200)
}

#[track_caller]
fn exchanges(server: &Server, key: &str) -> bool {
    let answer =
        server.request("POST", "/oauth/token").form(&[("grant_type", "client_credentials"), ("client_secret", key)]);
    match answer.send().status {
        200 => true,
        400 | 401 | 403 => false,
        other => panic!("{other}"),
    }
}

const SCOPE: [(&str, &str); 2] = [("scope-0-action", "read"), ("scope-0-resource", "projects/*")];

#[test]
fn created_key_is_shown_once_and_works() {
    let (server, owner, visitor) = visiting();
    let fields =
        [&[("name", "Nightly export"), ("allowed_cidrs", "127.0.0.1\n10.0.0.0/8"), ("expiry", "30")] as &[_], &SCOPE]
            .concat();
    let (text, id) = create(&visitor, &fields);
    assert!(exchanges(&server, &text));
    let made = key(&owner, &id);
    assert_eq!(made["name"], "Nightly export");
    assert_eq!(made["scopes"], json!([{ "action": "read", "resource": "projects/*" }]));
    assert_eq!(made["allowed_cidrs"], json!(["127.0.0.1/32", "10.0.0.0/8"]));
    assert_eq!(made["owner"], owner.id);
    for page in ["/keys", &format!("/keys/{id}")] {
        let html = visitor.page(page);
        assert!(html.contains("Nightly export") && !html.contains(&text), "{page}");
    }
}

#[test]
fn repeated_form_creates_no_second_key() {
    let (_server, owner, visitor) = visiting();
    let page = visitor.page("/keys/new");
    let body = filled(&page, &visitor.link("/keys/new"), &[("name", "only one")]);
    let first = visitor.post("/keys/new").form_text(body.clone()).send();
    let (shown, id) = secret(&first.text());
    let again = visitor.post("/keys/new").form_text(body).send();
    assert_eq!(again.status, 200);
    assert!(!again.text().contains(&shown) && again.text().contains(&format!("/keys/{id}")), "{}", text(&again.text()));
    let all = owner.api("GET", "keys?search=only").send().expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

#[test]
fn errors_keep_the_typed_values() {
    let (_server, owner, visitor) = visiting();
    let before = owner.api("GET", "keys").send().expect(200)["items"].as_array().unwrap().len();
    let long = "x".repeat(101);
    for (fields, said) in [
        (vec![("name", long.as_str())], "Must be 100 characters or fewer."),
        (vec![("allowed_cidrs", "10.0.0.0/8\n10.0.0.1/8")], "Line 2: 10.0.0.1/8 has host bits set."),
        (vec![("scope-0-action", "read")], "Scope 1: Enter a resource pattern"),
        (vec![("scope-0-resource", "a//b")], "Scope 1: Choose an action."),
        (vec![("scope-1-action", "fly"), ("scope-1-resource", "a")], "Scope 2: Unknown action “fly”."),
        (vec![("expiry", "date"), ("expires_at", "2001-01-01T00:00")], "Must be in the future."),
        (vec![("expiry", "date"), ("expires_at", "soon")], "Enter a date and time"),
        (vec![("expiry", "-5")], "Choose an expiry."),
        (vec![("owner", "nobody")], "No such member"),
        (vec![("description", "a\u{7}b")], "Control characters"),
    ] {
        let mut fields = fields;
        if fields.iter().all(|(name, _)| *name != "name") {
            fields.push(("name", "typed before"));
        }
        let answer = visitor.submit("/keys/new", "/keys/new", &fields);
        let page = text(&answer.text());
        assert_eq!(answer.status, 422, "{said}: {page}");
        assert!(page.contains(said), "{said} in {page}");
        let name = fields.iter().find(|(name, _)| *name == "name").unwrap().1;
        assert!(answer.text().contains(&format!("value=\"{name}\"")), "what was typed is still there");
    }
    let after = owner.api("GET", "keys?search=typed").send().expect(200)["items"].as_array().unwrap().len();
    assert_eq!((before, after), (1, 0), "nothing was made of what is wrong");
}

#[test]
fn scope_rows_work_without_javascript() {
    let (_server, _owner, visitor) = visiting();
    let fields = [("name", "rows"), ("scope-2-action", "read"), ("scope-2-resource", "a/b"), ("more", "yes")];
    let answer = visitor.submit("/keys/new", "/keys/new", &fields);
    let html = answer.text();
    assert_eq!(answer.status, 200);
    assert!(html.contains("scope-5-resource") && html.contains("value=\"a/b\"") && html.contains("value=\"rows\""));
    let fields =
        [("scope-0-action", "read"), ("scope-0-resource", "gone/x"), ("scope-1-resource", "kept/x"), ("remove", "0")];
    let html = visitor.submit("/keys/new", "/keys/new", &fields).text();
    assert!(!html.contains("gone/x") && html.contains("kept/x"));
}

#[test]
fn restrictions_are_reviewed_first() {
    let (server, owner, visitor) = visiting();
    let (text_of_key, id) = create(&visitor, &[&[("name", "wide")] as &[_], &SCOPE].concat());
    assert!(exchanges(&server, &text_of_key));
    let edit = format!("/keys/{id}/edit");
    let answer = visitor.submit(&edit, &edit, &[("allowed_cidrs", "10.0.0.0/8")]);
    assert_eq!(answer.status, 200);
    let review = text(&answer.text());
    assert!(review.contains("Restrict “wide”?") && review.contains("any network 10.0.0.0/8"), "{review}");
    assert!(exchanges(&server, &text_of_key), "nothing is changed yet");
    let body = filled(&answer.text(), &visitor.link(&edit), &[]);
    let done = visitor.post(&edit).form_text(body).send();
    assert_eq!(visitor.led_to(&done), format!("/keys/{id}?done=narrowed"));
    assert!(!exchanges(&server, &text_of_key));
    let page = visitor.done(&edit, &edit, &[("allowed_cidrs", ""), ("name", "wide again")]);
    assert!(page.contains("Key updated.") && page.contains("wide again"), "{page}");
    assert!(exchanges(&server, &text_of_key));
    assert_eq!(key(&owner, &id)["version"], 3);
}

#[test]
fn edit_conflicts_are_reported() {
    let (_server, owner, visitor) = visiting();
    let (_, id) = create(&visitor, &[("name", "shared")]);
    let edit = format!("/keys/{id}/edit");
    let page = visitor.page(&edit);
    owner.api("PATCH", &format!("keys/{id}")).json(&json!({ "name": "theirs" })).send().expect(200);
    let body = filled(&page, &visitor.link(&edit), &[("name", "mine")]);
    let answer = visitor.post(&edit).form_text(body).send();
    assert_eq!(answer.status, 412);
    assert!(text(&answer.text()).contains("omeone else changed"));
    assert_eq!(key(&owner, &id)["name"], "theirs");
}

#[test]
fn rotation_reports_use_of_the_previous_secret() {
    let (server, _owner, visitor) = visiting();
    let (old, id) = create(&visitor, &[&[("name", "turning")] as &[_], &SCOPE].concat());
    let rotate = format!("/keys/{id}/rotate");
    let answer = visitor.submit(&rotate, &rotate, &[("grace_seconds", "86400"), ("name", "turned")]);
    assert_eq!(answer.status, 200, "{}", text(&answer.text()));
    let (new, _) = secret(&answer.text());
    assert!(new != old && exchanges(&server, &new));
    let page = visitor.read(&format!("/keys/{id}"));
    assert!(page.contains("Rotation in progress") && page.contains("hasn’t been used since the rotation"), "{page}");
    assert!(exchanges(&server, &old), "the grace");
    eventually("the old secret's use is told", || {
        visitor.read(&format!("/keys/{id}")).contains("at least one client hasn’t switched yet").then_some(())
    });
    let again = visitor.submit(&rotate, &rotate, &[("grace_seconds", "3600")]);
    assert_eq!(again.status, 422);
    assert!(text(&again.text()).contains("the previous secret works until"));
    let (newest, _) = secret(&visitor.submit(&rotate, &rotate, &[("grace_seconds", "0")]).text());
    assert_eq!([&old, &new, &newest].map(|key| exchanges(&server, key)), [false, false, true]);
}

#[test]
fn disable_enable_and_revoke() {
    let (server, _owner, visitor) = visiting();
    let (text_of_key, id) = create(&visitor, &[&[("name", "short")] as &[_], &SCOPE].concat());
    for (change, said, works) in
        [("disable", "Key disabled", false), ("enable", "Key enabled", true), ("revoke", "Key revoked", false)]
    {
        let path = format!("/keys/{id}/{change}");
        let fields: &[(&str, &str)] = if change == "revoke" { &[("reason", HOSTILE)] } else { &[] };
        let page = visitor.done(&path, &path, fields);
        assert!(page.contains(said), "{change}: {page}");
        assert_eq!(exchanges(&server, &text_of_key), works, "{change}");
    }
    let html = visitor.page(&format!("/keys/{id}"));
    assert!(!html.contains("<script>alert") && text(&html).contains(HOSTILE), "the reason is text");
    assert!(!html.contains("/edit\""), "nothing can be done to it");
    assert!(!visitor.read("/keys").contains("short"), "active keys come first");
    assert!(visitor.read("/keys?status=revoked").contains("short"));
}

#[test]
fn list_is_searched_sorted_and_paged() {
    let (_server, owner, visitor) = visiting();
    for number in 0..30 {
        owner.make(&json!({ "name": format!("page {number:02}") }));
    }
    let first = visitor.page("/keys?sort=name&search=page");
    let names = |html: &str| (0..30).filter(|number| html.contains(&format!(">page {number:02}<"))).collect::<Vec<_>>();
    assert_eq!(names(&first), (0..25).collect::<Vec<_>>());
    let next = first.split("class=\"button\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let second = visitor.page(next.strip_prefix(&visitor.root).unwrap());
    assert_eq!(names(&second), (25..30).collect::<Vec<_>>());
    assert!(visitor.read("/keys?search=nothing+like+it").contains("No keys match these filters."));
    for odd in ["status=odd", "sort=odd", "cursor=odd", "owner=%22%3E%3Cscript%3E", "search=%00", "%ff", "a=b&a=b"] {
        assert_eq!(visitor.get(&format!("/keys?{odd}")).status, 200, "{odd}");
    }
}

#[test]
fn names_are_escaped() {
    let (_server, owner, visitor) = visiting();
    let made = owner.make(&json!({ "name": HOSTILE, "description": HOSTILE, "expires_in_seconds": 3600 }));
    let id = made["id"].as_str().unwrap();
    for page in ["", "/edit", "/rotate", "/disable", "/revoke", "/explain?ask=yes&address=127.0.0.1"] {
        let html = visitor.page(&format!("/keys/{id}{page}"));
        assert!(!html.contains("<script>alert"), "{page}");
        assert!(text(&html).contains(HOSTILE) || html.contains("&#34;&#62;&#60;script"), "{page}");
    }
    assert!(visitor.read("/keys").contains(HOSTILE));
}

#[test]
fn denials_are_explained() {
    let (_server, owner, visitor) = visiting();
    let made = owner.make(&json!({ "allowed_cidrs": ["10.0.0.0/8"] }));
    let explain = format!("/keys/{}/explain", made["id"].as_str().unwrap());
    let page = visitor.read(&format!("{explain}?ask=yes&address=192.0.2.1&action=read&resource=a/b"));
    assert!(page.contains("Denied.") && page.contains("192.0.2.1 is not in the allowed networks"), "{page}");
    let page = visitor.read(&format!("{explain}?ask=yes&address=10.1.2.3&action=read&resource=a/b"));
    assert!(page.contains("Allowed."), "{page}");
    let wrong = visitor.get(&format!("{explain}?ask=yes&address=nowhere&action=read"));
    assert_eq!(wrong.status, 422);
}

#[test]
fn incomplete_forms_change_nothing() {
    let (_server, owner, visitor) = visiting();
    let made = owner.make(&json!({ "name": "whole", "description": "d", "allowed_cidrs": ["10.0.0.0/8"] }));
    let id = made["id"].as_str().unwrap();
    for (page, fields) in [
        ("edit", &["name", "description", "allowed_cidrs", "expiry", "version"] as &[_]),
        ("rotate", &["name", "expiry", "grace_seconds", "version", "ticket"]),
        ("enable", &["version"]),
    ] {
        let path = format!("/keys/{id}/{page}");
        let whole = filled(&visitor.page(&path), &visitor.link(&path), &[("name", "other")]);
        for field in fields {
            let is_other = |pair: &&str| !pair.starts_with(&format!("{field}="));
            let without: Vec<&str> = whole.split('&').filter(is_other).collect();
            assert!(without.len() < whole.split('&').count(), "{field} is in the form of {page}");
            let answer = visitor.post(&path).form_text(without.join("&")).send();
            assert_eq!(answer.status, 400, "{page} without {field}: {}", text(&answer.text()));
        }
        let twice = visitor.post(&path).form_text(format!("{whole}&name=a&name=b")).send();
        assert_eq!(twice.status, 400, "{page}");
    }
    let now = key(&owner, id);
    assert_eq!((&now["version"], &now["allowed_cidrs"]), (&json!(1), &json!(["10.0.0.0/8"])));
    // Emptying the field in the form is intended, and confirmed in the message.
    let edit = format!("/keys/{id}/edit");
    let page = visitor.done(&edit, &edit, &[("allowed_cidrs", "")]);
    assert!(page.contains("it can now be used from any network."), "{page}");
}

#[test]
fn messages_match_the_status() {
    let (_server, owner, visitor) = visiting();
    let made = owner.make(&json!({}));
    let page = visitor.read(&format!("/keys/{}?done=revoked", made["id"].as_str().unwrap()));
    assert!(!page.contains("Key revoked"), "{page}");
}

#[test]
fn roles_limit_actions() {
    let (server, owner, _) = visiting();
    let (viewer, developer) = (owner.add(&server, "viewer"), owner.add(&server, "developer"));
    let theirs = owner.make(&json!({}))["id"].as_str().unwrap().to_owned();
    let looks = Visitor::of(&server, &viewer);
    assert!(!looks.page("/keys").contains("Create API key"));
    assert!(!looks.page(&format!("/keys/{theirs}")).contains("/revoke"));
    for path in ["/keys/new".to_owned(), format!("/keys/{theirs}/edit"), format!("/keys/{theirs}/revoke")] {
        assert_eq!(looks.get(&path).status, 403, "{path}");
        assert_eq!(looks.post(&path).form_text(String::new()).send().status, 403, "{path}");
    }
    let makes = Visitor::of(&server, &developer);
    let (_, own) = create(&makes, &[("name", "mine")]);
    assert_eq!(makes.get(&format!("/keys/{own}/edit")).status, 200);
    assert_eq!(makes.get(&format!("/keys/{theirs}/edit")).status, 403);
    let page = makes.page(&format!("/keys/{own}/revoke"));
    let body = filled(&page, &makes.link(&format!("/keys/{own}/revoke")), &[]);
    let answer = makes.post(&format!("/keys/{theirs}/revoke")).form_text(body).send();
    assert_eq!(answer.status, 403, "{}", text(&answer.text()));
    assert_eq!(key(&owner, &theirs)["status"], "active");
}

#[test]
fn other_organizations_are_hidden() {
    let (server, owner, visitor) = visiting();
    let made = owner
        .call("POST", "/api/v1/organizations")
        .json(&json!({ "slug": "acme", "owner_email": "boss@acme.example" }))
        .send()
        .expect(201);
    owner.call("POST", "/api/v1/organizations/acme/bootstrap").json(&json!({})).send();
    let boss = Person::sign_in(&server, "acme", "boss@acme.example", made["owner"]["password"].as_str().unwrap());
    let theirs = boss.make(&json!({}))["id"].as_str().unwrap().to_owned();
    for path in ["", "/edit", "/rotate", "/revoke", "/disable", "/explain"] {
        assert_eq!(visitor.get(&format!("/keys/{theirs}{path}")).status, 404, "{path}");
    }
    assert_eq!(visitor.get("/keys/not-an-id").status, 404);
}

#[test]
fn live_checks() {
    let (_server, _owner, visitor) = visiting();
    let said = |what: &str, value: &str| {
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        visitor.get(&format!("/check/{what}?value={value}")).expect(200)
    };
    assert_eq!(said("networks", "10.0.0.0/8")["tone"], "good");
    assert_eq!(said("networks", "*")["tone"], "warning");
    assert_eq!(said("networks", HOSTILE)["tone"], "bad");
    assert_eq!(said("filter", "*")["tone"], "warning");
    assert_eq!(said("filter", "a/#/b")["tone"], "good");
    assert_eq!(visitor.get("/check/other?value=a").status, 404);
}

/// With the longest names, scopes and networks, in characters that take the most HTML.
#[test]
fn pages_stay_small() {
    const MOST: usize = 150_000;
    let (_server, owner, visitor) = visiting();
    let actions: Vec<String> = (0..50).map(|number| format!("action-of-some-length-{number:02}")).collect();
    let policy = owner.api("GET", "policy").send().expect(200);
    let mut policy = policy["policy"].clone();
    policy["actions"] = json!(actions);
    owner.api("PUT", "policy").json(&policy).send().expect(200);
    let scopes = |n: usize| -> Value {
        let scope = |i: usize| json!({ "action": actions[i], "resource": format!("{n:03}{i:03}{}", "<&".repeat(120)) });
        (0..50).map(scope).collect()
    };
    let networks: Vec<String> = (0..100).map(|i| format!("2001:db8:{i:x}:1234:5678:9abc:def0:0/112")).collect();
    let mut last = String::new();
    for n in 0..26 {
        let made = owner.make(&json!({
            "name": format!("{n:02}{}", "<".repeat(98)), "description": "<".repeat(1000), "scopes": scopes(n),
            "allowed_cidrs": networks,
        }));
        last = made["id"].as_str().unwrap().to_owned();
    }
    for n in 0..30 {
        let edit = json!({ "description": "&".repeat(999 - n), "scopes": scopes(n + 100) });
        owner.api("PATCH", &format!("keys/{last}")).json(&edit).send().expect(200);
    }
    let mut sizes = Vec::new();
    let rest = ["", "/edit", "/rotate", "/revoke", "/explain"].map(|page| format!("/keys/{last}{page}"));
    for path in ["/keys", "/keys/new", "/usage", "/audit", "/policy", "/policy/change", "/members"]
        .map(str::to_owned)
        .iter()
        .chain(&rest)
    {
        sizes.push((visitor.page(path).len(), path.clone()));
    }
    let edit = format!("/keys/{last}/edit");
    let review = visitor.submit(&edit, &edit, &[("scope-0-resource", "only/this"), ("allowed_cidrs", "10.0.0.0/8")]);
    assert_eq!(review.status, 200);
    sizes.push((review.body.len(), "the look at what is narrower".into()));
    let too_large: Vec<_> = sizes.iter().filter(|(size, _)| *size > MOST).collect();
    assert!(too_large.is_empty(), "{too_large:?} of {sizes:?}");
}
