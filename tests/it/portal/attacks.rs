//! Attacks on the portal.

use serde_json::{Value, json};

use super::{create, create_key, customer_in_portal, full, open, path_of};
use crate::customers::new_customer;
use crate::support::console::{Visitor, filled};
use crate::support::server::unique;
use crate::support::{Answer, Server};

/// Submits the button of a session's URL.
fn press(browser: &Visitor, session: &Value) -> Answer {
    let code = path_of(session).replace("/open/", "");
    browser.post("/open").form(&[("code", &code)]).send()
}

#[test]
fn code_opens_one_session_once() {
    let server = Server::start();
    let session = create(&server, &new_customer(&server), &full());
    let (thief, late) = (Visitor::in_portal(&server, "default"), Visitor::in_portal(&server, "default"));
    for _ in 0..3 {
        assert!(late.read(&path_of(&session)).contains("Continue"), "looking at the page does not use the URL up");
    }
    let mut owner = late.clone();
    let opened = press(&owner, &session);
    assert_eq!(opened.status, 303);
    owner.keep_cookies(&opened);
    assert_eq!(press(&thief, &session).status, 410);
    assert_eq!(thief.get(&path_of(&session)).status, 410);
    assert!(thief.jar.is_empty() && owner.get("/keys").status == 200);
    assert_eq!(owner.led_to(&owner.get(&path_of(&session))), "/keys", "its own browser goes on");
    let (_, other) = customer_in_portal(&server);
    assert_eq!(other.get(&path_of(&session)).status, 410, "another session does not");
}

