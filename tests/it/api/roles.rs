//! The permissions of each role at every route. A route without a row in the table fails. Also attempts to gain a higher
//! role.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::api::guard::routes;
use crate::customers;
use crate::portal;
use crate::profiles;
use crate::support::check::problem;
use crate::support::person::{start, start_in, try_sign_in};
use crate::support::server::{scope_list, unique};
use crate::support::{Answer, Key, Person, Place, Server, database, eventually};
use crate::webhooks;

const ROLES: [&str; 4] = ["viewer", "developer", "admin", "owner"];

const ROLE: &str = "403 ROLE_REQUIRED";
const MORE: &str = "403 INSUFFICIENT_SCOPE";
const GONE: &str = "404 NOT_FOUND";
const THERE: &str = "409 CONFLICT";

/// Method, route, object, and the outcomes for viewer, developer, admin and owner.
type Row = (&'static str, &'static str, &'static str, [&'static str; 4]);

const ONE: &str = "/organizations/{org}/keys/{id}";
const ROTATE: &str = "/organizations/{org}/keys/{id}/rotate";
const REVOKE: &str = "/organizations/{org}/keys/{id}/revoke";
const DISABLE: &str = "/organizations/{org}/keys/{id}/disable";
const ENABLE: &str = "/organizations/{org}/keys/{id}/enable";
const END_GRACE: &str = "/organizations/{org}/keys/{id}/end-grace";
const EXTEND_GRACE: &str = "/organizations/{org}/keys/{id}/extend-grace";
const EXPLAIN: &str = "/organizations/{org}/keys/{id}/explain";
const PREVIEW: &str = "/organizations/{org}/keys/{id}/token-preview";
const IMPACT: &str = "/organizations/{org}/keys/{id}/impact";
const USAGE: &str = "/organizations/{org}/keys/{id}/usage";
const API: &str = "/organizations/{org}/apis/{api}";
const CUSTOMER: &str = "/organizations/{org}/customers/{id}";
const PORTAL_SESSIONS: &str = "/organizations/{org}/customers/{id}/portal-sessions";
const PORTAL_SESSION: &str = "/organizations/{org}/customers/{id}/portal-sessions/{session}";
const PROFILE: &str = "/organizations/{org}/profiles/{profile}";
const NETWORK: &str = "/organizations/{org}/networks/{network}";
const WEBHOOK: &str = "/organizations/{org}/webhooks/{id}";
const MEMBER: &str = "/organizations/{org}/members/{id}";
const SESSIONS: &str = "/organizations/{org}/members/{id}/sessions";
const SESSION: &str = "/organizations/{org}/members/{id}/sessions/{session}";

