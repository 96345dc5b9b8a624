//! Files that hold secrets, as Kubernetes and Docker mount them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::support::Place;

#[test]
fn master_key_of_a_mounted_secret_is_used() {
    let place = Place::on_sqlite();
    let mut key = place.init(&[]).key;
    let mut place = place;
    // Kubernetes replaces the target of `..data` to change all files at once.
    fs::create_dir_all(place.path("secret/..1")).unwrap();
    fs::rename(place.path("data/master.key"), place.path("secret/..1/key")).unwrap();
    symlink("..1", place.path("secret/..data")).unwrap();
    symlink("..data/key", place.path("secret/key")).unwrap();
    let file = place.path("secret/key");
    place = place.set("KEYTURN_SECRETS__MASTER_KEY_FILE", file.display());
    for (mode, is_warned) in
        [(0o400, false), (0o440, false), (0o640, false), (0o660, false), (0o444, true), (0o644, true)]
    {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let logged = || fs::read_to_string(file.ancestors().nth(2).unwrap().join("stderr.log")).unwrap_or_default();
        let before = logged().matches("can be read by others").count();
        let server = place.serve(key);
        server.token(&server.key, &[]);
        key = server.key.clone();
        place = server.stop();
        assert_eq!(logged().matches("can be read by others").count() - before, usize::from(is_warned), "{mode:o}");
    }
    fs::set_permissions(&file, Permissions::from_mode(0o646)).unwrap();
    assert!(place.run(&["serve"]).refused(1).contains("can be written by others (mode 0646); run: chmod o-w "));
}

#[test]
fn writable_url_file_is_rejected() {
    let place = Place::on_sqlite().unset("KEYTURN_STORE__URL");
    let file = place.path("url");
    fs::write(&file, format!("sqlite://{}\n", place.database().display())).unwrap();
    let place = place.set("KEYTURN_STORE__URL_FILE", file.display());
    fs::set_permissions(&file, Permissions::from_mode(0o662)).unwrap();
    for command in ["check-config", "serve", "init"] {
        assert!(place.run(&[command]).refused(2).contains("can be written by others"));
    }
    fs::set_permissions(&file, Permissions::from_mode(0o440)).unwrap();
    let server = place.start();
    server.token(&server.key, &[]);
}
