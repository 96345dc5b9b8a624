//! Invalid settings for several nodes are reported in one line, and nothing is changed.

use std::fs;
use std::process::Command;

use crate::nodes::wire::Wire;
use crate::nodes::{MASTER_KEY, place, place_at, timed};
use crate::support::postgres::Database;
use crate::support::redis::free_port;
use crate::support::server::Ended;
use crate::support::{Place, eventually};

/// Checks that serving and bootstrapping fail with one line that contains these texts and no password.
#[track_caller]
fn refused(place: &Place, said: &[&str]) {
    for arguments in [&["serve"][..], &["init", "--organization", "acme"]] {
        let ended = place.run(arguments);
        let line = ended.refused(1);
        for said in said {
            assert!(line.contains(said), "{arguments:?}: {line}");
        }
        assert!(!line.contains("hunter2"), "{line}");
    }
}

/// Returns the URL of the same database for a user with a password.
fn url_of(database: &Database, user: &str) -> String {
    database.url_as(&format!("{user}:hunter2"))
}

fn role(database: &Database, name: &str, rights: &str) -> String {
    let name = format!("{name}_{}", free_port());
    database.sql(&format!("CREATE ROLE {name} {rights}"));
    name
}

#[test]
fn rejected_login_has_advice() {
    let database = Database::create();
    let user = role(&database, "locked", "NOLOGIN PASSWORD 'hunter2'");
    refused(&place_at(&url_of(&database, &user)), &["rejected the login", "user and password in store.url"]);
    assert_eq!(database.contents(), [""; 0]);
}

#[test]
fn missing_database_is_named() {
    let database = Database::create();
    let url = format!("{}_gone", url_of(&database, "keyturn"));
    refused(&place_at(&url), &["_gone", "does not exist", "create it"]);
}

#[test]
fn missing_privileges_are_named() {
    let database = Database::create();
    database.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let user = role(&database, "limited", "LOGIN");
    let theirs = place_at(&url_of(&database, &user));
    refused(&theirs, &["lacks privileges", "GRANT USAGE, CREATE ON SCHEMA public"]);
    assert_eq!(database.contents(), [""; 0]);

    // Tables of another user cannot be used either.
    place(&database).init(&[]);
    let before = database.contents();
    refused(&theirs, &["lacks privileges", "permission denied"]);
    assert_eq!(database.contents(), before);

    // As the message says, on a fresh database.
    let database = Database::create();
    database.sql(&format!("GRANT USAGE, CREATE ON SCHEMA public TO {user}"));
    let server = place_at(&url_of(&database, &user)).start();
    server.token(&server.key, &[]);
}

#[test]
fn newer_database_is_rejected() {
    let database = Database::create();
    let place = place(&database);
    place.init(&[]);
    database.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
         VALUES (99, 'from the future', now(), true, '\\x00', 1)",
    );
    let before = database.contents();
    refused(&place, &["newer", "99"]);
    assert_eq!(database.contents(), before);
}

#[test]
fn other_master_key_is_rejected() {
    let database = Database::create();
    let server = place(&database).start();
    let before = database.contents_but(&["nodes", "usage_hours", "commits"]);
    let other = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let wrong = place(&database).set("KEYTURN_SECRETS__MASTER_KEY", other);
    for arguments in [&["serve"][..], &["init", "--organization", "acme"]] {
        let ended = wrong.run(arguments);
        let line = ended.refused(1);
        assert!(line.contains("master key does not match"), "{line}");
        assert!(!line.contains(other) && !line.contains(MASTER_KEY), "{line}");
    }
    // No master key is generated if the file is missing.
    let file = place(&database).unset("KEYTURN_SECRETS__MASTER_KEY");
    let file = file.set("KEYTURN_SECRETS__MASTER_KEY_FILE", "data/master.key");
    assert!(file.run(&["serve"]).refused(2).contains("copy it from another node"));
    assert!(!file.path("data/master.key").exists());
    assert_eq!(database.contents_but(&["nodes", "usage_hours", "commits"]), before);
    server.token(&server.key, &[]);
}

