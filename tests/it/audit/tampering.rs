//! All kinds of tampering in the database are detected at the first bad entry.

use std::fs;

use keyturn::domain::audit_chain::{AuditRow, ChainHash};
use keyturn::store::Store;

use crate::audit::{bad, busy, good, head, verify};
use crate::nodes::place_at;
use crate::support::postgres::Database;
use crate::support::{Place, database};

/// Statements to apply to a log with the entries 1 and 3 to 14 of `default` and 2 of `acme`, and the expected error.
const TAMPERINGS: &[(&[&str], &str)] = &[
    // An entry was edited, each column in turn.
    (&["UPDATE audit SET position = position + 7 WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET position = 1 WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET position = NULL WHERE id = 5"], "organization default: entry 5 is not part of the chain"),
    (&["UPDATE audit SET at = at + 1 WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET actor = 'keyturn' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET action = 'key.create' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET subject = 'x' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET address = '10.0.0.1' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET address = NULL WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET old_value = '{}' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET old_value = NULL WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET new_value = new_value || ' ' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET direction = 'widened' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET changed_fields = ' x ' WHERE id = 5"], "organization default: entry 5 was changed"),
    (&["UPDATE audit SET hash = NULL WHERE id = 5"], "organization default: entry 5 is not part of the chain"),
    (
        &["UPDATE audit SET hash = (SELECT hash FROM audit WHERE id = 6) WHERE id = 5"],
        "organization default: entry 5 was changed",
    ),
    (&["UPDATE audit SET id = 500 WHERE id = 5"], "organization default: entry 6 is out of order"),
    (&["UPDATE audit SET actor = 'x' WHERE id = 1"], "organization default: entry 1 was changed"),
    (&["UPDATE audit SET actor = 'keyturn' WHERE id = 14"], "organization default: entry 14 was changed"),
    (&["UPDATE audit SET actor = 'x' WHERE id = 2"], "organization acme: entry 2 was changed"),
    (&["UPDATE audit SET actor = 'x'"], "match its hash; organization default: entry 1 was changed"),
    (
        &["UPDATE audit SET organization = 'acme' WHERE id = 5"],
        "organization acme: entry 5: entries before it are missing (2); organization default: entry 6: entries before it are missing (1)",
    ),
    // Entries were removed.
    (&["DELETE FROM audit WHERE id = 5"], "organization default: entry 6: entries before it are missing (1)"),
    (&["DELETE FROM audit WHERE id IN (5, 6, 9)"], "organization default: entry 7: entries before it are missing (2)"),
    (&["DELETE FROM audit WHERE id = 1"], "organization default: entry 3: entries before it are missing (1)"),
    (&["DELETE FROM audit WHERE id < 10"], "organization default: entry 10: entries before it are missing (8)"),
    (
        &["DELETE FROM audit WHERE id = 14"],
        "organization default: entry 13: entries after it are missing at the end of the log (1)",
    ),
    (
        &["DELETE FROM audit WHERE id > 10"],
        "organization default: entry 10: entries after it are missing at the end of the log (4)",
    ),
    (
        &["DELETE FROM audit WHERE organization = 'default'"],
        "organization default: entry 14: entries after it are missing at the end of the log",
    ),
    (
        &["DELETE FROM audit WHERE id > 10", "DELETE FROM audit_heads WHERE organization = 'default'"],
        "organization default: entry 10 is the last, but the record of the log's end is missing",
    ),
    (&["DELETE FROM audit", "DELETE FROM audit_heads"], "organization acme: the log has no entries"),
    // Entries were moved.
    (
        &[
            "UPDATE audit SET id = -1 WHERE id = 5",
            "UPDATE audit SET id = 5 WHERE id = 6",
            "UPDATE audit SET id = 6 WHERE id = -1",
        ],
        "organization default: entry 5 is out of order",
    ),
    (
        &[
            "UPDATE audit SET id = -1 WHERE id = 5",
            "UPDATE audit SET id = 5 WHERE id = 6",
            "UPDATE audit SET id = 6 WHERE id = -1",
            "UPDATE audit SET position = position - 1 WHERE id = 5",
            "UPDATE audit SET position = position + 1 WHERE id = 6",
        ],
        "organization default: entry 5 was changed",
    ),
    (&["UPDATE audit SET id = -id"], "organization default: entry -14 is out of order"),
    (&["UPDATE audit SET id = id + 1000 WHERE id >= 9"], "organization default: entry 1009 was changed"),
    // Entries were added.
    (
        &[
            "INSERT INTO audit SELECT 15, organization, at, actor, action, subject, address, old_value, new_value, NULL, NULL, \
           direction, changed_fields FROM audit WHERE id = 14",
        ],
        "organization default: entry 15 is not part of the chain",
    ),
    (
        &[
            "INSERT INTO audit SELECT 15, organization, at, actor, action, subject, address, old_value, new_value, 14, hash, \
           direction, changed_fields FROM audit WHERE id = 14",
        ],
        "organization default: entry 15 was changed",
    ),
    (
        &[
            "INSERT INTO audit SELECT 0, organization, at, actor, action, subject, address, old_value, new_value, 1, hash, \
           direction, changed_fields FROM audit WHERE id = 1",
        ],
        "organization default: entry 0 was changed",
    ),
    (
        &[
            "UPDATE audit SET id = id + 1 WHERE id = 14",
            "INSERT INTO audit SELECT 14, organization, at, actor, action, \
           subject, address, old_value, new_value, position, hash, direction, changed_fields FROM audit WHERE id = 15",
        ],
        // The copy is a valid entry; the one with another ID is not.
        "organization default: entry 15 is out of order",
    ),
    // The recorded end was changed.
    (
        &["DELETE FROM audit_heads WHERE organization = 'default'"],
        "organization default: entry 14 is the last, but the record of the log's end is missing",
    ),
    (
        &["UPDATE audit_heads SET row_count = row_count + 2 WHERE organization = 'default'"],
        "organization default: entry 14: entries after it are missing at the end of the log",
    ),
    (
        &["UPDATE audit_heads SET row_count = row_count - 2 WHERE organization = 'default'"],
        "organization default: entry 14 was added after the end",
    ),
    (
        &["UPDATE audit_heads SET last_id = 13, row_count = 12 WHERE organization = 'default'"],
        "organization default: entry 14 was added after the end",
    ),
    (
        &["UPDATE audit_heads SET last_id = last_id + 1 WHERE organization = 'default'"],
        "organization default: entry 14 is the last, but differs from the recorded end of the log",
    ),
    (
        &["UPDATE audit_heads SET hash = (SELECT hash FROM audit WHERE id = 3) WHERE organization = 'default'"],
        "organization default: entry 14 is the last, but differs from the recorded end of the log",
    ),
];

