//! The URL of the database.

use std::fmt::{self, Display};
use std::path::PathBuf;

use url::Url;

use super::error::ConfigError;
use super::field::Field;
use super::secret::{Secret, complaint, direct_or_in_file, is_url_text};

/// Which database, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file; a relative path starts at the working directory.
    Sqlite(PathBuf),
    /// A `postgres://` or `postgresql://` URL, which may contain a password.
    Postgres(Secret),
}

impl StoreUrl {
    /// Parses a URL. The error follows the name of the setting or option, and never shows the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path {
                "" => Err("is sqlite:// without a path"),
                ":memory:" => Err("is an in-memory database, which would lose all keys at shutdown"),
                _ if path.ends_with('/') => Err("is sqlite:// with a folder instead of a file"),
                _ if path.contains(['?', '\0']) => Err("is sqlite:// with parameters"),
                _ => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        if rest.is_some_and(|rest| !rest.is_empty()) {
            return match Url::parse(text) {
                Ok(_) if is_url_text(text) => Ok(Self::Postgres(Secret::new(text))),
                _ => Err("is postgres:// but not a URL (not shown; is the password percent-encoded?)"),
            };
        }
        Err(complaint(text))
    }
}

/// For people: a PostgreSQL URL is shown as `(set)`.
impl Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(_) => f.write_str("(set)"),
        }
    }
}

/// Reads `store.url`, or the file that `store.url_file` names.
pub(super) fn store_url(field: &Field<'_>) -> Result<StoreUrl, ConfigError> {
    let given = direct_or_in_file(field)?;
    StoreUrl::parse(&given.text).map_err(|complaint| field.refuse_at(&given.place, complaint))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::{Scene, load_variable, refusal};
    use super::{PathBuf, StoreUrl};

    #[test]
    fn sqlite_paths_stay_as_written() {
        for (url, path) in
            [("sqlite://data/keyturn.db", "data/keyturn.db"), ("sqlite:///var/lib/keyturn.db", "/var/lib/keyturn.db")]
        {
            assert_eq!(StoreUrl::parse(url), Ok(StoreUrl::Sqlite(PathBuf::from(path))));
        }
    }

    #[test]
    fn postgres_urls_are_kept_but_not_shown() {
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
    fn other_urls_are_rejected_without_showing_them() {
        let allowed = "; allowed: sqlite://PATH or postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE";
        let no_url = "is postgres:// but not a URL (not shown; is the password percent-encoded?)";
        for (given, complaint) in [
            ("", "is empty"),
            ("mysql://root:hunter2@db/x", "is invalid (not shown)"),
            ("sqlite:keyturn.db", "is invalid (not shown)"),
            ("postgres://", "is invalid (not shown)"),
            ("sqlite://", "is sqlite:// without a path"),
            ("sqlite://:memory:", "is an in-memory database, which would lose all keys at shutdown"),
            ("sqlite://data/", "is sqlite:// with a folder instead of a file"),
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
    fn file_can_contain_the_url() {
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
            "secret/db: store.url is invalid (not shown); allowed: sqlite://PATH or \
             postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE"
        );
    }

    #[test]
    fn missing_file_is_named() {
        let scene = Scene::new();
        let line = scene.refusal(&[("KEYTURN_STORE__URL_FILE", "secret/db")]);
        assert_eq!(
            line.replace(&scene.path("").display().to_string(), "FOLDER/"),
            "KEYTURN_STORE__URL_FILE: store.url_file names a file that cannot be used: FOLDER/secret/db: no such file; \
             allowed: the path of a readable text file"
        );
        assert_eq!(
            refusal("KEYTURN_STORE__URL_FILE", "postgres://me:hunter2@db/x"),
            "KEYTURN_STORE__URL_FILE: store.url_file is a URL (not shown); allowed: the path of a readable \
             text file"
        );
    }

    #[test]
    fn file_that_others_can_write_is_rejected() {
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
    fn url_and_file_cannot_be_combined() {
        let scene = Scene::new().with("config/keyturn.toml", "[store]\nurl = 'sqlite://hunter2.db'\n");
        assert_eq!(
            scene.refusal(&[("KEYTURN_STORE__URL_FILE", "secret/db")]),
            "KEYTURN_STORE__URL_FILE: store.url_file cannot be combined with store.url (config/keyturn.toml:2); \
             remove one of them, or set it to an empty string"
        );
        let scene = scene.with("secret/db", "sqlite://other.db");
        let settings = scene.load(&[("KEYTURN_STORE__URL_FILE", "secret/db"), ("KEYTURN_STORE__URL", "")]).unwrap();
        assert_eq!(settings.store.url, StoreUrl::Sqlite(PathBuf::from("other.db")));
    }
}
