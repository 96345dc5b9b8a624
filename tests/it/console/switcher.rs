//! Sessions in several organizations, and switching between them.

use serde_json::json;

use crate::support::console::{filled, text};
use crate::support::person::start;
use crate::support::{Answer, Person, Server, Visitor, field};

const SESSION: &str = "keyturn_session";
const OTHERS: &str = "keyturn_others";
const PASSWORD: &str = "correct horse battery staple";

/// Creates an organization whose owner has this login, and returns the owner's password.
fn organization(by: &Person, slug: &str, email: &str) -> String {
    let body = json!({ "slug": slug, "name": format!("The {slug}"), "owner_email": email });
    let made = by.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    made["owner"]["password"].as_str().unwrap().to_owned()
}

/// Signs in to another organization in the same browser.
#[track_caller]
fn sign_in(visitor: &mut Visitor, slug: &str, email: &str, password: &str) -> Answer {
    let answer = visitor.try_sign_in(&format!("/sign-in?organization={slug}"), slug, email, password);
    assert_eq!(answer.status, 303, "{}", text(&answer.text()));
    answer
}

/// The slug of the organization in which the browser is, and those to which it can switch.
fn places(visitor: &Visitor) -> (String, Vec<String>) {
    let html = visitor.page("/account");
    let here = html.split("id=\"here\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let menu = html.split("action=\"/console/switch\"").nth(1).map(|rest| rest.split("</form>").next().unwrap());
    let others = menu.into_iter().flat_map(|menu| menu.split("name=\"organization\" value=\"").skip(1));
    (here, others.map(|rest| rest.split('"').next().unwrap().to_owned()).collect())
}

#[track_caller]
fn switch(visitor: &mut Visitor, slug: &str) -> String {
    let answer = visitor.submit("/account", "/switch", &[("organization", slug)]);
    visitor.keep_cookies(&answer);
    let to = visitor.led_to(&answer);
    assert_eq!(to, "/overview");
    visitor.read(&to)
}

/// A server with organizations `default`, `acme` and `zeta`, in which one person owns everything, and that person's
/// browser, signed in to all three, `zeta` last.
fn at_three() -> (Server, Person, Visitor) {
    let (server, owner) = start();
    let mut visitor = Visitor::of(&server, &owner);
    for slug in ["acme", "zeta"] {
        let password = organization(&owner, slug, &owner.email);
        sign_in(&mut visitor, slug, &owner.email, &password);
    }
    (server, owner, visitor)
}

#[test]
fn one_browser_switches_between_organizations() {
    let (_server, owner, mut visitor) = at_three();
    assert_eq!(places(&visitor), ("zeta".into(), vec!["acme".into(), "default".into()]));
    let before = visitor.jar[SESSION].clone();
    assert!(switch(&mut visitor, "default").contains("You are now in default."));
    assert_ne!(visitor.jar[SESSION], before);
    assert_eq!(places(&visitor), ("default".into(), vec!["zeta".into(), "acme".into()]));
    assert!(visitor.read("/members").contains(&owner.email));
    assert!(switch(&mut visitor, "zeta").contains("You are now in The zeta."));
    assert_eq!(visitor.jar[SESSION], before, "the session in it is still the same");
}

#[test]
fn sign_in_links_of_other_organizations_show_the_form() {
    let (server, owner, mut visitor) = at_three();
    assert_eq!(visitor.led_to(&visitor.get("/sign-in?organization=zeta")), "/overview", "the current one");
    let html = visitor.page("/sign-in?organization=acme");
    assert!(text(&html).contains("You are signed in to zeta.") && html.contains("value=\"acme\""), "{html}");
    assert!(html.contains(&format!("value=\"{}\"", owner.email)) && text(&html).contains("Switch to acme"), "{html}");
    let form = filled(&html, "/console/switch", &[("organization", "acme")]);
    visitor.keep_cookies(&visitor.post("/switch").form_text(form).send());
    assert_eq!(places(&visitor).0, "acme");
    // Without a session, the page fills in the organization of the last sign-in.
    visitor.jar.remove(SESSION);
    assert!(visitor.page("/sign-in").contains("value=\"acme\""));
    assert!(!Visitor::new(&server).page("/sign-in").contains("value=\"acme\""));
}

