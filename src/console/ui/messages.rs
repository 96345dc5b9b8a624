//! The console's own sentences for validation errors. Nothing here reads the text of another surface.

use crate::console::ui::{format_span, replace_times};
use crate::domain::destination::DestinationError;
use crate::domain::networks::{MAX_NETWORKS, NetworksError, NetworksErrorKind};
use crate::domain::policy::ExpirationChoices;
use crate::domain::scope::{MAX_ACTION_BYTES, MAX_FILTER_SEGMENTS, MAX_SCOPES, ScopeError, ScopePart};
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Lifetime, Violation, ViolationKind};

/// Describes a violation, with its position in a list.
pub(in crate::console) fn describe(violation: &Violation) -> String {
    let message = describe_kind(&violation.kind);
    let is_of_whole_list =
        matches!(&violation.kind, ViolationKind::Networks(error) if error.kind == NetworksErrorKind::TooMany);
    match (violation.field.name.as_str(), violation.field.index) {
        ("scopes", Some(index)) => format!("Scope {}: {message}", index + 1),
        ("allowed_cidrs", Some(index)) if !is_of_whole_list => format!("Line {}: {message}", index + 1),
        _ => message,
    }
}

fn describe_kind(kind: &ViolationKind) -> String {
    match kind {
        ViolationKind::Other(message) => to_sentence(message),
        ViolationKind::TooLong(most) => format!("Must be {most} characters or fewer."),
        ViolationKind::NotAnAddress => "Enter an IPv4 or IPv6 address, for example 203.0.113.7.".into(),
        ViolationKind::NotATime => "Enter a date and time, for example 2030-01-31 00:00.".into(),
        ViolationKind::IncompleteScope => "Enter both an action and a resource.".into(),
        ViolationKind::Destination(error) => describe_destination_error(*error),
        ViolationKind::Scope(error) => describe_scope_error(error),
        ViolationKind::Networks(error) => describe_networks_error(error),
        ViolationKind::NameRequired => "Enter a name.".into(),
        ViolationKind::ScopeRequired => "Add at least one scope.".into(),
        ViolationKind::UnknownAction { action, allowed } => {
            format!("Unknown action “{action}”. Use {} or *.", list(allowed))
        }
        ViolationKind::NotGrantable { scope, grantable, api } => {
            let by = api.as_ref().map_or_else(|| "The policy".to_owned(), |api| format!("The API {api}"));
            match grantable.is_empty() {
                true => format!("{scope} can’t be granted. {by} doesn’t allow any scopes."),
                false => format!("{scope} can’t be granted. {by} allows {} and scopes within them.", list(grantable)),
            }
        }
        ViolationKind::NotInFuture => "Must be in the future.".into(),
        ViolationKind::TooFarAhead => "Must be before the year 10000.".into(),
        ViolationKind::KeyExpired => "This key has expired. Choose a new expiry.".into(),
        ViolationKind::ExpiryRequired(_) => "The policy requires an expiry. Choose one.".into(),
        ViolationKind::MaxLifetime(days, lifetime) => {
            let days = counted(u64::from(*days), "day");
            match lifetime {
                Lifetime::OfNewSecret => format!("Must be within {days} (policy)."),
                Lifetime::OfExistingSecret => format!(
                    "Must be within {days} of the key’s creation or last rotation (policy). \
                     Rotate the key to start a new lifetime."
                ),
                Lifetime::KeptInRotation => format!("Must be within {days} (policy). Choose a new expiry."),
            }
        }
        ViolationKind::LifetimeNotOffered(choices, lifetime) => {
            let choices = list_choices(choices);
            match lifetime {
                Lifetime::OfNewSecret => format!("Choose one of the allowed lifetimes: {choices}."),
                Lifetime::OfExistingSecret => format!(
                    "Choose one of the allowed lifetimes: {choices}, from the key’s creation or last rotation. \
                     Rotate the key to start a new lifetime."
                ),
                Lifetime::KeptInRotation => {
                    format!("The current expiry is not one of the allowed lifetimes: {choices}. Choose a new expiry.")
                }
            }
        }
        ViolationKind::GraceTooLong { most, .. } => {
            let most = format_span(Timestamp::from_seconds(0), Timestamp::from_seconds((*most).into()));
            format!("Too long. The policy allows a grace period of up to {most}.")
        }
        ViolationKind::GraceShortened { least } => {
            let least = format_span(Timestamp::from_seconds(0), Timestamp::from_seconds(*least));
            format!("Must be longer than the current grace period of {least}. To end it, use “End grace period now”.")
        }
        ViolationKind::OutOfRange { least, most, optional: true } => {
            format!("Enter a number from {least} to {most}, or leave blank.")
        }
        ViolationKind::OutOfRange { least, most, optional: false } => format!("Enter a number from {least} to {most}."),
        ViolationKind::EntryCount { least: 0, most } => format!("Enter up to {most} entries."),
        ViolationKind::EntryCount { least, most } => format!("Enter {least} to {most} entries."),
        ViolationKind::Lifetimes { entries, most } => format!("Enter up to {entries} numbers from 1 to {most}."),
        ViolationKind::NoLifetime => "Enter at least one lifetime, or offer “No expiry”.".into(),
        ViolationKind::NoExpiryForbidden => "Can’t be combined with a required expiry or a maximum lifetime.".into(),
        ViolationKind::LifetimeOverMaximum => "A lifetime exceeds the maximum lifetime.".into(),
        ViolationKind::StaleDaysRequired => "Also set the number of days after which a key is stale.".into(),
        ViolationKind::CreateRole => "Choose developer, admin or owner.".into(),
        ViolationKind::AnyActionListed => "Remove *. It is always allowed.".into(),
        ViolationKind::GrantableAction(action) => {
            format!("Unknown action “{action}”. Add it to the actions first.")
        }
        ViolationKind::GrantableRequired => "Enter at least one scope, or don’t require a scope.".into(),
        ViolationKind::Audiences(most) => {
            format!("Enter up to {most} audiences of 1–256 printable ASCII characters without spaces.")
        }
    }
}

