//! Changes that wait for the database do not delay reads.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// How long another node holds the row that every change locks.
const HELD: Duration = Duration::from_millis(1500);

#[test]
fn reads_do_not_wait_behind_changes() {
    let database = Database::create();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store: Arc<Store> = Arc::new(Store::open_postgres(&database.url(), 4).await.unwrap());
        create_organization(store.as_ref()).await;
        insert(store.as_ref(), &key(1)).await;

        let sql = format!("BEGIN; UPDATE change_seq SET seq = seq; SELECT pg_sleep({}); ROLLBACK", HELD.as_secs_f64());
        let mut holder =
            Command::new("psql").args(["-X", "-q", &database.url(), "-c", &sql]).stdout(Stdio::null()).spawn().unwrap();
        let is_held = "SELECT COUNT(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event = 'PgSleep'";
        crate::support::eventually("the row is locked", || (database.sql(is_held) == "1").then_some(()));
        let held = Instant::now();

        // More changes than connections.
        let changing = store.clone();
        let changes = tokio::spawn(concurrently((2..=20).map(move |n| {
            let store = changing.clone();
            async move { insert(store.as_ref(), &key(n)).await }
        })));
        let is_waiting = "SELECT COUNT(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        crate::support::eventually("changes wait", || (database.sql(is_waiting) != "0").then_some(()));
        tokio::time::sleep(Duration::from_millis(100)).await;
        for _ in 0..10 {
            assert!(store.key(&id(1)).await.unwrap().is_some());
        }
        assert!(held.elapsed() < HELD, "read while the changes waited");
        assert_eq!(database.sql(is_held), "1", "the row is still locked");
        // If this node stopped now, the database would end this one, and changes of other nodes would go on.
        assert_eq!(database.sql(is_waiting), "1", "one of them holds a connection");

        changes.await.unwrap();
        assert!(held.elapsed() > HELD / 2);
        assert_eq!(store.keys(&all()).await.unwrap().len(), 21);
        store.close().await;
        assert!(holder.wait().unwrap().success());
    });
}
