//! `[store]`: the database.

use std::fmt::{self, Display};
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::error::ConfigError;
use super::secret::{Secret, UrlFile, complaint, direct_or_in_file, is_url_text};
use super::section::{Section, SectionOutline, Setting};

/// `[store]`: the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// From `store.url`, or from the file that `store.url_file` names.
    pub url: StoreUrl,
    /// The file that the URL comes from, if it does.
    pub url_file: Option<UrlFile>,
    /// Connections to PostgreSQL at most, 2 to 1000.
    pub connections: u32,
}

/// Which database, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file; a relative path starts at the working directory.
    Sqlite(PathBuf),
    /// A `postgres://` or `postgresql://` URL, which may carry a password.
    Postgres(Secret),
}

impl StoreUrl {
    /// Reads a URL; the error completes a sentence that begins with the setting's name, and never shows the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        parse(text)
    }
}

/// For people: a PostgreSQL URL reads `(set)`.
impl Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(_) => f.write_str("(set)"),
        }
    }
}

impl Store {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        let given = direct_or_in_file(section, (&URL, raw.url), (&URL_FILE, raw.url_file))?;
        let url = parse(&given.text).map_err(|complaint| section.refuse_at(&given.place, &URL, complaint))?;
        Ok(Self { url, url_file: given.file, connections: section.within(&CONNECTIONS, raw.connections)? })
    }
}

const URL: Setting = Setting::secret("url", "sqlite://PATH or postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE");
const URL_FILE: Setting = Setting::words("url_file", "the path of a readable text file");
const CONNECTIONS: Setting = Setting::numbers("connections", 2, 1000, "connections");

pub(super) const OUTLINE: SectionOutline = SectionOutline { name: "store", settings: &[URL, URL_FILE, CONNECTIONS] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    url_file: String,
    connections: u32,
}

