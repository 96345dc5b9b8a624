//! Credentials in files that change while the server runs.

use std::fs;

use crate::nodes::place_at;
use crate::support::postgres::Database;
use crate::support::redis::{Redis, free_port};
use crate::support::{Place, Server, eventually};

/// A PostgreSQL role with a password; the test server trusts all others.
struct Role {
    name: String,
    database: Database,
}

impl Role {
    fn create(password: &str) -> Self {
        let database = Database::create();
        let name = format!("rotated_{}", free_port());
        database.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'; ALTER DATABASE {} OWNER TO {name}; ALTER SCHEMA public OWNER TO {name}", database.name()));
        database.require_password(&name);
        Self { name, database }
    }

    fn url(&self, password: &str) -> String {
        self.database.url_as(&format!("{}:{password}", self.name))
    }

    /// Changes the password and closes every connection that was opened with the old one.
    fn set_password(&self, password: &str) {
        self.database.sql(&format!("ALTER ROLE {} PASSWORD '{password}'", self.name));
        self.database.sql(&format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{}'",
            self.name
        ));
    }
}

fn place_of(role: &Role) -> Place {
    let place = place_at("").unset("KEYTURN_STORE__URL");
    let file = place.path("url");
    fs::write(&file, role.url("one")).unwrap();
    place.set("KEYTURN_STORE__URL_FILE", file.display())
}

fn reason(server: &Server) -> String {
    server.get("/readyz").send().json()["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn changed_database_password_is_reloaded() {
    let role = Role::create("one");
    let server = place_of(&role).start();
    role.set_password("two");
    eventually("the refusal in /readyz", || (reason(&server) == "the database refuses user or password").then_some(()));
    assert_eq!(server.exchange(&server.key.text, &[]).status, 503);
    fs::write(server.path("url"), format!("{}\n", role.url("two"))).unwrap();
    eventually("readiness with the new password", || (server.get("/readyz").send().status == 200).then_some(()));
    server.token(&server.key, &[]);
    let key = server.make_with("read:orders/*");
    server.token(&key, &[]);
    assert!(server.stderr().contains("read new database credentials from store.url_file"));
    assert!(!server.stderr().contains(&role.url("two")), "no URL is logged");
}

#[test]
fn database_password_changed_after_its_file_is_reloaded() {
    let role = Role::create("one");
    let server = place_of(&role).start();
    let body = serde_json::json!({ "name": "a key", "scopes": [{ "action": "read", "resource": "*" }] });
    let create = || (server.api("POST", "keys").json(&body).send().status == 201).then_some(());
    for password in ["two", "three"] {
        fs::write(server.path("url"), role.url(password)).unwrap();
        role.set_password(password);
        // Requests on the closed connections have failed.
        eventually("changes with the new password", create);
    }
    let log = server.stderr();
    assert_eq!(log.matches("read new database credentials").count(), 2, "each is read once\n{log}");
    assert!(!log.contains("the database refuses user or password"), "{log}");
}

#[test]
fn file_with_another_database_is_not_used() {
    let (role, other) = (Role::create("one"), Database::create());
    let server = place_of(&role).start();
    fs::write(server.path("url"), other.url()).unwrap();
    role.set_password("two");
    eventually("the line in the log", || server.stderr().contains("names another database").then_some(()));
    assert_eq!(other.contents(), [""; 0]);
}

#[test]
fn changed_redis_password_is_reloaded() {
    let redis = Redis::with(&["--requirepass", "one"]);
    let database = Database::create();
    let place = place_at(&database.url());
    let file = place.path("redis");
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}", redis.port);
    fs::write(&file, url("one")).unwrap();
    let server = place.set("KEYTURN_REVOCATION__URL_FILE", file.display()).start();
    let is_used = || server.get("/metrics").send().text().contains("\nkeyturn_redis_up 1\n").then_some(());
    eventually("Redis in use", is_used);
    let ask = |password: &str, command: &[&str]| redis.ask_with(&["--no-auth-warning", "-a", password], command);
    ask("one", &["CONFIG", "SET", "requirepass", "two"]);
    ask("two", &["CLIENT", "KILL", "TYPE", "normal"]);
    ask("two", &["CLIENT", "KILL", "TYPE", "pubsub"]);
    eventually("the refusal in /readyz", || {
        let text = server.get("/readyz").send().text();
        text.contains("Redis rejected the login").then_some(())
    });
    fs::write(&file, url("two")).unwrap();
    eventually("Redis in use with the new password", is_used);
    assert!(server.stderr().contains("read new Redis credentials from revocation.url_file"));
    drop(server);
    drop(database);
}
