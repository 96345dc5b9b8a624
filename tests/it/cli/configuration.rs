//! Settings: one line that says what is wrong and where, and exit code 2, whatever the command.

use std::fs;

use crate::support::Place;

#[test]
fn check_config_shows_every_setting_and_where_it_comes_from() {
    let place = Place::new().set("KEYTURN_SECRETS__MASTER_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    let place = place.unset("KEYTURN_SECRETS__MASTER_KEY_FILE");
    fs::create_dir(place.path("config")).unwrap();
    fs::write(place.path("config/keyturn.toml"), "[token]\nttl_seconds = 120\n").unwrap();
    let ended = place.run(&["check-config"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let line = |key: &str| ended.stdout.lines().find(|line| line.trim().starts_with(key)).expect(key).to_owned();
    assert!(line("token.ttl_seconds").contains("120") && line("token.ttl_seconds").contains("config/keyturn.toml"));
    assert!(line("server.listen").contains("KEYTURN_SERVER__LISTEN"));
    assert!(line("token.algorithm").contains("default"));
    assert!(line("secrets.master_key ").contains("(set)") && !ended.stdout.contains("BwcH"));
    assert!(!place.path("data").exists(), "looking changes nothing");
}

#[test]
fn a_mistake_in_the_environment_is_one_line_that_names_it() {
    for (name, value, said) in [
        ("KEYTURN_TOKEN__TTL_SECONDS", "59", "60 to 3600"),
        ("KEYTURN_TOKEN__TTL_SECONDS", "ten", "60 to 3600"),
        ("KEYTURN_TOKEN__TTL_SECOND", "60", "ttl_seconds"),
        ("KEYTURN_TOKENS__TTL_SECONDS", "60", "token"),
        ("KEYTURN_SERVER__LISTEN", "localhost", "server.listen"),
        ("KEYTURN_SERVER__PUBLIC_URL", "ftp://x", "server.public_url"),
        ("KEYTURN_SERVER__PUBLIC_URL", "https://x/", "server.public_url"),
        ("KEYTURN_SERVER__TRUSTED_PROXIES", "10.0.0.1/8", "server.trusted_proxies"),
        ("KEYTURN_LOG__FORMAT", "xml", "human"),
        ("KEYTURN_LOG__LEVEL", "[{", "log.level"),
        ("KEYTURN_SECRETS__MASTER_KEY", "c2hvcnQ=", "32 bytes"),
        ("KEYTURN_STORE__URL", "mysql://x", "store.url"),
    ] {
        for command in ["check-config", "serve", "init"] {
            let place = Place::new().set(name, value);
            let place =
                if name.ends_with("MASTER_KEY") { place.unset("KEYTURN_SECRETS__MASTER_KEY_FILE") } else { place };
            let ended = place.run(&[command]);
            let line = ended.refused(2);
            assert!(line.contains(name) && line.contains(said), "{line}");
            assert!(!line.contains("c2hvcnQ"), "{line}");
            assert!(!place.path("data").exists(), "nothing is made");
        }
    }
}

#[test]
fn a_mistake_in_the_file_is_one_line_that_names_file_and_line() {
    for (text, said) in [
        ("[token]\nttl_seconds = 1\n", "keyturn.toml:2: token.ttl_seconds"),
        ("[token]\nttl_seconds = \"600\"\n", "keyturn.toml:2: token.ttl_seconds"),
        ("[token]\ntlt_seconds = 600\n", "keyturn.toml:2: "),
        ("[nothing]\n", "keyturn.toml:1: "),
        ("[token\n", "keyturn.toml:1"),
        ("token = 1\n", "keyturn.toml:1"),
        ("[token]\nttl_seconds = 600\nttl_seconds = 700\n", "keyturn.toml:3"),
    ] {
        let place = Place::new();
        fs::create_dir(place.path("config")).unwrap();
        fs::write(place.path("config/keyturn.toml"), text).unwrap();
        let ended = place.run(&["check-config"]);
        let line = ended.refused(2);
        assert!(line.contains(said), "{line}");
    }
    let place = Place::new();
    fs::create_dir(place.path("config")).unwrap();
    fs::write(place.path("config/keyturn.toml"), b"[token]\n# \xff\n").unwrap();
    place.run(&["check-config"]).refused(2);
    let ended = place.run(&["--config", "nowhere.toml", "check-config"]);
    assert!(ended.refused(2).contains("nowhere.toml"));
    let ended = place.run(&["--config", "config", "check-config"]);
    assert!(ended.refused(2).contains("config"));
}

#[test]
fn wrong_use_is_exit_code_2() {
    let place = Place::new();
    for arguments in
        [&["fly"][..], &["serve", "--fast"], &["keys"], &["keys", "show"], &["master-key"], &["init", "--organization"]]
    {
        let ended = place.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.stderr.contains("Usage") || ended.stderr.contains("error"), "{}", ended.stderr);
    }
    let ended = place.run(&["--version"]);
    assert_eq!((ended.code, ended.stdout.starts_with("keyturn ")), (0, true));
    assert!(!place.path("data").exists());
}