#[test]
fn sign_out_ends_only_the_current_session() {
    let (server, _, mut visitor) = at_three();
    let ended = visitor.clone();
    let answer = visitor.submit("/account", "/sign-out", &[]);
    visitor.keep_cookies(&answer);
    let says = visitor.read(&visitor.led_to(&answer));
    assert!(says.contains("Signed out of The zeta. You are still signed in to The acme."), "{says}");
    assert!(ended.led_to(&ended.get("/account")).starts_with("/sign-in"), "its cookie is worth nothing");
    assert_eq!(places(&visitor), ("acme".into(), vec!["default".into()]));
    for _ in 0..2 {
        visitor.keep_cookies(&visitor.submit("/account", "/sign-out", &[]));
    }
    assert!(!visitor.jar.contains_key(SESSION) && !visitor.jar.contains_key(OTHERS));
    assert_eq!(Visitor::new(&server).get("/account").status, 303);
}

#[test]
fn sign_out_everywhere_ends_all_sessions() {
    let (server, owner, mut visitor) = at_three();
    let phone = Visitor::of(&server, &owner);
    let mut at = vec![visitor.clone()];
    for slug in ["acme", "default", "zeta"] {
        switch(&mut visitor, slug);
        at.push(visitor.clone());
    }
    let answer = visitor.submit("/account", "/sign-out-everywhere", &[]);
    assert_eq!(visitor.led_to(&answer), "/sign-in?organization=zeta");
    visitor.keep_cookies(&answer);
    assert!(!visitor.jar.contains_key(SESSION) && !visitor.jar.contains_key(OTHERS));
    for browser in at.iter().chain([&phone]) {
        assert!(browser.led_to(&browser.get("/account")).starts_with("/sign-in"), "every session ended");
    }
    assert!(!owner.is_signed_in(), "also that of the API");
    let log = server.api("GET", "audit?action=session.end").send().expect(200);
    assert_eq!(log["items"][0]["new"]["session"], "all", "{log}");
}

#[test]
fn forms_of_one_organization_change_no_other() {
    let (_server, _, mut visitor) = at_three();
    let form = filled(&visitor.page("/members/new"), "/console/members/new", &[("email", "eve@example.org")]);
    switch(&mut visitor, "acme");
    let answer = visitor.post("/members/new").form_text(&form).send();
    assert_eq!(answer.status, 403, "{}", text(&answer.text()));
    assert!(text(&answer.text()).contains("nothing was changed"));
    assert!(!visitor.read("/members").contains("eve@example.org"));
    // Neither a link nor a foreign page switches.
    assert_eq!(visitor.get("/switch").status, 405);
    let form = filled(&visitor.page("/account"), "/console/switch", &[("organization", "zeta")]);
    let foreign = visitor.request("POST", "/switch").header("Sec-Fetch-Site", "cross-site").form_text(&form);
    assert_eq!(foreign.send().status, 403);
    assert_eq!(visitor.post("/switch").form(&[("organization", "zeta")]).send().status, 403, "without a token");
    assert_eq!(places(&visitor).0, "acme");
}

