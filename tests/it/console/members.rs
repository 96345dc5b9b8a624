//! Members.

use serde_json::{Value, json};

use crate::support::console::{filled, text};

use crate::support::person::{start, try_sign_in};
use crate::support::server::{scope_list, unique};
use crate::support::{Person, Place, Server, Visitor, eventually};

const SCRIPT: &str = "\"><script>alert(1)</script>";

fn page_of(id: &str) -> String {
    format!("/members/{id}")
}

/// Returns the password on a page that shows it once.
#[track_caller]
fn password(html: &str) -> String {
    let (_, rest) = html.split_once("<code id=\"password\">").unwrap_or_else(|| panic!("{}", text(html)));
    rest.split('<').next().unwrap().to_owned()
}

fn audited(server: &Server, action: &str) -> Vec<Value> {
    let log = server.api("GET", &format!("audit?action={action}")).send().expect(200);
    log["items"].as_array().unwrap().clone()
}

#[test]
fn every_role_lists_and_admins_manage() {
    let (server, owner) = start();
    for (role, manages) in [("viewer", false), ("developer", false), ("admin", true), ("owner", true)] {
        let person = owner.add(&server, role);
        let visitor = Visitor::of(&server, &person);
        let html = visitor.page("/members");
        let says = text(&html);
        assert!(says.contains(&owner.email) && says.contains(&format!("{} You", person.email)), "{says}");
        assert_eq!(html.contains("/members/new"), manages, "{role}");
        let shown = visitor.page(&page_of(&owner.id));
        assert!(text(&shown).contains("Role owner"), "{}", text(&shown));
        assert_eq!(shown.contains("<h2 id=\"sessions-heading\">"), manages, "{role}");
        assert_eq!(shown.contains("/remove\""), role == "owner", "{role}");
        assert_eq!(shown.contains("Only owners can change or remove owners."), role == "admin");
        let expected = if manages { 200 } else { 403 };
        for path in
            ["/members/new", &format!("/members/{}/remove", owner.id), &format!("/members/{}/reset-password", owner.id)]
        {
            assert_eq!(visitor.get(path).status, expected, "{role} {path}");
        }
    }
}

#[test]
fn added_member_signs_in_with_the_shown_password() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let answer =
        visitor.submit("/members/new", "/members/new", &[("email", " Ada@Example.org "), ("role", "developer")]);
    let html = answer.text();
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", text(&html));
    for part in ["data-acknowledge", "data-copy=\"password\"", "I saved this password", " required"] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(html.contains(&format!("{}/console/sign-in", server.public_url)), "{html}");
    let password = password(&html);
    let ada = Visitor::sign_in(&server, "ada@example.org", &password);
    assert!(ada.read("/account").contains("ada@example.org"));
    let mut next = visitor.clone();
    next.keep_cookies(&answer);
    let says = next.read("/members?copied=yes");
    assert!(says.contains("Member added.") && says.contains("ada@example.org"), "{says}");
    assert!(!says.contains(&password));
    let row = &audited(&server, "member.create")[0];
    assert_eq!(row["new"], json!({ "email": "ada@example.org", "role": "developer" }));
    assert_eq!(row["actor"], format!("member:{}", owner.id));
}

#[test]
fn invalid_members_keep_the_typed_values() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    for (email, role, field) in [
        ("", "viewer", "email"),
        ("no login", "viewer", "email"),
        (SCRIPT, "viewer", "email"),
        (&owner.email, "viewer", "email"),
        ("a@b\u{1}", "viewer", "email"),
        (&format!("{}@b", "x".repeat(300)), "viewer", "email"),
        ("a@b", "", "role"),
        ("a@b", "king", "role"),
        ("a@b", "Owner", "role"),
    ] {
        let answer = visitor.submit("/members/new", "/members/new", &[("email", email), ("role", role)]);
        let html = answer.text();
        assert_eq!(answer.status, 422, "{email} {role}: {}", text(&html));
        assert!(html.contains(&format!("id=\"{field}-error\"")), "{email} {role}: {html}");
        assert!(!html.contains("<script>alert"), "{html}");
        let typed = filled(&html, "/console/members/new", &[]);
        let typed: Vec<_> = url::form_urlencoded::parse(typed.as_bytes()).filter(|(name, _)| name == "email").collect();
        assert_eq!(typed[0].1, email, "what was typed is still there");
    }
    assert!(audited(&server, "member.create").is_empty());
}

