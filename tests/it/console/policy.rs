//! The policy: read by every role, previewed and applied by admins.

use serde_json::{Value, json};

use crate::support::console::{filled, text};
use crate::support::database::execute;
use crate::support::person::{start, start_in};
use crate::support::{Answer, Person, Place, Visitor};

const FORM: &str = "/policy/change";
const SCRIPT: &str = "\"><script>alert(1)</script>";

fn in_force(owner: &Person) -> Value {
    owner.api("GET", "policy").send().expect(200)
}

/// Returns the CSRF token of a page.
fn csrf(html: &str) -> String {
    html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Presses a button on a page.
fn press(visitor: &Visitor, page: &Answer, intent: &str) -> Answer {
    visitor.post("/policy").form_text(filled(&page.text(), "/console/policy", &[("intent", intent)])).send()
}

#[test]
fn every_role_reads_and_admins_edit() {
    let (server, owner) = start();
    for (role, may) in [("viewer", false), ("developer", false), ("admin", true)] {
        let visitor = Visitor::of(&server, &owner.add(&server, role));
        let html = visitor.page("/policy");
        let said = text(&html);
        assert!(said.contains("Who can create keys Developers, admins and owners"), "{said}");
        assert!(said.contains("Maximum grace period Up to 30 days"), "{said}");
        assert!(said.contains("Stale keys Does not apply: keys never become stale"), "{said}");
        assert_eq!(html.contains("/console/policy/change"), may, "{role}");
        assert_eq!(visitor.get(FORM).status, if may { 200 } else { 403 }, "{role}");
        let own =
            filled(&html, "/console/sign-out", &[("create_role", "owner"), ("intent", "apply"), ("version", "1")]);
        let sent = visitor.post("/policy").form_text(&own).send();
        assert_eq!(sent.status, if may { 400 } else { 403 }, "{role}: {}", sent.text());
    }
    assert_eq!(in_force(&owner)["create_role"], "developer");
}

#[test]
fn counts_of_the_preview_lead_to_their_keys() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    for n in 0..25 {
        owner.make(&json!({ "name": format!("without end {n}") }));
    }
    owner.make(&json!({ "name": "short", "expires_in_seconds": 3600 }));
    let preview = visitor.submit(FORM, "/policy", &[("expiry_required", "yes"), ("max_keys", "1")]);
    let html = preview.text();
    assert!(html.contains("name=\"show\" value=\"expiry_required\"") && !html.contains("value=\"max_keys\">"));
    let form = filled(&html, "/console/policy", &[("show", "expiry_required")]);
    let listed = visitor.post("/policy").form_text(form).send();
    let says = text(&listed.text());
    // Also the keys that the preview does not name, and the first key.
    assert!(says.contains("26 keys don’t meet “Key expiry”"), "{says}");
    assert!((0..25).all(|n| says.contains(&format!("without end {n} "))) && !says.contains("short"), "{says}");
    assert_eq!(in_force(&owner)["expiry_required"], false, "nothing is applied");
    let back = filled(&listed.text(), "/console/policy", &[]);
    assert!(text(&visitor.post("/policy").form_text(back).send().text()).contains("Review policy changes"));
}

