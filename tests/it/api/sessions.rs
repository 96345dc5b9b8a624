//! Signing in, what a session is good for, and how it ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::check::{problem, unsupported_media_type, wrong_field};
use crate::support::person::{start, start_in, try_sign_in};
use crate::support::{Person, Place, Server, database, eventually};

#[test]
fn a_session_is_begun_shown_and_ended() {
    let (server, owner) = start();
    let answer = try_sign_in(&server, "default", &owner.email, &owner.password);
    let body = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let set = answer.header("set-cookie").unwrap();
    let (pair, attributes) = set.split_once("; ").unwrap();
    let attributes: BTreeSet<&str> = attributes.split("; ").collect();
    assert_eq!(attributes, BTreeSet::from(["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"]), "{set}");
    let secret = pair.strip_prefix("keyturn_session=").unwrap();
    assert!(secret.len() == 43 && !answer.text().contains(secret), "only the cookie carries it");
    assert_eq!(body["member"]["role"], "owner");
    assert!(body["session"]["is_current"] == true && body["session"]["address"] == "127.0.0.1", "{body}");

    let person = owner.again(&server);
    let shown = person.call("GET", "/api/v1/session").send().expect(200);
    assert_eq!(shown["csrf_token"], person.csrf);
    let me = person.call("GET", "/api/v1/me").send().expect(200);
    assert_eq!((me["credential"].as_str(), me["member"]["email"].as_str()), (Some("session"), Some(&*owner.email)));

    let ended = person.call("DELETE", "/api/v1/session").send();
    assert_eq!(ended.status, 204);
    assert!(ended.header("set-cookie").unwrap().starts_with("keyturn_session=; "));
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"));
    problem(&person.call("GET", "/api/v1/session").send(), 401, "API_KEY_REQUIRED");
    assert!(owner.is_signed_in(), "their other browser");
}

#[test]
fn a_session_holds_across_a_restart() {
    let (server, owner) = start();
    let key = server.key.clone();
    let server = server.stop().serve(key);
    let asked = server.get("/api/v1/session").header("Cookie", &owner.cookie).send().expect(200);
    assert_eq!(asked["csrf_token"], owner.csrf);
}

