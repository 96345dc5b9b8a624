//! Names with markup, code or misleading characters in every text field: shown as text on every page and in every export,
//! without breaking a page. Pages cannot be framed.

use serde_json::{Value, json};

use super::{at_the_console, go, reached, url};
use crate::support::person::start;
use crate::support::{Browser, Person, Server, Visitor};

/// Values that have broken other consoles. Each fits into a name.
const NAMES: &[&str] = &[
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</title></textarea></select><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}} ${7*7} {% raw %}",
    "&lt;b&gt; &#34; &amp;amp;",
    "=HYPERLINK(\"https://evil.example\")",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd} key \u{639}\u{631}\u{628}\u{64a}",
    "Wortohneendewortohneendewortohneendewortohneendewortohneendewortohneendewortohneendewortohneendewor",
    "🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑🔑",
    "-- ' OR '1'='1",
];

/// The value that shows most failures.
const SCRIPT: &str = NAMES[0];

/// Fills every text field with hostile values. Returns the ID of a key.
#[track_caller]
fn fill_everything(server: &Server, owner: &Person) -> String {
    let long_scope = format!("{}/*", "a".repeat(200));
    for name in NAMES {
        let body = json!({
            "name": name, "description": format!("{name}\n{name}\n{}", "x".repeat(600)),
            "scopes": [{ "action": "read", "resource": long_scope }, { "action": "read", "resource": "*" }],
            "allowed_cidrs": ["127.0.0.1", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"],
        });
        let made = owner.make(&body);
        server.exchange(made["secret"].as_str().unwrap(), &[("scope", "write:secrets")]);
    }
    let made = owner.make(&json!({ "name": SCRIPT }));
    let id = made["id"].as_str().unwrap();
    owner.api("POST", &format!("keys/{id}/revoke")).json(&json!({ "reason": NAMES[1] })).send().expect(200);
    // Caller addresses and requested scopes come from untrusted clients.
    server.exchange(made["secret"].as_str().unwrap(), &[("scope", SCRIPT)]);
    // The browser's name comes from its `User-Agent`.
    let body = json!({ "organization": "default", "email": owner.email, "password": owner.password });
    let agent = server.request("POST", "/api/v1/session").header("User-Agent", SCRIPT).json(&body);
    agent.send().expect(201);
    for (number, name) in NAMES.iter().enumerate() {
        // Accepted or rejected, it must not come back as markup.
        owner.api("POST", "members").json(&json!({ "email": name, "role": "viewer" })).send();
        let login = format!("\"<i>{number}</i>\"@example.org");
        owner.api("POST", "members").json(&json!({ "email": login, "role": "viewer" })).send();
        let long = format!("{}@{}.example.org", "l".repeat(60), "d".repeat(60));
        owner.api("POST", "members").json(&json!({ "email": long, "role": "viewer" })).send();
        let url = format!("https://hooks.example.org/{number}?q=%3Cscript%3E{}", "u".repeat(300));
        let hook = json!({ "url": url, "description": name, "events": ["key.*"] });
        owner.api("POST", "webhooks").json(&hook).send();
        let hook = json!({ "url": name, "description": name, "events": [name] });
        owner.api("POST", "webhooks").json(&hook).send();
        owner.call("POST", "/api/v1/organizations").json(&json!({ "slug": name, "owner_email": name })).send();
    }
    let slug = "o".repeat(40);
    owner.call("POST", "/api/v1/organizations").json(&json!({ "slug": slug, "owner_email": "a@b.example" })).send();
    let policy = owner.api("GET", "policy").send().expect(200);
    let mut wanted = policy.clone();
    wanted["audiences"] = json!([format!("https://api.example.org/{}", "p".repeat(150)), "javascript:alert(1)"]);
    wanted["actions"] = json!(["read", "write", "admin", "w".repeat(40)]);
    for read_only in ["version", "updated_at", "organization"] {
        wanted.as_object_mut().unwrap().remove(read_only);
    }
    owner.api("PUT", "policy").json(&wanted).send();
    id.to_owned()
}

#[test]
fn hostile_names_are_escaped_on_every_page() {
    let (server, owner) = start();
    let revoked = fill_everything(&server, &owner);
    let browser = at_the_console(&server, &owner).phone();
    browser.run("window.name = 'not yet'; return null", &[]);
    let pages = reached(&Visitor::of(&server, &owner), &["/keys", "/keys?status=all", &format!("/keys/{revoked}")], 2);
    let (mut looked_at, mut wide) = (0, Vec::new());
    for (path, answer) in &pages {
        let body = answer.text();
        let kind = answer.header("content-type").unwrap_or_default();
        if !kind.starts_with("text/html") {
            // Exports are JSON or CSV, which browsers never render as a page.
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert!(kind.starts_with("application/") || kind.starts_with("text/csv"), "{path}: {kind}");
            continue;
        }
        for markup in ["<script>alert", "<img src=x", "<svg onload", "href=\"javascript:", "<i>0</i>", ">49 "] {
            assert!(!body.contains(markup), "{path} holds {markup}");
        }
        go(&browser, &server, path);
        if !browser.fits() {
            wide.push(path.clone());
        }
        assert_eq!(browser.run("return document.querySelectorAll('script, img, iframe, object').length", &[]), 1);
        looked_at += 1;
    }
    assert_eq!(wide, Vec::<String>::new(), "these are wider than a phone");
    assert!(looked_at > 40, "{looked_at}");

    // The names appear as they were typed.
    browser.open(&url(&server, "/keys?status=all&sort=name"));
    let text = browser.text();
    for name in NAMES.iter() {
        let shown = name.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&shown), "{name} in {text}");
    }
    browser.click(NAMES[1]);
    browser.see("Client ID");
    assert_eq!(browser.page().names("heading")[0], NAMES[1]);
    browser.finish();
}

