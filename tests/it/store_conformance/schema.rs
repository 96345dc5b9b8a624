//! The schema: equal in both dialects, and migrated without the time limits of requests.

use std::time::{Duration, Instant};

use super::*;
use crate::support::database::column;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

fn open(url: &str) {
    block_on(async {
        Store::open_postgres(url, 2).await.unwrap().close().await;
    });
}

#[test]
fn postgresql_compares_text_by_code_point() {
    let database = Database::create();
    open(&database.url());
    let columns = "FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'text' \
        AND table_name <> '_sqlx_migrations'";
    let other = database.sql(&format!(
        "SELECT table_name || '.' || column_name {columns} AND collation_name IS DISTINCT FROM 'C' ORDER BY 1"
    ));
    assert_eq!(other, "");
    assert_ne!(database.sql(&format!("SELECT COUNT(*) {columns}")), "0");
}

#[test]
fn both_dialects_have_the_same_tables_and_columns() {
    let database = Database::create();
    open(&database.url());
    let postgres = database.sql(
        "SELECT table_name || '.' || column_name || ' ' || upper(data_type) || CASE is_nullable WHEN 'NO' THEN ' NOT NULL' \
         ELSE '' END FROM information_schema.columns WHERE table_schema = 'public' \
         AND table_name <> '_sqlx_migrations' ORDER BY 1",
    );
    let mut postgres: Vec<&str> = postgres.lines().collect();
    postgres.sort_unstable();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyturn.db");
    block_on(async { Store::open_sqlite(&path, 1).await.unwrap().close().await });
    let mut sqlite = column(
        &path,
        "SELECT t.name || '.' || c.name || ' ' || upper(c.type) || CASE c.\"notnull\" WHEN 1 THEN ' NOT NULL' ELSE '' END \
         FROM sqlite_master t, pragma_table_xinfo(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' \
         AND t.name <> '_sqlx_migrations'",
    );
    for line in &mut sqlite {
        // A generated column's declared type carries a suffix in SQLite.
        *line = line.replace(" GENERATED ALWAYS", "");
    }
    sqlite.sort_unstable();
    assert!(sqlite.len() > 50, "{sqlite:?}");
    assert_eq!(sqlite, postgres);
}

#[test]
fn migrations_run_without_time_limits() {
    let database = Database::create();
    // Stands in for a migration that takes longer than any limit.
    database.sql(
        "CREATE FUNCTION refuse_limits() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('statement_timeout') <> '0' OR current_setting('lock_timeout') <> '0' \
         OR current_setting('idle_in_transaction_session_timeout') <> '0' \
         THEN RAISE EXCEPTION 'a limit is set'; END IF; END $$; \
         CREATE EVENT TRIGGER refuse_limits ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'CREATE INDEX') \
         EXECUTE FUNCTION refuse_limits()",
    );
    open(&database.url());
    assert_ne!(database.sql("SELECT COUNT(*) FROM _sqlx_migrations"), "0");
}

#[test]
fn node_waits_while_another_migrates() {
    let database = Database::create();
    // The key of sqlx's migration lock: 0x3d32ad9e times the CRC of the database's name, which psql cannot compute.
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let lock = 0x3d32_ad9e * i64::from(crc32(name.as_bytes()));
    let url = database.url();
    let holder = std::thread::spawn(move || {
        let sql = format!("SELECT pg_advisory_lock({lock}); SELECT pg_sleep(6)");
        let done = std::process::Command::new("psql").args(["-X", "-q", &url, "-c", &sql]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    });
    let is_held = "SELECT COUNT(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
        WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()";
    crate::support::eventually("the lock is held", || (database.sql(is_held) == "1").then_some(()));
    let begun = Instant::now();
    open(&database.url());
    assert!(begun.elapsed() > Duration::from_secs(5), "it waited longer than a request may");
    holder.join().unwrap();
    assert_ne!(database.sql("SELECT COUNT(*) FROM _sqlx_migrations"), "0");
}

#[test]
fn current_database_needs_no_schema_rights() {
    let database = Database::create();
    open(&database.url());
    let user = format!("runtime_{}", crate::support::redis::free_port());
    database.sql(&format!(
        "CREATE ROLE {user} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"
    ));
    block_on(async {
        let store = Store::open_postgres(&database.url_as(&user), 2).await.unwrap();
        create_organization(&store).await;
        store.close().await;
    });
    database.sql(&format!("DROP OWNED BY {user}"));
}

fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    }) ^ u32::MAX
}
