//! `keyturn store migrate`: the schema by one user, the server by another.

use serde_json::{Value, json};

use crate::nodes::place_at;
use crate::support::postgres::Database;
use crate::support::redis::free_port;
use crate::support::server::{Key, Server, scope_list};
use crate::support::{Place, database};

fn check(place: &Place) -> (i32, String) {
    let ended = place.run(&["store", "migrate", "--check"]);
    (ended.code, format!("{}{}", ended.stdout, ended.stderr).trim_end().to_owned())
}

#[track_caller]
fn migrate(place: &Place) {
    let ended = place.run(&["store", "migrate"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.starts_with("The schema is current (version "), "{}", ended.stdout);
    assert_eq!(check(place), (0, ended.stdout.trim_end().to_owned()));
}

const NONE: &str = "keyturn: the database has no schema yet; run: keyturn store migrate";

#[test]
fn server_runs_as_a_user_who_may_not_change_the_schema() {
    let database = Database::create();
    let owner = place_at(&database.url());
    assert_eq!(check(&owner), (1, NONE.to_owned()));
    assert_eq!(database.contents(), [""; 0], "a check changes nothing");
    migrate(&owner);
    let user = format!("runtime_{}", free_port());
    database.sql(&format!(
        "CREATE ROLE {user} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"
    ));
    let runtime = place_at(&database.url_as(&user));
    assert_eq!(check(&runtime).0, 0);
    let server = runtime.start();
    server.token(&server.make_with("read:orders/*"), &[]);
    drop(server.stop());
    database.sql(&format!("DROP OWNED BY {user}"));
}

#[test]
fn schema_of_an_earlier_version_is_reported_and_migrated() {
    let place = Place::on_sqlite();
    assert_eq!(check(&place), (1, NONE.to_owned()));
    assert!(!place.path("data").exists(), "a check changes nothing");
    migrate(&place);
    assert!(!place.path("data/master.key").exists(), "nothing else is created");
    for statement in database::BACK_TO_14 {
        database::execute(&place.database(), statement);
    }
    let (code, line) = check(&place);
    assert_eq!(code, 1);
    assert!(line.starts_with("keyturn: the schema has version 14, this Keyturn needs "), "{line}");
    migrate(&place);
    let server = place.start();
    server.token(&server.key, &[]);
}

/// Keys, policies and tokens of a version without APIs, customers and profiles go on working.
#[track_caller]
fn what_exists_goes_on_working(place: Place, back: impl Fn()) {
    // 1. Of the version before: scopes, networks, an expiry, a policy with audiences, and live tokens.
    let server = place.start();
    let policy = json!({
        "audiences": ["https://orders.example.com", "urn:reports"], "actions": ["read", "write", "fly"],
        "grantable_scopes": ["read:*", "fly:*", "*:keyturn/*"], "token_ttl_seconds": 900, "max_keys": 50,
    });
    let policy = server.api("PUT", "policy").json(&policy).send().expect(200);
    let plain = server.make(&json!({ "name": "plain", "scopes": scope_list("read:* fly:planes/*") }));
    let bound =
        server.make(&json!({ "name": "bound", "scopes": scope_list("read:a/*"), "allowed_cidrs": ["127.0.0.0/8"] }));
    let without = server.make(&json!({ "name": "without", "scopes": [] }));
    let orders = [("audience", "https://orders.example.com")];
    let tokens = [server.token(&plain, &[]), server.token(&plain, &orders), server.token(&bound, &[])];
    let revoked = server.token(&plain, &[]);
    let revocation = server.request("POST", "/oauth/revoke").bearer(&server.key.text).form(&[("token", &*revoked)]);
    revocation.send().expect(200);
    let rotated = server.make(&json!({ "name": "rotated" }));
    let made = server.api("POST", &format!("keys/{}/rotate", rotated.id)).json(&json!({ "grace_seconds": 3600 }));
    let next = made.send().expect(200)["secret"].as_str().unwrap().to_owned();
    let before: Vec<_> = [&plain, &bound, &without, &rotated].map(|key| shown(&server, key)).into();
    let (first, place) = (server.key.clone(), server.stop());

    // 2. After the migration.
    back();
    let server = place.serve(first);
    let after: Vec<_> = [&plain, &bound, &without, &rotated].map(|key| shown(&server, key)).into();
    assert_eq!(after, before);
    assert_eq!(server.api("GET", "policy").send().expect(200), policy);
    for token in &tokens {
        assert!(is_active(&server, token));
    }
    assert!(!is_active(&server, &revoked));
    for secret in [&rotated.text, &next] {
        assert_eq!(server.exchange(secret, &[]).status, 200);
    }
    let claims = server.claims(&server.token(&plain, &orders));
    assert_eq!(
        (&claims["aud"], claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()),
        (&json!(orders[0].1), 900)
    );
    assert_eq!(server.exchange(&plain.text, &[("audience", "urn:other")]).status, 400);
    let apis = server.api("GET", "apis").send().expect(200);
    let default = &apis["items"][0];
    assert_eq!((apis["items"].as_array().unwrap().len(), &default["name"]), (1, &json!("default")));
    assert_eq!(default["grantable_scopes"], policy["grantable_scopes"]);
    let aliases = default["aliases"].as_array().unwrap();
    assert!(["https://orders.example.com", "urn:reports"].iter().all(|audience| aliases.contains(&json!(audience))));
    let narrower = json!({ "scopes": ["read:a/b"] });
    server.api("PATCH", &format!("keys/{}", bound.id)).json(&narrower).send().expect(200);
    assert!(!is_active(&server, &tokens[2]));
}

/// Whether a token is valid, for introspection and for gateways.
#[track_caller]
fn is_active(server: &Server, token: &str) -> bool {
    let asked = server.request("POST", "/oauth/introspect").bearer(&server.key.text).form(&[("token", token)]);
    let is_active = asked.send().expect(200)["active"] == true;
    assert_eq!(server.get("/verify").bearer(token).send().status, if is_active { 200 } else { 401 });
    is_active
}

fn shown(server: &Server, key: &Key) -> Value {
    let mut shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    let fields = shown.as_object_mut().unwrap();
    // Counted after a delay.
    fields.retain(|name, _| !name.starts_with("last_used") && !name.starts_with("previous_secret"));
    shown
}

#[test]
fn what_exists_goes_on_working_on_sqlite() {
    let place = Place::on_sqlite().set("KEYTURN_SERVER__PUBLIC_URL", "http://keyturn.test");
    let path = place.database();
    what_exists_goes_on_working(place, || {
        database::BACK_TO_14.iter().for_each(|statement| database::execute(&path, statement));
    });
}

#[test]
fn what_exists_goes_on_working_on_postgresql() {
    let database = Database::create();
    what_exists_goes_on_working(place_at(&database.url()), || {
        database::BACK_TO_14.iter().for_each(|statement| drop(database.sql(statement)));
    });
}