const TABLE: &[Row] = &[
    ("GET", "/me", "", ["200", "200", "200", "200"]),
    ("POST", "/me/password", "", ["204", "204", "204", "204"]),
    ("GET", "/session", "", ["200", "200", "200", "200"]),
    ("DELETE", "/session", "", ["204", "204", "204", "204"]),
    // Keys. A strong one holds what only an owner holds.
    ("GET", "/organizations/{org}/keys", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/keys", "own", [ROLE, "201", "201", "201"]),
    ("POST", "/organizations/{org}/keys", "another's", [ROLE, ROLE, "201", "201"]),
    ("POST", "/organizations/{org}/keys", "the organization's", [ROLE, ROLE, "201", "201"]),
    ("POST", "/organizations/{org}/keys", "own strong", [ROLE, MORE, MORE, "201"]),
    ("GET", ONE, "own", ["200", "200", "200", "200"]),
    ("GET", ONE, "another's", ["200", "200", "200", "200"]),
    ("GET", ONE, "the organization's", ["200", "200", "200", "200"]),
    ("GET", ONE, "elsewhere", [GONE, GONE, GONE, GONE]),
    ("PATCH", ONE, "own", [ROLE, "200", "200", "200"]),
    ("PATCH", ONE, "own strong", [ROLE, MORE, MORE, "200"]),
    ("PATCH", ONE, "another's", [ROLE, ROLE, "200", "200"]),
    ("PATCH", ONE, "the organization's", [ROLE, ROLE, "200", "200"]),
    ("PATCH", ONE, "the organization's strong", [ROLE, ROLE, MORE, "200"]),
    ("PATCH", ONE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    ("DELETE", ONE, "own", [ROLE, "200", "200", "200"]),
    ("DELETE", ONE, "another's", [ROLE, ROLE, "200", "200"]),
    ("DELETE", ONE, "the organization's", [ROLE, ROLE, "200", "200"]),
    ("DELETE", ONE, "the organization's strong", [ROLE, ROLE, "200", "200"]),
    ("DELETE", ONE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    ("POST", ROTATE, "own", [ROLE, "200", "200", "200"]),
    ("POST", ROTATE, "own strong", [ROLE, MORE, MORE, "200"]),
    ("POST", ROTATE, "another's", [ROLE, ROLE, "200", "200"]),
    ("POST", ROTATE, "the organization's", [ROLE, ROLE, "200", "200"]),
    ("POST", ROTATE, "the organization's strong", [ROLE, ROLE, MORE, "200"]),
    ("POST", ROTATE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    ("POST", REVOKE, "own", [ROLE, "200", "200", "200"]),
    ("POST", REVOKE, "own strong", [ROLE, "200", "200", "200"]),
    ("POST", REVOKE, "another's", [ROLE, ROLE, "200", "200"]),
    ("POST", REVOKE, "the organization's", [ROLE, ROLE, "200", "200"]),
    ("POST", REVOKE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    ("POST", DISABLE, "own", [ROLE, "200", "200", "200"]),
    ("POST", DISABLE, "another's", [ROLE, ROLE, "200", "200"]),
    ("POST", DISABLE, "the organization's", [ROLE, ROLE, "200", "200"]),
    ("POST", DISABLE, "the organization's strong", [ROLE, ROLE, "200", "200"]),
    ("POST", DISABLE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    ("POST", ENABLE, "own", [ROLE, "200", "200", "200"]),
    ("POST", ENABLE, "own strong", [ROLE, MORE, MORE, "200"]),
    ("POST", ENABLE, "another's", [ROLE, ROLE, "200", "200"]),
    ("POST", ENABLE, "the organization's", [ROLE, ROLE, "200", "200"]),
    ("POST", ENABLE, "the organization's strong", [ROLE, ROLE, MORE, "200"]),
    ("POST", ENABLE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    // Without a grace period there is nothing to end, and nothing to extend.
    ("POST", END_GRACE, "own", [ROLE, "200", "200", "200"]),
    ("POST", END_GRACE, "own strong", [ROLE, "200", "200", "200"]),
    ("POST", END_GRACE, "another's", [ROLE, ROLE, "200", "200"]),
    ("POST", END_GRACE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    ("POST", EXTEND_GRACE, "own", [ROLE, THERE, THERE, THERE]),
    ("POST", EXTEND_GRACE, "another's", [ROLE, ROLE, THERE, THERE]),
    ("POST", EXTEND_GRACE, "elsewhere", [ROLE, GONE, GONE, GONE]),
    // Each key of a bulk change has a result of its own.
    ("POST", "/organizations/{org}/keys/bulk", "", [ROLE, "200", "200", "200"]),
    ("POST", "/organizations/{org}/keys/lookup", "", ["200", "200", "200", "200"]),
    ("GET", "/organizations/{org}/keys/stale", "", ["200", "200", "200", "200"]),
    ("POST", EXPLAIN, "own", ["200", "200", "200", "200"]),
    ("POST", EXPLAIN, "another's", ["200", "200", "200", "200"]),
    ("POST", EXPLAIN, "elsewhere", [GONE, GONE, GONE, GONE]),
    ("POST", PREVIEW, "own", ["200", "200", "200", "200"]),
    ("POST", PREVIEW, "another's", ["200", "200", "200", "200"]),
    ("POST", PREVIEW, "elsewhere", [GONE, GONE, GONE, GONE]),
    ("POST", IMPACT, "own", ["200", "200", "200", "200"]),
    ("POST", IMPACT, "another's", ["200", "200", "200", "200"]),
    ("POST", IMPACT, "elsewhere", [GONE, GONE, GONE, GONE]),
    // Use and the audit log.
    ("GET", "/organizations/{org}/denials", "", ["200", "200", "200", "200"]),
    ("GET", USAGE, "own", ["200", "200", "200", "200"]),
    ("GET", USAGE, "another's", ["200", "200", "200", "200"]),
    ("GET", USAGE, "elsewhere", [GONE, GONE, GONE, GONE]),
    ("GET", "/organizations/{org}/usage", "", ["200", "200", "200", "200"]),
    ("GET", "/organizations/{org}/apis/{api}/usage", "", ["200", "200", "200", "200"]),
    ("GET", "/organizations/{org}/audit", "", [ROLE, ROLE, "200", "200"]),
    // Webhooks.
    ("GET", "/organizations/{org}/webhooks", "", [ROLE, ROLE, "200", "200"]),
    ("POST", "/organizations/{org}/webhooks", "", [ROLE, ROLE, "201", "201"]),
    ("GET", WEBHOOK, "", [ROLE, ROLE, "200", "200"]),
    ("PATCH", WEBHOOK, "", [ROLE, ROLE, "200", "200"]),
    ("DELETE", WEBHOOK, "", [ROLE, ROLE, "204", "204"]),
    ("POST", "/organizations/{org}/webhooks/{id}/rotate-secret", "", [ROLE, ROLE, "200", "200"]),
    ("POST", "/organizations/{org}/webhooks/{id}/test", "", [ROLE, ROLE, "202", "202"]),
    ("GET", "/organizations/{org}/webhooks/{id}/deliveries", "", [ROLE, ROLE, "200", "200"]),
    ("GET", "/organizations/{org}/webhooks/{id}/deliveries/{delivery}", "unknown", [ROLE, ROLE, GONE, GONE]),
    ("POST", "/organizations/{org}/webhooks/{id}/deliveries/{delivery}/retry", "unknown", [ROLE, ROLE, GONE, GONE]),
    // Signing keys and organizations.
    ("GET", "/organizations/{org}/signing-keys", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/signing-keys/rotate", "", [ROLE, ROLE, "201", "201"]),
    ("DELETE", "/organizations/{org}/signing-keys/{kid}", "", [ROLE, ROLE, GONE, GONE]),
    // The table's organization is `default`, which cannot be suspended.
    ("POST", "/organizations/{org}/suspend", "", [ROLE, ROLE, ROLE, THERE]),
    ("POST", "/organizations/{org}/resume", "", [ROLE, ROLE, ROLE, "200"]),
    ("GET", "/organizations", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations", "", [ROLE, ROLE, ROLE, "201"]),
    ("GET", "/organizations/{org}", "", ["200", "200", "200", "200"]),
    ("PATCH", "/organizations/{org}", "", [ROLE, ROLE, ROLE, "200"]),
    ("DELETE", "/organizations/{org}", "", [ROLE, ROLE, ROLE, THERE]),
    ("POST", "/organizations/{org}/bootstrap", "", [ROLE, ROLE, THERE, THERE]),
    ("GET", "/organizations/{org}/apis", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/apis", "", [ROLE, ROLE, "201", "201"]),
    ("GET", API, "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/apis/{api}/impact", "", ["200", "200", "200", "200"]),
    ("PATCH", API, "", [ROLE, ROLE, "200", "200"]),
    ("DELETE", API, "", [ROLE, ROLE, "204", "204"]),
    ("GET", "/organizations/{org}/policy", "", ["200", "200", "200", "200"]),
    ("PUT", "/organizations/{org}/policy", "", [ROLE, ROLE, "200", "200"]),
    ("GET", "/organizations/{org}/customers", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/customers", "", [ROLE, ROLE, "201", "201"]),
    ("GET", CUSTOMER, "", ["200", "200", "200", "200"]),
    ("PATCH", CUSTOMER, "", [ROLE, ROLE, "200", "200"]),
    ("DELETE", CUSTOMER, "", [ROLE, ROLE, "200", "200"]),
    ("GET", "/organizations/{org}/customers/{id}/usage", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/customers/{id}/suspend", "", [ROLE, ROLE, "200", "200"]),
    ("POST", "/organizations/{org}/customers/{id}/reinstate", "", [ROLE, ROLE, "200", "200"]),
    ("GET", PORTAL_SESSIONS, "", ["200", "200", "200", "200"]),
    ("POST", PORTAL_SESSIONS, "", [ROLE, ROLE, "201", "201"]),
    ("DELETE", PORTAL_SESSION, "", [ROLE, ROLE, "204", "204"]),
    ("GET", "/organizations/{org}/portal", "", ["200", "200", "200", "200"]),
    ("PUT", "/organizations/{org}/portal", "", [ROLE, ROLE, "200", "200"]),
    ("GET", "/organizations/{org}/profiles", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/profiles", "", [ROLE, ROLE, "201", "201"]),
    ("GET", PROFILE, "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/profiles/{profile}/impact", "", ["200", "200", "200", "200"]),
    ("PATCH", PROFILE, "", [ROLE, ROLE, "200", "200"]),
    ("DELETE", PROFILE, "", [ROLE, ROLE, "200", "200"]),
    ("GET", "/organizations/{org}/networks", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/networks", "", [ROLE, ROLE, "201", "201"]),
    ("GET", NETWORK, "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/networks/{network}/impact", "", ["200", "200", "200", "200"]),
    ("PATCH", NETWORK, "", [ROLE, ROLE, "200", "200"]),
    ("DELETE", NETWORK, "", [ROLE, ROLE, "204", "204"]),
    // Members.
    ("GET", "/organizations/{org}/members", "", ["200", "200", "200", "200"]),
    ("POST", "/organizations/{org}/members", "viewer", [ROLE, ROLE, "201", "201"]),
    ("POST", "/organizations/{org}/members", "developer", [ROLE, ROLE, "201", "201"]),
    ("POST", "/organizations/{org}/members", "admin", [ROLE, ROLE, "201", "201"]),
    ("POST", "/organizations/{org}/members", "owner", [ROLE, ROLE, MORE, "201"]),
    ("GET", MEMBER, "self", ["200", "200", "200", "200"]),
    ("GET", MEMBER, "owner", ["200", "200", "200", "200"]),
    ("GET", MEMBER, "elsewhere", [GONE, GONE, GONE, GONE]),
    ("PATCH", MEMBER, "self", [ROLE, ROLE, "200", "200"]),
    ("PATCH", MEMBER, "viewer", [ROLE, ROLE, "200", "200"]),
    ("PATCH", MEMBER, "developer", [ROLE, ROLE, "200", "200"]),
    ("PATCH", MEMBER, "admin", [ROLE, ROLE, "200", "200"]),
    ("PATCH", MEMBER, "owner", [ROLE, ROLE, MORE, "200"]),
    ("PATCH", MEMBER, "elsewhere", [ROLE, ROLE, GONE, GONE]),
    ("DELETE", MEMBER, "self", [ROLE, ROLE, "200", "200"]),
    ("DELETE", MEMBER, "viewer", [ROLE, ROLE, "200", "200"]),
    ("DELETE", MEMBER, "developer", [ROLE, ROLE, "200", "200"]),
    ("DELETE", MEMBER, "admin", [ROLE, ROLE, "200", "200"]),
    ("DELETE", MEMBER, "owner", [ROLE, ROLE, MORE, "200"]),
    ("DELETE", MEMBER, "elsewhere", [ROLE, ROLE, GONE, GONE]),
    ("GET", SESSIONS, "self", ["200", "200", "200", "200"]),
    ("GET", SESSIONS, "viewer", [ROLE, ROLE, "200", "200"]),
    ("GET", SESSIONS, "owner", [ROLE, ROLE, "200", "200"]),
    ("GET", SESSIONS, "elsewhere", [ROLE, ROLE, GONE, GONE]),
    ("DELETE", SESSION, "self", ["204", "204", "204", "204"]),
    ("DELETE", SESSION, "viewer", [ROLE, ROLE, "204", "204"]),
    ("DELETE", SESSION, "admin", [ROLE, ROLE, "204", "204"]),
    ("DELETE", SESSION, "owner", [ROLE, ROLE, MORE, "204"]),
    ("DELETE", SESSION, "elsewhere", [ROLE, ROLE, GONE, GONE]),
];

/// Two organizations with their owners.
struct World {
    server: Server,
    owner: Person,
    boss: Person,
    foreign_key: Key,
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let founded = place.init(&[]);
        let acme = place.init(&["--organization", "acme"]);
        let server = place.serve(founded.key);
        let owner = Person::sign_in(&server, "default", &founded.email, &founded.password);
        let boss = Person::sign_in(&server, "acme", &acme.email, &acme.password);
        Self { server, owner, boss, foreign_key: acme.key }
    }

    /// Creates the key that a row names.
    fn key(&self, object: &str, person: &Person, route: &str) -> String {
        if object == "elsewhere" {
            return self.foreign_key.id.clone();
        }
        let owner = match object {
            "own" | "own strong" => json!(person.id),
            "another's" => json!(self.owner.id),
            _ => Value::Null,
        };
        let scopes = scope_list(if object.ends_with("strong") { "*:keyturn/*" } else { "read:a" });
        let key = self.owner.make(&json!({ "owner": owner, "scopes": scopes }));
        let id = key["id"].as_str().unwrap().to_owned();
        if route == ENABLE {
            self.owner.api("POST", &format!("keys/{id}/disable")).send().expect(200);
        }
        id
    }

    /// Creates the member that a row names.
    fn member(&self, object: &str, person: &Person) -> Person {
        match object {
            "self" => person.clone(),
            "elsewhere" => self.boss.clone(),
            role => self.owner.add(&self.server, role),
        }
    }

    fn ask(&self, (method, route, object, _): &Row, person: &Person) -> Answer {
        let mut path = route.replace("{org}", "default").replace("{kid}", "kid");
        if route.contains("/keys/{id}") {
            path = path.replace("{id}", &self.key(object, person, route));
        } else if route.contains("/members/{id}") {
            let member = self.member(object, person);
            path = path.replace("{id}", &member.id).replace("{session}", &member.session);
        } else if route.contains("/customers/{id}") {
            let customer = customers::new_customer(&self.server);
            let session = portal::new_session(&self.server, &customer);
            path = path.replace("{id}", &customer).replace("{session}", &session);
        } else if route.contains("/apis/{api}") {
            let made = self.owner.api("POST", "apis").json(&new_api()).send().expect(201);
            path = path.replace("{api}", made["name"].as_str().unwrap());
        } else if route.contains("{profile}") {
            path = path.replace("{profile}", &profiles::new_profile(&self.server));
        } else if route.contains("{network}") {
            path = path.replace("{network}", &profiles::new_network(&self.server));
        } else if route.contains("/webhooks") {
            webhooks::remove_all(&self.server);
            let made = self.owner.api("POST", "webhooks").json(&json!({ "url": webhooks::NOWHERE })).send().expect(201);
            path = path.replace("{id}", made["id"].as_str().unwrap()).replace("{delivery}", "0123456789012345678901");
        }
        let request = person.call(method, &format!("/api/v1{path}"));
        if matches!(*method, "GET" | "DELETE") {
            return request.send();
        }
        let scopes = scope_list(if *object == "own strong" { "*:keyturn/*" } else { "read:a" });
        let email = format!("{}@example.org", unique());
        request
            .json(&match (*method, *route) {
                ("POST", "/me/password") => {
                    json!({ "current_password": person.password, "new_password": "correct horse battery" })
                }
                ("POST", "/organizations/{org}/keys") => match *object {
                    "another's" => json!({ "scopes": scopes, "owner": self.owner.id }),
                    "the organization's" => json!({ "scopes": scopes, "owner": null }),
                    _ => json!({ "scopes": scopes }),
                },
                ("POST", EXTEND_GRACE) => json!({ "grace_seconds": 3600 }),
                ("POST", "/organizations/{org}/keys/bulk") => {
                    json!({ "ids": [self.foreign_key.id], "action": "disable" })
                }
                ("POST", "/organizations/{org}/keys/lookup") => json!({ "text": "nothing" }),
                ("PATCH", ONE) => json!({ "description": "changed" }),
                ("POST", "/organizations/{org}/apis") => new_api(),
                ("POST", "/organizations/{org}/customers") => customers::body(),
                ("POST", PORTAL_SESSIONS) => portal::body(),
                ("POST", "/organizations/{org}/profiles") => profiles::body(),
                ("POST", "/organizations/{org}/networks") => profiles::network_body(),
                ("POST", "/organizations/{org}/webhooks") => json!({ "url": webhooks::NOWHERE }),
                ("POST", IMPACT) => json!({ "allowed_cidrs": ["10.0.0.0/8"] }),
                ("POST", "/organizations") => json!({ "slug": unique(), "owner_email": email }),
                ("POST", "/organizations/{org}/members") => json!({ "email": email, "role": object }),
                ("PATCH", MEMBER) => json!({ "email": email }),
                (_, "/organizations/{org}/signing-keys/rotate") => json!({ "publish_ahead_seconds": 0 }),
                _ => json!({}),
            })
            .send()
    }
}

/// The outcome of a request in the notation of the table.
#[track_caller]
fn told(answer: &Answer) -> String {
    if answer.status < 300 {
        return answer.status.to_string();
    }
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    problem(answer, answer.status, &code);
    format!("{} {code}", answer.status)
}

#[test]
fn roles_have_exactly_their_permissions() {
    let world = World::new();
    let mut wrong = Vec::new();
    for row in TABLE {
        for (role, expected) in ROLES.iter().zip(row.3) {
            let person = world.owner.add(&world.server, role);
            let told = told(&world.ask(row, &person));
            if told != expected {
                wrong.push(format!("{role}: {} {} on {:?}: {told}, not {expected}", row.0, row.1, row.2));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_route_has_a_row() {
    let listed: BTreeSet<(String, String)> =
        TABLE.iter().map(|(method, route, ..)| ((*method).to_owned(), (*route).to_owned())).collect();
    let documented = routes().into_iter().map(|route| (route.method, route.path)).collect();
    assert_eq!(listed, documented);
}

#[test]
fn other_organizations_are_not_found() {
    let world = World::new();
    let (server, owner) = (&world.server, &world.owner);
    let routes: BTreeSet<(&str, &str)> = TABLE.iter().map(|(method, route, ..)| (*method, *route)).collect();
    let mut people: Vec<Person> = ROLES.iter().map(|role| owner.add(server, role)).collect();
    people.push(world.boss.clone());
    for person in &people {
        let (abroad, theirs) = match person.organization.as_str() {
            "default" => ("acme", (&world.foreign_key.id, &world.boss)),
            _ => ("default", (&server.key.id, owner)),
        };
        for (method, route) in routes.iter().filter(|(_, route)| route.contains("{org}")) {
            let id = if route.contains("/members/") { &theirs.1.id } else { theirs.0 };
            let path = route
                .replace("{org}", abroad)
                .replace("{id}", id)
                .replace("{session}", &theirs.1.session)
                .replace("{kid}", "kid");
            let answer = person.call(method, &format!("/api/v1{path}")).json(&json!({})).send();
            // Only owners of `default` see and bootstrap others, and this one is.
            let expected = match *route {
                "/organizations/{org}/bootstrap" if person.id == people[3].id => THERE,
                // It was not suspended for long enough.
                "/organizations/{org}" if person.id == people[3].id && *method == "DELETE" => THERE,
                "/organizations/{org}/suspend" | "/organizations/{org}/resume" | "/organizations/{org}"
                    if person.id == people[3].id =>
                {
                    "200"
                }
                _ => GONE,
            };
            assert_eq!(told(&answer), expected, "{method} {route} by {}", person.email);
        }
    }
    assert!(world.boss.is_signed_in());
    owner.call("POST", "/api/v1/organizations/acme/resume").json(&json!({})).send().expect(200);
    server.exchange(&world.foreign_key.text, &[]).expect(200);
}

#[test]
fn members_cannot_raise_their_role() {
    let (server, owner) = start();
    let change = |by: &Person, id: &str, body: Value| by.api("PATCH", &format!("members/{id}")).json(&body).send();
    for (role, said) in [("viewer", "ROLE_REQUIRED"), ("developer", "ROLE_REQUIRED"), ("admin", "INSUFFICIENT_SCOPE")] {
        let person = owner.add(&server, role);
        problem(&change(&person, &person.id, json!({ "role": "owner" })), 403, said);
        let friend = owner.add(&server, "viewer");
        problem(&change(&person, &friend.id, json!({ "role": "owner" })), 403, said);
        let new = json!({ "email": format!("{}@example.org", unique()), "role": "owner" });
        problem(&person.api("POST", "members").json(&new).send(), 403, said);
        for body in
            [json!({ "reset_password": true }), json!({ "role": "viewer" }), json!({ "email": "mine@example.org" })]
        {
            problem(&change(&person, &owner.id, body), 403, said);
        }
        problem(&person.api("DELETE", &format!("members/{}", owner.id)).send(), 403, said);
        let end = person.api("DELETE", &format!("members/{}/sessions/{}", owner.id, owner.session)).send();
        problem(&end, 403, said);
        assert_eq!(owner.member(&person.id)["role"], role);
        assert_eq!(owner.member(&friend.id)["role"], "viewer");
    }
    assert!(owner.is_signed_in());
    owner.again(&server);
    // If one field cannot be changed, none is.
    let admin = owner.add(&server, "admin");
    let both = json!({ "email": "both@example.org", "role": "owner" });
    problem(&change(&admin, &admin.id, both), 403, "INSUFFICIENT_SCOPE");
    assert_eq!(owner.member(&admin.id)["email"], admin.email.as_str());
}

#[test]
fn keys_cannot_give_roles_beyond_their_scopes() {
    let (server, owner) = start();
    let member = owner.add(&server, "viewer");
    let admin = "*:* *:keyturn/keys *:keyturn/usage *:keyturn/policy *:keyturn/members *:keyturn/signing-keys";
    let make = |scopes: &str, more: Value| {
        let mut body = json!({ "scopes": scope_list(scopes) });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        server.make(&body)
    };
    let weak = [
        (make("admin:keyturn/members", json!({})), "viewer"),
        (make(admin, json!({})), "owner"),
        (make("*:* *:keyturn/*", json!({ "allowed_cidrs": ["127.0.0.0/8"] })), "owner"),
        (make("*:* *:keyturn/*", json!({ "expires_in_seconds": 3600 })), "viewer"),
    ];
    for (key, role) in &weak {
        let new = json!({ "email": format!("{}@example.org", unique()), "role": role });
        problem(&server.api_as(&key.text, "POST", "members").json(&new).send(), 403, "INSUFFICIENT_SCOPE");
        let raise = server.api_as(&key.text, "PATCH", &format!("members/{}", member.id)).json(&json!({ "role": role }));
        if *role == "owner" {
            problem(&raise.send(), 403, "INSUFFICIENT_SCOPE");
        }
        let reset = server
            .api_as(&key.text, "PATCH", &format!("members/{}", owner.id))
            .json(&json!({ "reset_password": true }));
        problem(&reset.send(), 403, "INSUFFICIENT_SCOPE");
        let end = server.api_as(&key.text, "DELETE", &format!("members/{}/sessions/{}", owner.id, owner.session));
        problem(&end.send(), 403, "INSUFFICIENT_SCOPE");
    }
    assert!(owner.is_signed_in() && owner.member(&member.id)["role"] == "viewer");
    // A token that carries less of a strong key, as well.
    let narrow = server.token(&server.key, &[("scope", "admin:keyturn/members *:*")]);
    let new = json!({ "email": format!("{}@example.org", unique()), "role": "owner" });
    problem(&server.api_as(&narrow, "POST", "members").json(&new).send(), 403, "INSUFFICIENT_SCOPE");
}

#[test]
fn members_cannot_create_keys_beyond_their_role() {
    let (server, owner) = start();
    for (role, scopes) in [
        (
            "developer",
            vec![
                "write:keyturn/keys",
                "*:keyturn/keys",
                "read:keyturn/*",
                "admin:keyturn/members",
                "read:keyturn/audit",
            ],
        ),
        ("admin", vec!["*:keyturn/*", "admin:keyturn/*", "admin:keyturn/organizations", "read:keyturn/#"]),
    ] {
        let person = owner.add(&server, role);
        let own = person.make(&json!({ "scopes": scope_list("*:*") }));
        let id = own["id"].as_str().unwrap();
        for scope in scopes {
            let body = json!({ "scopes": scope_list(&format!("read:a {scope}")) });
            problem(&person.api("POST", "keys").json(&body).send(), 403, "INSUFFICIENT_SCOPE");
            problem(&person.api("PATCH", &format!("keys/{id}")).json(&body).send(), 403, "INSUFFICIENT_SCOPE");
        }
        // A key of theirs that somebody stronger has made stays out of reach, narrowed first or not.
        let strong = owner.make(&json!({ "owner": person.id, "scopes": scope_list("*:keyturn/*") }));
        let id = strong["id"].as_str().unwrap();
        for body in [json!({ "scopes": [] }), json!({ "name": "mine" }), json!({ "scopes": scope_list("read:a") })] {
            problem(&person.api("PATCH", &format!("keys/{id}")).json(&body).send(), 403, "INSUFFICIENT_SCOPE");
        }
        problem(&person.api("POST", &format!("keys/{id}/rotate")).json(&json!({})).send(), 403, "INSUFFICIENT_SCOPE");
        person.api("POST", &format!("keys/{id}/disable")).send().expect(200);
        problem(&person.api("POST", &format!("keys/{id}/enable")).send(), 403, "INSUFFICIENT_SCOPE");
    }
}

#[test]
fn owners_of_keys_change_only_by_those_who_manage_all_keys() {
    let (server, owner) = start();
    let (one, two) = (owner.add(&server, "developer"), owner.add(&server, "developer"));
    let key = one.make(&json!({}));
    assert_eq!(key["owner"], one.id.as_str());
    let path = format!("keys/{}", key["id"].as_str().unwrap());
    for by in [&one, &two] {
        for owner in [json!(two.id), json!(null)] {
            let answer = by.api("PATCH", &path).json(&json!({ "owner": owner })).send();
            problem(&answer, 403, "ROLE_REQUIRED");
        }
    }
    for by in [&one, &two, &owner] {
        let answer = by.api("POST", &format!("{path}/rotate")).json(&json!({ "owner": two.id })).send();
        problem(&answer, 422, "VALIDATION_FAILED");
    }
    assert_eq!(owner.api("GET", &path).send().expect(200)["owner"], one.id.as_str());
    let given = owner.api("PATCH", &path).json(&json!({ "owner": two.id })).send().expect(200);
    assert_eq!(given["owner"], two.id.as_str());
    for body in [json!({ "owner": two.id }), json!({ "owner": null }), json!({ "owner": owner.id })] {
        problem(&one.api("POST", "keys").json(&body).send(), 403, "ROLE_REQUIRED");
    }
    assert_eq!(one.make(&json!({ "owner": one.id }))["owner"], one.id.as_str());
}

#[test]
fn removal_and_demotion_take_effect_at_once() {
    let (server, owner) = start();
    let (removed, demoted, reset) =
        (owner.add(&server, "admin"), owner.add(&server, "admin"), owner.add(&server, "admin"));
    let ended = owner.add(&server, "admin");
    owner.api("DELETE", &format!("members/{}", removed.id)).send().expect(200);
    owner.api("PATCH", &format!("members/{}", demoted.id)).json(&json!({ "role": "viewer" })).send().expect(200);
    owner.api("PATCH", &format!("members/{}", reset.id)).json(&json!({ "reset_password": true })).send().expect(200);
    assert_eq!(owner.api("DELETE", &format!("members/{}/sessions/{}", ended.id, ended.session)).send().status, 204);
    for (person, status, code) in [
        (&removed, 401, "API_KEY_REQUIRED"),
        (&reset, 401, "API_KEY_REQUIRED"),
        (&ended, 401, "API_KEY_REQUIRED"),
        (&demoted, 403, "ROLE_REQUIRED"),
    ] {
        problem(&person.api("POST", "keys").json(&json!({ "owner": null })).send(), status, code);
        problem(&person.api("PUT", "policy").json(&json!({})).send(), status, code);
        problem(&person.api("DELETE", &format!("members/{}", owner.id)).send(), status, code);
        problem(&person.api("POST", "signing-keys/rotate").json(&json!({})).send(), status, code);
    }
    problem(&try_sign_in(&server, "default", &removed.email, &removed.password), 401, "SIGN_IN_REFUSED");
}

#[test]
fn rights_are_checked_again_after_a_slow_body() {
    let (server, owner) = start_in(Place::on_sqlite());
    let people = [owner.add(&server, "admin"), owner.add(&server, "admin"), owner.add(&server, "admin")];
    let key = server.key.clone();
    let place = server.stop();
    database::execute(&place.database(), "UPDATE sessions SET last_seen_at = last_seen_at - 120000");
    let server = place.serve(key);
    let seen = |person: &Person| {
        let query = format!("SELECT CAST(last_seen_at AS TEXT) FROM sessions WHERE id = '{}'", person.session);
        database::column(&server.database(), &query)
    };
    // Each has sent all but the last byte and is authenticated: the use of their session is stored.
    let body = json!({ "name": "slow", "owner": null });
    let mut streams = Vec::new();
    for person in &people {
        let before = seen(person);
        let bytes = person.at(&server).api("POST", "keys").json(&body).bytes();
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(&bytes[..bytes.len() - 1]).unwrap();
        eventually("the session's use", || (seen(person) != before).then_some(()));
        streams.push(stream);
    }
    server.api("DELETE", &format!("members/{}", people[0].id)).send().expect(200);
    server.api("PATCH", &format!("members/{}", people[1].id)).json(&json!({ "role": "viewer" })).send().expect(200);
    let mut answers = streams.into_iter().map(|mut stream| {
        stream.write_all(b"}").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer::read(&answer).unwrap()
    });
    problem(&answers.next().unwrap(), 401, "API_KEY_REQUIRED");
    problem(&answers.next().unwrap(), 409, "CONFLICT");
    answers.next().unwrap().expect(201);
    assert_eq!(server.api("GET", "keys?search=slow").send().expect(200)["items"].as_array().unwrap().len(), 1);
}

#[test]
fn sessions_are_not_accepted_by_oauth() {
    let (server, owner) = start();
    let with =
        |request: crate::support::Request| request.header("Cookie", &owner.cookie).header("X-CSRF-Token", &owner.csrf);
    let form = [("grant_type", "client_credentials"), ("token", "x")];
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        let answer =
            with(server.request("POST", path).form(&form[..if path == "/oauth/token" { 1 } else { 2 }])).send();
        assert_eq!(answer.status, 401, "{path}: {}", answer.text());
    }
    assert_eq!(with(server.get("/verify")).send().status, 401);
    let secret = owner.cookie.split_once('=').unwrap().1;
    for credential in [secret, &owner.csrf, &owner.password] {
        problem(&server.me(credential), 401, "API_KEY_INVALID");
    }
}

/// An API with a name of its own.
fn new_api() -> Value {
    let name = unique();
    json!({ "name": name, "audience": format!("https://{name}.example") })
}
