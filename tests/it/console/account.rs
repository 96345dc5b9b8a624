//! The member's own account.

use crate::support::Visitor;
use crate::support::console::{filled, text};
use crate::support::person::{start, try_sign_in};

const NEW: &str = "correct horse battery";

#[test]
fn changing_the_password_ends_other_sessions() {
    let (server, owner) = start();
    let (here, there) = (Visitor::of(&server, &owner), Visitor::of(&server, &owner));
    let fields = [("current_password", owner.password.as_str()), ("new_password", NEW)];
    let says = here.done("/account", "/account/password", &fields);
    assert!(says.contains("Password changed. You were signed out of your other sessions."), "{says}");
    assert!(there.led_to(&there.get("/account")).starts_with("/sign-in"));
    assert!(!owner.is_signed_in(), "sessions of the API are sessions like others");
    assert_eq!(try_sign_in(&server, "default", &owner.email, &owner.password).status, 401);
    Visitor::sign_in(&server, &owner.email, NEW);
    let log = server.api("GET", "audit?action=member.change").send().expect(200);
    assert_eq!(log["items"][0]["new"]["password"], "changed", "{log}");
    assert!(!log.to_string().contains(NEW));
}

#[test]
fn invalid_passwords_are_not_sent_back() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let own = owner.password.as_str();
    for (current, new, field) in [
        ("not mine at all", NEW, "current_password"),
        ("", NEW, "current_password"),
        (own, "short", "new_password"),
        (own, "", "new_password"),
        (own, &owner.email, "new_password"),
        (own, &"x".repeat(300), "new_password"),
    ] {
        let answer =
            visitor.submit("/account", "/account/password", &[("current_password", current), ("new_password", new)]);
        assert_eq!(answer.status, 422, "{new}: {}", answer.text());
        let html = answer.text();
        assert!(html.contains(&format!("id=\"{field}-error\"")), "{html}");
        for typed in [current, new].into_iter().filter(|typed| !typed.is_empty() && *typed != owner.email) {
            assert!(!html.contains(typed), "{typed}");
        }
    }
    Visitor::sign_in(&server, &owner.email, own);
}

#[test]
fn sessions_are_listed_and_ended() {
    let (server, owner) = start();
    let here = Visitor::of(&server, &owner);
    let there = Visitor::of(&server, &owner);
    let html = here.page("/account");
    assert!(text(&html).contains("This browser") && text(&html).contains("127.0.0.1"), "{}", text(&html));
    let ends: Vec<&str> = html.match_indices("/account/sessions/").map(|(at, _)| &html[at..at + 18 + 22]).collect();
    assert_eq!(ends.len(), 2, "there, and the one of the API; its own session has no button: {ends:?}");
    for end in &ends {
        assert!(here.done("/account", &format!("{end}/end"), &[]).contains("Session ended."));
    }
    assert!(there.led_to(&there.get("/account")).starts_with("/sign-in"));
    assert!(!here.page("/account").contains("/account/sessions/"));
    let log = server.api("GET", "audit?action=session.end").send().expect(200);
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
}

#[test]
fn sessions_of_others_cannot_be_ended() {
    let (server, owner) = start();
    let viewer = owner.add(&server, "viewer");
    let visitor = Visitor::of(&server, &viewer);
    let token = filled(&visitor.page("/account"), "/console/sign-out", &[]);
    for id in [owner.session.as_str(), "no-such-session-at-all", "..%2f..", "%00"] {
        let answer = visitor.post(&format!("/account/sessions/{id}/end")).form_text(&token).send();
        assert!([303, 404].contains(&answer.status), "{id}: {}", answer.status);
    }
    assert!(owner.is_signed_in());
    let log = server.api("GET", "audit?action=session.end").send().expect(200);
    assert!(log["items"].as_array().unwrap().is_empty(), "{log}");
}

#[test]
fn forms_need_the_csrf_token() {
    let (server, owner) = start();
    let (visitor, other) = (Visitor::of(&server, &owner), Visitor::of(&server, &owner));
    let fields = [("current_password", owner.password.as_str()), ("new_password", NEW)];
    let others = filled(&other.page("/account"), "/console/account/password", &fields);
    for body in [others, "current_password=x&new_password=y".into(), "csrf=".into(), "csrf=%22".into()] {
        let answer = visitor.post("/account/password").form_text(&body).send();
        assert_eq!(answer.status, 403, "{body}: {}", answer.text());
        assert!(text(&answer.text()).contains("othing was changed"));
    }
    for (kind, body) in [("application/json", "{}"), ("text/plain", "csrf=x"), ("", "csrf=x")] {
        assert_eq!(visitor.post("/account/password").body(kind, body).send().status, 400, "{kind}");
    }
    for body in ["csrf=%zz", "csrf=%00", "a=%ff"] {
        assert_eq!(visitor.post("/account/password").form_text(body).send().status, 400, "{body}");
    }
    Visitor::sign_in(&server, &owner.email, &owner.password);
}

#[test]
fn responses_have_security_headers() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    for (path, status) in [
        ("/account", 200),
        ("/sign-in?x", 200),
        ("/nothing", 404),
        ("/members", 200),
        ("/members/new", 200),
        ("/audit", 200),
        ("/organizations", 200),
        ("/welcome", 200),
    ] {
        let visitor = if path.starts_with("/sign-in") { Visitor::new(&server) } else { visitor.clone() };
        let answer = visitor.get(path);
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path}"));
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        let html = answer.text();
        for inline in ["<style", " style=", "<script>", " onclick=", "javascript:"] {
            assert!(!html.contains(inline), "{path}: {inline}");
        }
    }
}
