//! Userplane: each member creates up to three keys, chooses a lifetime from a list, and rotates them in place.

use serde_json::json;

use crate::products::{DAY, assert_error, text, under, wrong_field};
use crate::support::check::problem;

#[test]
fn key_has_a_name_and_one_of_five_expirations() {
    let (server, owner) = under("userplane");
    let dana = owner.add(&server, "developer");

    // The form: an optional name, and one of five expirations.
    let policy = dana.api("GET", "policy").send().expect(200);
    assert_eq!(policy["expiration_choices"], json!({ "days": [7, 30, 60, 90], "none": true }));
    assert_eq!((&policy["max_keys_per_user"], &policy["key_prefix"]), (&json!(3), &json!("uspl")));

    // Each of them is accepted; the key is shown once and starts with uspl_.
    let choices = [None, Some(7), Some(30), Some(60), Some(90)];
    for days in choices {
        let body = match days {
            None => json!({ "name": "ci", "expires_at": null }),
            Some(days) => json!({ "name": "ci", "expires_in_seconds": days * DAY }),
        };
        let made = dana.api("POST", "keys").json(&body).send().expect(201);
        assert!(text(&made["secret"]).starts_with("uspl_"), "{made}");
        assert_eq!(made["expires_at"].is_null(), days.is_none());
        assert_eq!((text(&made["owner"]), text(&made["status"])), (dana.id.clone(), "active".into()));
        server.exchange(&text(&made["secret"]), &[]).expect(200);
        let shown = dana.api("GET", &format!("keys/{}", text(&made["id"]))).send().expect(200);
        assert!(shown.get("secret").is_none(), "it is not shown again");
        assert!(!shown.to_string().contains(&text(&made["secret"])));
        dana.api("DELETE", &format!("keys/{}", text(&made["id"]))).send().expect(200);
    }

    // Others are rejected.
    for days in [1, 8, 29, 31, 91, 365] {
        let body = json!({ "name": "ci", "expires_in_seconds": days * DAY });
        assert_eq!(wrong_field(&dana.api("POST", "keys").json(&body).send()), "expires_at", "{days}");
    }
    let date = json!({ "name": "ci", "expires_at": "2040-01-01T00:00:00Z" });
    assert_eq!(wrong_field(&dana.api("POST", "keys").json(&date).send()), "expires_at");
}

#[test]
fn members_have_up_to_three_keys() {
    let (server, owner) = under("userplane");
    let (dana, eli) = (owner.add(&server, "developer"), owner.add(&server, "developer"));
    let keys: Vec<_> = (0..3).map(|_| dana.make(&json!({}))).collect();
    problem(&dana.api("POST", "keys").json(&json!({})).send(), 409, "KEY_LIMIT_REACHED");
    // Another member has three keys of their own.
    eli.make(&json!({}));
    // A member cannot change another member's key.
    let path = format!("keys/{}/revoke", text(&keys[0]["id"]));
    problem(&eli.api("POST", &path).send(), 403, "ROLE_REQUIRED");
    let revoked = dana.api("POST", &path).json(&json!({ "reason": "left the project" })).send().expect(200);
    assert_eq!(
        (text(&revoked["status"]), text(&revoked["revoked_reason"])),
        ("revoked".into(), "left the project".into())
    );
    assert_error(&server.exchange(&text(&keys[0]["secret"]), &[]), 401, "API_KEY_INVALID");
    dana.make(&json!({}));
    problem(&dana.api("POST", "keys").json(&json!({})).send(), 409, "KEY_LIMIT_REACHED");
    // The list shows the state of each key.
    let list = dana.api("GET", &format!("keys?owner={}", dana.id)).send().expect(200);
    let mut states: Vec<_> = list["items"].as_array().unwrap().iter().map(|key| text(&key["status"])).collect();
    states.sort_unstable();
    assert_eq!(states, ["active", "active", "active", "revoked"]);
}

#[test]
fn rotation_keeps_the_slot_and_ends_the_old_secret() {
    let (server, owner) = under("userplane");
    let dana = owner.add(&server, "developer");
    let keys: Vec<_> = (0..3).map(|_| dana.make(&json!({ "name": "old" }))).collect();
    let (id, old) = (text(&keys[1]["id"]), text(&keys[1]["secret"]));
    let token = text(&server.exchange(&old, &[]).expect(200)["access_token"]);

    // With all three slots in use a key can still be rotated.
    let wish = json!({ "name": "new", "expires_in_seconds": 30 * DAY });
    let rotated = dana.api("POST", &format!("keys/{id}/rotate")).json(&wish).send().expect(200);
    assert_eq!((text(&rotated["id"]), text(&rotated["name"])), (id.clone(), "new".into()));
    assert!(rotated["expires_at"].is_string() && rotated["rotated_at"].is_string());
    let new = text(&rotated["secret"]);
    assert!(new.starts_with("uspl_") && new != old);

    // The old key and its tokens are invalid immediately; the new key works.
    assert_error(&server.exchange(&old, &[]), 401, "API_KEY_INVALID");
    problem(&server.me(&token), 401, "API_KEY_INVALID");
    server.exchange(&new, &[]).expect(200);

    // No additional slots, no grace period, and no lifetime that the policy does not allow.
    problem(&dana.api("POST", "keys").json(&json!({})).send(), 409, "KEY_LIMIT_REACHED");
    let rotate = |wish| dana.api("POST", &format!("keys/{id}/rotate")).json(&wish).send();
    assert_eq!(wrong_field(&rotate(json!({ "grace_seconds": 60 }))), "grace_seconds");
    assert_eq!(wrong_field(&rotate(json!({ "expires_in_seconds": 45 * DAY }))), "expires_at");
    server.exchange(&new, &[]).expect(200);
}
