//! An organization's settings for the portal: its brand, and the sites that the portal belongs to.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::{Host, Url};

use crate::domain::organization::name_error;
use crate::domain::portal::Color;
use crate::domain::text::text_fault;
use crate::domain::violation::{Violation, ViolationKind};

/// Maximum number of origins in a list.
pub const MAX_ORIGINS: usize = 20;
/// Longest text, in characters.
pub const MAX_PORTAL_TEXT: usize = 1000;
/// Longest URL, in characters.
pub const MAX_PORTAL_URL: usize = 2048;

/// The settings of an organization's portal. Without any, the portal has the organization's name, returns to no site and
/// appears in no frame.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PortalSettings {
    /// The name that customers see; the organization's if absent.
    pub name: Option<String>,
    /// The color of buttons.
    pub color: Option<Color>,
    pub logo_url: Option<WebUrl>,
    /// An introduction above the list of keys. Can be empty.
    pub text: String,
    /// Where the portal links back to, unless the session says otherwise.
    pub return_url: Option<WebUrl>,
    /// The sites to which sessions can link back, besides that of `return_url`.
    pub return_origins: Vec<Origin>,
    /// The sites that can show the portal in a frame.
    pub frame_origins: Vec<Origin>,
}

impl PortalSettings {
    /// Whether sessions can link back to this URL.
    pub fn allows_return(&self, url: &WebUrl) -> bool {
        let origin = url.origin();
        self.return_origins.contains(&origin) || self.return_url.as_ref().is_some_and(|own| own.origin() == origin)
    }

    /// Returns where a session links back to: its own URL if that is still allowed, otherwise the default.
    pub fn return_of<'a>(&'a self, session: Option<&'a WebUrl>) -> Option<&'a WebUrl> {
        session.filter(|url| self.allows_return(url)).or(self.return_url.as_ref())
    }

    /// Whether the portal can appear in frames.
    pub const fn allows_frames(&self) -> bool {
        !self.frame_origins.is_empty()
    }
}

/// The settings as they are typed. Empty texts are absent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RawPortalSettings {
    pub name: String,
    pub color: String,
    pub logo_url: String,
    pub text: String,
    pub return_url: String,
    pub return_origins: Vec<String>,
    pub frame_origins: Vec<String>,
}

impl RawPortalSettings {
    /// Parses the settings, or returns everything that is wrong with them.
    pub fn parse(self) -> Result<PortalSettings, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut wrong = |field: &str, kind: ViolationKind| violations.push(Violation::new(field, kind));
        if let Some(fault) = name_error(&self.name).filter(|_| !self.name.is_empty()) {
            wrong("name", fault.into());
        }
        let color = Color::parse(&self.color);
        if color.is_none() && !self.color.is_empty() {
            wrong("color", "must be # and six hexadecimal digits, for example #0a66c2".into());
        }
        if self.text.chars().count() > MAX_PORTAL_TEXT {
            wrong("text", ViolationKind::TooLong(MAX_PORTAL_TEXT));
        }
        if let Some(fault) = text_fault(&self.text) {
            wrong("text", fault.into());
        }
        let mut url = |field: &str, text: &str| {
            let url = WebUrl::parse(text);
            if url.is_none() && !text.is_empty() {
                wrong(field, WebUrl::RULE.into());
            }
            url
        };
        let (logo_url, return_url) = (url("logo_url", &self.logo_url), url("return_url", &self.return_url));
        let return_origins = origins("return_origins", &self.return_origins, &mut violations);
        let frame_origins = origins("frame_origins", &self.frame_origins, &mut violations);
        if !violations.is_empty() {
            return Err(violations);
        }
        let name = Some(self.name).filter(|name| !name.is_empty());
        Ok(PortalSettings { name, color, logo_url, text: self.text, return_url, return_origins, frame_origins })
    }
}

fn origins(field: &str, texts: &[String], violations: &mut Vec<Violation>) -> Vec<Origin> {
    if texts.len() > MAX_ORIGINS {
        violations.push(Violation::new(field, ViolationKind::EntryCount { least: 0, most: MAX_ORIGINS }));
        return Vec::new();
    }
    let mut origins = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Origin::parse(text) {
            Ok(origin) if !origins.contains(&origin) => origins.push(origin),
            Ok(_) => {}
            Err(detail) => violations.push(Violation::new(format!("{field}[{index}]"), detail)),
        }
    }
    origins
}

/// A URL for browsers: `https`, or `http` on this computer, without credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebUrl(Url);

impl WebUrl {
    /// The rule, for an error message.
    pub const RULE: &str =
        "must be an https URL of at most 2048 characters without a user name; http is allowed for localhost";

