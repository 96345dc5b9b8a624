//! The list of keys: views, pages, bulk changes, export.

use serde_json::{Value, json};

use super::visiting;
use crate::support::console::{filled, text};
use crate::support::{Person, Visitor};

fn make(owner: &Person, fields: &Value) -> String {
    owner.make(fields)["id"].as_str().unwrap().to_owned()
}

fn status(owner: &Person, id: &str) -> String {
    owner.api("GET", &format!("keys/{id}")).send().expect(200)["status"].as_str().unwrap().to_owned()
}

/// Selects keys on a page of the list and opens the review.
#[track_caller]
fn review(visitor: &Visitor, page: &str, change: &str, ids: &[&str]) -> String {
    let mut fields = vec![("change", change)];
    fields.extend(ids.iter().map(|id| ("key", *id)));
    let answer = visitor.submit(page, "/keys/bulk", &fields);
    assert_eq!(answer.status, 200, "{}", text(&answer.text()));
    answer.text()
}

#[track_caller]
fn apply(visitor: &Visitor, review: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let form = filled(review, &visitor.link("/keys/bulk/apply"), fields);
    let answer = visitor.post("/keys/bulk/apply").form_text(form).send();
    (answer.status, text(&answer.text()))
}

#[test]
fn views_and_filters_list_the_matching_keys() {
    let (_server, owner, visitor) = visiting();
    make(&owner, &json!({ "name": "soon", "expires_in_seconds": 86_400, "allowed_cidrs": ["10.0.0.0/8"] }));
    make(&owner, &json!({ "name": "forever", "scopes": ["*:*"] }));
    make(&owner, &json!({ "name": "office", "expires_in_seconds": 86_400 * 90, "allowed_cidrs": ["203.0.113.0/24"] }));
    for (query, wanted) in [
        ("view=expiring", &["soon"][..]),
        ("view=no_expiry&search=forever", &["forever"]),
        ("view=any_network&search=forever", &["forever"]),
        ("view=full_access&search=forever", &["forever"]),
        ("view=rotating", &[]),
        ("view=unused", &[]),
        ("cidr=10.1.2.3", &["soon"]),
        ("cidr=203.0.113.0/25", &["office"]),
        ("scope=write:anything", &["forever"]),
        ("expires_before=2099-01-01", &["soon", "office"]),
    ] {
        let html = visitor.page(&format!("/keys?{query}"));
        for name in ["soon", "forever", "office"] {
            assert_eq!(html.contains(&format!(">{name}</a>")), wanted.contains(&name), "{query}: {name}");
        }
    }
    let page = visitor.read("/keys?cidr=10.1.2.3&view=expiring");
    assert!(page.contains("Network: 10.1.2.3") && page.contains("View: Expiring in 14 days"), "{page}");
}

#[test]
fn pages_have_a_total_and_lead_back() {
    let (_server, owner, visitor) = visiting();
    for number in 0..30 {
        make(&owner, &json!({ "name": format!("page {number:02}") }));
    }
    assert!(visitor.read("/keys?search=page").contains("1–25 of 30 keys"));
    let second = visitor.page("/keys?search=page&page=2");
    assert!(text(&second).contains("26–30 of 30 keys") && second.contains("rel=\"prev\""), "{}", text(&second));
    assert!(!second.contains("rel=\"next\""));
    assert!(visitor.read("/keys?search=page&size=50").contains("30 keys"));
    assert_eq!(visitor.led_to(&visitor.get("/keys?search=page&page=9")), "/keys?search=page&page=2");
    assert!(!second.contains("aria-sort"), "sorted by creation, no column is marked");
    assert!(visitor.page("/keys?sort=-name").contains("aria-sort=\"descending\""));
}

