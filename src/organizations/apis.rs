//! APIs (resource servers) of an organization: creating, changing, deleting.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::crypto::random;
use crate::domain::apis::{Api, ApiId, ApiScope, TokenAlgorithm};
use crate::domain::attribute::Attributes;
use crate::domain::authority::ChangeContext;
use crate::domain::choices::{Algorithm, ScopeStyle, TokenType};
use crate::domain::scope::Scope;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
use crate::node::{Affects, ChangeError, Node, Tenant, Unavailable};
use crate::organizations::signing_keys::{RotateError, publish_algorithm};
use crate::store::{AuditEntry, Refused, action};

/// Maximum number of attempts of a change, if other changes come first.
const TRIES: usize = 16;

/// Reason why an API was not changed.
#[derive(Debug)]
pub enum ApiError {
    NotFound,
    Invalid(Vec<Violation>),
    /// The API has changed since the version that the caller expects.
    PreconditionFailed,
    /// The organization has the maximum number of APIs.
    LimitReached,
    /// The default API cannot be deleted.
    IsDefault,
    /// The algorithm was changed, and tokens of both algorithms may be valid until this time.
    AlgorithmChanging(Timestamp),
    /// The signing key of the algorithm cannot be created.
    SigningKey(RotateError),
    /// Other changes came first.
    Raced,
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A scope of an API, to be read in the API's style.
#[derive(Clone, Debug)]
pub struct ScopeText {
    pub scope: String,
    pub description: String,
}

/// Fields of a new API.
#[derive(Clone, Debug)]
pub struct NewApi {
    pub name: Slug,
    pub description: String,
    pub audience: String,
    pub style: ScopeStyle,
    pub scopes: Vec<ScopeText>,
    /// Scopes that can be granted to further keys; `None` for all.
    pub grantable: Option<Vec<String>>,
    pub token_ttl_seconds: Option<u32>,
    pub typ: Option<TokenType>,
    pub token_claims: Attributes,
    /// `None` for that of the default API.
    pub algorithm: Option<Algorithm>,
}

/// Fields that an edit sets; `None` keeps a field.
#[derive(Clone, Debug, Default)]
pub struct ApiEdit {
    pub name: Option<Slug>,
    pub description: Option<String>,
    /// `Some(None)` is the audience in the configuration, for the default API only.
    pub audience: Option<Option<String>>,
    pub scopes: Option<Vec<ScopeText>>,
    /// `Some(None)` allows all scopes to be granted.
    pub grantable: Option<Option<Vec<String>>>,
    pub token_ttl_seconds: Option<Option<u32>>,
    pub typ: Option<Option<TokenType>>,
    /// Replaces all custom claims of the API itself.
    pub token_claims: Option<Attributes>,
    /// Begins to sign when services that cache the JWKS know its key.
    pub algorithm: Option<Algorithm>,
}

/// Returns an organization's current state, with its APIs.
pub async fn read(node: &Node, organization: &Slug) -> Result<Arc<Tenant>, ApiError> {
    node.current_tenant(organization).await?.ok_or(ApiError::NotFound)
}

/// Returns the number of keys that are granted each API, without revoked ones.
pub async fn keys_of_apis(node: &Node, organization: &Slug) -> Result<Vec<(ApiId, u64)>, ApiError> {
    let tenant = read(node, organization).await?;
    Ok(node.store.keys_of_apis(organization, &tenant.shared).await?)
}

/// Creates an API. No key is granted it yet.
pub async fn create(node: &Node, organization: &Slug, by: &ChangeContext, new: NewApi) -> Result<Api, ApiError> {
    let scopes = parse_scopes(new.style, new.scopes)?;
    let tenant = read(node, organization).await?;
    let algorithm = match new.algorithm {
        Some(algorithm) => algorithm,
        None => tenant.default_algorithm(by.now).ok_or(ApiError::NotFound)?,
    };
    let grantable = new.grantable.map(|list| parse_grantable(new.style, &list)).transpose()?;
    let mut api = Api {
        id: ApiId::from_random(random::bytes()?),
        organization: organization.clone(),
        name: new.name,
        description: new.description,
        audience: Some(new.audience),
        style: new.style,
        scopes,
        grantable,
        token_ttl_seconds: new.token_ttl_seconds,
        typ: new.typ,
        token_claims: new.token_claims,
        algorithm: TokenAlgorithm::new(algorithm),
        version: 1,
        created_at: by.now,
    };
    check(&tenant, &api)?;
    for _ in 0..TRIES {
        publish_algorithm(node, organization, algorithm, by).await.map_err(ApiError::SigningKey)?;
        let tenant = read(node, organization).await?;
        check(&tenant, &api)?;
        let entry = AuditEntry::of(by, action::API_CREATE, api.id, None, Some(audit_value(&api)));
        let write = node.store.insert_api(&api, tenant.organization.changed_seq, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(api),
            Err(ChangeError::Refused(Refused::LimitReached)) => return Err(ApiError::LimitReached),
            Err(ChangeError::Refused(Refused::AlreadyExists)) => api.id = ApiId::from_random(random::bytes()?),
            Err(ChangeError::Refused(_)) => node.memory.tenants.forget(organization),
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ApiError::Raced)
}

/// Changes an API. What its tokens may carry is effective on every node when this returns, even if the API was the same before:
/// an earlier identical change may not have reached every node yet.
pub async fn edit(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &str,
    version: Option<u64>,
    edit: ApiEdit,
) -> Result<Api, ApiError> {
    let mut begins = None;
    for _ in 0..TRIES {
        // 1. The API, and its next state.
        let tenant = read(node, organization).await?;
        let old = find(&tenant, name)?;
        // An invalid edit is invalid whatever the version (RFC 9110 §13.2.1).
        let mut new = preview_edit(&tenant, old, edit.clone())?;
        if version.is_some_and(|version| version != old.version) {
            return Err(ApiError::PreconditionFailed);
        }
        if let Some(chosen) = edit.algorithm {
            let from = begins.unwrap_or(by.now);
            new.algorithm = old.algorithm.change(chosen, from, by.now).map_err(ApiError::AlgorithmChanging)?;
        }
        if new == *old {
            node.settle_organization(organization).await?;
            return Ok(new);
        }
        if let Some(chosen) = edit.algorithm.filter(|_| begins.is_none() && new.algorithm != old.algorithm) {
            // Its key must be known before an API has the algorithm.
            begins = Some(publish_algorithm(node, organization, chosen, by).await.map_err(ApiError::SigningKey)?);
            continue;
        }
        new.version += 1;

        // 2. The write, if nothing of the organization has changed since.
        let values = (audit_value(old), audit_value(&new));
        let entry = AuditEntry::of(by, action::API_EDIT, old.id, Some(values.0), Some(values.1));
        let write = node.store.update_api(&new, tenant.organization.changed_seq, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(new),
            Err(ChangeError::Refused(_)) => {
                // The key of the algorithm may have been deleted.
                begins = None;
                node.memory.tenants.forget(organization);
            }
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ApiError::Raced)
}

/// Returns the API as an edit would leave it, without writing it.
pub fn preview_edit(tenant: &Tenant, old: &Api, edit: ApiEdit) -> Result<Api, ApiError> {
    let scopes = edit.scopes.map(|scopes| parse_scopes(old.style, scopes)).transpose()?;
    let grantable = edit.grantable.map(|list| list.map(|list| parse_grantable(old.style, &list)).transpose());
    let mut new = Api {
        name: edit.name.unwrap_or_else(|| old.name.clone()),
        description: edit.description.unwrap_or_else(|| old.description.clone()),
        audience: edit.audience.unwrap_or_else(|| old.audience.clone()),
        scopes: scopes.unwrap_or_else(|| old.scopes.clone()),
        token_ttl_seconds: edit.token_ttl_seconds.unwrap_or(old.token_ttl_seconds),
        typ: edit.typ.unwrap_or(old.typ),
        token_claims: edit.token_claims.unwrap_or_else(|| old.token_claims.clone()),
        ..old.clone()
    };
    new.grantable = match (grantable, new.grantable.take()) {
        (Some(grantable), _) => grantable?,
        // A scope that is removed from the API can no longer be granted either.
        (None, kept) => kept.map(|list| list.into_iter().filter(|scope| new.has_scope(scope)).collect()),
    };
    if new == *old {
        return Ok(new);
    }
    if old.is_default() && new.name != old.name {
        return Err(ApiError::Invalid(vec![Violation::new("name", "the default API cannot be renamed")]));
    }
    check(tenant, &new)?;
    Ok(new)
}

/// The effect of a change of an API on keys that are not revoked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LostScopes {
    /// Number of keys that lose a scope.
    pub keys: u64,
    /// The scopes that keys lose, with the number of keys, in the order of the text.
    pub scopes: Vec<(String, u64)>,
}

/// Returns the scopes that keys lose by a change of an API.
pub async fn lost_scopes(node: &Node, tenant: &Tenant, old: &Api, new: &Api) -> Result<LostScopes, ApiError> {
    let mut lost = LostScopes::default();
    let mut by_scope: BTreeMap<String, u64> = BTreeMap::new();
    for granted in node.store.grants_of_api(old, &tenant.shared).await? {
        let gone: Vec<&Scope> = granted.iter().filter(|scope| old.has_scope(scope) && !new.has_scope(scope)).collect();
        lost.keys += u64::from(!gone.is_empty());
        for scope in gone {
            *by_scope.entry(scope.to_string()).or_default() += 1;
        }
    }
    lost.scopes = by_scope.into_iter().collect();
    Ok(lost)
}

/// Deletes an API. Every token for it is invalid on every node when this returns.
pub async fn delete(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    name: &str,
    version: Option<u64>,
) -> Result<(), ApiError> {
    for _ in 0..TRIES {
        let tenant = read(node, organization).await?;
        let old = match find(&tenant, name) {
            Ok(old) => old,
            Err(error) => {
                // A concurrent deletion must be effective before it is confirmed.
                node.settle_organization(organization).await?;
                return Err(error);
            }
        };
        if old.is_default() {
            return Err(ApiError::IsDefault);
        }
        if version.is_some_and(|version| version != old.version) {
            return Err(ApiError::PreconditionFailed);
        }
        let entry = AuditEntry::of(by, action::API_DELETE, old.id, Some(audit_value(old)), None);
        let write = node.store.delete_api(old, &entry);
        match node.change(&entry, Affects::Organization(organization), write).await {
            Ok(_) => return Ok(()),
            Err(ChangeError::Refused(_)) => node.memory.tenants.forget(organization),
            Err(ChangeError::Unavailable(cause)) => return Err(cause.into()),
        }
    }
    Err(ApiError::Raced)
}

/// Returns an API by its name.
pub fn find<'a>(tenant: &'a Tenant, name: &str) -> Result<&'a Api, ApiError> {
    let served = tenant.apis.iter().find(|served| served.api.name.as_str() == name);
    served.map(|served| &served.api).ok_or(ApiError::NotFound)
}

