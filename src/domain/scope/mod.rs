//! Scopes, in one of two styles.
//!
//! `plain` scopes are any RFC 6749 §3.3 scope-token, compared exactly. `filters` are written `action:filter`: an action, and a
//! filter of resources. Their grammar, with examples at [`ResourceFilter`] and [`Scope`]:
//!
//! - Segments are separated by `/` and compared byte for byte. Nothing is decoded or normalized.
//! - `#` matches exactly one segment; `*` as the last segment matches one or more.
//! - The first segment `keyturn` is matched only by a filter that contains it literally.
//! - A filter contains another if and only if it matches everything that the other matches. Two different filters never
//!   match the same set, so comparing texts is enough.
//! - A scope with the filter `*` has two spellings: `read` and `read:*`. They are equal, and each prints as it was
//!   written, because validators compare the `scope` claim as text.

mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use crate::domain::choices::ScopeStyle;
pub use error::{ScopeError, ScopePart};

/// Maximum number of scopes in a [`ScopeSet`], with duplicates.
pub const MAX_SCOPES: usize = 50;
/// Maximum length of an action in bytes.
pub const MAX_ACTION_BYTES: usize = 32;
/// Maximum length of a resource filter in bytes.
pub const MAX_FILTER_BYTES: usize = 256;
/// Maximum length of a plain scope in bytes.
pub const MAX_PLAIN_BYTES: usize = 256;
/// Maximum number of segments in a resource filter.
pub const MAX_FILTER_SEGMENTS: usize = 32;
/// Maximum length of a concrete resource in bytes. Longer than a filter, so that `projects/*` also matches a long
/// request path, and a trailing `*` always has room for one more segment.
pub const MAX_RESOURCE_BYTES: usize = 8192;
/// First segment of the management API, which no wildcard matches.
pub const RESERVED: &str = "keyturn";

/// An action: `[a-z0-9._-]{1,32}`, or `*` for any.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Action(Box<str>);

impl Action {
    /// Parses an action. Errors: [`ScopeError::Empty`], [`ScopeError::Comma`], [`ScopeError::Action`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        match text {
            "" => Err(ScopeError::Empty(ScopePart::Action)),
            "*" => Ok(Self(text.into())),
            _ if text.len() <= MAX_ACTION_BYTES && text.bytes().all(word) => Ok(Self(text.into())),
            _ if text.contains(',') => Err(ScopeError::Comma),
            _ => Err(ScopeError::Action),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the action is `*`.
    pub fn is_any(&self) -> bool {
        self.as_str() == "*"
    }

    /// Whether this action includes `other`.
    pub fn contains(&self, other: &Self) -> bool {
        self.is_any() || self == other
    }
}

/// A concrete resource: a filter without wildcards, of up to [`MAX_RESOURCE_BYTES`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Resource(Box<str>);

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
pub struct ResourceFilter(Box<str>);

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

/// One RFC 6749 §3.3 scope-token: an action and a resource filter, or a plain text.
///
/// ```
/// use keyturn::domain::scope::Scope;
/// let scope = |text| Scope::parse(text).unwrap();
/// assert_eq!(scope("read"), scope("read:*"));
/// assert_eq!(scope("read").to_string(), "read", "the spelling is kept");
/// assert_eq!(scope("read:a:b").parts().unwrap().1.as_str(), "a:b", "split at the first colon");
/// assert!(scope("*:projects/*").contains(&scope("read:projects/acme/#")));
/// assert!(scope("*:*").contains(&scope("read:#/*")));
/// assert!(!scope("*:*").contains(&scope("read:keyturn/keys")));
/// assert!(!scope("read:*").contains(&scope("*:*")));
///
/// let plain = |text| Scope::parse_plain(text).unwrap();
/// assert!(plain("photos.read").contains(&plain("photos.read")));
/// assert!(!plain("read").contains(&plain("read:*")));
/// assert!(!scope("*").contains(&plain("read")) && !plain("*").contains(&scope("read")));
/// ```
#[derive(Clone, Debug)]
pub struct Scope(Form);

#[derive(Clone, Debug)]
enum Form {
    Filter { action: Action, filter: ResourceFilter, spelling: Spelling },
    Plain(Box<str>),
}

/// How a scope with a filter was written. Does not affect equality.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spelling {
    /// `action`.
    Bare,
    /// `action:filter`.
    Full,
    /// Given in parts, as in the console and in JSON objects. Prints in full.
    Unspecified,
}

