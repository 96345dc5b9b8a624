//! A database that goes back in time: a restore with stopped nodes, and a database that loses changes under running
//! nodes. No number is used twice, and no earlier token or session is valid.

use serde_json::json;

use crate::nodes::{Two, is_good, logged, place};
use crate::support::postgres::Database;
use crate::support::{Server, eventually};

/// The tables in the backup; the others contain nothing that is compared.
const TABLES: [&str; 6] = ["api_keys", "change_seq", "key_changes", "revoked_tokens", "organizations", "sessions"];

/// Copies the data of the database.
fn back_up(database: &Database) {
    for table in TABLES {
        database.sql(&format!("CREATE TABLE backup_{table} AS SELECT * FROM {table}"));
    }
}

/// Restores the copy.
fn restore(database: &Database) {
    let mut sql = String::from("BEGIN; SET session_replication_role = replica;");
    for table in TABLES {
        let columns = database.sql(&format!(
            "SELECT string_agg(column_name, ', ') FROM information_schema.columns \
             WHERE table_name = '{table}' AND is_generated = 'NEVER'"
        ));
        sql.push_str(&format!(
            "DELETE FROM {table}; INSERT INTO {table} ({columns}) SELECT {columns} FROM backup_{table};"
        ));
    }
    sql.push_str("COMMIT");
    database.sql(&sql);
}

fn rotate(server: &Server, id: &str) -> String {
    server.change("POST", &format!("{id}/rotate"), &json!({}))["secret"].as_str().unwrap().to_owned()
}

#[test]
fn restore_revives_no_token() {
    let Two { a, b, database } = Two::embedded();
    let key = a.make(&json!({}));
    let before = a.token(&key, &[]);
    back_up(&database);
    // After the backup: another generation, and a token of it.
    let secret = rotate(&a, &key.id);
    let lost = b.exchange(&secret, &[]).expect(200)["access_token"].as_str().unwrap().to_owned();
    assert!(is_good(&a, &lost));

    let (first, place_of_a) = (a.key.clone(), a.stop());
    drop(b.stop());
    restore(&database);
    let ended = place_of_a.run(&["store", "after-restore"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("Revoke, rotate or narrow again"), "{}", ended.stdout);

    let a = place_of_a.serve(first.clone());
    let b = place(&database).serve(first);
    for server in [&a, &b] {
        assert!(!is_good(server, &lost) && !is_good(server, &before), "no token from before the restore");
        server.exchange(&key.text, &[]).expect(200);
        assert_eq!(server.exchange(&secret, &[]).status, 401, "a secret from after the backup");
    }
    // Enough rotations to reach the old numbers again.
    for _ in 0..3 {
        rotate(&a, &key.id);
        assert!(!is_good(&a, &lost) && !is_good(&b, &lost));
        assert!(!is_good(&a, &before) && !is_good(&b, &before));
    }
    let wrong = place(&database).run(&["store", "after-restore"]);
    assert!(wrong.code == 1 && wrong.stderr.contains("nodes were running"), "{}", wrong.stderr);
    drop((a, b));
}

#[test]
fn rollback_under_running_nodes_starts_a_new_epoch() {
    let two = Two::embedded();
    let key = two.a.make(&json!({}));
    let before = two.a.token(&key, &[]);
    assert!(is_good(&two.b, &before));
    back_up(&two.database);
    let secret = rotate(&two.a, &key.id);
    let lost = two.b.exchange(&secret, &[]).expect(200)["access_token"].as_str().unwrap().to_owned();
    assert!(is_good(&two.a, &lost));
    restore(&two.database);
    for server in [&two.a, &two.b] {
        eventually("the loss to be noticed", || {
            (!logged(server, "this node was removed by others or was unavailable").is_empty()).then_some(())
        });
        eventually("the first secret", || (server.exchange(&key.text, &[]).status == 200).then_some(()));
        assert!(!is_good(server, &lost) && !is_good(server, &before));
    }
    let noticed = [&two.a, &two.b].map(|server| logged(server, "went back in time").len());
    assert!(noticed.iter().sum::<usize>() >= 1, "{noticed:?}");
    for _ in 0..3 {
        rotate(&two.b, &key.id);
        assert!(!is_good(&two.a, &lost) && !is_good(&two.b, &lost));
    }
    assert_eq!(two.database.sql("SELECT COUNT(*) FROM change_seq WHERE epoch > 0 AND seq > epoch"), "1");
}

#[test]
fn database_that_lost_changes_is_not_read_before_the_new_epoch() {
    let two = Two::embedded();
    let key = two.a.make(&json!({}));
    let before = two.a.token(&key, &[]);
    assert!(is_good(&two.b, &before));
    back_up(&two.database);
    rotate(&two.a, &key.id);
    std::thread::scope(|scope| {
        // The new epoch updates this table; nothing else writes to it.
        let locked = "BEGIN; LOCK TABLE webhooks IN EXCLUSIVE MODE; SELECT pg_sleep(3); COMMIT";
        let held = scope.spawn(|| two.database.sql(locked));
        let is_held = "SELECT COUNT(*) FROM pg_locks WHERE relation = 'webhooks'::regclass AND mode = 'ExclusiveLock'";
        eventually("the lock", || (two.database.sql(is_held) == "1").then_some(()));
        restore(&two.database);
        while !held.is_finished() {
            for server in [&two.a, &two.b] {
                let statuses = [
                    server.exchange(&key.text, &[]).status,
                    server.get("/verify").bearer(&before).send().status,
                    server.me(&before).status,
                    server.api("POST", "keys").json(&json!({ "name": "other" })).send().status,
                ];
                if !held.is_finished() {
                    assert!(
                        statuses.iter().all(|status| *status >= 400),
                        "the replaced secret, its token, its management API: {statuses:?}"
                    );
                }
            }
        }
        held.join().unwrap();
    });
    for server in [&two.a, &two.b] {
        eventually("the first secret", || (server.exchange(&key.text, &[]).status == 200).then_some(()));
        assert!(!is_good(server, &before));
    }
}