    /// Parses a URL.
    ///
    /// ```
    /// use keyturn::domain::portal::WebUrl;
    /// assert!(WebUrl::parse("https://app.example/keys?tab=1").is_some());
    /// assert!(WebUrl::parse("http://localhost:3000").is_some());
    /// for wrong in ["http://app.example", "javascript:alert(1)", "//app.example", "https://a@app.example", "/keys", ""] {
    ///     assert_eq!(WebUrl::parse(wrong), None);
    /// }
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        // Parsers of browsers and servers differ in what they do with these.
        let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
        if text.len() > MAX_PORTAL_URL || !text.chars().all(is_plain) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        // A host with other characters could be read as more than a host in a header.
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        let is_local = match url.host()? {
            Host::Domain(name) if !is_name(name) => return None,
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => IpAddr::from(address).is_loopback(),
            Host::Ipv6(address) => IpAddr::from(address).is_loopback(),
        };
        let is_allowed = url.scheme() == "https" || (url.scheme() == "http" && is_local);
        // What is stored must be readable again: parsing can make a URL longer.
        let fits = url.as_str().len() <= MAX_PORTAL_URL;
        (is_allowed && fits && url.username().is_empty() && url.password().is_none()).then_some(Self(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the site of the URL.
    pub fn origin(&self) -> Origin {
        Origin(self.0.origin().ascii_serialization())
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An origin (RFC 6454) as browsers write it: `https://app.example`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin(String);

impl Origin {
    /// Parses an origin, or returns what is wrong with it.
    ///
    /// ```
    /// use keyturn::domain::portal::Origin;
    /// assert!(Origin::parse("https://app.example").is_ok() && Origin::parse("http://127.0.0.1:3000").is_ok());
    /// assert!(Origin::parse("https://app.example/").unwrap_err().ends_with("did you mean https://app.example?"));
    /// for wrong in ["https://*.example", "*", "http://app.example", "https://a.example; script-src *", "null", ""] {
    ///     assert!(Origin::parse(wrong).is_err());
    /// }
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        const RULE: &str = "must be an origin such as https://app.example; http is allowed for localhost";
        match WebUrl::parse(text).map(|url| url.origin()) {
            // Browsers do not understand IPv6 addresses in the list of a header.
            Some(_) if text.contains('[') => Err(format!("{RULE}; use a host name instead of an IPv6 address")),
            Some(origin) if origin.0 == text => Ok(origin),
            Some(origin) => Err(format!("{RULE}; did you mean {origin}?")),
            _ => Err(RULE.into()),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! as_text {
    ($($Name:ident: $parse:expr;)*) => {$(
        impl Serialize for $Name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $Name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                ($parse)(&text).ok_or_else(|| de::Error::custom(concat!("not valid: ", stringify!($Name))))
            }
        }
    )*};
}

as_text! {
    WebUrl: WebUrl::parse;
    Origin: |text: &str| Origin::parse(text).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawPortalSettings {
        RawPortalSettings {
            name: "Acme".into(),
            color: "#0a66c2".into(),
            logo_url: "https://cdn.example/logo.png".into(),
            text: "Manage your keys.".into(),
            return_url: "https://app.example/account".into(),
            return_origins: vec!["https://other.example".into(), "https://other.example".into()],
            frame_origins: vec!["https://app.example:8443".into()],
        }
    }

    #[test]
    fn settings_are_parsed_and_stored() {
        let settings = raw().parse().unwrap();
        assert_eq!(settings.return_origins.len(), 1, "a repeated origin counts once");
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<PortalSettings>(&stored).unwrap(), settings);
        assert_eq!(RawPortalSettings::default().parse(), Ok(PortalSettings::default()));
    }

    #[test]
    fn accepted_urls_can_be_read_again() {
        let quotes = format!("https://a.example/?{}", "\"".repeat(1_500));
        let without_path = format!("https://a.example?{}", "x".repeat(MAX_PORTAL_URL - 18));
        assert_eq!(without_path.len(), MAX_PORTAL_URL);
        for grows in [quotes, without_path] {
            assert_eq!(WebUrl::parse(&grows), None, "the parsed URL is longer");
        }
        let longest = format!("https://a.example/?{}", "x".repeat(MAX_PORTAL_URL - 19));
        let url = WebUrl::parse(&longest).unwrap();
        assert_eq!(WebUrl::parse(url.as_str()), Some(url));
        for host in ["a;sandbox", "a,b", "*", "a'b", "$(x)", "a`b"] {
            assert_eq!(WebUrl::parse(&format!("https://{host}/x")), None, "{host}");
            assert!(Origin::parse(&format!("https://{host}")).is_err(), "{host}");
        }
        assert!(Origin::parse("http://[::1]:3000").is_err());
    }

    #[test]
    fn every_wrong_field_is_reported() {
        let wrong = RawPortalSettings {
            name: " Acme".into(),
            color: "blue".into(),
            logo_url: "http://cdn.example/logo.png".into(),
            text: "\u{202e}".into(),
            return_url: "javascript:alert(1)".into(),
            return_origins: vec!["https://app.example".into(), "https://app.example/path".into()],
            frame_origins: vec!["*".into()],
        };
        let fields: Vec<String> =
            wrong.parse().unwrap_err().into_iter().map(|violation| violation.field.to_string()).collect();
        assert_eq!(
            fields,
            ["name", "color", "text", "logo_url", "return_url", "return_origins[1]", "frame_origins[0]"]
        );
    }

    #[test]
    fn sessions_return_to_listed_origins_only() {
        let settings = raw().parse().unwrap();
        let url = |text| WebUrl::parse(text).unwrap();
        for allowed in ["https://app.example/x?y=1", "https://other.example"] {
            assert!(settings.allows_return(&url(allowed)), "{allowed}");
        }
        for denied in [
            "https://app.example:8443",
            "https://app.example.evil.example",
            "https://evil.example/https://app.example",
            "https://sub.app.example",
            "http://localhost",
        ] {
            assert!(!settings.allows_return(&url(denied)), "{denied}");
            assert_eq!(settings.return_of(Some(&url(denied))), settings.return_url.as_ref());
        }
        assert!(!PortalSettings::default().allows_return(&url("https://app.example")));
    }
}
