//! `keyturn serve`: the first run, and what keeps a server from starting.

use std::fs;
use std::net::TcpListener;

use crate::support::server::Ended;
use crate::support::{Key, Place, database, eventually};

#[test]
fn the_first_run_prints_credentials_once_with_a_line_that_works_when_pasted() {
    let place = Place::on_sqlite().unset("KEYTURN_STORE__URL").unset("KEYTURN_SECRETS__MASTER_KEY_FILE");
    let server = place.serve(Key { id: String::new(), text: String::new() });
    let out = eventually("the curl line", || Some(server.stdout()).filter(|out| out.contains("/oauth/token\n")));
    let line = out.lines().find(|line| line.trim().starts_with("curl ")).unwrap();
    assert!(line.ends_with(&format!("{}/oauth/token", server.public_url)), "{line}");
    let (id, text) = line.split('\'').nth(1).unwrap().split_once(':').unwrap();
    let form = server.token_request().form_text("grant_type=client_credentials");
    assert_eq!(form.basic(id, text).send().expect(200)["scope"], "*:* *:keyturn/*");
    assert!(!server.stderr().contains(text));
    assert!(server.path("data/keyturn.db").exists() && server.path("data/master.key").exists());

    let key = Key { id: id.into(), text: text.into() };
    let before = out.len();
    let server = server.stop().serve(key);
    assert!(!server.stdout()[before..].contains(&server.key.text));
    server.token(&server.key, &[]);
}

#[test]
fn without_a_command_it_serves() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let mut child = place.command(&[]).stdout(fs::File::create(place.path("out")).unwrap()).spawn().unwrap();
    let line = eventually("the line that says what is served", || {
        fs::read_to_string(place.path("out")).ok().filter(|text| text.contains('\n'))
    });
    let address = line.trim().strip_prefix("Keyturn serves http://").unwrap().parse().unwrap();
    let request = crate::support::Request::new(address, "POST", "/oauth/token");
    let answer = request.form_text("grant_type=client_credentials").bearer(&founded.key.text).send();
    child.kill().unwrap();
    child.wait().unwrap();
    answer.expect(200);
}

#[test]
fn on_an_address_for_others_no_credentials_are_made_up() {
    let place = Place::on_sqlite().set("KEYTURN_SERVER__LISTEN", "0.0.0.0:0");
    for command in ["serve", "init", "check-config"] {
        let ended = place.run(&[command]);
        assert!(ended.refused(2).contains("set server.public_url"), "{}", ended.stderr);
    }
    assert!(!place.path("data").exists());
    let place = place.set("KEYTURN_SERVER__PUBLIC_URL", "http://keyturn.test");
    let ended = place.run(&["serve"]);
    assert!(ended.refused(1).contains("keyturn init"), "{}", ended.stderr);
    assert_eq!(database::column(&place.database(), "SELECT slug FROM organizations"), Vec::<String>::new());
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    server.token(&server.key, &[]);
}

#[test]
fn a_port_in_use_is_one_line_and_nothing_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::on_sqlite().set("KEYTURN_SERVER__LISTEN", &address);
    let ended = place.run(&["serve"]);
    assert!(ended.refused(1).contains(&address));
    assert!(!place.path("data").exists());
}

#[test]
fn a_second_server_on_the_same_store_is_refused() {
    let server = Place::on_sqlite().start();
    let ended = server.run(&["serve"]);
    assert!(ended.refused(1).contains("in use"));
    server.token(&server.key, &[]);
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let place = Place::on_sqlite();
    place.init(&[]);
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                 VALUES (9999, 'from the future', '2040-01-01', 1, x'00', 1)";
    database::execute(&place.database(), newer);
    let before = database::contents(&place.database());
    for arguments in [&["serve"][..], &["init", "--organization", "acme"], &["master-key", "rotate"]] {
        let ended = place.run(arguments);
        assert!(ended.refused(1).contains("newer"), "{}", ended.stderr);
    }
    assert_eq!(database::contents(&place.database()), before);
}

#[test]
fn a_store_that_cannot_be_used_is_one_line() {
    let place = Place::on_sqlite();
    fs::write(place.path("file"), "").unwrap();
    let under_a_file = format!("sqlite://{}", place.path("file/keyturn.db").display());
    for (store, said) in [(under_a_file.as_str(), "file"), ("sqlite:///proc/nowhere/keyturn.db", "/proc")] {
        let place = Place::on_sqlite().set("KEYTURN_STORE__URL", store);
        for command in ["serve", "init"] {
            let ended = place.run(&[command]);
            assert!(matches!(ended.code, 1 | 2));
            assert!(ended.refused(ended.code).contains(said), "{}", ended.stderr);
            assert!(!place.path("data/master.key").exists(), "no key for a store that there is not");
        }
    }
    let place = Place::on_sqlite();
    fs::create_dir(place.path("data")).unwrap();
    fs::write(place.database(), "this is no database, and long enough to be looked at as one".repeat(100)).unwrap();
    fs::write(place.path("data/master.key"), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
    set_mode(&place, 0o600);
    let before = fs::read(place.database()).unwrap();
    place.run(&["serve"]).refused(1);
    assert_eq!(fs::read(place.database()).unwrap(), before);
}

fn set_mode(place: &Place, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(place.path("data/master.key"), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_wrong_missing_or_exposed_master_key_is_refused_and_nothing_is_changed() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let path = place.path("data/master.key");
    let (good, before) = (fs::read(&path).unwrap(), database::contents(&place.database()));
    let refused = |code: Option<i32>| {
        for arguments in [&["serve"][..], &["init", "--organization", "acme"]] {
            let ended: Ended = place.run(arguments);
            assert!(code.map_or(matches!(ended.code, 1 | 2), |code| code == ended.code), "{}", ended.stderr);
            let line = ended.refused(ended.code).to_owned();
            assert!(line.contains("master key") || line.contains("master.key"), "{line}");
            assert!(!line.contains(std::str::from_utf8(&good).unwrap().lines().last().unwrap()), "{line}");
        }
        assert_eq!(database::contents(&place.database()), before);
    };
    fs::write(&path, "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n").unwrap();
    refused(Some(1));
    for text in ["", "not a key", "c2hvcnQ="] {
        fs::write(&path, text).unwrap();
        refused(None);
    }
    fs::remove_file(&path).unwrap();
    refused(None);
    assert!(!path.exists(), "none is made up for a store that has another");
    fs::write(&path, &good).unwrap();
    for mode in [0o602, 0o666] {
        set_mode(&place, mode);
        refused(Some(1));
    }
    set_mode(&place, 0o600);
    let server = place.serve(founded.key);
    server.token(&server.key, &[]);
}

#[test]
fn health_asks_the_running_server() {
    let server = Place::on_sqlite().start();
    let health = |address: &str| {
        let mut command = server.command(&["health"]);
        command.env("KEYTURN_SERVER__LISTEN", address);
        Ended::of(command)
    };
    let address = server.address.to_string();
    let ended = health(&address);
    assert_eq!((ended.code, ended.stdout.trim(), ended.stderr.as_str()), (0, "alive", ""));
    assert_eq!(health(&address.replace("127.0.0.1", "0.0.0.0")).code, 0);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    health(&nobody).refused(1);
}
