//! What a client sees of a denial: the status, the `error` and the body of the endpoints for clients and gateways. The endpoints
//! respond with these, and explanations show them.

use serde_json::json;

use crate::domain::outcome::{Code, Denial};
use crate::domain::requirement::Required;
use crate::http::description::error_description;

/// The response to a denied request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientResponse {
    pub status: u16,
    pub error: &'static str,
    pub code: &'static str,
    pub description: String,
}

impl ClientResponse {
    /// The response of the token endpoint.
    pub fn of_token_request(denial: &Denial) -> Self {
        let (error, status) = oauth_error_of(denial);
        Self::new(status, error, denial)
    }

    /// The response of `/verify`.
    pub fn of_verification(denial: &Denial) -> Self {
        let (error, status) = verify_error(denial.code());
        let error = error.unwrap_or("invalid_token");
        match denial {
            Denial::ScopeNotHeld(_, scope) => {
                Self::new(status, error, &Denial::RequiredScopeNotHeld(Box::new(Required::Filter(scope.clone()))))
            }
            other => Self::new(status, error, other),
        }
    }

    fn new(status: u16, error: &'static str, denial: &Denial) -> Self {
        let description = error_description(&denial.to_string()).into_owned();
        Self { status, error, code: denial.code().as_str(), description }
    }

    /// The body as JSON.
    pub fn body(&self) -> serde_json::Value {
        json!({ "error": self.error, "error_description": self.description, "code": self.code })
    }

    /// The body as it is sent.
    pub fn text(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let (error, description, code) = (quoted(self.error), quoted(&self.description), quoted(self.code));
        format!(r#"{{"error":{error},"error_description":{description},"code":{code}}}"#)
    }
}

/// The `error` and the status that RFC 6749 §5.2 has for a denial.
pub fn oauth_error_of(denial: &Denial) -> (&'static str, u16) {
    let (error, status) = oauth_error(denial.code());
    match denial {
        Denial::UnknownAction(_) | Denial::MalformedScope(_) => ("invalid_scope", status),
        // RFC 8707 §2
        Denial::AudienceNotAllowed | Denial::AudienceRequired | Denial::AudiencesMixed => ("invalid_target", status),
        _ => (error, status),
    }
}

/// The `error` and the status that RFC 6749 §5.2 has for a code.
pub fn oauth_error(code: Code) -> (&'static str, u16) {
    match code {
        Code::ApiKeyRequired | Code::ApiKeyInvalid | Code::ApiKeyExpired => ("invalid_client", code.status()),
        Code::ApiKeyDisabled | Code::ApiKeyIpNotAllowed | Code::CustomerSuspended | Code::OrganizationSuspended => {
            ("unauthorized_client", code.status())
        }
        Code::InsufficientScope => ("invalid_scope", 400),
        Code::ValidationFailed => ("invalid_request", 400),
        Code::RateLimited | Code::TooManyChanges | Code::Unavailable | Code::NotReady => {
            ("temporarily_unavailable", code.status())
        }
        Code::Conflict
        | Code::CsrfTokenInvalid
        | Code::KeyLimitReached
        | Code::NotBootstrapped
        | Code::NotFound
        | Code::PreconditionFailed
        | Code::PreviousSecret
        | Code::RoleRequired
        | Code::SessionRequired
        | Code::SignInRefused => ("invalid_request", code.status()),
    }
}

/// The `error` (RFC 6750 §3.1) and the status of `/verify` for a code. Gateways understand only 401, 403 and server errors.
pub fn verify_error(code: Code) -> (Option<&'static str>, u16) {
    let error = match code {
        Code::ApiKeyRequired => None,
        Code::InsufficientScope => Some("insufficient_scope"),
        Code::ValidationFailed => Some("invalid_request"),
        Code::Unavailable => Some("temporarily_unavailable"),
        _ => Some("invalid_token"),
    };
    (error, if code == Code::ValidationFailed { 403 } else { code.status() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_are_the_same_body() {
        let response = ClientResponse::of_token_request(&Denial::NetworkNotAllowed("192.0.2.1".parse().unwrap()));
        assert_eq!(
            response.text(),
            r#"{"error":"unauthorized_client","error_description":"the API key cannot be used from 192.0.2.1","code":"API_KEY_IP_NOT_ALLOWED"}"#
        );
        assert_eq!(serde_json::from_str::<serde_json::Value>(&response.text()).unwrap(), response.body());
        let verification = ClientResponse::of_verification(&Denial::TokenExpired);
        assert_eq!((verification.status, verification.error), (401, "invalid_token"));
    }
}
