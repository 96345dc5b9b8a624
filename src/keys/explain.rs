//! Explains why a key is allowed or denied: each check of the decision in order, with a sentence.

use std::fmt;
use std::net::IpAddr;

use crate::clock::rfc3339;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::apis::{ServedApi, find_audience, held_for_token, select};
use crate::domain::choices::ScopeStyle;
use crate::domain::claims::Audience;
use crate::domain::customer::Customer;
use crate::domain::decision::{self, Check, ClientAddress, DecisionInput, Finding, Proof, SecretMatch};
use crate::domain::key_text::KeyId;
use crate::domain::outcome::Denial;
use crate::domain::policy::Policy;
use crate::domain::profile::SharedAccess;
use crate::domain::scope::{Action, Scope, ScopeError, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{KeyError, load};
use crate::keys::explain_access::{lifetime, network};
use crate::node::Node;

/// The question to be explained.
#[derive(Clone, Debug)]
pub struct Question {
    /// Client address; `None` skips the check of the networks.
    pub address: Option<IpAddr>,
    /// The API that the request is for; `None` for the one that the key implies, or that the token is for.
    pub audience: Option<String>,
    /// Requested scope; `None` skips the check of the scopes.
    pub scope: Option<RequestedScope>,
    /// The token that was presented; `None` for the current secret.
    pub token: Option<PresentedToken>,
    pub at: Timestamp,
}

/// A scope as it was requested.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestedScope {
    Filter(Scope),
    /// To be read in the style of the API.
    Text(String),
}

impl RequestedScope {
    fn read(&self, style: ScopeStyle) -> Result<Scope, ScopeError> {
        match self {
            Self::Filter(scope) if style == ScopeStyle::Filters => Ok(scope.clone()),
            other => Scope::parse_as(style, &other.to_string()),
        }
    }
}

impl fmt::Display for RequestedScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(scope) => scope.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The claims of a token that concern its key. Its signature is not part of the question.
#[derive(Clone, PartialEq, Debug)]
pub struct PresentedToken {
    pub generation: u64,
    pub secret_version: u64,
    pub customer_generation: Option<u64>,
    pub issued_at: Timestamp,
    pub audience: Audience,
    /// Separated by spaces.
    pub scope: String,
    pub expires_at: Timestamp,
}

/// The result of all checks together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every check that applies to a request passed.
    Allowed,
    /// At least one check failed.
    Denied,
    /// No check failed, but some were skipped.
    Incomplete,
}

impl Verdict {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Incomplete => "incomplete",
        }
    }
}

/// The verdict and the result of each check.
#[derive(Debug)]
pub struct Explanation {
    pub verdict: Verdict,
    /// The denial of the first check that failed, which the client sees.
    pub denial: Option<Denial>,
    pub checks: Vec<ExplainedCheck>,
}

#[derive(Debug)]
pub struct ExplainedCheck {
    pub check: Check,
    /// The result.
    pub finding: Finding,
    /// The result as a sentence.
    pub detail: String,
}

/// Explains what the decision would be for a request with the key's correct secret, or with a token.
pub async fn explain(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    question: &Question,
) -> Result<Explanation, KeyError> {
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    let key = load(node, organization, id).await?;
    let customer = node.customer_of(&key).await?;
    let state = Holders { customer: customer.as_deref(), is_suspended: tenant.is_suspended() };
    let context = Context { apis: &tenant.apis, policy: &tenant.organization.policy, shared: &tenant.shared };
    Ok(build_explanation(&key, context, state, question))
}

/// The state of a key's organization.
#[derive(Clone, Copy)]
struct Context<'a> {
    apis: &'a [ServedApi],
    policy: &'a Policy,
    shared: &'a SharedAccess,
}

/// Whom a key belongs to, and whether their keys are denied.
#[derive(Clone, Copy)]
struct Holders<'a> {
    customer: Option<&'a Customer>,
    /// Whether the organization is suspended.
    is_suspended: bool,
}

/// The APIs of a question, and the key's scopes for them.
struct Asked {
    style: ScopeStyle,
    held: Result<ScopeSet, Denial>,
    /// Their names.
    apis: String,
}

