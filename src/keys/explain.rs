//! Explains why a key is allowed or denied: each check of the decision in order, with a sentence.

use std::net::IpAddr;

use crate::clock::rfc3339;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::decision::{self, Check, ClientAddress, DecisionInput, Finding, Proof, SecretMatch};
use crate::domain::key_text::KeyId;
use crate::domain::networks::Networks;
use crate::domain::outcome::Denial;
use crate::domain::policy::Policy;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::change::{KeyError, load};
use crate::node::Node;

/// The question to be explained.
#[derive(Clone, Debug)]
pub struct Question {
    /// Client address; `None` skips the check of the networks.
    pub address: Option<IpAddr>,
    /// Requested scope; `None` skips the check of the scopes.
    pub scope: Option<Scope>,
    pub at: Timestamp,
}

/// The decision and the result of each check.
#[derive(Debug)]
pub struct Explanation {
    /// Whether no check failed.
    pub is_allowed: bool,
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

/// Explains what the decision would be for a request with the key's correct secret.
pub async fn explain(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    question: &Question,
) -> Result<Explanation, KeyError> {
    let tenant = node.current_tenant(organization).await?.ok_or(KeyError::NotFound)?;
    let key = load(node, organization, id).await?;
    Ok(build_explanation(&key, &tenant.organization.policy, tenant.is_suspended(), question))
}

fn build_explanation(key: &ApiKey, policy: &Policy, is_suspended: bool, question: &Question) -> Explanation {
    let scopes = question.scope.clone().and_then(|scope| ScopeSet::from_scopes([scope]).ok());
    let input = DecisionInput {
        // No secret is presented; a correct one is assumed and not reported as checked.
        proof: Proof::Secret(SecretMatch::Current),
        address: question.address.map_or(ClientAddress::NotTheCaller, ClientAddress::Known),
        scopes: scopes.as_ref(),
        is_suspended,
    };
    let (decided, trace) = decision::explain(key, &input, question.at);
    let checks = trace.iter().map(|(check, finding)| {
        let finding = if *check == Check::Secret { Finding::NotAsked } else { finding.clone() };
        ExplainedCheck { check: *check, detail: sentence(key, question, *check, &finding), finding }
    });
    let mut explanation = Explanation { is_allowed: decided.is_ok(), checks: checks.collect() };
    if let (Some(scope), Some(scopes)) = (&question.scope, &scopes)
        && let Err(denial) = decision::check_actions(scopes, &key.scopes, policy)
    {
        refuse_unknown_action(&mut explanation, &denial, policy, scope);
    }
    explanation
}

fn refuse_unknown_action(explanation: &mut Explanation, denial: &Denial, policy: &Policy, scope: &Scope) {
    for check in &mut explanation.checks {
        if check.check == Check::Scope && check.finding != Finding::NotReached {
            explanation.is_allowed = false;
            check.finding = Finding::Failed(denial.clone());
            check.detail = format!(
                "the organization defines no action {}; allowed actions are {}",
                scope.action(),
                policy.describe_actions()
            );
        }
    }
}

fn sentence(key: &ApiKey, question: &Question, check: Check, finding: &Finding) -> String {
    if *finding == Finding::NotReached {
        return "an earlier check failed".into();
    }
    match check {
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
        Check::Organization if matches!(finding, Finding::Failed(_)) => "the organization is suspended".into(),
        Check::Organization => "the organization is not suspended".into(),
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
        Check::Network => network(&key.networks, question.address),
        Check::Scope => scope(&key.scopes, question.scope.as_ref()),
    }
}

fn network(networks: &Networks, address: Option<IpAddr>) -> String {
    let allowed = networks.to_strings().join(", ");
    let Some(address) = address.map(crate::domain::networks::fold) else {
        return "no IP address was given".into();
    };
    match networks.iter().find(|network| network.contains(&address)) {
        _ if networks.iter().len() == 0 => "any address is allowed".to_owned(),
        Some(network) => format!("{address} is in {network}"),
        None => format!("{address} is not in the allowed networks: {allowed}"),
    }
}

fn scope(held: &ScopeSet, requested: Option<&Scope>) -> String {
    let Some(requested) = requested else {
        return format!("no action was given; the key's scopes: {}", list(held));
    };
    match held.iter().find(|scope| scope.contains(requested)) {
        Some(scope) => format!("{requested} is covered by {scope}"),
        None => format!("{requested} is not covered by the key's scopes: {}", list(held)),
    }
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

    fn details(key: &ApiKey, address: &str, scope: &str) -> (bool, Vec<String>) {
        let question =
            Question { address: address.parse().ok(), scope: Scope::parse(scope).ok(), at: Timestamp::from_seconds(0) };
        let explanation = build_explanation(key, &Policy::default(), false, &question);
        (explanation.is_allowed, explanation.checks.into_iter().map(|check| check.detail).collect())
    }

    #[test]
    fn sentences_state_matches_and_allowed_values() {
        let key = key("read:a/# write:b", &["10.0.0.0/8", "2001:db8::/32"]);
        let (allowed, said) = details(&key, "::ffff:10.1.2.3", "read:a/x");
        assert!(allowed);
        assert_eq!(said[7], "10.1.2.3 is in 10.0.0.0/8");
        assert_eq!(said[8], "read:a/x is covered by read:a/#");
        let (allowed, said) = details(&key, "10.1.2.3", "read:b");
        assert!(!allowed);
        assert_eq!(said[8], "read:b is not covered by the key's scopes: read:a/#, write:b");
        let (allowed, said) = details(&key, "192.0.2.1", "read:b");
        assert!(!allowed);
        assert_eq!(said[7], "192.0.2.1 is not in the allowed networks: 10.0.0.0/8, 2001:db8::/32");
        assert_eq!(said[8], "an earlier check failed");
    }
}
