//! Tests of all settings, and the fixture for the tests of single settings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::declaration::{Allowed, Section, Setting};
use super::settings::*;
use super::*;
use crate::domain::choices::{Algorithm, ForwardingHeader, LogFormat, LoggedRequests, StoredResponses, TokenType};

mod mistakes;
mod values;

/// A working directory with files in it.
pub(super) struct Scene(tempfile::TempDir);

impl Scene {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn with(self, path: &str, content: &str) -> Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn load(&self, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        self.load_file(None, variables)
    }

    pub fn load_file(&self, file: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Settings::load(file.map(Path::new), environment, self.0.path())
    }

    pub fn refusal(&self, variables: &[(&str, &str)]) -> String {
        self.load(variables).unwrap_err().to_string()
    }
}

pub(super) fn load(variables: &[(&str, &str)]) -> Settings {
    Scene::new().load(variables).unwrap()
}

pub(super) fn load_variable(name: &str, value: &str) -> Settings {
    load(&[(name, value)])
}

pub(super) fn refusal(name: &str, value: &str) -> String {
    Scene::new().refusal(&[(name, value)])
}

fn value_of(settings: &Settings, key: &str) -> (String, String) {
    let row = settings.describe().into_iter().find(|(k, _, _)| k == key).unwrap();
    (row.1, row.2)
}

#[test]
fn defaults_are_read() {
    let settings = load(&[]);
    assert_eq!(
        settings.server,
        Server {
            listen: "127.0.0.1:8080".parse().unwrap(),
            public_url: None,
            trusted_proxies: vec![],
            workers: 0,
            shutdown_seconds: 30,
            drain_seconds: 0,
            request_timeout_seconds: 10,
            write_timeout_seconds: 20,
            keep_alive_seconds: 75,
            operations_listen: None,
            forwarding_header: ForwardingHeader::Auto,
            max_connections: 10_000,
            max_connections_per_address: 256,
            max_connections_per_network: 1_024,
        }
    );
    assert_eq!(settings.public_url(), "http://127.0.0.1:8080");
    assert_eq!(settings.store.url, StoreUrl::Sqlite(PathBuf::from("data/keyturn.db")));
    assert_eq!(settings.revocation.url, RevocationUrl::Embedded);
    assert_eq!(settings.secrets.master_key, MasterKeySource::File(PathBuf::from("data/master.key")));
    assert_eq!(
        settings.token,
        Token { ttl_seconds: 600, algorithm: Algorithm::Es256, typ: TokenType::AtJwt, audience: None }
    );
    assert_eq!(settings.audience(), "http://127.0.0.1:8080");
    assert_eq!(settings.signing, Signing { rotate_every_days: 90, publish_ahead_seconds: 900 });
    assert_eq!(settings.session, Session { idle_minutes: 60, hours: 12 });
    assert_eq!(settings.limits, Limits { failures_per_minute: 1000, changes_per_minute: 120 });
    assert_eq!(settings.cache, Cache { keys_mib: 128, tokens_mib: 128 });
    assert_eq!(settings.cors, Cors { allowed_origins: vec![] });
    assert_eq!(settings.gateway, Gateway { verdict_max_age_seconds: 0 });
    assert_eq!(settings.argon2, Argon2 { memory_kib: 19456, iterations: 2, parallelism: 1, threads: 1, queue: 4096 });
    let retry_seconds = vec![5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
    let stored_responses = StoredResponses::Public;
    let allowed_networks = vec![];
    assert_eq!(
        settings.webhooks,
        Webhooks { private_addresses: false, allowed_networks, stored_responses, retry_seconds }
    );
    assert_eq!(
        settings.log,
        Log { level: "info".to_owned(), format: LogFormat::Human, requests: LoggedRequests::Failed }
    );
}

const DEFAULT_TOML: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.toml");

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch of this test")]
fn default_toml_is_generated_from_the_declaration() {
    let rendered = defaults::render();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(DEFAULT_TOML, &rendered).unwrap();
    }
    let committed = fs::read_to_string(DEFAULT_TOML).unwrap();
    assert!(committed == rendered, "config/default.toml is outdated; run: UPDATE=1 cargo test --lib default_toml");
}

