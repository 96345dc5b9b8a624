//! `keyturn store migrate`: the schema by one user, the server by another.

use crate::nodes::place_at;
use crate::support::postgres::Database;
use crate::support::redis::free_port;
use crate::support::{Place, database};

fn check(place: &Place) -> (i32, String) {
    let ended = place.run(&["store", "migrate", "--check"]);
    (ended.code, format!("{}{}", ended.stdout, ended.stderr).trim_end().to_owned())
}

#[track_caller]
fn migrate(place: &Place) {
    let ended = place.run(&["store", "migrate"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(ended.stdout.starts_with("The schema is current (version "), "{}", ended.stdout);
    assert_eq!(check(place), (0, ended.stdout.trim_end().to_owned()));
}

const NONE: &str = "keyturn: the database has no schema yet; run: keyturn store migrate";

#[test]
fn server_runs_as_a_user_who_may_not_change_the_schema() {
    let database = Database::create();
    let owner = place_at(&database.url());
    assert_eq!(check(&owner), (1, NONE.to_owned()));
    assert_eq!(database.contents(), [""; 0], "a check changes nothing");
    migrate(&owner);
    let user = format!("runtime_{}", free_port());
    database.sql(&format!(
        "CREATE ROLE {user} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"
    ));
    let runtime = place_at(&database.url_as(&user));
    assert_eq!(check(&runtime).0, 0);
    let server = runtime.start();
    server.token(&server.make_with("read:orders/*"), &[]);
    drop(server.stop());
    database.sql(&format!("DROP OWNED BY {user}"));
}

#[test]
fn schema_of_an_earlier_version_is_reported_and_migrated() {
    let place = Place::on_sqlite();
    assert_eq!(check(&place), (1, NONE.to_owned()));
    assert!(!place.path("data").exists(), "a check changes nothing");
    migrate(&place);
    assert!(!place.path("data/master.key").exists(), "nothing else is created");
    for statement in database::BACK_TO_14 {
        database::execute(&place.database(), statement);
    }
    let (code, line) = check(&place);
    assert_eq!(code, 1);
    assert!(line.starts_with("keyturn: the schema has version 14, this Keyturn needs "), "{line}");
    migrate(&place);
    let server = place.start();
    server.token(&server.key, &[]);
}
