//! The cookies of a browser session, and the check that a request comes from one of Keyturn's pages.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderName, ORIGIN};
use url::Url;

use crate::domain::portal::WebUrl;
use crate::domain::slug::Slug;
use crate::members::SessionSecret;

/// The cookie over HTTPS. The prefix of its name binds it to this host, path `/` and HTTPS (RFC 6265bis §4.1.3.2).
const SECURE_NAME: &str = "__Host-keyturn";
/// The cookie over plain HTTP, for development.
const PLAIN_NAME: &str = "keyturn_session";

/// The cookie of a sign-in page, before the session exists.
const SECURE_PAGE_NAME: &str = "__Host-keyturn-page";
const PLAIN_PAGE_NAME: &str = "keyturn_page";

/// The cookie of a browser that has signed in before.
const SECURE_DEVICE_NAME: &str = "__Host-keyturn-device";
const PLAIN_DEVICE_NAME: &str = "keyturn_device";
/// How long a browser is recognized, in seconds.
const DEVICE_SECONDS: i64 = 180 * 86_400;

/// The cookies with the message about the last change, the form that could not be submitted, and the color scheme.
const SECURE_FLASH_NAME: &str = "__Host-keyturn-flash";
const PLAIN_FLASH_NAME: &str = "keyturn_flash";
const SECURE_FORM_NAME: &str = "__Host-keyturn-form";
const PLAIN_FORM_NAME: &str = "keyturn_form";
const SECURE_THEME_NAME: &str = "__Host-keyturn-theme";
const PLAIN_THEME_NAME: &str = "keyturn_theme";
/// The cookie with the sessions in other organizations.
const SECURE_OTHERS_NAME: &str = "__Host-keyturn-others";
const PLAIN_OTHERS_NAME: &str = "keyturn_others";

/// The cookie with the organization of the last sign-in, which the sign-in page fills in.
const SECURE_ORGANIZATION_NAME: &str = "__Host-keyturn-organization";
const PLAIN_ORGANIZATION_NAME: &str = "keyturn_organization";

/// The beginning of the names of the cookie of a customer's session in the portal. The rest is the kind and the organization, so
/// that neither another organization's session nor a cookie of the other kind stands in the way.
const SECURE_PORTAL_NAME: &str = "__Host-keyturn-portal";
const PLAIN_PORTAL_NAME: &str = "keyturn_portal";

/// A cookie that the console stores besides the session. None of them authenticates alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConsoleCookie {
    /// The message about the last change.
    Flash,
    /// A form that was submitted without a valid session.
    Form,
    /// The color scheme.
    Theme,
    /// The person's sessions in other organizations, encrypted and bound to the current session.
    Others,
    /// The slug of the organization of the last sign-in.
    Organization,
}

impl ConsoleCookie {
    fn name(self, public_url: &str) -> &'static str {
        match (self, is_secure(public_url)) {
            (Self::Flash, true) => SECURE_FLASH_NAME,
            (Self::Flash, false) => PLAIN_FLASH_NAME,
            (Self::Form, true) => SECURE_FORM_NAME,
            (Self::Form, false) => PLAIN_FORM_NAME,
            (Self::Theme, true) => SECURE_THEME_NAME,
            (Self::Theme, false) => PLAIN_THEME_NAME,
            (Self::Others, true) => SECURE_OTHERS_NAME,
            (Self::Others, false) => PLAIN_OTHERS_NAME,
            (Self::Organization, true) => SECURE_ORGANIZATION_NAME,
            (Self::Organization, false) => PLAIN_ORGANIZATION_NAME,
        }
    }

    /// Returns the cookie's value in a request.
    pub fn read(self, request: &HttpRequest, public_url: &str) -> Option<String> {
        read(request, self.name(public_url)).filter(|value| !value.is_empty())
    }

    /// Returns the cookie with a maximum age in seconds; 0 deletes it.
    pub fn build(self, value: String, public_url: &str, seconds: i64) -> Cookie<'static> {
        build(self.name(public_url), value, public_url, seconds)
    }
}