impl Asked {
    fn new(key: &ApiKey, Context { apis, shared, .. }: Context<'_>, question: &Question) -> Self {
        let grants = shared.grants_of(key);
        let names =
            |apis: &[&ServedApi]| apis.iter().map(|served| served.api.name.as_str()).collect::<Vec<_>>().join(" and ");
        if let Some(token) = &question.token {
            let of: Vec<&ServedApi> =
                token.audience.iter().filter_map(|audience| Some(find_audience(apis, audience)?.0)).collect();
            return Self {
                style: of.first().map_or(ScopeStyle::Filters, |served| served.api.style),
                held: held_for_token(apis, &grants, &token.audience).ok_or(Denial::ApiNotGranted),
                apis: names(&of),
            };
        }
        let audiences: Vec<String> = question.audience.iter().cloned().collect();
        let requested = question.scope.as_ref().map(RequestedScope::to_string);
        match select(apis, &grants, &audiences, requested.as_deref()) {
            Ok(target) => Self {
                style: target.apis.first().map_or(ScopeStyle::Filters, |served| served.api.style),
                apis: names(&target.apis),
                held: Ok(target.scopes),
            },
            Err(error) => Self { style: ScopeStyle::Filters, held: Err(error.into()), apis: String::new() },
        }
    }
}

fn build_explanation(key: &ApiKey, context: Context<'_>, holders: Holders<'_>, question: &Question) -> Explanation {
    let (policy, shared) = (context.policy, context.shared);
    let asked = Asked::new(key, context, question);
    let requested = question.scope.as_ref().map(|scope| scope.read(asked.style)).transpose();
    let of_token =
        question.token.as_ref().map(|token| ScopeSet::parse_as(asked.style, &token.scope).unwrap_or_default());
    let held = match (&asked.held, &requested) {
        (Err(denial), _) => Err(denial.clone()),
        (_, Err(error)) => Err(Denial::MalformedScope(Box::new(error.clone()))),
        (Ok(held), Ok(_)) => Ok(held),
    };
    let requested = requested.ok().flatten();
    let scopes = requested.clone().and_then(|scope| ScopeSet::from_scopes([scope]).ok());
    let input = DecisionInput {
        // No secret is presented; a correct one is assumed and not reported as checked.
        proof: match (&question.token, &of_token) {
            (Some(token), Some(scopes)) => Proof::Token {
                generation: token.generation,
                secret_version: token.secret_version,
                customer_generation: token.customer_generation,
                issued_at: token.issued_at,
                scopes,
                is_known_within: false,
            },
            _ => Proof::Secret(SecretMatch::Current),
        },
        address: question.address.map_or(ClientAddress::NotTheCaller, ClientAddress::Known),
        scopes: scopes.as_ref(),
        held,
        customer: holders.customer,
        shared,
        is_suspended: holders.is_suspended,
    };
    let (_, trace) = decision::explain(key, &input, question.at);
    let mut checks: Vec<_> = trace
        .iter()
        .map(|(check, finding)| {
            let finding = if *check == Check::Secret { Finding::NotAsked } else { finding.clone() };
            ExplainedCheck {
                check: *check,
                detail: sentence((key, shared), &asked, question, *check, &finding),
                finding,
            }
        })
        .collect();
    if let (Some(scope), Some(scopes), Ok(held)) = (&requested, &scopes, &asked.held)
        && let Err(denial) = decision::check_actions(scopes, held, policy)
    {
        refuse_unknown_action(&mut checks, &denial, policy, scope);
    }
    // The times of a token are checked before anything else.
    let has_expired = question.token.as_ref().is_some_and(|token| token.expires_at <= question.at);
    let failed = checks.iter().find_map(|check| match &check.finding {
        Finding::Failed(denial) => Some(denial.clone()),
        Finding::Passed | Finding::NotAsked => None,
    });
    let denial = if has_expired { Some(Denial::TokenExpired) } else { failed };
    let verdict = match &denial {
        Some(_) => Verdict::Denied,
        None if question.address.is_none() || question.scope.is_none() => Verdict::Incomplete,
        None => Verdict::Allowed,
    };
    Explanation { verdict, denial, checks }
}

