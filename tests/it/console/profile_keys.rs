//! Keys with profiles and named networks: their forms and pages, and the filters of the list.

use serde_json::json;

use super::profiles::{confirm, create_network, create_profile, key, key_with, token, verified};
use super::visiting;
use crate::support::console::text;

#[test]
fn key_gets_a_profile_and_networks_in_its_forms() {
    let (server, owner, visitor) = visiting();
    let plain = visitor.page("/keys/new");
    assert!(!plain.contains("name=\"profile\"") && !plain.contains("name=\"named\""), "nothing new without them");
    create_network(&visitor, "office", "127.0.0.0/8");
    create_profile(&visitor, "readers", "invoices/*", &[("token_ttl_seconds", "5 minutes")]);
    create_profile(&visitor, "auditors", "audits/*", &[]);

    // A link from the profile fills the form in. The key has all that the profile grants.
    let new = "/keys/new?profile=readers";
    let fields = [("name", "shop"), ("networks", "listed"), ("named", "office")];
    let answer = visitor.submit(new, "/keys/new", &fields);
    let html = answer.text();
    let secret = html.split("<code id=\"secret\">").nth(1).unwrap_or_else(|| panic!("{}", text(&html)));
    let secret = secret.split('<').next().unwrap().to_owned();
    let id = secret.split('_').nth(1).unwrap().to_owned();
    let made = key(&owner, &id);
    assert_eq!(
        (&made["profile"], &made["networks"], &made["apis"]),
        (&json!("readers"), &json!(["office"]), &json!([]))
    );
    let body = server.exchange(&secret, &[]).expect(200);
    assert_eq!((&body["scope"], &body["expires_in"]), (&json!("read:invoices/*"), &json!(300)));

    // Its page says which access comes from where.
    let page = visitor.page(&format!("/keys/{id}"));
    for link in ["/console/profiles/named/readers\"", "/console/networks/named/office\""] {
        assert!(page.contains(link), "{link}");
    }
    let says = text(&page);
    for part in [
        "Scopes in effect read:invoices/*",
        "Allowed networks in effect 127.0.0.0/8",
        "Profile readers read:invoices/* Any network 5 minutes",
        "This key No limit of its own office No limit of its own",
        "In effect read:invoices/* 127.0.0.0/8 5 minutes",
    ] {
        assert!(says.contains(part), "{part}: {says}");
    }

    // An unchanged form changes nothing.
    let edit = format!("/keys/{id}/edit");
    visitor.done(&edit, &edit, &[]);
    assert_eq!(key(&owner, &id)["version"], made["version"]);

    // Another profile, after a review of the access in effect.
    let live = token(&server, &secret);
    let review = visitor.submit(&edit, &edit, &[("profile", "auditors")]);
    let says = text(&review.text());
    for part in [
        "Change access of “shop”?",
        "Profile readers auditors Changed",
        "Scopes read:invoices/* read:audits/* Widened and restricted",
        "Longest token lifetime 5 minutes that of the APIs Widened",
    ] {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert_eq!(verified(&server, &live), 200, "not yet");
    let says = confirm(&visitor, &review, &edit);
    assert!(says.contains("Tokens issued earlier no longer work."), "{says}");
    assert_eq!(verified(&server, &live), 401);
    assert_eq!(server.exchange(&secret, &[]).expect(200)["scope"], "read:audits/*");

    // Named networks are taken out; the access in effect stays the same, but tokens end.
    let fields = [("networks", "listed"), ("allowed_cidrs", "127.0.0.0/8"), ("named", "")];
    let review = visitor.submit(&edit, &edit, &fields);
    let says = text(&review.text());
    assert!(says.contains("Existing tokens of the key stop working"), "{says}");
    assert!(says.contains("Named networks office none Changed") && !says.contains("reduces"), "{says}");
    confirm(&visitor, &review, &edit);
    assert_eq!(key(&owner, &id)["networks"], json!([]));

    // Without the profile and without scopes, it has no access.
    let review = visitor.submit(&edit, &edit, &[("profile", "")]);
    let says = text(&review.text());
    assert!(says.contains("Profile auditors none Changed") && says.contains("This key has no access"), "{says}");
}

#[test]
fn new_key_is_reviewed_by_its_access_in_effect() {
    let (_server, owner, visitor) = visiting();
    create_profile(&visitor, "everything", "*", &[]);
    create_profile(&visitor, "inside", "a", &[("networks", "listed"), ("allowed_cidrs", "10.0.0.0/8")]);
    let review = |fields: &[(&str, &str)]| {
        let mut all = vec![("name", "shop"), ("networks", "any")];
        all.extend_from_slice(fields);
        text(&visitor.submit("/keys/new", "/keys/new", &all).text())
    };
    let says = review(&[("profile", "everything")]);
    for part in ["Review API key", "1 scope, from any network", "Profile everything", "Scopes in effect read:*"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    // The key's own settings allow more than its profile, so there is nothing unusual.
    let says = review(&[("profile", "inside"), ("scope-0-action", "*"), ("scope-0-resource", "*")]);
    assert!(says.contains("Copy the secret now."), "{says}");
    // Scopes that the profile does not grant are no access.
    let says = review(&[("profile", "inside"), ("scope-0-action", "read"), ("scope-0-resource", "b")]);
    assert!(says.contains("This key has no access"), "{says}");
    assert_eq!(visitor.submit("/keys/new", "/keys/new", &[("name", "x"), ("profile", "gone")]).status, 422);
    assert_eq!(owner.api("GET", "keys?profile=inside").send().expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn keys_are_filtered_by_profile_and_network() {
    let (_server, owner, visitor) = visiting();
    create_profile(&visitor, "readers", "a", &[]);
    create_network(&visitor, "office", "10.0.0.0/8");
    for more in [
        json!({ "name": "of-profile", "profile": "readers" }),
        json!({ "name": "of-network", "networks": ["office"] }),
        json!({ "name": "neither" }),
    ] {
        key_with(&owner, &more);
    }
    let listed = |query: &str| visitor.read(&format!("/keys?owner=any&{query}"));
    let says = listed("profile=readers");
    assert!(says.contains("Profile: readers") && says.contains("of-profile") && says.contains("1 key"), "{says}");
    assert!(!says.contains("of-network") && !says.contains("neither"), "{says}");
    let says = listed("network=office");
    assert!(says.contains("Named network: office") && says.contains("of-network") && says.contains("1 key"), "{says}");
    // The form turns them into a link.
    let answer = visitor.submit("/keys", "/keys/filter", &[("profile", "readers"), ("owner", "any")]);
    assert_eq!(visitor.led_to(&answer), "/keys?owner=any&profile=readers");
}
