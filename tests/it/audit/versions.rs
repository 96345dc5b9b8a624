//! Entries of earlier versions, which had no chain.

use crate::audit::{bad, busy, good};
use crate::nodes::place_at;
use crate::support::postgres::Database;
use crate::support::server::Ended;
use crate::support::{Place, database};

/// Reverts the schema from version 14 to before the chain.
const BACK: &[&str] = &[
    "ALTER TABLE nodes DROP COLUMN settings",
    "DROP INDEX audit_unchained",
    "DROP INDEX audit_by_time",
    "DROP INDEX audit_by_action",
    "DROP INDEX audit_by_actor",
    "DROP INDEX audit_by_actor_and_action",
    "DROP INDEX audit_by_subject",
    "ALTER TABLE audit DROP COLUMN hash",
    "ALTER TABLE audit DROP COLUMN position",
    "DROP TABLE audit_heads",
    "DROP INDEX usage_of_organization_hours_read",
    "DROP INDEX usage_of_organization_days_read",
    "DROP INDEX organizations_by_change",
    "ALTER TABLE organizations DROP COLUMN changed_seq",
    "ALTER TABLE organizations DROP COLUMN suspended_at",
    "ALTER TABLE change_seq DROP COLUMN epoch",
    "ALTER TABLE api_keys DROP COLUMN secret_version",
    "DROP TABLE commits",
    "DROP TABLE repeated_events",
    "DROP INDEX webhook_deliveries_by_schedule",
    "ALTER TABLE webhook_deliveries DROP COLUMN scheduled_at",
    "ALTER TABLE webhooks DROP COLUMN url_sealed",
    "ALTER TABLE webhooks DROP COLUMN url_master_key",
    "ALTER TABLE webhooks DROP COLUMN url_digest",
    "ALTER TABLE webhooks DROP COLUMN origin",
    "ALTER TABLE webhooks RENAME COLUMN unsealed_url TO url",
    "DELETE FROM _sqlx_migrations WHERE version >= (SELECT version FROM _sqlx_migrations WHERE description = 'audit_chain')",
];

/// Reverts the schema to before the chain.
fn back() -> impl Iterator<Item = &'static &'static str> {
    database::BACK_TO_14.iter().chain(BACK)
}

/// A change as a node of an earlier version writes it.
const OLD_ROW: &str = "INSERT INTO audit (id, organization, at, actor, action, subject, address, old_value, new_value) \
    SELECT MAX(id) + 1, 'default', 1800000000000, 'keyturn', 'key.edit', 'old', NULL, NULL, '{}' FROM audit";

fn is_not_of_this_version(ended: &Ended) {
    assert!(ended.refused(1).contains("has not been migrated to this version"), "{}", ended.stderr);
}

#[test]
fn old_log_is_chained_once_at_start() {
    let (server, _) = busy(Place::on_sqlite());
    let (key, place) = (server.key.clone(), server.stop());
    let rows = || {
        database::column(
            &place.database(),
            "SELECT id || action || actor || coalesce(new_value, '') FROM audit ORDER BY id",
        )
    };
    let before = rows();
    back().for_each(|statement| database::execute(&place.database(), statement));
    is_not_of_this_version(&super::verify(&place, &[]));
    let server = place.serve(key.clone());
    let lines = good(&server, &[]);
    assert!(lines[0].starts_with("acme: 2 entries") && lines[1].starts_with("default: 14 entries"), "{lines:?}");
    let place = server.stop();
    let path = place.database();
    let derived = database::column(&path, "SELECT id || '' FROM audit WHERE changed_fields IS NULL OR direction = ''");
    assert_eq!(derived, Vec::<String>::new(), "entries of earlier versions are found by filters");
    let after =
        database::column(&path, "SELECT id || action || actor || coalesce(new_value, '') FROM audit ORDER BY id");
    assert_eq!(after[..14], before[..], "the rows are what they were");
    assert!(after[14..].iter().all(|row| row.contains("audit.chainkeyturn")), "{after:?}");
    assert!(after[15].contains(r#"{"first":1,"last":14,"rows":13}"#), "{after:?}");
    let place = place.serve(key).stop();
    assert_eq!(good(&place, &[]), lines, "once");
    database::execute(&path, "UPDATE audit SET actor = 'x' WHERE id = 5");
    assert!(bad(&place, &[]).contains("entry 5 was changed"));
}

#[test]
fn concurrent_nodes_chain_an_old_log_once() {
    let database = Database::create();
    let (server, _) = busy(place_at(&database.url()));
    let (key, place) = (server.key.clone(), server.stop());
    back().for_each(|statement| drop(database.sql(statement)));
    is_not_of_this_version(&super::verify(&place, &[]));
    let nodes: Vec<_> = std::thread::scope(|scope| {
        let start = || place_at(&database.url()).serve(key.clone());
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let lines = good(&place, &[]);
    assert!(lines[0].starts_with("acme: 2 entries") && lines[1].starts_with("default: 14 entries"), "{lines:?}");
    // A node of the previous version keeps running and makes changes without a chain.
    database.sql(OLD_ROW);
    database.sql(OLD_ROW);
    assert!(bad(&place, &[]).contains("is not part of the chain"));
    nodes[0].make_with("read:a");
    nodes[1].make_with("read:a");
    let lines = good(&place, &[]);
    assert!(lines[1].starts_with("default: 19 entries"), "two, one that says so, two more: {lines:?}");
    assert_eq!(
        database.sql("SELECT new_value FROM audit WHERE action = 'audit.chain' ORDER BY id DESC LIMIT 1"),
        r#"{"first":17,"last":18,"rows":2}"#
    );
    drop(nodes);
}

#[test]
fn entry_without_hash_is_not_chained_again() {
    let (server, _) = busy(Place::on_sqlite());
    let (key, place) = (server.key.clone(), server.stop());
    database::execute(&place.database(), "UPDATE audit SET actor = 'x', hash = NULL, position = NULL WHERE id = 5");
    let server = place.serve(key);
    server.make_with("read:a");
    assert!(bad(&server, &[]).contains("entry 5 is not part of the chain"));
}