fn refuse_unknown_action(checks: &mut [ExplainedCheck], denial: &Denial, policy: &Policy, scope: &Scope) {
    for check in checks.iter_mut().filter(|check| check.check == Check::Scope) {
        check.finding = Finding::Failed(denial.clone());
        check.detail = format!(
            "the organization defines no action {}; allowed actions are {}",
            scope.action().map(Action::as_str).unwrap_or_default(),
            policy.describe_actions()
        );
    }
}

fn sentence(
    (key, shared): (&ApiKey, &SharedAccess),
    asked: &Asked,
    question: &Question,
    check: Check,
    finding: &Finding,
) -> String {
    match check {
        Check::Secret if question.token.is_some() => "applies to secrets only".into(),
        Check::Secret => "assumes the current secret".into(),
        Check::Revoked => match &key.lifecycle {
            Lifecycle::Revoked { at, .. } => format!("the key was revoked at {}", rfc3339(*at)),
            Lifecycle::Active | Lifecycle::Disabled { .. } => "the key is not revoked".into(),
        },
        Check::Expired => match key.expires_at {
            None => "the key has no expiry".into(),
            Some(end) if key.is_expired(question.at) => format!("the key expired at {}", rfc3339(end)),
            Some(end) => format!("the key expires at {}", rfc3339(end)),
        },
        Check::Disabled => match &key.lifecycle {
            Lifecycle::Disabled { at } => format!("the key has been disabled since {}", rfc3339(*at)),
            Lifecycle::Active | Lifecycle::Revoked { .. } => "the key is not disabled".into(),
        },
        Check::Customer => match finding {
            Finding::Failed(_) => "the customer of the key is suspended".into(),
            Finding::Passed => "the customer of the key is not suspended".into(),
            Finding::NotAsked => "the key has no customer".into(),
        },
        Check::Organization if matches!(finding, Finding::Failed(_)) => "the organization is suspended".into(),
        Check::Organization => "the organization is not suspended".into(),
        Check::Generation if question.token.is_some() => match finding {
            Finding::Failed(_) => {
                "the key was restricted or revoked, or its customer suspended, after this token was issued".into()
            }
            _ => "the token has the key's current generation".into(),
        },
        Check::SecretVersion if question.token.is_some() => match finding {
            Finding::Failed(_) => "the secret that this token was issued for no longer works".into(),
            _ => "the secret that this token was issued for works".into(),
        },
        Check::Generation => {
            format!("applies to tokens only: a token must have the key's current generation, {}", key.generation)
        }
        Check::SecretVersion => match key.grace_ends(question.at) {
            None => {
                format!(
                    "applies to tokens only: a token must have been issued for the key's current secret, version {}",
                    key.secret_version
                )
            }
            Some(end) => format!(
                "applies to tokens only: a token must have been issued for the key's current secret, version {}, or until {} for the previous one",
                key.secret_version,
                rfc3339(end)
            ),
        },
        Check::Lifetime => lifetime(key, shared, question),
        Check::Network => network(key, shared, question.address),
        Check::Scope => scope((key, shared), asked, question.scope.as_ref()),
    }
}

fn scope((key, shared): (&ApiKey, &SharedAccess), asked: &Asked, requested: Option<&RequestedScope>) -> String {
    let held = match &asked.held {
        Ok(held) => held,
        Err(Denial::ApiNotGranted) => {
            return "the key is no longer granted the API of this token, or the API was deleted".into();
        }
        Err(denial) => return denial.to_string(),
    };
    let Some(requested) = requested else {
        return format!("no action was given; the key's scopes{}: {}", of_api(&asked.apis), list(held));
    };
    let Ok(scope) = requested.read(asked.style) else { return format!("{requested} is not a valid scope") };
    if let Some(held) = held.iter().find(|held| held.contains(&scope)) {
        return format!("{requested} is covered by {held}");
    }
    let has_own = key.grants.scopes().any(|(_, own)| own.contains(&scope));
    let by = match key.profile.as_ref().filter(|profile| has_own && shared.profile(profile).is_some()) {
        Some(profile) => format!("; the key has it, but the profile {profile} does not"),
        None => String::new(),
    };
    format!("{requested} is not covered by the key's scopes{}: {}{by}", of_api(&asked.apis), list(held))
}

