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
    // Any network unless there is a list, and without the review.
    let is_listed = fields.iter().any(|(name, _)| *name == "allowed_cidrs");
    let networks: &[_] = if is_listed { &[] } else { &[("networks", "any")] };
    let answer = visitor.submit("/keys/new", "/keys/new", &[fields, networks, &[("confirmed", "yes")]].concat());
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
    assert_eq!(made["owner"], Value::Null, "the organization, for admins");
    for page in ["/keys", &format!("/keys/{id}")] {
        let html = visitor.page(page);
        assert!(html.contains("Nightly export") && !html.contains(&text), "{page}");
    }
}

#[test]
fn repeated_form_creates_no_second_key() {
    let (_server, owner, visitor) = visiting();
    let page = visitor.page("/keys/new");
    let body =
        filled(&page, &visitor.link("/keys/new"), &[("name", "only one"), ("networks", "any"), ("confirmed", "yes")]);
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
        (vec![("allowed_cidrs", "10.0.0.1/8\n::1\nx")], "Line 3: the entry is not a valid IP address"),
        (vec![("allowed_cidrs", "")], "Allowed networks: Enter an address or range"),
        (vec![("networks", "any")], "Network access: Choose “Only these addresses”, or clear the list."),
        (vec![("networks", "")], "Choose which networks are allowed."),
        (vec![("name", "")], "Name: Enter a name."),
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
        if fields.iter().all(|(name, _)| *name != "allowed_cidrs") {
            fields.push(("allowed_cidrs", "10.0.0.0/8"));
        }
        fields.push(("confirmed", "yes"));
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
    assert!(html.contains("scope-4-resource") && html.contains("value=\"a/b\"") && html.contains("value=\"rows\""));
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
    let answer = visitor.submit(&edit, &edit, &[("networks", "listed"), ("allowed_cidrs", "10.0.0.0/8")]);
    assert_eq!(answer.status, 200);
    let review = text(&answer.text());
    assert!(review.contains("Restrict “wide”?") && review.contains("any network 10.0.0.0/8"), "{review}");
    assert!(exchanges(&server, &text_of_key), "nothing is changed yet");
    let body = filled(&answer.text(), &visitor.link(&edit), &[]);
    let done = visitor.post(&edit).form_text(body).send();
    assert_eq!(visitor.led_to(&done), format!("/keys/{id}"));
    assert!(visitor.next(&done).contains("Tokens issued earlier no longer work."));
    assert!(!exchanges(&server, &text_of_key));
    // Widening is reviewed as well.
    let fields = [("networks", "any"), ("allowed_cidrs", ""), ("name", "wide again")];
    let answer = visitor.submit(&edit, &edit, &fields);
    let review = text(&answer.text());
    assert!(
        review.contains("Widen access of “wide”?") && review.contains("10.0.0.0/8 any network Widened"),
        "{review}"
    );
    assert!(review.contains("This key can be used from any address."), "{review}");
    assert!(!exchanges(&server, &text_of_key), "nothing is changed yet");
    let body = filled(&answer.text(), &visitor.link(&edit), &[]);
    let page = visitor.next(&visitor.post(&edit).form_text(body).send());
    assert!(page.contains("Key updated.") && page.contains("wide again"), "{page}");
    assert!(exchanges(&server, &text_of_key));
    assert_eq!(key(&owner, &id)["version"], 3);
}

