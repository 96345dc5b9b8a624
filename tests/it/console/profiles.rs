//! The pages of profiles and named networks.

use serde_json::{Value, json};

use super::visiting;
use crate::support::console::{filled, text};
use crate::support::{Answer, Person, Server, Visitor};

const SCRIPT: &str = "\"><script>alert(1)</script>";

/// Creates a network through the form.
#[track_caller]
pub(super) fn create_network(visitor: &Visitor, name: &str, cidrs: &str) {
    let answer = visitor.submit("/networks/new", "/networks/new", &[("name", name), ("cidrs", cidrs)]);
    assert_eq!(visitor.led_to(&answer), format!("/networks/named/{name}"));
}

/// Creates a profile with one scope through the form.
#[track_caller]
pub(super) fn create_profile(visitor: &Visitor, name: &str, resource: &str, more: &[(&str, &str)]) {
    let mut fields = vec![("name", name), ("scope-0-action", "read"), ("scope-0-resource", resource)];
    fields.extend_from_slice(more);
    if !more.iter().any(|(name, _)| *name == "networks") {
        fields.push(("networks", "any"));
    }
    let answer = visitor.submit("/profiles/new", "/profiles/new", &fields);
    assert_eq!(visitor.led_to(&answer), format!("/profiles/named/{name}"));
}

fn profile(owner: &Person, name: &str) -> Value {
    owner.api("GET", &format!("profiles/{name}")).send().expect(200)
}

pub(super) fn key(owner: &Person, id: &str) -> Value {
    owner.api("GET", &format!("keys/{id}")).send().expect(200)
}

