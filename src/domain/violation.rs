//! Validation errors: a field and its violation. The API and the CLI show the `Display` text; the console has
//! its own messages.

use std::fmt;

use crate::domain::destination::DestinationError;
use crate::domain::networks::NetworksError;
use crate::domain::policy::ExpirationChoices;
use crate::domain::scope::{Action, Scope, ScopeError};
use crate::domain::slug::Slug;

/// A validation error of one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub field: FieldPath,
    pub kind: ViolationKind,
}

/// A field or part of a field in a request: `name`, `expiration_choices.days`, `scopes[2].action`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldPath {
    pub name: String,
    /// Zero-based index in a list.
    pub index: Option<usize>,
    pub part: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ViolationKind {
    /// A message from the surface or use case that found the error.
    Other(String),
    /// Maximum number of characters.
    TooLong(usize),
    NotAnAddress,
    NotATime,
    /// Only one of action and resource.
    IncompleteScope,
    Destination(DestinationError),
    Scope(ScopeError),
    Networks(Box<NetworksError>),
    NameRequired,
    ScopeRequired,
    UnknownAction {
        action: Action,
        /// Allowed actions of the policy; `*` is always allowed.
        allowed: Vec<Action>,
    },
    /// The policy, or an API, does not allow this scope to be granted.
    NotGrantable {
        scope: Box<Scope>,
        grantable: Vec<Scope>,
        /// Name of the API whose rule it is; `None` for the policy.
        api: Option<Slug>,
    },
    NotInFuture,
    TooFarAhead,
    /// The key has expired, so a rotation must set a new expiry.
    KeyExpired,
    ExpiryRequired(Lifetime),
    /// Maximum number of days.
    MaxLifetime(u32, Lifetime),
    /// Allowed lifetimes.
    LifetimeNotOffered(ExpirationChoices, Lifetime),
    /// The grace period of a rotation is too long.
    GraceTooLong {
        seconds: u32,
        /// Maximum grace period in seconds.
        most: u32,
    },
    /// An extension must not shorten the grace period.
    GraceShortened {
        /// Current grace period in seconds.
        least: i64,
    },
    OutOfRange {
        least: u32,
        most: u32,
        /// Whether the setting is optional.
        optional: bool,
    },
    /// Too few or too many entries.
    EntryCount {
        least: usize,
        most: usize,
    },
    /// Too many lifetimes, or a lifetime out of bounds.
    Lifetimes {
        entries: usize,
        /// Maximum lifetime in days.
        most: u32,
    },
    /// No lifetime is allowed, and neither is "no expiry".
    NoLifetime,
    /// "No expiry" is allowed although an expiry is required.
    NoExpiryForbidden,
    /// An allowed lifetime exceeds the maximum.
    LifetimeOverMaximum,
    /// Stale keys are disabled, but no key becomes stale.
    StaleDaysRequired,
    /// The role cannot create keys.
    CreateRole,
    AnyActionListed,
    /// A grantable scope has an action that is not allowed.
    GrantableAction(Action),
    /// Keys require a scope, but no scope can be granted.
    GrantableRequired,
    /// Maximum number of audiences, each without invalid characters.
    Audiences(usize),
}

/// Start of a lifetime, for the advice in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// From now, for a new secret.
    OfNewSecret,
    /// From the creation of the existing secret.
    OfExistingSecret,
    /// A rotation keeps the expiry.
    KeptInRotation,
}

impl Violation {
    pub fn new(field: impl Into<FieldPath>, kind: impl Into<ViolationKind>) -> Self {
        Self { field: field.into(), kind: kind.into() }
    }

    /// Returns the message for the API.
    pub fn message(&self) -> String {
        self.kind.to_string()
    }
}

impl From<&str> for FieldPath {
    fn from(path: &str) -> Self {
        let (rest, part) = match path.split_once('.') {
            Some((rest, part)) => (rest, Some(part.to_owned())),
            None => (path, None),
        };
        let list = rest.strip_suffix(']').and_then(|rest| rest.split_once('['));
        match list.and_then(|(name, index)| Some((name, index.parse().ok()?))) {
            Some((name, index)) => Self { name: name.to_owned(), index: Some(index), part },
            None => Self { name: rest.to_owned(), index: None, part },
        }
    }
}

impl From<String> for FieldPath {
    fn from(path: String) -> Self {
        Self::from(path.as_str())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        if let Some(part) = &self.part {
            write!(f, ".{part}")?;
        }
        Ok(())
    }
}

impl From<&str> for ViolationKind {
    fn from(message: &str) -> Self {
        Self::Other(message.to_owned())
    }
}

impl From<String> for ViolationKind {
    fn from(message: String) -> Self {
        Self::Other(message)
    }
}

impl From<ScopeError> for ViolationKind {
    fn from(error: ScopeError) -> Self {
        Self::Scope(error)
    }
}

