//! Sign-in and sign-out.

use crate::support::console::{filled, text};
use crate::support::person::start;
use crate::support::{Answer, Place, Server, Visitor, now};

/// Returns the value and the attributes of a cookie.
#[track_caller]
fn cookie(answer: &Answer, name: &str) -> (String, Vec<String>) {
    let set = answer.headers.iter().filter(|(header, _)| header == "set-cookie").map(|(_, value)| value);
    let found: Vec<&String> = set.filter(|value| value.starts_with(&format!("{name}="))).collect();
    let [one] = found[..] else { panic!("{name}: {found:?}") };
    let mut parts = one.split("; ");
    let value = parts.next().unwrap().split_once('=').unwrap().1.to_owned();
    (value, parts.map(str::to_owned).collect())
}

const SESSION: &str = "keyturn_session";
const PAGE: &str = "keyturn_page";

#[test]
fn first_sign_in_leads_to_getting_started() {
    let (server, owner) = start();
    let mut visitor = Visitor::new(&server);
    let answer = visitor.try_sign_in("/sign-in", "", &owner.email.to_uppercase(), &owner.password);
    assert_eq!(visitor.led_to(&answer), "/welcome", "the first time");
    let account = visitor.read("/account");
    assert!(account.contains(&owner.email) && account.contains("default"), "{account}");
    assert_eq!(visitor.led_to(&visitor.get("/sign-in")), "/overview", "who is signed in is not asked again");
    assert_eq!(visitor.led_to(&visitor.get("")), "/overview");
}

#[test]
fn wrong_credentials_are_indistinguishable() {
    let (server, owner) = start();
    let mut said = Vec::new();
    for (organization, email, password) in [
        ("", owner.email.as_str(), "not the password"),
        ("", "nobody@example.org", owner.password.as_str()),
        ("nowhere", &owner.email, &owner.password),
        ("default", &owner.email, &"x".repeat(5000)),
    ] {
        let mut visitor = Visitor::new(&server);
        let answer = visitor.try_sign_in("/sign-in", organization, email, password);
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert!(!visitor.jar.contains_key(SESSION));
        let html = answer.text();
        assert!(!html.contains(password), "what was typed as a password is not sent back");
        assert!(html.contains(&format!("value=\"{email}\"")), "the login is");
        said.push(text(&html));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("Incorrect email or password."), "{}", said[0]);
}

#[test]
fn invalid_emails_are_reported_at_the_field() {
    let (server, owner) = start();
    for (organization, email, field) in
        [("", "no login", "email"), ("", "", "email"), ("No such!", "a@b", "organization")]
    {
        let answer = Visitor::new(&server).try_sign_in("/sign-in", organization, email, &owner.password);
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().contains(&format!("id=\"{field}-error\"")), "{}", answer.text());
    }
    let script = "\"><script>alert(1)</script>";
    let answer = Visitor::new(&server).try_sign_in("/sign-in", script, script, script);
    assert!(!answer.text().contains("<script>alert"), "{}", answer.text());
}

#[test]
fn attempts_are_limited() {
    let (server, owner) = start();
    let begin = now();
    let mut visitor = Visitor::new(&server);
    let mut refused = 0;
    // 30 per minute, plus some that were under way.
    let limited = loop {
        let answer = visitor.try_sign_in("/sign-in", "", &owner.email, "wrong");
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 401);
        refused += 1;
        assert!(refused <= 30 + (now() - begin + 1) / 2, "{refused} in {} s", now() - begin);
    };
    assert!(refused >= 29, "{refused}");
    let says = text(&limited.text());
    assert!(says.contains("Too many attempts. Try again in"), "{says}");
    assert_eq!(visitor.try_sign_in("/sign-in", "", &owner.email, &owner.password).status, 429);
    // The limit applies to one account only.
    assert_eq!(visitor.try_sign_in("/sign-in", "", "somebody@else.example", "wrong").status, 401);
}

#[test]
fn next_stays_in_the_console() {
    let (server, owner) = start();
    let next = |wanted: &str| {
        let page: String =
            url::form_urlencoded::Serializer::new("/sign-in?".to_owned()).append_pair("next", wanted).finish();
        let mut visitor = Visitor::new(&server);
        let answer = visitor.try_sign_in(&page, "", &owner.email, &owner.password);
        visitor.led_to(&answer)
    };
    assert_eq!(next("/console/members?search=ada"), "/welcome?next=%2Fconsole%2Fmembers%3Fsearch%3Dada");
    for foreign in [
        "https://evil.example/console",
        "//evil.example/console",
        "/\\evil.example",
        "\\\\evil.example",
        "/console//evil.example",
        "/console/../api/v1/me",
        "javascript:alert(1)",
        "/console/\r\nSet-Cookie: a=b",
        "/api/v1/me",
        "/consolevil",
    ] {
        assert_eq!(next(foreign), "/welcome", "{foreign}");
    }
}

