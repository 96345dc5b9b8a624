//! What follows from a denial, in two tables: every error code with its status, and every reason for a denial with its
//! code, what it counts as, and its name in the log.
//!
//! Surfaces add only their envelope, and the sentences of errors that are no denial. A new reason is one line here, and the compiler names what else it needs.

use std::fmt;
use std::net::IpAddr;

use crate::domain::decision::UnreadableAddress;
use crate::domain::requirement::Required;
use crate::domain::scope::{Scope, ScopeError};
use crate::domain::usage::UsageOutcome;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:literal $text:literal,)*) => {
        /// The machine-readable code of an error. `docs/reference/errors.md` describes each.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code in a response, in the access log and, in lower case, in the labels of metrics.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The HTTP status, unless a surface's standard requires another.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }
        }
    };
}

codes! {
    /// The key is disabled.
    ApiKeyDisabled = 403 "API_KEY_DISABLED",
    /// The key has expired.
    ApiKeyExpired = 401 "API_KEY_EXPIRED",
    /// The credential is not valid, for whatever reason.
    ApiKeyInvalid = 401 "API_KEY_INVALID",
    /// The client's address is not allowed or not known.
    ApiKeyIpNotAllowed = 403 "API_KEY_IP_NOT_ALLOWED",
    /// The request has no credential.
    ApiKeyRequired = 401 "API_KEY_REQUIRED",
    /// The current state does not allow the change.
    Conflict = 409 "CONFLICT",
    /// A session changes something without proof that the request comes from Keyturn's pages.
    CsrfTokenInvalid = 403 "CSRF_TOKEN_INVALID",
    /// The customer of the key is suspended.
    CustomerSuspended = 403 "CUSTOMER_SUSPENDED",
    /// A scope is not granted.
    InsufficientScope = 403 "INSUFFICIENT_SCOPE",
    /// The policy allows no more keys.
    KeyLimitReached = 409 "KEY_LIMIT_REACHED",
    /// The organization has no signing key yet.
    NotBootstrapped = 409 "NOT_BOOTSTRAPPED",
    /// The object does not exist, or the caller may not see it.
    NotFound = 404 "NOT_FOUND",
    /// The node may not take traffic.
    NotReady = 503 "NOT_READY",
    /// The organization is suspended.
    OrganizationSuspended = 403 "ORGANIZATION_SUSPENDED",
    /// The object has changed since the version in `If-Match`.
    PreconditionFailed = 412 "PRECONDITION_FAILED",
    /// The previous secret, or a token of it, can only read.
    PreviousSecret = 403 "PREVIOUS_SECRET",
    /// Too many failed attempts.
    RateLimited = 429 "RATE_LIMITED",
    /// The member's role is too low.
    RoleRequired = 403 "ROLE_REQUIRED",
    /// A page of the console requires a session.
    SessionRequired = 303 "SESSION_REQUIRED",
    /// Organization, login and password do not match.
    SignInRefused = 401 "SIGN_IN_REFUSED",
    /// Too many changes with one credential.
    TooManyChanges = 429 "TOO_MANY_CHANGES",
    /// The request cannot be decided or carried out now.
    Unavailable = 503 "UNAVAILABLE",
    /// A parameter, field, method or body is wrong.
    ValidationFailed = 422 "VALIDATION_FAILED",
}

impl Code {
    /// Whether the error counts against the client's address: guesses at credentials do, mistakes do not.
    pub const fn counts_as_guess(self) -> bool {
        matches!(self, Self::ApiKeyInvalid)
    }
}

/// What follows from a denial.
struct Consequences {
    code: Code,
    usage: Option<UsageOutcome>,
    reason: Option<&'static str>,
}

