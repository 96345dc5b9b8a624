//! Why a text is not a scope, in words that say where and what is allowed.

use std::fmt;

use crate::domain::scope::{MAX_ACTION_BYTES, MAX_FILTER_SEGMENTS, MAX_SCOPES};

/// What a text was read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// An [`Action`](super::Action).
    Action,
    /// A [`ResourceFilter`](super::ResourceFilter).
    Filter,
    /// A [`Resource`](super::Resource).
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
    /// A comma in an action or a filter.
    Comma,
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
            Self::Comma => write!(f, "a comma is not allowed: separate scopes by spaces"),
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