fn describe_destination_error(error: DestinationError) -> String {
    match error {
        DestinationError::TooLong => "This URL is too long.",
        DestinationError::NotUrl => "Enter a valid https:// URL in printable ASCII.",
        DestinationError::Scheme => "Must start with https://.",
        DestinationError::UserInfo => "Must not contain a user name or password.",
        DestinationError::Fragment => "Must not contain a fragment (#…).",
        DestinationError::NotPublic => "Must be a public address.",
    }
    .into()
}

/// Describes an invalid scope, action, resource pattern or resource.
pub(in crate::console) fn describe_scope_error(error: &ScopeError) -> String {
    match error {
        ScopeError::Empty(ScopePart::Action) => "Choose an action.".into(),
        ScopeError::Empty(ScopePart::Filter) => "Enter a resource pattern, for example projects/*.".into(),
        ScopeError::Empty(ScopePart::Resource) => "Enter a resource, for example projects/acme/42.".into(),
        ScopeError::Empty(ScopePart::Scope) => "Enter a scope.".into(),
        ScopeError::Action => {
            format!("Invalid action. Use * or up to {MAX_ACTION_BYTES} of a-z, 0-9, “.”, “_” and “-”.")
        }
        ScopeError::Comma => "Commas are not allowed.".into(),
        ScopeError::TooLong(_, bytes, most) => format!("Too long: {bytes} bytes, the limit is {most}."),
        ScopeError::TooManySegments(count) => {
            format!("Too many segments: {count}, the limit is {MAX_FILTER_SEGMENTS}.")
        }
        ScopeError::Character(ScopePart::Scope, at, character) => format!(
            "Character {at} (U+{:04X}) is not allowed. Use printable ASCII without spaces, double quotes and backslashes.",
            u32::from(*character)
        ),
        ScopeError::Character(_, at, '%') => {
            format!("Character {at}: % is not allowed. Percent-encoding is not decoded.")
        }
        ScopeError::Character(_, at, character) => format!(
            "Character {at} (U+{:04X}) is not allowed. Use printable ASCII without spaces, quotes, backslashes or %.",
            u32::from(*character)
        ),
        ScopeError::EmptySegment(_, at) => {
            format!("Segment {at} is empty. Use single slashes, and none at the start or end.")
        }
        ScopeError::DotSegment(_, at) => format!("Segment {at}: “.” and “..” are not allowed."),
        ScopeError::StarNotLast(_) => "* is only allowed as the last segment. Use # for a single segment.".into(),
        ScopeError::MixedWildcard(_, at) => format!("Segment {at}: a wildcard (* or #) must be a whole segment."),
        ScopeError::WildcardInResource(_) => "Wildcards are not allowed here. Enter a concrete resource.".into(),
        ScopeError::TooManyScopes => format!("Too many scopes. The limit is {MAX_SCOPES}."),
        ScopeError::InScope(number, error) => format!("Scope {number}: {}", describe_scope_error(error)),
    }
}

