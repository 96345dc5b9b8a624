//! `[revocation]`: how nodes hear of revocations.

use std::fmt::{self, Display};

use serde::Deserialize;

use super::error::ConfigError;
use super::secret::{Secret, UrlFile, complaint, direct_or_in_file, is_url_text};
use super::section::{Section, SectionOutline, Setting};

/// `[revocation]`: how nodes hear of revocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// From `revocation.url`, or from the file that `revocation.url_file` names.
    pub url: RevocationUrl,
    /// The file that the URL comes from, if it does.
    pub url_file: Option<UrlFile>,
    /// What every name in Redis begins with.
    pub prefix: String,
}

/// Where the revocation list lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationUrl {
    /// In the process itself: one node.
    Embedded,
    /// In Redis, for many nodes; the URL, with its scheme, may carry a password.
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

impl Revocation {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        let given = direct_or_in_file(section, (&URL, raw.url), (&URL_FILE, raw.url_file))?;
        let url = parse(&given.text).ok_or_else(|| section.refuse_at(&given.place, &URL, complaint(&given.text)))?;
        if !is_prefix(&raw.prefix) {
            return Err(section.refuse(&PREFIX));
        }
        Ok(Self { url, url_file: given.file, prefix: raw.prefix })
    }
}

const EMBEDDED: &str = "embedded";

const SCHEMES: [&str; 6] =
    ["redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://", "redis+cluster://", "rediss+cluster://"];

const URL: Setting = Setting::secret(
    "url",
    "embedded, redis://HOST[:PORT], rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or \
     rediss+cluster://",
);
const URL_FILE: Setting = Setting::words("url_file", "the path of a readable text file");
const PREFIX: Setting = Setting::words("prefix", "1 to 40 of A-Z, a-z, 0-9, '-', '_' and '.'");

pub(super) const OUTLINE: SectionOutline = SectionOutline { name: "revocation", settings: &[URL, URL_FILE, PREFIX] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    url_file: String,
    prefix: String,
}

fn is_prefix(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Only the scheme is looked at: a list of hosts, as Sentinel and Cluster take it, is no URL to a URL parser.
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
    fn takes_the_forms_of_redis() {
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
    fn refuses_the_rest_without_showing_it() {
        for (given, complaint) in [
            ("", "is empty"),
            ("redis://", "is something else (not shown)"),
            ("valkey://:hunter2@cache", "is something else (not shown)"),
            ("redis://:hunter 2@cache", "is something else (not shown)"),
            ("Embedded", "is something else (not shown)"),
        ] {
            assert_eq!(
                refusal("KEYTURN_REVOCATION__URL", given),
                format!(
                    "KEYTURN_REVOCATION__URL: revocation.url {complaint}; allowed is embedded, \
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
            "KEYTURN_REVOCATION__PREFIX: revocation.prefix is \"a:b\"; allowed is 1 to 40 of A-Z, a-z, 0-9, '-', \
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
            "KEYTURN_REVOCATION__URL_FILE: revocation.url_file is set, and so is revocation.url \
             (KEYTURN_REVOCATION__URL); allowed is one of the two (an empty string unsets)"
        );
    }
}
