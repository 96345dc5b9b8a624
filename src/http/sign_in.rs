//! Signing in, from whichever surface: not too often, and always by a new session.

use actix_web::HttpRequest;
use actix_web::http::header::USER_AGENT;

use crate::clock;
use crate::domain::member::{Password, is_email};
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::members::{self, SessionSecret, SignIn, SignInError, SignedIn};

/// What somebody typed.
pub struct Typed {
    /// Organization; absent: `default`.
    pub organization: Option<String>,
    /// Login.
    pub email: String,
    /// Password.
    pub password: Password,
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
) -> Result<(SignedIn, SessionSecret), SignInRefused> {
    // 1. What was typed.
    let wrong = |field: &str, message: &str| SignInRefused::Invalid(Violation::new(field, message));
    let slug = Slug::parse(typed.organization.as_deref().unwrap_or(Slug::DEFAULT));
    let slug = slug.ok_or_else(|| wrong("organization", "1 to 40 of a-z, 0-9 and '-' are expected"))?;
    if !is_email(&typed.email) {
        return Err(wrong("email", "a login like owner@example.org is expected"));
    }

    // 2. Not too often, from one address or for one login.
    let (address, now) = (context.client_address(request), clock::now());
    let account = format!("{slug} {}", typed.email.to_lowercase());
    context.count_sign_in(&account, address).map_err(SignInRefused::Limited)?;
    let Some(organization) = Some(slug).filter(|slug| context.node.tenant(slug).is_some()) else {
        return Err(SignInError::Refused.into());
    };

    // 3. The password.
    let user_agent = request.headers().get(USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let wish = SignIn {
        organization,
        email: typed.email,
        password: typed.password,
        address,
        user_agent: user_agent.to_owned(),
        now,
    };
    let node = context.node.clone();
    Ok(context.node.run_to_end(async move { members::sign_in(&node, wish).await }).await?)
}
