//! Scopes: what may be done (an action) to what (a resource filter), written `action:filter`.
//!
//! The laws of the grammar, which [`ResourceFilter`] and [`Scope`] show at work:
//!
//! - Segments are separated by `/` and compared byte for byte. Nothing is decoded or normalized.
//! - `#` is exactly one segment; a last segment `*` is one or more further segments.
//! - A first segment `keyturn` is reached only by a filter that spells it out.
//! - A filter contains another exactly when it matches everything the other matches. Two different
//!   filters never mean the same, so equal text and equal meaning are one thing.
//! - A scope has two spellings if its filter is `*`: `read` and `read:*`. They are equal, and each prints as it was
//!   written, because validators compare the `scope` claim as text.

mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use error::{Part, ScopeError};

/// The most scopes one [`ScopeSet`] may be given, repetitions included.
pub const MAX_SCOPES: usize = 50;
/// The longest action, in bytes.
pub const MAX_ACTION_BYTES: usize = 32;
/// The longest resource filter, in bytes.
pub const MAX_FILTER_BYTES: usize = 256;
/// The most segments in a resource filter.
pub const MAX_FILTER_SEGMENTS: usize = 32;
/// The longest concrete resource, in bytes. Wider than a filter, so that `projects/*` still holds for
/// a long request path, and so that a closing `*` always has room for one more segment.
pub const MAX_RESOURCE_BYTES: usize = 8192;
/// The first segment that names the management API and that no wildcard reaches.
pub const RESERVED: &str = "keyturn";

/// What is done: a word of `[a-z0-9._-]{1,32}`, or `*` for any.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Action(Box<str>);

impl Action {
    /// Reads an action. Errors: [`ScopeError::Empty`], [`ScopeError::Comma`], [`ScopeError::Action`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        match text {
            "" => Err(ScopeError::Empty(Part::Action)),
            "*" => Ok(Self(text.into())),
            _ if text.len() <= MAX_ACTION_BYTES && text.bytes().all(word) => Ok(Self(text.into())),
            _ if text.contains(',') => Err(ScopeError::Comma),
            _ => Err(ScopeError::Action),
        }
    }

    /// The action as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `*`.
    pub fn is_any(&self) -> bool {
        self.as_str() == "*"
    }

    /// Whether every action `other` stands for is one of these.
    pub fn contains(&self, other: &Self) -> bool {
        self.is_any() || self == other
    }
}

/// A concrete resource: the grammar of a filter without wildcards, up to [`MAX_RESOURCE_BYTES`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Resource(Box<str>);

impl Resource {
    /// Reads a resource. Errors: what is wrong with the first character or segment that is.
    ///
    /// ```
    /// use keyturn::domain::scope::Resource;
    /// assert!(Resource::parse("projects/acme/builds").is_ok());
    /// for wrong in ["", "/a", "a/", "a//b", "a/../b", "a/#", "a/*", "a%2Fb", "a b"] {
    ///     assert!(Resource::parse(wrong).is_err(), "{wrong}");
    /// }
    /// ```
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        check(text, Part::Resource).map(|()| Self(text.into()))
    }

    /// The resource as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which resources: segments, `#` for exactly one, a closing `*` for one or more.
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
    /// Reads a filter: at most 256 bytes and 32 segments of RFC 6749 scope characters.
    ///
    /// ```
    /// use keyturn::domain::scope::ResourceFilter;
    /// for wrong in ["a*", "a/b#c", "*/a", "a/*/b", "a/./b", "%61", "a\"b", "a\\b", "a,b"] {
    ///     assert!(ResourceFilter::parse(wrong).is_err(), "{wrong}");
    /// }
    /// ```
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        check(text, Part::Filter).map(|()| Self(text.into()))
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the filter reaches `resource`. Allocates nothing.
    pub fn matches(&self, resource: &Resource) -> bool {
        covers(&self.0, &resource.0)
    }

    /// Whether every resource that `other` matches is matched by this filter too.
    pub fn contains(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }
}

/// An action on the resources of a filter: one RFC 6749 §3.3 scope-token.
///
/// ```
/// use keyturn::domain::scope::Scope;
/// let scope = |text| Scope::parse(text).unwrap();
/// assert_eq!(scope("read"), scope("read:*"));
/// assert_eq!(scope("read").to_string(), "read", "the spelling is kept");
/// assert_eq!(scope("read:a:b").filter().as_str(), "a:b", "split at the first colon");
/// assert!(scope("*:projects/*").contains(&scope("read:projects/acme/#")));
/// assert!(scope("*:*").contains(&scope("read:#/*")));
/// assert!(!scope("*:*").contains(&scope("read:keyturn/keys")));
/// assert!(!scope("read:*").contains(&scope("*:*")));
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    action: Action,
    filter: ResourceFilter,
    spelling: Spelling,
}

/// How a scope was written. Two scopes that differ only in this are equal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Spelling {
    /// `action`.
    Bare,
    /// `action:filter`.
    Full,
    /// Given in parts, as the console and JSON objects do. Prints in full.
    Unspecified,
}

