//! The policy of an organization: reading it, what a change would affect, changing it.

use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::organization::Organization;
use crate::domain::policy::{Policy, Violation};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::node::{Affects, ChangeError, Node, Unavailable};
use crate::store::{AuditEntry, KeyFilter, action};

/// Keys named as examples of an effect.
const EXAMPLES: usize = 20;
/// Keys read at once.
const BATCH: u32 = 500;

/// Why a policy was not changed.
#[derive(Debug)]
pub enum PolicyError {
    /// No such organization.
    NotFound,
    /// Settings that are not as they should be.
    Invalid(Vec<Violation>),
    /// The policy was changed since the version that the caller saw.
    PreconditionFailed,
    /// Somebody else changed the policy at the same time.
    Raced,
    /// It could not be done now.
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for PolicyError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// What a policy would mean to keys that there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// The setting.
    pub setting: &'static str,
    /// What happens to those keys, and what does not.
    pub meaning: String,
    /// How many.
    pub count: u64,
    /// Some of them.
    pub examples: Vec<KeyId>,
}

/// How often a change without an expected version is tried again after another change came first.
const TRIES: usize = 16;

/// The organization with its policy, as it is stored.
pub async fn read(node: &Node, organization: &Slug) -> Result<Organization, PolicyError> {
    node.store.organization(organization).await?.ok_or(PolicyError::NotFound)
}

/// What a policy would mean to the keys that count now. Nothing is changed.
pub async fn effects(
    node: &Node,
    organization: &Slug,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Effect>, PolicyError> {
    let faults = policy.faults();
    if !faults.is_empty() {
        return Err(PolicyError::Invalid(faults));
    }
    let current = read(node, organization).await?.policy;
    let mut found = Effects::new(policy, now);
    let mut filter = KeyFilter { is_descending: false, limit: BATCH, ..KeyFilter::new(organization.clone(), now) };
    loop {
        let keys = node.store.keys(&filter).await?;
        for key in keys.iter().filter(|key| key.counts(now)) {
            found.look_at(key);
        }
        match keys.last() {
            Some(last) if keys.len() == BATCH as usize => filter.after = Some(filter.order.place(last)),
            _ => break,
        }
    }
    Ok(found.told(&current))
}

/// Replaces an organization's policy. It is in force on every node before this returns, also if it was in force already:
/// an earlier change to the same policy may not have reached every node yet.
pub async fn replace(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    version: Option<u64>,
    policy: Policy,
) -> Result<Organization, PolicyError> {
    let faults = policy.faults();
    if !faults.is_empty() {
        return Err(PolicyError::Invalid(faults));
    }
    for _ in 0..TRIES {
        // 1. The policy as it is stored: memory may be behind.
        let old = read(node, organization).await?;
        if version.is_some_and(|version| version != old.policy_version) {
            return Err(PolicyError::PreconditionFailed);
        }
        if policy == old.policy {
            node.settle_organization(organization).await?;
            return Ok(old);
        }

        // 2. The write, if the stored policy is still the same.
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

/// Counts, key by key, what a policy would mean.
struct Effects<'a> {
    policy: &'a Policy,
    now: Timestamp,
    keys: u64,
    found: Vec<Effect>,
    owners: std::collections::BTreeMap<MemberId, u64>,
}

impl<'a> Effects<'a> {
    fn new(policy: &'a Policy, now: Timestamp) -> Self {
        Self { policy, now, keys: 0, found: Vec::new(), owners: std::collections::BTreeMap::new() }
    }

    fn look_at(&mut self, key: &ApiKey) {
        self.keys += 1;
        if let Some(owner) = &key.owner {
            *self.owners.entry(owner.clone()).or_default() += 1;
        }
        for (setting, meaning) in self.policy.departures(key, self.now) {
            match self.found.iter_mut().find(|effect| effect.setting == setting) {
                Some(effect) => {
                    effect.count += 1;
                    if effect.examples.len() < EXAMPLES {
                        effect.examples.push(key.id);
                    }
                }
                None => self.found.push(Effect { setting, meaning: meaning.into(), count: 1, examples: vec![key.id] }),
            }
        }
    }

    fn told(mut self, current: &Policy) -> Vec<Effect> {
        let mut add = |setting, count: u64, meaning: String| {
            if count > 0 {
                self.found.push(Effect { setting, meaning, count, examples: Vec::new() });
            }
        };
        if let Some(limit) = self.policy.max_keys.filter(|limit| self.keys > u64::from(*limit)) {
            let over = self.keys - u64::from(limit);
            add("max_keys", over, format!("{} keys exist; they keep working, but no more can be created", self.keys));
        }
        if let Some(limit) = self.policy.max_keys_per_user {
            let over = self.owners.values().filter(|keys| **keys > u64::from(limit)).count() as u64;
            let meaning = "members over the limit; their keys keep working, but they cannot create more";
            add("max_keys_per_user", over, meaning.into());
        }
        let gone = current.audiences.iter().filter(|audience| !self.policy.audiences.contains(audience)).count() as u64;
        add("audiences", gone, "audiences that can no longer be requested".into());
        self.found
    }
}
