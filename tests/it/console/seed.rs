//! Sample data for screenshots: a company that has used Keyturn for a while.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::person::Person;
use crate::support::server::scope_list;
use crate::support::{Place, Server, database, now};

/// The ID of the default API.
const DEFAULT_API: &str = "0000000000000000";

/// The statements that aggregate hourly usage.
const REPORTS: &str = include_str!("../../../migrations/sqlite/0006_usage_reports.sql");

/// A key: name, description, scopes, networks, lifetime in days, token requests per hour at noon.
type KeyOf = (&'static str, &'static str, &'static str, &'static [&'static str], Option<i64>, u64);

const KEYS: &[KeyOf] = &[
    (
        "deploy-production",
        "Rolls out releases",
        "write:deployments/prod read:images/*",
        &["203.0.113.0/24"],
        Some(90),
        42,
    ),
    ("ci-main", "Builds of the main branch", "read:* write:images/acme/*", &["198.51.100.16/28"], Some(30), 180),
    (
        "billing-export",
        "Nightly export to the ledger",
        "read:invoices/* read:customers/*",
        &["203.0.113.7/32"],
        Some(365),
        9,
    ),
    ("grafana", "Dashboards in the office", "read:metrics/*", &[], None, 96),
    ("terraform", "Infrastructure of both regions", "*:networks/* read:images/*", &["198.51.100.0/24"], Some(14), 12),
    ("partner-northwind", "Orders of Northwind Traders", "write:orders/northwind/*", &["192.0.2.0/26"], Some(180), 61),
    ("mobile-backend", "", "read:catalog/* write:orders/*", &["203.0.113.64/26", "2001:db8:40::/48"], None, 240),
    ("laptop-of-ada", "For trying things out", "read:*", &[], Some(7), 2),
    ("old-importer", "Replaced by billing-export", "read:invoices/*", &[], Some(60), 4),
    ("status-page", "Uptime probe", "read:health", &[], Some(365), 60),
    ("warehouse-sync", "Stock levels, every five minutes", "write:stock/*", &["192.0.2.128/25"], Some(90), 0),
    ("load-test", "", "read:catalog/*", &[], Some(30), 0),
];

const COLLEAGUES: &[(&str, &str)] = &[
    ("grace@acme.example", "admin"),
    ("linus@acme.example", "developer"),
    ("margaret@acme.example", "developer"),
    ("auditor@acme.example", "viewer"),
];

/// A server with the company's data, and its owner.
pub struct Company {
    pub server: Server,
    pub owner: Person,
    /// The IDs of the keys, in the order of `KEYS`.
    pub keys: Vec<String>,
    /// The ID of the API `orders`.
    pub api: String,
    /// The ID of the customer Northwind Traders.
    pub customer: String,
}

impl Company {
    #[track_caller]
    pub fn found() -> Self {
        let place = Place::on_sqlite();
        let founded = place.init(&["--email", "ada@acme.example"]);
        let server = place.serve(founded.key.clone());
        let owner = Person::sign_in(&server, "default", &founded.email, &founded.password);
        let made: Vec<Value> = KEYS.iter().map(|key| make(&owner, key)).collect();
        let keys: Vec<String> = made.iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect();
        let api = make_apis(&owner, made[5]["id"].as_str().unwrap());
        let customer = make_customers(&owner, made[5]["id"].as_str().unwrap());
        make_profiles(&owner, [&keys[2], &keys[4]]);
        // Denials: by a network, and by a scope.
        let secret = |place: usize| made[place]["secret"].as_str().unwrap();
        server.exchange(secret(1), &[("scope", "read:images/acme/web")]).expect(403);
        server.exchange(secret(3), &[("scope", "write:metrics/cpu")]).expect(400);
        for (email, role) in COLLEAGUES {
            owner.api("POST", "members").json(&json!({ "email": email, "role": role })).send().expect(201);
        }
        let other = json!({ "slug": "globex", "name": "Globex Corporation", "owner_email": "grace@globex.example" });
        owner.call("POST", "/api/v1/organizations").json(&other).send().expect(201);
        let change = |key: usize, how: &str, body: &Value| {
            owner.api("POST", &format!("keys/{}/{how}", keys[key])).json(body).send().expect(200);
        };
        change(8, "revoke", &json!({ "reason": "replaced by billing-export" }));
        change(11, "disable", &json!({}));
        change(0, "rotate", &json!({ "grace_seconds": 86_400 }));
        for (url, events) in [
            ("https://hooks.acme.example/keyturn", &["key.*"][..]),
            ("https://siem.acme.example/in", &["key.revoked", "policy.changed"][..]),
        ] {
            let body = json!({ "url": url, "description": "", "events": events });
            owner.api("POST", "webhooks").json(&body).send().expect(201);
        }
        for (credential, more) in [("wrong", &[][..]), (founded.key.text.as_str(), &[("scope", "read:health")][..])] {
            server.exchange(credential, more);
        }

        // Weeks of history are written while the server is stopped.
        let place = server.stop();
        write_the_past(&place, &keys);
        let server = place.serve(founded.key);
        let owner = owner.at(&server);
        Self { server, owner, keys, api, customer }
    }
}

/// Creates two profiles and two networks. The first key gets a profile, the second a network besides its own.
#[track_caller]
fn make_profiles(owner: &Person, [of_profile, of_network]: [&str; 2]) {
    for network in [
        json!({ "name": "office", "description": "Berlin and the VPN", "cidrs": ["203.0.113.0/24", "2001:db8:40::/48"],
            "excluded_cidrs": ["203.0.113.250"] }),
        json!({ "name": "frankfurt", "description": "Data center", "cidrs": ["198.51.100.128/25"] }),
    ] {
        owner.api("POST", "networks").json(&network).send().expect(201);
    }
    for profile in [
        json!({ "name": "reporting", "description": "Read-only jobs that export data", "networks": ["office"],
            "scopes": ["read:invoices/*", "read:customers/*", "read:orders/*", "read:stock/*"], "token_ttl_seconds": 300 }),
        json!({ "name": "monitoring", "scopes": ["read:metrics/*", "read:health"] }),
    ] {
        owner.api("POST", "profiles").json(&profile).send().expect(201);
    }
    let change = |key: &str, fields: Value| owner.api("PATCH", &format!("keys/{key}")).json(&fields).send().expect(200);
    change(of_profile, json!({ "profile": "reporting" }));
    change(of_network, json!({ "networks": ["frankfurt"] }));
}

/// Creates two more APIs, and grants both to a key. Returns the ID of the first.
#[track_caller]
fn make_apis(owner: &Person, key: &str) -> String {
    for api in [
        json!({
            "name": "orders", "audience": "https://orders.acme.example", "description": "Orders and returns of the shop",
            "token_ttl_seconds": 300,
            "scopes": [
                { "scope": "orders.read", "description": "See orders" },
                { "scope": "orders.write", "description": "Create and change orders" },
                { "scope": "orders.refund", "description": "Pay money back" },
            ],
        }),
        json!({ "name": "reports", "audience": "https://reports.acme.example", "scope_style": "filters", "token_typ": "JWT" }),
    ] {
        owner.api("POST", "apis").json(&api).send().expect(201);
    }
    let grants = json!([
        { "api": "default", "scopes": ["write:orders/northwind/*"] },
        { "api": "orders", "scopes": ["orders.read", "orders.write"] },
        { "api": "reports", "scopes": ["read:sales/northwind/*"] },
    ]);
    owner.api("PATCH", &format!("keys/{key}")).json(&json!({ "apis": grants })).send().expect(200);
    let log = owner.api("GET", "audit?action=api.create&limit=10").send().expect(200);
    log["items"][1]["subject"].as_str().unwrap().to_owned()
}

/// Creates two customers, and gives a key to the first. Returns its ID.
#[track_caller]
fn make_customers(owner: &Person, key: &str) -> String {
    let customers = [
        json!({ "external_id": "northwind", "name": "Northwind Traders", "metadata": { "plan": "enterprise", "region": "eu" } }),
        json!({ "external_id": "user_8f3a91", "name": "Contoso", "max_keys": 3 }),
    ];
    let [northwind, contoso] = customers.map(|body| {
        let made = owner.api("POST", "customers").json(&body).send().expect(201);
        made["id"].as_str().unwrap().to_owned()
    });
    let given = json!({ "owner": null, "customer": northwind });
    owner.api("PATCH", &format!("keys/{key}")).json(&given).send().expect(200);
    owner.api("POST", &format!("customers/{contoso}/suspend")).json(&json!({})).send().expect(200);
    northwind
}

fn make(owner: &Person, key: &KeyOf) -> Value {
    let (name, description, scopes, networks, days, _) = *key;
    let mut body = json!({ "name": name, "description": description, "scopes": scope_list(scopes) });
    if !networks.is_empty() {
        body["allowed_cidrs"] = json!(networks);
    }
    match days {
        Some(days) => body["expires_in_seconds"] = json!(days * 86_400),
        None => body["expires_at"] = Value::Null,
    }
    owner.make(&body)
}

fn write_the_past(place: &Place, keys: &[String]) {
    let path = place.database();
    let hour = now() / 3600;
    let mut rows = String::new();
    for (place, (id, (.., rate))) in keys.iter().zip(KEYS).enumerate() {
        for back in 1..30 * 24 {
            for (outcome, count) in counted(place as u64, *rate, (hour - back) as u64) {
                let _ = write!(
                    rows,
                    "{}('{id}', {}, '{outcome}', {count})",
                    if rows.is_empty() { "" } else { ", " },
                    hour - back
                );
            }
        }
    }
    for table in ["hours", "totals", "days", "of_organization_hours", "of_organization_days"] {
        database::execute(&path, &format!("DELETE FROM usage_{table}"));
    }
    database::execute(&path, &format!("INSERT INTO usage_hours (key_id, hour, outcome, count) VALUES {rows}"));
    let statements =
        REPORTS.split(";\n").filter_map(|text| text.find("INSERT INTO usage_").map(|start| &text[start..]));
    statements.for_each(|statement| database::execute(&path, statement));

    let second = now();
    for (place, (id, (.., rate))) in keys.iter().zip(KEYS).enumerate() {
        let (age, used) = (40 + 23 * place as i64, 90 + 7_000 * place as i64);
        let mut set = format!("created_at = {}", (second - age * 86_400) * 1000);
        if *rate > 0 {
            let _ =
                write!(set, ", last_used_at = {}, last_used_ip = '203.0.113.{}'", (second - used) * 1000, place + 5);
            let detail = format!(
                "INSERT OR REPLACE INTO usage_details (key_id, day, kind, api, value, exchanges, verifications) VALUES \
                 ('{id}', {day}, 'address', '', '203.0.113.{}', {}, {rate}), ('{id}', {day}, 'address', '', '198.51.100.20', {rate}, 0), \
                 ('{id}', {day}, 'api', '{DEFAULT_API}', '', {}, {rate}), \
                 ('{id}', {day}, 'scope', '{DEFAULT_API}', 'read:metrics/cpu', {rate}, 0); \
                 INSERT INTO usage_of_api_days (organization, api, day, exchanges, verifications) \
                 VALUES ('default', '{DEFAULT_API}', {day}, {}, {rate}) ON CONFLICT (organization, api, day) \
                 DO UPDATE SET exchanges = exchanges + excluded.exchanges, verifications = verifications + excluded.verifications",
                place + 5,
                rate * 8,
                rate * 9,
                rate * 9,
                day = second / 86_400,
            );
            database::execute(&path, &detail);
        }
        database::execute(&path, &format!("UPDATE api_keys SET {set} WHERE id = '{id}'"));
    }
    // One key has expired.
    let expired = format!("UPDATE api_keys SET expires_at = {} WHERE id = '{}'", (second - 3 * 86_400) * 1000, keys[7]);
    database::execute(&path, &expired);
}

/// More requests by day than by night, fewer on weekends, with some variation and occasional denials.
fn counted(place: u64, rate: u64, hour: u64) -> Vec<(&'static str, u64)> {
    let noise = (hour * 7_919 + place * 104_729) % 97;
    let of_day = [2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 10, 10, 9, 10, 10, 9, 8, 7, 5, 4, 4, 3, 3, 2][(hour % 24) as usize];
    let weekend = if [0, 6].contains(&((hour / 24 + 4) % 7)) { 3 } else { 10 };
    let exchanged = rate * of_day * weekend * (60 + noise) / 12_000;
    let denied = |outcome: &'static str, when: u64| (outcome, if noise < when { exchanged / 12 + 1 } else { 0 });
    let all = [
        ("exchanged", exchanged),
        ("verified", exchanged / 3),
        denied("denied_scope", if place % 3 == 1 { 9 } else { 0 }),
        denied("denied_network", if place.is_multiple_of(4) { 5 } else { 0 }),
        denied("denied_expired", if place == 7 { 30 } else { 0 }),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}
