//! Verification for gateways: a credential, an address and the required scopes and audiences.

use crate::domain::api_key::ApiKey;
use crate::domain::apis::{ApiId, find_audience};
use crate::domain::audience::is_same;
use crate::domain::decision::ClientAddress;
use crate::domain::outcome::Denial;
pub use crate::domain::requirement::Required;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{UsageOutcome, Use, UsedDetail};
use crate::verification::{Caller, Credential, Refusal, Secrets, Subject, Verifier};

/// What a gateway requires of a caller.
pub struct RequiredAccess<'a> {
    /// The organization whose credentials are accepted; `None` for all.
    pub organization: Option<&'a Slug>,
    /// The token's `aud` must contain one of these (RFC 9068 §4). A secret presented directly has no `aud`; its key must be
    /// granted the API of one. Empty for any audience.
    pub audiences: &'a [String],
    /// The name of the API that the credential must be for: the token's `aud` must contain its audience, and the key must be
    /// granted it.
    pub api: Option<&'a Slug>,
    /// Scopes that the caller must hold, all of them.
    pub scopes: &'a [Required],
}

impl<'a, S: Secrets> Verifier<'a, S> {
    /// Checks that a credential is valid from an address and has everything that is required, and counts the use or the
    /// denial of the key.
    pub async fn check(
        &self,
        credential: &Credential,
        address: ClientAddress,
        wanted: &RequiredAccess<'_>,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let mut checked = self.authenticate(credential, address, now).await;
        if let Ok(caller) = &mut checked
            && let Some(denial) = missing(caller, wanted)
        {
            if let Some(outcome) = denial.usage() {
                self.count_use(caller, outcome, &[], address, now);
            }
            checked = Err(Refusal::of_key(denial, &caller.key));
        } else {
            self.count(&checked, wanted.scopes, address, now);
        }
        checked
    }

    /// Authenticates a caller of one of Keyturn's own endpoints, and counts a use or a denial of the key.
    pub async fn authenticate_and_count(
        &self,
        credential: &Credential,
        address: ClientAddress,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let checked = self.authenticate(credential, address, now).await;
        match &checked {
            Ok(caller) => self.count_own_use(caller, UsageOutcome::Verified, &[], address, now),
            Err(_) => self.count(&checked, &[], address, now),
        }
        checked
    }

    /// Counts a use of an API by an authenticated caller, with what was required.
    pub fn count_use(
        &self,
        caller: &Caller,
        outcome: UsageOutcome,
        required: &[Required],
        address: ClientAddress,
        now: Timestamp,
    ) {
        self.count_use_of((caller.apis(), false), caller, outcome, required, address, now);
    }

    /// Counts a use of one of Keyturn's own endpoints. No API sees it; the scopes of the management API are among those of the
    /// default one.
    pub fn count_own_use(
        &self,
        caller: &Caller,
        outcome: UsageOutcome,
        required: &[Required],
        address: ClientAddress,
        now: Timestamp,
    ) {
        self.count_use_of((&[ApiId::DEFAULT], true), caller, outcome, required, address, now);
    }

    fn count_use_of(
        &self,
        (apis, is_of_keyturn): (&[ApiId], bool),
        caller: &Caller,
        outcome: UsageOutcome,
        required: &[Required],
        address: ClientAddress,
        now: Timestamp,
    ) {
        self.memory.usage.count_use(
            &caller.key.id,
            &Use {
                outcome,
                address,
                apis,
                is_of_keyturn,
                requested: (!required.is_empty()).then_some(UsedDetail::Required(required)),
                is_by_previous_secret: caller.has_shown_previous_secret(),
                secret_version: caller.key.previous.is_some().then_some(caller.grant.secret_version),
                at: now,
            },
        );
    }

    /// Counts a use or a denial of the key, if the key is known.
    pub fn count(
        &self,
        checked: &Result<Caller, Refusal>,
        required: &[Required],
        address: ClientAddress,
        now: Timestamp,
    ) {
        match checked {
            Ok(caller) => self.count_use(caller, UsageOutcome::Verified, required, address, now),
            Err(Refusal::Denied(denial, Some(Subject::Key(key)))) => self.count_denial(denial, key, address, now),
            Err(Refusal::Denied(..) | Refusal::Unavailable(_)) => {}
        }
    }

    /// Counts a denial of a key.
    pub fn count_denial(&self, denial: &Denial, key: &ApiKey, address: ClientAddress, now: Timestamp) {
        if let Some(outcome) = denial.usage() {
            self.memory.usage.count(&key.id, outcome, address, now);
        }
    }
}

/// Returns the first requirement that an authenticated caller does not meet. A caller that presented a secret has the scopes
/// of the required API, or of the first required audience that its key is granted, as if it had requested a token for it.
fn missing(caller: &mut Caller, wanted: &RequiredAccess<'_>) -> Option<Denial> {
    if wanted.organization.is_some_and(|organization| *organization != caller.key.organization) {
        return Some(Denial::OtherOrganization);
    }
    if !wanted.audiences.is_empty() {
        match &caller.token {
            Some(token) => {
                let has = |audience: &&String| token.claims.aud.contains(audience);
                let Some(audience) = wanted.audiences.iter().find(has) else { return Some(Denial::OtherAudience) };
                if token.apis.len() > 1 {
                    caller.api = find_audience(&caller.tenant.apis, audience).map(|(served, _)| served.api.id);
                }
            }
            None => {
                let of = |audience| caller.tenant.select(&caller.key, std::slice::from_ref(audience), None).ok();
                let Some(target) = wanted.audiences.iter().find_map(of) else { return Some(Denial::OtherAudience) };
                (caller.api, caller.grant.scopes) = (target.apis.first().map(|served| served.api.id), target.scopes);
            }
        }
    }
    if let Some(name) = wanted.api {
        let Some(served) = caller.tenant.apis.iter().find(|served| served.api.name == *name) else {
            return Some(Denial::UnknownApi);
        };
        match &caller.token {
            Some(token) if token.claims.aud.contains(&served.audience) => {}
            Some(_) => return Some(Denial::OtherAudience),
            // Its audience must be a required one.
            None if !wanted.audiences.is_empty()
                && !wanted.audiences.iter().any(|audience| is_same(audience, &served.audience)) =>
            {
                return Some(Denial::OtherAudience);
            }
            None => {
                let grants = caller.tenant.shared.grants_of(&caller.key);
                let Some(granted) = grants.get(served.api.id) else { return Some(Denial::OtherAudience) };
                caller.grant.scopes = served.api.effective(granted);
            }
        }
        caller.api = Some(served.api.id);
    }
    let missing = wanted.scopes.iter().find(|required| !required.is_held_by(&caller.grant.scopes));
    missing.map(|required| Denial::RequiredScopeNotHeld(Box::new(required.clone())))
}
