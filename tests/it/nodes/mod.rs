//! Several nodes on one PostgreSQL, with Redis and without.

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

/// The master key that all nodes of a test share.
const MASTER_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// How long a change may take that waits for leases to be over.
const LEASES_OVER: Duration = Duration::from_millis(1600);

/// Where a node of a deployment runs.
fn place(database: &Database) -> Place {
    place_at(&database.url())
}

/// Where a node on the store of that URL runs.
pub fn place_at(store: &str) -> Place {
    Place::on_sqlite()
        .set("KEYTURN_STORE__URL", store)
        .unset("KEYTURN_SECRETS__MASTER_KEY_FILE")
        .set("KEYTURN_SECRETS__MASTER_KEY", MASTER_KEY)
        .set("KEYTURN_SERVER__PUBLIC_URL", "http://keyturn.test")
}

/// The same, and nodes hear of each other through Redis.
fn place_with(database: &Database, redis_url: &str) -> Place {
    place(database).set("KEYTURN_REVOCATION__URL", redis_url)
}

/// Two nodes of one deployment, as one place says how. Before the database in a test's locals, they end before it.
struct Two {
    a: Server,
    b: Server,
    database: Database,
}

impl Two {
    /// Nodes that ask the database alone.
    #[track_caller]
    fn embedded() -> Self {
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

    /// One and the other, the other way round each time.
    fn turn(&self, n: usize) -> (&Server, &Server) {
        if n.is_multiple_of(2) { (&self.a, &self.b) } else { (&self.b, &self.a) }
    }
}

/// What a server has to say of itself to operators.
fn warnings(server: &Server) -> Vec<String> {
    let told = server.get("/readyz").send().expect(200);
    let warnings = told["warnings"].as_array().into_iter().flatten();
    warnings.map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

/// A metric, by its full name with labels; `None` where it is not there.
fn metric(server: &Server, name: &str) -> Option<f64> {
    let text = server.get("/metrics").send().text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

/// Does something and tells how long it took.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let result = work();
    (begun.elapsed(), result)
}

/// Whether a token is good, as the three surfaces that can be asked say, which must agree.
#[track_caller]
fn is_good(server: &Server, token: &str) -> bool {
    let (me, verify) = (server.me(token).status, server.get("/verify").bearer(token).send().status);
    let ask = server.request("POST", "/oauth/introspect").api_key(&server.key.text).form(&[("token", token)]);
    let told = ask.send().expect(200);
    let is_active = told["active"] == Value::Bool(true);
    // The bearer learns that a key is disabled, or not allowed from here. The token of a previous secret is active, and
    // manages nothing.
    let is_agreed = match is_active {
        true => verify == 200 && matches!(me, 200 | 403),
        false => me == verify && matches!(me, 401 | 403),
    };
    assert!(is_agreed, "{told}, yet {me} and {verify}");
    is_active
}

/// The lines that a server has logged so far and that have this in them.
fn logged(server: &Server, text: &str) -> Vec<String> {
    server.stderr().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}