fn parse_scopes(style: ScopeStyle, scopes: Vec<ScopeText>) -> Result<Vec<ApiScope>, ApiError> {
    let mut violations = Vec::new();
    let mut parsed = Vec::with_capacity(scopes.len());
    for (index, ScopeText { scope, description }) in scopes.into_iter().enumerate() {
        match Scope::parse_as(style, &scope) {
            Ok(scope) => parsed.push(ApiScope { scope, description }),
            Err(error) => violations.push(Violation::new(format!("scopes[{index}]"), error)),
        }
    }
    if violations.is_empty() { Ok(parsed) } else { Err(ApiError::Invalid(violations)) }
}

fn parse_grantable(style: ScopeStyle, scopes: &[String]) -> Result<Vec<Scope>, ApiError> {
    let mut violations = Vec::new();
    let mut parsed = Vec::with_capacity(scopes.len());
    for (index, text) in scopes.iter().enumerate() {
        match Scope::parse_as(style, text) {
            Ok(scope) => parsed.push(scope),
            Err(error) => violations.push(Violation::new(format!("grantable_scopes[{index}]"), error)),
        }
    }
    if violations.is_empty() { Ok(parsed) } else { Err(ApiError::Invalid(violations)) }
}

fn check(tenant: &Tenant, api: &Api) -> Result<(), ApiError> {
    let others: Vec<Api> =
        tenant.apis.iter().filter(|served| served.api.id != api.id).map(|served| served.api.clone()).collect();
    let default = tenant.apis.iter().find(|served| served.api.is_default());
    let reserved: Vec<&str> = default
        .map(|served| std::iter::once(&served.audience).chain(&served.aliases).map(String::as_str).collect())
        .unwrap_or_default();
    let violations = api.validate(&others, &reserved);
    if violations.is_empty() { Ok(()) } else { Err(ApiError::Invalid(violations)) }
}

fn audit_value(api: &Api) -> Value {
    let (algorithm, next) = api.algorithm.to_stored();
    let scopes: Vec<String> = api.scopes.iter().map(|listed| listed.scope.to_string()).collect();
    json!({
        "name": api.name,
        "description": api.description,
        "audience": api.audience,
        "scope_style": api.style.as_str(),
        "scopes": scopes,
        "grantable_scopes": api.grantable.as_ref().map(|list| list.iter().map(Scope::to_string).collect::<Vec<_>>()),
        "token_ttl_seconds": api.token_ttl_seconds,
        "token_typ": api.typ.map(TokenType::as_str),
        "token_claims": api.token_claims,
        "algorithm": algorithm.as_str(),
        "next_algorithm": next.map(|next| next.algorithm.as_str()),
        "version": api.version,
    })
}
