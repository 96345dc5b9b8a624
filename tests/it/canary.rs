//! No secret is written to a place where it can be read again. Every endpoint is used correctly and incorrectly with
//! known secrets, and then all output and files of the server are searched.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::person::try_sign_in;
use crate::support::{Answer, Key, Person, Place, Request, Server, Visitor, eventually};

const MASTER_KEY: [u8; 32] = *b"canary-master-key-of-32-bytes!!!";

/// Secrets, with names for reports.
struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    fn add(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        self.0.push((name.to_owned(), bytes.as_ref().to_vec()));
    }

    /// A key's secret: complete, its last part, and the random digits only.
    fn add_key(&mut self, name: &str, text: &str) {
        let secret = text.rsplit('_').next().unwrap();
        self.add(name, text);
        self.add(&format!("{name}, bare secret"), secret);
        self.add(&format!("{name}, random digits"), &secret[..43]);
    }

    fn in_bytes(&self, place: &str, bytes: &[u8], leaks: &mut Leaks) {
        for (name, canary) in &self.0 {
            if let Some(at) = find(bytes, canary) {
                let shown = |from: usize, to: usize| String::from_utf8_lossy(&bytes[from..to]).into_owned();
                // The context before it, without parts that differ between secrets.
                let before = shown(at.saturating_sub(40), at);
                let before: String = before.chars().filter(|c| !c.is_alphanumeric() && *c != '-').collect();
                let context = shown(at.saturating_sub(80), (at + 12).min(bytes.len()));
                let kind = format!("{place}, after {before:?}");
                leaks.entry(kind).or_insert_with(|| format!("{name}: …{context}…"));
            }
        }
    }

    /// Searches a log line by line, to report each kind of line that leaks.
    fn in_log(&self, name: &str, log: &str, leaks: &mut Leaks) {
        for line in log.lines() {
            let fields: Value = serde_json::from_str(line).unwrap_or_default();
            let message = fields["message"].as_str().unwrap_or_default();
            let kind: String = message.chars().take(24).collect();
            self.in_bytes(&format!("{name}, a line like {kind:?}"), line.as_bytes(), leaks);
        }
    }
}

