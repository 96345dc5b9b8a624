//! The error page of each error of a use case.

use crate::clock::rfc3339;
use crate::console::error_page::ErrorPage;
use crate::console::ui::to_sentence;
use crate::domain::apis::MAX_APIS;
use crate::domain::profile::{MAX_NAMED_NETWORKS, MAX_PROFILES};
use crate::keys::KeyError;
use crate::members::MemberError;
use crate::node::Unavailable;
use crate::organizations::{ApiError, PolicyError, RetireError, RotateError};
use crate::profiles::ProfileError;
use crate::webhooks::WebhookError;

impl From<KeyError> for ErrorPage {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::NotFound => Self::not_found(),
            KeyError::Invalid(errors) => Self::invalid(errors),
            KeyError::GrantExceeded(excess) => Self::excess(&excess),
            KeyError::RoleRequired(role) => {
                Self::not_permitted(format!("You need the {role} role or higher. Ask an admin to change your role."))
            }
            KeyError::PreconditionFailed => Self::edit_conflict("key"),
            KeyError::Repeated | KeyError::OtherRequest => Self::conflict("This form is already being processed."),
            KeyError::AlreadyDone(_) => {
                Self::conflict("This form was already submitted. Its secret was shown once and can’t be shown again.")
            }
            KeyError::Conflict(detail) => Self::conflict(detail),
            KeyError::ReferencesChanged => {
                Self::conflict("Someone else changed the organization at the same time. Try again.")
            }
            KeyError::LimitReached => Self::conflict("Key limit reached. Revoke a key you no longer need."),
            KeyError::NotBootstrapped => {
                Self::conflict("This organization has no signing key. Create one on the Signing keys page.")
            }
            KeyError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}

impl From<MemberError> for ErrorPage {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NotFound => Self::not_found(),
            MemberError::Invalid(errors) => Self::invalid(errors),
            MemberError::GrantExceeded(excess) => Self::excess(&excess),
            MemberError::PreconditionFailed => Self::edit_conflict("member"),
            MemberError::Conflict(detail) => Self::conflict(detail),
            MemberError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}

impl From<PolicyError> for ErrorPage {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::NotFound => Self::not_found(),
            PolicyError::Invalid(errors) => Self::invalid(errors),
            PolicyError::PreconditionFailed | PolicyError::Raced => Self::edit_conflict("policy"),
            PolicyError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}

impl From<ApiError> for ErrorPage {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotFound => Self::not_found(),
            ApiError::Invalid(errors) => Self::invalid(errors),
            ApiError::PreconditionFailed => Self::edit_conflict("API"),
            ApiError::LimitReached => Self::conflict(format!(
                "An organization can have at most {MAX_APIS} APIs. Delete one that you no longer need."
            )),
            ApiError::IsDefault => Self::conflict("The default API can’t be deleted."),
            ApiError::AlgorithmChanging(until) => Self::conflict(format!(
                "The algorithm was changed, and earlier tokens may be valid until {}. Change it again after that.",
                rfc3339(until)
            )),
            ApiError::SigningKey(cause) => cause.into(),
            ApiError::Raced => Self::conflict("Someone else changed the organization at the same time. Try again."),
            ApiError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}

impl From<ProfileError> for ErrorPage {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::NotFound => Self::not_found(),
            ProfileError::Invalid(errors) => Self::invalid(errors),
            ProfileError::GrantExceeded(excess) => Self::excess(&excess),
            ProfileError::PreconditionFailed => Self::edit_conflict("profile or network"),
            ProfileError::LimitReached => Self::conflict(format!(
                "An organization can have at most {MAX_PROFILES} profiles and {MAX_NAMED_NETWORKS} networks. Delete one that you \
                 no longer need."
            )),
            ProfileError::HasKeys => Self::conflict("Keys refer to it. Change or revoke them first."),
            ProfileError::HasProfiles => Self::conflict("Profiles refer to this network. Change them first."),
            ProfileError::Conflict(detail) => Self::conflict(detail),
            ProfileError::Raced => Self::conflict("Someone else changed the organization at the same time. Try again."),
            ProfileError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}

impl From<RotateError> for ErrorPage {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Pending { kid, from } => Self::conflict(format!(
                "The next signing key, {kid}, is already published and starts signing at {from}. Rotate again after that, or choose “Immediately”."
            )),
            RotateError::NotFound => Self::not_found(),
            RotateError::UnusedAlgorithm(algorithm) => {
                Self::conflict(format!("No API has tokens signed with {algorithm}."))
            }
            RotateError::TooMany => Self::conflict(
                "An organization can have at most 8 signing keys that haven’t expired. Wait until the oldest has expired, or \
                 revoke one.",
            ),
            RotateError::Raced => Self::conflict("Someone else rotated the signing key at the same time."),
            RotateError::Create(cause) => Self::unavailable(&cause),
            RotateError::Unavailable(cause) => Self::node_unavailable(&cause),
        }
    }
}

impl From<RetireError> for ErrorPage {
    fn from(error: RetireError) -> Self {
        match error {
            RetireError::NotFound => Self::not_found(),
            RetireError::Rotate(error) => error.into(),
        }
    }
}

impl From<WebhookError> for ErrorPage {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Self::not_found(),
            WebhookError::PreconditionFailed => Self::edit_conflict("webhook"),
            WebhookError::Conflict(detail) => Self::conflict(to_sentence(&detail)),
            WebhookError::Unavailable(cause) => Self::node_unavailable(&cause),
            WebhookError::Sealing(cause) => Self::unavailable(&cause),
        }
    }
}

impl From<Unavailable> for ErrorPage {
    fn from(cause: Unavailable) -> Self {
        Self::node_unavailable(&cause)
    }
}

impl From<askama::Error> for ErrorPage {
    fn from(cause: askama::Error) -> Self {
        Self::unavailable(&cause)
    }
}