#[test]
fn preview_changes_nothing() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let (before, key) = (in_force(&owner), server.make_with("read:*"));
    let fields = [("expiry_required", "yes"), ("max_keys", "1"), ("actions", "read\nadmin")];
    let preview = visitor.submit(FORM, "/policy", &fields);
    assert_eq!(preview.status, 200, "{}", preview.text());
    let said = text(&preview.text());
    for part in [
        "Key expiry Optional. Keys can be created without an expiry. Required",
        "Actions read, write, admin, * (any) read, admin, * (any)",
        "Keys without an expiry; they keep working indefinitely.",
        "2 keys exist; they keep working, but no more can be created.",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(preview.text().contains(&format!("href=\"/console/keys/{}\"", key.id)), "the keys are named");
    assert_eq!(in_force(&owner), before);

    // Back to the form, which keeps the values.
    let form = press(&visitor, &preview, "edit");
    assert_eq!(form.status, 200);
    assert!(filled(&form.text(), "/console/policy", &[]).contains("max_keys=1&"));

    let done = press(&visitor, &preview, "apply");
    assert_eq!(visitor.led_to(&done), "/policy");
    assert!(visitor.next(&done).contains("Policy updated."));
    let after = in_force(&owner);
    assert_eq!((&after["expiry_required"], &after["max_keys"]), (&json!(true), &json!(1)));
    assert_eq!(after["actions"], json!(["read", "admin"]));
    server.me(&key.text).expect(200);
    let log = server.api("GET", "audit?action=policy.change").send().expect(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
    assert_eq!(log["items"][0]["actor"], format!("member:{}", owner.id));
    assert_eq!((&log["items"][0]["old"], &log["items"][0]["new"]), (&before, &after));
}

#[test]
fn every_setting_is_saved() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let fields = [
        ("max_keys", " 100 "),
        ("max_keys_per_user", "3"),
        ("expiration", "choices"),
        ("expiration_days", "7, 30,60 90"),
        ("max_lifetime_days", "90 days"),
        ("expiry_required", "yes"),
        ("name_required", "yes"),
        ("scopes_required", "yes"),
        ("create_role", "admin"),
        ("key_prefix", "uspl"),
        ("actions", "fly\r\nland, fly"),
        ("audiences", "https://api.example\r\nurn:x"),
        ("token_ttl_seconds", " 5 minutes"),
        ("token_claims", "plan = metadata.plan\r\n level=3 "),
        ("verify_headers", "X-Note = =owner"),
        ("max_grace_seconds", ""),
        ("stale_after_days", "60d"),
        ("disable_when_stale", "yes"),
    ];
    let preview = visitor.submit(FORM, "/policy", &fields);
    visitor.led_to(&press(&visitor, &preview, "apply"));
    let expected = json!({
        "max_keys": 100, "max_keys_per_user": 3,
        "expiration_choices": { "days": [7, 30, 60, 90], "none": false },
        "max_lifetime_days": 90, "expiry_required": true, "name_required": true, "scopes_required": true,
        "create_role": "admin", "key_prefix": "uspl", "actions": ["fly", "land"],
        "audiences": ["https://api.example", "urn:x"], "token_ttl_seconds": 300, "max_grace_seconds": 0,
        "stale_after_days": 60, "disable_when_stale": true, "grantable_scopes": null,
        "token_claims": { "plan": "metadata.plan", "level": 3 }, "verify_headers": { "X-Note": "=owner" },
    });
    assert_eq!(in_force(&owner), expected);
    // The unchanged form changes nothing.
    let same = visitor.submit(FORM, "/policy", &[]);
    assert!(text(&same.text()).contains("No changes: this is the current policy."), "{}", text(&same.text()));
    assert!(visitor.next(&press(&visitor, &same, "apply")).contains("No changes to save."));
    let none = [("max_keys", ""), ("max_keys_per_user", ""), ("token_ttl_seconds", ""), ("audiences", "")];
    visitor.led_to(&press(&visitor, &visitor.submit(FORM, "/policy", &none), "apply"));
    let after = in_force(&owner);
    assert_eq!(
        (&after["max_keys"], &after["token_ttl_seconds"], &after["audiences"]),
        (&Value::Null, &Value::Null, &json!([]))
    );
}