#[test]
fn held_sessions_cannot_be_planted_or_moved() {
    let (server, owner, visitor) = at_three();
    // The cookie belongs to one session: in another browser of the same person it holds nothing.
    let mut other = Visitor::of(&server, &owner);
    other.jar.insert(OTHERS.into(), visitor.jar[OTHERS].clone());
    assert_eq!(places(&other), ("default".into(), vec![]));
    let answer = other.submit("/account", "/sign-out", &[]);
    assert!(other.led_to(&answer).starts_with("/sign-in"), "there is nothing to continue in");
    // Nor can it be invented or changed.
    let changed = visitor.jar[OTHERS].replacen('.', ".A", 1);
    for forged in ["", "x.y", &"A".repeat(43), &changed] {
        let mut victim = visitor.clone();
        victim.jar.insert(OTHERS.into(), forged.to_owned());
        assert_eq!(places(&victim), ("zeta".into(), vec![]), "{forged}");
    }
    // Alone it opens nothing.
    let mut bare = Visitor::new(&server);
    bare.jar.insert(OTHERS.into(), visitor.jar[OTHERS].clone());
    assert!(bare.led_to(&bare.get("/account")).starts_with("/sign-in"));
}

#[test]
fn sessions_of_another_person_are_not_held() {
    let (server, owner) = start();
    let password = organization(&owner, "acme", "eve@acme.example");
    let mut visitor = Visitor::of(&server, &owner);
    let before = visitor.clone();
    sign_in(&mut visitor, "acme", "eve@acme.example", &password);
    assert_eq!(places(&visitor), ("acme".into(), vec![]));
    assert!(!visitor.jar.contains_key(OTHERS));
    assert!(before.read("/account").contains(&owner.email), "the other person's session is not touched");
}

#[test]
fn ended_sessions_are_not_entered() {
    let (_server, owner, mut visitor) = at_three();
    // The session in `default` ends elsewhere: a new password ends the others.
    let body = json!({ "current_password": owner.password, "new_password": PASSWORD });
    assert_eq!(owner.call("POST", "/api/v1/me/password").json(&body).send().status, 204);
    let answer = visitor.submit("/account", "/switch", &[("organization", "default")]);
    assert_eq!(visitor.led_to(&answer), "/sign-in?organization=default");
    visitor.keep_cookies(&answer);
    assert_eq!(places(&visitor), ("zeta".into(), vec!["acme".into()]));
    // Signing in again to an organization replaces the session in it.
    sign_in(&mut visitor, "default", &owner.email, PASSWORD);
    let earlier = visitor.clone();
    visitor.try_sign_in("/sign-in?another=1", "default", &owner.email, PASSWORD);
    assert_eq!(places(&visitor), ("default".into(), vec!["zeta".into(), "acme".into()]));
    assert!(earlier.led_to(&earlier.get("/account")).starts_with("/sign-in"), "the earlier one ended");
}

#[test]
fn a_browser_holds_at_most_five_sessions() {
    let (server, owner, mut visitor) = at_three();
    for slug in ["a", "b", "c"] {
        let password = organization(&owner, slug, &owner.email);
        sign_in(&mut visitor, slug, &owner.email, &password);
    }
    let (here, others) = places(&visitor);
    assert_eq!((here.as_str(), others.join(" ").as_str()), ("c", "b a zeta acme"));
    let log = server.api("GET", "audit?action=session.end").send().expect(200);
    assert_eq!(field(&log["items"], "action"), ["session.end"], "the oldest one ended");
    assert!(visitor.jar[OTHERS].len() < 1024);
}

#[test]
fn operators_see_the_organizations_that_they_manage() {
    let (server, owner) = start();
    assert!(!Visitor::of(&server, &owner).page("/account").contains("class=\"switcher\""), "there is only one");
    for n in 0..10 {
        organization(&owner, &format!("tenant-{n}"), "boss@example.org");
    }
    let html = Visitor::of(&server, &owner).page("/account");
    assert!(html.contains("/console/organizations/tenant-7\"") && !html.contains("/console/organizations/tenant-8\""));
    assert!(text(&html).contains("All 11 organizations"));
    let admin = Visitor::of(&server, &owner.add(&server, "admin")).page("/account");
    assert!(admin.contains("class=\"switcher\"") && !admin.contains("tenant-"), "they do not manage organizations");
}
