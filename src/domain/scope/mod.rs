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
mod filter;
mod set;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use crate::domain::choices::ScopeStyle;
pub use error::{ScopeError, ScopePart};
pub use filter::{Resource, ResourceFilter};
pub use set::ScopeSet;

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

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Filter { action, spelling: Spelling::Bare, .. } => action.fmt(f),
            Form::Filter { action, filter, .. } => write!(f, "{action}:{filter}"),
            Form::Plain(text) => f.write_str(text),
        }
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
