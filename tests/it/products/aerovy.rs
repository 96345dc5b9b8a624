//! Aerovy: an organization creates named keys with scopes and networks, monitors their use,
//! revokes them, and exchanges them for tokens.

use serde_json::{Value, json};

use crate::products::{assert_error, names, text, under, wrong_field};
use crate::support::check::problem;
use crate::support::person::Person;
use crate::support::server::scope_list;
use crate::support::{Key, Server, eventually, jwt};

#[test]
fn organization_is_ready_for_use() {
    let (server, owner) = under("aerovy");
    let made =
        owner.call("POST", "/api/v1/organizations").json(&json!({ "slug": "fleet", "owner_email": "f@fleet.example" }));
    let made = made.send().expect(201);
    assert_eq!(
        (&made["bootstrapped"], &made["issuer"]),
        (&json!(true), &json!(format!("{}/o/fleet", server.public_url)))
    );
    let fleet = Person::sign_in(&server, "fleet", "f@fleet.example", &text(&made["owner"]["password"]));

    let key = json!({ "name": "ingest", "scopes": scope_list("write:fleet/*") });
    let signing_keys = fleet.api("GET", "signing-keys").send().expect(200);
    assert_eq!(signing_keys["items"][0]["status"], "current");
    problem(&fleet.api("POST", "bootstrap").send(), 409, "CONFLICT");

    // Its keys get tokens of its own issuer, which its own JWKS verifies.
    let key = fleet.api("POST", "keys").json(&key).send().expect(201);
    let token = server.exchange(&text(&key["secret"]), &[]).expect(200);
    let jwks = server.get("/o/fleet/.well-known/jwks.json").send().expect(200);
    let (_, claims) = jwt::verify(&text(&token["access_token"]), &jwks);
    assert_eq!((&claims["iss"], &claims["org"]), (&made["issuer"], &json!("fleet")));
    let metadata = server.get("/.well-known/oauth-authorization-server/o/fleet").send().expect(200);
    assert_eq!(metadata["issuer"], made["issuer"]);
}

fn make(owner: &Person, body: &Value) -> Value {
    owner.api("POST", "keys").json(body).send().expect(201)
}

#[test]
fn key_has_a_name_and_scopes() {
    let (server, owner) = under("aerovy");
    let create = |body| owner.api("POST", "keys").json(&body).send();
    let scopes = json!([{ "action": "read", "resource": "sites/berlin/#" }, { "action": "write", "resource": "sites/berlin/chargers/*" }]);
    assert_eq!(wrong_field(&create(json!({ "scopes": scopes }))), "name");
    assert_eq!(wrong_field(&create(json!({ "name": "ingest" }))), "scopes");
    assert_eq!(wrong_field(&create(json!({ "name": "ingest", "scopes": [] }))), "scopes");
    let unknown = json!({ "name": "ingest", "scopes": [{ "action": "fly", "resource": "a" }] });
    assert_eq!(wrong_field(&create(unknown)), "scopes[0].action");
    let bad = json!({ "name": "ingest", "scopes": [{ "action": "read", "resource": "a/*/b" }] });
    assert_eq!(wrong_field(&create(bad)), "scopes[0].resource");
    let past = json!({ "name": "ingest", "scopes": scopes, "expires_at": "2020-01-01T00:00:00Z" });
    assert_eq!(wrong_field(&create(past)), "expires_at");

    let made = make(&owner, &json!({ "name": "ingest", "scopes": scopes, "expires_at": "2041-01-01T09:30:00+01:00" }));
    assert_eq!((&made["scopes"], &made["expires_at"]), (&scopes, &json!("2041-01-01T08:30:00Z")));
    assert!(made.get("warnings").is_none(), "{made}");
    let everything = make(&owner, &json!({ "name": "all", "scopes": scope_list("*:*") }));
    assert_eq!(everything["warnings"][0]["field"], "scopes");
    server.exchange(&text(&made["secret"]), &[("scope", "read:sites/berlin/x")]).expect(200);
    assert_error(
        &server.exchange(&text(&made["secret"]), &[("scope", "read:sites/paris/x")]),
        400,
        "INSUFFICIENT_SCOPE",
    );
}