#[test]
fn session_fixation_is_prevented() {
    let (server, owner) = start();
    let planted = "A".repeat(43);
    let mut visitor = Visitor::new(&server);
    visitor.jar.insert(SESSION.into(), planted.clone());
    let answer = visitor.try_sign_in("/sign-in", "", &owner.email, &owner.password);
    assert_eq!(answer.status, 303);
    let (first, _) = cookie(&answer, SESSION);
    assert_ne!(first, planted);
    let mut attacker = Visitor::new(&server);
    attacker.jar.insert(SESSION.into(), planted);
    assert!(attacker.led_to(&attacker.get("/account")).starts_with("/sign-in"));

    // The session of another signed-in member is not taken over either.
    let viewer = owner.add(&server, "viewer");
    let other = Visitor::of(&server, &viewer);
    let mut again = Visitor::new(&server);
    let shown = again.get("/sign-in");
    again.keep_cookies(&shown);
    let given = [("organization", "default"), ("email", &owner.email), ("password", &owner.password)];
    let form = filled(&shown.text(), "/console/sign-in", &given);
    again.jar.insert(SESSION.into(), other.jar[SESSION].clone());
    let answer = again.post("/sign-in").form_text(form).send();
    assert_eq!(answer.status, 303, "{}", answer.text());
    let (second, _) = cookie(&answer, SESSION);
    assert_ne!(second, other.jar[SESSION]);
    assert_ne!(second, first, "every sign-in begins a session of its own");
    assert!(other.read("/account").contains(&viewer.email), "the other's session is still the other's");
}

#[test]
fn cookies_are_protected() {
    let (server, owner) = start();
    let mut visitor = Visitor::new(&server);
    let shown = visitor.get("/sign-in");
    let answer = visitor.try_sign_in("/sign-in", "", &owner.email, &owner.password);
    for (answer, name) in [(&shown, PAGE), (&answer, SESSION)] {
        let (value, flags) = cookie(answer, name);
        assert_eq!(value.len(), 43);
        for flag in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(flags.iter().any(|given| given == flag), "{name}: {flag} in {flags:?}");
        }
        assert!(!flags.iter().any(|flag| flag == "Secure" || flag.starts_with("Domain")), "{flags:?}");
    }
    assert_eq!(cookie(&answer, PAGE).0, "", "the page's own cookie goes");
}

#[test]
fn https_cookies_use_the_host_prefix() {
    let place = Place::new().set("KEYTURN_SERVER__PUBLIC_URL", "https://id.example/keyturn");
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let mut visitor = Visitor::new(&server);
    assert_eq!(visitor.root, "/keyturn/console");
    let shown = visitor.get("/sign-in");
    let answer = visitor.try_sign_in("/sign-in", "", &founded.email, &founded.password);
    assert_eq!(visitor.led_to(&answer), "/welcome");
    for (answer, name) in [(&shown, "__Host-keyturn-page"), (&answer, "__Host-keyturn")] {
        let (value, flags) = cookie(answer, name);
        assert_eq!(value.len(), 43);
        for flag in ["HttpOnly", "SameSite=Lax", "Path=/", "Secure"] {
            assert!(flags.iter().any(|given| given == flag), "{name}: {flag} in {flags:?}");
        }
        assert!(!flags.iter().any(|flag| flag.starts_with("Domain")), "{flags:?}");
    }
    let html = visitor.page("/account");
    assert!(html.contains("href=\"/keyturn/console/members\"") && !html.contains("=\"/console"), "{html}");
    // A cookie without the prefix is ignored.
    let mut plain = Visitor::new(&server);
    plain.jar.insert(SESSION.into(), visitor.jar["__Host-keyturn"].clone());
    assert_eq!(plain.led_to(&plain.get("/account")), "/sign-in?next=%2Fkeyturn%2Fconsole%2Faccount");
}

#[test]
fn sign_in_pages_are_tied_to_the_browser() {
    let (server, owner) = start();
    let given = [("email", owner.email.as_str()), ("password", owner.password.as_str())];
    let shown = Visitor::new(&server).get("/sign-in").text();
    let form = filled(&shown, "/console/sign-in", &given);
    let mut other = Visitor::new(&server);
    // Without the cookie, and with the cookie of another browser.
    assert_eq!(other.post("/sign-in").form_text(&form).send().status, 403);
    other.keep_cookies(&other.get("/sign-in"));
    let answer = other.post("/sign-in").form_text(&form).send();
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(text(&answer.text()).contains("Try again"));
    assert_eq!(other.post("/sign-in").form(&given).send().status, 403, "without a token");
    assert!(!answer.headers.iter().any(|(_, value)| value.starts_with(SESSION)));
}

