//! Grants as callers write them: APIs by name, scopes as texts.

use crate::domain::api_key::ApiKey;
use crate::domain::apis::{Api, ApiId, ServedApi};
use crate::domain::choices::ScopeStyle;
use crate::domain::grants::{Grant, Grants, MAX_GRANTS};
use crate::domain::key_text::KeyId;
use crate::domain::policy::{Policy, ProposedKey};
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Violation, ViolationKind};
use crate::keys::change::{KeyError, load};
use crate::node::{Node, Tenant};

/// The grants of a new or edited key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequestedGrants {
    /// Scopes for the default API.
    pub scopes: Option<ScopeSet>,
    /// All APIs that the key is granted; the default one can be among them if `scopes` is absent.
    pub apis: Option<Vec<RequestedGrant>>,
}

/// The scopes for one API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestedGrant {
    /// The API's name.
    pub api: String,
    pub scopes: Vec<String>,
}

impl RequestedGrants {
    /// Whether nothing is requested.
    pub fn is_absent(&self) -> bool {
        self.scopes.is_none() && self.apis.is_none()
    }

    /// Returns the field of the request that has a scope of an API.
    fn field_of(&self, api: &Api, scope: &Scope) -> String {
        let is_it = |text: &String| Scope::parse_as(api.style, text).is_ok_and(|parsed| parsed == *scope);
        let mut listed = self.apis.iter().flatten().enumerate();
        match listed.find(|(_, grant)| grant.api == api.name.as_str()) {
            Some((index, grant)) => match grant.scopes.iter().position(is_it) {
                Some(place) => format!("apis[{index}].scopes[{place}]"),
                None => format!("apis[{index}].scopes"),
            },
            None => match self.scopes.iter().flat_map(ScopeSet::iter).position(|listed| listed == scope) {
                Some(place) => format!("scopes[{place}]"),
                None => "scopes".into(),
            },
        }
    }

    /// Returns the grants of a key that has `current` ones. Reports every API and scope that does not exist.
    pub(crate) fn resolve(&self, apis: &[ServedApi], current: &Grants) -> Result<Grants, Vec<Violation>> {
        let Some(requested) = &self.apis else {
            return Ok(match &self.scopes {
                Some(scopes) => current.with(ApiId::DEFAULT, Some(scopes.clone())),
                None => current.clone(),
            });
        };
        let mut violations = Vec::new();
        if requested.len() > MAX_GRANTS {
            violations.push(Violation::new("apis", ViolationKind::EntryCount { least: 0, most: MAX_GRANTS }));
            return Err(violations);
        }
        let mut grants: Vec<Grant> =
            self.scopes.iter().map(|scopes| Grant { api: ApiId::DEFAULT, scopes: scopes.clone() }).collect();
        for (index, RequestedGrant { api, scopes }) in requested.iter().enumerate() {
            let field = format!("apis[{index}]");
            let Some(served) = apis.iter().find(|served| served.api.name.as_str() == *api) else {
                let names: Vec<&str> = apis.iter().map(|served| served.api.name.as_str()).collect();
                let text = format!("no such API; there are {}", names.join(", "));
                violations.push(Violation::new(format!("{field}.api"), ViolationKind::Other(text)));
                continue;
            };
            if grants.iter().any(|grant| grant.api == served.api.id) {
                let text = format!("{api} is granted twice");
                violations.push(Violation::new(format!("{field}.api"), ViolationKind::Other(text)));
                continue;
            }
            let mut parsed = Vec::new();
            for (place, text) in scopes.iter().enumerate() {
                match Scope::parse_as(served.api.style, text) {
                    Ok(scope) => parsed.push(scope),
                    Err(error) => violations.push(Violation::new(format!("{field}.scopes[{place}]"), error)),
                }
            }
            match ScopeSet::from_scopes(parsed) {
                Ok(scopes) => grants.push(Grant { api: served.api.id, scopes }),
                Err(error) => violations.push(Violation::new(format!("{field}.scopes"), error)),
            }
        }
        if violations.is_empty() { Ok(Grants::new(grants)) } else { Err(violations) }
    }
}