/// Returns the error for a log that was tampered with.
#[track_caller]
fn found(place: &Place, statements: &[&str]) -> String {
    let ended = verify(place, &[]);
    assert_eq!(ended.code, 1, "{statements:?} is not found: {}", ended.stdout);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn tampering_is_detected_on_sqlite() {
    let place = busy(Place::on_sqlite()).0.stop();
    assert_eq!(database::column(&place.database(), "SELECT CAST(MAX(id) AS TEXT) FROM audit"), ["14"]);
    let untouched = good(&place, &[]);
    assert!(
        untouched[0].starts_with("acme: 1 entry, head 2:") && untouched[1].starts_with("default: 13 entries, head 14:")
    );
    let (path, kept) = (place.database(), place.path("kept.db"));
    fs::copy(&path, &kept).unwrap();
    let only_sqlite = [
        (&["UPDATE audit SET at = 'yesterday' WHERE id = 5"][..], "organization default: entry 5 was changed"),
        (&["UPDATE audit SET actor = x'ff' WHERE id = 5"], "organization default: entry 5 was changed"),
        (&["UPDATE audit SET hash = x'00' WHERE id = 5"], "organization default: entry 5 was changed"),
        (
            &["UPDATE audit_heads SET hash = x'00'"],
            "organization acme: entry 2 is the last, but differs from the record",
        ),
    ];
    for (statements, said) in TAMPERINGS.iter().chain(&only_sqlite) {
        statements.iter().for_each(|statement| database::execute(&path, statement));
        let before = database::contents(&path);
        let line = found(&place, statements);
        assert!(line.contains(said), "{statements:?}: {line}");
        assert_eq!(database::contents(&path), before, "checking changes nothing");
        for left in ["data/keyturn.db-wal", "data/keyturn.db-shm"] {
            let _ = fs::remove_file(place.path(left));
        }
        fs::copy(&kept, &path).unwrap();
    }
    assert_eq!(good(&place, &[]), untouched);
}

#[test]
fn tampering_is_detected_on_postgresql() {
    let database = Database::create();
    let place = place_at(&database.url());
    let place = busy(place).0.stop();
    let untouched = good(&place, &[]);
    database
        .sql("CREATE TABLE kept_audit AS SELECT * FROM audit; CREATE TABLE kept_heads AS SELECT * FROM audit_heads");
    for (statements, said) in TAMPERINGS.iter().step_by(4) {
        statements.iter().for_each(|statement| {
            database.sql(statement);
        });
        let line = found(&place, statements);
        assert!(line.contains(said), "{statements:?}: {line}");
        database.sql("DELETE FROM audit; DELETE FROM audit_heads");
        database.sql("INSERT INTO audit SELECT * FROM kept_audit; INSERT INTO audit_heads SELECT * FROM kept_heads");
    }
    assert_eq!(good(&place, &[]), untouched);
}

/// Rewrites the log of `default` with one changed entry, as an attacker with write access and knowledge of the format
/// can.
fn forge(place: &Place) {
    let path = place.database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows: Vec<AuditRow> = runtime.block_on(async {
        let store = Store::read_sqlite(&path).await.unwrap();
        let rows = store.audit_after("default", None, 1000).await.unwrap();
        store.close().await;
        rows.into_iter().map(Result::unwrap).collect()
    });
    let mut previous = ChainHash::START;
    for mut row in rows {
        if row.id == 5 {
            row.actor = "key:somebody-else".into();
        }
        previous = row.hash_after(&previous);
        let (id, actor) = (row.id, row.actor);
        database::execute(&path, &format!("UPDATE audit SET actor = '{actor}', hash = x'{previous}' WHERE id = {id}"));
    }
    database::execute(&path, &format!("UPDATE audit_heads SET hash = x'{previous}' WHERE organization = 'default'"));
}

#[test]
fn rewritten_log_differs_from_a_noted_head() {
    let place = busy(Place::on_sqlite()).0.stop();
    let heads: Vec<String> = good(&place, &[]).iter().map(|line| head(line)).collect();
    let (acme, default) = (heads[0].as_str(), heads[1].as_str());
    let both = ["--head", acme, "--head", default];
    assert_eq!(good(&place, &both).len(), 2);
    forge(&place);
    assert_eq!(good(&place, &[]).len(), 2, "the chain alone cannot tell");
    assert!(bad(&place, &both).contains("organization default: entry 14 does not have the noted hash"));
    assert_eq!(good(&place, &["--head", acme]).len(), 2);
}

#[test]
fn noted_head_is_valid_until_its_entry_is_removed() {
    let (server, _) = busy(Place::on_sqlite());
    let noted = head(&good(&server, &["--organization", "default"])[0]);
    (0..12).for_each(|_| drop(server.make_with("read:a")));
    let lines = good(&server, &["--head", &noted]);
    assert!(lines[1].starts_with("default: 25 entries, head 26:"), "{lines:?}");
    let place = server.stop();
    let unknown = format!("99:{}", "0".repeat(64));
    assert!(bad(&place, &["--head", &unknown]).contains("entry 99 was noted but is missing"));
    assert!(bad(&place, &["--organization", "acme", "--head", &noted]).contains("entry 14 was noted"));
    // The log is cut and the recorded end adjusted: only a noted head shows it.
    for statement in [
        "DELETE FROM audit WHERE id > 13",
        "UPDATE audit_heads SET last_id = 13, row_count = 12, hash = (SELECT hash FROM audit WHERE id = 13) \
         WHERE organization = 'default'",
    ] {
        database::execute(&place.database(), statement);
    }
    assert_eq!(good(&place, &[]).len(), 2);
    assert!(bad(&place, &["--head", &noted]).contains("entry 14 was noted but is missing"));
}

#[test]
fn ids_are_not_reused_after_a_cut() {
    let (server, _) = busy(Place::on_sqlite());
    let place = server.stop();
    database::execute(&place.database(), "DELETE FROM audit WHERE id > 12");
    let ended = place.run(&["master-key", "rotate"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(bad(&place, &[]).contains("organization default: entry 16: entries before it are missing (2)"));
}

#[test]
fn verification_runs_during_changes() {
    let (server, _) = busy(Place::new());
    std::thread::scope(|scope| {
        let make = || (0..25).for_each(|_| drop(server.make_with("read:a")));
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        while !threads.iter().all(|thread| thread.is_finished()) {
            assert_eq!(good(&server, &[]).len(), 2);
        }
    });
    let lines = good(&server, &["--organization", "default"]);
    assert!(lines[0].starts_with("default: 113 entries, head 114:"), "{lines:?}");
}

#[test]
fn invalid_arguments_print_one_error_line() {
    let place = Place::on_sqlite();
    assert!(super::verify(&place, &[]).refused(1).contains("there is no database yet"));
    assert!(!place.path("data").exists());
    place.init(&[]);
    let hash = "0".repeat(64);
    for wrong in ["", "1", "1:", "x:00", hash.as_str(), &format!("1:{hash}0"), &format!("1:{}", "A".repeat(64))] {
        assert!(super::verify(&place, &["--head", wrong]).refused(2).contains("--head"));
    }
    assert!(super::verify(&place, &["--organization", "A b"]).refused(2).contains("--organization"));
    assert!(
        super::verify(&place, &["--organization", "acme"]).refused(1).contains("organization acme: does not exist")
    );
    super::verify(&place, &["--file", "nowhere.ndjson"]).refused(1);
}
