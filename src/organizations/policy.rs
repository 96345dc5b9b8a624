//! An organization's policy: reading and changing it, and the effects of a change.

use std::collections::BTreeMap;

use crate::domain::api_key::ApiKey;
use crate::domain::audience::is_same;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::organization::Organization;
use crate::domain::policy::{Policy, Violation};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Affects, ChangeError, Node, Unavailable};
use crate::store::{AuditEntry, KeyFilter, action};

/// Maximum number of example keys per effect.
const EXAMPLES: usize = 20;
/// Keys per read.
const BATCH: u32 = 500;

/// Reason why a policy was not changed.
#[derive(Debug)]
pub enum PolicyError {
    NotFound,
    Invalid(Vec<Violation>),
    /// The policy has changed since the version that the caller expects.
    PreconditionFailed,
    /// The policy changed at the same time.
    Raced,
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for PolicyError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Effect of a policy on existing keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    pub setting: &'static str,
    /// Description of the effect.
    pub description: String,
    pub count: u64,
    /// Other settings that all of these keys violate as well.
    pub also: Vec<&'static str>,
    pub examples: Vec<AffectedKey>,
}

/// A key that a policy affects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AffectedKey {
    pub id: KeyId,
    pub name: String,
    pub owner: Option<MemberId>,
    pub last_used_at: Option<Timestamp>,
}

impl From<&ApiKey> for AffectedKey {
    fn from(key: &ApiKey) -> Self {
        Self { id: key.id, name: key.name.clone(), owner: key.owner.clone(), last_used_at: key.last_used_at }
    }
}

/// Maximum number of attempts of a change without an expected version, if other changes come first.
const TRIES: usize = 16;

/// Returns the stored organization.
pub async fn read(node: &Node, organization: &Slug) -> Result<Organization, PolicyError> {
    node.store.organization(organization).await?.ok_or(PolicyError::NotFound)
}

/// Returns the effects of a policy on the current keys, without changing anything.
pub async fn effects(
    node: &Node,
    organization: &Slug,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Effect>, PolicyError> {
    let violations = policy.validate();
    if !violations.is_empty() {
        return Err(PolicyError::Invalid(violations));
    }
    let tenant = node.current_tenant(organization).await?.ok_or(PolicyError::NotFound)?;
    let mut effects = Effects::new(policy, now);
    let mut filter = KeyFilter { is_descending: false, limit: BATCH, ..KeyFilter::new(organization.clone(), now) };
    loop {
        let keys = node.store.keys(&filter).await?;
        for key in keys.iter().filter(|key| key.counts(now)) {
            effects.add_key(&tenant.shared.effective(key));
        }
        match keys.last() {
            Some(last) if keys.len() == BATCH as usize => filter.after = Some(filter.order.cursor(last)),
            _ => break,
        }
    }
    Ok(effects.finish(&tenant.organization.policy))
}

/// Replaces an organization's policy. It is effective on every node when this returns, even if it was the same before:
/// an earlier identical change may not have reached every node yet.
pub async fn replace(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    version: Option<u64>,
    policy: Policy,
) -> Result<Organization, PolicyError> {
    let violations = policy.validate();
    if !violations.is_empty() {
        return Err(PolicyError::Invalid(violations));
    }
    for _ in 0..TRIES {
        // 1. The stored policy, because memory may be outdated.
        let old = read(node, organization).await?;
        let apis = node.store.apis(organization).await?;
        let of_an_api = |audience: &String| {
            apis.iter().find(|api| api.audience.as_ref().is_some_and(|taken| is_same(taken, audience)))
        };
        if let Some(api) = policy.audiences.iter().find_map(of_an_api) {
            let text =
                format!("{} is the audience of the API {}", api.audience.as_deref().unwrap_or_default(), api.name);
            return Err(PolicyError::Invalid(vec![Violation::new("audiences", text)]));
        }
        if version.is_some_and(|version| version != old.policy_version) {
            return Err(PolicyError::PreconditionFailed);
        }
        if policy == old.policy {
            node.settle_organization(organization).await?;
            return Ok(old);
        }

        // 2. The write, if the stored policy is unchanged.
        let new = Organization { policy: policy.clone(), policy_version: old.policy_version + 1, ..old.clone() };
        let value = |policy: &Policy| serde_json::to_value(policy).ok();
        let entry = AuditEntry::of(by, action::POLICY_CHANGE, organization, value(&old.policy), value(&new.policy));
        let write = node.store.update_policy(&new, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(new),
            Err(ChangeError::Refused(_)) if version.is_some() => return Err(PolicyError::PreconditionFailed),
            Err(ChangeError::Refused(_)) => {}
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(PolicyError::Raced)
}

/// Collects the effects of a policy, key by key.
struct Effects<'a> {
    policy: &'a Policy,
    now: Timestamp,
    keys: u64,
    effects: Vec<Effect>,
    /// By two settings, the keys that violate both.
    together: BTreeMap<(&'static str, &'static str), u64>,
    owners: BTreeMap<MemberId, u64>,
}

impl<'a> Effects<'a> {
    fn new(policy: &'a Policy, now: Timestamp) -> Self {
        Self { policy, now, keys: 0, effects: Vec::new(), together: BTreeMap::new(), owners: BTreeMap::new() }
    }

    fn add_key(&mut self, key: &ApiKey) {
        self.keys += 1;
        if let Some(owner) = &key.owner {
            *self.owners.entry(owner.clone()).or_default() += 1;
        }
        let violated = self.policy.violated_settings(key, self.now);
        for (setting, description) in &violated {
            for (other, _) in violated.iter().filter(|(other, _)| other != setting) {
                *self.together.entry((setting, other)).or_default() += 1;
            }
            match self.effects.iter_mut().find(|effect| effect.setting == *setting) {
                Some(effect) => {
                    effect.count += 1;
                    if effect.examples.len() < EXAMPLES {
                        effect.examples.push(key.into());
                    }
                }
                None => self.effects.push(Effect {
                    setting,
                    description: (*description).into(),
                    count: 1,
                    also: Vec::new(),
                    examples: vec![key.into()],
                }),
            }
        }
    }

    fn finish(mut self, current: &Policy) -> Vec<Effect> {
        for effect in &mut self.effects {
            let all =
                self.together.iter().filter(|((one, _), count)| *one == effect.setting && **count == effect.count);
            effect.also = all.map(|((_, other), _)| *other).collect();
        }
        let mut add = |setting, count: u64, description: String| {
            if count > 0 {
                self.effects.push(Effect { setting, description, count, also: Vec::new(), examples: Vec::new() });
            }
        };
        if let Some(limit) = self.policy.max_keys.filter(|limit| self.keys > u64::from(*limit)) {
            let over = self.keys - u64::from(limit);
            add("max_keys", over, format!("{} keys exist; they keep working, but no more can be created", self.keys));
        }
        if let Some(limit) = self.policy.max_keys_per_user {
            let over = self.owners.values().filter(|keys| **keys > u64::from(limit)).count() as u64;
            let description = "members over the limit; their keys keep working, but they cannot create more";
            add("max_keys_per_user", over, description.into());
        }
        let removed =
            current.audiences.iter().filter(|audience| !self.policy.audiences.contains(audience)).count() as u64;
        add("audiences", removed, "audiences that can no longer be requested".into());
        self.effects
    }
}