/// Creates a key without scopes of its own. Returns its ID and its secret.
pub(super) fn key_with(owner: &Person, more: &Value) -> (String, String) {
    let made = owner.api("POST", "keys").json(more).send().expect(201);
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

pub(super) fn token(server: &Server, secret: &str) -> String {
    server.exchange(secret, &[]).expect(200)["access_token"].as_str().unwrap().to_owned()
}

pub(super) fn verified(server: &Server, token: &str) -> u16 {
    server.get("/verify").bearer(token).send().status
}

/// Submits a review's form. Returns the text of the next page.
#[track_caller]
pub(super) fn confirm(visitor: &Visitor, review: &Answer, path: &str) -> String {
    assert!(review.text().contains("<button disabled hidden></button>"), "Enter applies nothing");
    visitor.next(&visitor.post(path).form_text(filled(&review.text(), &visitor.link(path), &[])).send())
}

#[test]
fn profile_is_created_shown_edited_and_deleted() {
    let (_server, owner, visitor) = visiting();
    assert!(visitor.read("/profiles").contains("No profiles yet"));
    create_network(&visitor, "office", "203.0.113.0/24");
    let fields = [
        ("name", "readers"),
        ("scope-0-action", "read"),
        ("scope-0-resource", "invoices/*"),
        ("networks", "listed"),
        ("allowed_cidrs", "10.0.0.0/8"),
        ("named", "office"),
        ("token_ttl_seconds", "5 minutes"),
        ("description", "Reports"),
    ];
    let made = visitor.done("/profiles/new", "/profiles/new", &fields);
    assert!(made.contains("Profile created.") && made.contains("No key has this profile yet."), "{made}");
    for part in ["Reports", "read:invoices/*", "203.0.113.0/24 10.0.0.0/8", "office", "5 minutes", "created profile"] {
        assert!(made.contains(part) || made.contains("10.0.0.0/8 203.0.113.0/24"), "{part}: {made}");
    }
    let stored = profile(&owner, "readers");
    assert_eq!(
        (&stored["networks"], &stored["allowed_cidrs"], &stored["token_ttl_seconds"]),
        (&json!(["office"]), &json!(["10.0.0.0/8"]), &json!(300))
    );
    let says = visitor.read("/profiles");
    assert!(says.contains("readers Reports read:invoices/* office 10.0.0.0/8 5 minutes 0"), "{says}");

    // A form that is submitted unchanged changes nothing. No key has the profile, so nothing is reviewed.
    let edit = "/profiles/named/readers/edit";
    visitor.done(edit, edit, &[]);
    assert_eq!(profile(&owner, "readers"), stored);
    let says = visitor.done(edit, edit, &[("scope-0-resource", "orders/*"), ("token_ttl_seconds", "")]);
    assert!(says.contains("Profile updated.") && says.contains("read:orders/*"), "{says}");
    assert_eq!(profile(&owner, "readers")["token_ttl_seconds"], Value::Null);
    let says = visitor.done(edit, edit, &[("scope-0-action", ""), ("scope-0-resource", "")]);
    assert!(says.contains("Profile updated."), "{says}");
    assert_eq!(profile(&owner, "readers")["apis"], json!([]), "the last scope can be removed");

    let delete = "/profiles/named/readers/delete";
    assert!(visitor.read(delete).contains("No key has this profile."));
    assert!(visitor.done(delete, delete, &[]).contains("Profile deleted."));
    assert_eq!(visitor.get("/profiles/named/readers").status, 404);
    let log = visitor.read("/audit");
    for part in ["created profile readers", "updated profile readers", "deleted profile readers"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn invalid_values_are_beside_their_field_and_kept() {
    let (_server, _owner, visitor) = visiting();
    create_profile(&visitor, "readers", "a", &[]);
    create_network(&visitor, "office", "10.0.0.0/8");
    let long = "x".repeat(501);
    for (kind, field, value, says) in [
        ("profiles", "name", "No Spaces", "Enter 1 to 40 lowercase letters"),
        ("profiles", "name", "readers", "already in use"),
        ("profiles", "scope-0-resource", "a//b", "is empty"),
        ("profiles", "scope-0-action", "fly", "Unknown action"),
        ("profiles", "allowed_cidrs", "10.0.0.1/8", "has host bits set"),
        ("profiles", "named", "nowhere", "No such network"),
        ("profiles", "token_ttl_seconds", "90", "Add a unit"),
        ("profiles", "token_ttl_seconds", "2 hours", "Enter 1 minute to 1 hour"),
        ("profiles", "token_ttl_seconds", SCRIPT, "Enter a number and a unit"),
        ("profiles", "description", &long, "500 characters"),
        ("networks", "name", "", "Enter 1 to 40 lowercase letters"),
        ("networks", "name", "office", "already in use"),
        ("networks", "cidrs", "", "Enter an address or range"),
        ("networks", "cidrs", SCRIPT, "is not a valid IP address"),
        ("networks", "excluded_cidrs", "0.0.0.0/0", "no address would be left"),
        ("networks", "description", &long, "500 characters"),
    ] {
        let valid: &[(&str, &str)] = match kind {
            "profiles" => &[
                ("name", "kept"),
                ("scope-0-action", "read"),
                ("scope-0-resource", "kept/*"),
                ("networks", "listed"),
                ("allowed_cidrs", "192.0.2.0/24"),
            ],
            _ => &[("name", "kept"), ("cidrs", "192.0.2.0/24"), ("description", "kept")],
        };
        let mut fields: Vec<(&str, &str)> = valid.iter().filter(|(name, _)| *name != field).copied().collect();
        fields.push((field, value));
        let new = format!("/{kind}/new");
        let answer = visitor.submit(&new, &new, &fields);
        let html = answer.text();
        let id = if field.starts_with("scope-") { "scopes" } else { field };
        assert_eq!(answer.status, 422, "{field} {value}: {}", text(&html));
        assert!(html.contains(&format!("id=\"{id}-error\"")), "{field} {value}: {}", text(&html));
        let shown = text(&html).to_lowercase();
        assert!(shown.contains(&says.to_lowercase()) && html.contains("kept"), "{field} {value}: {shown}");
        assert!(!html.contains("<script>alert"), "{html}");
    }
}

#[test]
fn restricting_a_profile_is_reviewed_and_reaches_live_tokens() {
    let (server, owner, visitor) = visiting();
    create_profile(&visitor, "readers", "invoices/*", &[]);
    let (_, secret) = key_with(&owner, &json!({ "name": "one", "profile": "readers" }));
    key_with(&owner, &json!({ "name": "two", "profile": "readers" }));
    let live = token(&server, &secret);
    let edit = "/profiles/named/readers/edit";
    let fields = [("scope-0-resource", "invoices/2031"), ("networks", "listed"), ("allowed_cidrs", "192.0.2.0/24")];
    let review = visitor.submit(edit, edit, &fields);
    let says = text(&review.text());
    assert_eq!(review.status, 200, "{says}");
    for part in [
        "Restrict “readers”?",
        "2 keys have this profile.",
        "This change reduces what these keys can do.",
        "Scopes read:invoices/* read:invoices/2031 Restricted",
        "Allowed networks any network 192.0.2.0/24 Restricted",
        "Requests from the last 30 days that this would deny",
    ] {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert_eq!((verified(&server, &live), profile(&owner, "readers")["version"].as_u64()), (200, Some(1)), "not yet");

    // Back, with what was typed.
    let back = filled(&review.text(), &visitor.link(edit), &[("back", "yes")]);
    let html = visitor.post(edit).form_text(back).send().text();
    assert!(html.contains("invoices/2031") && html.contains("192.0.2.0/24"), "{}", text(&html));

    let says = confirm(&visitor, &review, edit);
    assert!(says.contains("Tokens that depended on the removed access no longer work."), "{says}");
    assert_eq!(verified(&server, &live), 403, "the address is denied");
    let stale = filled(&review.text(), &visitor.link(edit), &[]);
    assert_eq!(visitor.post(edit).form_text(stale).send().status, 412);

    // Widening is reviewed as well, and warns of full access from anywhere.
    let fields = [("scope-0-action", "*"), ("scope-0-resource", "*"), ("networks", "any"), ("allowed_cidrs", "")];
    let review = visitor.submit(edit, edit, &fields);
    let says = text(&review.text());
    for part in ["Widen “readers”?", "get full access (*:*)", "can be used from any address", "Widened"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert!(!says.contains("that this would deny") && !says.contains("reduces"), "{says}");
    confirm(&visitor, &review, edit);
    assert_eq!(server.exchange(&secret, &[]).expect(200)["scope"], "*:*");

    // A shorter lifetime alone restricts, too.
    let review = visitor.submit(edit, edit, &[("token_ttl_seconds", "1 minute")]);
    let says = text(&review.text());
    assert!(says.contains("Longest token lifetime that of the APIs 1 minute Restricted"), "{says}");
    // The description changes nothing for keys.
    assert!(visitor.done(edit, edit, &[("description", "Reports")]).contains("Profile updated."));
}

#[test]
fn profile_with_keys_is_deleted_with_a_choice_and_its_name() {
    let (server, owner, visitor) = visiting();
    create_profile(&visitor, "readers", "a", &[]);
    create_profile(&visitor, "auditors", "b", &[]);
    let (id, secret) = key_with(&owner, &json!({ "profile": "readers" }));
    let delete = "/profiles/named/readers/delete";
    let says = visitor.read(delete);
    assert!(says.contains("1 key has this profile") && says.contains("Type readers to delete it."), "{says}");
    for (fields, wrong) in [
        (&[("confirm", "readers")][..], "keys"),
        (&[("keys", "revoke"), ("confirm", "reader")], "confirm"),
        (&[("keys", "move"), ("move_keys_to", "readers"), ("confirm", "readers")], "move_keys_to"),
    ] {
        let answer = visitor.submit(delete, delete, fields);
        assert_eq!(answer.status, 422, "{fields:?}");
        assert!(answer.text().contains(&format!("id=\"{wrong}-error\"")), "{}", text(&answer.text()));
    }
    let entered = visitor.submit(delete, delete, &[("back", "yes"), ("keys", "revoke"), ("confirm", "readers")]);
    assert!(entered.status == 200 && entered.text().contains("value=\"revoke\" checked"), "Enter in a field");
    assert_eq!(key(&owner, &id)["profile"], "readers");
    let fields = [("keys", "move"), ("move_keys_to", "auditors"), ("confirm", "readers")];
    let says = visitor.done(delete, delete, &fields);
    assert!(says.contains("Profile deleted. 1 key moved to auditors"), "{says}");
    assert_eq!(server.exchange(&secret, &[]).expect(200)["scope"], "read:b");

    // The only profile that is left: its keys can only be revoked.
    let delete = "/profiles/named/auditors/delete";
    let html = visitor.page(delete);
    assert!(!html.contains("value=\"move\"") && html.contains("value=\"revoke\""), "{html}");
    let says = visitor.done(delete, delete, &[("keys", "revoke"), ("confirm", "auditors")]);
    assert!(says.contains("Profile deleted, and 1 key revoked."), "{says}");
    assert_eq!(key(&owner, &id)["status"], "revoked");
    assert_eq!(owner.api("GET", "profiles").send().expect(200)["items"], json!([]));
}

#[test]
fn network_is_created_edited_with_a_review_and_deleted_when_unused() {
    let (server, owner, visitor) = visiting();
    assert!(visitor.read("/networks").contains("No networks yet"));
    let fields = [
        ("name", "office"),
        ("cidrs", "127.0.0.0/8\r\n2001:db8::/48"),
        ("excluded_cidrs", "127.0.0.7"),
        ("description", "Berlin"),
    ];
    let says = visitor.done("/networks/new", "/networks/new", &fields);
    for part in ["Network created.", "Berlin", "2001:db8::/48", "Excluded addresses 127.0.0.7/32", "created network"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    create_profile(&visitor, "office-only", "a", &[("networks", "listed"), ("named", "office")]);
    let (of_profile, secret) = key_with(&owner, &json!({ "profile": "office-only" }));
    let scopes = json!([{ "action": "read", "resource": "a" }]);
    let (direct, _) = key_with(&owner, &json!({ "scopes": scopes, "networks": ["office"] }));
    let live = token(&server, &secret);
    let says = visitor.read("/networks");
    assert!(says.contains("office Berlin 127.0.0.0/8 2001:db8::/48 not 127.0.0.7/32 office-only 1"), "{says}");
    let page = visitor.page("/networks/named/office");
    assert!(page.contains("/console/profiles/named/office-only\"") && page.contains("network=office"), "{page}");

    // It is in use.
    let delete = "/networks/named/office/delete";
    let says = visitor.read(delete);
    assert!(says.contains("can’t be deleted") && says.contains("1 key the profile office-only"), "{says}");

    let edit = "/networks/named/office/edit";
    let review = visitor.submit(edit, edit, &[("cidrs", "192.0.2.0/24")]);
    let says = text(&review.text());
    for part in [
        "Change “office”?",
        "2 keys use this network: those that refer to it, and those with the profile office-only.",
        "192.0.2.0/24 Widened and restricted",
        "that this would deny",
    ] {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert_eq!(verified(&server, &live), 200, "not yet");
    let says = confirm(&visitor, &review, edit);
    assert!(says.contains("Network updated. Removed addresses are denied from now on."), "{says}");
    assert_eq!(verified(&server, &live), 403);

    for id in [of_profile, direct] {
        owner.api("POST", &format!("keys/{id}/revoke")).json(&json!({})).send().expect(200);
    }
    visitor.done("/profiles/named/office-only/delete", "/profiles/named/office-only/delete", &[]);
    assert!(visitor.done(delete, delete, &[]).contains("Network deleted."));
    assert_eq!(visitor.get("/networks/named/office").status, 404);
}

#[test]
fn profiles_and_networks_can_be_named_as_pages_are() {
    let (_server, _owner, visitor) = visiting();
    for name in ["new", "named", "edit"] {
        create_profile(&visitor, name, "a", &[]);
        create_network(&visitor, name, "10.0.0.0/8");
        for kind in ["profiles", "networks"] {
            let edit = format!("/{kind}/named/{name}/edit");
            assert!(visitor.done(&edit, &edit, &[("description", "x")]).contains(" updated."), "{kind} {name}");
        }
    }
    // An entry of the network is not one of the profile with the same name.
    let says = visitor.read("/profiles/named/new");
    assert!(says.contains("updated profile") && !says.contains("updated network"), "{says}");
}

#[test]
fn lists_are_sorted_by_name_or_number_of_keys() {
    let (_server, owner, visitor) = visiting();
    for name in ["a-none", "b-most", "c-some"] {
        create_profile(&visitor, name, "a", &[]);
    }
    for name in ["b-most", "b-most", "c-some"] {
        key_with(&owner, &json!({ "profile": name }));
    }
    let order = |query: &str| {
        let says = visitor.read(&format!("/profiles{query}"));
        let mut places = ["a-none", "b-most", "c-some"].map(|name| (says.rfind(name).unwrap(), name));
        places.sort_unstable();
        places.map(|(_, name)| &name[..1]).concat()
    };
    for (query, names) in [("", "abc"), ("?sort=-name", "cba"), ("?sort=-keys", "bca"), ("?sort=keys", "acb")] {
        assert_eq!(order(query), names, "{query}");
    }
}

#[test]
fn viewers_and_developers_only_read_profiles_and_networks() {
    let (server, owner, visitor) = visiting();
    create_profile(&visitor, "readers", "a", &[]);
    create_network(&visitor, "office", "10.0.0.0/8");
    for role in ["viewer", "developer", "admin"] {
        let person = owner.add(&server, role);
        let theirs = Visitor::of(&server, &person);
        let may = role == "admin";
        for path in ["/profiles", "/networks", "/profiles/named/readers", "/networks/named/office"] {
            let html = theirs.page(path);
            assert!(html.contains(">Profiles<"), "{role} {path}");
            let offers = ["/profiles/new\"", "/networks/new\"", "/edit\"", "/delete\""];
            assert_eq!(offers.iter().any(|link| html.contains(link)), may, "{role} {path}");
        }
        let status = if may { 200 } else { 403 };
        for path in [
            "/profiles/new",
            "/networks/new",
            "/profiles/named/readers/edit",
            "/profiles/named/readers/delete",
            "/networks/named/office/edit",
            "/networks/named/office/delete",
        ] {
            assert_eq!(theirs.get(path).status, status, "{role} {path}");
            if !may {
                let body = filled(&visitor.page(path), &visitor.link(path), &[]);
                // The token is another member's, and the role is checked first.
                assert_eq!(theirs.post(path).form_text(body).send().status, 403, "{role} {path}");
            }
        }
    }
    assert_eq!(owner.api("GET", "profiles").send().expect(200)["items"].as_array().unwrap().len(), 1);
}
