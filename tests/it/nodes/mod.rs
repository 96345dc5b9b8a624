//! Several nodes on one PostgreSQL database, with and without Redis.

mod agreement;
pub mod clocks;
mod copy;
mod people;
mod proxy;
mod redis;
mod redis_forms;
mod restore;
mod start;
mod tenants;
mod together;
mod upkeep;
mod wire;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::postgres::Database;
use crate::support::{Place, Server};

/// The master key of all nodes in a test.
const MASTER_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// Maximum time of a change that waits for leases to expire.
const LEASES_OVER: Duration = Duration::from_millis(1600);

/// A node of a deployment.
fn place(database: &Database) -> Place {
    place_at(&database.url())
}

/// A node on the store with this URL.
pub fn place_at(store: &str) -> Place {
    Place::on_sqlite()
        .set("KEYTURN_STORE__URL", store)
        .unset("KEYTURN_SECRETS__MASTER_KEY_FILE")
        .set("KEYTURN_SECRETS__MASTER_KEY", MASTER_KEY)
        .set("KEYTURN_SERVER__PUBLIC_URL", "http://keyturn.test")
}

/// A node that uses Redis for notifications.
fn place_with(database: &Database, redis_url: &str) -> Place {
    place(database).set("KEYTURN_REVOCATION__URL", redis_url)
}

/// Two nodes of one deployment. Declared before the database in tests, so that they stop before it.
pub struct Two {
    a: Server,
    b: Server,
    database: Database,
}

impl Two {
    /// Nodes without Redis.
    #[track_caller]
    pub fn embedded() -> Self {
        Self::on(Database::create(), place)
    }

    #[track_caller]
    fn with(redis_url: &str) -> Self {
        Self::on(Database::create(), |database| place_with(database, redis_url))
    }

    #[track_caller]
    fn on(database: Database, place: impl Fn(&Database) -> Place) -> Self {
        let a = place(&database).start();
        let b = place(&database).serve(a.key.clone());
        Self { a, b, database }
    }

    /// Returns both nodes, swapped in every other call.
    pub fn turn(&self, n: usize) -> (&Server, &Server) {
        if n.is_multiple_of(2) { (&self.a, &self.b) } else { (&self.b, &self.a) }
    }
}

/// Returns the warnings of a server.
fn warnings(server: &Server) -> Vec<String> {
    let response = server.get("/readyz").send().expect(200);
    let warnings = response["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

/// Returns a metric by its name with labels; `None` if it does not exist.
fn metric(server: &Server, name: &str) -> Option<f64> {
    let text = server.get("/metrics").send().text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

/// Measures the time of an operation.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed(), result)
}

/// Whether a token is valid. All three endpoints must agree.
#[track_caller]
pub fn is_good(server: &Server, token: &str) -> bool {
    let (me, verify) = (server.me(token).status, server.get("/verify").bearer(token).send().status);
    let introspection = server.request("POST", "/oauth/introspect").api_key(&server.key.text).form(&[("token", token)]);
    let response = introspection.send().expect(200);
    let is_active = response["active"] == Value::Bool(true);
    // The response says that a key is disabled or not allowed from its address. The token of a previous secret is
    // active, but cannot use the management API.
    let is_agreed = match is_active {
        true => verify == 200 && matches!(me, 200 | 403),
        false => me == verify && matches!(me, 401 | 403),
    };
    assert!(is_agreed, "{response}, yet {me} and {verify}");
    is_active
}

/// Returns the log lines that contain a text.
fn logged(server: &Server, text: &str) -> Vec<String> {
    server.stderr().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}
