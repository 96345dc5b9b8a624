//! Organizations: made from `default`, bootstrapped once, apart from each other.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::person::{start, try_sign_in};
use crate::support::server::{scope_list, unique};
use crate::support::{Answer, Key, Person, Server, field, jwt};

fn make(by: &Person, slug: &str) -> Answer {
    by.call("POST", "/api/v1/organizations").json(&json!({ "slug": slug, "owner_email": "boss@acme.example" })).send()
}

/// Makes an organization and signs its owner in.
#[track_caller]
fn made(server: &Server, by: &Person, slug: &str) -> Person {
    let body = make(by, slug).expect(201);
    let owner = &body["owner"];
    Person::sign_in(server, slug, owner["email"].as_str().unwrap(), owner["password"].as_str().unwrap())
}

fn key_of(made: &Value) -> Key {
    Key { id: made["id"].as_str().unwrap().into(), text: made["secret"].as_str().unwrap().into() }
}

#[test]
fn new_organization_issues_tokens_after_bootstrap() {
    let (server, owner) = start();
    let answer = make(&owner, "acme");
    let body = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("location"), Some("/api/v1/organizations/acme"));
    assert!(body["bootstrapped"] == false && body["slug"] == "acme", "{body}");
    let issuer = format!("{}/o/acme", server.public_url);
    assert_eq!(body["issuer"], issuer);
    let boss = Person::sign_in(&server, "acme", "boss@acme.example", body["owner"]["password"].as_str().unwrap());

    problem(&boss.api("POST", "keys").json(&json!({})).send(), 409, "NOT_BOOTSTRAPPED");
    assert_eq!(boss.api("GET", "keys").send().expect(200)["items"], json!([]));
    let shown = boss.call("GET", "/api/v1/organizations/acme").send().expect(200);
    assert!(shown["bootstrapped"] == false && shown.get("owner").is_none(), "the password is shown once: {shown}");

    let signing = boss.api("POST", "bootstrap").send().expect(201);
    assert_eq!(signing["status"], "current");
    problem(&boss.api("POST", "bootstrap").send(), 409, "CONFLICT");
    problem(&owner.call("POST", "/api/v1/organizations/acme/bootstrap").send(), 409, "CONFLICT");
    let key = key_of(&boss.make(&json!({})));
    let metadata = server.get("/.well-known/oauth-authorization-server/o/acme").send().expect(200);
    assert_eq!(metadata["issuer"], issuer);
    let jwks = server.get("/o/acme/.well-known/jwks.json").send().expect(200);
    assert_eq!(field(&jwks["keys"], "kid"), [signing["kid"].as_str().unwrap()]);
    let (_, claims) = jwt::verify(&server.token(&key, &[]), &jwks);
    assert_eq!((claims["iss"].as_str(), claims["org"].as_str()), (Some(&*issuer), Some("acme")));
    assert_eq!(boss.call("GET", "/api/v1/organizations/acme").send().expect(200)["bootstrapped"], true);
}

