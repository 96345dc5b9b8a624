//! `ETag` and `If-Match`: conditional changes by version.

use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;

/// Returns the version in `If-Match` (RFC 9110 §13.1.1), or `None` for any version: without the header, or with `*`. An
/// unknown tag matches no version, and of several tags the newest version counts. Weak tags are accepted, because proxies
/// that compress make tags weak.
pub(super) fn if_match(request: &HttpRequest) -> Option<u64> {
    let texts: Vec<&str> =
        request.headers().get_all(IF_MATCH).map(|value| value.to_str().unwrap_or_default()).collect();
    let tags: Vec<&str> = texts.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    if tags.is_empty() || tags.contains(&"*") {
        return None;
    }
    let version = |tag: &&str| -> Option<u64> {
        let tag = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')?;
        tag.parse().ok().filter(|version: &u64| version.to_string() == tag)
    };
    Some(tags.iter().filter_map(version).max().unwrap_or(u64::MAX))
}

/// Returns the tag of a version.
pub(super) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}