#[test]
fn selected_keys_are_changed_and_each_result_is_shown() {
    let (server, owner, visitor) = visiting();
    let ids: Vec<String> = (0..3).map(|n| make(&owner, &json!({ "name": format!("bulk {n}") }))).collect();
    let chosen = [ids[0].as_str(), ids[1].as_str()];
    let page = review(&visitor, "/keys", "disable", &chosen);
    assert!(text(&page).contains("Disable 2 keys?"), "{}", text(&page));
    assert_eq!(status(&owner, &ids[0]), "active", "a review changes nothing");
    let (code, says) = apply(&visitor, &page, &[]);
    assert_eq!(code, 200, "{says}");
    assert!(says.contains("2 keys disabled."), "{says}");
    assert_eq!([0, 1, 2].map(|n| status(&owner, &ids[n])), ["disabled", "disabled", "active"]);

    let page = review(&visitor, "/keys?status=all", "enable", &chosen);
    apply(&visitor, &page, &[]);
    assert_eq!(status(&owner, &ids[1]), "active");

    let page = review(&visitor, "/keys", "expiry", &chosen);
    let (_, says) = apply(&visitor, &page, &[("expiry", "30")]);
    assert!(says.contains("2 keys given a new expiry."), "{says}");
    let key = owner.api("GET", &format!("keys/{}", ids[0])).send().expect(200);
    assert!(key["expires_at"].is_string());

    let entries = owner.api("GET", "audit?action=key.disable").send().expect(200);
    assert_eq!(entries["items"].as_array().unwrap().len(), 2, "each is audited");

    let developer = Visitor::of(&server, &owner.add(&server, "developer"));
    let answer = developer.submit("/keys?owner=any&status=all", "/keys/filter", &[]);
    assert_eq!(answer.status, 303);
    let body = format!("change=revoke&key={}&csrf={}", ids[2], csrf(&developer));
    let answer = developer.post("/keys/bulk").form_text(body).send();
    assert_eq!(answer.status, 409, "other people's keys are left out");
    let body = format!("change=revoke&keys={}&csrf={}", ids[2], csrf(&developer));
    let answer = developer.post("/keys/bulk/apply").form_text(body).send();
    assert!(text(&answer.text()).contains("You can only manage your own keys."), "{}", text(&answer.text()));
    assert_eq!(status(&owner, &ids[2]), "active");
}