fn parse(text: &str) -> Result<StoreUrl, &'static str> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        return match path {
            "" => Err("is sqlite:// without a path"),
            ":memory:" => Err("is a database in memory, which would lose every key at stop"),
            _ if path.ends_with('/') => Err("is sqlite:// with a folder for a path"),
            _ if path.contains(['?', '\0']) => Err("is sqlite:// with parameters"),
            _ => Ok(StoreUrl::Sqlite(PathBuf::from(path))),
        };
    }
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    if rest.is_some_and(|rest| !rest.is_empty()) {
        return match Url::parse(text) {
            Ok(_) if is_url_text(text) => Ok(StoreUrl::Postgres(Secret::new(text))),
            _ => Err("is postgres:// but not a URL (not shown; is the password percent-encoded?)"),
        };
    }
    Err(complaint(text))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::{Scene, load_variable, refusal};
    use super::{PathBuf, StoreUrl, parse};

    #[test]
    fn sqlite_paths_stay_as_written() {
        for (url, path) in
            [("sqlite://data/keyturn.db", "data/keyturn.db"), ("sqlite:///var/lib/keyturn.db", "/var/lib/keyturn.db")]
        {
            assert_eq!(parse(url), Ok(StoreUrl::Sqlite(PathBuf::from(path))));
        }
    }

    #[test]
    fn postgres_urls_are_kept_and_not_shown() {
        for url in ["postgres://me:hunter2@db:5432/keyturn", "postgresql:///keyturn?host=/run/postgresql"] {
            let settings = load_variable("KEYTURN_STORE__URL", url);
            let StoreUrl::Postgres(secret) = &settings.store.url else {
                panic!("{:?}", settings.store);
            };
            assert_eq!(secret.expose(), url);
            assert_eq!(
                format!("{:?}", settings.store),
                "Store { url: Postgres(Secret(…)), url_file: None, connections: 10 }"
            );
            assert!(settings.describe().contains(&("store.url".into(), "(set)".into(), "KEYTURN_STORE__URL".into())));
        }
    }

    #[test]
    fn other_urls_are_refused_without_showing_them() {
        let allowed = "; allowed is sqlite://PATH or postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE";
        let no_url = "is postgres:// but not a URL (not shown; is the password percent-encoded?)";
        for (given, complaint) in [
            ("", "is empty"),
            ("mysql://root:hunter2@db/x", "is something else (not shown)"),
            ("sqlite:keyturn.db", "is something else (not shown)"),
            ("postgres://", "is something else (not shown)"),
            ("sqlite://", "is sqlite:// without a path"),
            ("sqlite://:memory:", "is a database in memory, which would lose every key at stop"),
            ("sqlite://data/", "is sqlite:// with a folder for a path"),
            ("sqlite://data/x.db?mode=rwc", "is sqlite:// with parameters"),
            ("postgres://me:hunter2/@db:x/y", no_url),
            ("postgres://me:hunter 2@db/y", no_url),
        ] {
            assert_eq!(
                refusal("KEYTURN_STORE__URL", given),
                format!("KEYTURN_STORE__URL: store.url {complaint}{allowed}")
            );
        }
    }

    #[test]
    fn a_file_may_hold_the_url() {
        let scene = Scene::new().with("secret/db", "\n postgres://me:hunter2@db/keyturn \n");
        let settings = scene.load(&[("KEYTURN_STORE__URL_FILE", "secret/db")]).unwrap();
        let StoreUrl::Postgres(secret) = &settings.store.url else {
            panic!("{:?}", settings.store);
        };
        assert_eq!(secret.expose(), "postgres://me:hunter2@db/keyturn");
        let rows = settings.describe();
        assert!(rows.contains(&("store.url".into(), "(set)".into(), "secret/db".into())));

        let file = settings.store.url_file.unwrap();
        fs::write(scene.path("secret/db"), "postgres://me:other@db/keyturn\n").unwrap();
        assert_eq!(*file.read().unwrap(), "postgres://me:other@db/keyturn");

        let scene = Scene::new().with("secret/db", "hunter2");
        assert_eq!(
            scene.refusal(&[("KEYTURN_STORE__URL_FILE", "secret/db")]),
            "secret/db: store.url is something else (not shown); allowed is sqlite://PATH or \
             postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE"
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let scene = Scene::new();
        let line = scene.refusal(&[("KEYTURN_STORE__URL_FILE", "secret/db")]);
        assert_eq!(
            line.replace(&scene.path("").display().to_string(), "FOLDER/"),
            "KEYTURN_STORE__URL_FILE: store.url_file names a file that cannot be used: FOLDER/secret/db: there is no such \
             file; allowed is the path of a readable text file"
        );
        assert_eq!(
            refusal("KEYTURN_STORE__URL_FILE", "postgres://me:hunter2@db/x"),
            "KEYTURN_STORE__URL_FILE: store.url_file is a URL (not shown); allowed is the path of a readable \
             text file"
        );
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let scene = Scene::new().with("secret/db", "postgres://me:hunter2@db/keyturn");
        let path = scene.path("secret/db");
        for (mode, is_accepted) in [(0o400, true), (0o440, true), (0o444, true), (0o660, true), (0o666, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match scene.load(&[("KEYTURN_STORE__URL_FILE", "secret/db")]) {
                Ok(_) => assert!(is_accepted, "{mode:o}"),
                Err(error) => {
                    assert!(!is_accepted && error.to_string().contains("can be written by others"), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_url_and_a_file_are_one_too_many() {
        let scene = Scene::new().with("config/keyturn.toml", "[store]\nurl = 'sqlite://hunter2.db'\n");
        assert_eq!(
            scene.refusal(&[("KEYTURN_STORE__URL_FILE", "secret/db")]),
            "KEYTURN_STORE__URL_FILE: store.url_file is set, and so is store.url (config/keyturn.toml:2); \
             allowed is one of the two (an empty string unsets)"
        );
        let scene = scene.with("secret/db", "sqlite://other.db");
        let settings = scene.load(&[("KEYTURN_STORE__URL_FILE", "secret/db"), ("KEYTURN_STORE__URL", "")]).unwrap();
        assert_eq!(settings.store.url, StoreUrl::Sqlite(PathBuf::from("other.db")));
    }
}