#[test]
fn changes_check_the_version() {
    let (server, owner) = start();
    let ada = owner.add(&server, "viewer");
    let visitor = Visitor::of(&server, &owner);
    let page = page_of(&ada.id);
    let stale = filled(&visitor.page(&page), &visitor.link(&page), &[("role", "admin")]);
    let says = visitor.done(&page, &page, &[("email", "Lovelace@example.org"), ("role", "developer")]);
    assert!(says.contains("Member updated.") && says.contains("lovelace@example.org"), "{says}");
    assert_eq!(owner.member(&ada.id)["role"], "developer");
    let row = &audited(&server, "member.change")[0];
    assert_eq!((&row["old"]["role"], &row["new"]["role"]), (&json!("viewer"), &json!("developer")));

    let answer = visitor.post(&page).form_text(&stale).send();
    assert_eq!(answer.status, 412, "{}", answer.text());
    assert!(text(&answer.text()).contains("omeone else changed"), "{}", answer.text());
    for version in ["", "x", "-1", "0", "99999999999999999999999"] {
        assert_eq!(visitor.submit(&page, &page, &[("version", version), ("role", "admin")]).status, 412, "{version}");
    }
    for (fields, field) in [
        ([("email", owner.email.as_str()), ("role", "viewer")], "email"),
        ([("email", ""), ("role", "viewer")], "email"),
        ([("email", SCRIPT), ("role", "viewer")], "email"),
        ([("email", "a@b"), ("role", "king")], "role"),
    ] {
        let answer = visitor.submit(&page, &page, &fields);
        assert_eq!(answer.status, 422, "{fields:?}");
        let html = answer.text();
        assert!(
            html.contains(&format!("id=\"{field}-error\"")) && !html.contains("<script>alert"),
            "{fields:?}: {html}"
        );
    }
    assert_eq!(owner.member(&ada.id)["role"], "developer");
    assert_eq!(audited(&server, "member.change").len(), 1);
}

#[test]
fn lower_roles_list_keys_that_exceed_them() {
    let (server, owner) = start();
    let admin = owner.add(&server, "admin");
    admin.make(&json!({ "name": "manages keys", "scopes": scope_list("write:keyturn/keys") }));
    admin.make(&json!({ "name": "reads" }));
    let visitor = Visitor::of(&server, &owner);
    let page = page_of(&admin.id);
    assert!(!visitor.read(&page).contains("manages keys"), "an admin may hand it out");
    let answer = visitor.submit(&page, &page, &[("role", "developer")]);
    assert_eq!(answer.status, 200);
    let html = answer.text();
    let says = text(&html);
    assert!(says.contains("from admin to developer") && says.contains("manages keys"), "{says}");
    assert!(!says.contains("reads"), "{says}");
    assert_eq!(owner.member(&admin.id)["role"], "admin", "nothing is done yet");
    let answer = visitor.post(&page).form_text(filled(&html, &visitor.link(&page), &[])).send();
    let says = visitor.read(&visitor.led_to(&answer));
    assert_eq!(owner.member(&admin.id)["role"], "developer");
    assert!(says.contains("One of their keys has more access than a developer can grant."), "{says}");
    assert!(says.contains("manages keys"), "{says}");
    // Without excess keys there is no confirmation.
    let other = owner.add(&server, "admin");
    visitor.done(&page_of(&other.id), &page_of(&other.id), &[("role", "viewer")]);
}