#[test]
fn concurrent_requests_with_one_code_open_one_session() {
    let server = Server::start();
    let session = create(&server, &new_customer(&server), &full());
    let opened: usize = std::thread::scope(|scope| {
        let press = || usize::from(press(&Visitor::in_portal(&server, "default"), &session).status == 303);
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(press)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(opened, 1);
}

#[test]
fn session_is_never_one_that_somebody_chose() {
    let server = Server::start();
    let session = create(&server, &new_customer(&server), &full());
    let mut victim = Visitor::in_portal(&server, "default");
    let planted = "A".repeat(43);
    victim.jar.insert("keyturn_portal_default".into(), planted.clone());
    assert_eq!(victim.get("/keys").status, 401);
    let opened = press(&victim, &session);
    victim.keep_cookies(&opened);
    assert_ne!(victim.jar["keyturn_portal_default"], planted);
    let mut attacker = Visitor::in_portal(&server, "default");
    attacker.jar.insert("keyturn_portal_default".into(), planted);
    assert_eq!(attacker.get("/keys").status, 401);
    // The code is not a cookie either.
    let code = path_of(&create(&server, &new_customer(&server), &full())).replace("/open/", "");
    attacker.jar.insert("keyturn_portal_default".into(), code);
    assert_eq!(attacker.get("/keys").status, 401);
}

#[test]
fn other_sites_cannot_submit_forms() {
    let server = Server::start();
    let (_, browser) = customer_in_portal(&server);
    let (id, _) = create_key(&browser, "mine");
    let path = format!("/keys/{id}/revoke");
    let form = filled(&browser.page(&path), &browser.link(&path), &[]);
    let session = create(&server, &new_customer(&server), &full());
    let code = path_of(&session).replace("/open/", "");
    for (name, value) in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example"), ("Origin", "null")] {
        let foreign = browser.request("POST", &path).header(name, value).form_text(&form).send();
        assert_eq!(foreign.status, 403, "{name}: {value}");
        // No victim gets into the session of an attacker.
        let fixed = browser.request("POST", "/open").header(name, value).form(&[("code", &code)]).send();
        assert_eq!(fixed.status, 403, "{name}: {value}");
    }
    let bare = browser.request("POST", &path).form_text(&form).send();
    assert_eq!(bare.status, 403, "without a word from the browser");
    let (_, other) = customer_in_portal(&server);
    for forged in
        ["csrf=", &form.replace("csrf=", "csrf=A"), &filled(&other.page("/keys"), &other.link("/sign-out"), &[])]
    {
        assert_eq!(browser.post(&path).form_text(forged).send().status, 403, "{forged}");
    }
    let shown = server.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!(shown["status"], "active");
}

#[test]
fn keys_of_others_do_not_exist() {
    let server = Server::start();
    let (_, attacker) = customer_in_portal(&server);
    let (victim, theirs) = customer_in_portal(&server);
    let of_victim = create_key(&theirs, "theirs").0;
    let of_organization = server.make(&json!({})).id;
    let own = create_key(&attacker, "own").0;
    for id in [&of_victim, &of_organization, &"0".repeat(16), &victim] {
        for page in ["", "/rotate", "/revoke"] {
            assert_eq!(attacker.get(&format!("/keys/{id}{page}")).status, 404, "{page}");
        }
        for change in ["rotate", "revoke"] {
            let path = format!("/keys/{own}/{change}");
            let form = filled(&attacker.page(&path), &attacker.link(&path), &[]);
            let answer = attacker.post(&format!("/keys/{id}/{change}")).form_text(form).send();
            assert_eq!(answer.status, 404, "{change}");
        }
    }
    for id in [&of_victim, &of_organization] {
        let shown = server.api("GET", &format!("keys/{id}")).send().expect(200);
        assert_eq!((&shown["status"], &shown["version"]), (&json!("active"), &json!(1)));
    }
    assert!(!attacker.read("/keys").contains("theirs"));
    // Fields that the form does not have change nothing.
    let fields = [("name", "k"), ("customer", victim.as_str()), ("owner", "organization"), ("scopes", "write:*")];
    let page = attacker.submit("/keys/new", "/keys/new", &fields);
    let (id, _) = super::shown_secret(&page.text());
    let shown = server.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_ne!(shown["customer"], victim.as_str());
    assert_eq!(shown["scopes"], json!([{ "action": "read", "resource": "*" }]));
}

#[test]
fn capabilities_cannot_be_exceeded() {
    let server = Server::start();
    let customer = new_customer(&server);
    let full_browser = open(&server, &create(&server, &customer, &full()));
    let id = create_key(&full_browser, "mine").0;
    let allowed = [
        ("create", "/keys/new".to_owned()),
        ("rotate", format!("/keys/{id}/rotate")),
        ("revoke", format!("/keys/{id}/revoke")),
    ];
    for (name, _) in &allowed {
        let mut body = json!({ "capabilities": [name] });
        if *name == "create" {
            body["scopes"] = json!(["read:*"]);
        }
        let browser = open(&server, &create(&server, &customer, &body));
        let listed = browser.page("/keys");
        for (other, path) in &allowed {
            let is_allowed = name == other;
            assert_eq!(listed.contains(&browser.link(path)), is_allowed, "{name}: {other}");
            assert_eq!(browser.get(path).status == 200, is_allowed, "{name}: {other}");
            if is_allowed {
                continue;
            }
            // A valid form with the token of this session.
            let token = filled(&listed, &browser.link("/sign-out"), &[]);
            let form = filled(&full_browser.page(path), &full_browser.link(path), &[("name", "k")]);
            let form: Vec<&str> = form.split('&').filter(|pair| !pair.starts_with("csrf=")).collect();
            let form = format!("{token}&{}", form.join("&"));
            assert_eq!(browser.post(path).form_text(form).send().status, 403, "{name}: {other}");
        }
    }
    let shown = server.api("GET", &format!("keys/{id}")).send().expect(200);
    assert_eq!((&shown["status"], &shown["version"]), (&json!("active"), &json!(1)));
}

#[test]
fn key_with_more_rights_than_the_creator_is_not_rotated() {
    let server = Server::start();
    let customer = new_customer(&server);
    let creator = server.make_with("write:keyturn/customers write:keyturn/keys read:*");
    let path = format!("customers/{customer}/portal-sessions");
    let browser = open(&server, &server.api_as(&creator.text, "POST", &path).json(&full()).send().expect(201));
    for scopes in ["write:a", "read:keyturn/keys"] {
        let strong = server.make(&json!({ "customer": customer, "scopes": [scopes] }));
        let rotate = format!("/keys/{}/rotate", strong.id);
        let answer = browser.submit(&rotate, &rotate, &[]);
        assert_eq!(answer.status, 422, "{scopes}");
        server.exchange(&strong.text, &[]).expect(200);
    }
    // Even if the creator has the rights of management.
    let browser = open(&server, &create(&server, &customer, &full()));
    let strong = server.make(&json!({ "customer": customer, "scopes": ["read:keyturn/keys"] }));
    let rotate = format!("/keys/{}/rotate", strong.id);
    assert_eq!(browser.submit(&rotate, &rotate, &[]).status, 422);
}

#[test]
fn cookie_of_the_portal_is_none_of_the_console_or_the_api() {
    let server = Server::start();
    let (_, browser) = customer_in_portal(&server);
    let secret = browser.jar["keyturn_portal_default"].clone();
    for name in ["keyturn_portal_default", "keyturn_session"] {
        let cookie = format!("{name}={secret}");
        let console = server.get("/console/keys").header("Cookie", &cookie).send();
        assert_eq!(console.status, 303);
        assert_eq!(server.get("/api/v1/me").header("Cookie", &cookie).send().status, 401);
    }
    assert_eq!(server.me(&secret).status, 401);
}

#[test]
fn links_lead_only_to_listed_sites() {
    let server = Server::start();
    server.api("PUT", "portal").json(&json!({ "return_origins": ["https://app.example"] })).send().expect(200);
    let customer = new_customer(&server);
    for wrong in [
        "https://evil.example",
        "https://app.example.evil.example",
        "https://app.example@evil.example",
        "https://app.example:444/",
        "http://app.example/",
        "//evil.example",
        "/\\evil.example",
        "https:\\\\evil.example",
        "data:text/html,x",
    ] {
        let body = json!({ "capabilities": ["read"], "return_url": wrong });
        crate::support::check::wrong_field(&super::try_create(&server, &customer, &body), "return_url");
    }
    let browser = open(&server, &create(&server, &customer, &super::body()));
    for query in ["?return_url=https://evil.example", "?next=//evil.example", "?url=javascript:alert(1)"] {
        assert!(!browser.page(&format!("/keys{query}")).contains("evil.example"), "{query}");
    }
    // A query cannot choose the page after a change either.
    let answer =
        browser.submit("/keys", "/sign-out", &[("next", "https://evil.example"), ("return_url", "//evil.example")]);
    assert_eq!(browser.led_to(&answer), "/ended");
}

#[test]
fn texts_are_escaped() {
    let server = Server::start();
    let evil = "<script>alert(1)</script>\"'";
    server.api("PUT", "portal").json(&json!({ "name": evil, "text": evil })).send().expect(200);
    let body = json!({ "external_id": unique(), "name": evil });
    let made = server.api("POST", "customers").json(&body).send().expect(201);
    let session = create(&server, made["id"].as_str().unwrap(), &full());
    let shown = Visitor::in_portal(&server, "default").page(&path_of(&session));
    let browser = open(&server, &session);
    create_key(&browser, evil);
    for html in [shown, browser.page("/keys"), browser.page("/keys/new")] {
        assert!(!html.contains("<script>alert") && html.contains("&#60;script&#62;"), "{html}");
    }
}

#[test]
fn key_is_never_granted_what_was_not_chosen() {
    let server = Server::start();
    let api =
        json!({ "name": "ship", "audience": "https://ship.example", "scopes": [{ "scope": "a" }, { "scope": "b" }] });
    server.api("POST", "apis").json(&api).send().expect(201);
    let customer = new_customer(&server);
    let session = json!({ "apis": [{ "api": "ship", "scopes": ["a", "b"] }] });
    let browser = open(&server, &create(&server, &customer, &session));
    let page = browser.page("/keys/new");
    let chosen = |place| filled(&page, &browser.link("/keys/new"), &[("name", "mine"), ("grant", place)]);
    let (first, second) = (chosen("0"), chosen("1"));
    let fewer = json!({ "scopes": [{ "scope": "a" }] });
    assert_eq!(server.api("PATCH", "apis/ship").json(&fewer).send().status, 200);
    let refused = browser.post("/keys/new").form_text(&second).send();
    assert_eq!(refused.status, 422, "the API no longer has the scope");
    assert!(refused.text().contains("no longer available"), "{}", refused.text());
    assert!(!browser.read("/keys/new").contains("ship.b"));
    assert_eq!(server.api("DELETE", "apis/ship").send().status, 204);
    assert_eq!(browser.post("/keys/new").form_text(&first).send().status, 422, "the API is gone");
    let keys = server.api("GET", &format!("keys?customer={customer}")).send().expect(200);
    assert_eq!(keys["items"], json!([]));
    for nothing in [json!({ "scopes": [] }), json!({ "apis": [] })] {
        crate::support::check::problem(&super::try_create(&server, &customer, &nothing), 422, "VALIDATION_FAILED");
    }
}

#[test]
fn changed_frame_settings_lock_no_browser_out() {
    let server = Server::start();
    let (customer, mut browser) = customer_in_portal(&server);
    for origins in [json!(["https://app.example"]), json!([])] {
        server.api("PUT", "portal").json(&json!({ "frame_origins": origins })).send().expect(200);
        assert_eq!(browser.get("/keys").status, 200, "the session before the change");
        let earlier = browser.clone();
        let opened = press(&browser, &create(&server, &customer, &full()));
        browser.keep_cookies(&opened);
        assert_eq!(browser.get("/keys").status, 200, "a session after it");
        assert_eq!(earlier.get("/keys").status, 401, "the replaced session has ended");
    }
}