/// Context of each leak, and the name of the first secret found there.
type Leaks = BTreeMap<String, String>;

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    let first = part.first()?;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| byte == first) {
        at += next;
        if bytes[at..].starts_with(part) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Sends a request and searches the response, unless the response is meant to contain the secret.
fn send(server: &Server, canaries: &Canaries, leaks: &mut Leaks, request: &Request) -> Option<Answer> {
    let answer = request.try_send().ok()?;
    let line = String::from_utf8_lossy(&request.bytes()).lines().next().unwrap_or_default().to_owned();
    // The kind of route, without parts that differ between secrets.
    let path = line.split([' ', '?']).nth(1).unwrap_or_default();
    let route: String = path.split('/').filter(|part| part.len() < 16).collect::<Vec<_>>().join("/");
    let headers: Vec<u8> =
        answer.headers.iter().flat_map(|(name, value)| format!("{name}: {value}\n").into_bytes()).collect();
    canaries.in_bytes(&format!("the headers of {} to {route}", answer.status), &headers, leaks);
    if !(200..300).contains(&answer.status) {
        canaries.in_bytes(&format!("the body of {} to {route}", answer.status), &answer.body, leaks);
    }
    assert!(answer.status < 500, "{} for {line} by {}", answer.status, server.public_url);
    Some(answer)
}

/// Requests with a secret in every wrong place of every endpoint.
fn misplaced(server: &Server, key: &Key, secret: &str) -> Vec<Request> {
    let id = &key.id;
    let good = |form: String| server.token_request().form_text(form).bearer(&key.text);
    let escaped: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut all = vec![
        server.get(&format!("/oauth/token?client_secret={secret}")),
        server.request("POST", &format!("/oauth/token?{secret}")).form_text("grant_type=client_credentials"),
        server.request("POST", &format!("/oauth/token?x={escaped}")).form_text("grant_type=client_credentials"),
        server.request("POST", &format!("/oauth/token/{secret}")),
        server.get(&format!("/{secret}")),
        server.get(&format!("/{escaped}/%zz")),
        server.get(&format!("/o/{secret}/.well-known/jwks.json")),
        server.get(&format!("/.well-known/jwks/{secret}.pem")),
        server.get(&format!("/metrics?{secret}")),
        server.get(&format!("/healthz?{secret}")),
        server.request(secret.split(['.', '_']).next_back().unwrap(), "/oauth/token"),
        good(format!("grant_type={secret}")),
        good(format!("grant_type=client_credentials&scope={secret}")),
        good(format!("grant_type=client_credentials&scope=read:{secret}")),
        good(format!("grant_type=client_credentials&scope=read:keyturn/{secret}")),
        good(format!("grant_type=client_credentials&scope=read:{secret}%zz")),
        good(format!("grant_type=client_credentials&client_id={secret}")),
        good(format!("grant_type=client_credentials&audience={secret}")),
        good(format!("grant_type=client_credentials&resource={secret}")),
        good(format!("grant_type=client_credentials&{secret}=1&{secret}=2")),
        good(format!("grant_type=client_credentials&client_assertion={secret}")),
        good(format!("grant_type=client_credentials&client_secret={secret}")),
        server.token_request().form_text(format!("grant_type=client_credentials&client_id={secret}&client_secret=x")),
        server.token_request().form_text(format!("grant_type=client_credentials&client_secret={secret}x")),
        server
            .token_request()
            .form_text(format!("grant_type=client_credentials&client_id=0123456789abcdef&client_secret={secret}")),
        server.token_request().form_text(secret),
        server.token_request().body("application/json", format!("{{\"client_secret\":\"{secret}\"}}")),
        server.token_request().body(secret, "grant_type=client_credentials"),
        server.token_request().form_text("grant_type=client_credentials").basic(secret, "x"),
        server.token_request().form_text("grant_type=client_credentials").basic("x", secret),
        server.token_request().form_text("grant_type=client_credentials").basic(secret, secret),
        server
            .token_request()
            .form_text("grant_type=client_credentials")
            .header("Authorization", format!("Basic {secret}")),
        server
            .token_request()
            .form_text("grant_type=client_credentials")
            .header("Authorization", format!("{secret} x")),
        server
            .token_request()
            .form_text("grant_type=client_credentials")
            .header("Authorization", format!("Digest {secret}")),
        server.token_request().form_text("grant_type=client_credentials").bearer(secret).api_key(secret),
        server.token_request().form_text("grant_type=client_credentials").bearer(&format!("x{secret}")),
        server.get("/api/v1/me").bearer(&format!("x{secret}")),
        server.get("/api/v1/me").api_key(&format!("{secret}.x.y")),
        server.get("/api/v1/me").header("Authorization", secret),
        server.get("/api/v1/me").bearer(&key.text).header("X-Request-Id", secret),
        server.get("/api/v1/me").bearer(&key.text).header("X-Forwarded-For", secret).header("Forwarded", secret),
        server.get("/api/v1/me").bearer(&key.text).header("User-Agent", secret).header("Referer", secret),
        server
            .get("/api/v1/me")
            .bearer(&key.text)
            .header("Cookie", format!("a={secret}"))
            .header("traceparent", secret),
        server.get(&format!("/api/v1/organizations/{secret}/keys")).bearer(&key.text),
        server.get(&format!("/api/v1/{secret}")).bearer(&key.text),
        server.api("GET", &format!("keys/{secret}")),
        server.api("POST", &format!("keys/{secret}/rotate")),
        server.api("POST", &format!("keys/{id}/{secret}")),
        server.api("GET", &format!("keys?{secret}=1")),
        server.api("GET", &format!("keys?search={secret}")),
        server.api("GET", &format!("keys?search={secret}{secret}{secret}")),
        server.api("GET", &format!("keys?status={secret}")),
        server.api("GET", &format!("keys?limit={secret}")),
        server.api("GET", &format!("keys?cursor={secret}")),
        server.api("GET", &format!("keys?owner={secret}")),
        server.api("GET", &format!("audit?{secret}=1")),
        server.api("GET", &format!("audit?subject={secret}")),
        server.api("GET", &format!("audit?actor={secret}{secret}{secret}{secret}")),
        server.api("GET", &format!("audit?cursor={secret}")),
        server.api("GET", &format!("audit?since={secret}&limit={secret}&format={secret}")),
        server.api("GET", &format!("audit?format=ndjson&action={secret}")),
        server.api("PATCH", &format!("keys/{id}")).header("If-Match", secret).json(&json!({})),
        server.api("POST", "keys").body("application/json", secret),
        server.api("POST", "keys").body("application/json", format!("\"{secret}\"")),
        server.api("POST", "keys").body(secret, "{}"),
    ];
    for body in [
        json!({ "name": { secret: 1 } }),
        json!({ secret: 1 }),
        json!({ "expires_in_seconds": secret }),
        json!({ "expires_at": secret }),
        json!({ "scopes": secret }),
        json!({ "scopes": [secret] }),
        json!({ "scopes": [{ "action": secret, "resource": "a" }] }),
        json!({ "scopes": [{ "action": "read", "resource": format!("{secret}%") }] }),
        json!({ "scopes": [{ "action": secret.to_lowercase().chars().take(32).collect::<String>(), "resource": "a" }] }),
        json!({ "scopes": [{ "action": "read", "resource": "a", secret: 1 }] }),
        json!({ "scopes": [{ "action": "read", "resource": format!("keyturn{secret}/*/x") }] }),
        json!({ "allowed_cidrs": secret }),
        json!({ "allowed_cidrs": [secret] }),
        json!({ "allowed_cidrs": [format!("10.0.0.1/{secret}")] }),
        json!({ "owner": secret }),
        json!({ "owner": [secret] }),
        json!([secret]),
    ] {
        all.push(server.api("POST", "keys").json(&body));
        all.push(server.api("PATCH", &format!("keys/{id}")).json(&body));
        all.push(server.api("POST", &format!("keys/{id}/rotate")).json(&body));
    }
    let introspect = |form: String| server.request("POST", "/oauth/introspect").bearer(&key.text).form_text(form);
    let revoke = |form: String| server.request("POST", "/oauth/revoke").form_text(form);
    all.extend([
        introspect(format!("token={secret}x")),
        introspect(format!("token=x&token_type_hint={secret}")),
        introspect(format!("token={secret}&token={secret}")),
        introspect(format!("{secret}={secret}")),
        server.request("POST", &format!("/oauth/introspect?token={secret}")).bearer(&key.text).form_text("token=x"),
        revoke(format!("token=x&client_id={secret}&client_secret={secret}x")),
        revoke(format!("token=x&token_type_hint={secret}")).bearer(&key.text),
        revoke(format!("token={secret}%zz")).bearer(&key.text),
        server.get("/verify").bearer(&format!("{secret}x")),
        server.get(&format!("/verify/{secret}")),
        server.get(&format!("/verify?{secret}=1")).bearer(&key.text),
        server.get(&format!("/verify?keyturn_{secret}=1")).bearer(&key.text),
        server.get(&format!("/verify?keyturn_require={secret}")).bearer(&key.text),
        server.get(&format!("/verify?keyturn_require=read:keyturn/{secret}")).bearer(&key.text),
        server.get(&format!("/verify?keyturn_map={secret}")).bearer(&key.text),
        server.get("/verify?keyturn_map=http").bearer(&key.text).header("X-Original-URI", format!("/{secret}/..")),
        server.get("/verify?keyturn_map=http").bearer("x").header("X-Forwarded-Uri", format!("/{secret}")),
        server.get("/verify?keyturn_map=http").bearer(&key.text).header("X-Original-Method", secret),
    ]);
    for body in [json!({ "grace_seconds": secret }), json!({ "reason": [secret] }), json!({ secret: secret })] {
        for rest in ["rotate", "revoke", "disable", "enable"] {
            all.push(server.api("POST", &format!("keys/{id}/{rest}")).json(&body));
        }
        all.push(server.api("POST", "signing-keys/rotate").json(&body));
    }
    all.push(server.api("POST", "signing-keys/rotate").json(&json!({ "publish_ahead_seconds": secret })));
    // A slash would end the segment and make another path.
    let userinfo = secret.replace('/', "%2F");
    for body in [
        json!({ "url": secret }),
        json!({ "url": [secret] }),
        json!({ "url": format!("https://{userinfo}:{userinfo}@hooks.example/{secret}?{secret}") }),
        json!({ "url": format!("https://10.0.0.1/{secret}") }),
        json!({ "url": "https://hooks.example/", "events": secret }),
        json!({ "url": "https://hooks.example/", "events": [secret] }),
        json!({ "url": "https://hooks.example/", "description": [secret] }),
        json!({ "url": "https://hooks.example/", "secret": secret }),
        json!({ "url": "https://hooks.example/", secret: 1 }),
        json!({ "state": secret }),
    ] {
        all.push(server.api("POST", "webhooks").json(&body));
        all.push(server.api("PATCH", &format!("webhooks/{secret}")).json(&body));
    }
    all.extend([
        server.api("GET", &format!("webhooks/{secret}")),
        server.api("GET", &format!("webhooks/{secret}/deliveries")),
        server.api("GET", &format!("webhooks/0123456789abcdef012345/deliveries/{secret}")),
        server.api("POST", &format!("webhooks/x/deliveries/{secret}/retry")).json(&json!({})),
        server.api("GET", &format!("webhooks/0123456789abcdef012345/deliveries?cursor={secret}")),
        server.api("GET", &format!("webhooks/0123456789abcdef012345/deliveries?state={secret}")),
        server.api("GET", &format!("webhooks/0123456789abcdef012345/deliveries?{secret}=1")),
    ]);
    all.extend(misplaced_by_people(server, secret));
    all
}

/// The same for members: sign-in, sessions, members, policy, organizations.
fn misplaced_by_people(server: &Server, secret: &str) -> Vec<Request> {
    let sign_in = |body: &Value| server.request("POST", "/api/v1/session").json(body);
    let cookie = |value: String| server.get("/api/v1/session").header("Cookie", value);
    let mut all = vec![
        sign_in(&json!({ "email": secret, "password": "x" })),
        sign_in(&json!({ "email": format!("{secret}@example.org"), "password": secret })),
        sign_in(&json!({ "email": "owner@localhost", "password": format!("{secret}x") })),
        sign_in(&json!({ "email": "owner@localhost", "password": [secret] })),
        sign_in(&json!({ "organization": secret, "email": "owner@localhost", "password": secret })),
        sign_in(&json!({ "email": "owner@localhost", "password": "x", secret: secret })),
        sign_in(&json!({ "email": "owner@localhost", "password": "x" })).header("X-CSRF-Token", secret),
        sign_in(&json!({ "email": "owner@localhost", "password": secret })).header("Origin", secret),
        sign_in(&json!({ "email": "owner@localhost", "password": secret })).header("Sec-Fetch-Site", secret),
        server.request("POST", &format!("/api/v1/session?password={secret}")).json(&json!({})),
        server.request("POST", "/api/v1/session").form(&[("email", "owner@localhost"), ("password", secret)]),
        cookie(format!("keyturn_session={secret}x")),
        cookie(format!("{secret}={secret}")),
        cookie(format!("{secret}; keyturn_session={secret}; keyturn_session={secret}")),
        server.request("DELETE", "/api/v1/session").header("Cookie", format!("keyturn_session={secret}")),
        server
            .request("POST", "/api/v1/me/password")
            .api_key(&server.key.text)
            .json(&json!({ "new_password": secret })),
        server.request("POST", "/api/v1/organizations").bearer(&server.key.text).json(&json!({ "slug": secret })),
        server
            .request("POST", "/api/v1/organizations")
            .bearer(&server.key.text)
            .json(&json!({ "slug": format!("{secret}!"), "owner_email": secret })),
        server.request("POST", &format!("/api/v1/organizations/{secret}/bootstrap")).bearer(&server.key.text),
        server.api("GET", &format!("members/{secret}")),
        server.api("GET", &format!("members/{secret}/sessions")),
        server.api("DELETE", &format!("members/{}/sessions/{secret}", "0".repeat(22))),
        server.api("PATCH", &format!("members/{}", "0".repeat(22))).header("If-Match", secret).json(&json!({})),
        server.api("GET", &format!("keys?sort={secret}")),
        server.api("PUT", &format!("policy?dry_run={secret}")).json(&json!({})),
        server.api("PUT", &format!("policy?{secret}")).json(&json!({})),
        server.api("PUT", "policy").header("If-Match", secret).json(&json!({ "max_keys": 1 })),
        server.api("POST", "keys").header("Idempotency-Key", secret).json(&json!({ "name": 1 })),
    ];
    for body in [
        json!({ "email": secret, "role": "viewer" }),
        json!({ "email": "a@b", "role": secret }),
        json!({ "email": "a@b", "role": "viewer", "password": secret }),
        json!({ "email": [secret], "role": "viewer" }),
        json!({ secret: secret }),
    ] {
        all.push(server.api("POST", "members").json(&body));
    }
    for body in [
        json!({ "key_prefix": secret }),
        json!({ "key_prefix": [secret] }),
        json!({ "actions": [format!("{secret}!")] }),
        json!({ "audiences": [format!("{secret} ")] }),
        json!({ "create_role": secret }),
        json!({ "max_keys": secret }),
        json!({ "expiration_choices": { "days": [secret], "none": true } }),
        json!({ "expiration_choices": { secret: 1 } }),
        json!({ secret: 1 }),
    ] {
        all.push(server.api("PUT", "policy").json(&body));
    }
    all
}

/// Members sign in, correctly and incorrectly, and change their passwords. Returns their secrets.
fn people(server: &Server, email: &str, password: &str, canaries: &mut Canaries, leaks: &mut Leaks) -> Vec<String> {
    let owner = Person::sign_in(server, "default", email, password);
    let member = owner.add(server, "developer");
    let (new, wrong) = ("a new canary password", "a wrong canary password");
    let body = json!({ "current_password": member.password, "new_password": new });
    assert_eq!(member.call("POST", "/api/v1/me/password").json(&body).send().status, 204);
    let reset = owner.api("PATCH", &format!("members/{}", member.id)).json(&json!({ "reset_password": true })).send();
    let reset = reset.expect(200)["password"].as_str().unwrap().to_owned();
    let again = Person::sign_in(server, "default", &member.email, &reset);
    try_sign_in(server, "default", &member.email, wrong).expect(401);
    let wrong_twice = json!({ "current_password": wrong, "new_password": wrong });
    let once = again.api("POST", "keys").header("Idempotency-Key", "canary").json(&json!({})).send().expect(201);
    canaries.add_key("a key made once", once["secret"].as_str().unwrap());
    let made = server.request("POST", "/api/v1/organizations").bearer(&server.key.text);
    let made = made.json(&json!({ "slug": "canary", "owner_email": "canary@example.org" })).send().expect(201);
    let boss = made["owner"]["password"].as_str().unwrap();
    let secret = |person: &Person| person.cookie.split_once('=').unwrap().1.to_owned();
    for (name, text) in [
        ("a session", secret(&owner)),
        ("a session that was ended", secret(&member)),
        ("another session", secret(&again)),
        ("a CSRF token", owner.csrf.clone()),
        ("a CSRF token of a session that was ended", member.csrf.clone()),
        ("a first password", member.password.clone()),
        ("a new password", new.into()),
        ("a reset password", reset.clone()),
        ("a wrong password", wrong.into()),
        ("the password of another organization's owner", boss.into()),
    ] {
        canaries.add(name, text);
    }
    send(server, canaries, leaks, &again.call("POST", "/api/v1/me/password").json(&wrong_twice));
    send(
        server,
        canaries,
        leaks,
        &owner.call("POST", "/api/v1/session").json(&json!({ "email": email, "password": wrong })),
    );
    send(server, canaries, leaks, &again.api("POST", "members").json(&json!({ "email": "x@y", "role": "owner" })));
    // The failed sign-in of a member is recorded after the response.
    let noted = || {
        let rows = crate::support::database::column(&server.database(), "SELECT action FROM audit");
        rows.contains(&"session.refuse".to_owned()).then_some(())
    };
    eventually("the note of the sign-in that was refused", noted);
    vec![secret(&owner), owner.csrf, reset]
}

/// A member uses the console: signs in, creates and rotates a key, changes a password. Returns the secrets.
fn console(server: &Server, email: &str, password: &str, canaries: &mut Canaries, leaks: &mut Leaks) -> Vec<String> {
    let visitor = Visitor::sign_in(server, email, password);
    let session = visitor.jar.values().next().unwrap().clone();
    let page = visitor.page("/keys/new");
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    canaries.add("a session of the console", &session);
    canaries.add("a CSRF token of the console", &csrf);
    let shown = |html: &str| html.split("id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let made = shown(
        &visitor
            .submit("/keys/new", "/keys/new", &[("name", "by hand"), ("networks", "any"), ("confirmed", "yes")])
            .text(),
    );
    let rotate = format!("/keys/{}/rotate", made.split('_').nth(1).unwrap());
    let rotated = shown(&visitor.submit(&rotate, &rotate, &[("grace_seconds", "3600")]).text());
    canaries.add_key("a key made at the console", &made);
    canaries.add_key("a key rotated at the console", &rotated);
    let wrong = "a wrong password at the console";
    canaries.add("a wrong password at the console", wrong);
    let mut stranger = Visitor::new(server);
    for (email, password) in [(email, wrong), (wrong, wrong), (password, password)] {
        assert!(matches!(stranger.try_sign_in("/sign-in", "", email, password).status, 401 | 422));
    }
    for (current, new) in [(wrong, wrong), (password, "short")] {
        let fields = [("current_password", current), ("new_password", new)];
        let answer = visitor.submit("/account", "/account/password", &fields);
        assert_eq!(answer.status, 422);
        for typed in [wrong, password] {
            assert!(!answer.text().contains(typed), "a password is not sent back");
        }
    }
    for secret in [made.as_str(), &rotated, password, wrong] {
        for (path, body) in [
            ("/sign-in".to_owned(), format!("email={secret}&password={secret}&organization={secret}")),
            (format!("/{secret}"), String::new()),
            (format!("/keys/{secret}"), format!("{secret}={secret}")),
            (format!("/keys/{secret}/rotate?{secret}={secret}"), secret.to_owned()),
            ("/keys/new".to_owned(), format!("csrf={secret}&name={secret}")),
            ("/account/password".to_owned(), format!("csrf={csrf}&current_password={secret}%zz")),
        ] {
            send(server, canaries, leaks, &visitor.post(&path).form_text(body));
            send(server, canaries, leaks, &visitor.request("GET", &path.replace(' ', "+")));
            send(server, canaries, leaks, &stranger.request("GET", &path.replace(' ', "+")));
        }
    }
    vec![made, rotated]
}

#[test]
fn no_secret_leaks() {
    let place = Place::on_sqlite()
        .unset("KEYTURN_SECRETS__MASTER_KEY_FILE")
        .set("KEYTURN_SECRETS__MASTER_KEY", STANDARD.encode(MASTER_KEY))
        .set("KEYTURN_LOG__LEVEL", "trace")
        .set("KEYTURN_LOG__FORMAT", "json");
    let founded = place.init(&[]);
    let mut canaries = Canaries(Vec::new());
    canaries.add_key("the first key", &founded.key.text);
    canaries.add("the owner's password", &founded.password);
    canaries.add("the master key", MASTER_KEY);
    canaries.add("the master key as base64", STANDARD_NO_PAD.encode(MASTER_KEY));
    canaries.add("the master key as URL-safe base64", URL_SAFE_NO_PAD.encode(MASTER_KEY));
    canaries.add("the master key as hexadecimal", MASTER_KEY.map(|byte| format!("{byte:02x}")).concat());
    canaries.add("the master key as a list", MASTER_KEY.map(|byte| byte.to_string()).join(", "));
    let server = place.serve(founded.key.clone());
    let mut leaks = Leaks::new();

    // Correct use: keys are created, rotated in both ways, exchanged in every way, changed in every way.
    let mut secrets = vec![founded.key.text.clone()];
    let key = server.make(&json!({ "name": "canary", "allowed_cidrs": ["127.0.0.0/8"] }));
    let rotated = server.change("POST", &format!("{}/rotate", key.id), &json!({ "grace_seconds": 600 }));
    let rotated = rotated["secret"].as_str().unwrap().to_owned();
    let spent = server.make(&json!({}));
    server.change("POST", &format!("{}/rotate", spent.id), &json!({}));
    for (name, text) in [("a key", &key.text), ("a rotated key", &rotated), ("a spent key", &spent.text)] {
        canaries.add_key(name, text);
        secrets.push(text.clone());
    }
    let made = json!({ "url": crate::webhooks::NOWHERE, "events": ["policy.changed"] });
    let hook = server.api("POST", "webhooks").json(&made).send().expect(201);
    let rotate = format!("webhooks/{}/rotate-secret", hook["id"].as_str().unwrap());
    let rotated_hook = server.api("POST", &rotate).json(&json!({})).send().expect(200);
    for (name, hook) in [("a webhook's secret", &hook), ("a webhook's new secret", &rotated_hook)] {
        let text = hook["secret"].as_str().unwrap();
        let bare = text.strip_prefix("whsec_").unwrap();
        canaries.add(name, bare);
        canaries.add(&format!("{name}, as bytes"), STANDARD.decode(bare).unwrap());
        secrets.push(text.to_owned());
    }
    // A valid secret with slashes that break long runs of characters.
    let slashed = "whsec_B/I9t0RspnFQ/x7Yp0w4Vd5Lq/Zk3Tn8Rb2Mc6Hs1/w=";
    canaries.add("a webhook's secret with many slashes", slashed.strip_prefix("whsec_").unwrap());
    secrets.push(slashed.to_owned());
    crate::webhooks::test(&server, hook["id"].as_str().unwrap());
    let token = server.token(&server.key, &[]);
    let narrow = server.token(&key, &[("scope", "read:a")]);
    for (name, token) in [("a token", &token), ("a narrow token", &narrow)] {
        canaries.add(name, token);
        canaries.add(&format!("{name}, signature"), token.rsplit('.').next().unwrap());
        secrets.push(token.clone());
    }
    let form = || server.token_request().form_text("grant_type=client_credentials");
    form().basic(&key.id, &rotated).send().expect(200);
    form().basic(&key.id, rotated.rsplit('_').next().unwrap()).send().expect(200);
    form().api_key(&rotated).send().expect(200);
    canaries.add("the Basic credentials", STANDARD_NO_PAD.encode(format!("{}:{rotated}", key.id)));
    server.me(&token).expect(200);
    server.api_as(&token, "GET", "keys").send().expect(200);
    for (rest, body) in [("disable", json!({})), ("enable", json!({})), ("revoke", json!({ "reason": "over" }))] {
        server.change("POST", &format!("{}/{rest}", spent.id), &body);
    }

    secrets.extend(console(&server, &founded.email, &founded.password, &mut canaries, &mut leaks));
    secrets.extend(people(&server, &founded.email, &founded.password, &mut canaries, &mut leaks));

    // Incorrect use: each secret, complete and in part, in every wrong place.
    secrets.push(key.secret().to_owned());
    secrets.push(founded.password.clone());
    secrets.push(STANDARD.encode(MASTER_KEY));
    for secret in &secrets {
        for request in misplaced(&server, &key, secret) {
            send(&server, &canaries, &mut leaks, &request);
        }
    }
    let mut raw = TcpStream::connect(server.address).unwrap();
    raw.write_all(format!("GET {} HTTP/9.9\r\n{}\r\n\r\n", key.text, key.text).as_bytes()).unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).unwrap();
    canaries.in_bytes("the answer to what is not HTTP", &answer, &mut leaks);

    // Output of the running server, and its files.
    canaries.in_bytes("/metrics", &server.get("/metrics").send().body, &mut leaks);
    let files = |place: &Place, when: &str, leaks: &mut Leaks| {
        for entry in fs::read_dir(place.path("data")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            canaries.in_bytes(&format!("{} ({when})", path.file_name().unwrap().display()), &bytes, leaks);
        }
    };
    files(&server, "serving", &mut leaks);
    for command in [&["check-config"][..], &["keys", "--help"], &["keys", "list"], &["master-key", "rotate"]] {
        let mut command = server.command(command);
        command
            .env("KEYTURN_API_KEY", &key.text)
            .env("KEYTURN_TOKEN", &token)
            .env("KEYTURN_SERVER", &server.public_url);
        let output = command.output().unwrap();
        canaries.in_bytes(
            &format!("what a command says: {:?}", command.get_args().collect::<Vec<_>>()),
            &[output.stdout, output.stderr].concat(),
            &mut leaks,
        );
    }
    let place = server.stop();
    files(&place, "stopped", &mut leaks);
    let log = fs::read_to_string(place.path("stderr.log")).unwrap();
    canaries.in_log("stderr", &log, &mut leaks);
    canaries.in_bytes("stdout", &fs::read(place.path("stdout.log")).unwrap(), &mut leaks);
    assert!(log.contains("\"TRACE\""), "the log is as talkative as can be");
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let report: Vec<String> = leaks.iter().map(|(place, what)| format!("{place}\n    {what}")).collect();
    assert!(report.is_empty(), "{} places hold what they must not:\n{}", report.len(), report.join("\n"));
}