fn csrf(visitor: &Visitor) -> String {
    let page = visitor.page("/account");
    page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn keys_in_use_are_revoked_only_with_the_number() {
    let (server, owner, visitor) = visiting();
    let used = owner.make(&json!({ "name": "in use" }));
    let unused = make(&owner, &json!({ "name": "idle" }));
    server.exchange(used["secret"].as_str().unwrap(), &[]).expect(200);
    let id = used["id"].as_str().unwrap();
    crate::support::eventually("the use is written", || {
        let key = owner.api("GET", &format!("keys/{id}")).send().expect(200);
        key["last_used_at"].is_string().then_some(())
    });
    let page = review(&visitor, "/keys", "revoke", &[id, &unused]);
    assert!(text(&page).contains("Type 2 to confirm."), "{}", text(&page));
    for typed in ["", "1", "yes"] {
        let (code, _) = apply(&visitor, &page, &[("confirm", typed)]);
        assert_eq!((code, status(&owner, id).as_str()), (422, "active"), "{typed}");
    }
    let (code, says) = apply(&visitor, &page, &[("confirm", "2"), ("reason", "contract ended")]);
    assert_eq!(code, 200, "{says}");
    assert!(says.contains("2 keys revoked."), "{says}");
    let list = visitor.read("/keys?status=revoked");
    assert!(list.contains(&format!("by {}: contract ended", owner.email)), "who and why: {list}");
    let page = review(&visitor, "/keys", "revoke", &[&make(&owner, &json!({ "name": "never used" }))]);
    assert!(!text(&page).contains("to confirm"), "not for keys that nobody uses");
}

#[test]
fn violating_keys_are_listed_and_worked_off() {
    let (_server, owner, visitor) = visiting();
    for number in 0..30 {
        make(&owner, &json!({ "name": format!("old {number}") }));
    }
    let policy = owner.api("GET", "policy").send().expect(200);
    let mut policy =
        policy["policy"].clone().as_object().cloned().unwrap_or_else(|| policy.as_object().unwrap().clone());
    policy.retain(|name, _| !["version", "updated_at"].contains(&name.as_str()));
    policy.insert("expiry_required".into(), json!(true));
    policy.insert("max_lifetime_days".into(), json!(90));
    owner.api("PUT", "policy").json(&Value::Object(policy)).send().expect(200);
    let page = visitor.read("/keys?violates=any");
    assert!(
        page.contains("1–25 of 31 keys") && page.contains("No expiry") && page.contains("Lifetime too long"),
        "{page}"
    );
    let list = visitor.page("/keys?violates=any&search=old");
    assert!(text(&list).contains("All 30 keys that match"));
    let answer = visitor.submit("/keys?violates=any&search=old", "/keys/bulk", &[("change", "expiry"), ("all", "yes")]);
    let (code, says) = apply(&visitor, &answer.text(), &[("expiry", "180")]);
    assert_eq!(code, 200, "{says}");
    assert!(says.contains("0 keys given a new expiry. 30 not changed."), "{says}");
    let (_, says) = apply(&visitor, &answer.text(), &[("expiry", "30")]);
    assert!(says.contains("30 keys given a new expiry."), "{says}");
    assert!(visitor.read("/keys?violates=any&search=old").contains("No keys match these filters."));
}

#[test]
fn developers_see_their_own_keys_first() {
    let (server, owner, _visitor) = visiting();
    make(&owner, &json!({ "name": "of the owner" }));
    let developer = owner.add(&server, "developer");
    make(&developer, &json!({ "name": "of the developer" }));
    let visitor = Visitor::of(&server, &developer);
    let page = visitor.read("/keys");
    assert!(
        page.contains("of the developer") && !page.contains("of the owner") && page.contains("Your own keys."),
        "{page}"
    );
    let page = visitor.read("/keys?owner=any");
    assert!(page.contains("of the developer") && page.contains("of the owner"), "{page}");
}

#[test]
fn export_has_every_matching_key_without_formulas() {
    let (_server, owner, visitor) = visiting();
    make(&owner, &json!({ "name": "=HYPERLINK(\"http://evil\")", "description": "a, \"b\"" }));
    for number in 0..30 {
        make(&owner, &json!({ "name": format!("row {number}") }));
    }
    let answer = visitor.get("/keys/export?sort=name");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/csv"));
    let csv = answer.text();
    assert_eq!(csv.matches("\r\n").count(), 33, "a header, 31 keys and the first key: {csv}");
    assert!(csv.contains("\"'=HYPERLINK(\"\"http://evil\"\")\",\"a, \"\"b\"\"\""), "{csv}");
    let csv = visitor.get("/keys/export?search=row+2").text();
    assert_eq!(csv.matches("\r\n").count(), 12, "{csv}");
}

#[test]
fn key_with_denials_only_says_so() {
    let (server, owner, visitor) = visiting();
    let made = owner.make(&json!({ "name": "kept out", "allowed_cidrs": ["10.0.0.0/8"] }));
    server.exchange(made["secret"].as_str().unwrap(), &[]);
    crate::support::eventually("the denial is written", || {
        visitor.read("/keys?search=kept").contains("only 1 denied").then_some(())
    });
}

#[test]
fn owner_of_selected_keys_is_changed() {
    let (server, owner, visitor) = visiting();
    let ada = owner.add(&server, "developer");
    let ids: Vec<String> =
        (0..2).map(|n| make(&owner, &json!({ "name": format!("theirs {n}"), "owner": ada.id }))).collect();
    let html = review(&visitor, "/keys", "owner", &[&ids[0], &ids[1]]);
    assert!(text(&html).contains("Change the owner of 2 keys?") && html.contains(&ada.email), "{}", text(&html));
    let (status, says) = apply(&visitor, &html, &[("owner", "organization")]);
    assert!(status == 200 && says.contains("2 keys given a new owner."), "{says}");
    for id in &ids {
        assert_eq!(owner.api("GET", &format!("keys/{id}")).send().expect(200)["owner"], Value::Null);
    }
    let developer = Visitor::of(&server, &ada);
    assert!(!developer.page("/keys?owner=any").contains("value=\"owner\""), "only for those who manage all keys");
}