impl Scope {
    /// Combines an action and a filter.
    pub fn new(action: Action, filter: ResourceFilter) -> Self {
        Self(Form::Filter { action, filter, spelling: Spelling::Unspecified })
    }

    /// Parses `action:filter`, or a bare `action`, which means `action:*`.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (action, filter, spelling) = match text.split_once(':') {
            Some((action, filter)) => (action, filter, Spelling::Full),
            None => (text, "*", Spelling::Bare),
        };
        let (action, filter) = (Action::parse(action)?, ResourceFilter::parse(filter)?);
        Ok(Self(Form::Filter { action, filter, spelling }))
    }

    /// Parses a plain scope: any RFC 6749 §3.3 scope-token of up to [`MAX_PLAIN_BYTES`].
    ///
    /// ```
    /// use keyturn::domain::scope::Scope;
    /// for text in ["photos.read", "read:*/*", "%2F/*", "https://api.example/photos", "a,b", "../x"] {
    ///     assert_eq!(Scope::parse_plain(text).unwrap().to_string(), text);
    /// }
    /// for wrong in ["", "a b", "a\"b", "a\\b", "é", "a\tb", &"x".repeat(257)] {
    ///     assert!(Scope::parse_plain(wrong).is_err(), "{wrong}");
    /// }
    /// ```
    pub fn parse_plain(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Err(ScopeError::Empty(ScopePart::Scope));
        }
        if text.len() > MAX_PLAIN_BYTES {
            return Err(ScopeError::TooLong(ScopePart::Scope, text.len(), MAX_PLAIN_BYTES));
        }
        match text.char_indices().find(|(_, character)| !is_scope_character(*character)) {
            Some((index, character)) => Err(ScopeError::Character(ScopePart::Scope, index + 1, character)),
            None => Ok(Self(Form::Plain(text.into()))),
        }
    }

    /// Parses a scope in a style.
    pub fn parse_as(style: ScopeStyle, text: &str) -> Result<Self, ScopeError> {
        match style {
            ScopeStyle::Filters => Self::parse(text),
            ScopeStyle::Plain => Self::parse_plain(text),
        }
    }

    /// Returns the action and the filter; `None` for a plain scope.
    pub fn parts(&self) -> Option<(&Action, &ResourceFilter)> {
        match &self.0 {
            Form::Filter { action, filter, .. } => Some((action, filter)),
            Form::Plain(_) => None,
        }
    }

    /// Returns the action; `None` for a plain scope.
    pub fn action(&self) -> Option<&Action> {
        self.parts().map(|(action, _)| action)
    }

    pub fn style(&self) -> ScopeStyle {
        match self.0 {
            Form::Filter { .. } => ScopeStyle::Filters,
            Form::Plain(_) => ScopeStyle::Plain,
        }
    }

    /// Whether the scope is `*:*`.
    pub fn is_everything(&self) -> bool {
        self.parts().is_some_and(|(action, filter)| action.is_any() && filter.as_str() == "*")
    }

    /// Whether the scope names the management API.
    pub fn is_reserved(&self) -> bool {
        self.parts().is_some_and(|(_, filter)| filter.as_str().split('/').next() == Some(RESERVED))
    }

    /// Whether the scope allows everything that `other` allows.
    pub fn contains(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Filter { action, filter, .. }, Form::Filter { action: other, filter: inner, .. }) => {
                action.contains(other) && filter.contains(inner)
            }
            (Form::Plain(text), Form::Plain(other)) => text == other,
            (Form::Filter { .. }, Form::Plain(_)) | (Form::Plain(_), Form::Filter { .. }) => false,
        }
    }

    /// Whether the scope allows `action` on `resource`. Only a scope for `*` allows the action `*`; a plain scope allows
    /// none.
    pub fn allows(&self, action: &Action, resource: &Resource) -> bool {
        self.parts().is_some_and(|(allowed, filter)| allowed.contains(action) && filter.matches(resource))
    }

    /// Size of its texts in bytes.
    pub fn text_bytes(&self) -> usize {
        match &self.0 {
            Form::Filter { action, filter, .. } => action.as_str().len() + filter.as_str().len(),
            Form::Plain(text) => text.len(),
        }
    }

    fn spelling(&self) -> Option<Spelling> {
        match self.0 {
            Form::Filter { spelling, .. } => Some(spelling),
            Form::Plain(_) => None,
        }
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Plain(text), Form::Plain(other)) => text == other,
            _ => self.parts().is_some() && self.parts() == other.parts(),
        }
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Form::Filter { action, filter, .. } => (action, filter).hash(state),
            Form::Plain(text) => text.hash(state),
        }
    }
}