#[test]
fn cookie_over_https_has_the_host_prefix() {
    let (server, owner) = start_in(Place::new().set("KEYTURN_SERVER__PUBLIC_URL", "https://id.example"));
    let set = try_sign_in(&server, "default", &owner.email, &owner.password);
    let set = set.header("set-cookie").unwrap().to_owned();
    assert!(set.starts_with("__Host-keyturn=") && set.contains("; Secure") && !set.contains("Domain"), "{set}");
    let secret = owner.cookie.strip_prefix("__Host-keyturn=").unwrap();
    let other = owner.again(&server);
    let other = other.cookie.strip_prefix("__Host-keyturn=").unwrap();
    let ask = |cookie: &[u8]| server.get("/api/v1/session").header("Cookie", cookie).send().status;
    let like = |name: &[u8], secret: &str| [name, b"=", secret.as_bytes()].concat();
    // Cookies that another site of the domain can set: browsers do not treat them as `__Host-` cookies.
    for name in [
        &b"__Host%2Dkeyturn"[..],
        b"__Host-%6Beyturn",
        b"\xe2\x80\x80__Host-keyturn",
        b"\xc2\xa0__Host-keyturn",
        b"\xc2\x85__Host-keyturn",
        b"__Host-keyturn\xe2\x80\x80",
        b"__host-keyturn",
        b"__HOST-KEYTURN",
        b"keyturn_session",
        b"$Version=1,__Host-keyturn",
    ] {
        assert_eq!(ask(&like(name, secret)), 401, "{}", String::from_utf8_lossy(name));
        let both = [&like(b"__Host-keyturn", secret)[..], b"; ", &like(name, other)].concat();
        assert_eq!(ask(&both), 200, "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn foreign_and_repeated_cookies_are_ignored() {
    let (server, owner) = start();
    let ask = |cookie: &[u8]| server.get("/api/v1/session").header("Cookie", cookie).send().status;
    let ours = owner.cookie.as_bytes();
    for (before, after) in [
        (&b"a; "[..], &b""[..]),
        (b"a=b; =; ;", b"; %zz=%; \xff\xfe"),
        (b"keyturn_session_theme=dark; ", b";  x"),
        (b"xkeyturn_session=1;", b""),
    ] {
        assert_eq!(ask(&[before, ours, after].concat()), 200, "{}", String::from_utf8_lossy(before));
    }
    let other = owner.again(&server).cookie;
    assert_eq!(ask(format!("{}; {other}", owner.cookie).as_bytes()), 401);
    let two = server.get("/api/v1/session").header("Cookie", &owner.cookie).header("Cookie", &other);
    assert_eq!(two.send().status, 401);
    let secret = owner.cookie.split_once('=').unwrap().1;
    for bad in
        ["", "x", &secret[1..], &format!("{secret}A"), &format!("\"{secret}\""), &secret.replace(&secret[..1], "%")]
    {
        assert_eq!(ask(format!("keyturn_session={bad}").as_bytes()), 401, "{bad}");
    }
}

#[test]
fn every_sign_in_creates_a_new_session() {
    let (server, owner) = start();
    let chosen = format!("keyturn_session={}", "A".repeat(43));
    let body = json!({ "email": owner.email, "password": owner.password });
    let mut seen = BTreeSet::from([owner.cookie.clone()]);
    for cookie in [&chosen, &owner.cookie] {
        let answer = server.request("POST", "/api/v1/session").header("Cookie", cookie).json(&body).send();
        answer.expect(201);
        let given = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        assert!(given != *cookie && seen.insert(given));
    }
    assert_eq!(server.get("/api/v1/session").header("Cookie", &chosen).send().status, 401);
}

#[test]
fn changes_by_session_require_the_csrf_token() {
    let (server, owner) = start();
    let other = owner.again(&server);
    let bare = || server.request("POST", "/api/v1/organizations/default/keys").header("Cookie", &owner.cookie);
    let good = || bare().header("X-CSRF-Token", &owner.csrf);
    let count = || owner.api("GET", "keys").send().expect(200)["items"].as_array().unwrap().len();
    let before = count();
    let cookie_value = owner.cookie.split_once('=').unwrap().1;
    for (what, request) in [
        ("no token", bare()),
        ("an empty one", bare().header("X-CSRF-Token", "")),
        ("the cookie itself", bare().header("X-CSRF-Token", cookie_value)),
        ("another session's", bare().header("X-CSRF-Token", &other.csrf)),
        ("one cut short", bare().header("X-CSRF-Token", &owner.csrf[1..])),
        ("from another site", good().header("Sec-Fetch-Site", "cross-site")),
        ("from a sibling", good().header("Sec-Fetch-Site", "same-site")),
        ("from who knows where", good().header("Sec-Fetch-Site", "")),
        ("of another origin", good().header("Origin", "https://evil.example")),
        ("of no origin", good().header("Origin", "null")),
        ("of a longer origin", good().header("Origin", format!("{}.evil.example", server.public_url))),
        ("of another scheme", good().header("Origin", server.public_url.replace("http:", "https:"))),
        ("of two origins", good().header("Origin", &server.public_url).header("Origin", "https://evil.example")),
    ] {
        let answer = request.json(&json!({})).send();
        assert_eq!(answer.status, 403, "{what}: {}", answer.text());
        problem(&answer, 403, "CSRF_TOKEN_INVALID");
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let path = format!("/api/v1/organizations/default/{}", if method == "PUT" { "policy" } else { "keys/x" });
        let path = path.replace("/x", &format!("/{}", server.key.id));
        let answer = server.request(method, &path).header("Cookie", &owner.cookie).json(&json!({})).send();
        problem(&answer, 403, "CSRF_TOKEN_INVALID");
    }
    assert_eq!(count(), before, "nothing was done");
    for request in [good(), good().header("Sec-Fetch-Site", "same-origin"), good().header("Origin", &server.public_url)]
    {
        request.json(&json!({})).send().expect(201);
    }
    // Reads need no token, and neither does a key beside a session cookie.
    server
        .get("/api/v1/me")
        .header("Cookie", &owner.cookie)
        .header("Origin", "https://evil.example")
        .send()
        .expect(200);
    bare().bearer(&server.key.text).json(&json!({})).send().expect(201);
    problem(&good().bearer("kt_x").json(&json!({})).send(), 401, "API_KEY_INVALID");
}

#[test]
fn nobody_is_signed_in_by_another_site() {
    let (server, owner) = start();
    let body = json!({ "email": owner.email, "password": owner.password });
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "null"),
        ("Origin", "http://x.example"),
    ] {
        let answer = server.request("POST", "/api/v1/session").header(name, value).json(&body).send();
        problem(&answer, 403, "CSRF_TOKEN_INVALID");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let form =
        server.request("POST", "/api/v1/session").form(&[("email", &owner.email), ("password", &owner.password)]);
    unsupported_media_type(&form.send(), "Content-Type");
    server.request("POST", "/api/v1/session").header("Origin", &server.public_url).json(&body).send().expect(201);
}

#[test]
fn whether_there_is_a_login_is_not_told() {
    let (server, owner) = start();
    let gone = owner.add(&server, "viewer");
    owner.api("DELETE", &format!("members/{}", gone.id)).send().expect(200);
    let shape = |organization: &str, email: &str, password: &str| {
        let answer = try_sign_in(&server, organization, email, password);
        problem(&answer, 401, "SIGN_IN_REFUSED");
        assert_eq!(answer.header("set-cookie"), None);
        let varying = ["date", "x-request-id"];
        let headers = answer.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str()));
        (headers.cloned().collect::<BTreeSet<_>>(), answer.body)
    };
    let wrong = shape("default", &owner.email, "not the password");
    assert_eq!(shape("default", "nobody@example.org", "not the password"), wrong);
    assert_eq!(shape("default", "nobody@example.org", &owner.password), wrong);
    assert_eq!(shape("nowhere", &owner.email, &owner.password), wrong);
    assert_eq!(shape("default", &gone.email, &gone.password), wrong, "a removed member is none");
    assert_eq!(shape("default", &owner.email, &"x".repeat(10_000)), wrong);
    assert_eq!(shape("default", &owner.email, ""), wrong);
    assert_eq!(shape("default", &owner.email, &format!("{}\0", owner.password)), wrong);
    assert!(!String::from_utf8_lossy(&wrong.1).contains("not the password"));
    Person::sign_in(&server, "default", &owner.email.to_uppercase(), &owner.password);
}