impl From<DestinationError> for ViolationKind {
    fn from(error: DestinationError) -> Self {
        Self::Destination(error)
    }
}

impl From<NetworksError> for ViolationKind {
    fn from(error: NetworksError) -> Self {
        Self::Networks(Box::new(error))
    }
}

/// Writes the message for the API, with the API's field names.
impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(message) => f.write_str(message),
            Self::TooLong(most) => write!(f, "too long; at most {most} characters are allowed"),
            Self::NotAnAddress => f.write_str("must be an IPv4 or IPv6 address, such as 203.0.113.7"),
            Self::NotATime => f.write_str("must be an RFC 3339 time from 1970 to 9999, such as 2030-01-31T00:00:00Z"),
            Self::IncompleteScope => f.write_str("missing; action and resource are both required"),
            Self::Destination(error) => error.fmt(f),
            Self::Scope(error) => error.fmt(f),
            Self::Networks(error) => error.fmt(f),
            Self::NameRequired => f.write_str("a name is required"),
            Self::ScopeRequired => f.write_str("at least one scope is required"),
            Self::UnknownAction { action, allowed } => {
                write!(f, "unknown action {action}; allowed actions are {} and *", list(allowed))
            }
            Self::NotGrantable { scope, grantable, api } => {
                let by = api.as_ref().map_or_else(|| "the policy".to_owned(), |api| format!("the API {api}"));
                let grantable = list(grantable);
                match grantable.is_empty() {
                    true => write!(f, "{scope} cannot be granted; {by} allows no scopes"),
                    false => write!(f, "{scope} cannot be granted; {by} allows {grantable} and scopes within them"),
                }
            }
            Self::NotInFuture => f.write_str("must be in the future"),
            Self::TooFarAhead => f.write_str("must be before the year 10000"),
            Self::KeyExpired => write!(f, "the key has expired{}", Lifetime::KeptInRotation.advice()),
            Self::ExpiryRequired(lifetime) => write!(f, "an expiry is required{}", lifetime.advice()),
            Self::MaxLifetime(days, lifetime) => write!(f, "the maximum lifetime is {days} days{}", lifetime.advice()),
            Self::LifetimeNotOffered(choices, lifetime) => {
                write!(f, "allowed lifetimes are {}{}", choices.describe(), lifetime.advice())
            }
            Self::GraceTooLong { seconds, most } => {
                write!(f, "{seconds} seconds is too long; must be from 0 to {most}")
            }
            Self::GraceShortened { least } => {
                write!(f, "must be at least {least}, the current grace period; use end-grace to end it now")
            }
            Self::OutOfRange { least, most, optional } => {
                write!(f, "must be from {least} to {most}{}", if *optional { ", or null" } else { "" })
            }
            Self::EntryCount { least: 0, most } => write!(f, "at most {most} entries are allowed"),
            Self::EntryCount { least, most } => write!(f, "{least} to {most} entries are allowed"),
            Self::Lifetimes { entries, most } => write!(f, "at most {entries} numbers from 1 to {most} are allowed"),
            Self::NoLifetime => f.write_str("at least one lifetime is required if none is false"),
            Self::NoExpiryForbidden => f.write_str("cannot be combined with expiry_required or max_lifetime_days"),
            Self::LifetimeOverMaximum => f.write_str("a lifetime is longer than max_lifetime_days"),
            Self::StaleDaysRequired => f.write_str("requires stale_after_days"),
            Self::CreateRole => f.write_str("must be developer, admin or owner"),
            Self::AnyActionListed => f.write_str("* is always allowed and must not be listed"),
            Self::GrantableAction(action) => write!(f, "unknown action {action}; add it to actions first"),
            Self::GrantableRequired => f.write_str("at least one scope is required with scopes_required"),
            Self::Audiences(most) => {
                write!(f, "at most {most} entries of 1 to 256 printable ASCII characters without spaces are allowed")
            }
        }
    }
}

impl Lifetime {
    fn advice(self) -> &'static str {
        match self {
            Self::OfNewSecret => "",
            Self::OfExistingSecret => {
                " from the key's creation or last rotation; rotate the key to start a new lifetime"
            }
            Self::KeptInRotation => "; set a new expiry with the rotation",
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::FieldPath;

    #[test]
    fn field_paths_round_trip() {
        for (text, name, index, part) in [
            ("name", "name", None, None),
            ("scopes[2]", "scopes", Some(2), None),
            ("scopes[10].action", "scopes", Some(10), Some("action")),
            ("expiration_choices.days", "expiration_choices", None, Some("days")),
            ("odd[x]", "odd[x]", None, None),
            ("", "", None, None),
        ] {
            let path = FieldPath::from(text);
            assert_eq!((path.name.as_str(), path.index, path.part.as_deref()), (name, index, part));
            assert_eq!(path.to_string(), text);
        }
    }
}
