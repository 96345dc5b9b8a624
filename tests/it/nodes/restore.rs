//! A database that goes back in time: a restore with nodes stopped, and a database that loses changes under running
//! nodes. No number comes back, and no token or session from before is good.

use serde_json::json;

use crate::nodes::{Two, is_good, logged, place};
use crate::support::postgres::Database;
use crate::support::{Server, eventually};

/// The tables that a backup is taken of here; the others hold nothing that is compared.
const TABLES: [&str; 6] = ["api_keys", "change_seq", "key_changes", "revoked_tokens", "organizations", "sessions"];

/// Keeps a copy of what the database holds.
fn back_up(database: &Database) {
    for table in TABLES {
        database.sql(&format!("CREATE TABLE backup_{table} AS SELECT * FROM {table}"));
    }
}

/// Puts that copy back.
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
fn after_a_restore_no_rotation_revives_a_token() {
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
    // As many rotations as it would take for the old numbers to come again.
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
fn a_database_that_goes_back_under_running_nodes_starts_a_new_epoch() {
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
            (!logged(server, "this node was given up, or was away").is_empty()).then_some(())
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
