//! Finds the keys that a pasted text refers to: by a secret, a token, an ID or the end of a secret. Nothing is used: no use
//! is counted, and no credential is accepted.

use crate::domain::api_key::{ApiKey, Status};
use crate::domain::apis::held_for_token;
use crate::domain::authority::ChangeContext;
use crate::domain::clue::{Clue, clues, last_four_of};
use crate::domain::customer::Customer;
use crate::domain::decision::SecretMatch;
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::outcome::Denial;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::KeyError;
use crate::node::{Affects, ChangeError, Node, Unavailable};
use crate::store::{AuditEntry, KeyFilter, RevokedToken, action};
use crate::tokens::secret_check::compare_only;
use crate::verification::{Refusal, Subject, Tenant, VerifiedToken};

/// Maximum number of keys with the same last four characters.
const SAME_END: u32 = 10;
/// Maximum lifetime of a token, and how long a revoked token is remembered after its expiry, in seconds.
const LONGEST_LIFE: i64 = 3600;
const KEPT_SECONDS: i64 = 60;

/// A key that a text refers to.
#[derive(Debug)]
pub struct Finding {
    pub key: ApiKey,
    pub by: FoundBy,
}

/// The part of the text that refers to the key.
#[derive(Debug)]
pub enum FoundBy {
    KeyId,
    LastFour,
    Secret {
        /// Whether the checksum matches. `None` if the text is not a complete secret.
        checksum: Option<bool>,
        state: SecretState,
    },
    Token {
        jti: String,
        expires_at: Timestamp,
        /// Unknown if only a part of the token was sent.
        scopes: Option<ScopeSet>,
        state: TokenState,
    },
}

/// Which of a key's secrets it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecretState {
    Current,
    /// Works until the end of the grace period.
    Previous,
    /// Neither of the two: an earlier secret, or an invented one.
    Other,
    /// Only the last four characters are known, and they are those of the current secret.
    ProbablyCurrent,
    /// The caller cannot manage the key, or the text is not a complete secret, or only the next request can decide.
    NotChecked,
}

/// Whether a token is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenState {
    Valid,
    Expired,
    /// Revoked by itself.
    Revoked,
    /// Its key was revoked, disabled, restricted, or rotated.
    KeyChanged,
    /// Only a part of it was sent, so its signature cannot be checked. Not revoked by itself.
    NotVerified,
}

/// Returns the keys of an organization that a text refers to. `can_manage` is whether the caller may manage keys at all;
/// secrets are compared only for keys that it may manage.
pub async fn lookup(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    can_manage: bool,
    text: &str,
) -> Result<Vec<Finding>, Unavailable> {
    let mut found = Vec::new();
    for clue in clues(text) {
        match clue {
            Clue::Key(id) => {
                let key = stored(node, organization, &id).await?;
                found.extend(key.map(|key| Finding { key, by: FoundBy::KeyId }));
            }
            Clue::LastFour(last) => {
                let filter = KeyFilter {
                    search: Some(last.to_owned()),
                    limit: SAME_END,
                    ..KeyFilter::new(organization.clone(), by.now)
                };
                let keys = node.store.keys(&filter).await?.into_iter().filter(|key| key.hint.ends_with(last));
                found.extend(keys.map(|key| Finding { key, by: FoundBy::LastFour }));
            }
            Clue::Secret { id, text } => {
                let Some(key) = stored(node, organization, &id).await? else { continue };
                let may_check = can_manage && by.may_manage_key_of(key.owner.as_ref());
                let secret = secret_finding(node, &key, text, may_check, by.now);
                found.push(Finding { key, by: secret });
            }
            Clue::SecretPart { id, last_four, checksum } => {
                let Some(key) = stored(node, organization, &id).await? else { continue };
                let state = match key.hint.ends_with(last_four) {
                    true if checksum == Some(true) => SecretState::ProbablyCurrent,
                    true => SecretState::NotChecked,
                    false => SecretState::Other,
                };
                found.push(Finding { key, by: FoundBy::Secret { checksum, state } });
            }
            Clue::Token(token) => found.extend(token_finding(node, organization, token, by.now).await?),
            Clue::TokenPart { key, jti, expires_at } => {
                let Some(key) = stored(node, organization, &key).await? else { continue };
                let expires_at = Timestamp::from_seconds(expires_at);
                let state = match expires_at {
                    end if end <= by.now => TokenState::Expired,
                    _ if node.store.is_token_revoked(jti).await? => TokenState::Revoked,
                    _ => TokenState::NotVerified,
                };
                let by = FoundBy::Token { jti: jti.to_owned(), expires_at, scopes: None, state };
                found.push(Finding { key, by });
            }
        }
    }
    Ok(found)
}

async fn stored(node: &Node, organization: &Slug, id: &KeyId) -> Result<Option<ApiKey>, Unavailable> {
    Ok(node.store.key(id).await?.filter(|key| key.organization == *organization))
}

