//! Scopes: what may be done (an action) to what (a resource filter), written `action:filter`.
//!
//! The laws of the grammar, which [`ResourceFilter`] and [`Scope`] show at work:
//!
//! - Segments are separated by `/` and compared byte for byte. Nothing is decoded or normalized.
//! - `#` is exactly one segment; a last segment `*` is one or more further segments.
//! - A first segment `keyturn` is reached only by a filter that spells it out.
//! - A filter contains another exactly when it matches everything the other matches. Two different
//!   spellings never mean the same, so equal text and equal meaning are one thing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
    /// Reads an action. Errors: [`ScopeError::Empty`], [`ScopeError::Action`].
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        match text {
            "" => Err(ScopeError::Empty(Part::Action)),
            "*" => Ok(Self(text.into())),
            _ if text.len() <= MAX_ACTION_BYTES && text.bytes().all(word) => Ok(Self(text.into())),
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
    /// for wrong in ["a*", "a/b#c", "*/a", "a/*/b", "a/./b", "%61", "a\"b", "a\\b"] {
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
/// assert_eq!(scope("read").to_string(), "read:*");
/// assert_eq!(scope("read:a:b").filter().as_str(), "a:b", "split at the first colon");
/// assert!(scope("*:projects/*").contains(&scope("read:projects/acme/#")));
/// assert!(scope("*:*").contains(&scope("read:#/*")));
/// assert!(!scope("*:*").contains(&scope("read:keyturn/keys")));
/// assert!(!scope("read:*").contains(&scope("*:*")));
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Scope {
    action: Action,
    filter: ResourceFilter,
}

impl Scope {
    /// An action on the resources of a filter.
    pub fn new(action: Action, filter: ResourceFilter) -> Self {
        Self { action, filter }
    }

    /// Reads `action:filter`, or a bare `action`, which means `action:*`.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let (action, filter) = text.split_once(':').unwrap_or((text, "*"));
        Ok(Self::new(Action::parse(action)?, ResourceFilter::parse(filter)?))
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
}

/// Scopes in the order of their first mention, each once; the `scope` of a request, a key or a token.
///
/// ```
/// use keyturn::domain::scope::ScopeSet;
/// let set = ScopeSet::parse(" write:a  read read:* ").unwrap();
/// assert_eq!(set.to_string(), "write:a read:*");
/// assert!(ScopeSet::parse("").unwrap().is_empty());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ScopeSet(Vec<Scope>);

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
        self.0.iter()
    }

    /// How many different scopes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        if !self.0.contains(&scope) {
            self.0.push(scope);
        }
        Ok(())
    }
}

/// What a text was read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// An [`Action`].
    Action,
    /// A [`ResourceFilter`].
    Filter,
    /// A [`Resource`].
    Resource,
}

/// Why a text is not a scope. Positions and segments count from 1.
///
/// The messages keep to the characters of an RFC 6749 §5.2 `error_description`, and repeat nothing of the
/// caller's text, which may be a misplaced secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScopeError {
    /// Nothing where something is required.
    Empty(Part),
    /// An action outside `[a-z0-9._-]{1,32}`.
    Action,
    /// This many bytes, and how many are allowed.
    TooLong(Part, usize, usize),
    /// This many segments, more than [`MAX_FILTER_SEGMENTS`].
    TooManySegments(usize),
    /// At this position a character that RFC 6749 does not allow in a scope, or a `%`.
    Character(Part, usize, char),
    /// This segment is empty: two slashes in a row, or one at an end.
    EmptySegment(Part, usize),
    /// This segment is `.` or `..`.
    DotSegment(Part, usize),
    /// This segment of a filter is `*` and others follow.
    StarNotLast(usize),
    /// This segment has `*` or `#` among other characters.
    MixedWildcard(Part, usize),
    /// This segment of a concrete resource is `*` or `#`.
    WildcardInResource(usize),
    /// More than [`MAX_SCOPES`], repetitions included.
    TooManyScopes,
    /// What is wrong with this one of several scopes.
    InScope(usize, Box<ScopeError>),
}