#[test]
fn last_owner_and_own_role_are_explained() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let page = page_of(&owner.id);
    assert!(visitor.read(&page).contains("This is the only owner."));
    assert!(visitor.read(&format!("{page}/remove")).contains("You can’t remove the only owner."));
    let answer = visitor.submit(&page, &page, &[("role", "admin")]);
    let confirm = answer.text();
    assert!(text(&confirm).contains("Only another admin or owner can raise your role again."), "{}", text(&confirm));
    let answer = visitor.post(&page).form_text(filled(&confirm, &visitor.link(&page), &[])).send();
    assert_eq!(answer.status, 422);
    let says = text(&answer.text());
    assert!(says.contains("An organization needs at least one owner; make someone else an owner first."), "{says}");
    let form = filled(&visitor.page(&page), &visitor.link("/sign-out"), &[("version", "1")]);
    let answer = visitor.post(&format!("{page}/remove")).form_text(form).send();
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(owner.member(&owner.id)["role"], "owner");

    // With another owner, an owner can lower their role and remove themselves.
    let second = owner.add(&server, "owner");
    let visitor = Visitor::of(&server, &second);
    let page = page_of(&second.id);
    assert!(visitor.read(&page).contains("If you lower your role, only another admin or owner can raise it again."));
    let html = visitor.submit(&page, &page, &[("role", "admin")]).text();
    let answer = visitor.post(&page).form_text(filled(&html, &visitor.link(&page), &[])).send();
    assert!(visitor.next(&answer).contains("Member updated."));
    let remove = format!("{page}/remove");
    assert!(visitor.read(&remove).contains("You’ll be signed out and can’t sign in again."));
    assert_eq!(visitor.led_to(&visitor.submit(&remove, &remove, &[])), "/sign-in");
    assert!(visitor.led_to(&visitor.get("/members")).starts_with("/sign-in"));
}

#[test]
fn higher_roles_cannot_be_assigned() {
    let (server, owner) = start();
    let (admin, viewer) = (owner.add(&server, "admin"), owner.add(&server, "viewer"));
    let visitor = Visitor::of(&server, &admin);
    let page = page_of(&viewer.id);
    for path in ["/members/new", &page] {
        let html = visitor.page(path);
        assert!(html.contains("<option value=\"admin\"") && !html.contains("<option value=\"owner\""), "{path}");
    }
    let told = |answer: crate::support::Answer| {
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(text(&answer.text()).contains("Only owners can change owners."), "{}", text(&answer.text()));
    };
    told(visitor.submit("/members/new", "/members/new", &[("email", "a@b"), ("role", "owner")]));
    told(visitor.submit(&page, &page, &[("role", "owner")]));
    let token = filled(
        &visitor.page(&page),
        "/console/sign-out",
        &[("version", "1"), ("email", "a@b"), ("role", "viewer"), ("confirmed", "yes")],
    );
    for rest in ["", "/remove", "/reset-password", &format!("/sessions/{}/end", owner.session)] {
        told(visitor.post(&format!("{}{rest}", page_of(&owner.id))).form_text(&token).send());
    }
    assert!(owner.is_signed_in());
    assert_eq!(owner.member(&owner.id)["version"], 1);
    // Viewers and developers cannot change members.
    for role in ["viewer", "developer"] {
        let person = owner.add(&server, role);
        let visitor = Visitor::of(&server, &person);
        let form = filled(
            &visitor.page("/members"),
            "/console/sign-out",
            &[("version", "1"), ("email", "a@b"), ("role", role)],
        );
        for path in ["/members/new", &page, &format!("{page}/remove"), &format!("{page}/reset-password")] {
            let answer = visitor.post(path).form_text(&form).send();
            assert_eq!(answer.status, 403, "{path}");
            assert!(text(&answer.text()).contains("You need the admin role or higher"), "{}", text(&answer.text()));
        }
    }
}