/// Names the APIs, unless it is the default one.
fn of_api(names: &str) -> String {
    if names == Slug::DEFAULT { String::new() } else { format!(" for {names}") }
}

fn list(scopes: &ScopeSet) -> String {
    if scopes.is_empty() {
        return "none".into();
    }
    scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::tests::key;
    use crate::domain::apis::Api;
    use crate::domain::choices::{Algorithm, TokenType};

    const NOBODY: Holders<'_> = Holders { customer: None, is_suspended: false };

    fn default_api() -> ServedApi {
        ServedApi {
            api: Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0)),
            audience: "https://api.example".into(),
            aliases: Vec::new(),
            ttl_seconds: 600,
            typ: TokenType::AtJwt,
            claims: Default::default(),
        }
    }

    fn explained(key: &ApiKey, shared: &SharedAccess, question: &Question) -> Explanation {
        let context = Context { apis: &[default_api()], policy: &Policy::default(), shared };
        build_explanation(key, context, NOBODY, question)
    }

    fn ask(key: &ApiKey, address: &str, scope: &str) -> (Verdict, Vec<String>) {
        let (address, scope) = (address.parse().ok(), Scope::parse(scope).ok());
        let scope = scope.map(RequestedScope::Filter);
        let question = Question { address, audience: None, scope, token: None, at: Timestamp::from_seconds(0) };
        let explanation = explained(key, &SharedAccess::empty(), &question);
        (explanation.verdict, explanation.checks.into_iter().map(|check| check.detail).collect())
    }

    #[test]
    fn sentences_state_matches_and_allowed_values() {
        let key = key("read:a/# write:b", &["10.0.0.0/8", "2001:db8::/32"]);
        let (verdict, said) = ask(&key, "::ffff:10.1.2.3", "read:a/x");
        assert_eq!(verdict, Verdict::Allowed);
        assert_eq!(said[9], "10.1.2.3 is in 10.0.0.0/8");
        assert_eq!(said[10], "read:a/x is covered by read:a/#");
        let (verdict, said) = ask(&key, "10.1.2.3", "read:b");
        assert_eq!(verdict, Verdict::Denied);
        assert_eq!(said[10], "read:b is not covered by the key's scopes: read:a/#, write:b");
    }

    #[test]
    fn every_failing_check_is_explained() {
        let key = key("read:a/# write:b", &["10.0.0.0/8", "2001:db8::/32"]);
        let (verdict, said) = ask(&key, "192.0.2.1", "read:b");
        assert_eq!(verdict, Verdict::Denied);
        assert_eq!(said[9], "192.0.2.1 is not in the allowed networks: 10.0.0.0/8, 2001:db8::/32");
        assert_eq!(said[10], "read:b is not covered by the key's scopes: read:a/#, write:b");
    }

    #[test]
    fn nothing_is_allowed_without_having_looked() {
        let key = key("read", &["10.0.0.0/8"]);
        for (address, scope) in [("", ""), ("10.0.0.1", ""), ("", "read:a")] {
            assert_eq!(ask(&key, address, scope).0, Verdict::Incomplete, "{address} {scope}");
        }
        assert_eq!(ask(&key, "192.0.2.1", "").0, Verdict::Denied);
    }

    #[test]
    fn tokens_are_compared_with_the_key() {
        let mut key = key("read", &[]);
        (key.generation, key.secret_version) = (2, 3);
        let ask = |generation, secret_version, expires_at| {
            let token = PresentedToken {
                generation,
                secret_version,
                customer_generation: None,
                issued_at: Timestamp::from_seconds(50),
                audience: Audience::One("https://api.example".into()),
                scope: "read".into(),
                expires_at: Timestamp::from_seconds(expires_at),
            };
            let at = Timestamp::from_seconds(100);
            let question = Question { address: None, audience: None, scope: None, token: Some(token), at };
            explained(&key, &SharedAccess::empty(), &question).denial
        };
        assert_eq!(ask(2, 3, 200), None);
        assert_eq!(ask(1, 3, 200), Some(Denial::TokenSuperseded));
        assert_eq!(ask(2, 2, 200), Some(Denial::TokenSuperseded));
        assert_eq!(ask(2, 3, 100), Some(Denial::TokenExpired));
    }
}
