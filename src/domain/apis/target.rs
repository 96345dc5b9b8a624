//! Which APIs a token request or a presented credential is for, and the scopes that the key has there.

use crate::domain::apis::{ApiId, ServedApi, find_audience};
use crate::domain::attribute::Attributes;
use crate::domain::choices::{Algorithm, TokenType};
use crate::domain::claims::Audience;
use crate::domain::grants::Grants;
use crate::domain::outcome::Denial;
use crate::domain::scope::{ScopeError, ScopeSet};
use crate::domain::timestamp::Timestamp;

/// The APIs that a request is for.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The APIs, at least one, without duplicates. All of them have the same style of scopes.
    pub apis: Vec<&'a ServedApi>,
    /// The audiences by which they were requested, in the configured spelling.
    pub audiences: Vec<&'a str>,
    /// The scopes that the key has for each of the APIs.
    pub scopes: ScopeSet,
}

/// Why a request has no target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetError {
    /// The organization has no API with a requested audience, or the key is not granted it.
    NotGranted,
    /// No audience was requested, and the key is granted several APIs, or none.
    AudienceRequired,
    /// The requested APIs differ in the style of their scopes, or the type, algorithm or custom claims of their tokens, so no
    /// token fits all of them.
    Mixed,
}

impl From<TargetError> for Denial {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::NotGranted => Self::AudienceNotAllowed,
            TargetError::AudienceRequired => Self::AudienceRequired,
            TargetError::Mixed => Self::AudiencesMixed,
        }
    }
}

/// Selects the APIs of a request among those granted to the key.
///
/// Without an audience it is the key's only API; else the only one whose scopes contain all of the requested ones; else the
/// default API.
pub fn select<'a>(
    apis: &'a [ServedApi],
    grants: &Grants,
    audiences: &[String],
    requested: Option<&str>,
) -> Result<Target<'a>, TargetError> {
    if audiences.is_empty() {
        let api = implied(apis, grants, requested).ok_or(TargetError::AudienceRequired)?;
        let scopes = effective(api, grants).ok_or(TargetError::NotGranted)?;
        return Ok(Target { apis: vec![api], audiences: vec![&api.audience], scopes });
    }
    let mut target: Option<Target<'a>> = None;
    for audience in audiences {
        let (api, spelling) = find_audience(apis, audience).ok_or(TargetError::NotGranted)?;
        let scopes = effective(api, grants).ok_or(TargetError::NotGranted)?;
        match &mut target {
            None => target = Some(Target { apis: vec![api], audiences: vec![spelling], scopes }),
            Some(target) => target.add(api, spelling, &scopes)?,
        }
    }
    target.ok_or(TargetError::AudienceRequired)
}

/// Returns the scopes that the key has now for each API of a token's audience. `None` if the organization no longer has one of
/// the APIs, or the key is no longer granted it.
pub fn held_for_token(apis: &[ServedApi], grants: &Grants, audience: &Audience) -> Option<ScopeSet> {
    let mut held: Option<ScopeSet> = None;
    for audience in audience.iter() {
        let (api, _) = find_audience(apis, audience)?;
        let scopes = effective(api, grants)?;
        held = Some(match held {
            None => scopes,
            Some(earlier) => earlier.common(&scopes),
        });
    }
    held
}

impl<'a> Target<'a> {
    /// Parses requested scopes in the style of the APIs.
    pub fn parse_scopes(&self, text: &str) -> Result<ScopeSet, ScopeError> {
        match self.apis.first() {
            Some(api) => ScopeSet::parse_as(api.api.style, text),
            None => ScopeSet::parse(text),
        }
    }

    /// Lifetime of a token for all of the APIs.
    pub fn ttl_seconds(&self) -> u32 {
        self.apis.iter().map(|api| api.ttl_seconds).min().unwrap_or_default()
    }

    /// The `typ` header of a token for the APIs.
    pub fn typ(&self) -> TokenType {
        self.apis.first().map_or(TokenType::AtJwt, |api| api.typ)
    }

    /// The custom claims of a token for the APIs.
    pub fn claims(&self) -> Option<&'a Attributes> {
        self.apis.first().map(|api| &api.claims).filter(|claims| !claims.is_empty())
    }

    /// The algorithm that signs a token for the APIs at `now`.
    pub fn algorithm(&self, now: Timestamp) -> Result<Algorithm, TargetError> {
        let mut algorithms = self.apis.iter().map(|api| api.api.algorithm.at(now));
        let first = algorithms.next().ok_or(TargetError::AudienceRequired)?;
        if algorithms.all(|other| other == first) { Ok(first) } else { Err(TargetError::Mixed) }
    }

    /// The `aud` claim.
    pub fn audience(&self) -> Audience<&'a str> {
        Audience::from_list(self.audiences.clone())
    }

    /// Whether the default API is one of them.
    pub fn has_default(&self) -> bool {
        self.apis.iter().any(|api| api.api.id == ApiId::DEFAULT)
    }

    fn add(&mut self, api: &'a ServedApi, spelling: &'a str, scopes: &ScopeSet) -> Result<(), TargetError> {
        if !self.audiences.contains(&spelling) {
            self.audiences.push(spelling);
        }
        if self.apis.iter().any(|known| known.api.id == api.api.id) {
            return Ok(());
        }
        let is_same_kind =
            |first: &&ServedApi| (first.api.style, first.typ, &first.claims) == (api.api.style, api.typ, &api.claims);
        if !self.apis.first().is_none_or(is_same_kind) {
            return Err(TargetError::Mixed);
        }
        self.apis.push(api);
        self.scopes = self.scopes.common(scopes);
        Ok(())
    }
}

/// Returns the API of a request without an audience.
fn implied<'a>(apis: &'a [ServedApi], grants: &Grants, requested: Option<&str>) -> Option<&'a ServedApi> {
    let granted = || apis.iter().filter(|api| grants.get(api.api.id).is_some());
    let mut all = granted();
    let first = all.next()?;
    if all.next().is_none() {
        return Some(first);
    }
    let has_all = |api: &&ServedApi| {
        let scopes = requested.and_then(|text| ScopeSet::parse_as(api.api.style, text).ok());
        let held = effective(api, grants).unwrap_or_default();
        scopes.is_some_and(|scopes| !scopes.is_empty() && held.contains_all(&scopes))
    };
    let default = || granted().find(|api| api.api.is_default());
    let mut fitting = granted().filter(has_all);
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Some(only),
        _ => default(),
    }
}

fn effective(api: &ServedApi, grants: &Grants) -> Option<ScopeSet> {
    grants.get(api.api.id).map(|granted| api.api.effective(granted))
}
