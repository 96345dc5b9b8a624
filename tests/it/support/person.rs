//! A signed-in member, with the cookie and the CSRF token that a browser would have.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::client::{Answer, Request};
use crate::support::server::{Place, Server, unique};

/// A member with a session.
#[derive(Clone)]
pub struct Person {
    address: SocketAddr,
    pub organization: String,
    pub id: String,
    pub email: String,
    pub password: String,
    /// `name=value` for the `Cookie` header.
    pub cookie: String,
    pub csrf: String,
    pub session: String,
}

/// Starts a server and signs in as the owner of its default organization.
#[track_caller]
pub fn start() -> (Server, Person) {
    start_in(Place::new())
}

/// Same, with other settings.
#[track_caller]
pub fn start_in(place: Place) -> (Server, Person) {
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let owner = Person::sign_in(&server, "default", &founded.email, &founded.password);
    (server, owner)
}

/// Tries to sign in.
pub fn try_sign_in(server: &Server, organization: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "organization": organization, "email": email, "password": password });
    server.request("POST", "/api/v1/session").json(&body).send()
}

impl Person {
    #[track_caller]
    pub fn sign_in(server: &Server, organization: &str, email: &str, password: &str) -> Self {
        let answer = try_sign_in(server, organization, email, password);
        let body = answer.expect(201);
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            address: server.address,
            organization: organization.into(),
            id: text(&body["member"]["id"]),
            email: email.into(),
            password: password.into(),
            cookie,
            csrf: text(&body["csrf_token"]),
            session: text(&body["session"]["id"]),
        }
    }

    /// The same browser at another node.
    pub fn at(&self, server: &Server) -> Self {
        Self { address: server.address, ..self.clone() }
    }

    /// The same member in another browser.
    #[track_caller]
    pub fn again(&self, server: &Server) -> Self {
        Self::sign_in(server, &self.organization, &self.email, &self.password)
    }

    /// Adds a member with a role, who signs in.
    #[track_caller]
    pub fn add(&self, server: &Server, role: &str) -> Self {
        let email = format!("{}@example.org", unique());
        let body = self.api("POST", "members").json(&json!({ "email": email, "role": role })).send().expect(201);
        Self::sign_in(server, &self.organization, &email, body["password"].as_str().unwrap())
    }

    /// Creates a request as Keyturn's pages send it.
    pub fn call(&self, method: &str, path: &str) -> Request {
        let request = Request::new(self.address, method, path).header("Cookie", &self.cookie);
        if method == "GET" { request } else { request.header("X-CSRF-Token", &self.csrf) }
    }

    /// Creates a request to the API of the member's organization.
    pub fn api(&self, method: &str, rest: &str) -> Request {
        self.call(method, &format!("/api/v1/organizations/{}/{rest}", self.organization))
    }

    /// Returns a member as the API shows them.
    #[track_caller]
    pub fn member(&self, id: &str) -> Value {
        self.api("GET", &format!("members/{id}")).send().expect(200)
    }

    /// Creates a key with `read:*` and the given fields; returns the response.
    #[track_caller]
    pub fn make(&self, more: &Value) -> Value {
        let mut body = json!({ "name": "a key", "scopes": [{ "action": "read", "resource": "*" }] });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.api("POST", "keys").json(&body).send().expect(201)
    }

    /// Whether the session is valid.
    pub fn is_signed_in(&self) -> bool {
        match self.call("GET", "/api/v1/session").send().status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }
}
