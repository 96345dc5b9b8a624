//! Views of lists of keys: what needs attention.

use std::sync::Arc;

use crate::domain::policy::Policy;

/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// A key expires soon within this many days.
pub const EXPIRING_DAYS: i64 = 14;
/// A key is unused after this many days without a use.
pub const UNUSED_DAYS: i64 = 90;

/// A view: keys that are neither revoked nor expired, and need attention for a reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyView {
    /// Expires within 14 days.
    Expiring,
    /// Not used, rotated or created within 90 days.
    Unused,
    NeverUsed,
    NoExpiry,
    /// [`Networks::is_open`](crate::domain::networks::Networks::is_open).
    AnyNetwork,
    /// [`Grants::is_full_access`](crate::domain::grants::Grants::is_full_access).
    FullAccess,
    /// The previous secret still works.
    Rotating,
}

impl KeyView {
    pub const ALL: [Self; 7] = [
        Self::Expiring,
        Self::Unused,
        Self::NeverUsed,
        Self::NoExpiry,
        Self::AnyNetwork,
        Self::FullAccess,
        Self::Rotating,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expiring => "expiring",
            Self::Unused => "unused",
            Self::NeverUsed => "never_used",
            Self::NoExpiry => "no_expiry",
            Self::AnyNetwork => "any_network",
            Self::FullAccess => "full_access",
            Self::Rotating => "rotating",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.as_str() == text)
    }
}

/// A rule of a policy that an existing key can break. The names are those of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RuleBroken {
    NameRequired,
    ScopesRequired,
    Actions,
    GrantableScopes,
    ExpiryRequired,
    MaxLifetimeDays,
    KeyPrefix,
    DisableWhenStale,
}

impl RuleBroken {
    pub const ALL: [Self; 8] = [
        Self::NameRequired,
        Self::ScopesRequired,
        Self::Actions,
        Self::GrantableScopes,
        Self::ExpiryRequired,
        Self::MaxLifetimeDays,
        Self::KeyPrefix,
        Self::DisableWhenStale,
    ];

    /// Returns the name of the setting.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::NameRequired => "name_required",
            Self::ScopesRequired => "scopes_required",
            Self::Actions => "actions",
            Self::GrantableScopes => "grantable_scopes",
            Self::ExpiryRequired => "expiry_required",
            Self::MaxLifetimeDays => "max_lifetime_days",
            Self::KeyPrefix => "key_prefix",
            Self::DisableWhenStale => "disable_when_stale",
        }
    }

    /// Whether the policy has the rule.
    const fn is_in(self, policy: &Policy) -> bool {
        match self {
            Self::NameRequired => policy.name_required,
            Self::ScopesRequired => policy.scopes_required,
            Self::Actions | Self::KeyPrefix => true,
            Self::GrantableScopes => policy.grantable_scopes.is_some(),
            Self::ExpiryRequired => policy.expiry_required,
            Self::MaxLifetimeDays => policy.max_lifetime_days.is_some(),
            Self::DisableWhenStale => policy.disable_when_stale && policy.stale_after_days.is_some(),
        }
    }
}

/// Rules of a policy, to find the keys that break any of them.
#[derive(Clone, Debug)]
pub struct BrokenRules {
    pub policy: Arc<Policy>,
    pub rules: Vec<RuleBroken>,
}

impl BrokenRules {
    /// Returns the rules that `text` names: `any`, or a setting. `any` leaves out stale keys, which have a list of their
    /// own.
    pub fn parse(text: &str, policy: &Policy) -> Option<Self> {
        let rules = RuleBroken::ALL.into_iter().filter(|rule| match text {
            "any" => *rule != RuleBroken::DisableWhenStale,
            name => rule.setting() == name,
        });
        let rules: Vec<RuleBroken> = rules.collect();
        if rules.is_empty() {
            return None;
        }
        let rules = rules.into_iter().filter(|rule| rule.is_in(policy)).collect();
        Some(Self { policy: Arc::new(policy.clone()), rules })
    }
}