#[test]
fn invalid_revocation_url_is_one_error_line() {
    let database = Database::create();
    for (url, said) in [
        ("redis://", "revocation.url"),
        ("http://:hunter2@cache", "redis://HOST"),
        ("redis://:hunter2@", "revocation.url"),
        ("redis://:hunter2@cache:port", "revocation.url"),
        ("redis://:hunter2@cache:6379/main", "revocation.url"),
        ("redis://:hunter2@cache:6379/1/2", "revocation.url"),
        ("redis://:hunter2@cache:6379,other:6379", "revocation.url"),
        ("redis://:hunter2@cache?protocol=hunter2", "revocation.url"),
        ("redis+sentinel://:hunter2@a:26379", "the master's name"),
        ("redis+sentinel://:hunter2@a:26379/main/x", "must be a number"),
        ("redis+sentinel://:hunter2@a:26379/main/0/1", "only a database number is allowed"),
        ("redis+sentinel://:hunter2@a:port/main", "revocation.url"),
        ("redis+sentinel://:hunter2%ff@a:26379/main", "UTF-8"),
        ("redis+cluster://:hunter2@a:6379,,b:6379", "a host is empty"),
        ("redis+cluster://:hunter2@a:6379/1", "no databases"),
        ("redis+cluster://:hunter2@a:port", "revocation.url"),
    ] {
        let place = place(&database).set("KEYTURN_REVOCATION__URL", url);
        for command in ["check-config", "serve", "init"] {
            let ended = place.run(&[command]);
            assert_eq!(ended.code, 2, "{url}: {}{}", ended.stdout, ended.stderr);
            let line = ended.refused(2);
            assert!(line.contains(said), "{url}: {line}");
            assert!(!line.contains("hunter2"), "{url}: {line}");
        }
    }
    assert_eq!(database.contents(), [""; 0]);
}

