//! What a request's log line has besides its route and status: the caller's identity, and the cause of an error.
//!
//! [`Identity`] is attached to the request once it is known, [`Refused`] to the response. Both hold IDs and fixed words only,
//! nothing as the client sent it.

use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use crate::domain::api_key::ApiKey;
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, MemberId};
use crate::domain::outcome::Denial;
use crate::domain::slug::Slug;
use crate::domain::usage::may_hold_secret;
use crate::verification::{Refusal, Subject};

/// Longest scope in a log line, in bytes.
const MAX_SCOPE: usize = 200;

/// The identity of a caller.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The key, or a well-formed ID that no key has.
    pub client_id: Option<KeyId>,
    /// The member.
    pub member: Option<MemberId>,
    /// The organization of the key or member.
    pub organization: Option<Slug>,
}

impl Identity {
    /// A key that acts, by its secret or by a token.
    pub fn of_key(key: &ApiKey) -> Self {
        Self { client_id: Some(key.id), member: None, organization: Some(key.organization.clone()) }
    }

    /// A member who is signed in.
    pub fn of_member(member: &Member) -> Self {
        Self { client_id: None, member: Some(member.id.clone()), organization: Some(member.organization.clone()) }
    }

    fn of_subject(subject: &Subject) -> Self {
        Self { client_id: Some(subject.id()), member: None, organization: subject.organization().cloned() }
    }

    /// Attaches it to the request, for its log line.
    pub fn note(self, request: &HttpRequest) {
        request.extensions_mut().insert(self);
    }
}

/// What the log has about an error and the response does not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Explanation {
    /// The denied caller, if the request has no identity.
    pub identity: Identity,
    /// The reason, if several share the `code`.
    pub reason: Option<&'static str>,
    /// The scope that is missing.
    pub scope: Option<String>,
    /// The scopes and audiences of a token request, unless they may contain a misplaced secret.
    pub requested_scope: Option<String>,
    pub audience: Option<String>,
    /// The fault of the server or its configuration.
    pub cause: Option<String>,
}

impl Explanation {
    /// Nothing but the code.
    pub const NONE: Self = Self {
        identity: Identity { client_id: None, member: None, organization: None },
        reason: None,
        scope: None,
        requested_scope: None,
        audience: None,
        cause: None,
    };

    /// The explanation of a credential that is not accepted.
    pub fn of(refusal: &Refusal) -> Box<Self> {
        match refusal {
            Refusal::Unavailable(cause) => Self::failure(cause),
            Refusal::Denied(denial, subject) => {
                let explanation = Self {
                    identity: subject.as_ref().map(Identity::of_subject).unwrap_or_default(),
                    reason: denial.reason(),
                    cause: match denial {
                        Denial::AddressUnreadable(cause) => Some(cause.to_string()),
                        _ => None,
                    },
                    ..Self::default()
                };
                let explanation = Box::new(explanation);
                match denial.missing_scope() {
                    Some(scope) => explanation.missing(scope),
                    None => explanation,
                }
            }
        }
    }

    /// An error that concerns this key.
    pub fn of_key(key: &ApiKey) -> Box<Self> {
        Box::new(Self { identity: Identity::of_key(key), ..Self::default() })
    }

    /// An error with a reason.
    pub fn because(reason: &'static str) -> Box<Self> {
        Box::new(Self { reason: Some(reason), ..Self::default() })
    }

    /// A fault of the server or its configuration.
    pub fn failure(cause: &dyn std::fmt::Display) -> Box<Self> {
        Box::new(Self { cause: Some(cause.to_string()), ..Self::default() })
    }

    /// The same with the missing scope, unless it is long or may contain a misplaced secret.
    #[must_use]
    pub fn missing(mut self: Box<Self>, scope: String) -> Box<Self> {
        self.scope = harmless(scope);
        self
    }

    /// The same with what a token request asked for, unless it is long or may contain a misplaced secret.
    #[must_use]
    pub fn requesting(mut self: Box<Self>, scope: Option<&str>, audiences: &[&str]) -> Box<Self> {
        self.requested_scope = scope.and_then(|scope| harmless(scope.to_owned()));
        self.audience = (!audiences.is_empty()).then(|| audiences.join(" ")).and_then(harmless);
        self
    }
}

/// Returns a text that is short, visible and cannot contain a secret.
fn harmless(text: String) -> Option<String> {
    let is_visible = text.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    Some(text).filter(|text| is_visible && text.len() <= MAX_SCOPE && !may_hold_secret(text))
}

/// Why a response is an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The machine-readable code, as in the response.
    pub code: &'static str,
    /// What else the log has.
    pub explanation: Option<Box<Explanation>>,
}

impl Refused {
    /// Attaches the error to its response.
    pub fn note(response: &mut HttpResponse, code: &'static str, explanation: Option<Box<Explanation>>) {
        response.extensions_mut().insert(Self { code, explanation });
    }
}