#[test]
fn default_toml_describes_every_setting() {
    let rendered = defaults::render();
    assert!(rendered.lines().all(|line| !line.starts_with('#') || line.chars().count() <= 100));
    let mut blocks = rendered.split("\n\n");
    assert!(blocks.next().unwrap().starts_with("# All settings of Keyturn"));
    for (section, setting) in all_settings() {
        let block = blocks.next().unwrap();
        let block = match block.strip_prefix(&format!("[{}]\n", section.name)) {
            Some(rest) => rest,
            None => block,
        };
        let (comment, line) = block.trim_end().rsplit_once('\n').unwrap();
        let key = format!("{}.{}", section.name, setting.name);
        assert_eq!(line, format!("{} = {}", setting.name, setting.default), "{key}");
        let comment = comment.replace("\n#", "");
        assert!(comment.starts_with(&format!("#{}", setting.documentation)), "{key}: {comment}");
        assert!(setting.documentation.ends_with('.') && setting.documentation.len() > 10, "{key}");
        assert!(comment.contains(&format!(" Allowed: {}. Default: ", setting.about.allowed)), "{key}: {comment}");
        assert_eq!(comment.contains(" Secret."), setting.about.is_secret, "{key}");
    }
    assert_eq!(blocks.next(), None);
}

fn all_settings() -> impl Iterator<Item = (&'static Section, &'static Setting)> {
    SECTIONS.iter().flat_map(|section| section.settings.iter().map(move |setting| (section, setting)))
}

#[test]
fn default_toml_can_be_copied_and_used() {
    let scene = Scene::new().with("config/keyturn.toml", &defaults::render());
    let copied = scene.load(&[]).unwrap();
    let (copied_rows, rows) = (copied.describe(), load(&[]).describe());
    for (copy, row) in copied_rows.iter().zip(&rows) {
        assert_eq!((&copy.0, &copy.1), (&row.0, &row.1));
        assert!(copy.2.starts_with("config/keyturn.toml:"), "{copy:?}");
        assert_eq!(row.2, "default");
    }
}

#[test]
fn every_setting_can_come_from_the_environment() {
    let files = || Scene::new().with("a", "sqlite://a.db").with("b", "redis://b");
    let mut texts = vec![
        ("server.listen", "[::]:80", "[::]:80"),
        ("server.operations_listen", "127.0.0.1:81", "127.0.0.1:81"),
        ("server.public_url", "https://k.example", "https://k.example"),
        ("server.trusted_proxies", "10.0.0.0/8", "[\"10.0.0.0/8\"]"),
        ("store.url", "sqlite://x.db", "sqlite://x.db"),
        ("store.url_file", "a", "a"),
        ("revocation.url", "redis://x", "(set)"),
        ("revocation.url_file", "b", "b"),
        ("revocation.prefix", "x", "x"),
        ("secrets.master_key", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "(set)"),
        ("secrets.master_key_file", "x.key", "x.key"),
        ("token.audience", "x", "x"),
        ("cors.allowed_origins", "https://a.example", "[\"https://a.example\"]"),
        ("webhooks.allowed_networks", "10.0.0.0/8", "[\"10.0.0.0/8\"]"),
        ("webhooks.retry_seconds", "[1, 2]", "[1, 2]"),
        ("log.level", "debug", "debug"),
    ];
    for (section, setting) in all_settings() {
        let key = format!("{}.{}", section.name, setting.name);
        let is_other = |name: &&str| *name != setting.default.trim_matches('"');
        let (given, shown) = match setting.about.allowed {
            Allowed::Range { most, .. } => (most.to_string(), most.to_string()),
            Allowed::Choice(names) => {
                let other = names.iter().copied().find(is_other).unwrap();
                (other.to_owned(), other.to_owned())
            }
            Allowed::Text(_) => {
                let (sample, given, shown) = texts.remove(0);
                assert_eq!(sample, key);
                (given.to_owned(), shown.to_owned())
            }
        };
        assert!(is_other(&given.as_str()), "{key}: the sample is the default");
        let variable = format!("KEYTURN_{}", key.replace('.', "__").to_uppercase());
        let settings = files().load(&[(&variable, &given)]).unwrap();
        assert_eq!(value_of(&settings, &key), (shown, variable));
    }
    assert!(texts.is_empty(), "{texts:?}");
    let described: Vec<_> = load(&[]).describe().into_iter().map(|(key, _, _)| key).collect();
    assert_eq!(
        described,
        all_settings().map(|(s, setting)| format!("{}.{}", s.name, setting.name)).collect::<Vec<_>>()
    );
}

#[test]
fn every_number_has_a_range() {
    for (section, setting) in all_settings() {
        let Allowed::Range { least, most, .. } = setting.about.allowed else {
            continue;
        };
        let variable = format!("KEYTURN_{}__{}", section.name, setting.name).to_uppercase();
        for inside in [least, most] {
            load_variable(&variable, &inside.to_string());
        }
        let mut outside: Vec<i128> = vec![i128::from(least) - 1, i128::from(most) + 1];
        outside.extend([i128::from(i64::MAX), i128::from(i64::MIN), i128::from(u32::MAX) + 1]);
        for number in outside {
            assert_eq!(
                refusal(&variable, &number.to_string()),
                format!(
                    "{variable}: {}.{} is {number}; allowed: {}",
                    section.name, setting.name, setting.about.allowed
                )
            );
        }
    }
}

