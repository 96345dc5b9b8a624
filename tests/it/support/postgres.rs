//! Databases on the PostgreSQL server that `scripts/with-postgres` has started.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// A database that is deleted with the test.
pub struct Database {
    name: String,
}

impl Database {
    /// Creates an empty database.
    #[track_caller]
    pub fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        psql("postgres", &format!("CREATE DATABASE {name}"));
        Self { name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the server, which trusts all users, require a password for this one.
    #[track_caller]
    pub fn require_password(&self, user: &str) {
        // Tests of several threads share the file.
        static FILE: Mutex<()> = Mutex::new(());
        let _held = FILE.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.sql("SHOW hba_file");
        let rules = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("host all {user} all scram-sha-256\n{rules}")).unwrap();
        self.sql("SELECT pg_reload_conf()");
        // The server reloads the file a moment later.
        crate::support::eventually("the new rule", || {
            let found = format!("SELECT 1 FROM pg_hba_file_rules WHERE '{user}' = ANY(user_name)");
            let url = self.url_as(&format!("{user}:wrong"));
            let refused = !Command::new("psql").args(["-X", &url, "-c", "SELECT 1"]).output().unwrap().status.success();
            (self.sql(&found) == "1" && refused).then_some(())
        });
    }

    /// Returns its URL for `store.url`.
    pub fn url(&self) -> String {
        format!("{}/{}", server(), self.name)
    }

    /// Same, for another user.
    pub fn url_as(&self, login: &str) -> String {
        self.url().replace("keyturn@", &format!("{login}@"))
    }

    /// Same, at another port.
    pub fn url_at(&self, port: u16) -> String {
        self.url().replace(&format!(":{}/", Self::port()), &format!(":{port}/"))
    }

    /// Returns the port of the server.
    pub fn port() -> u16 {
        server().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a URL that ends with a port")
    }

    /// Runs SQL and returns its output without headings.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        psql(&self.name, sql)
    }

    /// Returns every table with its number of rows and their digest, to check whether anything changed.
    #[track_caller]
    pub fn contents(&self) -> Vec<String> {
        self.contents_but(&[])
    }

    /// Same, without some tables.
    #[track_caller]
    pub fn contents_but(&self, left_out: &[&str]) -> Vec<String> {
        let tables = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
        let tables = tables.lines().filter(|table| !left_out.contains(table));
        let of = |table| {
            format!(
                "SELECT '{table}', COUNT(*), md5(string_agg(t::text, ',' ORDER BY t::text COLLATE \"C\")) FROM {table} t"
            )
        };
        let queries: Vec<String> = tables.map(of).collect();
        if queries.is_empty() {
            return Vec::new();
        }
        self.sql(&format!("{} ORDER BY 1", queries.join(" UNION ALL "))).lines().map(str::to_owned).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn server() -> String {
    std::env::var("KEYTURN_TEST_POSTGRES")
        .expect("KEYTURN_TEST_POSTGRES is not set: run ./scripts/test, or scripts/with-postgres cargo test")
}

#[track_caller]
fn psql(database: &str, sql: &str) -> String {
    let url = format!("{}/{database}", server());
    let done = Command::new("psql").args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", &url, "-c", sql]).output();
    let done = done.expect("psql, which comes with PostgreSQL");
    assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}
