//! Getting started.

use serde_json::json;

use crate::support::person::start;
use crate::support::server::scope_list;
use crate::support::{Visitor, eventually};

#[test]
fn each_step_knows_when_it_is_done() {
    let (server, owner) = start();
    let mut visitor = Visitor::of(&server, &owner);
    let says = visitor.read("/welcome");
    for step in [
        "1 of 7 done",
        "Choose your own password To do",
        "Make the signing key Done",
        "Look at the policy To do",
        "Add the others To do",
        "Make a key To do",
        "Get a token with it To do",
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
    assert!(says.contains("Your password is changed.") && says.contains("Choose your own password Done"), "{says}");
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
    for step in ["Add the others Done", "Look at the policy Done", "Make a key Done", "Get a token with it To do"] {
        assert!(says.contains(step), "{step} in {says}");
    }
    let token = server.token(&key, &[]);
    eventually("the exchange to be counted", || {
        visitor.read("/welcome").contains("Get a token with it Done").then_some(())
    });
    assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    eventually("the check to be counted", || visitor.read("/welcome").contains("Connect a gateway Done").then_some(()));
    assert!(visitor.read("/welcome").contains("All of this is done."));
}

#[test]
fn everybody_sees_what_concerns_them() {
    let (server, owner) = start();
    let viewer = Visitor::of(&server, &owner.add(&server, "viewer")).read("/welcome");
    assert!(viewer.contains("0 of 1 done") && viewer.contains("To make keys you need the role developer"), "{viewer}");
    let ada = owner.add(&server, "developer");
    let visitor = Visitor::of(&server, &ada);
    owner.make(&json!({ "name": "of another" }));
    let says = visitor.read("/welcome");
    assert!(says.contains("0 of 4 done") && says.contains("Make a key To do"), "their own key is what counts: {says}");
    assert!(!says.contains("Set the policy") && !says.contains("Add members"), "{says}");
    ada.make(&json!({ "name": "their own" }));
    assert!(visitor.read("/welcome").contains("Make a key Done"));
    let admin = Visitor::of(&server, &owner.add(&server, "admin")).read("/welcome");
    assert!(admin.contains("of 7 done"), "{admin}");
}

#[test]
fn a_password_that_is_refused_here_comes_back_with_the_reason() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let fields = [("current_password", "wrong"), ("new_password", "correct horse battery")];
    let answer = visitor.submit("/welcome", "/account/password", &fields);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("id=\"current_password-error\""), "{}", answer.text());
    assert!(visitor.read("/welcome").contains("Choose your own password To do"));
}