impl Scope {
    /// An action on the resources of a filter.
    pub fn new(action: Action, filter: ResourceFilter) -> Self {
        Self { action, filter, spelling: Spelling::Unspecified }
    }

    /// Reads `action:filter`, or a bare `action`, which means `action:*`.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (action, filter, spelling) = match text.split_once(':') {
            Some((action, filter)) => (action, filter, Spelling::Full),
            None => (text, "*", Spelling::Bare),
        };
        Ok(Self { action: Action::parse(action)?, filter: ResourceFilter::parse(filter)?, spelling })
    }

    /// What may be done.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// To which resources.
    pub fn filter(&self) -> &ResourceFilter {
        &self.filter
    }

    /// Whether everything `other` allows is allowed by this scope.
    pub fn contains(&self, other: &Self) -> bool {
        self.action.contains(&other.action) && self.filter.contains(&other.filter)
    }

    /// Whether this scope allows `action` on `resource`; only a scope for `*` allows the action `*`.
    pub fn allows(&self, action: &Action, resource: &Resource) -> bool {
        self.action.contains(action) && self.filter.matches(resource)
    }

    fn meaning(&self) -> (&Action, &ResourceFilter) {
        (&self.action, &self.filter)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.meaning() == other.meaning()
    }
}

impl Eq for Scope {}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning().hash(state);
    }
}

/// Scopes in the order of their first mention, each once; the `scope` of a request, a key or a token.
///
/// ```
/// use keyturn::domain::scope::ScopeSet;
/// let set = ScopeSet::parse(" write:a  read read:* ").unwrap();
/// assert_eq!(set.to_string(), "write:a read", "the first spelling counts");
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
    /// Reads scopes separated by spaces (RFC 6749 §3.3). Runs of spaces count as one.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut set = Self::default();
        for (index, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let wrong = |error| ScopeError::InScope(index + 1, Box::new(error));
            set.add(index, Scope::parse(word).map_err(wrong)?)?;
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

    /// The scopes, in the order of their first mention.
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

    /// How many different scopes there are.
    pub fn len(&self) -> usize {
        self.0.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.list.is_empty()
    }

    /// These scopes, with those that were given in parts spelled as in `other`.
    pub fn spelled_like(mut self, other: &Self) -> Self {
        let is_open = |scope: &Scope| scope.spelling == Spelling::Unspecified;
        if self.iter().any(is_open) {
            for scope in self.list_mut().iter_mut().filter(|scope| is_open(scope)) {
                if let Some(same) = other.iter().find(|same| *same == scope) {
                    scope.spelling = same.spelling;
                }
            }
        }
        self
    }

    /// Whether both are the same scopes in the same spelling.
    pub fn is_same_text(&self, other: &Self) -> bool {
        let is_bare = |scope: &Scope| scope.spelling == Spelling::Bare;
        self == other && self.iter().map(is_bare).eq(other.iter().map(is_bare))
    }

    /// Whether `scope` lies within one member; members are not pieced together.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.iter().any(|member| member.contains(scope))
    }

    /// Whether each scope of `other` lies within one member of this set.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Whether one member allows `action` on `resource`. Allocates nothing.
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
        match self.spelling {
            Spelling::Bare => self.action.fmt(f),
            Spelling::Full | Spelling::Unspecified => write!(f, "{}:{}", self.action, self.filter),
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

/// The grammar of filters and resources.
fn check(text: &str, part: Part) -> Result<(), ScopeError> {
    let max = if part == Part::Resource { MAX_RESOURCE_BYTES } else { MAX_FILTER_BYTES };
    if text.is_empty() {
        return Err(ScopeError::Empty(part));
    }
    if text.len() > max {
        return Err(ScopeError::TooLong(part, text.len(), max));
    }
    // RFC 6749 §3.3: %x21 / %x23-5B / %x5D-7E; and no escapes.
    let allowed = |c| matches!(c, '!' | '#'..='$' | '&'..='[' | ']'..='~');
    if let Some((index, found)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
        return Err(ScopeError::Character(part, index + 1, found));
    }
    // Lists that are joined by commas must not read as one filter. Paths may contain them.
    if part == Part::Filter && text.contains(',') {
        return Err(ScopeError::Comma);
    }
    let segments = text.split('/').count();
    if part == Part::Filter && segments > MAX_FILTER_SEGMENTS {
        return Err(ScopeError::TooManySegments(segments));
    }
    for (index, name) in text.split('/').enumerate() {
        let segment = index + 1;
        match name {
            "" => return Err(ScopeError::EmptySegment(part, segment)),
            "." | ".." => return Err(ScopeError::DotSegment(part, segment)),
            "#" | "*" if part == Part::Resource => {
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

/// Whether the filter `outer` contains `inner`, a filter or a resource: a resource is the filter that
/// matches only itself, so matching and containment are one walk along both texts.
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
