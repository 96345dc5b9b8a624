//! Organizations: made from `default`, ready for use, apart from each other.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::person::{start, try_sign_in};
use crate::support::server::{scope_list, unique};
use crate::support::{Answer, Key, Person, Place, Server, database, eventually, field, jwt};

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
fn new_organization_has_a_signing_key() {
    let (server, owner) = start();
    let answer = make(&owner, "acme");
    let body = answer.expect(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("location"), Some("/api/v1/organizations/acme"));
    assert!(body["bootstrapped"] == true && body["slug"] == "acme" && body["name"] == "acme", "{body}");
    let issuer = format!("{}/o/acme", server.public_url);
    assert_eq!(body["issuer"], issuer);
    let boss = Person::sign_in(&server, "acme", "boss@acme.example", body["owner"]["password"].as_str().unwrap());

    // Its owner creates a key at once.
    let key = key_of(&boss.make(&json!({})));
    let shown = boss.call("GET", "/api/v1/organizations/acme").send().expect(200);
    assert!(shown.get("owner").is_none(), "the password is shown once: {shown}");
    let signing = boss.api("GET", "signing-keys").send().expect(200)["items"].clone();
    assert_eq!(field(&signing, "status"), ["current"]);
    problem(&boss.api("POST", "bootstrap").send(), 409, "CONFLICT");
    problem(&owner.call("POST", "/api/v1/organizations/acme/bootstrap").send(), 409, "CONFLICT");
    let metadata = server.get("/.well-known/oauth-authorization-server/o/acme").send().expect(200);
    assert_eq!(metadata["issuer"], issuer);
    let jwks = server.get("/o/acme/.well-known/jwks.json").send().expect(200);
    assert_eq!(field(&jwks["keys"], "kid"), field(&signing, "kid"));
    let (_, claims) = jwt::verify(&server.token(&key, &[]), &jwks);
    assert_eq!((claims["iss"].as_str(), claims["org"].as_str()), (Some(&*issuer), Some("acme")));
}

/// A server with organization `acme`, which has lost its signing key, and the owner of that.
fn without_signing_key() -> (Server, Person, Person) {
    let place = Place::on_sqlite();
    let acme = place.init(&["--organization", "acme"]);
    let founded = place.init(&[]);
    database::execute(&place.database(), "DELETE FROM signing_keys WHERE organization = 'acme'");
    let server = place.serve(founded.key);
    let owner = Person::sign_in(&server, "default", &founded.email, &founded.password);
    let boss = Person::sign_in(&server, "acme", &acme.email, &acme.password);
    (server, owner, boss)
}

#[test]
fn organization_without_a_signing_key_cannot_create_keys() {
    let (server, _, boss) = without_signing_key();
    problem(&boss.api("POST", "keys").json(&json!({})).send(), 409, "NOT_BOOTSTRAPPED");
    assert_eq!(boss.call("GET", "/api/v1/organizations/acme").send().expect(200)["bootstrapped"], false);
    let signing = boss.api("POST", "bootstrap").send().expect(201);
    assert_eq!(signing["status"], "current");
    let key = key_of(&boss.make(&json!({})));
    let jwks = server.get("/o/acme/.well-known/jwks.json").send().expect(200);
    assert_eq!(jwt::verify(&server.token(&key, &[]), &jwks).1["org"], "acme");
    assert_eq!(boss.call("GET", "/api/v1/organizations/acme").send().expect(200)["bootstrapped"], true);
}

