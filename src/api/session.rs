//! `/api/v1/session`: signing in and out; `/api/v1/me/password`.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::guard::{AnyCredential, Guarded, Principal};
use crate::api::member_json::{MemberJson, SessionJson};
use crate::api::problem::Problem;
use crate::domain::member::Password;
use crate::http::context::HttpContext;
use crate::http::session as cookie;
use crate::http::sign_in::{StartedSession, Typed, sign_in};
use crate::members::{self, SignedIn};

type Context = web::Data<HttpContext>;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    let resource = |path: &str, allowed: &'static str| {
        web::resource(path).default_service(web::to(move || async move { Problem::method_not_allowed(allowed) }))
    };
    config
        .service(
            resource("/session", "GET, POST, DELETE")
                .route(web::get().to(show))
                .route(web::post().to(begin))
                .route(web::delete().to(end)),
        )
        .service(resource("/me/password", "POST").route(web::post().to(change_password)));
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignIn")]
pub(super) struct SignInBody {
    organization: Option<String>,
    email: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::password")]
    password: Password,
}

/// A session, and what a page sends along with a change.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SignedIn")]
pub(super) struct SignedInJson {
    member: MemberJson,
    session: SessionJson,
    /// To be sent as `X-CSRF-Token` with every change.
    csrf_token: String,
}

async fn begin(context: Context, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    // From our own pages, or from no page at all.
    if !cookie::is_from_our_pages(&request, &context.node.settings.public_url) {
        return Err(Problem::not_from_our_pages());
    }
    let body: SignInBody = body::read(&request, payload).await?;

    let typed = Typed { organization: body.organization, email: body.email, password: body.password };
    // The browser is recognized by the console's sign-in alone; a script keeps no cookie beyond its session.
    let StartedSession { signed_in: who, secret, .. } = sign_in(&context, &request, typed).await?;
    let settings = &context.node.settings;
    let set = cookie::cookie(&secret, &settings.public_url, settings.session_seconds);
    let json = signed_in(&who, secret.csrf_token());
    Ok(no_store(HttpResponse::Created()).cookie(set).json(json))
}

async fn show(guarded: Guarded<AnyCredential>) -> Result<HttpResponse, Problem> {
    let (who, token) = person(&guarded)?;
    Ok(no_store(HttpResponse::Ok()).json(signed_in(who, token.to_owned())))
}

async fn end(guarded: Guarded<AnyCredential>, context: Context) -> Result<HttpResponse, Problem> {
    let (who, _) = person(&guarded)?;
    let (node, by, who) = (context.node.clone(), guarded.by(), who.clone());
    let ended = async move { members::end(&node, &by, &who.member, &who.session.id).await };
    context.node.run_to_end(ended).await?;
    Ok(no_store(HttpResponse::NoContent()).cookie(cookie::no_cookie(&context.node.settings.public_url)).finish())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasswordChange")]
pub(super) struct PasswordBody {
    #[schemars(schema_with = "crate::api::openapi::schemas::password")]
    current_password: Password,
    #[schemars(schema_with = "crate::api::openapi::schemas::new_password")]
    new_password: Password,
}

async fn change_password(
    guarded: Guarded<AnyCredential>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (who, _) = person(&guarded)?;
    let body: PasswordBody = body::read(&request, payload).await?;
    context.count_password_change(&who.member.id).map_err(Problem::limited)?;
    let (node, by, who) = (context.node.clone(), guarded.by(), who.clone());
    let changed =
        async move { members::change_password(&node, &by, &who, &body.current_password, &body.new_password).await };
    context.node.run_to_end(changed).await?;
    Ok(no_store(HttpResponse::NoContent()).finish())
}

fn signed_in(who: &SignedIn, csrf_token: String) -> SignedInJson {
    SignedInJson {
        member: MemberJson::new(&who.member),
        session: SessionJson::new(&who.session, Some(&who.session.id)),
        csrf_token,
    }
}

/// The person who asks, and what their pages send along; a key is no person.
fn person(guarded: &Guarded<AnyCredential>) -> Result<(&SignedIn, &str), Problem> {
    match &guarded.principal {
        Principal::Member(who, token) => Ok((who, token)),
        Principal::Key(_) => Err(Problem::not_found()),
    }
}

fn no_store(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}
