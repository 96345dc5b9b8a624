//! Databases on the PostgreSQL server that `scripts/with-postgres` has started.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A database of its own, gone with the test.
pub struct Database {
    name: String,
}

impl Database {
    /// Makes an empty one.
    #[track_caller]
    pub fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        psql("postgres", &format!("CREATE DATABASE {name}"));
        Self { name }
    }

    /// Its URL, for `store.url`.
    pub fn url(&self) -> String {
        format!("{}/{}", server(), self.name)
    }

    /// The same for another user.
    pub fn url_as(&self, login: &str) -> String {
        self.url().replace("keyturn@", &format!("{login}@"))
    }

    /// Runs SQL and gives what it prints, without headings.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        psql(&self.name, sql)
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