#[test]
fn check_config_shows_no_password_and_does_not_connect() {
    let place = place_at("postgres://me:hunter2@db.invalid/keyturn");
    let place = place.set("KEYTURN_REVOCATION__URL", "rediss+sentinel://me:hunter2@a.invalid:26379/main");
    let (took, ended) = timed(|| place.run(&["check-config"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(!ended.stdout.contains("hunter2") && took.as_secs() < 5, "{}", ended.stdout);
    for key in ["store.url ", "revocation.url "] {
        let line = ended.stdout.lines().find(|line| line.trim().starts_with(key)).expect(key);
        assert!(line.contains("(set)"), "{line}");
    }
}

#[test]
fn unknown_store_url_parameter_does_not_leak_the_password() {
    let database = Database::create();
    let place = place_at(&format!("{}?pasword=hunter2", url_of(&database, "keyturn")));
    let ended = place.run(&["init"]);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    let founded = self::place(&database).run(&["init", "--organization", "acme", "--json"]);
    assert_eq!(founded.code, 0, "{}", founded.stderr);
    let child = serving(&place);
    eventually("the start, or its end", || {
        let (out, err) = (fs::read_to_string(place.path("out")), fs::read_to_string(place.path("err")));
        (out.unwrap().contains("serves") || err.unwrap().contains("keyturn: ")).then_some(())
    });
    drop(child);
    let log = fs::read_to_string(place.path("err")).unwrap();
    assert!(!log.contains("hunter2"), "{log}");
}

/// A server whose output goes to files; killed when it is dropped.
struct Serving(std::process::Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serving(place: &Place) -> Serving {
    let file = |name| fs::File::create(place.path(name)).unwrap();
    Serving(place.command(&["serve"]).stdout(file("out")).stderr(file("err")).spawn().unwrap())
}

#[test]
fn node_waits_for_its_database() {
    let database = Database::create();
    place(&database).init(&[]);
    let port = free_port();
    let url = database.url_at(port).replace("keyturn@", "keyturn:hunter2@");
    let place = place_at(&url).set("KEYTURN_SERVER__LISTEN", format!("127.0.0.1:{}", free_port()));
    let server = serving(&place);
    let log = || fs::read_to_string(place.path("err")).unwrap();
    eventually("the line that says what is waited for", || log().contains("waiting for the database").then_some(()));
    let wire = Wire::from(port, Database::port());
    eventually("the server", || log().contains("serving").then_some(()));
    assert!(!log().contains("hunter2"), "{}", log());
    drop((server, wire));
}

#[test]
fn master_key_is_not_rotated_while_nodes_run() {
    let database = Database::create();
    let with_file = || {
        let place = place(&database).unset("KEYTURN_SECRETS__MASTER_KEY");
        place.set("KEYTURN_SECRETS__MASTER_KEY_FILE", "master.key")
    };
    let empty = with_file().run(&["master-key", "rotate"]);
    assert!(empty.refused(1).contains("there is no database yet; run: keyturn init"), "{}", empty.stderr);
    assert!(!empty.stderr.contains("(set)"), "it says which database: {}", empty.stderr);

    let server = with_file().start();
    let file = |server: &Place| fs::read(server.path("master.key")).unwrap();
    let (before, key_file) = (database.contents_but(&["nodes", "usage_hours", "commits"]), file(&server));
    let ended = server.run(&["master-key", "rotate"]);
    assert!(ended.refused(1).contains("1 node was running"), "{}", ended.stderr);
    assert_eq!(
        (database.contents_but(&["nodes", "usage_hours", "commits"]), file(&server)),
        (before, key_file.clone())
    );

    let key = server.key.clone();
    let place = server.stop();
    let ended = place.run(&["master-key", "rotate"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "one that was stopped in order does not count");
    assert_ne!(file(&place), key_file);
    let server = place.serve(key);
    server.token(&server.key, &[]);
}

#[test]
fn concurrent_starts_create_one_schema() {
    let database = Database::create();
    let slugs = ["default", "acme", "other", "last"];
    let places: Vec<Place> = slugs.iter().map(|_| place(&database)).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = places
            .iter()
            .zip(slugs)
            .map(|(place, slug)| scope.spawn(|| place.init(&["--organization", slug])))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(database.sql("SELECT COUNT(*) FROM organizations"), "4");
    assert_eq!(database.sql("SELECT COUNT(*) FROM master_key"), "1");
}

#[test]
fn concurrent_bootstraps_create_one_organization() {
    let database = Database::create();
    place(&database).init(&["--organization", "first"]);
    let places: Vec<Place> = (0..4).map(|_| place(&database)).collect();
    let ended: Vec<Ended> = std::thread::scope(|scope| {
        let threads: Vec<_> = places.iter().map(|place| scope.spawn(|| place.run(&["init", "--json"]))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut codes: Vec<i32> = ended.iter().map(|ended| ended.code).collect();
    codes.sort_unstable();
    let said: Vec<_> = ended.iter().map(|ended| &ended.stderr).collect();
    assert_eq!(codes, [0, 2, 2, 2], "{said:?}");
    assert_eq!(database.sql("SELECT COUNT(*) FROM members"), "2");
}

#[test]
fn replica_is_rejected() {
    let Ok(bin) = std::env::var("KEYTURN_TEST_POSTGRES_BIN") else { panic!("run scripts/with-postgres") };
    let database = Database::create();
    place(&database).init(&[]);
    let folder = tempfile::Builder::new().prefix("standby").tempdir().unwrap();
    let data = folder.path().join("data");
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let as_owner = |program: &str| {
        if !is_root {
            return Command::new(format!("{bin}/{program}"));
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", &format!("{bin}/{program}")]);
        command
    };
    if is_root {
        assert!(Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap().success());
    }
    let copying = as_owner("pg_basebackup")
        .args(["-c", "fast", "-X", "stream", "-R", "--no-sync", "-h", "127.0.0.1", "-U", "keyturn"])
        .args(["-p", &Database::port().to_string(), "-D"])
        .arg(&data)
        .current_dir("/")
        .output()
        .unwrap();
    assert!(copying.status.success(), "{}", String::from_utf8_lossy(&copying.stderr));
    let (port, log) = (free_port(), fs::File::create(folder.path().join("log")).unwrap());
    let standby = as_owner("postgres")
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
        .args([
            "-c",
            "max_connections=400",
            "-c",
            "hot_standby=on",
            "-c",
            &format!("unix_socket_directories={}", folder.path().display()),
        ])
        .current_dir("/")
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let standby = Serving(standby);
    let place = place_at(&database.url_at(port).replace("keyturn@", "keyturn:hunter2@"));
    let ended = place.run(&["serve"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with("keyturn: the database is a replica"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    drop(standby);
    let _ = as_owner("pg_ctl").args(["-m", "immediate", "stop", "-D"]).arg(&data).current_dir("/").output();
}