/// Describes an invalid entry in a list of networks.
pub(in crate::console) fn describe_networks_error(error: &NetworksError) -> String {
    let entry = error.entry();
    match error.kind {
        NetworksErrorKind::Empty => "Empty entry.".into(),
        NetworksErrorKind::Whitespace => format!("{entry} contains spaces. Enter one network per line."),
        NetworksErrorKind::Separator => "Commas and semicolons are not allowed. Enter one network per line.".into(),
        NetworksErrorKind::Zone => format!("{entry}: zone IDs (%…) are not supported."),
        NetworksErrorKind::LeadingZero => format!("{entry}: remove leading zeros."),
        NetworksErrorKind::NotAnAddress => format!("{entry} is not a valid IP address or CIDR range."),
        NetworksErrorKind::PrefixLength(most) => format!("{entry}: the prefix length must be from 0 to {most}."),
        NetworksErrorKind::HostBits(network, address) => {
            format!("{entry} has host bits set. Did you mean {network} (the network) or {address} (one address)?")
        }
        NetworksErrorKind::Mapped(meant) => format!("{entry} is an IPv4-mapped range. Use {meant}."),
        NetworksErrorKind::TooMany => format!("Too many networks. The limit is {MAX_NETWORKS}."),
    }
}

/// Turns a text into a sentence, with times for people. A first word that is not a plain word, such as a scope, keeps its case.
pub(in crate::console) fn to_sentence(text: &str) -> String {
    let text = &*replace_times(text);
    let is_word =
        text.split(' ').next().is_some_and(|word| word.chars().all(|c| c.is_alphabetic() || c == '’' || c == ';'));
    let mut rest = text.chars();
    let first = rest.next().map(|first| if is_word { first.to_uppercase().to_string() } else { first.to_string() });
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), rest.as_str())
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn list_choices(choices: &ExpirationChoices) -> String {
    let days = choices.days.iter().map(|days| counted(u64::from(*days), "day"));
    days.chain(choices.none.then(|| "no expiry".to_owned())).collect::<Vec<_>>().join(", ")
}

fn counted(number: u64, unit: &str) -> String {
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::Networks;
    use crate::domain::policy::Policy;

    #[test]
    fn positions_count_from_one() {
        let violation = |field: &str, kind: ViolationKind| describe(&Violation::new(field, kind));
        assert_eq!(
            violation("scopes[1].resource", ScopeError::Empty(ScopePart::Filter).into()),
            "Scope 2: Enter a resource pattern, for example projects/*."
        );
        let error = Networks::parse(&["::1", "10.0.0.1/8"]).unwrap_err();
        assert_eq!(
            violation("allowed_cidrs[1]", error.into()),
            "Line 2: 10.0.0.1/8 has host bits set. Did you mean 10.0.0.0/8 (the network) or 10.0.0.1/32 (one address)?"
        );
        let error = Networks::parse(&vec!["::1"; MAX_NETWORKS + 1]).unwrap_err();
        assert!(violation("allowed_cidrs[9]", error.into()).starts_with("Too many networks."));
    }

    #[test]
    fn scopes_are_never_capitalized() {
        assert_eq!(to_sentence("read:orders/1 lies within read:*"), "read:orders/1 lies within read:*.");
        assert_eq!(to_sentence("must be in the future"), "Must be in the future.");
        assert_eq!(to_sentence("Reload the page."), "Reload the page.");
        assert_eq!(to_sentence(""), ".");
    }

    /// Wherever the API names a setting or a JSON value, the console has words of its own.
    #[test]
    fn policy_faults_use_no_api_names() {
        let faulty = r#"{"max_lifetime_days":0,"stale_after_days":null,"disable_when_stale":true,
            "expiration_choices":{"days":[9],"none":true},"token_ttl_seconds":5,"expiry_required":true,
            "max_grace_seconds":4294967295,"create_role":"viewer","actions":["*"],"scopes_required":true,
            "grantable_scopes":[],"audiences":["a b"]}"#;
        let policy: Policy = serde_json::from_str(faulty).unwrap();
        let faults = policy.validate();
        assert!(faults.len() >= 9, "{faults:?}");
        for fault in faults {
            let (api, console) = (fault.message(), describe(&fault));
            assert!(!console.contains("null") && !console.contains('_'), "{console}");
            assert_ne!(api, console);
            assert!(console.ends_with('.') && console.starts_with(|c: char| c.is_uppercase()), "{console}");
        }
    }
}