#[test]
fn organization_with_a_first_key_is_usable_at_once() {
    let server = Server::start();
    let create = |by: &Key, slug: &str| {
        let body = json!({ "slug": slug, "owner_email": "boss@acme.example", "api_key": true });
        server.request("POST", "/api/v1/organizations").bearer(&by.text).json(&body).send()
    };
    let body = create(&server.key, "acme").expect(201);
    assert_eq!(body["bootstrapped"], true);
    let key = key_of(&body["api_key"]);
    let jwks = server.get("/o/acme/.well-known/jwks.json").send().expect(200);
    assert_eq!(jwt::verify(&server.token(&key, &[]), &jwks).1["org"], "acme");
    let made = server.request("POST", "/api/v1/organizations/acme/keys").bearer(&key.text);
    made.json(&json!({ "name": "narrow", "scopes": ["read:orders/*"] })).send().expect(201);
    let shown = server.request("GET", "/api/v1/organizations/acme").bearer(&key.text).send().expect(200);
    assert!(shown.get("api_key").is_none() && shown.get("owner").is_none(), "{shown}");
    let audit = server.request("GET", "/api/v1/organizations/acme/audit").bearer(&key.text).send();
    assert!(!audit.text().contains(key.secret()), "{}", audit.text());
    let first = audit.expect(200)["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&first["action"], &first["new"]["first_key"]["id"]), (&json!("organization.create"), &json!(key.id)));
    // The owner's password works as without a key, and the slug is taken.
    Person::sign_in(&server, "acme", "boss@acme.example", body["owner"]["password"].as_str().unwrap());
    problem(&create(&server.key, "acme"), 409, "CONFLICT");

    // A key grants neither networks nor an expiry beyond its own.
    let bound = json!({
        "scopes": ["*:*", "*:keyturn/*"], "allowed_cidrs": ["127.0.0.0/8"], "expires_in_seconds": 3600,
    });
    let bound = server.make(&bound);
    let key = key_of(&create(&bound, "narrow").expect(201)["api_key"]);
    let shown = server.request("GET", &format!("/api/v1/organizations/narrow/keys/{}", key.id)).bearer(&key.text);
    let shown = shown.send().expect(200);
    let parent = server.api("GET", &format!("keys/{}", bound.id)).send().expect(200);
    assert_eq!((&shown["allowed_cidrs"], &shown["expires_at"]), (&json!(["127.0.0.0/8"]), &parent["expires_at"]));
    assert_eq!(shown["created_by"], format!("key:{}", bound.id));
}

#[test]
fn concurrent_bootstraps_create_one_signing_key() {
    let (server, owner) = start();
    let boss = made(&server, &owner, "acme");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let path = "/api/v1/organizations/acme/bootstrap";
        let calls =
            [owner.call("POST", path), boss.call("POST", path), server.request("POST", path).bearer(&server.key.text)];
        let threads: Vec<_> = calls.into_iter().map(|call| scope.spawn(move || call.send().status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
    assert_eq!(boss.api("GET", "signing-keys").send().expect(200)["items"].as_array().unwrap().len(), 1);
    boss.make(&json!({}));
}

#[test]
fn only_callers_of_default_create_organizations() {
    let (server, owner) = start();
    for role in ["viewer", "developer", "admin"] {
        let person = owner.add(&server, role);
        problem(&make(&person, &unique()), 403, "ROLE_REQUIRED");
        assert_eq!(
            person.call("GET", "/api/v1/organizations").send().expect(200)["items"].as_array().unwrap().len(),
            1
        );
    }
    let boss = made(&server, &owner, "acme");
    problem(&make(&boss, &unique()), 403, "INSUFFICIENT_SCOPE");
    boss.api("POST", "bootstrap").send().expect(201);
    let foreign = key_of(&boss.make(&json!({ "owner": null, "scopes": scope_list("*:* *:keyturn/*") })));
    let by = |text: &str| {
        let body = json!({ "slug": unique(), "owner_email": "o@example.org" });
        server.request("POST", "/api/v1/organizations").bearer(text).json(&body).send()
    };
    problem(&by(&foreign.text), 403, "INSUFFICIENT_SCOPE");
    problem(&by(&server.make_with("*:* write:keyturn/* admin:keyturn/members").text), 403, "INSUFFICIENT_SCOPE");
    let maker = server.make_with("admin:keyturn/organizations");
    by(&maker.text).expect(201);
    // Callers who create organizations can list the others, but see nothing in them.
    let seen = server.get("/api/v1/organizations/acme").bearer(&maker.text).send().expect(200);
    assert_eq!((seen["slug"].as_str(), seen["bootstrapped"].as_bool()), (Some("acme"), Some(true)));
    for rest in ["keys", "members", "policy", "signing-keys", "audit", "usage", "webhooks"] {
        let asked = server.get(&format!("/api/v1/organizations/acme/{rest}")).bearer(&maker.text).send();
        problem(&asked, 404, "NOT_FOUND");
    }
}

#[test]
fn callers_list_the_organizations_they_can_see() {
    let (server, owner) = start();
    let boss = made(&server, &owner, "acme");
    let admin = owner.add(&server, "admin");
    let slugs = |by: &Person| {
        let list = by.call("GET", "/api/v1/organizations").send().expect(200);
        assert_eq!(list["next_cursor"], Value::Null);
        field(&list["items"], "slug").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(slugs(&owner), ["acme", "default"]);
    assert_eq!(slugs(&admin), ["default"]);
    assert_eq!(slugs(&boss), ["acme"]);
}

#[test]
fn one_organization_knows_nothing_of_another() {
    let (server, owner) = start();
    let boss = made(&server, &owner, "acme");
    boss.api("POST", "bootstrap").send().expect(201);
    let (theirs, ours) = (key_of(&boss.make(&json!({ "owner": null }))), server.make(&json!({})));
    for (by, key) in [(&owner, &theirs), (&boss, &ours)] {
        for (method, rest) in [
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/rotate"),
            ("POST", "/revoke"),
            ("POST", "/disable"),
            ("POST", "/enable"),
        ] {
            let answer = by.api(method, &format!("keys/{}{rest}", key.id)).json(&json!({})).send();
            problem(&answer, 404, "NOT_FOUND");
        }
        let list = by.api("GET", "keys?limit=200").send().expect(200);
        assert!(!list.to_string().contains(&key.id));
    }
    server.exchange(&theirs.text, &[]).expect(200);
    let there_is_none = owner.call("POST", "/api/v1/organizations/nowhere/bootstrap").send();
    problem(&there_is_none, 404, "NOT_FOUND");
    let not_mine = boss.call("POST", "/api/v1/organizations/default/bootstrap").send();
    problem(&not_mine, 404, "NOT_FOUND");
}

#[test]
fn an_organization_that_cannot_be_meant_is_named_by_field() {
    let (server, owner) = start();
    let post = |body: &Value| owner.call("POST", "/api/v1/organizations").json(body).send();
    let good = || json!({ "slug": unique(), "owner_email": "o@example.org" });
    for name in ["slug", "owner_email"] {
        let mut body = good();
        body.as_object_mut().unwrap().remove(name);
        wrong_field(&post(&body), name);
        for value in [json!(null), json!(1), json!([]), json!({}), json!("")] {
            let mut body = good();
            body[name] = value;
            wrong_field(&post(&body), name);
        }
    }
    for slug in ["Acme", "a b", "a_b", "a/b", "..", "a\0", "a\n", "%", "<b>", "\u{202e}a", "é", &"x".repeat(41)] {
        let mut body = good();
        body["slug"] = json!(slug);
        wrong_field(&post(&body), "slug");
    }
    for email in ["x", "a@b\0", "a b@c", "<script>", &format!("{}@b", "x".repeat(254))] {
        let mut body = good();
        body["owner_email"] = json!(email);
        wrong_field(&post(&body), "owner_email");
    }
    let mut body = good();
    body["policy"] = json!({});
    wrong_field(&post(&body), "policy");
    for taken in ["default", "acme"] {
        make(&owner, "acme");
        problem(&make(&owner, taken), 409, "CONFLICT");
    }
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| make(&owner, "twin").status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409].contains(status)), "{statuses:?}");
    let list = owner.call("GET", "/api/v1/organizations").send().expect(200);
    assert_eq!(field(&list["items"], "slug"), ["acme", "default", "twin"], "nothing else was made");
    assert_eq!(try_sign_in(&server, "x", "o@example.org", "x").status, 401);
}

#[test]
fn suspension_takes_effect_at_once_and_can_end() {
    let (server, owner) = start();
    let boss = made(&server, &owner, "acme");
    boss.api("POST", "bootstrap").send().expect(201);
    let key = key_of(&boss.make(&json!({ "scopes": scope_list("*:* *:keyturn/*") })));
    let token = server.token(&key, &[]);
    server.me(&token).expect(200);
    let change = |by: &Person, verb: &str| by.call("POST", &format!("/api/v1/organizations/acme/{verb}"));

    // Its own administrators have no say in it, and `default` is not suspended.
    problem(&change(&boss, "suspend").send(), 403, "INSUFFICIENT_SCOPE");
    problem(&owner.call("POST", "/api/v1/organizations/default/suspend").send(), 409, "CONFLICT");
    problem(&owner.call("POST", "/api/v1/organizations/nobody/suspend").send(), 404, "NOT_FOUND");

    let suspended = change(&owner, "suspend").json(&json!({})).send().expect(200);
    assert!(suspended["suspended_at"].is_string(), "{suspended}");
    let again = change(&owner, "suspend").send().expect(200);
    assert_eq!(again["suspended_at"], suspended["suspended_at"], "a second time changes nothing");
    let refused = server.exchange(&key.text, &[]);
    let error = refused.expect(403);
    assert_eq!((&error["error"], &error["code"]), (&json!("unauthorized_client"), &json!("ORGANIZATION_SUSPENDED")));
    for credential in [&key.text, &token] {
        problem(&server.me(credential), 403, "ORGANIZATION_SUSPENDED");
        let verdict = server.get("/verify").bearer(credential).send();
        assert!(matches!(verdict.status, 401 | 403), "{}", verdict.status);
    }
    let wrong = server.exchange("kt_0000000000000000_00", &[]);
    assert_ne!(wrong.json()["code"], "ORGANIZATION_SUSPENDED", "only the bearer of a key learns of it");
    let audit = owner.call("GET", "/api/v1/organizations").send().expect(200);
    assert!(audit["items"].as_array().unwrap().iter().any(|one| one["suspended_at"].is_string()));

    problem(&change(&boss, "resume").send(), 403, "INSUFFICIENT_SCOPE");
    assert_eq!(change(&owner, "resume").send().expect(200)["suspended_at"], Value::Null);
    server.exchange(&key.text, &[]).expect(200);
    server.me(&token).expect(200);
    let audit = boss.api("GET", "audit?action=organization.suspend").send().expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}
