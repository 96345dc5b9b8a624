//! Audiences: the names or URLs of the services that a token is for.

/// Whether two audiences are the same: the same text, or `http(s)` URLs that differ only in the case of scheme and
/// host, in an explicit default port, or in the slash of an empty path (RFC 3986 §6.2.2, §6.2.3). URL libraries write
/// `https://api.example/` for `https://api.example`.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || normalize(one).is_some_and(|one| normalize(other) == Some(one))
}

/// Returns the scheme, the authority in lower case, and the rest, which is compared byte for byte.
fn normalize(text: &str) -> Option<(&'static str, String, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let (scheme, default_port) = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => ("https", ":443"),
        _ if scheme.eq_ignore_ascii_case("http") => ("http", ":80"),
        _ => return None,
    };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A user name is case-sensitive; such URLs are compared as text.
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let authority = authority.to_ascii_lowercase();
    let host = authority.strip_suffix(default_port).map(str::to_owned).unwrap_or(authority);
    Some((scheme, host, if rest == "/" { "" } else { rest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivalent_urls_are_the_same() {
        for other in
            ["https://api.example/", "HTTPS://API.Example", "https://api.example:443", "https://Api.example:443/"]
        {
            assert!(is_same("https://api.example", other) && is_same(other, "https://api.example/"), "{other}");
        }
        assert!(is_same("http://[2001:DB8::1]:80/", "http://[2001:db8::1]"));
        assert!(is_same("https://H/mcp", "https://h/mcp"));
        assert!(is_same("urn:b", "urn:b"));
    }

    #[test]
    fn other_audiences_are_compared_as_text() {
        for (one, other) in [
            ("https://h", "http://h"),
            ("https://h", "https://h:8443"),
            ("https://h", "https://h:80"),
            ("https://h", "https://h//"),
            ("https://h", "https://h/#x"),
            ("https://h", "https://h#x"),
            ("https://h", "https://h?"),
            ("https://h/a", "https://h/a/"),
            ("https://h/a", "https://h/A"),
            ("https://h", "https://h."),
            ("https://u@h", "https://U@h"),
            ("https://h", "https://h@evil"),
            ("urn:b", "URN:b"),
            ("urn:b", "urn:b/"),
            ("ftp://h", "ftp://h/"),
            ("https://", "https:///"),
            ("api", "api/"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