#[test]
fn networks_apply_and_wildcards_warn() {
    let (server, owner) = under("aerovy");
    let base = json!({ "name": "ingest", "scopes": scope_list("read:a") });
    let with = |cidrs: Value| {
        let mut body = base.clone();
        body["allowed_cidrs"] = cidrs;
        owner.api("POST", "keys").json(&body).send()
    };
    // From any address by default.
    assert_eq!(make(&owner, &base)["allowed_cidrs"], json!([]));
    let kept = with(json!(["10.0.0.0/8", "127.0.0.1", "2001:db8::/32"])).expect(201);
    assert_eq!(kept["allowed_cidrs"], json!(["10.0.0.0/8", "127.0.0.1/32", "2001:db8::/32"]));
    assert!(kept.get("warnings").is_none());
    server.exchange(&text(&kept["secret"]), &[]).expect(200);
    let elsewhere = with(json!(["10.0.0.0/8", "2001:db8::/32"])).expect(201);
    let refused = server.exchange(&text(&elsewhere["secret"]), &[]);
    assert_error(&refused, 403, "API_KEY_IP_NOT_ALLOWED");
    assert!(refused.text().contains("127.0.0.1"), "it says which address was seen");
    for wildcard in [json!(["*"]), json!(["0.0.0.0/0"]), json!(["10.0.0.0/8", "::/0"])] {
        let warned = with(wildcard).expect(201);
        assert_eq!(warned["warnings"][0]["field"], "allowed_cidrs", "{warned}");
    }
    for (bad, field) in [(json!(["10.0.0.1/8"]), "allowed_cidrs[0]"), (json!(["10.0.0.0/8", "x"]), "allowed_cidrs[1]")]
    {
        assert_eq!(wrong_field(&with(bad)), field);
    }
}

#[test]
fn list_can_be_filtered_and_searched() {
    let (_server, owner) = under("aerovy");
    let named = |name: &str| text(&make(&owner, &json!({ "name": name, "scopes": scope_list("read:a") }))["id"]);
    let (berlin, _, old) = (named("Berlin ingest"), named("Paris ingest"), named("Berlin export"));
    owner.api("POST", &format!("keys/{old}/revoke")).send().expect(200);
    let list = |query: &str| names(&owner.api("GET", &format!("keys?{query}")).send().expect(200));
    assert_eq!(list("status=active&search=berlin"), ["Berlin ingest"]);
    assert_eq!(list("status=revoked"), ["Berlin export"]);
    assert_eq!(list("search=ingest&sort=name"), ["Berlin ingest", "Paris ingest"]);
    assert_eq!(list("search=BERLIN&sort=name"), ["Berlin export", "Berlin ingest"]);

    // Narrowing warns that requests may fail immediately; a new name does not.
    let edit = |body| owner.api("PATCH", &format!("keys/{berlin}")).json(&body).send().expect(200);
    assert!(edit(json!({ "name": "Berlin" })).get("warnings").is_none());
    let narrowed = edit(json!({ "allowed_cidrs": ["10.0.0.0/8"] }));
    assert!(text(&narrowed["warnings"][0]["message"]).contains("requests may fail immediately"));
}

#[test]
fn revocation_is_permanent() {
    let (server, owner) = under("aerovy");
    let made = make(&owner, &json!({ "name": "ingest", "scopes": scope_list("read:a") }));
    let key = Key { id: text(&made["id"]), text: text(&made["secret"]) };
    let token = server.token(&key, &[]);
    owner.api("POST", &format!("keys/{}/revoke", key.id)).json(&json!({ "reason": "leaked" })).send().expect(200);
    assert_error(&server.exchange(&key.text, &[]), 401, "API_KEY_INVALID");
    problem(&server.me(&token), 401, "API_KEY_INVALID");
    for change in ["enable", "disable", "rotate"] {
        problem(&owner.api("POST", &format!("keys/{}/{change}", key.id)).send(), 409, "CONFLICT");
    }
    let edit = owner.api("PATCH", &format!("keys/{}", key.id)).json(&json!({ "name": "again" })).send();
    problem(&edit, 409, "CONFLICT");
}

#[test]
fn usage_by_key_and_organization() {
    let (server, owner) = under("aerovy");
    let key = |name: &str| {
        let made = make(&owner, &json!({ "name": name, "scopes": scope_list("read:a") }));
        Key { id: text(&made["id"]), text: text(&made["secret"]) }
    };
    let (busy, quiet) = (key("busy"), key("quiet"));
    let exchange = |key: &Key, times: usize, server: &Server| {
        for _ in 0..times {
            server.exchange(&key.text, &[]).expect(200);
        }
    };
    exchange(&busy, 5, &server);
    exchange(&quiet, 2, &server);
    assert_error(&server.exchange(&quiet.text, &[("scope", "write:a")]), 400, "INSUFFICIENT_SCOPE");
    let whole = eventually("what was counted", || {
        let usage = owner.api("GET", "usage?interval=day").send().expect(200);
        (usage["totals"]["exchanges"] == 7 && usage["totals"]["denials"]["scope"] == 1).then_some(usage)
    });
    let rows = whole["items"].as_array().unwrap();
    let of = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap()["totals"]["exchanges"].clone();
    assert_eq!((of("busy"), of("quiet")), (json!(5), json!(2)));
    let place = |name: &str| rows.iter().position(|row| row["name"] == name);
    assert!(place("busy") < place("quiet"), "busiest first");
    let one = owner.api("GET", &format!("keys/{}/usage?interval=hour", quiet.id)).send().expect(200);
    assert_eq!((&one["totals"]["exchanges"], &one["totals"]["denials"]["scope"]), (&json!(2), &json!(1)));
    assert_eq!(one["buckets"].as_array().unwrap().len(), 24, "every hour of a day, the empty ones too");
}