#[test]
fn name_is_given_and_changed_by_owners_and_operators() {
    let (server, owner) = start();
    let body = json!({ "slug": "acme", "name": "Acme Rockets", "owner_email": "boss@acme.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    assert_eq!((&made["slug"], &made["name"]), (&json!("acme"), &json!("Acme Rockets")));
    let boss = Person::sign_in(&server, "acme", "boss@acme.example", made["owner"]["password"].as_str().unwrap());
    let rename =
        |by: &Person, name: Value| by.call("PATCH", "/api/v1/organizations/acme").json(&json!({ "name": name })).send();
    assert_eq!(rename(&boss, json!("Acme")).expect(200)["name"], "Acme");
    assert_eq!(rename(&owner, json!("Acme, Inc.")).expect(200)["name"], "Acme, Inc.");
    assert_eq!(rename(&owner, json!("Acme, Inc.")).expect(200)["name"], "Acme, Inc.", "again");
    for bad in [json!(null), json!(""), json!(" Acme"), json!("x".repeat(101)), json!("a\u{202e}b"), json!(1)] {
        wrong_field(&rename(&boss, bad), "name");
    }
    for role in ["viewer", "developer", "admin"] {
        problem(&rename(&boss.add(&server, role), json!("Mine")), 403, "ROLE_REQUIRED");
    }
    let elsewhere = owner.add(&server, "admin");
    problem(&rename(&elsewhere, json!("Mine")), 404, "NOT_FOUND");
    let shown = boss.call("GET", "/api/v1/organizations/acme").send().expect(200);
    assert_eq!((&shown["name"], &shown["slug"]), (&json!("Acme, Inc."), &json!("acme")));
    let log = boss.api("GET", "audit?action=organization.edit").send().expect(200);
    let changes: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["new"]["name"].clone()).collect();
    assert_eq!(changes, [json!("Acme, Inc."), json!("Acme")]);
    let bad = json!({ "slug": "other", "name": "", "owner_email": "o@example.org" });
    wrong_field(&owner.call("POST", "/api/v1/organizations").json(&bad).send(), "name");
}

#[test]
fn list_has_pages_and_counts() {
    let (server, owner) = start();
    let boss = made(&server, &owner, "acme");
    boss.add(&server, "developer");
    let key = key_of(&boss.make(&json!({})));
    let revoked = key_of(&boss.make(&json!({})));
    boss.api("POST", &format!("keys/{}/revoke", revoked.id)).json(&json!({})).send().expect(200);
    server.token(&key, &[]);
    let page = |query: &str| owner.call("GET", &format!("/api/v1/organizations{query}")).send().expect(200);
    let counts = eventually("the use to be counted", || {
        let counts = page("")["items"][0]["counts"].clone();
        counts["last_used_at"].is_string().then_some(counts)
    });
    assert_eq!(
        (&counts["members"], &counts["keys"], &counts["active_keys"]),
        (&json!(2), &json!(2), &json!(1)),
        "{counts}"
    );
    let first = page("?limit=1");
    assert_eq!(field(&first["items"], "slug"), ["acme"]);
    let next = page(&format!("?limit=1&cursor={}", first["next_cursor"].as_str().unwrap()));
    assert_eq!((field(&next["items"], "slug"), &next["next_cursor"]), (vec!["default"], &Value::Null));
    wrong_field(&owner.call("GET", "/api/v1/organizations?cursor=x").send(), "cursor");
    // Members who do not manage the organization do not see its counts.
    let admin = boss.add(&server, "admin");
    let own = admin.call("GET", "/api/v1/organizations").send().expect(200);
    assert!(own["items"][0]["slug"] == "acme" && own["items"][0].get("counts").is_none(), "{own}");
    let own = boss.call("GET", "/api/v1/organizations/acme").send().expect(200);
    assert_eq!(own["counts"]["members"], 3);
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
    let (server, owner, boss) = without_signing_key();
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

/// Organization `acme` with a member, used keys, a webhook, a policy and an audit log.
struct Acme {
    boss: Person,
    key: Key,
    token: String,
    /// IDs and logins that nothing may contain after the deletion.
    traces: Vec<String>,
}

fn furnished(server: &Server, by: &Person) -> Acme {
    let boss = made(server, by, "acme");
    let developer = boss.add(server, "developer");
    let key = key_of(&boss.make(&json!({ "name": "of acme", "scopes": scope_list("*:* *:keyturn/*") })));
    let other = key_of(&developer.make(&json!({ "name": "another" })));
    let token = server.token(&key, &[]);
    server.me(&token).expect(200);
    let hook = json!({ "url": "https://hooks.example/x" });
    let hook = boss.api("POST", "webhooks").json(&hook).send().expect(201)["id"].as_str().unwrap().to_owned();
    boss.api("POST", &format!("keys/{}/disable", other.id)).json(&json!({})).send().expect(200);
    server.exchange(&other.text, &[]).expect(403);
    eventually("the use to be counted", || {
        let shown = boss.api("GET", &format!("keys/{}", key.id)).send().expect(200);
        shown["last_used_at"].is_string().then_some(())
    });
    let traces = vec![key.id.clone(), other.id, boss.id.clone(), developer.id.clone(), developer.email, hook];
    Acme { boss, key, token, traces }
}

fn delete(by: &Person, query: &str) -> Answer {
    by.call("DELETE", &format!("/api/v1/organizations/acme{query}")).send()
}

#[test]
fn deleted_organization_is_denied_and_its_slug_stays_taken() {
    let (server, owner) = start();
    let acme = furnished(&server, &owner);
    problem(&delete(&acme.boss, "?now=true"), 403, "INSUFFICIENT_SCOPE");
    problem(&owner.call("DELETE", "/api/v1/organizations/default?now=true").send(), 409, "CONFLICT");
    problem(&owner.call("DELETE", "/api/v1/organizations/nobody?now=true").send(), 404, "NOT_FOUND");
    let early = problem(&delete(&owner, ""), 409, "CONFLICT");
    assert!(early["detail"].as_str().unwrap().contains("30 days of suspension"), "{early}");
    owner.call("POST", "/api/v1/organizations/acme/suspend").send().expect(200);
    let early = problem(&delete(&owner, ""), 409, "CONFLICT");
    assert!(early["detail"].as_str().unwrap().contains("days of suspension, from 20"), "{early}");
    owner.call("POST", "/api/v1/organizations/acme/resume").send().expect(200);
    server.exchange(&acme.key.text, &[]).expect(200);

    assert_eq!(delete(&owner, "?now=true").status, 204);
    for credential in [&acme.key.text, &acme.token] {
        assert!(matches!(server.me(credential).status, 401 | 403));
        for path in ["/verify", "/o/acme/verify", "/verify?keyturn_organization=*"] {
            assert!(matches!(server.get(path).bearer(credential).send().status, 401 | 403 | 404), "{path}");
        }
    }
    assert!(matches!(server.exchange(&acme.key.text, &[]).status, 401 | 403));
    assert!(!acme.boss.is_signed_in());
    assert_eq!(try_sign_in(&server, "acme", "boss@acme.example", &acme.boss.password).status, 401);
    for path in ["/o/acme/.well-known/jwks.json", "/.well-known/oauth-authorization-server/o/acme"] {
        assert_eq!(server.get(path).send().status, 404, "{path}");
    }
    problem(&delete(&owner, "?now=true"), 404, "NOT_FOUND");
    problem(&owner.call("GET", "/api/v1/organizations/acme").send(), 404, "NOT_FOUND");
    problem(&owner.call("POST", "/api/v1/organizations/acme/resume").send(), 404, "NOT_FOUND");
    let list = owner.call("GET", "/api/v1/organizations").send().expect(200);
    assert_eq!(field(&list["items"], "slug"), ["default"]);
    problem(&make(&owner, "acme"), 409, "CONFLICT");
    let log = owner.api("GET", "audit?action=organization.delete").send().expect(200);
    assert_eq!((&log["items"][0]["subject"], &log["items"][0]["old"]["name"]), (&json!("acme"), &json!("acme")));
}

#[test]
fn nothing_of_a_deleted_organization_is_left() {
    let place = Place::on_sqlite();
    let (path, founded) = (place.database(), place.init(&[]));
    let server = place.serve(founded.key);
    let owner = Person::sign_in(&server, "default", &founded.email, &founded.password);
    let acme = furnished(&server, &owner);
    let tables = database::column(&path, "SELECT name FROM sqlite_master WHERE type = 'table'");
    let with = |column: &str| {
        let has = |table: &&String| {
            let columns = format!("SELECT name FROM pragma_table_info('{table}')");
            database::column(&path, &columns).iter().any(|name| name == column)
        };
        tables.iter().filter(has).cloned().collect::<Vec<_>>()
    };
    let of_organizations = with("organization");
    let rows = |table: &str| {
        let count = format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table} WHERE organization = 'acme'");
        database::column(&path, &count)[0].clone()
    };
    let filled = |table: &str| rows(table) != "0";
    for table in
        ["members", "api_keys", "signing_keys", "audit", "audit_heads", "webhooks", "usage_totals", "key_grants"]
    {
        assert!(of_organizations.iter().any(|name| name == table) && filled(table), "{table}");
    }
    assert_eq!(delete(&owner, "?now=true").status, 204);
    // Counts that the node still held must not come back.
    std::thread::sleep(std::time::Duration::from_secs(3));
    for table in &of_organizations {
        assert_eq!(rows(table), "0", "{table}");
    }
    // Numbers of changes are deleted after some minutes; they name keys, and nothing else.
    for (table, rows) in database::contents(&path) {
        let left: Vec<_> = rows.iter().filter(|row| acme.traces.iter().any(|trace| row.contains(trace))).collect();
        assert!(left.is_empty() || table == "key_changes", "{table}: {left:?}");
    }
    // A restarted server knows nothing of it.
    let key = server.key.clone();
    let server = server.stop().serve(key);
    assert_eq!(server.exchange(&acme.key.text, &[]).status, 401);
}
