//! Errors in scopes. Messages state the position and the allowed syntax.

use std::fmt;

use crate::domain::scope::{MAX_ACTION_BYTES, MAX_FILTER_SEGMENTS, MAX_SCOPES};

/// The kind of text that was parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScopePart {
    Action,
    Filter,
    Resource,
    /// A plain scope.
    Scope,
}

/// Reason why a text is not a valid scope. Positions and segments count from 1.
///
/// The messages use only the characters of an RFC 6749 §5.2 `error_description` and repeat none of the input, which may
/// be a misplaced secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScopeError {
    /// The part is empty.
    Empty(ScopePart),
    /// The action does not match `[a-z0-9._-]{1,32}`.
    Action,
    Comma,
    /// The actual and the maximum number of bytes.
    TooLong(ScopePart, usize, usize),
    /// More segments than [`MAX_FILTER_SEGMENTS`].
    TooManySegments(usize),
    /// The position of a character that RFC 6749 does not allow in a scope, or of `%`.
    Character(ScopePart, usize, char),
    /// Two slashes in a row, or one at an end.
    EmptySegment(ScopePart, usize),
    /// The segment is `.` or `..`.
    DotSegment(ScopePart, usize),
    /// The segment of a filter is `*`, and others follow.
    StarNotLast(usize),
    /// The segment mixes `*` or `#` with other characters.
    MixedWildcard(ScopePart, usize),
    /// The segment of a concrete resource is `*` or `#`.
    WildcardInResource(usize),
    /// More than [`MAX_SCOPES`], with duplicates.
    TooManyScopes,
    /// The number of the invalid scope in a list, and its error.
    InScope(usize, Box<ScopeError>),
}

impl std::error::Error for ScopeError {}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(ScopePart::Scope) => f.write_str("the scope is empty"),
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
            Self::Character(ScopePart::Scope, at, character) => write!(
                f,
                "character {at} of the scope is U+{:04X}: printable ASCII is allowed, except space, double quote and \
                 backslash",
                u32::from(*character)
            ),
            Self::Character(part, at, character) => write!(
                f,
                "character {at} of the {part} is U+{:04X}: printable ASCII is allowed, except space, \
                 double quote, backslash and percent",
                u32::from(*character)
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

impl fmt::Display for ScopePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Action => "action",
            Self::Filter => "resource filter",
            Self::Resource => "resource",
            Self::Scope => "scope",
        })
    }
}