#[test]
fn environment_wins_over_the_file_and_the_file_over_the_default() {
    let scene = Scene::new().with("config/keyturn.toml", "[token]\nttl_seconds = 61\ntyp = 'JWT'\n");
    let settings = scene.load(&[("KEYTURN_TOKEN__TTL_SECONDS", " 62 ")]).unwrap();
    assert_eq!(value_of(&settings, "token.ttl_seconds"), ("62".into(), "KEYTURN_TOKEN__TTL_SECONDS".into()));
    assert_eq!(value_of(&settings, "token.typ"), ("JWT".into(), "config/keyturn.toml:3".into()));
    assert_eq!(value_of(&settings, "token.algorithm"), ("ES256".into(), "default".into()));

    let wrong_type = Scene::new().with("config/keyturn.toml", "[token]\nttl_seconds = '61'\n");
    let settings = wrong_type.load(&[("KEYTURN_TOKEN__TTL_SECONDS", "62")]).unwrap();
    assert_eq!(settings.token.ttl_seconds, 62);
}

#[test]
fn requested_file_is_read_instead_of_the_default_file() {
    let scene = Scene::new()
        .with("config/keyturn.toml", "[token]\nttl_seconds = 61\n")
        .with("other.toml", "token.ttl_seconds = 62\n");
    let settings = scene.load_file(Some("other.toml"), &[]).unwrap();
    assert_eq!(value_of(&settings, "token.ttl_seconds"), ("62".into(), "other.toml:1".into()));
}

/// A canary at every place for a secret, in valid and invalid values, is never shown.
#[test]
fn no_secret_is_ever_shown() {
    const CANARY: &str = "hunter2canary";
    let key = "hunter2canaryhunter2canaryhunter2canaryhuns";
    let texts = [
        format!("postgres://me:{CANARY}@db/x"),
        format!("postgres://me:{CANARY}@db:port/x"),
        format!("postgres://me:{CANARY} x@db/x"),
        format!("redis://:{CANARY}@cache"),
        format!("redis+sentinel://:{CANARY}@a:1,b:2/main"),
        format!("https://me:{CANARY}@k.example"),
        CANARY.to_owned(),
        format!("\n{CANARY}\n"),
        key.to_owned(),
        format!("{key},{CANARY}"),
    ];
    assert_eq!(parse_master_keys(key).unwrap()[0][..3], [134, 233, 237]);
    let mut seen = BTreeSet::new();
    let mut look = |result: Result<Settings, ConfigError>| {
        let shown = match result {
            Ok(settings) => {
                seen.insert("accepted");
                format!("{settings:?} {:#?} {:?}", settings, settings.describe())
            }
            Err(error) => {
                seen.insert("refused");
                assert_eq!(error.to_string().lines().count(), 1);
                format!("{error} {error:?}")
            }
        };
        // As text, and as the bytes a derived Debug would print of a key ("hunt" is base64 for 134, 233, 237).
        assert!(!shown.contains("hunter2") && !shown.contains("134, 233, 237"), "{shown}");
    };
    for text in &texts {
        let quoted = toml::Value::String(text.clone()).to_string();
        for (section, name) in [("store", "url"), ("revocation", "url"), ("secrets", "master_key")] {
            let variable = format!("KEYTURN_{section}__{name}").to_uppercase();
            look(Scene::new().load(&[(&variable, text)]));
            for value in [&quoted, &format!("[{quoted}]"), &format!("{{ x = {quoted} }}")] {
                let file = format!("[{section}]\n{name} = {value}\n");
                look(Scene::new().with("config/keyturn.toml", &file).load(&[]));
            }
            for broken in [
                format!("[{section}]\n{name} = {text}"),
                format!("[{section}]\n{name} = \"{text}"),
                format!("[{section}]\n{name} = {quoted} {quoted}"),
                format!("[{section}]\n{name} = {quoted}\n{name} = {quoted}"),
                format!("{section} = {quoted}"),
                format!("[{section}]\n{name}s = {quoted}"),
            ] {
                look(Scene::new().with("config/keyturn.toml", &broken).load(&[]));
            }
            if text.contains("://") && name == "url" || text == key && name == "master_key" {
                look(Scene::new().load(&[(&format!("{variable}_FILE"), text)]));
            }
            if name == "url" {
                look(Scene::new().with("secret", text).load(&[(&format!("{variable}_FILE"), "secret")]));
            }
        }
    }
    look(Scene::new().load(&[("KEYTURN_SERVER__PUBLIC_URL", &texts[5])]));
    assert_eq!(seen.len(), 2);
}
