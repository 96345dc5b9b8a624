//! Webhook events: their names, and the filter of a webhook.

use std::borrow::Cow;
use std::fmt;

/// The event of a test delivery.
pub const TEST: &str = "webhook.test";

/// All event names. A pattern must match at least one of them.
pub const KNOWN: [&str; 49] = [
    "key.created",
    "key.updated",
    "key.rotated",
    "key.grace_ended",
    "key.grace_extended",
    "key.revoked",
    "key.disabled",
    "key.enabled",
    "key.expiring",
    "key.stale",
    "key.denied_by_network",
    "member.created",
    "member.updated",
    "member.removed",
    "organization.created",
    "organization.deleted",
    "organization.resumed",
    "organization.suspended",
    "organization.updated",
    "policy.changed",
    "portal.changed",
    "portal_session.created",
    "portal_session.redeemed",
    "portal_session.ended",
    "api.created",
    "api.updated",
    "api.deleted",
    "profile.created",
    "profile.updated",
    "profile.deleted",
    "network.created",
    "network.updated",
    "network.deleted",
    "customer.created",
    "customer.updated",
    "customer.suspended",
    "customer.reinstated",
    "customer.removed",
    "master_key.rotated",
    "signing_key.created",
    "signing_key.deleted",
    "store.restored",
    "token.revoked",
    "webhook.created",
    "webhook.updated",
    "webhook.deleted",
    "webhook.disabled",
    "webhook.secret_rotated",
    TEST,
];

/// Maximum number of patterns in a filter.
const MAX_PATTERNS: usize = 50;

/// Returns the event for an audited action; `None` for actions without one: sign-ins and sessions, deliveries, and the
/// audit log itself. `docs/reference/events.md` lists them all.
///
/// ```
/// use keyturn::domain::event::event_of;
/// assert_eq!(event_of("key.rotate").as_deref(), Some("key.rotated"));
/// assert_eq!(event_of("signing-key.create").as_deref(), Some("signing_key.created"));
/// assert_eq!(event_of("something.new").as_deref(), Some("something.new"));
/// assert_eq!(event_of("member.sign-in"), None);
/// ```
pub fn event_of(action: &str) -> Option<Cow<'_, str>> {
    let (subject, verb) = action.split_once('.').unwrap_or((action, ""));
    if matches!(subject, "session" | "sign-in" | "audit") || verb.starts_with("sign-") || verb.starts_with("login") {
        return None;
    }
    let name = match (subject, verb) {
        ("webhook", "test" | "retry") => return None,
        ("member", "change") => "updated",
        ("webhook", "rotate-secret") => "secret_rotated",
        ("policy" | "portal", "change") => "changed",
        ("portal-session", "redeem") => "redeemed",
        ("portal-session", "end") => "ended",
        ("key", "end-grace") => "grace_ended",
        ("key", "extend-grace") => "grace_extended",
        (_, "create") => "created",
        (_, "edit") => "updated",
        (_, "rotate") => "rotated",
        (_, "revoke") => "revoked",
        (_, "disable") => "disabled",
        (_, "enable") => "enabled",
        (_, "delete") => "deleted",
        (_, "suspend") => "suspended",
        (_, "reinstate") => "reinstated",
        (_, "resume") => "resumed",
        (_, "restore") => "restored",
        (_, "remove") => "removed",
        _ => return Some(Cow::Borrowed(action)),
    };
    Some(Cow::Owned(format!("{}.{name}", subject.replace('-', "_"))))
}

/// Patterns of the events that a webhook receives. All events if empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter(Vec<String>);

/// An invalid list of patterns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FilterError {
    /// Index of the invalid pattern; `None` if there are too many.
    pub index: Option<usize>,
}

impl EventFilter {
    /// Parses patterns: `key.rotated` is one event, `key.*` is all events of keys. Each pattern must match a known
    /// event.
    ///
    /// ```
    /// use keyturn::domain::event::EventFilter;
    /// let filter = EventFilter::parse(&["key.*", "policy.changed"]).unwrap();
    /// assert!(filter.matches("key.denied_by_network") && filter.matches("policy.changed"));
    /// assert!(!filter.matches("keys.created") && !filter.matches("token.revoked"));
    /// for wrong in ["*", "key", "key.", "keys.*", "key.creat", "Key.*", "key.*.*", ""] {
    ///     assert!(EventFilter::parse(&[wrong]).is_err());
    /// }
    /// ```
    pub fn parse(patterns: &[impl AsRef<str>]) -> Result<Self, FilterError> {
        if patterns.len() > MAX_PATTERNS {
            return Err(FilterError { index: None });
        }
        let mut read: Vec<String> = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let pattern = pattern.as_ref();
            if !KNOWN.iter().any(|event| pattern_matches(pattern, event)) {
                return Err(FilterError { index: Some(index) });
            }
            if !read.iter().any(|known| known == pattern) {
                read.push(pattern.to_owned());
            }
        }
        Ok(Self(read))
    }

    /// Reads a stored filter without checking that its events still exist.
    pub fn from_stored(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_owned).collect())
    }

    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    pub fn matches(&self, event: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern_matches(pattern, event))
    }
}

impl fmt::Display for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            None => write!(f, "too many; at most {MAX_PATTERNS} are allowed"),
            Some(_) => write!(f, "unknown event; use a pattern such as key.*, or one of {}", KNOWN.join(", ")),
        }
    }
}

/// `subject.*` matches all events of the subject; any other pattern matches only itself.
fn pattern_matches(pattern: &str, event: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(subject) => event.split_once('.').is_some_and(|(of, _)| of == subject),
        None => pattern == event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_known_event() {
        for (action, event) in [
            ("key.create", "key.created"),
            ("key.edit", "key.updated"),
            ("key.end-grace", "key.grace_ended"),
            ("key.extend-grace", "key.grace_extended"),
            ("key.revoke", "key.revoked"),
            ("key.disable", "key.disabled"),
            ("key.enable", "key.enabled"),
            ("key.expiring", "key.expiring"),
            ("key.stale", "key.stale"),
            ("key.denied_by_network", "key.denied_by_network"),
            ("signing-key.delete", "signing_key.deleted"),
            ("policy.change", "policy.changed"),
            ("master-key.rotate", "master_key.rotated"),
            ("member.create", "member.created"),
            ("member.change", "member.updated"),
            ("member.remove", "member.removed"),
            ("token.revoke", "token.revoked"),
            ("customer.edit", "customer.updated"),
            ("customer.reinstate", "customer.reinstated"),
            ("customer.remove", "customer.removed"),
            ("organization.create", "organization.created"),
            ("webhook.rotate-secret", "webhook.secret_rotated"),
        ] {
            assert_eq!(event_of(action).as_deref(), Some(event));
            assert!(KNOWN.contains(&event), "{event}");
        }
        for quiet in
            ["audit.chain", "session.create", "member.sign-in", "member.login", "webhook.test", "webhook.retry"]
        {
            assert_eq!(event_of(quiet), None, "{quiet}");
        }
    }

    #[test]
    fn filter_round_trips() {
        let filter = EventFilter::parse(&["key.*", "token.revoked", "key.*"]).unwrap();
        assert_eq!(filter.to_string(), "key.* token.revoked");
        assert_eq!(EventFilter::from_stored(&filter.to_string()), filter);
        assert!(EventFilter::from_stored("").matches("anything.at_all"));
        assert_eq!(EventFilter::parse(&["key.*"; 51]), Err(FilterError { index: None }));
    }
}
