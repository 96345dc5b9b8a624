//! The error for each kind of mistake in the file and in the environment.

use std::fs;

use super::{Scene, Settings, load, refusal};

/// The error for `config/keyturn.toml` with this text.
fn refusal_of_file(text: &str) -> String {
    Scene::new().with("config/keyturn.toml", text).refusal(&[])
}

#[test]
fn error_in_the_file_names_its_line() {
    let sections = "server, store, revocation, secrets, token, signing, session, limits, cache, cors, gateway, argon2, \
        webhooks, log";
    for (text, line) in [
        ("[token]\nttl_seconds = 5", ":2: token.ttl_seconds is 5; allowed: 60 to 3600 seconds".to_owned()),
        (
            "[token]\n\n  ttl_seconds = \"600\"",
            ":3: token.ttl_seconds is \"600\"; allowed: 60 to 3600 seconds".to_owned(),
        ),
        ("token.ttl_seconds = 600.0", ":1: token.ttl_seconds is 600.0; allowed: 60 to 3600 seconds".to_owned()),
        ("[token.typ]\nx = 1", ":1: token.typ is a table; allowed: at+jwt or JWT".to_owned()),
        ("token = { typ = '' }", ":1: token.typ is empty; allowed: at+jwt or JWT".to_owned()),
        (
            "[server]\ntrusted_proxies = '10.0.0.0/8'",
            ":2: server.trusted_proxies is \"10.0.0.0/8\"; allowed: a list of IP addresses and networks, such \
             as 10.0.0.0/8"
                .to_owned(),
        ),
        ("log = 5", ":1: log is a section; write [log] and its settings below it".to_owned()),
        (
            "[token]\nttl = 5",
            ":2: unknown setting token.ttl; [token] has ttl_seconds, algorithm, typ, audience; \
             did you mean token.ttl_seconds?"
                .to_owned(),
        ),
        (
            "[log]\nlisten = 5",
            ":2: unknown setting log.listen; [log] has level, format, requests; did you mean server.listen?".to_owned(),
        ),
        ("[log]\n\"a\\nb\" = 5", ":2: unknown setting log.a\\nb; [log] has level, format, requests".to_owned()),
        ("\n[tokens]", format!(":2: unknown section tokens; the sections are {sections}; did you mean token?")),
        (
            "listen = '[::]:80'",
            format!(":1: unknown section listen; the sections are {sections}; did you mean server.listen?"),
        ),
        ("[tls]", format!(":1: unknown section tls; the sections are {sections}")),
        ("[token]\ntyp = 'JWT'\ntyp = 'JWT'", ":3: invalid TOML: duplicate key".to_owned()),
    ] {
        assert_eq!(refusal_of_file(text), format!("config/keyturn.toml{line}"));
    }
}

