//! Notes denied requests for the list of recent denials. Only error responses get here.

use actix_web::HttpMessage;
use actix_web::dev::ServiceResponse;

use crate::clock;
use crate::domain::outcome::{Code, Denial};
use crate::domain::slug::Slug;
use crate::http::access::{Explanation, Identity, Refused};
use crate::http::context::HttpContext;
use crate::node::Denied;

/// The codes of denials. A failed attempt above the limit of its address has another code, but still a reason.
const CODES: [Code; 9] = [
    Code::ApiKeyDisabled,
    Code::ApiKeyExpired,
    Code::ApiKeyInvalid,
    Code::ApiKeyIpNotAllowed,
    Code::CustomerSuspended,
    Code::InsufficientScope,
    Code::OrganizationSuspended,
    Code::PreviousSecret,
    Code::RateLimited,
];

/// Notes the denial behind a response, if it is one of a key, a token or an unknown credential.
pub(super) fn note<B>(context: &HttpContext, response: &ServiceResponse<B>, request_id: &str, endpoint: &str) {
    let request = response.request();
    let of_response = response.response().extensions();
    let Some(refused) = of_response.get::<Refused>() else { return };
    let explanation = refused.explanation.as_deref().unwrap_or(&Explanation::NONE);
    let of_request = request.extensions();
    let identity = of_request.get::<Identity>().unwrap_or(&explanation.identity);
    if identity.member.is_some() || !is_denial(refused.code, explanation.reason) {
        return;
    }
    // The key's own organization, or the one that the path names, or else that of the operator.
    let named =
        || request.match_info().get("slug").and_then(Slug::parse).filter(|slug| context.node.tenant(slug).is_some());
    let organization = identity.organization.clone().or_else(named).unwrap_or_else(Slug::default_organization);
    let is_wrong_secret = explanation.reason == Denial::WrongSecret.reason();
    let denied = Denied {
        organization,
        client_id: identity.client_id,
        // Only a key or a token that was found has an organization.
        is_authenticated: identity.organization.is_some() && !is_wrong_secret,
        address: context.client_address(request),
        endpoint,
        status: response.status().as_u16(),
        code: refused.code,
        reason: explanation.reason,
        missing_scope: explanation.scope.as_deref(),
        requested_scope: explanation.requested_scope.as_deref(),
        audience: explanation.audience.as_deref(),
        request_id,
    };
    context.node.denials.note(&denied, clock::now());
}

fn is_denial(code: &str, reason: Option<&str>) -> bool {
    // Requests that are not valid are mistakes, except these, which depend on the key and its organization.
    let of_request =
        ["audience_not_allowed", "audience_required", "audiences_mixed", "unknown_action", "malformed_scope"].map(Some);
    let is = |known: Code| known.as_str() == code;
    match reason {
        _ if is(Code::ValidationFailed) => of_request.contains(&reason),
        // Also the code of sign-ins, which are none of a key.
        None if is(Code::RateLimited) => false,
        _ => CODES.into_iter().any(is),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_denials_of_credentials_are_noted() {
        for (code, reason, expected) in [
            ("API_KEY_INVALID", Some("wrong_secret"), true),
            ("API_KEY_IP_NOT_ALLOWED", None, true),
            ("VALIDATION_FAILED", Some("audience_not_allowed"), true),
            ("VALIDATION_FAILED", Some("unknown_action"), true),
            ("VALIDATION_FAILED", Some("audience_required"), true),
            ("VALIDATION_FAILED", Some("invalid_request"), false),
            ("RATE_LIMITED", Some("unknown_key"), true),
            ("RATE_LIMITED", None, false),
            ("API_KEY_REQUIRED", None, false),
            ("ROLE_REQUIRED", None, false),
            ("NOT_FOUND", None, false),
            ("UNAVAILABLE", None, false),
        ] {
            assert_eq!(is_denial(code, reason), expected, "{code} {reason:?}");
        }
    }
}