macro_rules! denials {
    ($($(#[$doc:meta])* $name:ident $(($($field:ty),+))? = $code:ident, $usage:expr, $reason:expr;)*) => {
        /// Why a credential was denied. Private: clients see the code and the sentence, which many reasons share.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Denial {
            $($(#[$doc])* $name $(($($field),+))?,)*
        }

        impl Denial {
            /// The reasons by which the log tells apart what clients cannot.
            pub const REASONS: &[Option<&'static str>] = &[$($reason),*];

            const fn consequences(&self) -> Consequences {
                match self {
                    $(Self::$name { .. } => Consequences { code: Code::$code, usage: $usage, reason: $reason },)*
                }
            }
        }
    };
}

// Each line: the code, what a use of the key is counted as (`None` if it is not counted), and the reason in the log if the
// code does not say it.
denials! {
    /// The secret has not the form of one.
    MalformedSecret = ApiKeyInvalid, None, Some("malformed_secret");
    /// The client ID is not a key ID.
    MalformedClientId = ApiKeyInvalid, None, Some("malformed_client_id");
    /// The client ID is not that of the secret.
    OtherClientId = ApiKeyInvalid, None, Some("other_client_id");
    /// No key has this ID.
    UnknownKey = ApiKeyInvalid, None, Some("unknown_key");
    /// The secret is not the key's, or no longer.
    WrongSecret = ApiKeyInvalid, Some(UsageOutcome::DeniedInvalid), Some("wrong_secret");
    /// The key is revoked.
    KeyRevoked = ApiKeyInvalid, Some(UsageOutcome::DeniedInvalid), Some("key_revoked");
    /// The key of a token does not exist.
    KeyDeleted = ApiKeyInvalid, None, Some("key_deleted");
    /// The token itself was revoked.
    TokenRevoked = ApiKeyInvalid, None, Some("token_revoked");
    /// A token that an earlier state of the key minted: another generation, a secret that no longer works, or scopes that
    /// the key does not have.
    TokenSuperseded = ApiKeyInvalid, Some(UsageOutcome::DeniedInvalid), Some("token_superseded");
    /// The organization no longer has the API of a token, or the key is no longer granted it.
    ApiNotGranted = ApiKeyInvalid, Some(UsageOutcome::DeniedInvalid), Some("api_not_granted");
    /// The token has expired.
    TokenExpired = ApiKeyInvalid, None, Some("token_expired");
    /// The token is not a compact JWS.
    MalformedToken = ApiKeyInvalid, None, Some("malformed_token");
    /// The token's header has a member or a type that Keyturn never uses.
    ForeignTokenHeader = ApiKeyInvalid, None, Some("foreign_token_header");
    /// No signing key has the token's `kid`.
    UnknownSigningKey = ApiKeyInvalid, None, Some("unknown_signing_key");
    /// The token's signature is wrong, or its claims have another form.
    InvalidSignature = ApiKeyInvalid, None, Some("invalid_signature");
    /// The token was issued in the future, or its lifetime is too long.
    InvalidTokenTimes = ApiKeyInvalid, None, Some("invalid_token_times");
    /// The token has another issuer.
    OtherIssuer = ApiKeyInvalid, None, Some("other_issuer");
    /// The credential is of another organization than the gateway's.
    OtherOrganization = ApiKeyInvalid, None, Some("other_organization");
    /// The credential is for none of the audiences that the gateway requires.
    OtherAudience = ApiKeyInvalid, Some(UsageOutcome::DeniedAudience), Some("other_audience");
    /// The organization has no API with the name that the gateway requires.
    UnknownApi = ValidationFailed, Some(UsageOutcome::DeniedAudience), Some("unknown_api");
    /// A token for another API was presented to the management API.
    AudienceNotKeyturn = ApiKeyInvalid, Some(UsageOutcome::DeniedAudience), Some("audience_not_keyturn");
    /// The key has expired.
    Expired = ApiKeyExpired, Some(UsageOutcome::DeniedExpired), None;
    /// The key is disabled.
    Disabled = ApiKeyDisabled, Some(UsageOutcome::DeniedDisabled), None;
    /// The key's customer is suspended or removed.
    CustomerSuspended = CustomerSuspended, Some(UsageOutcome::DeniedDisabled), None;
    /// The key's organization is suspended.
    OrganizationSuspended = OrganizationSuspended, Some(UsageOutcome::DeniedDisabled), None;
    /// The client's address is unknown.
    AddressUnreadable(UnreadableAddress) = ApiKeyIpNotAllowed, Some(UsageOutcome::DeniedNetwork), None;
    /// The client's address is in none of the key's networks.
    NetworkNotAllowed(IpAddr) = ApiKeyIpNotAllowed, Some(UsageOutcome::DeniedNetwork), None;
    /// The key's networks and those of its profile have no address in common, so no client can use it.
    NoNetworkAllowed = ApiKeyIpNotAllowed, Some(UsageOutcome::DeniedNetwork), None;
    /// A requested scope is not granted: its place in the request, from 1, and the scope, which may hold a misplaced secret.
    ScopeNotHeld(usize, Scope) = InsufficientScope, Some(UsageOutcome::DeniedScope), None;
    /// A scope that the gateway requires is not granted.
    RequiredScopeNotHeld(Box<Required>) = InsufficientScope, Some(UsageOutcome::DeniedScope), None;
    /// A requested scope has an action that the organization does not define.
    UnknownAction(UnknownAction) = ValidationFailed, Some(UsageOutcome::DeniedScope), Some("unknown_action");
    /// No API of the organization that the key is granted has a requested audience.
    AudienceNotAllowed = ValidationFailed, Some(UsageOutcome::DeniedAudience), Some("audience_not_allowed");
    /// The key is granted several APIs or none, and the request names no audience.
    AudienceRequired = ValidationFailed, Some(UsageOutcome::DeniedAudience), Some("audience_required");
    /// The requested APIs differ in the style of their scopes or in the kind of their tokens.
    AudiencesMixed = ValidationFailed, Some(UsageOutcome::DeniedAudience), Some("audiences_mixed");
    /// The requested scopes cannot be read in the style of the API.
    MalformedScope(Box<ScopeError>) = ValidationFailed, Some(UsageOutcome::DeniedScope), Some("malformed_scope");
}

/// A requested scope whose action the organization does not define.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownAction {
    /// The scope's place in the request, from 1.
    pub place: usize,
    /// Whether it is one of OpenID Connect's scopes.
    pub is_openid: bool,
    /// The actions that can be requested.
    pub allowed: String,
}

impl Denial {
    /// The code that the client sees.
    pub const fn code(&self) -> Code {
        self.consequences().code
    }

    /// What a use of the key is counted as; `None` if it is not counted.
    pub const fn usage(&self) -> Option<UsageOutcome> {
        self.consequences().usage
    }

    /// The reason in the log, if the code does not say it.
    pub const fn reason(&self) -> Option<&'static str> {
        self.consequences().reason
    }

    /// Whether a secret with this denial was authentic and in order, and only the requested scopes or audiences were denied.
    pub const fn is_of_an_authentic_secret(&self) -> bool {
        matches!(
            self,
            Self::ScopeNotHeld(..)
                | Self::UnknownAction(_)
                | Self::MalformedScope(_)
                | Self::AudienceNotAllowed
                | Self::AudienceRequired
                | Self::AudiencesMixed
        )
    }

    /// The scope that is missing.
    pub fn missing_scope(&self) -> Option<String> {
        match self {
            Self::ScopeNotHeld(_, scope) => Some(scope.to_string()),
            Self::RequiredScopeNotHeld(required) => Some(required.to_string()),
            _ => None,
        }
    }
}

/// The sentence for the client. It is the same, byte for byte, for every reason with the code `API_KEY_INVALID` that depends
/// on stored state.
impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MalformedSecret
            | Self::MalformedClientId
            | Self::OtherClientId
            | Self::UnknownKey
            | Self::WrongSecret
            | Self::KeyRevoked
            | Self::KeyDeleted
            | Self::TokenRevoked
            | Self::TokenSuperseded
            | Self::ApiNotGranted
            | Self::TokenExpired
            | Self::MalformedToken
            | Self::ForeignTokenHeader
            | Self::UnknownSigningKey
            | Self::InvalidSignature
            | Self::InvalidTokenTimes
            | Self::OtherIssuer
            | Self::OtherOrganization
            | Self::AudienceNotKeyturn => "the API key or access token is not valid",
            Self::OtherAudience => "the credential is not for this audience",
            Self::UnknownApi => "keyturn_api: the organization has no API with this name",
            Self::Expired => "the API key has expired",
            Self::Disabled => "the API key is disabled",
            Self::CustomerSuspended => "the customer of the API key is suspended",
            Self::OrganizationSuspended => "the organization is suspended",
            Self::AddressUnreadable(reason) => return write!(f, "the client's address is unknown: {reason}"),
            Self::NetworkNotAllowed(address) => return write!(f, "the API key cannot be used from {address}"),
            Self::NoNetworkAllowed => "the API key cannot be used from any address",
            Self::ScopeNotHeld(place, _) => return write!(f, "scope: item {place} is not granted to this key"),
            Self::RequiredScopeNotHeld(_) => "a required scope is not granted to this credential",
            Self::UnknownAction(UnknownAction { place, is_openid, allowed }) => {
                let hint = if *is_openid { "OpenID Connect scopes are not supported; " } else { "" };
                return write!(f, "scope: item {place} has an unknown action; {hint}allowed are {allowed}");
            }
            Self::AudienceNotAllowed => "resource or audience: not an API that this key is granted",
            Self::AudienceRequired => "resource or audience: required, because the key is not granted exactly one API",
            Self::AudiencesMixed => "resource or audience: these APIs have different tokens; request one for each",
            Self::MalformedScope(error) => return write!(f, "scope: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed_in_alphabetical_order() {
        assert!(Code::ALL.iter().map(|code| code.as_str()).is_sorted());
    }

    #[test]
    fn only_an_invalid_credential_is_a_guess() {
        let guesses: Vec<_> = Code::ALL.iter().filter(|code| code.counts_as_guess()).collect();
        assert_eq!(guesses, [&Code::ApiKeyInvalid]);
    }

    #[test]
    fn every_reason_that_an_invalid_credential_has_is_named_once() {
        let mut reasons: Vec<_> = Denial::REASONS.iter().flatten().collect();
        reasons.sort();
        assert!(reasons.windows(2).all(|pair| pair[0] != pair[1]), "{reasons:?}");
        for denial in [Denial::UnknownKey, Denial::WrongSecret, Denial::KeyRevoked, Denial::TokenSuperseded] {
            assert_eq!(denial.to_string(), Denial::TokenRevoked.to_string());
            assert_eq!((denial.code(), denial.reason().is_some()), (Code::ApiKeyInvalid, true));
        }
    }
}
