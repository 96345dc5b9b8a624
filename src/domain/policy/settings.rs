//! Validation of a policy's own settings.

use crate::domain::attribute::{check_claims, check_headers};
use crate::domain::member::Role;
use crate::domain::policy::Policy;
use crate::domain::scope::{Action, Scope};
use crate::domain::violation::{Violation, ViolationKind};

/// Upper limit for settings in days: a century.
const MAX_DAYS: u32 = 36_525;
/// Upper limit for grace periods: ten years.
pub const MAX_GRACE_SECONDS: u32 = 3660 * 86_400;
/// Maximum number of entries in a list.
const MAX_ENTRIES: usize = 50;

impl Policy {
    /// Returns every invalid setting.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut report = |field: &str, kind: ViolationKind| violations.push(Violation::new(field, kind));
        let days = [("max_lifetime_days", self.max_lifetime_days), ("stale_after_days", self.stale_after_days)];
        for (field, value) in days {
            if value.is_some_and(|days| !(1..=MAX_DAYS).contains(&days)) {
                report(field, ViolationKind::OutOfRange { least: 1, most: MAX_DAYS, optional: true });
            }
        }
        if self.disable_when_stale && self.stale_after_days.is_none() {
            report("disable_when_stale", ViolationKind::StaleDaysRequired);
        }
        if let Some(choices) = &self.expiration_choices {
            if choices.days.len() > MAX_ENTRIES || choices.days.iter().any(|days| !(1..=MAX_DAYS).contains(days)) {
                let kind = ViolationKind::Lifetimes { entries: MAX_ENTRIES, most: MAX_DAYS };
                report("expiration_choices.days", kind);
            }
            if choices.days.is_empty() && !choices.none {
                report("expiration_choices.days", ViolationKind::NoLifetime);
            }
            if choices.none && (self.expiry_required || self.max_lifetime_days.is_some()) {
                report("expiration_choices.none", ViolationKind::NoExpiryForbidden);
            }
            let longest = choices.days.iter().max().copied().unwrap_or_default();
            if self.max_lifetime_days.is_some_and(|most| longest > most) {
                report("expiration_choices.days", ViolationKind::LifetimeOverMaximum);
            }
        }
        if self.create_role == Role::Viewer {
            report("create_role", ViolationKind::CreateRole);
        }
        if self.actions.is_empty() || self.actions.len() > MAX_ENTRIES {
            report("actions", ViolationKind::EntryCount { least: 1, most: MAX_ENTRIES });
        }
        if self.actions.iter().any(Action::is_any) {
            report("actions", ViolationKind::AnyActionListed);
        }
        if let Some(grantable) = &self.grantable_scopes {
            if grantable.len() > MAX_ENTRIES {
                report("grantable_scopes", ViolationKind::EntryCount { least: 0, most: MAX_ENTRIES });
            }
            let mut actions = grantable.iter().filter_map(Scope::action);
            if let Some(action) = actions.find(|action| !self.has_action(action)) {
                report("grantable_scopes", ViolationKind::GrantableAction(action.clone()));
            }
            if grantable.is_empty() && self.scopes_required {
                report("grantable_scopes", ViolationKind::GrantableRequired);
            }
        }
        let audience = |text: &String| (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if self.audiences.len() > MAX_ENTRIES || !self.audiences.iter().all(audience) {
            report("audiences", ViolationKind::Audiences(MAX_ENTRIES));
        }
        if self.token_ttl_seconds.is_some_and(|ttl| !(60..=3600).contains(&ttl)) {
            report("token_ttl_seconds", ViolationKind::OutOfRange { least: 60, most: 3600, optional: true });
        }
        if self.max_grace_seconds > MAX_GRACE_SECONDS {
            report(
                "max_grace_seconds",
                ViolationKind::OutOfRange { least: 0, most: MAX_GRACE_SECONDS, optional: false },
            );
        }
        violations.extend(check_claims("token_claims", &self.token_claims));
        violations.extend(check_headers("verify_headers", &self.verify_headers));
        violations
    }
}