/// With the headers of a trusted proxy, and an access log.
#[test]
fn no_secret_leaks_behind_a_proxy() {
    const XFF: (&str, &str) = ("X-Forwarded-For", "192.0.2.1");
    let server = Place::on_sqlite()
        .set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("KEYTURN_LOG__REQUESTS", "all")
        .set("KEYTURN_LOG__LEVEL", "trace")
        .set("KEYTURN_LOG__FORMAT", "json")
        .start_behind_proxy();
    let key = server.key.clone();
    let form = [("grant_type", "client_credentials"), ("client_secret", key.text.as_str())];
    let token = server.token_request().form(&form).header(XFF.0, XFF.1).send().expect(200);
    let token = token["access_token"].as_str().unwrap();
    let mut canaries = Canaries(Vec::new());
    canaries.add_key("a key", &key.text);
    canaries.add("a token", token);
    canaries.add("a token's signature", token.rsplit('.').next().unwrap());
    let mut leaks = Leaks::new();
    for secret in [key.text.as_str(), key.secret(), token] {
        let form = |body: String| server.token_request().form_text(body);
        let requests = [
            form(format!("grant_type=client_credentials&client_id={secret}&client_secret={}", key.secret())),
            form("grant_type=client_credentials".into()).basic(secret, key.secret()),
            server.request("POST", "/oauth/introspect").basic(secret, secret).form_text("token=x"),
            server.get("/verify").bearer(secret).header("X-Request-Id", secret),
            server.get("/verify").bearer("x").header("X-Request-Id", secret).header("traceparent", secret),
            server.get("/verify").header("traceparent", format!("00-{secret}-b7ad6b7169203331-01")),
            server.get(&format!("/verify/{secret}?keyturn_require=read:{secret}")).bearer(&key.text),
            server.get(&format!("/verify?{secret}=1")).bearer(&key.text),
            form(format!("grant_type=client_credentials&scope=write:keyturn/{secret}")).bearer(&key.text),
            server.get(&format!("/api/v1/organizations/{secret}/keys/{secret}")).bearer(&key.text),
            server.get(&format!("/o/{secret}/verify")).bearer(secret),
            server.get(&format!("/console/{secret}")),
            server.get("/verify").bearer("x").header("X-Forwarded-For", secret),
        ];
        for request in requests {
            let request = request.header(XFF.0, XFF.1);
            let answer = request.try_send().unwrap();
            let id = answer.header("x-request-id").unwrap().to_owned();
            canaries.in_bytes("a request ID", id.as_bytes(), &mut leaks);
            eventually("the line", || server.stderr().contains(&id).then_some(()));
        }
    }
    canaries.in_log("stderr", &server.stderr(), &mut leaks);
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// The search itself finds secrets.
#[test]
fn leaks_are_detected() {
    let mut canaries = Canaries(Vec::new());
    canaries.add_key("a key", "kt_0123456789abcdef_0123456789012345678901234567890123456789012abcdef");
    let mut leaks = Leaks::new();
    canaries.in_bytes("nothing", b"kt_0123456789abcdef_012345678901234567890123456789012345678901", &mut leaks);
    assert_eq!(leaks.len(), 0, "the id alone is no secret");
    canaries.in_bytes("a file", b"\0\xff 00123456789012345678901234567890123456789012x", &mut leaks);
    assert_eq!(leaks.len(), 1, "{leaks:?}");
}