#[test]
fn an_unknown_login_is_hashed_for_as_a_known_one_is() {
    // A hash that takes far longer than all else that a request does.
    let place = Place::new().set("KEYTURN_ARGON2__MEMORY_KIB", 131_072).set("KEYTURN_ARGON2__ITERATIONS", 3);
    let (server, owner) = start_in(place);
    let took = |email: &str| {
        let begun = Instant::now();
        problem(&try_sign_in(&server, "default", email, "not the password"), 401, "SIGN_IN_REFUSED");
        begun.elapsed()
    };
    let least = |email: &str| (0..4).map(|_| took(email)).min().unwrap();
    let (known, unknown) = (least(&owner.email), least("nobody@example.org"));
    assert!(known > Duration::from_millis(40), "{known:?}: too short to tell");
    assert!(unknown * 3 > known, "known {known:?}, unknown {unknown:?}");
}

/// Otherwise an attacker could lock a member out.
#[test]
fn a_stranger_who_guesses_keeps_nobody_out() {
    let place = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8");
    let founded = place.init(&[]);
    let server = place.serve(founded.key.clone());
    let attempt = |from: &str, password: &str| {
        let body = json!({ "email": founded.email, "password": password });
        server.request("POST", "/api/v1/session").header("X-Forwarded-For", from).json(&body).send().status
    };
    assert!((0..60).any(|_| attempt("192.0.2.1", "not the password") == 429), "an end of guessing");
    assert_eq!(attempt("192.0.2.1", &founded.password), 429);
    assert_eq!(attempt("192.0.2.2", &founded.password), 201);
}

#[test]
fn guesses_at_one_login_are_limited_and_others_are_not() {
    let (server, owner) = start();
    let other = owner.add(&server, "viewer");
    let guess = || try_sign_in(&server, "default", &owner.email, "not the password");
    let limited = (0..200).map(|_| guess()).find(|answer| answer.status == 429).expect("an end of guessing");
    problem(&limited, 429, "RATE_LIMITED");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    // The limit is there for the right password too, or it would limit nothing; and for the login in other letters.
    // On a slow machine an attempt may be allowed again meanwhile, and a right password ends the limit: guess again first.
    let is_limited =
        |attempt: &dyn Fn() -> u16| (0..20).any(|_| (0..200).any(|_| guess().status == 429) && attempt() == 429);
    let attempt = |email: &str| try_sign_in(&server, "default", email, &owner.password).status;
    assert!(is_limited(&|| attempt(&owner.email)));
    assert!(is_limited(&|| attempt(&owner.email.to_uppercase())));
    other.again(&server);
    // An open browser does not get to guess either.
    let body = json!({ "current_password": "not the password", "new_password": "correct horse battery" });
    assert!((0..50).any(|_| owner.call("POST", "/api/v1/me/password").json(&body).send().status == 429));
    assert!(owner.is_signed_in());
}

