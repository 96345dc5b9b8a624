//! Signing in and out.

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::console::assets::{self, Names};
use crate::console::frame::{answer, denied, root};
use crate::console::see_other;
use crate::console::submitted::{self, CSRF_FIELD, Submitted, check_origin};
use crate::console::trouble::Trouble;
use crate::console::ui::{Errors, Field, Token};
use crate::domain::member::{Password, is_email};
use crate::domain::policy::Violation;
use crate::domain::slug::Slug;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::http::permission::Anyone;
use crate::http::session;
use crate::http::sign_in::{Begun, SignInRefused, Typed, sign_in};
use crate::members::{self, SignInError};

type Context = web::Data<HttpContext>;

/// Larger than what can be typed there.
const MAX_BODY: usize = 8 * 1024;
/// How long a sign-in page may lie open, in seconds.
const PAGE_SECONDS: i64 = 12 * 3600;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/sign-in").route(web::get().to(show)).route(web::post().to(begin)))
        .service(web::resource("/sign-out").route(web::post().to(end)));
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct Page {
    root: String,
    assets: &'static Names,
    token: Token,
    next: String,
    has_ended: bool,
    errors: Errors,
    organization: Field,
    email: Field,
    password: Field,
}

async fn show(context: Context, request: HttpRequest) -> Result<HttpResponse, Trouble> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let public_url = &context.node.settings.public_url;
    if let Some(secret) = session::from_cookie(&request, public_url) {
        let now = crate::clock::now();
        let resumed = members::resume(&context.node, &secret, now).await.map_err(|cause| Trouble::not_now(&cause))?;
        if resumed.is_some() {
            return Ok(see_other(&next(query.value("next"), public_url)));
        }
    }
    let is_sent_back = query.value("next").is_some() || query.value("ended").is_some();
    let had_session = session::from_cookie(&request, public_url).is_some();
    let page = Page::new(&context, &query, Errors::default());
    shown(&context, &request, Page { has_ended: is_sent_back && had_session, ..page }, None)
}

