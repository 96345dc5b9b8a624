//! Getting started.

use serde_json::json;

use crate::support::person::start;
use crate::support::server::scope_list;
use crate::support::{Visitor, eventually};

#[test]
fn steps_detect_completion() {
    let (server, owner) = start();
    let mut visitor = Visitor::of(&server, &owner);
    let says = visitor.read("/welcome");
    for step in [
        "1 of 7 complete",
        "Change your temporary password To do",
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
    assert!(says.contains("Password changed.") && says.contains("Change your temporary password Done"), "{says}");
    let mut again = Visitor::new(&server);
    let answer = again.try_sign_in("/sign-in", "", &owner.email, new);
    assert_eq!(again.led_to(&answer), "/keys", "who has begun is not led here again");
    visitor = again;

    server.api("POST", "members").json(&json!({ "email": "ada@example.org", "role": "viewer" })).send().expect(201);
    let policy = server.api("GET", "policy").send().expect(200);
    let mut changed = policy.as_object().unwrap().clone();
    changed.retain(|name, _| name != "version");
    changed.insert("name_required".into(), true.into());
    server.api("PUT", "policy").json(&json!(changed)).send().expect(200);
    let key = server.make(&json!({ "scopes": scope_list("read:*") }));
    let says = visitor.read("/welcome");
    for step in ["Add your team Done", "Review the policy Done", "Create an API key Done", "Request a token To do"] {
        assert!(says.contains(step), "{step} in {says}");
    }
    let token = server.token(&key, &[]);
    eventually("the exchange to be counted", || {
        visitor.read("/welcome").contains("Request a token Done").then_some(())
    });
    assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    eventually("the check to be counted", || visitor.read("/welcome").contains("Connect a gateway Done").then_some(()));
    assert!(visitor.read("/welcome").contains("All steps complete."));
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
    assert!(admin.contains("of 7 complete"), "{admin}");
}

#[test]
fn rejected_passwords_are_explained() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let fields = [("current_password", "wrong"), ("new_password", "correct horse battery")];
    let answer = visitor.submit("/welcome", "/account/password", &fields);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("id=\"current_password-error\""), "{}", answer.text());
    assert!(visitor.read("/welcome").contains("Change your temporary password To do"));
}