#[test]
fn hostile_names_are_escaped_in_dialogs() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner).phone();
    browser.click("Create API key");
    let dialog = browser.within("Create API key");
    dialog.fill("Name", SCRIPT);
    dialog.fill("Description", &NAMES.join("\n"));
    dialog.fill("Allowed networks", SCRIPT);
    dialog.see("Line 1:");
    dialog.fill("Resource pattern for scope 1", SCRIPT);
    dialog.click("Create API key");
    browser.see("Fix th");
    let dialog = browser.within("Create API key");
    assert_eq!((dialog.value("Name"), dialog.value("Allowed networks")), (SCRIPT.to_owned(), SCRIPT.to_owned()));
    assert_eq!(dialog.value("Description"), NAMES.join("\n"));
    assert!(browser.fits());
    dialog.fill("Resource pattern for scope 1", "");
    dialog.choose("Network access", "Any network");
    dialog.click("Create API key");
    let review = browser.within("Review API key");
    review.see(SCRIPT);
    review.see("This key has no access");
    assert!(browser.fits());
    review.click("Create API key");
    browser.see(&format!("“{SCRIPT}” created"));
    assert!(browser.fits());
    browser.check("I saved this secret");
    browser.click("Continue");
    browser.see("Client ID");
    for (change, confirm) in [("Rotate", "Cancel"), ("Disable", "Disable key"), ("Enable", "Enable key")] {
        browser.click(change);
        let heading = format!("{change} “{SCRIPT}”{}", if change == "Rotate" { "" } else { "?" });
        assert!(browser.within(&heading).text().contains("Cancel"));
        browser.click(confirm);
        browser.wait("the end of the dialog", || !browser.dialog_is_open());
    }
    browser.click("Revoke");
    browser.fill("Reason", NAMES[1]);
    browser.click("Revoke key");
    browser.wait("the end of the dialog", || !browser.dialog_is_open());
    browser.see(NAMES[1]);

    // Also in the URL: searches, messages and return paths.
    for query in [
        "search=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "done=%3Cscript%3E",
        "status=%22%3E%3Csvg%20onload=alert(1)%3E",
    ] {
        go(&browser, &server, &format!("/keys?{query}"));
        assert!(browser.fits());
    }
    browser.click("Filters");
    assert_eq!(browser.value("Search"), "");
    go(&browser, &server, "/keys?search=%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
    assert_eq!(browser.value("Search"), SCRIPT);
    let stranger = Browser::new();
    stranger.open(&url(&server, "/sign-in?next=javascript:alert(1)"));
    stranger.fill("Email", &owner.email);
    stranger.fill("Password", &owner.password);
    stranger.click("Sign in");
    stranger.arrive("/console/welcome");
    stranger.finish();
    browser.finish();
}

#[test]
fn every_response_has_security_headers() {
    let (server, owner) = start();
    owner.make(&json!({ "name": "one" }));
    let visitor = Visitor::of(&server, &owner);
    let mut answers =
        reached(&visitor, &["/keys", "/nowhere", "/keys/new", "/check/networks?value=10.0.0.0/8", "/check/x"], 1);
    let html = visitor.page("/keys");
    let assets = html
        .split(['"', '#'])
        .filter_map(|part| part.strip_prefix("/console").filter(|rest| rest.starts_with("/assets/")));
    answers.extend(assets.map(|path| (path.to_owned(), visitor.get(path))));
    assert!(answers.keys().filter(|path| path.starts_with("/assets/")).count() == 4);
    answers.insert("no token".into(), visitor.post("/sign-out").form_text("").send());
    answers.insert("no session".into(), Visitor::new(&server).get("/keys"));
    answers.insert("root".into(), visitor.get(""));
    for (path, answer) in answers {
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
    }
}

#[test]
fn pages_cannot_be_framed() {
    let (server, owner) = start();
    let browser = at_the_console(&server, &owner);
    let framed = "const frame = document.createElement('iframe');
        frame.src = '/console/keys';
        return new Promise(done => { frame.onload = () => done(frame.contentDocument === null); document.body.append(frame); })";
    // Our pages allow no frames; pages of another origin do, but cannot frame ours.
    browser.open(&format!("http://{}/healthz", server.address));
    assert_eq!(browser.run(framed, &[]), Value::Bool(true));
    let complaints = browser.complaints().join("\n");
    assert!(complaints.contains("frame-ancestors"), "{complaints}");
    browser.finish();
}