impl std::error::Error for ScopeError {}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(part) => {
                write!(f, "the {part} is empty: write action:filter, like read:projects/*")
            }
            Self::Action => write!(
                f,
                "the action is unreadable: * or 1 to {MAX_ACTION_BYTES} of a-z, 0-9, '.', '_' and '-' \
                 are allowed, and a scope is action:filter"
            ),
            Self::TooLong(part, bytes, max) => {
                write!(f, "the {part} has {bytes} bytes: at most {max} are allowed")
            }
            Self::TooManySegments(count) => {
                write!(f, "the resource filter has {count} segments: at most {MAX_FILTER_SEGMENTS} are allowed")
            }
            Self::Character(part, at, '%') => {
                write!(f, "character {at} of the {part} is %: escapes are not decoded, write the character itself")
            }
            Self::Character(part, at, found) => write!(
                f,
                "character {at} of the {part} is U+{:04X}: printable ASCII is allowed, except space, \
                 double quote, backslash and percent",
                u32::from(*found)
            ),
            Self::EmptySegment(part, at) => {
                write!(f, "segment {at} of the {part} is empty: write one slash between segments, none at the ends")
            }
            Self::DotSegment(part, at) => {
                write!(f, "segment {at} of the {part} is '.' or '..': write segments by their name")
            }
            Self::StarNotLast(at) => {
                write!(f, "segment {at} of the resource filter is * but not the last: # is exactly one segment")
            }
            Self::MixedWildcard(part, at) => write!(
                f,
                "segment {at} of the {part} mixes * or # with other characters: a wildcard is a whole \
                 segment of a filter"
            ),
            Self::WildcardInResource(at) => {
                write!(f, "segment {at} of the resource is a wildcard: * and # are allowed in filters only")
            }
            Self::TooManyScopes => {
                write!(f, "too many scopes: at most {MAX_SCOPES} are allowed, repetitions included")
            }
            Self::InScope(number, error) => write!(f, "scope {number}: {error}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Action => "action",
            Self::Filter => "resource filter",
            Self::Resource => "resource",
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.action, self.filter)
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{scope}")?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn filter(text: &str) -> ResourceFilter {
        ResourceFilter::parse(text).unwrap()
    }

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn set(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    /// Every path of 1 to `depth` of these segments.
    fn paths(names: &[&str], depth: usize) -> Vec<String> {
        let mut all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut last = all.clone();
        for _ in 1..depth {
            last = last.iter().flat_map(|p| names.iter().map(move |n| format!("{p}/{n}"))).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// The definition of matching, said differently from the code under test.
    fn by_definition(filter: &str, resource: &str) -> bool {
        let (filter, resource): (Vec<_>, Vec<_>) = (filter.split('/').collect(), resource.split('/').collect());
        let (fixed, open) = match filter.split_last() {
            Some((&"*", fixed)) => (fixed, true),
            _ => (&filter[..], false),
        };
        let long_enough = if open { resource.len() > fixed.len() } else { resource.len() == fixed.len() };
        long_enough
            && fixed.iter().zip(&resource).all(|(f, r)| *f == "#" || f == r)
            && (resource[0] != "keyturn" || filter[0] == "keyturn")
    }

    /// `z` is mentioned by no filter and the resources are one segment deeper than any filter, so what
    /// holds here holds for all resources.
    #[test]
    fn containment_is_exactly_inclusion_of_matches() {
        let filters: Vec<_> = paths(&["keyturn", "a", "b", "#"], 3)
            .into_iter()
            .chain(["*".to_owned()])
            .chain(paths(&["keyturn", "a", "b", "#"], 2).iter().map(|p| format!("{p}/*")))
            .collect();
        let resources: Vec<_> =
            paths(&["keyturn", "a", "b", "z"], 4).iter().map(|text| Resource::parse(text).unwrap()).collect();
        let table: Vec<(ResourceFilter, HashSet<&Resource>)> = filters
            .iter()
            .map(|text| {
                let f = filter(text);
                let matched: HashSet<_> = resources.iter().filter(|r| f.matches(r)).collect();
                let defined = resources.iter().filter(|r| by_definition(text, r.as_str())).collect();
                assert_eq!(matched, defined, "{text}");
                (f, matched)
            })
            .collect();
        for (a, matched_by_a) in &table {
            for (b, matched_by_b) in &table {
                assert_eq!(a.contains(b), matched_by_b.is_subset(matched_by_a), "{a:?} {b:?}");
                assert_eq!(a == b, matched_by_a == matched_by_b, "one meaning, one spelling");
            }
        }
    }

    fn any_filter() -> impl Strategy<Value = String> {
        let segment = prop::sample::select(vec!["keyturn", "a", "b", "#", "x:y", "~!$&'()+,;=@"]);
        (prop::collection::vec(segment, 0..6), any::<bool>()).prop_map(|(mut segments, open)| {
            if open || segments.is_empty() {
                segments.push("*");
            }
            segments.join("/")
        })
    }

    fn any_scope() -> impl Strategy<Value = String> {
        (prop::sample::select(vec!["*", "read", "write", "x.y_z-0"]), any_filter())
            .prop_map(|(action, filter)| format!("{action}:{filter}"))
    }

    proptest! {
        #[test]
        fn containment_is_a_partial_order(a in any_scope(), b in any_scope(), c in any_scope()) {
            let (a, b, c) = (scope(&a), scope(&b), scope(&c));
            prop_assert!(a.contains(&a));
            prop_assert!(!(a.contains(&b) && b.contains(&c)) || a.contains(&c));
            prop_assert!(!(a.contains(&b) && b.contains(&a)) || a == b);
        }

        #[test]
        fn what_is_contained_is_allowed(a in any_scope(), b in any_scope()) {
            let concrete = b.replace(['#', '*'], "q");
            let (a, b, concrete) = (scope(&a), scope(&b), scope(&concrete));
            let resource = Resource::parse(concrete.filter().as_str()).unwrap();
            prop_assert!(b.allows(b.action(), &resource));
            prop_assert!(!a.contains(&b) || a.allows(b.action(), &resource));
        }

        #[test]
        fn no_wildcard_reaches_keyturn(f in any_filter(), rest in "(/[a-z]{1,3}){0,3}") {
            let resource = Resource::parse(&format!("keyturn{rest}")).unwrap();
            prop_assert!(!filter(&f).matches(&resource) || f.split('/').next() == Some("keyturn"));
        }

        #[test]
        fn printing_and_reading_are_inverse(texts in prop::collection::vec(any_scope(), 0..9)) {
            let read = set(&texts.join(" "));
            prop_assert_eq!(&set(&read.to_string()), &read);
            prop_assert_eq!(&ScopeSet::from_scopes(texts.iter().map(|t| scope(t))).unwrap(), &read);
            prop_assert!(read.contains_all(&read));
            let json = serde_json::to_string(&read).unwrap();
            prop_assert_eq!(serde_json::from_str::<ScopeSet>(&json).unwrap(), read);
        }

        #[test]
        fn any_text_is_read_or_refused_in_plain_ascii(text in "(\\PC|[a/*#.:% \"]){0,40}") {
            let checks = [
                Action::parse(&text).err(), Resource::parse(&text).err(), Scope::parse(&text).err(),
                ResourceFilter::parse(&text).err(), ScopeSet::parse(&text).err(),
            ];
            for message in checks.into_iter().flatten().map(|error| error.to_string()) {
                let plain = |b| matches!(b, b' '..=b'~') && b != b'"' && b != b'\\';
                prop_assert!(message.bytes().all(plain), "{}", message);
            }
            if let Ok(read) = ScopeSet::parse(&text) {
                prop_assert_eq!(ScopeSet::parse(&read.to_string()), Ok(read));
            }
        }
    }

    #[test]
    fn every_error_says_what_where_and_what_is_allowed() {
        for (text, part) in [
            ("", "the action is empty"),
            (":a", "the action is empty"),
            ("read:", "the resource filter is empty"),
            ("Read:a", "the action is unreadable"),
            ("**:a", "the action is unreadable"),
            ("projects/a", "the action is unreadable"),
            ("r\u{e9}ad:a", "the action is unreadable"),
            ("read:a%2Fb", "character 2 of the resource filter is %: escapes are not decoded"),
            ("read:a\\b", "character 2 of the resource filter is U+005C"),
            ("read:a\tb", "U+0009"),
            ("read:a\u{7f}", "U+007F"),
            ("read:\u{e9}", "character 1 of the resource filter is U+00E9"),
            ("read:/a", "segment 1 of the resource filter is empty"),
            ("read:a/", "segment 2 of the resource filter is empty"),
            ("read:a/../b", "segment 2 of the resource filter is '.' or '..'"),
            ("read:a/*/b", "segment 2 of the resource filter is * but not the last"),
            ("read:a/b*", "segment 2 of the resource filter mixes"),
            ("read:##", "segment 1 of the resource filter mixes"),
        ] {
            let message = Scope::parse(text).unwrap_err().to_string();
            assert!(message.starts_with(part) || message.contains(part), "{text}: {message}");
        }
        let second = ScopeSet::parse("read write:a//b").unwrap_err().to_string();
        assert!(second.starts_with("scope 2: segment 2 "), "{second}");
        let misplaced = Action::parse("kt_Secret").unwrap_err().to_string();
        assert!(!misplaced.contains("Secret"), "{misplaced}");
        assert!(serde_json::from_str::<Scope>("\"read:a//b\"").is_err());
    }

    #[test]
    fn limits_hold_to_the_last_one() {
        assert!(Action::parse(&"a".repeat(32)).is_ok());
        assert!(Action::parse(&"a".repeat(33)).is_err());
        assert!(ResourceFilter::parse(&"a".repeat(256)).is_ok());
        assert!(ResourceFilter::parse(&"a".repeat(257)).is_err());
        assert!(ResourceFilter::parse(&vec!["a"; 32].join("/")).is_ok());
        assert!(ResourceFilter::parse(&vec!["a"; 33].join("/")).is_err());
        assert!(filter("a/*").matches(&Resource::parse(&vec!["a"; 999].join("/")).unwrap()));
        assert!(Resource::parse(&"a".repeat(8192)).is_ok());
        assert!(Resource::parse(&"a".repeat(8193)).is_err());
        assert_eq!(set(&vec!["read"; 50].join(" ")).len(), 1);
        let many = vec!["read"; 51];
        assert_eq!(ScopeSet::parse(&many.join(" ")), Err(ScopeError::TooManyScopes));
        let many = many.into_iter().map(scope);
        assert_eq!(ScopeSet::from_scopes(many), Err(ScopeError::TooManyScopes));
    }

    #[test]
    fn a_set_contains_what_one_member_contains() {
        let held = set("read:a/* *:b");
        assert!(held.contains_all(&set("read:a/x write:b")));
        assert!(held.contains_all(&ScopeSet::default()));
        assert!(!held.contains(&scope("write:a/x")));
        assert!(!ScopeSet::default().contains(&scope("read:b")));
        assert!(!set("read:a write:a").contains(&scope("*:a")), "members are not pieced together");
        let (read, b) = (Action::parse("read").unwrap(), Resource::parse("b").unwrap());
        assert!(held.allows(&read, &b) && !set("write").allows(&read, &b));
    }
}
