//! Customers in the console: their pages, and the customer in the forms and the list of keys.

use serde_json::Value;

use super::visiting;
use crate::support::Visitor;
use crate::support::console::{filled, text};
use crate::support::person::start;

const SCRIPT: &str = "\"><script>alert(1)</script>";

#[track_caller]
fn create(visitor: &Visitor, fields: &[(&str, &str)]) -> String {
    let answer = visitor.submit("/customers/new", "/customers/new", fields);
    visitor.led_to(&answer).strip_prefix("/customers/").unwrap().to_owned()
}

#[test]
fn customer_is_created_edited_suspended_and_removed() {
    let (server, owner, visitor) = visiting();
    assert!(visitor.read("/customers").contains("No customers yet."));
    let fields =
        [("external_id", "user_1"), ("name", "Acme Rockets"), ("max_keys", "3"), ("metadata", "plan=pro\r\nnote=a=b")];
    let id = create(&visitor, &fields);
    let path = format!("/customers/{id}");
    let shown = owner.api("GET", &path[1..]).send().expect(200);
    assert_eq!((&shown["max_keys"], &shown["metadata"]["note"]), (&Value::from(3), &Value::from("a=b")));
    let says = visitor.read(&path);
    for part in ["Acme Rockets", "user_1", "3 keys", "plan pro", "created customer"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert!(visitor.read("/customers?search=rock").contains("user_1 Acme Rockets 0 Active"));
    assert!(visitor.read("/customers?state=suspended").contains("No customers match these filters."));

    let edit = format!("{path}/edit");
    let says = visitor.done(&edit, &edit, &[("name", "Acme"), ("max_keys", "")]);
    assert!(says.contains("Customer updated.") && says.contains("As in the policy"), "{says}");
    let unchanged = owner.api("GET", &path[1..]).send().expect(200);
    assert_eq!(unchanged["metadata"], shown["metadata"], "the form has the values that the customer had");

    // A key for the customer, from the link on its page.
    assert!(visitor.read(&path).contains("Create API key for this customer"));
    let new = "/keys/new?customer=user_1";
    let key = [
        ("name", "shop"),
        ("networks", "listed"),
        ("allowed_cidrs", "127.0.0.0/8"),
        ("scope-0-action", "read"),
        ("scope-0-resource", "a/*"),
    ];
    let made = visitor.submit(new, "/keys/new", &key);
    let html = made.text();
    let secret = html.split("<code id=\"secret\">").nth(1).unwrap_or_else(|| panic!("{}", text(&html)));
    let secret = secret.split('<').next().unwrap().to_owned();
    let key_id = secret.split('_').nth(1).unwrap().to_owned();
    assert_eq!(owner.api("GET", &format!("keys/{key_id}")).send().expect(200)["customer"], id.as_str());
    assert!(visitor.read(&format!("/keys/{key_id}")).contains("Customer Acme"));
    let listed = visitor.read(&format!("/keys?status=all&owner=any&customer={id}"));
    assert!(listed.contains("shop") && listed.contains(&format!("Customer: {id}")), "{listed}");
    assert!(visitor.get("/keys/export?status=all").text().contains(&format!(",{id},active,")));
    assert_eq!(server.exchange(&secret, &[]).status, 200);

    let suspend = format!("{path}/suspend");
    assert!(visitor.read(&suspend).contains("API keys (1)"));
    let says = visitor.done(&suspend, &suspend, &[]);
    assert!(says.contains("Customer suspended.") && says.contains("Suspended"), "{says}");
    assert_eq!(server.exchange(&secret, &[]).expect(403)["code"], "CUSTOMER_SUSPENDED");
    assert!(visitor.read(&format!("/keys/{key_id}")).contains("The customer is suspended."));
    let says = visitor.done(&path, &format!("{path}/reinstate"), &[]);
    assert!(says.contains("Customer reinstated."), "{says}");
    assert_eq!(server.exchange(&secret, &[]).status, 200);

    let remove = format!("{path}/remove");
    let refused = visitor.submit(&remove, &remove, &[("confirm", "user")]);
    assert_eq!(refused.status, 422);
    assert!(text(&refused.text()).contains("Enter user_1."), "{}", text(&refused.text()));
    assert_eq!(server.exchange(&secret, &[]).status, 200);
    let says = visitor.done(&remove, &remove, &[("confirm", "user_1")]);
    assert!(says.contains("Customer removed."), "{says}");
    assert_eq!(server.exchange(&secret, &[]).status, 401);
    assert_eq!(visitor.get(&path).status, 404);
    let log = visitor.read(&format!("/audit?customer={id}"));
    for part in ["removed customer Acme", "reinstated customer", "revoked key", "created customer"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn invalid_values_are_beside_their_field_and_kept() {
    let (_server, _owner, visitor) = visiting();
    create(&visitor, &[("external_id", "user_1")]);
    for (field, value, says) in [
        ("external_id", "two words", "Enter 1 to 255 visible characters"),
        ("external_id", "user_1", "already exists"),
        ("max_keys", "many", "Enter a number from 0 to"),
        ("metadata", "plan", "Enter one name=value per line."),
        ("name", SCRIPT, ""),
    ] {
        let mut fields = vec![("external_id", "user_2")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let answer = visitor.submit("/customers/new", "/customers/new", &fields);
        if says.is_empty() {
            let shown = visitor.get(&visitor.led_to(&answer)).text();
            assert!(!shown.contains("<script>alert"), "{field}");
            continue;
        }
        assert_eq!(answer.status, 422, "{field}");
        let html = answer.text();
        assert!(text(&html).contains(says), "{says}: {}", text(&html));
        let kept = filled(&html, "/console/customers/new", &[]);
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        assert!(kept.contains(&format!("{field}={value}")), "{kept}");
    }
    let key = [("name", "k"), ("networks", "listed"), ("allowed_cidrs", "127.0.0.0/8"), ("customer", "nobody")];
    let answer = visitor.submit("/keys/new", "/keys/new", &key);
    assert!(text(&answer.text()).contains("No customer has this external ID."), "{}", text(&answer.text()));
}

#[test]
fn developers_and_viewers_only_look() {
    let (server, owner) = start();
    let id = create(&Visitor::of(&server, &owner), &[("external_id", "user_1")]);
    for role in ["developer", "viewer"] {
        let visitor = Visitor::of(&server, &owner.add(&server, role));
        assert!(visitor.read("/customers").contains("user_1"), "{role}");
        let page = visitor.read(&format!("/customers/{id}"));
        assert!(!page.contains("Suspend") && !page.contains("Create API key"), "{role}: {page}");
        for path in ["/customers/new", &format!("/customers/{id}/suspend"), &format!("/customers/{id}/remove")] {
            assert_eq!(visitor.get(path).status, 403, "{role} {path}");
        }
    }
}
