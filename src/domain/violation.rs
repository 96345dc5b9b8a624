//! Validation errors as types: a field and what is wrong with it. The API and the CLI show the `Display` text; the console
//! writes its own sentences. No surface reads another's.

use std::fmt;

use crate::domain::destination::DestinationError;
use crate::domain::networks::NetworksError;
use crate::domain::policy::ExpirationChoices;
use crate::domain::scope::{Action, Scope, ScopeError};

/// A field and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The field.
    pub field: FieldPath,
    /// What is wrong.
    pub kind: ViolationKind,
}

/// A field in a request, or a part of one: `name`, `expiration_choices.days`, `scopes[2].action`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldPath {
    /// The field's name in the API.
    pub name: String,
    /// The index in a list, from 0.
    pub index: Option<usize>,
    /// The part of the field.
    pub part: Option<String>,
}

/// What is wrong with a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ViolationKind {
    /// A message of the surface or use case that found the error.
    Other(String),
    /// The text has more than this many characters.
    TooLong(usize),
    /// Not an IP address.
    NotAnAddress,
    /// Not a date and time.
    NotATime,
    /// Only one of action and resource.
    IncompleteScope,
    /// An invalid webhook URL.
    Destination(DestinationError),
    /// An invalid scope or part of a scope.
    Scope(ScopeError),
    /// An invalid list of networks.
    Networks(Box<NetworksError>),
    /// The policy requires a name.
    NameRequired,
    /// The policy requires a scope.
    ScopeRequired,
    /// An action that the policy does not list.
    UnknownAction {
        /// The action.
        action: Action,
        /// The actions of the policy; `*` is always allowed.
        allowed: Vec<Action>,
    },
    /// A scope that the policy does not allow to grant.
    NotGrantable {
        /// The scope.
        scope: Box<Scope>,
        /// The scopes that can be granted.
        grantable: Vec<Scope>,
    },
    /// The expiry is in the past.
    NotInFuture,
    /// The expiry is after the year 9999.
    TooFarAhead,
    /// The key has expired, and a rotation must set a new expiry.
    KeyExpired,
    /// The policy requires an expiry.
    ExpiryRequired(Lifetime),
    /// The policy limits the lifetime to this many days.
    MaxLifetime(u32, Lifetime),
    /// The policy allows only these lifetimes.
    LifetimeNotOffered(ExpirationChoices, Lifetime),
    /// The grace period of a rotation is too long.
    GraceTooLong {
        /// The grace period in seconds.
        seconds: u32,
        /// The policy's maximum in seconds.
        most: u32,
    },
    /// A number outside these bounds.
    OutOfRange {
        /// The smallest allowed number.
        least: u32,
        /// The largest allowed number.
        most: u32,
        /// Whether the setting can be left out.
        optional: bool,
    },
    /// A list with too few or too many entries.
    EntryCount {
        /// The smallest allowed number of entries.
        least: usize,
        /// The largest allowed number of entries.
        most: usize,
    },
    /// Too many lifetimes, or a lifetime outside the bounds.
    Lifetimes {
        /// The largest allowed number of lifetimes.
        entries: usize,
        /// The longest allowed lifetime in days.
        most: u32,
    },
    /// No lifetime is offered, and "no expiry" is not one of the choices.
    NoLifetime,
    /// "No expiry" is offered although an expiry is required.
    NoExpiryForbidden,
    /// A lifetime is offered that is longer than the maximum.
    LifetimeOverMaximum,
    /// Stale keys are to be disabled, but no key ever becomes stale.
    StaleDaysRequired,
    /// A role that cannot create keys.
    CreateRole,
    /// `*` is in the list of actions.
    AnyActionListed,
    /// A grantable scope has an action that the policy does not list.
    GrantableAction(Action),
    /// Keys need a scope, but no scope can be granted.
    GrantableRequired,
    /// Too many audiences, or one with characters that are not allowed.
    Audiences(usize),
}

/// How a lifetime is measured, for the advice in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// From now: a new secret.
    OfNewSecret,
    /// From the creation of the existing secret.
    OfExistingSecret,
    /// The expiry is kept in a rotation.
    KeptInRotation,
}

impl Violation {
    /// Creates a violation of one field.
    pub fn new(field: impl Into<FieldPath>, kind: impl Into<ViolationKind>) -> Self {
        Self { field: field.into(), kind: kind.into() }
    }

    /// Returns the message of the API.
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

/// Writes the message of the API, which uses the API's names.
impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(message) => f.write_str(message),
            Self::TooLong(most) => write!(f, "too long; at most {most} characters are allowed"),
            Self::NotAnAddress => f.write_str("not an address; an IPv4 or IPv6 address is expected, as in 203.0.113.7"),
            Self::NotATime => f.write_str(
                "not a moment; RFC 3339 from 1970 on and before the year 10000 is expected, as in 2030-01-31T00:00:00Z",
            ),
            Self::IncompleteScope => f.write_str("missing; action and resource come together"),
            Self::Destination(error) => error.fmt(f),
            Self::Scope(error) => error.fmt(f),
            Self::Networks(error) => error.fmt(f),
            Self::NameRequired => f.write_str("a name is required"),
            Self::ScopeRequired => f.write_str("at least one scope is required"),
            Self::UnknownAction { action, allowed } => {
                write!(f, "unknown action {action}; allowed are {} and *", list(allowed))
            }
            Self::NotGrantable { scope, grantable } if grantable.is_empty() => {
                write!(f, "{scope} cannot be granted; the policy allows no scopes")
            }
            Self::NotGrantable { scope, grantable } => {
                let grantable = list(grantable);
                write!(f, "{scope} cannot be granted; the policy allows {grantable} and scopes within them")
            }
            Self::NotInFuture => f.write_str("must be in the future"),
            Self::TooFarAhead => f.write_str("must be before the year 10000"),
            Self::KeyExpired => write!(f, "the key has expired{}", Lifetime::KeptInRotation.advice()),
            Self::ExpiryRequired(lifetime) => write!(f, "an expiry is required{}", lifetime.advice()),
            Self::MaxLifetime(days, lifetime) => write!(f, "a key may live at most {days} days{}", lifetime.advice()),
            Self::LifetimeNotOffered(choices, lifetime) => {
                write!(f, "allowed lifetimes are {}{}", choices.describe(), lifetime.advice())
            }
            Self::GraceTooLong { seconds, most } => {
                write!(f, "{seconds} seconds is too long; allowed is 0 to {most}")
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
            Self::OfExistingSecret => " from the key's creation or last rotation; rotate it to start anew",
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