#[test]
fn guesses_from_one_address_are_limited_whoever_they_are_at() {
    let (server, owner) = start_in(Place::new().set("KEYTURN_LIMITS__FAILURES_PER_MINUTE", 5));
    let guess = |n: usize| try_sign_in(&server, "default", &format!("nobody{n}@example.org"), "not the password");
    let limited = (0..50).map(guess).find(|answer| answer.status == 429).expect("an end of guessing");
    problem(&limited, 429, "RATE_LIMITED");
    // A guess that is right is refused as well, or the limit would be none.
    let right = || try_sign_in(&server, "default", &owner.email, &owner.password);
    let limited = (0..20).map(|_| right()).find(|answer| answer.status == 429).expect("the same for a good password");
    problem(&limited, 429, "RATE_LIMITED");
    assert!(owner.is_signed_in());
    server.me(&server.key.text).expect(200);
}

#[test]
fn sign_ins_and_their_failures_are_in_the_audit_log() {
    let (server, owner) = start_in(Place::on_sqlite());
    try_sign_in(&server, "default", &owner.email, "not the password").expect(401);
    try_sign_in(&server, "default", "nobody@example.org", "not the password").expect(401);
    owner.call("DELETE", "/api/v1/session").send();
    let rows = || {
        let row = "action || ' ' || actor || ' ' || subject || ' ' || address";
        database::column(
            &server.database(),
            &format!("SELECT {row} FROM audit WHERE action LIKE 'session.%' ORDER BY 1"),
        )
    };
    let id = &owner.id;
    let expected = [
        format!("session.begin member:{id} {id} 127.0.0.1"),
        format!("session.end member:{id} {id} 127.0.0.1"),
        format!("session.refuse keyturn {id} 127.0.0.1"),
    ];
    eventually("the audit rows", || (rows() == expected).then_some(()));
}

#[test]
fn a_session_ends_by_rest_and_by_age() {
    let (server, resting) = start_in(Place::on_sqlite());
    let (aged, fresh) = (resting.again(&server), resting.again(&server));
    let key = server.key.clone();
    let place = server.stop();
    let set = |what: &str, session: &str| {
        database::execute(&place.database(), &format!("UPDATE sessions SET {what} WHERE id = '{session}'"));
    };
    set("last_seen_at = last_seen_at - 3600000", &resting.session);
    set("ends_at = created_at + 1", &aged.session);
    let server = place.serve(key);
    let ask = |person: &Person| server.get("/api/v1/session").header("Cookie", &person.cookie).send();
    problem(&ask(&resting), 401, "API_KEY_REQUIRED");
    problem(&ask(&aged), 401, "API_KEY_REQUIRED");
    ask(&fresh).expect(200);
    let fresh = Person::sign_in(&server, "default", &fresh.email, &fresh.password);
    let listed = fresh.api("GET", &format!("members/{}/sessions", fresh.id)).send().expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "those that have ended are not listed");
}

#[test]
fn use_keeps_a_session_however_short_it_may_rest() {
    let (server, owner) = start_in(Place::on_sqlite().set("KEYTURN_SESSION__IDLE_MINUTES", 1));
    let key = server.key.clone();
    let place = server.stop();
    database::execute(&place.database(), "UPDATE sessions SET last_seen_at = last_seen_at - 20000");
    let seen = |place: &Place| -> i64 {
        database::column(&place.database(), "SELECT CAST(last_seen_at AS TEXT) FROM sessions")[0].parse().unwrap()
    };
    let before = seen(&place);
    let server = place.serve(key);
    server.get("/api/v1/session").header("Cookie", &owner.cookie).send().expect(200);
    assert!(seen(&server) >= before + 20_000, "used just now");
}

#[test]
fn new_password_ends_other_sessions() {
    let (server, owner) = start();
    let (person, elsewhere) = (owner.add(&server, "viewer"), owner.add(&server, "viewer"));
    let other = person.again(&server);
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        person.call("POST", "/api/v1/me/password").json(&body).send()
    };
    wrong_field(&change("not the password", "correct horse battery"), "current_password");
    for weak in ["short", "", "aaaaaaaaaaaaaa", &person.email, &"x".repeat(257)] {
        let message = wrong_field(&change(&person.password, weak), "new_password");
        assert!(!message.contains(weak) || weak.is_empty(), "{message}");
    }
    assert!(other.is_signed_in());
    let new = " Ünïcode \u{202e}pass\tword%_'\" ";
    assert_eq!(change(&person.password, new).status, 204);
    assert!(person.is_signed_in() && !other.is_signed_in() && elsewhere.is_signed_in());
    problem(&try_sign_in(&server, "default", &person.email, &person.password), 401, "SIGN_IN_REFUSED");
    problem(&try_sign_in(&server, "default", &person.email, new.trim()), 401, "SIGN_IN_REFUSED");
    Person::sign_in(&server, "default", &person.email, new);
}

