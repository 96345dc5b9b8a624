//! Resources, filters of resources, and their grammar.

use super::{
    MAX_FILTER_BYTES, MAX_FILTER_SEGMENTS, MAX_RESOURCE_BYTES, RESERVED, ScopeError, ScopePart, is_scope_character,
};

/// A concrete resource: a filter without wildcards, of up to [`MAX_RESOURCE_BYTES`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Resource(pub(super) Box<str>);

impl Resource {
    /// Parses a resource. Returns the first error.
    ///
    /// ```
    /// use keyturn::domain::scope::Resource;
    /// assert!(Resource::parse("projects/acme/builds").is_ok());
    /// for wrong in ["", "/a", "a/", "a//b", "a/../b", "a/#", "a/*", "a%2Fb", "a b"] {
    ///     assert!(Resource::parse(wrong).is_err(), "{wrong}");
    /// }
    /// ```
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        check(text, ScopePart::Resource).map(|()| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A pattern of resources: `#` matches one segment, a trailing `*` one or more.
///
/// ```
/// use keyturn::domain::scope::{Resource, ResourceFilter};
/// let filter = |text| ResourceFilter::parse(text).unwrap();
/// let matches = |f, r| filter(f).matches(&Resource::parse(r).unwrap());
///
/// assert!(matches("projects/#/builds", "projects/acme/builds"));
/// assert!(!matches("projects/#", "projects/acme/builds"));
/// assert!(matches("projects/*", "projects/acme/builds"));
/// assert!(!matches("projects/*", "projects"), "one or more, not zero");
/// assert!(matches("*", "projects"));
///
/// assert!(!matches("*", "keyturn/keys"), "no wildcard reaches the management API");
/// assert!(!matches("#/keys", "keyturn/keys"));
/// assert!(matches("keyturn/*", "keyturn/keys"));
///
/// assert!(filter("projects/*").contains(&filter("projects/acme/#")));
/// assert!(!filter("projects/acme/#").contains(&filter("projects/acme/*")));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ResourceFilter(pub(super) Box<str>);

impl ResourceFilter {
    /// Parses a filter: at most 256 bytes and 32 segments of RFC 6749 scope characters.
    ///
    /// ```
    /// use keyturn::domain::scope::ResourceFilter;
    /// for wrong in ["a*", "a/b#c", "*/a", "a/*/b", "a/./b", "%61", "a\"b", "a\\b", "a,b"] {
    ///     assert!(ResourceFilter::parse(wrong).is_err(), "{wrong}");
    /// }
    /// ```
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        check(text, ScopePart::Filter).map(|()| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the filter matches `resource`. Does not allocate.
    pub fn matches(&self, resource: &Resource) -> bool {
        covers(&self.0, &resource.0)
    }

    /// Whether the filter matches every resource that `other` matches.
    pub fn contains(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }
}

/// Checks the grammar of filters and resources.
fn check(text: &str, part: ScopePart) -> Result<(), ScopeError> {
    let max = if part == ScopePart::Resource { MAX_RESOURCE_BYTES } else { MAX_FILTER_BYTES };
    if text.is_empty() {
        return Err(ScopeError::Empty(part));
    }
    if text.len() > max {
        return Err(ScopeError::TooLong(part, text.len(), max));
    }
    let allowed = |c| is_scope_character(c) && c != '%';
    if let Some((index, character)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
        return Err(ScopeError::Character(part, index + 1, character));
    }
    // A comma-separated list must not parse as one filter. Paths may contain commas.
    if part == ScopePart::Filter && text.contains(',') {
        return Err(ScopeError::Comma);
    }
    let segments = text.split('/').count();
    if part == ScopePart::Filter && segments > MAX_FILTER_SEGMENTS {
        return Err(ScopeError::TooManySegments(segments));
    }
    for (index, name) in text.split('/').enumerate() {
        let segment = index + 1;
        match name {
            "" => return Err(ScopeError::EmptySegment(part, segment)),
            "." | ".." => return Err(ScopeError::DotSegment(part, segment)),
            "#" | "*" if part == ScopePart::Resource => {
                return Err(ScopeError::WildcardInResource(segment));
            }
            "*" if segment < segments => return Err(ScopeError::StarNotLast(segment)),
            "#" | "*" => {}
            _ if name.contains(['*', '#']) => {
                return Err(ScopeError::MixedWildcard(part, segment));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the filter `outer` contains `inner`, a filter or a resource. A resource is a filter that matches only
/// itself, so matching and containment are the same comparison.
fn covers(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('/'), inner.split('/'));
    let mut first = true;
    loop {
        match (outer.next(), inner.next()) {
            (None, None) => return true,
            (Some("*" | "#"), Some(RESERVED)) if first => return false,
            (Some("*"), Some(_)) => return true,
            (Some("#"), Some(name)) if name != "*" => {}
            (Some(name), Some(same)) if name == same => {}
            _ => return false,
        }
        first = false;
    }
}
