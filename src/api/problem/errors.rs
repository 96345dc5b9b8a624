//! The problem that each error of a use case is.

use crate::api::problem::Problem;
use crate::clock::rfc3339;
use crate::customers::CustomerError;
use crate::domain::apis::MAX_APIS;
use crate::domain::authority::GrantExceeded;
use crate::domain::outcome::Code;
use crate::domain::profile::{MAX_NAMED_NETWORKS, MAX_PROFILES};
use crate::http::sign_in::SignInRefused;
use crate::keys::KeyError;
use crate::members::{MemberError, SignInError};
use crate::node::Unavailable;
use crate::organizations::{
    ApiError, CreateError, DeleteError, PolicyError, RenameError, SUSPENDED_DAYS, SuspendError,
};
use crate::portal::PortalError;
use crate::profiles::ProfileError;
use crate::webhooks::WebhookError;
impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::not_found(),
            KeyError::Invalid(errors) => Self::invalid(errors),
            KeyError::GrantExceeded(beyond) => beyond.into(),
            KeyError::RoleRequired(role) => Self::role_required(role),
            KeyError::PreconditionFailed => Self::precondition_failed("key"),
            KeyError::Repeated => Self::conflict("a request with this Idempotency-Key is still running; retry"),
            KeyError::AlreadyDone(_) => Self::conflict("this request was already carried out"),
            KeyError::OtherRequest => {
                Self::invalid_field("Idempotency-Key", "was already used for a different request")
            }
            KeyError::Conflict(detail) => Self::conflict(detail),
            KeyError::ReferencesChanged => {
                Self::conflict("the organization was changed at the same time; nothing was changed. Retry.")
            }
            KeyError::LimitReached => {
                Self::new(Code::KeyLimitReached, "the limit of keys is reached; revoke a key that nobody needs")
            }
            KeyError::NotBootstrapped => {
                Self::new(Code::NotBootstrapped, "the organization has no signing key yet; bootstrap it first")
            }
            KeyError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<MemberError> for Problem {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found(),
            MemberError::Invalid(errors) => Self::invalid(errors),
            MemberError::GrantExceeded(beyond) => beyond.into(),
            MemberError::PreconditionFailed => Self::precondition_failed("member"),
            MemberError::Conflict(detail) => Self::conflict(detail),
            MemberError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<CustomerError> for Problem {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::NotFound => Self::not_found(),
            CustomerError::Invalid(errors) => Self::invalid(errors),
            CustomerError::PreconditionFailed => Self::precondition_failed("customer"),
            CustomerError::HasKeys => {
                Self::conflict("the customer has keys that work; revoke them first, or use revoke_keys=true")
            }
            CustomerError::Raced => Self::conflict("the customer was changed at the same time; retry"),
            CustomerError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<PortalError> for Problem {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::NotFound => Self::not_found(),
            PortalError::Invalid(errors) => Self::invalid(errors),
            PortalError::GrantExceeded(beyond) => beyond.into(),
            PortalError::RoleRequired(role) => Self::role_required(role),
            PortalError::Suspended => Self::conflict("the customer is suspended; reinstate it first"),
            PortalError::PreconditionFailed => Self::precondition_failed("portal"),
            PortalError::Raced => Self::conflict(
                "the customer or the settings were changed at the same time; nothing was changed. Retry.",
            ),
            PortalError::NotAllowed(capability) => Self::new(
                Code::InsufficientScope,
                format!("the session does not have the capability {}", capability.as_str()),
            ),
            PortalError::Key(error) => error.into(),
            PortalError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::NotFound => Self::not_found(),
            ProfileError::Invalid(errors) => Self::invalid(errors),
            ProfileError::GrantExceeded(beyond) => beyond.into(),
            ProfileError::PreconditionFailed => Self::precondition_failed("profile or network"),
            ProfileError::LimitReached => Self::conflict(format!(
                "the maximum is reached: {MAX_PROFILES} profiles and {MAX_NAMED_NETWORKS} networks in an organization"
            )),
            ProfileError::HasKeys => Self::conflict(
                "keys refer to it; give them another one first, or delete a profile with move_keys_to or revoke_keys=true",
            ),
            ProfileError::HasProfiles => Self::conflict("profiles refer to the network; take it out of them first"),
            ProfileError::Conflict(detail) => Self::conflict(detail),
            ProfileError::Raced => Self::conflict("the organization was changed at the same time; retry"),
            ProfileError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Self::not_found(),
            WebhookError::PreconditionFailed => Self::precondition_failed("webhook"),
            WebhookError::Conflict(detail) => Self::conflict(detail),
            WebhookError::Unavailable(cause) => Self::not_now(&cause),
            WebhookError::Sealing(cause) => Self::unavailable(&cause),
        }
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotFound => Self::not_found(),
            ApiError::Invalid(errors) => Self::invalid(errors),
            ApiError::PreconditionFailed => Self::precondition_failed("API"),
            ApiError::LimitReached => Self::conflict(format!("the organization has {MAX_APIS} APIs, the maximum")),
            ApiError::IsDefault => Self::conflict("the default API cannot be deleted"),
            ApiError::AlgorithmChanging(until) => Self::conflict(format!(
                "the algorithm was changed, and earlier tokens may be valid until {}; change it again after that",
                rfc3339(until)
            )),
            ApiError::SigningKey(cause) => cause.into(),
            ApiError::Raced => Self::conflict("the organization was changed at the same time; retry"),
            ApiError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<PolicyError> for Problem {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::NotFound => Self::not_found(),
            PolicyError::Invalid(errors) => Self::invalid(errors),
            PolicyError::PreconditionFailed => Self::precondition_failed("policy"),
            PolicyError::Raced => Self::conflict("the policy was changed at the same time; retry"),
            PolicyError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<SuspendError> for Problem {
    fn from(error: SuspendError) -> Self {
        match error {
            SuspendError::NotFound => Self::not_found(),
            SuspendError::IsDefault => {
                Self::conflict("organization default manages the others and cannot be suspended")
            }
            SuspendError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::NotFound => Self::not_found(),
            DeleteError::IsDefault => Self::conflict("organization default manages the others and cannot be deleted"),
            DeleteError::TooEarly(from) => {
                let from = from.map(|from| format!(", from {}", crate::clock::rfc3339(from))).unwrap_or_default();
                let rule = format!("it can be deleted after {SUSPENDED_DAYS} days of suspension{from}");
                Self::conflict(format!("{rule}; suspend it and wait, or use now=true"))
            }
            DeleteError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<RenameError> for Problem {
    fn from(error: RenameError) -> Self {
        match error {
            RenameError::NotFound => Self::not_found(),
            RenameError::Invalid(violation) => Self::invalid(vec![violation]),
            RenameError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Invalid(errors) => Self::invalid(errors),
            CreateError::Exists => Self::conflict("an organization with this slug already exists"),
            CreateError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<SignInRefused> for Problem {
    fn from(refused: SignInRefused) -> Self {
        match refused {
            SignInRefused::Invalid(violation) => Self::invalid(vec![violation]),
            SignInRefused::Limited(seconds) => Self::limited(seconds),
            SignInRefused::Error(error) => error.into(),
        }
    }
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::sign_in_refused(),
            SignInError::Changed => Self::conflict("the member was changed at the same time; sign in again"),
            SignInError::Unavailable(cause) => Self::not_now(&cause),
        }
    }
}

impl From<Unavailable> for Problem {
    fn from(cause: Unavailable) -> Self {
        Self::not_now(&cause)
    }
}

impl From<GrantExceeded> for Problem {
    fn from(beyond: GrantExceeded) -> Self {
        let detail = match beyond {
            GrantExceeded::Scope(scope) => {
                format!("Cannot grant {scope}: it is not covered by your own scopes")
            }
            GrantExceeded::Api(_) => "Cannot grant an API that you are not granted yourself".into(),
            GrantExceeded::Networks => "Cannot grant networks outside your own allow-list".into(),
            GrantExceeded::Lifetime(end) => {
                format!("Cannot grant an expiry after your own, {}", crate::clock::rfc3339(end))
            }
        };
        Self::new(Code::InsufficientScope, detail)
    }
}
