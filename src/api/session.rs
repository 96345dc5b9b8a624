//! `/api/v1/session`, and `/api/v1/me/password`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::{Call, OpenCall};
use crate::api::guard::{MemberSession, Principal};
use crate::api::member_json::{MemberJson, SessionJson};
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::domain::member::Password;
use crate::http::session as cookie;
use crate::http::sign_in::{StartedSession, Typed, sign_in};
use crate::members::{self, SignedIn};

pub(super) fn routes(routes: &mut Routes) {
    routes
        .open("/session", begin)
        .operation("signIn", "Sign in. The response sets the session cookie")
        .body_required()
        .returns(StatusCode::CREATED, "The session.");
    routes
        .add(Method::GET, "/session", show)
        .operation("getSession", "Get the current session")
        .returns(StatusCode::OK, "The session.");
    routes
        .add(Method::DELETE, "/session", end)
        .operation("signOut", "Sign out")
        .returns(StatusCode::NO_CONTENT, "The session has ended.");
    routes
        .add(Method::POST, "/me/password", change_password)
        .operation("changePassword", "Change the caller's password. Their other sessions end")
        .body_required()
        .returns(StatusCode::NO_CONTENT, "The password is changed.");
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignIn")]
struct SignInBody {
    organization: Option<String>,
    email: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::password")]
    password: Password,
}

/// A session and its CSRF token.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignedIn")]
struct SignedInJson {
    member: MemberJson,
    session: SessionJson,
    /// Send it as `X-CSRF-Token` with every change.
    csrf_token: String,
}

async fn begin(OpenCall { request, context }: OpenCall, body: SignInBody) -> Result<Reply<SignedInJson>, Problem> {
    let typed = Typed { organization: body.organization, email: body.email, password: body.password };
    // Only the console's sign-in recognizes browsers: API clients keep no cookie beyond their session.
    let StartedSession { signed_in: who, secret, .. } = sign_in(&context, &request, typed).await?;
    let settings = &context.node.settings;
    let set = cookie::cookie(&secret, &settings.public_url, settings.session_seconds);
    Ok(Reply::new(signed_in(&who, secret.csrf_token())).cookie(set))
}

async fn show(call: Call<MemberSession>) -> Result<Reply<SignedInJson>, Problem> {
    let (who, token) = member(&call)?;
    Ok(Reply::new(signed_in(who, token.to_owned())))
}

async fn end(call: Call<MemberSession>) -> Result<Reply<()>, Problem> {
    let (who, _) = member(&call)?;
    members::end(call.node(), &call.by(), &who.member, &who.session.id).await?;
    Ok(Reply::new(()).cookie(cookie::no_cookie(&call.node().settings.public_url)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasswordChange")]
struct PasswordBody {
    #[schemars(schema_with = "crate::api::openapi::schemas::password")]
    current_password: Password,
    #[schemars(schema_with = "crate::api::openapi::schemas::new_password")]
    new_password: Password,
}

async fn change_password(call: Call<MemberSession>, body: PasswordBody) -> Result<Reply<()>, Problem> {
    let (who, _) = member(&call)?;
    call.context.count_password_change(&who.member.id).map_err(Problem::limited)?;
    members::change_password(call.node(), &call.by(), who, &body.current_password, &body.new_password).await?;
    Ok(Reply::new(()))
}

fn signed_in(who: &SignedIn, csrf_token: String) -> SignedInJson {
    SignedInJson {
        member: MemberJson::new(&who.member),
        session: SessionJson::new(&who.session, Some(&who.session.id)),
        csrf_token,
    }
}

/// Returns the signed-in member and their CSRF token. Keys have no session.
fn member(call: &Call<MemberSession>) -> Result<(&SignedIn, &str), Problem> {
    match &call.principal {
        Principal::Member(who, token) => Ok((who, token)),
        Principal::Key(_) => Err(Problem::not_found()),
    }
}
