//! Signing in, from whichever surface: not too often, and always by a new session.

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

/// What somebody typed.
pub struct Typed {
    /// Organization; absent: `default`.
    pub organization: Option<String>,
    /// Login.
    pub email: String,
    /// Password.
    pub password: Password,
}

/// A session that has begun.
pub struct StartedSession {
    /// Who signed in.
    pub signed_in: SignedIn,
    /// What the browser holds for the session.
    pub secret: SessionSecret,
    /// What the browser keeps beyond it.
    pub device: Cookie<'static>,
}

/// Why nobody was signed in.
#[derive(Debug)]
pub enum SignInRefused {
    /// Fields that cannot be right.
    Invalid(Violation),
    /// Too often; after how many seconds to come back.
    Limited(u64),
    /// What the use case says.
    Error(SignInError),
}

impl SignInRefused {
    /// The outcome as metrics name it.
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

/// Signs somebody in. That the request comes from our own pages is checked before.
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
    // 1. What was typed.
    let wrong = |field: &str, message: &str| SignInRefused::Invalid(Violation::new(field, message));
    let slug = Slug::parse(typed.organization.as_deref().unwrap_or(Slug::DEFAULT));
    let slug = slug.ok_or_else(|| wrong("organization", "1 to 40 of a-z, 0-9 and '-' are expected"))?;
    if !is_email(&typed.email) {
        return Err(wrong("email", "a login like owner@example.org is expected"));
    }

    // 2. Not too often. A try counts from the beginning, and is given back unless the password is wrong.
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

    // 3. The password. Whoever goes away while this waits for its turn is not waited for.
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

    // 4. The session, which is a change like others, and proof for the next time that this browser has signed in.
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

/// Gives a try back when it is dropped: the server was busy, or the caller went away.
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
