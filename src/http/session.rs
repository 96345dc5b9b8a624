//! The session of a person in a browser: its cookie, and whether a request comes from our own pages.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderName, ORIGIN};
use url::Url;

use crate::members::SessionSecret;

/// The cookie over HTTPS: its name keeps it to this host, this path and HTTPS (RFC 6265bis §4.1.3.2).
const SECURE_NAME: &str = "__Host-keyturn";
/// The cookie over plain HTTP, as on a developer's machine.
const PLAIN_NAME: &str = "keyturn_session";

/// The cookie of a sign-in page, before there is a session.
const SECURE_PAGE_NAME: &str = "__Host-keyturn-page";
const PLAIN_PAGE_NAME: &str = "keyturn_page";

/// The cookie of a browser that has signed in before.
const SECURE_DEVICE_NAME: &str = "__Host-keyturn-device";
const PLAIN_DEVICE_NAME: &str = "keyturn_device";
/// How long a browser is recognized, in seconds.
const DEVICE_SECONDS: i64 = 180 * 86_400;

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

/// What the browser holds for its session, if it sent something that can be ours. Sent twice it is nobody's.
pub fn from_cookie(request: &HttpRequest, public_url: &str) -> Option<SessionSecret> {
    read(request, name(public_url)).and_then(|text| SessionSecret::parse(&text))
}

/// What the browser holds for the sign-in page that it was shown. It stands for nobody.
pub fn page_from_cookie(request: &HttpRequest, public_url: &str) -> Option<SessionSecret> {
    read(request, page_name(public_url)).and_then(|text| SessionSecret::parse(&text))
}

/// What the browser kept of earlier sign-ins.
pub fn device_from_cookie(request: &HttpRequest, public_url: &str) -> Option<String> {
    read(request, device_name(public_url))
}

/// The value of the cookie of that name.
///
/// Names are compared byte by byte: were they decoded or trimmed of more than the blanks of RFC 6265 §5.2, another
/// site of the domain could set a cookie that is no `__Host-` to the browser and is one here. Cookies of others
/// on the same host may look like anything.
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

/// The cookie of a session that lives so many seconds at most.
pub fn cookie(secret: &SessionSecret, public_url: &str, seconds: i64) -> Cookie<'static> {
    build(name(public_url), secret.reveal().to_owned(), public_url, seconds)
}

/// The cookie that takes a session's away.
pub fn no_cookie(public_url: &str) -> Cookie<'static> {
    build(name(public_url), String::new(), public_url, 0)
}

/// The cookie of a sign-in page.
pub fn page_cookie(secret: &SessionSecret, public_url: &str, seconds: i64) -> Cookie<'static> {
    build(page_name(public_url), secret.reveal().to_owned(), public_url, seconds)
}

/// The cookie of a browser that has signed in.
pub fn device_cookie(text: String, public_url: &str) -> Cookie<'static> {
    build(device_name(public_url), text, public_url, DEVICE_SECONDS)
}

/// The cookie that takes a sign-in page's away.
pub fn no_page_cookie(public_url: &str) -> Cookie<'static> {
    build(page_name(public_url), String::new(), public_url, 0)
}

fn build(name: &'static str, value: String, public_url: &str, seconds: i64) -> Cookie<'static> {
    Cookie::build(name, value)
        .path("/")
        .http_only(true)
        .secure(is_secure(public_url))
        .same_site(SameSite::Lax)
        .max_age(Duration::seconds(seconds))
        .finish()
}

/// Whether a request that changes something comes from our own pages, as far as the browser says: it says so in
/// `Sec-Fetch-Site`, or else in `Origin`. What is no browser says neither.
pub fn is_from_our_pages(request: &HttpRequest, public_url: &str) -> bool {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    if let Some(site) = request.headers().get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let ours = Url::parse(public_url).map(|url| url.origin().ascii_serialization()).ok();
    request.headers().get_all(ORIGIN).all(|origin| Some(origin.as_bytes()) == ours.as_deref().map(str::as_bytes))
}