#[test]
fn broken_toml_is_one_line() {
    for text in ["[token", "token", "[token]\ntyp = ", "[token]\ntyp = 'x", "= 5", "a = [1,\n2", "\u{0}"] {
        let line = refusal_of_file(text);
        assert!(line.starts_with("config/keyturn.toml:") && line.contains(": invalid TOML: "), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn unreadable_file_is_one_line() {
    let scene = Scene::new().with("config/keyturn.toml/x", "");
    assert_eq!(scene.refusal(&[]), "config/keyturn.toml: cannot be read: Is a directory (os error 21)");
    let missing = scene.load_file(Some("missing.toml"), &[]).unwrap_err().to_string();
    assert_eq!(missing, "missing.toml: cannot be read: No such file or directory (os error 2)");
    fs::write(scene.0.path().join("latin1.toml"), b"# \xe9").unwrap();
    let latin1 = scene.load_file(Some("latin1.toml"), &[]).unwrap_err().to_string();
    assert_eq!(latin1, "latin1.toml: cannot be read: stream did not contain valid UTF-8");
}

#[test]
fn error_in_the_environment_names_the_variable() {
    let sections = "server, store, revocation, secrets, token, signing, session, limits, cache, cors, gateway, argon2, \
        webhooks, log";
    let token = "[token] has ttl_seconds, algorithm, typ, audience";
    for (name, value, line) in [
        ("KEYTURN_TOKEN__TTL_SECONDS", "ten", "token.ttl_seconds is \"ten\"; allowed: 60 to 3600 seconds".to_owned()),
        ("KEYTURN_TOKEN__TTL_SECONDS", "", "token.ttl_seconds is empty; allowed: 60 to 3600 seconds".to_owned()),
        (
            "KEYTURN_TOKEN__TTL",
            "hunter2",
            format!("unknown setting; {token}; did you mean KEYTURN_TOKEN__TTL_SECONDS?"),
        ),
        ("KEYTURN_TOKEN__COLOUR", "hunter2", format!("unknown setting; {token}")),
        ("KEYTURN_TOKEN__TYP__X", "hunter2", format!("unknown setting; {token}; did you mean KEYTURN_TOKEN__TYP?")),
        ("KEYTURN_token__typ", "hunter2", format!("unknown setting; {token}; did you mean KEYTURN_TOKEN__TYP?")),
        (
            "KEYTURN__SERVER__LISTEN",
            "hunter2",
            "unknown setting; [server] has listen, operations_listen, \
             public_url, trusted_proxies, forwarding_header, workers, shutdown_seconds, drain_seconds, \
             request_timeout_seconds, write_timeout_seconds, keep_alive_seconds, max_connections, \
             max_connections_per_address, max_connections_per_network; did you mean KEYTURN_SERVER__LISTEN?"
                .to_owned(),
        ),
        (
            "KEYTURN_HTTP__LISTEN",
            "hunter2",
            format!(
                "unknown setting; the sections are {sections}; did you mean \
                 KEYTURN_SERVER__LISTEN?"
            ),
        ),
        ("KEYTURN__X", "hunter2", format!("unknown setting; the sections are {sections}")),
    ] {
        assert_eq!(refusal(name, value), format!("{name}: {line}"));
    }
}

#[test]
fn other_variables_are_ignored() {
    load(&[
        ("KEYTURN_TOKEN", "x"),
        ("KEYTURN_TOKEN_FILE", "x"),
        ("KEYTURN_API_KEY", "x"),
        ("KEYTURN_API_KEY_FILE", "x"),
        ("KEYTURN_SERVER", "x"),
        ("KEYTURN_CONFIG", "x"),
        ("KEYTURN_COPY_TO", "x"),
        ("KEYTURN_COPY_TO_FILE", "x"),
        ("KEYTURN_PORT", "tcp://10.0.0.1:80"),
        ("KEYTURN_PORT_8080_TCP", "tcp://10.0.0.1:80"),
        ("KEYTURN_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("KEYTURN_SERVICE_HOST", "10.0.0.1"),
        ("KEYTURN_SERVICE_PORT_HTTP", "8080"),
        ("KEYTURN_POSTGRESQL_SERVICE_HOST", "10.0.0.1"),
        ("KEYTURN_POSTGRESQL_SERVICE_PORT", "5432"),
        ("KEYTURN_POSTGRESQL_SERVICE_PORT_TCP_POSTGRESQL", "5432"),
        ("KEYTURN_POSTGRESQL_PORT", "tcp://10.0.0.1:5432"),
        ("KEYTURN_POSTGRESQL_PORT_5432_TCP_PROTO", "tcp"),
        ("KEYTURNS__X", "x"),
        ("OTHER__X", "x"),
        ("keyturn_token__typ", "x"),
    ]);
}

#[test]
fn unknown_variables_are_rejected_with_a_suggestion() {
    for (name, suggestion) in [
        ("KEYTURN_STORE_URL", "; did you mean KEYTURN_STORE__URL?"),
        ("KEYTURN_TTL", "; did you mean KEYTURN_TOKEN__TTL_SECONDS?"),
        ("KEYTURN_PUBLIC_URL", "; did you mean KEYTURN_SERVER__PUBLIC_URL?"),
        ("KEYTURN_API_KEYS", "; did you mean KEYTURN_API_KEY?"),
        ("KEYTURN_SECRETS_MASTER_KEY_FILE", "; did you mean KEYTURN_SECRETS__MASTER_KEY_FILE?"),
        ("KEYTURN_OPERATIONS_PORT", ""),
        ("KEYTURN_COLOUR", ""),
        ("KEYTURN_", ""),
    ] {
        assert_eq!(
            refusal(name, "hunter2"),
            format!(
                "{name}: unknown variable; allowed: KEYTURN_SECTION__NAME with two underscores, and \
                 KEYTURN_API_KEY, KEYTURN_API_KEY_FILE, KEYTURN_CONFIG, KEYTURN_COPY_TO, KEYTURN_COPY_TO_FILE, \
                 KEYTURN_SERVER, KEYTURN_TOKEN, KEYTURN_TOKEN_FILE{suggestion}"
            )
        );
    }
}

#[cfg(unix)]
#[test]
fn invalid_unicode_is_ignored_in_a_name_and_rejected_in_a_value() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let not_unicode = || OsString::from_vec(b"KEYTURN_LOG__LEVEL\xff".to_vec());
    let scene = Scene::new();
    let load = |name: OsString, value: OsString| Settings::load(None, std::iter::once((name, value)), scene.0.path());
    load(not_unicode(), "x".into()).unwrap();
    load("KEYTURN_TOKEN".into(), not_unicode()).unwrap();
    assert_eq!(
        load("KEYTURN_STORE__URL".into(), not_unicode()).unwrap_err().to_string(),
        "KEYTURN_STORE__URL: store.url is not valid Unicode"
    );
}