#[test]
fn reset_password_is_shown_once() {
    let (server, owner) = start();
    let ada = owner.add(&server, "developer");
    let visitor = Visitor::of(&server, &owner);
    let path = format!("/members/{}/reset-password", ada.id);
    assert!(visitor.read(&path).contains("they are signed out"));
    let answer = visitor.submit(&path, &path, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let new = password(&answer.text());
    assert!(!ada.is_signed_in());
    assert_eq!(try_sign_in(&server, "default", &ada.email, &ada.password).status, 401);
    Visitor::sign_in(&server, &ada.email, &new);
    assert_eq!(audited(&server, "member.change")[0]["new"]["password"], "reset");
    // A member cannot reset their own password.
    let own = format!("/members/{}/reset-password", owner.id);
    assert!(visitor.read(&own).contains("To change your own password, go to your account."));
    let token = filled(&visitor.page(&own), "/console/sign-out", &[("version", "1")]);
    assert_eq!(visitor.post(&own).form_text(&token).send().status, 409);
    assert!(owner.is_signed_in());
}

#[test]
fn sessions_are_listed_and_ended() {
    let (server, owner) = start();
    let ada = owner.add(&server, "developer");
    let bob = owner.add(&server, "developer");
    let visitor = Visitor::of(&server, &owner);
    let end = format!("/members/{}/sessions/{}/end", ada.id, ada.session);
    assert!(visitor.done(&page_of(&ada.id), &end, &[]).contains("Session ended."));
    assert!(!ada.is_signed_in() && bob.is_signed_in());
    assert_eq!(audited(&server, "session.end").len(), 1);
    assert!(visitor.read(&page_of(&ada.id)).contains("No active sessions."));
    // A session can be ended only under its own member.
    let token = filled(&visitor.page("/members"), "/console/sign-out", &[]);
    for session in [bob.session.as_str(), "x", "%00", "no-such-session-of-any"] {
        let path = format!("/members/{}/sessions/{session}/end", ada.id);
        assert!([303, 404].contains(&visitor.post(&path).form_text(&token).send().status), "{session}");
    }
    assert!(bob.is_signed_in());
    assert_eq!(audited(&server, "session.end").len(), 1);
}

#[test]
fn removal_lists_keys_to_revoke() {
    let (server, owner) = start();
    let ada = owner.add(&server, "developer");
    let name = format!("{SCRIPT}{}", unique());
    let key = ada.make(&json!({ "name": name }));
    let disabled = ada.make(&json!({ "name": "resting" }));
    owner
        .api("POST", &format!("keys/{}/disable", disabled["id"].as_str().unwrap()))
        .json(&json!({}))
        .send()
        .expect(200);
    let gone = ada.make(&json!({ "name": "gone already" }));
    owner.api("POST", &format!("keys/{}/revoke", gone["id"].as_str().unwrap())).json(&json!({})).send().expect(200);
    owner.make(&json!({ "name": "of the owner" }));

    let visitor = Visitor::of(&server, &owner);
    let remove = format!("/members/{}/remove", ada.id);
    let html = visitor.page(&remove);
    let says = text(&html);
    assert!(says.contains(&name) && says.contains("resting") && !html.contains("<script>alert"), "{says}");
    assert!(!says.contains("gone already") && !says.contains("of the owner"), "{says}");
    assert!(says.contains("signed out immediately"), "{says}");
    assert!(ada.is_signed_in(), "looking removes nobody");
    server.exchange(key["secret"].as_str().unwrap(), &[]).expect(200);
    // The key in use: the email must be typed. Its owner is the organization then, and it works on.
    eventually("the use is counted", || visitor.read(&remove).contains("Type").then_some(()));
    for typed in ["", "somebody@example.org"] {
        let answer = visitor.submit(&remove, &remove, &[("confirmation", typed)]);
        assert!(answer.status == 422 && text(&answer.text()).contains("Type the email address exactly."), "{typed}");
    }
    assert!(ada.is_signed_in());
    let resting = format!("key-{}", disabled["id"].as_str().unwrap());
    let fields = [("confirmation", &*ada.email), ("keys", "each"), (&*resting, "revoke")];
    let says = visitor.done(&remove, &remove, &fields);
    assert!(says.contains("Member removed.") && !says.contains(&ada.email), "{says}");
    assert!(!ada.is_signed_in());
    server.exchange(key["secret"].as_str().unwrap(), &[]).expect(200);
    let shown = |id: &str| owner.api("GET", &format!("keys/{}", id.trim_start_matches("key-"))).send().expect(200);
    assert_eq!(shown(key["id"].as_str().unwrap())["owner"], serde_json::Value::Null);
    assert_eq!(shown(&resting)["status"], "revoked");
    assert_eq!(audited(&server, "member.remove").len(), 1);
    assert_eq!(visitor.get(&page_of(&ada.id)).status, 404);
}

#[test]
fn forms_need_the_csrf_token() {
    let (server, owner) = start();
    let ada = owner.add(&server, "viewer");
    let visitor = Visitor::of(&server, &owner);
    let page = page_of(&ada.id);
    for path in [
        "/members/new".to_owned(),
        page.clone(),
        format!("{page}/remove"),
        format!("{page}/reset-password"),
        format!("{page}/sessions/{}/end", ada.session),
    ] {
        for csrf in [None, Some("wrong")] {
            let mut fields = vec![("version", "1"), ("email", "a@b"), ("role", "developer")];
            fields.extend(csrf.map(|token| ("csrf", token)));
            assert_eq!(visitor.post(&path).form(&fields).send().status, 403, "{path}");
        }
        let form = filled(
            &visitor.page(&page),
            "/console/sign-out",
            &[("version", "1"), ("email", "a@b"), ("role", "developer")],
        );
        let foreign = visitor.request("POST", &path).header("Sec-Fetch-Site", "cross-site").form_text(&form);
        assert_eq!(foreign.send().status, 403, "{path}");
    }
    assert!(ada.is_signed_in());
    assert_eq!(owner.member(&ada.id)["version"], 1);
}

#[test]
fn other_organizations_are_hidden() {
    let place = Place::new();
    let acme = place.init(&["--organization", "acme"]);
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let stranger = Person::sign_in(&server, "acme", &acme.email, &acme.password);
    let visitor = Visitor::sign_in(&server, &founded.email, &founded.password);
    let token = filled(
        &visitor.page("/members"),
        "/console/sign-out",
        &[("version", "1"), ("role", "viewer"), ("email", "a@b")],
    );
    let wrong = [stranger.id.as_str(), "x", "..", "%00", "no-such-member-is-here"];
    for id in wrong {
        for rest in ["", "/remove", "/reset-password"] {
            let path = format!("/members/{id}{rest}");
            assert_eq!(visitor.get(&path).status, 404, "{path}");
            assert_eq!(visitor.post(&path).form_text(&token).send().status, 404, "{path}");
        }
    }
    assert!(stranger.is_signed_in());
    let visitor = Visitor::of(&server, &stranger);
    assert!(visitor.read("/members").contains(&acme.email));
    assert_eq!(visitor.page("/members").matches("<th scope=\"row\"").count(), 1, "nobody else is there");
}

#[test]
fn list_is_searched_and_paged() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    owner.api("POST", "members").json(&json!({ "email": "zoë+<b>@example.org", "role": "viewer" })).send().expect(201);
    let html = visitor.page("/members?search=%3CB%3E");
    assert!(text(&html).contains("zoë+<b>@example.org") && !html.contains("<b>"), "{html}");
    assert!(!text(&html).contains(&format!("{} You", owner.email)));
    assert!(visitor.read("/members?search=nobody").contains("No members match your search."));
    for odd in [
        "page=0",
        "page=-1",
        "page=99999999999999999999",
        "page=x",
        "search=%ff",
        "search=%00",
        "nothing=1",
        "search=a&search=b",
    ] {
        visitor.page(&format!("/members?{odd}"));
    }
}
