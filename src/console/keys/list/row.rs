//! A row of the list: a summary of a key.

use std::collections::HashMap;

use crate::console::keys::display_name;
use crate::console::keys::granted::in_order;
use crate::console::ui::{Badge, Moment, Spark, Tone, format_distance, is_within_days};
use crate::domain::api_key::{ApiKey, Lifecycle, Status};
use crate::domain::apis::{Api, ServedApi};
use crate::domain::grants::Grants;
use crate::domain::member::MemberId;
use crate::domain::policy::Policy;
use crate::domain::scope::ScopeSet;
use crate::domain::timestamp::Timestamp;

/// An expiry within this many days is highlighted.
const SOON: i64 = 14;
/// Maximum length of a displayed scope, in characters.
const SHORT: usize = 40;
/// Maximum number of displayed scopes and networks.
const SHOWN: usize = 2;

pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) hint: String,
    pub(super) status: Badge,
    /// When, by whom and why the key was revoked.
    pub(super) ended: Option<Ended>,
    /// Each scope, with the name of its API unless that is the default one.
    pub(super) scopes: Vec<(Option<String>, String)>,
    pub(super) more_scopes: usize,
    pub(super) networks: Vec<String>,
    pub(super) more_networks: usize,
    pub(super) is_open: bool,
    pub(super) owner: String,
    pub(super) last_used: Option<Moment>,
    pub(super) last_used_ip: Option<String>,
    pub(super) expires: Option<Moment>,
    pub(super) expires_soon: Option<Badge>,
    pub(super) is_in_grace: bool,
    pub(super) spark: Option<Spark>,
    /// The settings of the policy that the key breaks.
    pub(super) broken: Vec<&'static str>,
    /// Whether the visitor can select it for a bulk change.
    pub(super) can_change: bool,
}

pub(super) struct Ended {
    pub(super) at: Moment,
    pub(super) by: Option<String>,
    pub(super) reason: Option<String>,
}

/// Data that the rows of a page share.
pub(super) struct Context<'a> {
    pub(super) emails: &'a HashMap<&'a MemberId, &'a str>,
    /// The actors that revoked keys, by key ID.
    pub(super) revokers: &'a HashMap<String, String>,
    /// The policy, if the list is about broken rules.
    pub(super) policy: Option<&'a Policy>,
    pub(super) apis: &'a [ServedApi],
    pub(super) now: Timestamp,
}

impl Row {
    /// `key` has its access in effect.
    pub(super) fn new(key: &ApiKey, context: &Context<'_>, spark: Option<Spark>, can_change: bool) -> Self {
        let now = context.now;
        let scopes = scopes(&key.grants, context.apis);
        let networks = if key.networks.is_none() { vec!["none".into()] } else { key.networks.to_strings() };
        let status = key.status(now);
        let soon = key.expires_at.filter(|end| is_within_days(*end, now, SOON) && status == Status::Active);
        Self {
            id: key.id.to_string(),
            name: display_name(key),
            hint: key.hint.clone(),
            status: status.into(),
            ended: match &key.lifecycle {
                Lifecycle::Revoked { at, reason } => Some(Ended {
                    at: Moment::from_now(*at, now),
                    by: context.revokers.get(key.id.as_str()).cloned(),
                    reason: reason.clone(),
                }),
                Lifecycle::Active | Lifecycle::Disabled { .. } => None,
            },
            more_scopes: scopes.len().saturating_sub(SHOWN),
            scopes: scopes.into_iter().take(SHOWN).map(|(api, scope)| (api, shorten(&scope))).collect(),
            is_open: !key.networks.is_restricted(),
            more_networks: networks.len().saturating_sub(SHOWN),
            networks: networks.into_iter().take(SHOWN).collect(),
            owner: match &key.owner {
                None => "Organization".into(),
                Some(owner) => {
                    context.emails.get(owner).map_or_else(|| "Removed member".into(), |email| (*email).into())
                }
            },
            last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
            last_used_ip: key.last_used_ip.clone(),
            expires: key
                .expires_at
                .map(|end| if soon.is_some() { Moment::at(end) } else { Moment::from_now(end, now) }),
            expires_soon: soon.map(|end| Badge::new(Tone::Warning, format!("Expires {}", format_distance(end, now)))),
            is_in_grace: key.previous.as_ref().is_some_and(|previous| previous.until > now),
            spark,
            broken: context.policy.map(|policy| broken(policy, key, now)).unwrap_or_default(),
            can_change: can_change && status != Status::Revoked,
        }
    }
}

/// Returns the scopes of the APIs that exist.
fn scopes(grants: &Grants, apis: &[ServedApi]) -> Vec<(Option<String>, String)> {
    let named = |(api, scopes): (&Api, &ScopeSet)| -> Vec<(Option<String>, String)> {
        let name = (!api.is_default()).then(|| api.name.to_string());
        scopes.iter().map(|scope| (name.clone(), scope.to_string())).collect()
    };
    in_order(grants, apis).flat_map(named).collect()
}

fn broken(policy: &Policy, key: &ApiKey, now: Timestamp) -> Vec<&'static str> {
    let settings = policy.violated_settings(key, now).into_iter().map(|(setting, _)| setting);
    settings.map(super::rule_label).collect()
}

/// Shortens a text to fit into a row. The key's page has all of it.
fn shorten(text: &str) -> String {
    let kept: String = text.chars().take(SHORT).collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}