fn secret_finding(node: &Node, key: &ApiKey, text: &str, may_check: bool, now: Timestamp) -> FoundBy {
    let is_complete = last_four_of(text).is_some();
    let parsed = KeyText::parse(text);
    let checksum = is_complete.then_some(parsed.is_ok());
    let state = match parsed {
        Ok(parsed) if may_check => match compare_only(node, key, parsed.secret(), now) {
            Some(SecretMatch::Current) => SecretState::Current,
            Some(SecretMatch::Previous) => SecretState::Previous,
            Some(SecretMatch::None) => SecretState::Other,
            None => SecretState::NotChecked,
        },
        Err(_) if is_complete => SecretState::Other,
        _ => SecretState::NotChecked,
    };
    FoundBy::Secret { checksum, state }
}

async fn token_finding(
    node: &Node,
    organization: &Slug,
    text: &str,
    now: Timestamp,
) -> Result<Option<Finding>, Unavailable> {
    let verifier = node.verifier();
    let (token, tenant) = match verifier.verified_token(verifier.view(), text, now).await {
        Ok((token, tenant)) => (token, Some(tenant)),
        Err(Refusal::Denied(Denial::TokenExpired, Some(Subject::Token(token)))) => (token, None),
        // The signature is not ours, so nothing in it can be believed.
        Err(Refusal::Denied(..)) => return Ok(None),
        Err(Refusal::Unavailable(cause)) => return Err(cause),
    };
    let Some(key) = stored(node, organization, &token.key).await? else { return Ok(None) };
    let state = match tenant {
        None => TokenState::Expired,
        Some(_) if node.store.is_token_revoked(&token.claims.jti).await? => TokenState::Revoked,
        Some(tenant) => {
            let customer = node.customer_of(&key).await?;
            match is_outdated(&token, &key, customer.as_deref(), now) || !has_its_access(&token, &key, &tenant, now) {
                true => TokenState::KeyChanged,
                false => TokenState::Valid,
            }
        }
    };
    let by = FoundBy::Token {
        jti: token.claims.jti.clone(),
        expires_at: Timestamp::from_seconds(token.claims.exp),
        scopes: Some(token.scopes.clone()),
        state,
    };
    Ok(Some(Finding { key, by }))
}

fn is_outdated(token: &VerifiedToken, key: &ApiKey, customer: Option<&Customer>, now: Timestamp) -> bool {
    let generation = customer.filter(|customer| !customer.is_denied()).map(|customer| customer.generation);
    if customer.is_some_and(Customer::is_denied) || generation != token.claims.customer_generation {
        return true;
    }
    let has_its_secret = token.claims.secret_version == key.secret_version
        || key.previous.as_ref().is_some_and(|previous| now < previous.until);
    key.status(now) != Status::Active || key.generation != token.claims.generation || !has_its_secret
}

/// Whether the key still has the scopes of a token for its APIs, and its profile still allows the token's age.
fn has_its_access(token: &VerifiedToken, key: &ApiKey, tenant: &Tenant, now: Timestamp) -> bool {
    let held = held_for_token(&tenant.apis, &tenant.shared.grants_of(key), &token.claims.aud);
    let issued_at = Timestamp::from_seconds(token.claims.iat);
    let is_young = |seconds| now < issued_at.plus_seconds(i64::from(seconds));
    held.is_some_and(|held| held.contains_all(&token.scopes)) && tenant.shared.token_ttl_of(key).is_none_or(is_young)
}

/// Revokes one token of a key that the caller may manage, by its ID. A token that has expired needs no revocation.
pub async fn revoke_token_of_key(
    node: &Node,
    organization: &Slug,
    by: &ChangeContext,
    key: &KeyId,
    jti: &str,
    expires_at: Timestamp,
) -> Result<ApiKey, KeyError> {
    let key = stored(node, organization, key).await?.ok_or(KeyError::NotFound)?;
    if !by.may_manage_key_of(key.owner.as_ref()) {
        return Err(KeyError::RoleRequired(crate::domain::member::Role::Admin));
    }
    let is_possible = !jti.is_empty() && jti.len() <= 64 && jti.bytes().all(|byte| byte.is_ascii_graphic());
    // No token lives longer, so the entry is not kept longer either.
    let last = by.now.plus_seconds(LONGEST_LIFE);
    if !is_possible || expires_at > last {
        return Err(KeyError::Conflict("not a token of this server".into()));
    }
    if expires_at <= by.now {
        return Ok(key);
    }
    let token = RevokedToken { jti: jti.to_owned(), key: key.id, expires_at: expires_at.plus_seconds(KEPT_SECONDS) };
    let new = serde_json::json!({ "key": key.id });
    let mut entry = AuditEntry::of(by, action::TOKEN_REVOKE, jti, None, Some(new));
    // Revoking only removes access, as for a key.
    entry.expected_version = None;
    let write = node.store.revoke_token(&token, organization, &entry);
    match node.change(&entry, Affects::Token(&token), write).await {
        Ok(_) => Ok(key),
        Err(ChangeError::Unavailable(cause)) => Err(KeyError::Unavailable(cause)),
        Err(ChangeError::Refused(_)) => Err(KeyError::Unavailable(Unavailable::Lost)),
    }
}
