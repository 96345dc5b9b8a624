//! An organization's policy for its keys.

use serde::{Deserialize, Serialize};

use crate::domain::api_key::{ApiKey, Status};
use crate::domain::attribute::Attributes;
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyPrefix;
use crate::domain::member::Role;
use crate::domain::scope::{Action, Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Lifetime, ViolationKind};

pub use crate::domain::violation::Violation;

mod settings;
#[cfg(test)]
mod tests;

pub use settings::MAX_GRACE_SECONDS;

const DAY: i64 = 86_400;

/// Rules for the keys of an organization. The default rules are as permissive as is safe.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Maximum number of valid or disabled keys per member.
    pub max_keys_per_user: Option<u32>,
    /// Maximum number of valid or disabled keys in the organization.
    pub max_keys: Option<u32>,
    /// The allowed lifetimes; any if absent.
    pub expiration_choices: Option<ExpirationChoices>,
    /// Maximum lifetime of a secret in days, from the key's creation or last rotation.
    pub max_lifetime_days: Option<u32>,
    pub expiry_required: bool,
    pub name_required: bool,
    pub scopes_required: bool,
    /// The scopes that can be granted to keys, including narrower ones; any if absent.
    pub grantable_scopes: Option<Vec<Scope>>,
    /// Minimum role for creating keys.
    pub create_role: Role,
    /// Prefix of new secrets.
    pub key_prefix: KeyPrefix,
    /// Allowed actions; `*` is always allowed.
    pub actions: Vec<Action>,
    /// Allowed audiences besides the default one and the issuer.
    pub audiences: Vec<String>,
    /// Token lifetime, 60 to 3600; the server's setting if absent.
    pub token_ttl_seconds: Option<u32>,
    /// Maximum grace period of a rotation.
    pub max_grace_seconds: u32,
    /// Days without use until a key is stale; never if absent.
    pub stale_after_days: Option<u32>,
    /// Whether stale keys are disabled automatically.
    pub disable_when_stale: bool,
    /// Custom claims of tokens for every API.
    pub token_claims: Attributes,
    /// Custom headers of successful responses of `/verify`.
    pub verify_headers: Attributes,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpirationChoices {
    pub days: Vec<u32>,
    /// Whether "no expiry" is allowed.
    pub none: bool,
}

impl Default for Policy {
    fn default() -> Self {
        let action = |name| Action::parse(name).ok();
        Self {
            max_keys_per_user: None,
            max_keys: None,
            expiration_choices: None,
            max_lifetime_days: None,
            expiry_required: false,
            name_required: false,
            scopes_required: false,
            grantable_scopes: None,
            create_role: Role::Developer,
            key_prefix: KeyPrefix::default(),
            actions: ["read", "write", "admin"].into_iter().filter_map(action).collect(),
            audiences: Vec::new(),
            token_ttl_seconds: None,
            max_grace_seconds: 30 * 86_400,
            stale_after_days: None,
            disable_when_stale: false,
            token_claims: Attributes::new(),
            verify_headers: Attributes::new(),
        }
    }
}

/// The fields of a new or edited key that a policy restricts. A field that does not change is `None` and is not
/// checked, so a policy change never blocks an unrelated edit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ProposedKey<'a> {
    pub name: Option<&'a str>,
    pub grants: Option<&'a Grants>,
    /// Grants that the key already has; keeping them is not a grant.
    pub held: Option<&'a Grants>,
    pub expiry: Expiry,
    /// Grace period of a rotation.
    pub grace_seconds: Option<u32>,
}

/// The expiry of a new or edited key. A lifetime is measured from the creation of the secret: if it were measured from
/// an edit, every edit would extend it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Expiry {
    /// Unchanged, and the secret stays the same.
    #[default]
    Untouched,
    /// Set for a secret created at `since`; `None` is no expiry.
    Set { expires_at: Option<Timestamp>, since: Timestamp },
    /// Unchanged for a new secret.
    Kept(Option<Timestamp>),
}