async fn begin(context: Context, request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Trouble> {
    // 1. From the page that this browser was shown: it holds the cookie that the page was made with.
    let public_url = context.node.settings.public_url.clone();
    check_origin(&request, &public_url)?;
    let form = submitted::read(&request, payload.into_inner(), MAX_BODY).await?;
    let page_secret = session::page_from_cookie(&request, &public_url);
    if page_secret.is_none_or(|secret| form.value(CSRF_FIELD) != Some(secret.csrf_token().as_str())) {
        let errors =
            Errors::sentence("The page had been open for too long, or your browser keeps no cookies. Try again.");
        return shown(
            &context,
            &request,
            Page::new(&context, &form, errors),
            Some((StatusCode::FORBIDDEN, "CSRF_TOKEN_INVALID")),
        );
    }

    // 2. Login and password. The session is a new one, whatever the browser held before.
    let text = |name: &str| form.value(name).unwrap_or_default().trim().to_owned();
    let typed = Typed {
        organization: Some(text("organization")).filter(|slug| !slug.is_empty()),
        email: text("email"),
        password: Password::from(form.value("password").unwrap_or_default().to_owned()),
    };
    let (refusal, errors) = match sign_in(&context, &request, typed).await {
        Ok(Begun { signed_in: who, secret, device }) => {
            let cookie = session::cookie(&secret, &public_url, context.node.settings.session_seconds);
            // Whoever has never changed the password they were given is shown how to begin.
            let to = next(form.value("next"), &public_url);
            let is_new = who.member.version == 1 && form.value("next") != Some(to.as_str());
            let to = if is_new { format!("{}/welcome", root(&public_url)) } else { to };
            let mut response = see_other(&to);
            let set = response
                .add_cookie(&device)
                .and_then(|()| response.add_cookie(&cookie))
                .and_then(|()| response.add_cookie(&session::no_page_cookie(&public_url)));
            set.map_err(|error| Trouble::unavailable(&error))?;
            return Ok(response);
        }
        Err(SignInRefused::Invalid(Violation { field, message })) => (
            (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"),
            Errors::new(vec![Violation { field, message }], &FIELDS),
        ),
        Err(SignInRefused::Limited(seconds)) => {
            let text = format!("There were too many attempts. Try again in {seconds} seconds.");
            let page = Page::new(&context, &form, Errors::sentence(text));
            let mut response = shown(&context, &request, page, Some((StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED")))?;
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return Ok(response);
        }
        Err(SignInRefused::Error(SignInError::Refused)) => (
            (StatusCode::UNAUTHORIZED, "SIGN_IN_REFUSED"),
            Errors::sentence("Organization, login and password do not go together."),
        ),
        Err(SignInRefused::Error(SignInError::Changed)) => (
            (StatusCode::CONFLICT, "CONFLICT"),
            Errors::sentence("Your account was changed at this moment. Sign in again."),
        ),
        Err(SignInRefused::Error(SignInError::Unavailable(cause))) => return Err(Trouble::not_now(&cause)),
    };
    shown(&context, &request, Page::new(&context, &form, errors), Some(refusal))
}

async fn end(submitted: Submitted<Anyone>) -> Result<HttpResponse, Trouble> {
    let visit = submitted.visit;
    let (node, by, who) = (visit.node().clone(), visit.by(), visit.who.clone());
    let ended = async move { members::end(&node, &by, &who.member, &who.session.id).await };
    visit.node().run_to_end(ended).await?;
    let mut response = see_other(&visit.path("/sign-in"));
    let cookie = session::no_cookie(&visit.node().settings.public_url);
    response.add_cookie(&cookie).map_err(|error| Trouble::unavailable(&error))?;
    Ok(response)
}

const FIELDS: [&str; 3] = ["organization", "email", "password"];

impl Page {
    fn new(context: &HttpContext, form: &Form, errors: Errors) -> Self {
        // What is typed in the wrong place may be a password: only what can be right is sent back.
        let value = |name: &str, can_be: fn(&str) -> bool| {
            form.value(name).filter(|text| can_be(text)).unwrap_or_default().to_owned()
        };
        let slug = value("organization", |text| Slug::parse(text).is_some());
        let organization = Field::text("organization", "Organization", slug);
        Self {
            root: root(&context.node.settings.public_url),
            assets: assets::names(),
            token: Token(String::new()),
            next: value("next", |text| text.starts_with('/')),
            has_ended: false,
            organization: organization.hint("Leave it empty for “default”.").most(40).errors(&errors),
            email: Field::text("email", "Email", value("email", is_email))
                .required(true)
                .most(254)
                .autocomplete("username")
                .errors(&errors),
            password: Field::password("password", "Password", "current-password").errors(&errors),
            errors,
        }
    }
}

/// Shows the page, with a cookie of its own that the form is tied to: one for all pages of a browser.
fn shown(
    context: &HttpContext,
    request: &HttpRequest,
    page: Page,
    refusal: Option<(StatusCode, &'static str)>,
) -> Result<HttpResponse, Trouble> {
    let public_url = &context.node.settings.public_url;
    let secret = match session::page_from_cookie(request, public_url) {
        Some(secret) => secret,
        None => members::SessionSecret::new()?,
    };
    let html = Page { token: Token(secret.csrf_token()), ..page }.render()?;
    let mut response = match refusal {
        None => answer(StatusCode::OK, html),
        Some(refusal) => denied(refusal, html, None),
    };
    let cookie = session::page_cookie(&secret, public_url, PAGE_SECONDS);
    response.add_cookie(&cookie).map_err(|error| Trouble::unavailable(&error))?;
    Ok(response)
}

/// Where to go after signing in: a page of the console, or else the first one. Never anywhere else.
fn next(wanted: Option<&str>, public_url: &str) -> String {
    let root = root(public_url);
    let is_ours = |path: &&str| {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let below =
            path.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        // Before its query nothing is escaped that we write, and a browser takes `%2e` for a dot.
        let before = path.split('?').next().unwrap_or_default();
        let odd = ["//", "..", "/sign-"];
        plain && below && !before.contains('%') && !odd.iter().any(|odd| path.contains(odd))
    };
    wanted.filter(is_ours).map_or_else(|| format!("{root}/keys"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_the_way_leads_into_the_console_only() {
        let next = |wanted| next(Some(wanted), "https://id.example");
        for good in ["/console", "/console/keys", "/console/keys?status=all&search=a%20b", "/console?x=1"] {
            assert_eq!(next(good), good);
        }
        for bad in [
            "https://evil.example/console",
            "//evil.example/console",
            "/\\evil.example",
            "/console//evil.example",
            "/consolevil",
            "/console/../../evil",
            "/console/..//evil",
            "/console/%2e%2e/%2E./evil",
            "/console/%73ign-out",
            "javascript:alert(1)",
            "/console/\r\nSet-Cookie: a=b",
            "/console/sign-out",
            "/api/v1/me",
            "console/keys",
            " /console/keys",
            "",
        ] {
            assert_eq!(next(bad), "/console/keys", "{bad}");
        }
    }

    #[test]
    fn what_the_public_url_has_before_its_path_is_kept() {
        assert_eq!(next(None, "https://id.example/keyturn"), "/keyturn/console/keys");
        assert_eq!(next(Some("/console/keys"), "https://id.example/keyturn"), "/keyturn/console/keys");
    }
}