fn is_secure(public_url: &str) -> bool {
    public_url.starts_with("https://")
}

fn name(public_url: &str) -> &'static str {
    if is_secure(public_url) { SECURE_NAME } else { PLAIN_NAME }
}

fn device_name(public_url: &str) -> &'static str {
    if is_secure(public_url) { SECURE_DEVICE_NAME } else { PLAIN_DEVICE_NAME }
}

fn page_name(public_url: &str) -> &'static str {
    if is_secure(public_url) { SECURE_PAGE_NAME } else { PLAIN_PAGE_NAME }
}

/// Returns the session secret in the cookie, if it is well-formed. A cookie that is sent twice is ignored.
pub fn from_cookie(request: &HttpRequest, public_url: &str) -> Option<SessionSecret> {
    read(request, name(public_url)).and_then(|text| SessionSecret::parse(&text))
}

/// Returns the secret of the sign-in page. It authenticates nobody.
pub fn page_from_cookie(request: &HttpRequest, public_url: &str) -> Option<SessionSecret> {
    read(request, page_name(public_url)).and_then(|text| SessionSecret::parse(&text))
}

/// Returns the cookie of a browser that has signed in before.
pub fn device_from_cookie(request: &HttpRequest, public_url: &str) -> Option<String> {
    read(request, device_name(public_url))
}

/// Returns the value of a cookie.
///
/// Names are compared byte by byte. If they were decoded, or trimmed of more than the white space of RFC 6265 §5.2,
/// another site of the same domain could set a cookie that the server, but not the browser, takes for a `__Host-` cookie.
/// Other applications on the host can set cookies with arbitrary bytes.
fn read(request: &HttpRequest, name: &str) -> Option<String> {
    let name = name.as_bytes();
    let pairs = request.headers().get_all(COOKIE).flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    let mut found = pairs.filter_map(|pair| {
        let blanks = pair.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        pair.get(blanks..)?.strip_prefix(name)?.strip_prefix(b"=")
    });
    let first = found.next()?;
    let value = std::str::from_utf8(first).ok()?.trim_end_matches([' ', '\t']);
    if found.next().is_some() { None } else { Some(value.to_owned()) }
}

/// Returns the cookie of a session with a maximum age in seconds.
pub fn cookie(secret: &SessionSecret, public_url: &str, seconds: i64) -> Cookie<'static> {
    build(name(public_url), secret.reveal().to_owned(), public_url, seconds)
}

/// Returns the cookie that deletes the session cookie.
pub fn no_cookie(public_url: &str) -> Cookie<'static> {
    build(name(public_url), String::new(), public_url, 0)
}

/// Returns the cookie of a sign-in page.
pub fn page_cookie(secret: &SessionSecret, public_url: &str, seconds: i64) -> Cookie<'static> {
    build(page_name(public_url), secret.reveal().to_owned(), public_url, seconds)
}

/// Returns the cookie of a browser that has signed in.
pub fn device_cookie(text: String, public_url: &str) -> Cookie<'static> {
    build(device_name(public_url), text, public_url, DEVICE_SECONDS)
}

/// Returns the cookie that deletes the sign-in page's cookie.
pub fn no_page_cookie(public_url: &str) -> Cookie<'static> {
    build(page_name(public_url), String::new(), public_url, 0)
}

/// The cookies of an organization's portal: one for pages, one for pages in frames of other sites.
#[derive(Clone, Copy, Debug)]
pub struct PortalCookies<'a> {
    pub public_url: &'a str,
    pub organization: &'a Slug,
    /// Whether frames are allowed.
    pub is_framed: bool,
}

