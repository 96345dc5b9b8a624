//! Whether the `scope` claim of a token allows an action on a resource.

/// Whether the `scope` claim of a token allows an action on a resource.
pub fn allows(scope: &str, action: &str, resource: &str) -> bool {
    is_resource(resource) && scope.split(' ').any(|granted| covers(granted, action, resource))
}

/// Segments of printable ASCII without `"`, `#`, `%`, `*` and `\`. Nothing is decoded or normalized.
fn is_resource(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"#%*\\".contains(&byte);
    text.split('/').all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_allowed))
}

fn covers(granted: &str, action: &str, resource: &str) -> bool {
    // An action alone means every resource.
    let (granted_action, filter) = granted.split_once(':').unwrap_or((granted, "*"));
    if granted_action != "*" && granted_action != action {
        return false;
    }
    let patterns: Vec<_> = filter.split('/').collect();
    let segments: Vec<_> = resource.split('/').collect();
    // No wildcard reaches Keyturn's own management API.
    if segments[0] == "keyturn" && patterns[0] != "keyturn" {
        return false;
    }
    for (place, pattern) in patterns.iter().enumerate() {
        match segments.get(place) {
            found if *pattern == "*" => return found.is_some(),
            Some(segment) if *pattern == "#" || pattern == segment => {}
            _ => return false,
        }
    }
    segments.len() == patterns.len()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Vector {
        scope: String,
        action: String,
        resource: String,
        allowed: bool,
    }

    /// Runs the test vectors: SCOPE_VECTORS=scope-vectors.json cargo test
    #[test]
    fn vectors_hold() {
        let text = std::fs::read_to_string(std::env::var("SCOPE_VECTORS").unwrap()).unwrap();
        let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
        for vector in &vectors {
            assert_eq!(super::allows(&vector.scope, &vector.action, &vector.resource), vector.allowed, "{vector:?}");
        }
        assert!(!vectors.is_empty());
    }
}
