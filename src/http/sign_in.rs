//! Sign-in for the API and the console: rate limits, password check and a new session.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::http::header::USER_AGENT;

use crate::clock;
use crate::domain::member::{Password, is_email};
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::http::access::Identity;
use crate::http::context::HttpContext;
use crate::http::session;
use crate::limits::SignInAttempt;
use crate::members::{self, Device, SessionSecret, SignIn, SignInError, SignedIn};

/// The values that were entered.
pub struct Typed {
    /// The organization; `None` is `default`.
    pub organization: Option<String>,
    /// The email address.
    pub email: String,
    /// The password.
    pub password: Password,
}

/// A new session.
pub struct StartedSession {
    /// The member and the session.
    pub signed_in: SignedIn,
    /// The secret for the session cookie.
    pub secret: SessionSecret,
    /// The cookie by which the browser is recognized at the next sign-in.
    pub device: Cookie<'static>,
}

/// Why a sign-in failed.
#[derive(Debug)]
pub enum SignInRefused {
    /// A value that is not well-formed.
    Invalid(Violation),
    /// Too many attempts; the seconds to wait.
    Limited(u64),
    /// The credentials are wrong, or the server cannot check them now.
    Error(SignInError),
}

impl SignInRefused {
    /// Returns the outcome for metrics.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Limited(_) => "limited",
            Self::Error(SignInError::Refused) => "refused",
            Self::Error(SignInError::Changed) => "conflict",
            Self::Error(SignInError::Unavailable(_)) => "unavailable",
        }
    }
}

impl From<SignInError> for SignInRefused {
    fn from(error: SignInError) -> Self {
        Self::Error(error)
    }
}

/// Signs a member in. The caller has checked that the request comes from one of Keyturn's pages.
pub async fn sign_in(
    context: &HttpContext,
    request: &HttpRequest,
    typed: Typed,
) -> Result<StartedSession, SignInRefused> {
    let result = attempt(context, request, typed).await;
    context.node.metrics.sign_in(result.as_ref().err().map(SignInRefused::as_str));
    result
}

async fn attempt(context: &HttpContext, request: &HttpRequest, typed: Typed) -> Result<StartedSession, SignInRefused> {
    // 1. Parse the values.
    let wrong = |field: &str, message: &str| SignInRefused::Invalid(Violation::new(field, message));
    let slug = Slug::parse(typed.organization.as_deref().unwrap_or(Slug::DEFAULT));
    let slug = slug.ok_or_else(|| wrong("organization", "must be 1 to 40 lowercase letters, digits and hyphens"))?;
    if !is_email(&typed.email) {
        return Err(wrong("email", "must be an email address"));
    }

    // 2. Check the rate limits. An attempt counts from the start, and no longer if the password turns out to be right.
    let (address, now) = (context.client_address(request), clock::now());
    let account = format!("{slug} {}", typed.email.to_lowercase());
    let public_url = &context.node.settings.public_url;
    let device = session::device_from_cookie(request, public_url);
    let device = device.and_then(|text| members::recognize(&context.node, &account, &text));
    let attempt = context.sign_ins.take(&account, address, device).map_err(SignInRefused::Limited)?;
    let mut uncounted = Uncounted { context, attempt: Some(attempt) };
    let Some(organization) = Some(slug).filter(|slug| context.node.tenant(slug).is_some()) else {
        uncounted.attempt = None;
        return Err(SignInError::Refused.into());
    };
    Identity { organization: Some(organization.clone()), ..Identity::default() }.note(request);

    // 3. Check the password. If the client disconnects while this waits for its turn, it is canceled.
    let user_agent = request.headers().get(USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let wish = SignIn {
        organization,
        email: typed.email,
        password: typed.password,
        address,
        user_agent: user_agent.to_owned(),
        now,
    };
    let verified = members::check_password(&context.node, wish).await.inspect_err(|error| {
        if matches!(error, SignInError::Refused) {
            uncounted.attempt = None;
        }
    })?;

    // 4. Begin the session, which is a change, and recognize the browser at its next sign-in.
    context.count_sign_in(verified.member()).map_err(SignInRefused::Limited)?;
    let node = context.node.clone();
    let begun = context.node.run_to_end(async move { members::begin_session(&node, verified).await }).await;
    let (signed_in, secret) = begun?;
    context.sign_ins.succeed(attempt);
    uncounted.attempt = None;
    let device = device.map_or_else(Device::new, Ok).map_err(SignInError::from)?;
    let device = session::device_cookie(device.sign(&context.node, &account), public_url);
    Ok(StartedSession { signed_in, secret, device })
}

/// Uncounts an attempt when it is dropped: the server was busy, or the client disconnected.
struct Uncounted<'a> {
    context: &'a HttpContext,
    attempt: Option<SignInAttempt>,
}

impl Drop for Uncounted<'_> {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            self.context.sign_ins.release(attempt);
        }
    }
}
