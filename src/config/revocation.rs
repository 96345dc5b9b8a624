//! How nodes notify each other of changes.

use std::fmt::{self, Display};

use super::error::ConfigError;
use super::field::Field;
use super::secret::{Secret, complaint, direct_or_in_file, is_url_text};

/// How nodes notify each other of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationUrl {
    /// Through the database.
    Embedded,
    /// Through Redis. The URL may contain a password.
    Redis(Secret),
}

/// For people: a Redis URL reads `(set)`.
impl Display for RevocationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => EMBEDDED,
            Self::Redis(_) => "(set)",
        })
    }
}

/// Reads `revocation.url`, or the file that `revocation.url_file` names.
pub(super) fn revocation_url(field: &Field<'_>) -> Result<RevocationUrl, ConfigError> {
    let given = direct_or_in_file(field)?;
    parse(&given.text).ok_or_else(|| field.refuse_at(&given.place, complaint(&given.text)))
}

/// Reads `revocation.prefix`.
pub(super) fn prefix(field: &Field<'_>) -> Result<String, ConfigError> {
    let text = field.text()?;
    if is_prefix(text) { Ok(text.to_owned()) } else { Err(field.refuse()) }
}

const EMBEDDED: &str = "embedded";

const SCHEMES: [&str; 6] =
    ["redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://", "redis+cluster://", "rediss+cluster://"];

fn is_prefix(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Only the scheme is checked: a list of hosts, which Sentinel and Cluster use, is not a URL to a URL parser.
fn parse(text: &str) -> Option<RevocationUrl> {
    if text == EMBEDDED {
        return Some(RevocationUrl::Embedded);
    }
    let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme))?;
    (!rest.is_empty() && is_url_text(rest)).then(|| RevocationUrl::Redis(Secret::new(text)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scene, refusal};
    use super::{RevocationUrl, is_prefix, parse};

    #[test]
    fn redis_urls_are_accepted() {
        assert_eq!(parse("embedded"), Some(RevocationUrl::Embedded));
        for url in [
            "redis://cache",
            "rediss://:hunter2@cache:6380/1",
            "redis+sentinel://:hunter2@a:26379,b:26379/main/0",
            "rediss+sentinel://a:26379,b:26379/main",
            "redis+cluster://a:6379,b:6379",
            "rediss+cluster://a:6379",
        ] {
            let Some(RevocationUrl::Redis(secret)) = parse(url) else {
                panic!("{url}");
            };
            assert_eq!(secret.expose(), url);
        }
    }

    #[test]
    fn other_urls_are_rejected_without_showing_them() {
        for (given, complaint) in [
            ("", "is empty"),
            ("redis://", "is invalid (not shown)"),
            ("valkey://:hunter2@cache", "is invalid (not shown)"),
            ("redis://:hunter 2@cache", "is invalid (not shown)"),
            ("Embedded", "is invalid (not shown)"),
        ] {
            assert_eq!(
                refusal("KEYTURN_REVOCATION__URL", given),
                format!(
                    "KEYTURN_REVOCATION__URL: revocation.url {complaint}; allowed: embedded, \
                     redis://HOST[:PORT], rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// \
                     or rediss+cluster://"
                )
            );
        }
    }

    #[test]
    fn a_prefix_is_a_plain_name() {
        assert!(is_prefix("keyturn") && is_prefix("prod-eu_1.keys"));
        for given in ["", "a:b", "a b", "clé", &"x".repeat(41)] {
            assert!(!is_prefix(given), "{given}");
        }
        assert_eq!(
            refusal("KEYTURN_REVOCATION__PREFIX", "a:b"),
            "KEYTURN_REVOCATION__PREFIX: revocation.prefix is \"a:b\"; allowed: 1 to 40 characters of A-Z, a-z, 0-9, '-', \
             '_' and '.'"
        );
    }

    #[test]
    fn a_file_may_hold_the_url() {
        let scene = Scene::new().with("redis", "rediss://:hunter2@cache\n");
        let settings = scene.load(&[("KEYTURN_REVOCATION__URL_FILE", "redis")]).unwrap();
        assert_eq!(settings.revocation.url, parse("rediss://:hunter2@cache").unwrap());
        let both = [("KEYTURN_REVOCATION__URL_FILE", "redis"), ("KEYTURN_REVOCATION__URL", "embedded")];
        assert_eq!(
            scene.refusal(&both),
            "KEYTURN_REVOCATION__URL_FILE: revocation.url_file cannot be combined with revocation.url \
             (KEYTURN_REVOCATION__URL); remove one of them, or set it to an empty string"
        );
    }
}