/// The `scope` of a request, a key or a token: scopes in order of first appearance, without duplicates.
///
/// ```
/// use keyturn::domain::scope::ScopeSet;
/// let set = ScopeSet::parse(" write:a  read read:* ").unwrap();
/// assert_eq!(set.to_string(), "write:a read", "the first spelling is kept");
/// assert!(ScopeSet::parse("").unwrap().is_empty());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ScopeSet(Arc<Scopes>);

/// The scopes of a set, and their text once it was asked for: every token of a key carries it.
#[derive(Clone, Debug, Default)]
struct Scopes {
    list: Vec<Scope>,
    text: OnceLock<Box<str>>,
}

impl PartialEq for Scopes {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Scopes {}

impl Hash for Scopes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.list.hash(state);
    }
}

impl ScopeSet {
    /// Parses scopes with filters, separated by one or more spaces (RFC 6749 §3.3).
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::parse_as(ScopeStyle::Filters, text)
    }

    /// Parses scopes in a style, separated by one or more spaces (RFC 6749 §3.3).
    pub fn parse_as(style: ScopeStyle, text: &str) -> Result<Self, ScopeError> {
        let mut set = Self::default();
        for (index, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let in_scope = |error| ScopeError::InScope(index + 1, Box::new(error));
            set.add(index, Scope::parse_as(style, word).map_err(in_scope)?)?;
        }
        Ok(set)
    }

    /// Collects scopes. Errors: [`ScopeError::TooManyScopes`].
    pub fn from_scopes(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ScopeError> {
        let mut set = Self::default();
        for (index, scope) in scopes.into_iter().enumerate() {
            set.add(index, scope)?;
        }
        Ok(set)
    }

    /// Returns the scopes in order of first appearance.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Scope> {
        self.0.list.iter()
    }

    /// The scopes separated by spaces, each as it was written.
    pub fn as_str(&self) -> &str {
        self.0.text.get_or_init(|| {
            let words: Vec<String> = self.iter().map(Scope::to_string).collect();
            words.join(" ").into()
        })
    }

    /// Number of distinct scopes.
    pub fn len(&self) -> usize {
        self.0.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// Gives scopes without a spelling the spelling that they have in `other`.
    pub fn spelled_like(mut self, other: &Self) -> Self {
        let is_open = |scope: &Scope| scope.spelling() == Some(Spelling::Unspecified);
        if self.iter().any(is_open) {
            for scope in self.list_mut().iter_mut().filter(|scope| is_open(scope)) {
                if let Some(same) = other.iter().find(|same| *same == scope) {
                    *scope = same.clone();
                }
            }
        }
        self
    }

    /// Whether both contain the same scopes in the same spelling.
    pub fn is_same_text(&self, other: &Self) -> bool {
        let is_bare = |scope: &Scope| scope.spelling() == Some(Spelling::Bare);
        self == other && self.iter().map(is_bare).eq(other.iter().map(is_bare))
    }

    /// Whether a single scope of the set contains `scope`; scopes are not combined.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.iter().any(|member| member.contains(scope))
    }

    /// Whether the set contains each scope of `other`.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Whether a single scope of the set allows `action` on `resource`. Does not allocate.
    pub fn allows(&self, action: &Action, resource: &Resource) -> bool {
        self.iter().any(|member| member.allows(action, resource))
    }

    fn add(&mut self, index: usize, scope: Scope) -> Result<(), ScopeError> {
        if index >= MAX_SCOPES {
            return Err(ScopeError::TooManyScopes);
        }
        if !self.0.list.contains(&scope) {
            self.list_mut().push(scope);
        }
        Ok(())
    }

    fn list_mut(&mut self) -> &mut Vec<Scope> {
        let scopes = Arc::make_mut(&mut self.0);
        scopes.text.take();
        &mut scopes.list
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Filter { action, spelling: Spelling::Bare, .. } => action.fmt(f),
            Form::Filter { action, filter, .. } => write!(f, "{action}:{filter}"),
            Form::Plain(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! print_as_text {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

print_as_text!(Action Resource ResourceFilter);

macro_rules! serde_as_text {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    )*};
}

serde_as_text!(Action ResourceFilter Scope ScopeSet);

/// RFC 6749 §3.3: %x21 / %x23-5B / %x5D-7E.
const fn is_scope_character(character: char) -> bool {
    matches!(character, '!' | '#'..='[' | ']'..='~')
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