#[test]
fn sessions_are_listed_and_ended_one_by_one() {
    let (server, owner) = start();
    let person = owner.add(&server, "developer");
    let other = person.again(&server);
    let list = |by: &Person| by.api("GET", &format!("members/{}/sessions", person.id)).send().expect(200);
    let ids = |list: &Value| -> BTreeSet<String> {
        list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let listed = list(&person);
    assert_eq!(ids(&listed), BTreeSet::from([person.session.clone(), other.session.clone()]));
    for item in listed["items"].as_array().unwrap() {
        assert_eq!(item["is_current"], item["id"] == person.session);
    }
    assert_eq!(listed["next_cursor"], Value::Null);
    let end = |by: &Person, member: &str, session: &str| {
        by.api("DELETE", &format!("members/{member}/sessions/{session}")).send()
    };
    // Another's session under one's own name is none.
    problem(&end(&person, &person.id, &owner.session), 404, "NOT_FOUND");
    assert!(owner.is_signed_in());
    assert_eq!(end(&person, &person.id, &other.session).status, 204);
    assert!(!other.is_signed_in() && person.is_signed_in());
    problem(&end(&person, &person.id, &other.session), 404, "NOT_FOUND");
    assert!(list(&owner)["items"][0]["is_current"] == false);
    assert_eq!(end(&owner, &person.id, &person.session).status, 204);
    assert!(!person.is_signed_in());
    for session in ["x", "%00", "%2e%2e", &"x".repeat(22), &"x".repeat(5000), "%27%20OR%201%3D1", "%ff"] {
        let answer = end(&owner, &owner.id, session);
        assert_eq!(answer.status, 404, "{session}: {}", answer.text());
    }
    assert!(owner.is_signed_in());
}

fn post(server: &Server, body: &Value) -> crate::support::Answer {
    server.request("POST", "/api/v1/session").json(body).send()
}

#[test]
fn malformed_sign_in_names_the_field_and_no_secret() {
    let (server, owner) = start();
    let with = |name: &str, value: Value| {
        let mut body = json!({ "organization": "default", "email": owner.email, "password": owner.password });
        body[name] = value;
        body
    };
    for name in ["email", "password"] {
        let mut body = with("organization", json!("default"));
        body.as_object_mut().unwrap().remove(name);
        wrong_field(&post(&server, &body), name);
        for value in [Value::Null, json!(1), json!(["hunter2hunter2"]), json!({ "a": 1 }), json!(true)] {
            let answer = post(&server, &with(name, value));
            wrong_field(&answer, name);
            assert!(!answer.text().contains("hunter2"));
        }
    }
    for email in [
        "",
        "x",
        "a@",
        "@b",
        "a b@c",
        "a@b\0",
        "\0",
        "a@b\n",
        "a@b\u{7f}",
        "a@b@c",
        "' OR '1'='1",
        "%",
        "<script>",
        &format!("{}@b", "x".repeat(300)),
    ] {
        wrong_field(&post(&server, &with("email", json!(email))), "email");
    }
    for organization in ["", "Default", "a b", "a\0", "../default", "default/x", &"x".repeat(41), "dëfault"] {
        wrong_field(&post(&server, &with("organization", json!(organization))), "organization");
    }
    wrong_field(&post(&server, &with("organization", json!(1))), "organization");
    wrong_field(&post(&server, &with("role", json!("owner"))), "role");
    let twice = format!("{{\"email\":\"{0}\",\"email\":\"{0}\",\"password\":\"x\"}}", owner.email);
    wrong_field(&server.request("POST", "/api/v1/session").body("application/json", twice).send(), "email");
    let large = with("password", json!("x".repeat(65 * 1024)));
    problem(&post(&server, &large), 413, "VALIDATION_FAILED");
    for method in ["PUT", "PATCH"] {
        let answer = server.request(method, "/api/v1/session").json(&json!({})).send();
        problem(&answer, 405, "VALIDATION_FAILED");
    }
    for body in [json!({}), json!({ "new_password": "x" }), json!({ "current_password": 1 }), json!({ "x": 1 })] {
        let answer = owner.call("POST", "/api/v1/me/password").json(&body).send();
        problem(&answer, 422, "VALIDATION_FAILED");
    }
    assert!(owner.is_signed_in());
}
