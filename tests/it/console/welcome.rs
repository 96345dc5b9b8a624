//! Getting started.

use serde_json::json;

use crate::support::console::text;
use crate::support::person::start;
use crate::support::server::scope_list;
use crate::support::{Person, Visitor, eventually};

#[test]
fn steps_detect_completion() {
    let (server, owner) = start();
    let mut visitor = Visitor::of(&server, &owner);
    let says = visitor.read("/welcome");
    for step in [
        "1 of 8 complete",
        "1 Change the printed password To do",
        "2 Replace the first key To do",
        "Create a signing key Done",
        "Review the policy To do",
        "Add your team To do",
        "Create an API key To do",
        "Request a token To do",
        "Connect a gateway To do",
    ] {
        assert!(says.contains(step), "{step} in {says}");
    }
    let line = format!(
        "curl -u \"$CLIENT_ID:$CLIENT_SECRET\" \\ -d grant_type=client_credentials \\ {}/oauth/token",
        server.public_url
    );
    assert!(says.contains(&line), "{says}");
    assert!(visitor.page("/welcome").contains("href=\"/console/keys/new\""));

    let new = "correct horse battery";
    let fields = [("current_password", owner.password.as_str()), ("new_password", new)];
    let says = visitor.done("/welcome", "/account/password", &fields);
    assert!(says.contains("Password changed.") && says.contains("Change the printed password Done"), "{says}");
    let mut again = Visitor::new(&server);
    let answer = again.try_sign_in("/sign-in", "", &owner.email, new);
    assert_eq!(again.led_to(&answer), "/welcome", "there are steps left");
    let dismissed = again.submit("/welcome", "/welcome/dismiss", &[]);
    assert!(again.next(&dismissed).contains("Getting started stays in the navigation."));
    // The dismissal belongs to the member, not to the browser.
    let viewer = Person::sign_in(&server, "default", &owner.email, new).add(&server, "viewer");
    again.jar.remove("keyturn_session");
    let answer = again.try_sign_in("/sign-in", "", &viewer.email, &viewer.password);
    assert_eq!(again.led_to(&answer), "/welcome", "another member in the same browser");
    let mut again = Visitor::new(&server);
    let answer = again.try_sign_in("/sign-in", "", &owner.email, new);
    assert_eq!(again.led_to(&answer), "/overview", "it was dismissed");
    visitor = again;

    server.api("POST", "members").json(&json!({ "email": "ada@example.org", "role": "viewer" })).send().expect(201);
    let policy = server.api("GET", "policy").send().expect(200);
    let mut changed = policy.as_object().unwrap().clone();
    changed.retain(|name, _| name != "version");
    changed.insert("name_required".into(), true.into());
    server.api("PUT", "policy").json(&json!(changed)).send().expect(200);
    let of_others = server.make(&json!({ "scopes": scope_list("read:*") }));
    server.token(&of_others, &[]);
    assert!(visitor.read("/welcome").contains("Create an API key To do"), "their own key is what counts");
    // The change of the password ended the API's session.
    let owner = Person::sign_in(&server, "default", &owner.email, new);
    let key = owner.make(&json!({ "scopes": scope_list("read:*") }));
    let key = key["secret"].as_str().unwrap().to_owned();
    let says = visitor.read("/welcome");
    for step in ["Add your team Done", "Review the policy Done", "Create an API key Done", "Request a token To do"] {
        assert!(says.contains(step), "{step} in {says}");
    }
    let token = server.exchange(&key, &[]).expect(200)["access_token"].as_str().unwrap().to_owned();
    eventually("the exchange to be counted", || {
        visitor.read("/welcome").contains("Request a token Done").then_some(())
    });
    assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    eventually("the check to be counted", || visitor.read("/welcome").contains("Connect a gateway Done").then_some(()));
    assert!(visitor.read("/welcome").contains("7 of 8 complete"));
    let keys = owner.api("GET", "keys?limit=100").send().expect(200);
    let first = keys["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    assert!(visitor.page("/welcome").contains(&format!("/console/keys/{first}/revoke")));
    visitor.done(&format!("/keys/{first}/revoke"), &format!("/keys/{first}/revoke"), &[("confirmation", "first key")]);
    assert!(visitor.read("/welcome").contains("All steps complete."));
}

#[test]
fn a_reset_password_is_a_given_one_and_a_new_role_is_not_a_new_password() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let ada = owner.add(&server, "developer");
    let says = || Visitor::of(&server, &ada).read("/welcome");
    assert!(says().contains("Change your temporary password To do"));
    let body = json!({ "role": "admin" });
    owner.api("PATCH", &format!("members/{}", ada.id)).json(&body).send().expect(200);
    assert!(says().contains("Change your temporary password To do"), "only the role changed");
    let mut own = Visitor::of(&server, &ada);
    let fields = [("current_password", ada.password.as_str()), ("new_password", "correct horse battery")];
    own.keep_cookies(&own.clone().submit("/welcome", "/account/password", &fields));
    assert!(own.read("/welcome").contains("Change your temporary password Done"));
    let path = format!("/members/{}/reset-password", ada.id);
    let answer = visitor.submit(&path, &path, &[]);
    let html = answer.text();
    let given = html.split("<code id=\"password\">").nth(1).unwrap().split('<').next().unwrap();
    let mut again = Visitor::new(&server);
    let answer = again.try_sign_in("/sign-in?next=%2Fconsole%2Fusage", "", &ada.email, given);
    assert_eq!(again.led_to(&answer), "/welcome?next=%2Fconsole%2Fusage");
    let page = again.page("/welcome?next=%2Fconsole%2Fusage");
    assert!(page.contains("<a href=\"/console/usage\">Continue to that page</a>"), "{page}");
    assert!(!again.page("/welcome?next=https%3A%2F%2Fevil.example").contains("evil"));
    assert!(again.read("/welcome").contains("Change your temporary password To do"));
}

#[test]
fn steps_depend_on_the_role() {
    let (server, owner) = start();
    let viewer = Visitor::of(&server, &owner.add(&server, "viewer")).read("/welcome");
    assert!(
        viewer.contains("0 of 1 complete") && viewer.contains("To create keys, ask an admin for the developer role."),
        "{viewer}"
    );
    let ada = owner.add(&server, "developer");
    let visitor = Visitor::of(&server, &ada);
    owner.make(&json!({ "name": "of another" }));
    let says = visitor.read("/welcome");
    assert!(
        says.contains("0 of 4 complete") && says.contains("Create an API key To do"),
        "their own key is what counts: {says}"
    );
    assert!(!says.contains("Review policy") && !says.contains("Add members"), "{says}");
    ada.make(&json!({ "name": "their own" }));
    assert!(visitor.read("/welcome").contains("Create an API key Done"));
    let admin = Visitor::of(&server, &owner.add(&server, "admin")).read("/welcome");
    assert!(admin.contains("of 8 complete"), "{admin}");
}

#[test]
fn rejected_passwords_are_explained() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let fields = [("current_password", "wrong"), ("new_password", "correct horse battery")];
    let answer = visitor.submit("/welcome", "/account/password", &fields);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("id=\"current_password-error\""), "{}", answer.text());
    assert!(text(&answer.text()).contains("Getting started"), "the page stays");
    assert!(visitor.read("/welcome").contains("Change the printed password To do"));
}
