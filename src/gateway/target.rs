//! The path of a request target, if every server would read the same one.
//!
//! Gateways, Keyturn and APIs read a target with different libraries. Some decode escapes before they resolve dot
//! segments, some cut a segment at `;`, some end the target at `#`, and some take `\` for `/`. A target that two of
//! them could read differently is denied, so that nobody is allowed one path and served another.

use crate::domain::scope::RESERVED;

/// Why a target is denied. Each text completes "the forwarded URI …".
pub(super) type Ambiguity = &'static str;

/// Returns the path, without the leading slash and at most one trailing slash.
pub(super) fn path(target: &str) -> Result<&str, Ambiguity> {
    // A target holds no fragment (RFC 9112 §3.2), and only visible ASCII characters.
    if let Some(byte) = target.bytes().find(|byte| matches!(byte, b'#' | b'\\') || !byte.is_ascii_graphic()) {
        return Err(match byte {
            b'#' => "contains #",
            b'\\' => "contains a backslash",
            _ => "contains a character that is not visible ASCII",
        });
    }
    let path = match target.split_once('?') {
        Some((path, _)) => path,
        None => target,
    };
    let path = origin_form(path)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(path);
    }
    for (index, segment) in path.split('/').enumerate() {
        // An escape is read before or after the path is split, once or twice.
        if segment.contains('%') {
            return Err("contains a percent-encoded character in its path");
        }
        let mut parts = segment.split(';');
        let name = parts.next().unwrap_or_default();
        if name.is_empty() {
            return Err("has an empty path segment");
        }
        // `.`, `..`, `...`, and names that some file systems read without their last dot.
        if name.ends_with('.') || parts.any(|parameter| parameter.ends_with('.') || parameter.contains("..")) {
            return Err("has a path segment that ends in a dot");
        }
        if index == 0 && name.eq_ignore_ascii_case(RESERVED) && segment != RESERVED {
            return Err("has a first path segment that resembles the reserved one");
        }
    }
    Ok(path)
}

/// The path without its first slash; of an absolute URI, the path after its authority.
fn origin_form(path: &str) -> Result<&str, Ambiguity> {
    if let Some(rest) = path.strip_prefix('/') {
        // `//host/path` is a reference to another host (RFC 3986 §4.2).
        return if rest.starts_with('/') { Err("has an empty path segment") } else { Ok(rest) };
    }
    let rest = path.strip_prefix("http://").or_else(|| path.strip_prefix("https://")).ok_or("has no path")?;
    let (authority, path) = rest.split_once('/').ok_or("has no path")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    if authority.is_empty() || !authority.bytes().all(plain) {
        return Err("has an authority that is not a host and a port");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    #[test]
    fn ordinary_targets_are_read() {
        for (target, expected) in [
            ("/", ""),
            ("/a", "a"),
            ("/a/b/", "a/b"),
            ("/a/b?x=../..//%2f&y=%5c", "a/b"),
            ("/a;v=1/b", "a;v=1/b"),
            ("/v1.2/.well-known/x..y", "v1.2/.well-known/x..y"),
            ("/a:b@c/~d,e", "a:b@c/~d,e"),
            ("https://api.example/a/b", "a/b"),
            ("http://[2001:db8::1]:8080/a", "a"),
            ("/keyturn/keys", "keyturn/keys"),
        ] {
            assert_eq!(path(target), Ok(expected), "{target}");
        }
    }

    #[test]
    fn ambiguous_targets_are_denied() {
        for target in [
            "/x#/../admin",
            "/x?q#y",
            "/a\\..\\b",
            "/a/..;/b",
            "/a/.;x/b",
            "/a;../b",
            "/a;x=..",
            "/a;x/..;y/b",
            "/a//b",
            "//",
            "//host/a",
            "/a//",
            "/./a",
            "/a/..",
            "/../a",
            "/a/%2e%2e/b",
            "/a%2fb",
            "/a%5Cb",
            "/a%252e%252e",
            "/a%00",
            "/a%0a",
            "/a\u{1}",
            "/a\tb",
            "/a b",
            "/é",
            "/a%c0%ae%c0%ae/b",
            "/a%u002e",
            "/admin.",
            "/admin./x",
            "/a/.../b",
            "/;/a",
            "/a/;x/b",
            "http://a@b/c",
            "http://a\\b/c",
            "HTTP://a/b",
            "http:///a",
            "http://a",
            "http://a?b/c",
            "ftp://a/b",
            "a",
            "",
            "*",
            "/KEYTURN/x",
            "/keyturn;x/keys",
            "/%6beyturn/keys",
            "example:443",
        ] {
            assert!(path(target).is_err(), "{target}");
        }
    }

    /// Resolves dot segments (RFC 3986 §5.2.4), without empty segments and parameters.
    fn resolve(path: &str) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for segment in path.split('/') {
            match segment.split(';').next().unwrap_or_default().trim_end_matches([' ', '.']) {
                "" if segment.starts_with("..") => drop(out.pop()),
                "" => {}
                name => out.push(name.to_owned()),
            }
        }
        out
    }

    fn decode(text: &str) -> String {
        percent_decode_str(text).decode_utf8_lossy().into_owned()
    }

    /// How programs that exist read a target: each gives the segments that it would serve.
    fn readings(target: &str) -> Vec<(&'static str, Vec<String>)> {
        let before = |text: &str, ends: &[char]| text.split(ends).next().unwrap_or_default().to_owned();
        let at_query = before(target, &['?']);
        let whatwg = url::Url::parse("http://h").unwrap().join(target);
        vec![
            ("split at the query", at_query.split('/').skip(1).map(|s| before(s, &[';'])).collect()),
            ("RFC 3986", resolve(&before(target, &['?', '#']))),
            ("fragment kept", resolve(&at_query)),
            ("decode, then resolve", resolve(&decode(&at_query))),
            ("decode twice", resolve(&decode(&decode(&at_query)))),
            ("decode, then split", resolve(&before(&decode(target), &['?', '#']))),
            ("backslash is a slash", resolve(&at_query.replace('\\', "/"))),
            ("NUL ends", resolve(&before(&decode(&at_query), &['\0', '\n', '\r']))),
            ("WHATWG", whatwg.map(|url| resolve(url.path())).unwrap_or_default()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn every_reader_agrees_on_what_is_read(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "/", "/", "/", "a", "b", "admin", ".", "..", ";", ";x=1", "%2e", "%2F", "%5c", "%252e", "%00", "%0a", "\\", "#",
                "?", "//", " ", "\t", "é", "%c0%ae", "keyturn", "@", ":", "*", "%", "~", "http://",
            ]), 0..9)
        ) {
            let target = format!("/{}", pieces.concat());
            if let Ok(read) = path(&target) {
                let expected: Vec<String> =
                    read.split('/').filter(|s| !s.is_empty()).map(|s| s.split(';').next().unwrap().to_owned()).collect();
                for (reader, segments) in readings(&target) {
                    let segments: Vec<String> = segments.into_iter().filter(|s| !s.is_empty()).collect();
                    prop_assert_eq!(&segments, &expected, "{} reads {} differently", reader, target);
                }
            }
        }
    }
}