/// Returns the grants that a key would have in effect with others of its own. Reports every API and scope that does not exist.
pub async fn resolve_grants(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    requested: &RequestedGrants,
) -> Result<Grants, KeyError> {
    let key = load(node, organization, id).await?;
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    let grants = requested.resolve(&tenant.apis, &key.grants).map_err(KeyError::Invalid)?;
    Ok(tenant.shared.grants_of(&ApiKey { grants, ..key }).into_owned())
}

/// Returns the grants with the scopes that their APIs still have.
fn existing(grants: &Grants, apis: &[ServedApi]) -> Grants {
    let kept = |grant: &Grant| {
        let served = apis.iter().find(|served| served.api.id == grant.api)?;
        Some(Grant { api: grant.api, scopes: served.api.effective(&grant.scopes) })
    };
    Grants::new(grants.iter().filter_map(kept))
}

/// Returns why a key cannot be given a profile of its organization: the scopes that it would have and cannot be granted, and the
/// rules of the policy for the scopes of a key.
pub fn violations_of_profile(tenant: &Tenant, key: &ApiKey, profile: &Slug, now: Timestamp) -> Vec<Violation> {
    let next = ApiKey { profile: Some(profile.clone()), ..key.clone() };
    let (held, granted) = (tenant.shared.grants_of(key), tenant.shared.grants_of(&next));
    let proposed = ProposedKey { grants: Some(&granted), held: Some(&held), ..ProposedKey::default() };
    let mut violations = tenant.organization.policy.violations(&proposed, now);
    violations.extend(violations_of(&RequestedGrants::default(), (&next.grants, &granted), &held, tenant));
    violations
}

/// Returns the scopes that a key cannot be granted: those of its own that their APIs do not have, and those that it would have
/// in effect although they cannot be granted. `held` are those that it has in effect before.
pub(super) fn violations_of(
    requested: &RequestedGrants,
    (own, effective): (&Grants, &Grants),
    held: &Grants,
    tenant: &Tenant,
) -> Vec<Violation> {
    let (apis, policy) = (&tenant.apis, &tenant.organization.policy);
    let mut violations = missing_scopes(requested, own, held, apis, policy);
    for violation in missing_scopes(requested, &existing(effective, apis), held, apis, policy) {
        if !violations.contains(&violation) {
            violations.push(violation);
        }
    }
    violations
}

/// Returns the requested scopes that cannot be granted because their API does not have them, or does not allow them to be granted.
/// Scopes that the key holds can be kept.
pub(crate) fn missing_scopes(
    requested: &RequestedGrants,
    grants: &Grants,
    held: &Grants,
    apis: &[ServedApi],
    policy: &Policy,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for grant in grants.iter() {
        let Some(served) = apis.iter().find(|served| served.api.id == grant.api) else { continue };
        let api = &served.api;
        for scope in grant.scopes.iter() {
            if held.get(grant.api).is_some_and(|held| held.contains(scope)) {
                continue;
            }
            let field = requested.field_of(api, scope);
            if !api.has_scope(scope) {
                let text = format!("{scope} is not a scope of the API {}", api.name);
                violations.push(Violation::new(field, ViolationKind::Other(text)));
            } else if api.style == ScopeStyle::Filters
                && !api.is_default()
                && let Some(action) = scope.action().filter(|action| !policy.has_action(action))
            {
                let kind = ViolationKind::UnknownAction { action: action.clone(), allowed: policy.actions.clone() };
                violations.push(Violation::new(field, kind));
            } else if !api.is_grantable(scope) {
                let grantable = api.grantable.clone().unwrap_or_default();
                let kind = ViolationKind::NotGrantable {
                    scope: Box::new(scope.clone()),
                    grantable,
                    api: Some(api.name.clone()),
                };
                violations.push(Violation::new(field, kind));
            }
        }
    }
    violations
}
