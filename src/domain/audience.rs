//! Audiences: the names or URLs of the services that a token is for.

/// Whether two audiences are the same: the same text, or `http(s)` URLs that differ only in the case of scheme and
/// host, in an explicit default port, or in the slash of an empty path (RFC 3986 §6.2.2, §6.2.3). URL libraries write
/// `https://api.example/` for `https://api.example`.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || normalize(one).is_some_and(|one| normalize(other) == Some(one))
}

/// Returns the URL of an audience's protected resource metadata (RFC 9728 §3.1), at the origin of the resource itself: the
/// well-known path comes between the host and the path. `None` unless the audience is an `http(s)` URL without a fragment and
/// a user name.
pub fn resource_metadata_url(audience: &str) -> Option<String> {
    let mut url = url::Url::parse(audience).ok()?;
    let is_resource = matches!(url.scheme(), "https" | "http") && url.has_host() && url.fragment().is_none();
    if !is_resource || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let path = if url.path() == "/" { "" } else { url.path() };
    let path = format!("/.well-known/oauth-protected-resource{path}");
    url.set_path(&path);
    // A backslash would escape the quote after it in a challenge.
    Some(String::from(url).replace('\\', "%5C"))
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
    fn metadata_is_between_the_host_and_the_path() {
        for (audience, expected) in [
            ("https://mcp.example", "https://mcp.example/.well-known/oauth-protected-resource"),
            ("https://mcp.example/", "https://mcp.example/.well-known/oauth-protected-resource"),
            ("https://h/mcp", "https://h/.well-known/oauth-protected-resource/mcp"),
            ("https://h/mcp/", "https://h/.well-known/oauth-protected-resource/mcp/"),
            ("https://h:8443/a/b?k=1", "https://h:8443/.well-known/oauth-protected-resource/a/b?k=1"),
            ("http://127.0.0.1:9000/mcp", "http://127.0.0.1:9000/.well-known/oauth-protected-resource/mcp"),
            ("https://h/a?b\\", "https://h/.well-known/oauth-protected-resource/a?b%5C"),
            ("https://h/a\"b", "https://h/.well-known/oauth-protected-resource/a%22b"),
        ] {
            assert_eq!(resource_metadata_url(audience).as_deref(), Some(expected), "{audience}");
        }
        for audience in
            ["photos", "urn:photos", "ftp://h/x", "https://h/#x", "https://u@h/", "https://u:p@h", "https://"]
        {
            assert_eq!(resource_metadata_url(audience), None, "{audience}");
        }
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
