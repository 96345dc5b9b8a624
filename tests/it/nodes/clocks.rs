//! Clocks that differ: operators are warned, and no revocation is lost.

use std::path::PathBuf;

use crate::nodes::{is_good, metric, place, warnings};
use crate::support::eventually;
use crate::support::postgres::Database;

/// The library that changes the clock of a program.
pub fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let mut files = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    files.find(|file| file.exists()).expect("libfaketime, which scripts/tools installs")
}

#[test]
fn wrong_clock_is_reported_and_changes_are_effective() {
    let database = Database::create();
    let a = place(&database).start();
    let wrong = |offset| {
        let place = place(&database).set("LD_PRELOAD", libfaketime().display()).set("FAKETIME", offset);
        place.set("DONT_FAKE_MONOTONIC", 1)
    };
    for (offset, said, seconds) in [("-5s", "s behind the database's", 5.0), ("+5s", "s ahead of", -5.0)] {
        let b = wrong(offset).serve(a.key.clone());
        let warning = eventually("the warning", || warnings(&b).pop());
        assert!(warning.contains(said) && warning.contains("(NTP)"), "{warning}");
        let seen = metric(&b, "keyturn_clock_offset_seconds").unwrap();
        assert!((seen - seconds).abs() < 0.3, "{seen}");
        assert_eq!(warnings(&a), [""; 0]);
        // By the clock that is behind, the first signing key is not active for some seconds.
        eventually("its first token", || (b.exchange(&b.key.text, &[]).status == 200).then_some(()));
        for (one, other) in [(&a, &b), (&b, &a)] {
            let key = one.make(&serde_json::json!({}));
            let token = a.token(&key, &[]);
            other.exchange(&key.text, &[]).expect(200);
            one.change("POST", &format!("{}/revoke", key.id), &serde_json::json!({}));
            other.exchange(&key.text, &[]).expect(401);
            assert!(!is_good(other, &token));
        }
        assert_eq!(database.sql("SELECT COUNT(*) FROM nodes"), "2", "nobody is taken for silent");
        drop(b.stop());
    }
    drop(a);
}