#[test]
fn invalid_settings_keep_the_typed_values() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let before = in_force(&owner);
    let long = "x".repeat(300);
    for (field, value, more) in [
        ("max_keys", "-1", ("max_keys_per_user", "7")),
        ("max_keys", "4294967296", ("max_keys_per_user", "7")),
        ("max_keys_per_user", "many", ("max_keys", "7")),
        ("max_lifetime_days", "0", ("max_keys", "7")),
        ("expiration_days", "a week", ("expiration", "choices")),
        ("expiration_days", "0", ("expiration", "choices")),
        ("expiration_days", "36526", ("expiration", "choices")),
        ("key_prefix", "K!", ("max_keys", "7")),
        ("key_prefix", "", ("max_keys", "7")),
        ("actions", "", ("max_keys", "7")),
        ("actions", "fly!", ("max_keys", "7")),
        ("actions", "*", ("max_keys", "7")),
        ("audiences", &long, ("max_keys", "7")),
        ("audiences", "\u{1}", ("max_keys", "7")),
        ("token_ttl_seconds", "59 seconds", ("max_keys", "7")),
        ("token_ttl_seconds", "300", ("max_keys", "7")),
        ("token_ttl_seconds", "6e2", ("max_keys", "7")),
        ("max_grace_seconds", "99999 days", ("max_keys", "7")),
        ("stale_after_days", "0", ("max_keys", "7")),
        ("create_role", "viewer", ("max_keys", "7")),
        ("create_role", SCRIPT, ("max_keys", "7")),
        ("expiration", "whenever", ("max_keys", "7")),
    ] {
        for intent in ["preview", "apply", "edit", "?"] {
            let answer = visitor.submit(FORM, "/policy", &[(field, value), more, ("intent", intent)]);
            let html = answer.text();
            assert_eq!(answer.status, 422, "{field}={value}: {}", text(&html));
            assert!(html.contains(&format!("id=\"{field}-error\"")), "{field}={value}: {}", text(&html));
            let kept = filled(&html, "/console/policy", &[]);
            assert!(kept.contains(&format!("{}={}&", more.0, more.1)), "{field}: what was typed is kept: {kept}");
        }
    }
    let contradiction = [
        ("disable_when_stale", "yes"),
        ("expiration", "choices"),
        ("expiration_none", "yes"),
        ("expiry_required", "yes"),
        ("max_keys", "many"),
    ];
    let answer = visitor.submit(FORM, "/policy", &contradiction);
    let said = text(&answer.text());
    assert_eq!(answer.status, 422);
    assert!(said.contains("Can’t be combined with a required expiry or a maximum lifetime."), "{said}");
    assert!(said.contains("Maximum keys per organization: Enter a whole number"), "{said}");
    assert!(said.contains("Also set the number of days after which a key is stale."), "{said}");
    assert!(answer.text().contains("id=\"expiration_none\"") && answer.text().contains("href=\"#expiration_none\""));
    assert_eq!(in_force(&owner), before);
}

#[test]
fn edit_conflicts_are_reviewed_again() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let preview = visitor.submit(FORM, "/policy", &[("max_keys", "50")]);
    let mut theirs = in_force(&owner);
    theirs["max_keys_per_user"] = json!(5);
    owner.api("PUT", "policy").json(&theirs).send().expect(200);
    let late = press(&visitor, &preview, "apply");
    let said = text(&late.text());
    assert_eq!(late.status, 412, "{said}");
    assert!(said.contains("omeone else changed"), "{said}");
    assert!(said.contains("Keys per member Up to 5 keys per member") && said.contains("No limit"), "{said}");
    assert_eq!(in_force(&owner), theirs);
    // After the review the policy can be applied anyway.
    visitor.led_to(&press(&visitor, &late, "apply"));
    let after = in_force(&owner);
    assert_eq!((&after["max_keys"], &after["max_keys_per_user"]), (&json!(50), &Value::Null));
    // A form without a version always conflicts.
    let whole = filled(&late.text(), "/console/policy", &[("intent", "apply"), ("max_keys", "51")]);
    let blind: Vec<&str> = whole.split('&').filter(|pair| !pair.starts_with("version=")).collect();
    assert_eq!(visitor.post("/policy").form_text(blind.join("&")).send().status, 412);
    assert_eq!(in_force(&owner), after);
}

#[test]
fn forms_need_the_csrf_token() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let before = in_force(&owner);
    let preview = visitor.submit(FORM, "/policy", &[("max_keys", "50")]);
    let html = preview.text();
    let form = |csrf: &str| filled(&html, "/console/policy", &[("intent", "apply"), ("csrf", csrf)]);
    let another = csrf(&Visitor::of(&server, &owner.add(&server, "admin")).page(FORM));
    for wrong in ["", "x", &another] {
        assert_eq!(visitor.post("/policy").form_text(form(wrong)).send().status, 403, "{wrong}");
    }
    let form = form(&csrf(&html));
    let elsewhere = visitor.request("POST", "/policy").header("Origin", "https://evil.example").form_text(form).send();
    assert_eq!(elsewhere.status, 403);
    assert_eq!(in_force(&owner), before);
}