impl Policy {
    /// Returns every violation of the policy by `proposed` at `now`.
    pub fn violations(&self, proposed: &ProposedKey<'_>, now: Timestamp) -> Vec<Violation> {
        let mut violations = Vec::new();
        if self.name_required && proposed.name.is_some_and(|name| name.trim().is_empty()) {
            violations.push(Violation::new("name", ViolationKind::NameRequired));
        }
        if let Some(grants) = proposed.grants {
            if self.scopes_required && grants.has_no_scope() {
                violations.push(Violation::new("scopes", ViolationKind::ScopeRequired));
            }
            self.check_scopes(grants.of_default_api(), proposed.held.map(Grants::of_default_api), &mut violations);
        }
        let expiry = match proposed.expiry {
            Expiry::Untouched => None,
            Expiry::Set { expires_at, since } => self.check_expiry(expires_at, since, now),
            Expiry::Kept(expires_at) => self.check_kept_expiry(expires_at, now),
        };
        violations.extend(expiry.map(|kind| Violation::new("expires_at", kind)));
        if let Some(seconds) = proposed.grace_seconds.filter(|grace| *grace > self.max_grace_seconds) {
            let kind = ViolationKind::GraceTooLong { seconds, most: self.max_grace_seconds };
            violations.push(Violation::new("grace_seconds", kind));
        }
        violations
    }

    fn check_scopes(&self, scopes: &ScopeSet, held: Option<&ScopeSet>, violations: &mut Vec<Violation>) {
        for (index, scope) in scopes.iter().enumerate() {
            if let Some(action) = scope.action().filter(|action| !self.has_action(action)) {
                let kind = ViolationKind::UnknownAction { action: action.clone(), allowed: self.actions.clone() };
                violations.push(Violation::new(format!("scopes[{index}].action"), kind));
            } else if !self.is_grantable(scope) && !held.is_some_and(|held| held.contains(scope)) {
                let grantable = self.grantable_scopes.clone().unwrap_or_default();
                let kind = ViolationKind::NotGrantable { scope: Box::new(scope.clone()), grantable, api: None };
                violations.push(Violation::new(format!("scopes[{index}]"), kind));
            }
        }
    }

    /// Whether the action is allowed.
    pub fn has_action(&self, action: &Action) -> bool {
        action.is_any() || self.actions.contains(action)
    }

    /// Lists the actions for an error message.
    pub fn describe_actions(&self) -> String {
        let known: Vec<_> = self.actions.iter().map(Action::as_str).collect();
        format!("{} and *", known.join(", "))
    }

    /// Whether the scope can be granted to keys.
    pub fn is_grantable(&self, scope: &Scope) -> bool {
        self.grantable_scopes.as_ref().is_none_or(|grantable| grantable.iter().any(|each| each.contains(scope)))
    }

    /// Checks a new expiry for a secret created at `since`.
    fn check_expiry(&self, expires_at: Option<Timestamp>, since: Timestamp, now: Timestamp) -> Option<ViolationKind> {
        if expires_at.is_some_and(|end| end <= now) {
            return Some(ViolationKind::NotInFuture);
        }
        if expires_at.is_some_and(|end| end > Timestamp::MAX) {
            return Some(ViolationKind::TooFarAhead);
        }
        // In an edit, limits apply to the whole lifetime of the secret.
        let lifetime = if since == now { Lifetime::OfNewSecret } else { Lifetime::OfExistingSecret };
        if let Some(choices) = &self.expiration_choices
            && !choices.offer(expires_at, since)
        {
            return Some(ViolationKind::LifetimeNotOffered(choices.clone(), lifetime));
        }
        if expires_at.is_none() && self.expiry_required {
            return Some(ViolationKind::ExpiryRequired(Lifetime::OfNewSecret));
        }
        let days = self.max_lifetime_days?;
        let last = since.plus_seconds(i64::from(days) * DAY);
        expires_at.is_none_or(|end| end > last).then_some(ViolationKind::MaxLifetime(days, lifetime))
    }

