//! `[cors]`: the pages that may request tokens.

use serde::Deserialize;
use url::Url;

use super::error::ConfigError;
use super::section::{NOT_SHOWN, Section, SectionOutline, Setting, quoted};

/// `[cors]`: the pages that may request tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Origins as browsers send them, at most 100.
    pub allowed_origins: Vec<String>,
}

impl Cors {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        if raw.allowed_origins.len() > MAX_ORIGINS {
            return Err(section.refuse_because(&ALLOWED_ORIGINS, &format!("has {} items", raw.allowed_origins.len())));
        }
        let check = |text: &String| {
            check_origin(text).map_err(|complaint| section.refuse_because(&ALLOWED_ORIGINS, &complaint))
        };
        raw.allowed_origins.iter().try_for_each(check)?;
        Ok(Self { allowed_origins: raw.allowed_origins })
    }
}

const MAX_ORIGINS: usize = 100;

const ALLOWED_ORIGINS: Setting = Setting::words(
    "allowed_origins",
    "a list of at most 100 origins without path and wildcard, as https://app.example.com or http://localhost:5173",
);

pub(super) const OUTLINE: SectionOutline = SectionOutline { name: "cors", settings: &[ALLOWED_ORIGINS] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    allowed_origins: Vec<String>,
}

/// Checks that an origin is spelled as browsers send it (RFC 6454 §6.2): origins are compared byte by byte. Wildcards and
/// `null`, which every sandboxed page sends, would allow pages that nobody has chosen.
fn check_origin(text: &str) -> Result<(), String> {
    if text.contains('@') {
        return Err(format!("has {NOT_SHOWN} in it, with an @"));
    }
    let given = quoted(text);
    if text.contains('*') {
        return Err(format!("has {given} in it, a wildcard"));
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else { return Err(format!("has {given} in it")) };
    let origin = url.origin().ascii_serialization();
    if origin != text {
        return Err(format!("has {given} in it, which has to be spelled {origin}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load_variable, refusal};

    const VARIABLE: &str = "KEYTURN_CORS__ALLOWED_ORIGINS";

    #[test]
    fn origins_are_listed_as_browsers_send_them() {
        let read = |text| load_variable(VARIABLE, text).cors.allowed_origins;
        assert!(read("").is_empty());
        assert_eq!(
            read("https://app.example.com, http://localhost:5173"),
            ["https://app.example.com", "http://localhost:5173"]
        );
        assert_eq!(read("[\"http://[::1]:8080\"]"), ["http://[::1]:8080"]);
    }

    #[test]
    fn other_spellings_are_refused() {
        for (given, complaint) in [
            ("*", "has \"*\" in it, a wildcard"),
            ("https://*.example.com", "has \"https://*.example.com\" in it, a wildcard"),
            ("null", "has \"null\" in it"),
            ("app.example.com", "has \"app.example.com\" in it"),
            ("ftp://app.example.com", "has \"ftp://app.example.com\" in it"),
            ("https://a.example/", "has \"https://a.example/\" in it, which has to be spelled https://a.example"),
            ("https://a.example/x", "has \"https://a.example/x\" in it, which has to be spelled https://a.example"),
            ("https://A.example:443", "has \"https://A.example:443\" in it, which has to be spelled https://a.example"),
            ("https://u:p@a.example", "has something else (not shown) in it, with an @"),
        ] {
            assert_eq!(
                refusal(VARIABLE, given),
                format!(
                    "{VARIABLE}: cors.allowed_origins {complaint}; allowed is a list of at most 100 origins without path \
                     and wildcard, as https://app.example.com or http://localhost:5173"
                )
            );
        }
        let many: Vec<String> = (0..101).map(|n| format!("https://a{n}.example")).collect();
        assert!(refusal(VARIABLE, &many.join(",")).contains("has 101 items; allowed is"));
    }
}