#[test]
fn values_are_escaped() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let preview = visitor.submit(FORM, "/policy", &[("audiences", SCRIPT)]);
    let pressed = press(&visitor, &preview, "edit");
    let mut policy = in_force(&owner);
    policy["audiences"] = json!([SCRIPT]);
    owner.api("PUT", "policy").json(&policy).send().expect(200);
    let fields = ["key_prefix", "audiences", "max_keys", "actions", "version"].map(|name| (name, SCRIPT));
    let refused = visitor.submit(FORM, "/policy", &fields);
    assert_eq!(refused.status, 422);
    let pages = [
        preview.text(),
        pressed.text(),
        refused.text(),
        visitor.page("/policy"),
        visitor.page(FORM),
        visitor.page("/gateways/nginx"),
    ];
    for html in pages {
        assert!(!html.contains("<script>alert"), "{html}");
    }
    assert!(visitor.read("/policy").contains(SCRIPT));
}

#[test]
fn preview_lists_keys_to_disable() {
    let (server, owner) = start_in(Place::on_sqlite());
    let visitor = Visitor::of(&server, &owner);
    let key = server.make_with("read:*");
    let old = "UPDATE api_keys SET created_at = created_at - 90 * 86400000, last_used_at = NULL WHERE id = ";
    execute(&server.database(), &format!("{old}'{}'", key.id));
    let fields = [("stale_after_days", "30"), ("disable_when_stale", "yes")];
    let html = visitor.submit(FORM, "/policy", &fields).text();
    let said = text(&html);
    assert!(said.contains("Some keys will be disabled."), "{said}");
    assert!(said.contains("Stale keys; they are DISABLED one day after they become stale."), "{said}");
    assert!(html.contains(&format!("href=\"/console/keys/{}\"", key.id)), "{said}");
}

#[test]
fn preview_names_the_keys_and_repeated_counts() {
    let (server, owner) = start_in(Place::on_sqlite());
    let visitor = Visitor::of(&server, &owner);
    for name in ["ledger", "import"] {
        owner.make(&json!({ "name": name, "scopes": [] }));
    }
    owner.make(&json!({ "name": "short", "expires_at": "2100-01-01T00:00:00Z" }));
    let fields = [("expiry_required", "yes"), ("max_lifetime_days", "30 days")];
    let preview = visitor.submit(FORM, "/policy", &fields);
    let said = text(&preview.text());
    // The first key of the organization has no expiry either.
    assert!(said.contains("Key expiry 3 Keys without an expiry"), "{said}");
    assert!(said.contains("The same keys are counted under “Maximum lifetime”."), "{said}");
    assert!(!said.contains("The same keys are counted under “Key expiry”."), "one more key lives too long: {said}");
    assert!(said.contains(&format!("ledger {}, never used", owner.email)), "{said}");
    assert!(said.contains("4 keys") && said.contains(&format!("short {}", owner.email)), "{said}");
}

#[test]
fn lengths_are_shown_as_they_are_entered() {
    let (server, owner) = start();
    let mut policy = in_force(&owner);
    for (name, value) in
        [("token_ttl_seconds", 90), ("max_grace_seconds", 7200), ("stale_after_days", 1), ("max_lifetime_days", 90)]
    {
        policy[name] = json!(value);
    }
    owner.api("PUT", "policy").json(&policy).send().expect(200);
    let visitor = Visitor::of(&server, &owner);
    let html = visitor.page(FORM);
    for value in ["90 seconds", "2 hours", "1 day", "90 days"] {
        assert!(html.contains(&format!("value=\"{value}\"")), "{value}");
    }
    let said = visitor.read("/policy");
    assert!(said.contains("Stale keys Reported in the audit log and to webhooks."), "{said}");
    let same = visitor.submit(FORM, "/policy", &[]);
    assert!(text(&same.text()).contains("No changes: this is the current policy."), "{}", text(&same.text()));
}