#[test]
fn cross_site_forms_change_nothing() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let form = filled(
        &visitor.page("/account"),
        "/console/account/password",
        &[("current_password", &owner.password), ("new_password", "a new password of mine")],
    );
    let origin = server.public_url.as_str();
    let cases: [&[(&str, &str)]; 9] = [
        &[],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "https://evil.example"), ("Origin", origin)],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", origin)],
        &[("Sec-Fetch-Site", "")],
        &[("Referer", origin)],
    ];
    for headers in cases {
        let request = visitor.request("POST", "/account/password").form_text(&form);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send();
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
        let page = text(&answer.text());
        assert!(page.contains("Cross-site request blocked") && page.contains("nothing was changed"), "{page}");
    }
    let mut nobody = Visitor::new(&server);
    let shown = nobody.get("/sign-in");
    nobody.keep_cookies(&shown);
    let given = [("email", owner.email.as_str()), ("password", owner.password.as_str())];
    let sign_in = filled(&shown.text(), "/console/sign-in", &given);
    for headers in cases {
        let request = nobody.request("POST", "/sign-in").form_text(&sign_in);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send();
        assert!(answer.status == 403 && !answer.headers.iter().any(|(name, _)| name == "set-cookie"), "{headers:?}");
    }
    assert_eq!(nobody.post("/sign-in").form_text(&sign_in).send().status, 303);
    Visitor::sign_in(&server, &owner.email, &owner.password);
    assert_eq!(visitor.post("/account/password").form_text(&form).send().status, 303, "from our page it is done");
}

#[test]
fn sign_out_ends_the_session() {
    let (server, owner) = start();
    let mut visitor = Visitor::of(&server, &owner);
    let kept = visitor.clone();
    let answer = visitor.submit("/account", "/sign-out", &[]);
    assert_eq!(visitor.led_to(&answer), "/sign-in");
    assert_eq!(cookie(&answer, SESSION).0, "");
    visitor.keep_cookies(&answer);
    assert!(!visitor.jar.contains_key(SESSION));
    assert_eq!(kept.led_to(&kept.get("/account")), "/sign-in?next=%2Fconsole%2Faccount", "the cookie is worth nothing");
    let says = kept.read("/sign-in?next=%2Fconsole%2Faccount");
    assert!(says.contains("Your session expired."), "{says}");
}

#[test]
fn pages_without_a_session_redirect_to_sign_in() {
    let (server, owner) = start();
    let nobody = Visitor::new(&server);
    for path in [
        "/account",
        "/account?x=a%26b",
        "/members",
        "/members/new",
        "/audit?action=key.create&actor=keyturn",
        "/organizations",
        "/organizations/new",
        "/welcome",
    ] {
        let way = nobody.led_to(&nobody.get(path));
        assert!(way.starts_with("/sign-in?next=%2Fconsole"), "{path}: {way}");
        let mut visitor = Visitor::new(&server);
        let answer = visitor.try_sign_in(&way, "", &owner.email, &owner.password);
        // The password is the given one, so Getting started comes first, and leads on.
        let to = visitor.page(&visitor.led_to(&answer));
        assert!(
            path == "/welcome" || to.contains(&format!("href=\"/console{}\"", path.replace('&', "&#38;"))),
            "{path}"
        );
        visitor.page(path);
    }
    // Forms are not resubmitted after sign-in.
    let answer = nobody.post("/account/password").form(&[("new_password", "a password of mine")]).send();
    assert_eq!(nobody.led_to(&answer), "/sign-in?ended=1");
    assert!(server.get("/").send().header("location").unwrap().ends_with("/console/overview"));
}

#[test]
fn a_browser_that_signed_in_before_is_not_locked_out_by_guesses_from_its_own_network() {
    let (server, owner) = start();
    let mut known = Visitor::new(&server);
    assert_eq!(known.try_sign_in("/sign-in", "", &owner.email, &owner.password).status, 303);
    known.jar.retain(|name, _| name == "keyturn_device");
    assert_eq!(known.jar.len(), 1, "the browser keeps proof of it");
    let guess = |n: u32| {
        let body = serde_json::json!({ "email": owner.email, "password": format!("a wrong guess {n}") });
        server.request("POST", "/api/v1/session").json(&body).send().status
    };
    // Another guess is allowed from time to time, so on a slow machine the limit may be over when the browser comes.
    let is_locked_out = |visitor: &Visitor| {
        (0..5).any(|_| {
            assert!((0..100).any(|n| guess(n) == 429), "guesses are limited");
            visitor.clone().try_sign_in("/sign-in", "", &owner.email, &owner.password).status == 429
        })
    };
    assert!(is_locked_out(&Visitor::new(&server)));
    assert!(!is_locked_out(&known));
    // The proof is for this login and cannot be made up.
    for proof in known.jar.values_mut() {
        proof.replace_range(..4, "AAAA");
    }
    assert!(is_locked_out(&known));
}

#[test]
fn other_methods_get_405_with_allow() {
    let server = Server::start();
    for (method, path, allowed) in [
        ("POST", "/console/keys", "GET"),
        ("PUT", "/console/keys/new", "GET, POST"),
        ("DELETE", "/console/sign-in", "GET, POST"),
        ("GET", "/console/sign-out", "POST"),
    ] {
        let answer = server.request(method, path).send();
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{method} {path}");
        assert!(answer.text().contains(&format!("only accepts {allowed}")), "{}", answer.text());
    }
}