    /// Checks an expiry that is kept for a new secret. It may be earlier than an allowed lifetime, but not later.
    fn check_kept_expiry(&self, expires_at: Option<Timestamp>, now: Timestamp) -> Option<ViolationKind> {
        if expires_at.is_some_and(|end| end <= now) {
            return Some(ViolationKind::KeyExpired);
        }
        if expires_at.is_none() && self.expiry_required {
            return Some(ViolationKind::ExpiryRequired(Lifetime::KeptInRotation));
        }
        let ends_within = |days: u32, slack: i64| {
            let last = now.plus_seconds(i64::from(days) * DAY + slack);
            expires_at.is_some_and(|end| end <= last)
        };
        if let Some(choices) = self.expiration_choices.as_ref().filter(|choices| !choices.none)
            && !choices.days.iter().any(|days| ends_within(*days, CHOICE_SLACK_MILLIS / 1000))
        {
            return Some(ViolationKind::LifetimeNotOffered(choices.clone(), Lifetime::KeptInRotation));
        }
        let days = self.max_lifetime_days.filter(|days| !ends_within(*days, 0))?;
        Some(ViolationKind::MaxLifetime(days, Lifetime::KeptInRotation))
    }
}

impl Policy {
    /// Returns the settings that an existing key violates, and the effect on the key. Only stale keys stop working.
    pub fn violated_settings(&self, key: &ApiKey, now: Timestamp) -> Vec<(&'static str, &'static str)> {
        let mut violated = Vec::new();
        if self.name_required && key.name.trim().is_empty() {
            violated.push(("name_required", "keys without a name; they keep working"));
        }
        if self.scopes_required && key.grants.has_no_scope() {
            violated.push(("scopes_required", "keys without scopes; they keep working"));
        }
        let has_unknown_action = |scope: &Scope| scope.action().is_some_and(|action| !self.has_action(action));
        if key.grants.scopes().any(|(_, scope)| has_unknown_action(scope)) {
            violated.push(("actions", "keys with an action that is no longer allowed; they keep working"));
        }
        if key.grants.of_default_api().iter().any(|scope| !self.is_grantable(scope)) {
            violated.push(("grantable_scopes", "keys with a scope that can no longer be granted; they keep it"));
        }
        if self.expiry_required && key.expires_at.is_none() {
            violated.push(("expiry_required", "keys without an expiry; they keep working indefinitely"));
        }
        if let Some(days) = self.max_lifetime_days {
            let last = key.secret_since().plus_seconds(i64::from(days) * DAY);
            if key.expires_at.is_none_or(|end| end > last) {
                violated
                    .push(("max_lifetime_days", "keys with a longer lifetime; they keep working until they expire"));
            }
        }
        if key.prefix != self.key_prefix {
            violated.push(("key_prefix", "keys with another prefix; they keep it until they are rotated"));
        }
        if self.disable_when_stale && self.is_stale(key, now) {
            violated.push(("disable_when_stale", "stale keys; they are DISABLED one day after they become stale"));
        }
        violated
    }

    /// Whether the lifetime of secrets is limited.
    pub fn limits_lifetimes(&self) -> bool {
        self.expiration_choices.is_some() || self.max_lifetime_days.is_some()
    }

    /// Whether a key is active and has been unused for the configured time.
    pub fn is_stale(&self, key: &ApiKey, now: Timestamp) -> bool {
        let Some(days) = self.stale_after_days else { return false };
        key.status(now) == Status::Active && key.idle_since().plus_seconds(i64::from(days) * DAY) <= now
    }
}

/// Tolerance for the date of an allowed lifetime, because the caller computes it.
const CHOICE_SLACK_MILLIS: i64 = 60_000;

impl ExpirationChoices {
    /// Whether an expiry is one of the choices, measured from `since`.
    fn offer(&self, expires_at: Option<Timestamp>, since: Timestamp) -> bool {
        match expires_at {
            None => self.none,
            Some(end) => self.days.iter().any(|days| {
                let choice = since.plus_seconds(i64::from(*days) * DAY);
                end.millis_since(choice).saturating_abs() <= CHOICE_SLACK_MILLIS
            }),
        }
    }

    /// Lists the choices for an error message.
    pub fn describe(&self) -> String {
        let days: Vec<_> = self.days.iter().map(u32::to_string).collect();
        let none = if self.none { "none, or " } else { "" };
        format!("{none}{} days", days.join(", "))
    }
}