#[test]
fn link_from_a_denial_fills_the_form_and_changes_nothing() {
    let (_server, owner, visitor) = visiting();
    let made = owner.make(&json!({ "name": "kept out", "allowed_cidrs": ["10.0.0.0/8"] }));
    let id = made["id"].as_str().unwrap();
    let html = visitor.page(&format!("/keys/{id}/edit?add_network=203.0.113.7"));
    assert!(html.contains("10.0.0.0/8\n203.0.113.7</textarea>"), "{html}");
    let html = visitor.page(&format!("/keys/{id}/edit?add_network=10.1.2.3"));
    assert!(html.contains("10.0.0.0/8</textarea>"), "it is allowed already: {html}");
    assert_eq!(key(&owner, id)["allowed_cidrs"], json!(["10.0.0.0/8"]));
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
    let answer = visitor.submit(&rotate, &rotate, &[("grace_seconds", "86400")]);
    assert_eq!(answer.status, 200, "{}", text(&answer.text()));
    let (new, _) = secret(&answer.text());
    assert!(new != old && exchanges(&server, &new));
    let page = visitor.read(&format!("/keys/{id}"));
    assert!(page.contains("Rotation in progress") && page.contains("hasn’t been used since the rotation"), "{page}");
    assert!(exchanges(&server, &old), "the grace");
    eventually("the old secret's use is told", || {
        visitor.read(&format!("/keys/{id}")).contains("At least one client hasn’t switched yet").then_some(())
    });
    let again = visitor.submit(&rotate, &rotate, &[("grace_seconds", "3600")]);
    assert_eq!(again.status, 422);
    assert!(text(&again.text()).contains("the previous secret works until"));
    let (newest, _) = secret(&visitor.submit(&rotate, &rotate, &[("grace_seconds", "0"), ("confirmed", "yes")]).text());
    assert_eq!([&old, &new, &newest].map(|key| exchanges(&server, key)), [false, false, true]);
}