impl PortalCookies<'_> {
    /// Returns the secret of a customer's session. A cookie of the other kind, from before the settings changed, is read too.
    pub fn read(&self, request: &HttpRequest) -> Option<SessionSecret> {
        let secret = |is_framed| read(request, &self.name(is_framed)).and_then(|text| SessionSecret::parse(&text));
        secret(self.is_framed).or_else(|| secret(!self.is_framed))
    }

    /// Returns the `Set-Cookie` headers that store a session with a maximum age in seconds, and delete an earlier one.
    ///
    /// In a frame of another site, browsers send a cookie only if it is `SameSite=None` and `Secure`, and many only if it is also
    /// partitioned by the site of the page (CHIPS). Browsers treat plain HTTP on this computer as secure.
    pub fn store(&self, secret: &SessionSecret, seconds: i64) -> [String; 2] {
        let value = secret.reveal().to_owned();
        [self.header(self.is_framed, value, seconds), self.header(!self.is_framed, String::new(), 0)]
    }

    /// Returns the `Set-Cookie` headers that delete the session.
    pub fn delete(&self) -> [String; 2] {
        [true, false].map(|is_framed| self.header(is_framed, String::new(), 0))
    }

    fn name(&self, is_framed: bool) -> String {
        let begin = if is_secure(self.public_url) { SECURE_PORTAL_NAME } else { PLAIN_PORTAL_NAME };
        let kind = if is_framed { "_frame" } else { "" };
        format!("{begin}{kind}_{}", self.organization)
    }

    fn header(&self, is_framed: bool, value: String, seconds: i64) -> String {
        let mut cookie = build(self.name(is_framed), value, self.public_url, seconds);
        if !is_framed || WebUrl::parse(self.public_url).is_none() {
            return cookie.to_string();
        }
        cookie.set_same_site(SameSite::None);
        cookie.set_secure(true);
        format!("{cookie}; Partitioned")
    }
}

fn build(name: impl Into<Cow<'static, str>>, value: String, public_url: &str, seconds: i64) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .secure(is_secure(public_url))
        .same_site(SameSite::Lax)
        .max_age(Duration::seconds(seconds))
        .finish()
}

/// Whether a request comes from one of Keyturn's pages, by the browser's `Sec-Fetch-Site` or otherwise `Origin` header.
/// Other clients send neither and pass.
pub fn is_from_our_pages(request: &HttpRequest, public_url: &str) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    if let Some(site) = request.headers().get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let ours = Url::parse(public_url).map(|url| url.origin().ascii_serialization()).ok();
    request.headers().get_all(ORIGIN).all(|origin| Some(origin.as_bytes()) == ours.as_deref().map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portal_cookie_suits_frames_only_if_frames_are_allowed() {
        let secret = SessionSecret::parse(&"a".repeat(43)).unwrap();
        let acme = Slug::parse("acme").unwrap();
        let cookies = |public_url, is_framed| PortalCookies { public_url, organization: &acme, is_framed };
        let header = |url, is_framed| cookies(url, is_framed).store(&secret, 60)[0].clone();
        let (name, value) = ("__Host-keyturn-portal_acme", "a".repeat(43));
        let alone = header("https://id.example", false);
        assert!(alone.starts_with(&format!("{name}={value}; HttpOnly; SameSite=Lax; Secure; Path=/")), "{alone}");
        let framed = header("https://id.example", true);
        assert!(framed.contains("; SameSite=None; Secure") && framed.ends_with("; Partitioned"), "{framed}");
        assert!(header("http://127.0.0.1:8080", true).ends_with("; Partitioned"));
        for plain in [header("http://id.example", true), header("http://127.0.0.1:8080", false)] {
            assert!(plain.contains("SameSite=Lax") && !plain.contains("Secure"), "{plain}");
        }
        let other = &cookies("https://id.example", false).store(&secret, 60)[1];
        assert!(other.starts_with("__Host-keyturn-portal_frame_acme=;") && other.contains("Max-Age=0"), "{other}");
        assert!(cookies("https://id.example", true).delete().iter().all(|header| header.contains("Max-Age=0")));
    }
}