#[test]
fn rotation_preselects_a_grace_period_and_confirms_going_without() {
    let (server, owner, visitor) = visiting();
    let (old, id) = create(&visitor, &[&[("name", "turning")] as &[_], &SCOPE].concat());
    let rotate = format!("/keys/{id}/rotate");
    let html = visitor.page(&rotate);
    assert!(html.contains("value=\"86400\" checked"), "24 hours");
    let places = ["value=\"3600\"", "value=\"86400\"", "value=\"0\""].map(|value| html.find(value).unwrap());
    assert!(places.is_sorted(), "the rotation without grace is last");
    assert!(!html.contains("name=\"name\"") && !html.contains("name=\"expiry\""), "it changes nothing else");
    // Without grace: a second step with the last use.
    let answer = visitor.submit(&rotate, &rotate, &[("grace_seconds", "0")]);
    let says = text(&answer.text());
    assert!(says.contains("Rotate “turning” immediately?") && says.contains("Never used."), "{says}");
    assert!(exchanges(&server, &old), "nothing has happened yet");
    let back = filled(&answer.text(), &visitor.link(&rotate), &[("back", "yes")]);
    let form = visitor.post(&rotate).form_text(back).send().text();
    assert!(form.contains("value=\"0\" checked") && exchanges(&server, &old));
    let confirmed = filled(&answer.text(), &visitor.link(&rotate), &[]);
    let (new, _) = secret(&visitor.post(&rotate).form_text(confirmed).send().text());
    assert_eq!([exchanges(&server, &old), exchanges(&server, &new)], [false, true]);
    // A policy with a shorter maximum preselects that; the expiry appears only if the policy requires a new one.
    owner.api("PUT", "policy").json(&json!({ "max_grace_seconds": 600, "max_lifetime_days": 30 })).send().expect(200);
    let html = visitor.page(&rotate);
    assert!(html.contains("value=\"600\" checked") && !html.contains("value=\"3600\""), "{}", text(&html));
    assert!(html.contains("<option value=\"30\" selected>") && !html.contains("value=\"keep\""), "{}", text(&html));
    secret(&visitor.submit(&rotate, &rotate, &[]).text());
    assert!(!visitor.page(&rotate).contains("name=\"expiry\""), "now it is within the policy");
    let expires = key(&owner, &id)["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!((expires.as_second() - crate::support::now() - 30 * 86_400).abs() < 120);
}

#[test]
fn grace_period_is_ended_and_extended() {
    let (server, owner, visitor) = visiting();
    let (old, id) = create(&visitor, &[&[("name", "turning")] as &[_], &SCOPE].concat());
    let page = format!("/keys/{id}");
    let [end, extend] = ["end-grace", "extend-grace"].map(|action| format!("{page}/{action}"));
    for path in [&end, &extend] {
        assert!(visitor.read(path).contains("No rotation is in progress."), "{path}");
    }
    let rotate = format!("{page}/rotate");
    let (new, _) = secret(&visitor.submit(&rotate, &rotate, &[]).text());
    let last_four = |secret: &str| secret[secret.len() - 4..].to_owned();
    let says = visitor.read(&page);
    assert!(says.contains("Not used since the rotation"), "{says}");
    assert!(says.contains(&last_four(&old)) && says.contains(&last_four(&new)), "both secrets: {says}");
    let extended = visitor.done(&extend, &extend, &[("grace_seconds", "604800")]);
    assert!(extended.contains("Grace period extended.") && extended.contains("in 7 days"), "{extended}");
    let too_long = visitor.submit(&extend, &extend, &[("grace_seconds", "99999999")]);
    assert!(too_long.status == 422 && text(&too_long.text()).contains("The policy allows a grace period of up to"));
    assert!(exchanges(&server, &old) && exchanges(&server, &new) && exchanges(&server, &new));
    eventually("requests of both secrets", || {
        let html = visitor.page(&page);
        let rows: Vec<String> = html.split("data-label=\"Secret\">").skip(1).take(2).map(text).collect();
        (rows[0].contains(" 2 2 ") && rows[1].contains(" 1 1 ")).then_some(())
    });
    let shown = visitor.read(&page);
    assert!(shown.contains("Still in use") && shown.contains("Requests by secret, last 24 hours"), "{shown}");
    let by_hour = visitor.page(&page);
    let rows = by_hour.split_once("Requests by secret, last 24 hours, as a table").unwrap().1.split("</table>").next();
    let numbers: Vec<u64> = rows
        .unwrap()
        .split("<td class=\"number\">")
        .skip(1)
        .map(|cell| cell.split('<').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 50, "25 hours, two secrets");
    let of_series = |series: usize| numbers.iter().skip(series).step_by(2).sum::<u64>();
    assert_eq!([of_series(0), of_series(1)], [2, 1], "the current and the previous secret");
    let says = visitor.read(&end);
    assert!(says.contains("those applications will fail"), "{says}");
    let done = visitor.done(&end, &end, &[]);
    assert!(done.contains("Grace period ended.") && !done.contains("Rotation in progress"), "{done}");
    assert_eq!([exchanges(&server, &old), exchanges(&server, &new)], [false, true]);
    assert_eq!(key(&owner, &id)["previous_secret_until"], Value::Null);
}

#[test]
fn unusual_access_is_reviewed_before_the_key_exists() {
    let (_server, owner, visitor) = visiting();
    let count = || owner.api("GET", "keys?limit=200").send().expect(200)["items"].as_array().unwrap().len();
    let before = count();
    let full = [("scope-0-action", "*"), ("scope-0-resource", "*")];
    let manages = [("scope-0-action", "read"), ("scope-0-resource", "keyturn/*")];
    for (fields, line, warning) in [
        (
            [&full as &[_], &[("networks", "any"), ("expiry", "none")]].concat(),
            "Full access, from any network, never expires.",
            "This key has full access",
        ),
        (
            [&manages as &[_], &[("allowed_cidrs", "10.0.0.0/8")]].concat(),
            "Access to the Keyturn management API, from 1 network,",
            "can use the Keyturn management API",
        ),
        (
            [&SCOPE as &[_], &[("allowed_cidrs", "0.0.0.0/0\n::/0")]].concat(),
            "1 scope, from any network,",
            "can be used from any address",
        ),
        (vec![("allowed_cidrs", "10.0.0.0/8")], "No access, from 1 network,", "This key has no access"),
    ] {
        let fields = [&[("name", "reviewed")] as &[_], &fields].concat();
        let answer = visitor.submit("/keys/new", "/keys/new", &fields);
        let says = text(&answer.text());
        assert!(says.contains("Review API key") && says.contains(line) && says.contains(warning), "{line} in {says}");
        assert_eq!(count(), before, "no key yet");
        let back = filled(&answer.text(), &visitor.link("/keys/new"), &[("back", "yes")]);
        let form = visitor.post("/keys/new").form_text(back).send();
        assert!(form.text().contains("value=\"reviewed\"") && form.text().contains("name=\"ticket\""));
    }
    let fields = [&[("name", "reviewed"), ("networks", "any")] as &[_], &SCOPE].concat();
    let review = visitor.submit("/keys/new", "/keys/new", &fields).text();
    let confirmed = filled(&review, &visitor.link("/keys/new"), &[]);
    let (_, id) = secret(&visitor.post("/keys/new").form_text(confirmed).send().text());
    assert_eq!((key(&owner, &id)["name"].as_str(), count()), (Some("reviewed"), before + 1));
    // Nothing unusual: no review. The expiry is 90 days.
    let plain = [&[("name", "plain"), ("allowed_cidrs", "10.0.0.0/8")] as &[_], &SCOPE].concat();
    let (_, id) = secret(&visitor.submit("/keys/new", "/keys/new", &plain).text());
    let expires = key(&owner, &id)["expires_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!((expires.as_second() - crate::support::now() - 90 * 86_400).abs() < 120);
}

#[test]
fn owner_is_changed_by_those_who_manage_all_keys() {
    let (server, owner, visitor) = visiting();
    let (dana, made) = (owner.add(&server, "developer"), owner.make(&json!({ "name": "given" })));
    let id = made["id"].as_str().unwrap();
    let edit = format!("/keys/{id}/edit");
    assert!(visitor.page(&edit).contains("<option value=\"me\" selected>"));
    let page = visitor.done(&edit, &edit, &[("owner", &dana.id)]);
    assert!(page.contains("Key updated.") && page.contains(&dana.email), "{page}");
    let as_dana = Visitor::of(&server, &dana);
    assert!(!as_dana.page(&edit).contains("name=\"owner\""), "a developer cannot give a key away");
    let forged = as_dana.submit(&edit, &edit, &[("owner", "organization")]);
    assert_eq!(forged.status, 403, "{}", text(&forged.text()));
    assert_eq!(key(&owner, id)["owner"], dana.id);
    let nobody = visitor.submit(&edit, &edit, &[("owner", "nobody")]);
    assert!(nobody.status == 422 && text(&nobody.text()).contains("Owner: No such member"), "{}", text(&nobody.text()));
    visitor.done(&edit, &edit, &[("owner", "organization")]);
    assert_eq!(key(&owner, id)["owner"], Value::Null);
}

#[test]
fn key_in_use_is_revoked_only_with_its_name() {
    let (server, owner, visitor) = visiting();
    let (text_of_key, id) = create(&visitor, &[&[("name", "orders-worker")] as &[_], &SCOPE].concat());
    let revoke = format!("/keys/{id}/revoke");
    assert!(!visitor.page(&revoke).contains("name=\"confirmation\""), "it was never used");
    assert!(exchanges(&server, &text_of_key));
    eventually("the use is counted", || key(&owner, &id)["last_used_at"].is_string().then_some(()));
    let html = visitor.page(&revoke);
    assert!(text(&html).contains("Type orders-worker to confirm.") && html.contains("/disable\""), "{}", text(&html));
    for typed in ["", "orders"] {
        let answer = visitor.submit(&revoke, &revoke, &[("confirmation", typed), ("reason", "kept")]);
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains("value=\"kept\"") && exchanges(&server, &text_of_key));
    }
    assert!(visitor.done(&revoke, &revoke, &[("confirmation", "orders-worker")]).contains("Key revoked"));
}

#[test]
fn disable_enable_and_revoke() {
    let (server, _owner, visitor) = visiting();
    let (text_of_key, id) = create(&visitor, &[&[("name", "short")] as &[_], &SCOPE].concat());
    for (change, said, works) in
        [("disable", "Key disabled", false), ("enable", "Key enabled", true), ("revoke", "Key revoked", false)]
    {
        let path = format!("/keys/{id}/{change}");
        let fields: &[(&str, &str)] =
            if change == "revoke" { &[("reason", HOSTILE), ("confirmation", "short")] } else { &[] };
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
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
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
    for page in
        ["", "/edit", "/rotate", "/disable", "/revoke", "/explain?ask=yes&address=127.0.0.1", "/token-preview?ask=yes"]
    {
        let html = visitor.page(&format!("/keys/{id}{page}"));
        assert!(!html.contains("<script>alert"), "{page}");
        assert!(text(&html).contains(HOSTILE) || html.contains("&#34;&#62;&#60;script"), "{page}");
    }
    assert!(visitor.read("/keys").contains(HOSTILE));
}

#[test]
fn token_is_previewed_or_its_refusal_shown() {
    let (server, owner, visitor) = visiting();
    let audience = "https://orders.example.com";
    let api = json!({ "name": "orders", "audience": audience, "scopes": [{ "scope": "orders.read" }] });
    owner.api("POST", "apis").json(&api).send().expect(201);
    let apis = json!([{ "api": "orders", "scopes": ["orders.read"] }]);
    let made = owner.make(&json!({ "apis": apis, "allowed_cidrs": ["10.0.0.0/8"] }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let preview = format!("/keys/{id}/token-preview");
    assert!(visitor.page(&format!("/keys/{id}")).contains(&format!("/console{preview}\"")), "linked from the key");
    let page = visitor.read(&preview);
    assert!(page.contains(audience) && !page.contains("Result"), "{page}");
    let page = visitor.read(&format!("{preview}?ask=yes&audience={audience}"));
    for part in ["SCOPE_orders.read", "\"scope\": \"orders.read\"", "\"jti\": \"preview\"", "Refuses", "at+jwt"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = visitor.read(&format!("{preview}?ask=yes&audience={audience}&scope=orders.write"));
    let refused = server.exchange(secret, &[("audience", audience), ("scope", "orders.write")]);
    assert!(page.contains("invalid_scope") && page.contains("Scopes of the key for orders: orders.read"), "{page}");
    assert_eq!(refused.expect(403)["code"], "API_KEY_IP_NOT_ALLOWED", "the page leaves out the networks");
    let page = visitor.read(&format!("{preview}?ask=yes&address=192.0.2.1"));
    assert!(page.contains("API_KEY_IP_NOT_ALLOWED"), "{page}");
    assert_eq!(visitor.get(&format!("{preview}?ask=yes&address=nowhere")).status, 422);
    assert!(!visitor.page(&preview).contains("name=\"secret\""), "only with a previous secret");
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
        ("edit", &["name", "description", "networks", "allowed_cidrs", "expiry", "version"] as &[_]),
        ("rotate", &["grace_seconds", "version", "ticket"]),
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
    let answer = visitor.submit(&edit, &edit, &[("allowed_cidrs", "")]);
    assert_eq!(answer.status, 422, "an empty list is not a choice");
    let page = visitor.done(&edit, &edit, &[("networks", "any"), ("allowed_cidrs", ""), ("confirmed", "yes")]);
    assert!(page.contains("it can now be used from any network."), "{page}");
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
    let review = visitor.submit(
        &edit,
        &edit,
        &[("scope-0-resource", "only/this"), ("networks", "listed"), ("allowed_cidrs", "10.0.0.0/8")],
    );
    assert_eq!(review.status, 200);
    sizes.push((review.body.len(), "the look at what is narrower".into()));
    let too_large: Vec<_> = sizes.iter().filter(|(size, _)| *size > MOST).collect();
    assert!(too_large.is_empty(), "{too_large:?} of {sizes:?}");
}

#[test]
fn metadata_is_entered_shown_and_kept() {
    let (_server, owner, visitor) = visiting();
    let (_, id) = create(&visitor, &[("name", "with data"), ("metadata", "plan=pro\r\n\r\nnote= a=b ")]);
    assert_eq!(key(&owner, &id)["metadata"], json!({ "plan": "pro", "note": " a=b " }));
    assert!(visitor.page(&format!("/keys/{id}")).contains("plan=pro"));

    // An unchanged form changes nothing; a wrong line is named.
    let (edit, shown) = (format!("/keys/{id}/edit"), format!("/keys/{id}"));
    visitor.led_to(&visitor.submit(&edit, &edit, &[]));
    assert_eq!(key(&owner, &id)["version"], 1);
    for wrong in ["plan", "a=b\na=c", "a b=c"] {
        let answer = visitor.submit(&edit, &edit, &[("metadata", wrong)]);
        assert_eq!(answer.status, 422, "{wrong}");
    }
    assert_eq!(visitor.led_to(&visitor.submit(&edit, &edit, &[("metadata", "")])), shown);
    assert_eq!(key(&owner, &id)["metadata"], json!({}));
}
