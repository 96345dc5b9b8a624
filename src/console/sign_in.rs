//! Sign-in and sign-out.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::assets::{self, Names};
use crate::console::error_page::ErrorPage;
use crate::console::frame::root;
use crate::console::reply::Reply;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::{self, CSRF_FIELD, Submitted, check_origin};
use crate::console::ui::{CsrfField, Errors, Field, Labels};
use crate::domain::member::{Password, is_email};
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::http::permission::AnyCredential;
use crate::http::session;
use crate::http::sign_in::{SignInRefused, StartedSession, Typed, sign_in};
use crate::members::{self, SignInError};

type Context = web::Data<HttpContext>;

/// Maximum size of the sign-in form.
const MAX_BODY: usize = 8 * 1024;
/// How long a sign-in page stays valid, in seconds.
const PAGE_SECONDS: i64 = 12 * 3600;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/sign-in", [get(show), (Method::POST, web::post().to(begin))]))
        .service(resource("/sign-out", [submit(end)]));
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct Page {
    root: String,
    assets: &'static Names,
    token: CsrfField,
    next: String,
    has_ended: bool,
    errors: Errors,
    organization: Field,
    email: Field,
    password: Field,
}

async fn show(context: Context, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let public_url = &context.node.settings.public_url;
    if let Some(secret) = session::from_cookie(&request, public_url) {
        let now = crate::clock::now();
        let resumed =
            members::resume(&context.node, &secret, now).await.map_err(|cause| ErrorPage::node_unavailable(&cause))?;
        if resumed.is_some() {
            return Ok(Reply::see_other(next(query.value("next"), public_url)));
        }
    }
    let was_redirected = query.value("next").is_some() || query.value("ended").is_some();
    let had_session = session::from_cookie(&request, public_url).is_some();
    let page = Page::new(&context, &query, Errors::default());
    render(&context, &request, Page { has_ended: was_redirected && had_session, ..page }, None)
}

async fn begin(context: Context, request: HttpRequest, payload: web::Payload) -> Result<Reply, ErrorPage> {
    // 1. Check that this browser was served the page: it has the cookie that matches the form's token.
    let public_url = context.node.settings.public_url.clone();
    check_origin(&request, &public_url)?;
    let form = submitted::read(&request, payload.into_inner(), MAX_BODY).await?;
    let page_secret = session::page_from_cookie(&request, &public_url);
    if page_secret.is_none_or(|secret| form.value(CSRF_FIELD) != Some(secret.csrf_token().as_str())) {
        let errors = Errors::sentence("This sign-in page expired, or your browser blocks cookies. Try again.");
        return render(
            &context,
            &request,
            Page::new(&context, &form, errors),
            Some((StatusCode::FORBIDDEN, "CSRF_TOKEN_INVALID")),
        );
    }

    // 2. Check the credentials. The session is always a new one.
    let text = |name: &str| form.value(name).unwrap_or_default().trim().to_owned();
    let typed = Typed {
        organization: Some(text("organization")).filter(|slug| !slug.is_empty()),
        email: text("email"),
        password: Password::from(form.value("password").unwrap_or_default().to_owned()),
    };
    let (refusal, errors) = match sign_in(&context, &request, typed).await {
        Ok(StartedSession { signed_in: who, secret, device }) => {
            let cookie = session::cookie(&secret, &public_url, context.node.settings.session_seconds);
            // Members who still have their temporary password land on Getting started.
            let to = next(form.value("next"), &public_url);
            let is_new = who.member.version == 1 && form.value("next") != Some(to.as_str());
            let to = if is_new { format!("{}/welcome", root(&public_url)) } else { to };
            return Ok(Reply::see_other(to).cookie(device).cookie(cookie).cookie(session::no_page_cookie(&public_url)));
        }
        Err(SignInRefused::Invalid(violation)) => {
            let message = match violation.field.name.as_str() {
                "organization" => "Enter the organization’s slug: 1–40 lowercase letters, digits or hyphens.",
                _ => "Enter an email address.",
            };
            let violation = Violation::new(violation.field, message);
            ((StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"), Errors::new([violation], FIELDS))
        }
        Err(SignInRefused::Limited(seconds)) => {
            let text = format!("Too many attempts. Try again in {seconds} seconds.");
            let page = Page::new(&context, &form, Errors::sentence(text));
            let refusal = Some((StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
            return Ok(render(&context, &request, page, refusal)?.retry_after(seconds));
        }
        Err(SignInRefused::Error(SignInError::Refused)) => (
            (StatusCode::UNAUTHORIZED, "SIGN_IN_REFUSED"),
            Errors::sentence("Incorrect email, password or organization."),
        ),
        Err(SignInRefused::Error(SignInError::Changed)) => (
            (StatusCode::CONFLICT, "CONFLICT"),
            Errors::sentence("Your account changed while you were signing in. Sign in again."),
        ),
        Err(SignInRefused::Error(SignInError::Unavailable(cause))) => return Err(ErrorPage::node_unavailable(&cause)),
    };
    render(&context, &request, Page::new(&context, &form, errors), Some(refusal))
}

async fn end(submitted: Submitted<AnyCredential>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let (node, by, who) = (visit.node(), visit.by(), &visit.who);
    members::end(node, &by, &who.member, &who.session.id).await?;
    let cookie = session::no_cookie(&visit.node().settings.public_url);
    Ok(Reply::see_other(visit.path("/sign-in")).cookie(cookie))
}

const FIELDS: &Labels = &[("organization", "Organization"), ("email", "Email"), ("password", "Password")];

impl Page {
    fn new(context: &HttpContext, form: &Form, errors: Errors) -> Self {
        // A value typed into the wrong field may be a password, so only plausible values are sent back.
        let value = |name: &str, can_be: fn(&str) -> bool| {
            form.value(name).filter(|text| can_be(text)).unwrap_or_default().to_owned()
        };
        let slug = value("organization", |text| Slug::parse(text).is_some());
        let organization = Field::text("organization", "Organization", slug);
        Self {
            root: root(&context.node.settings.public_url),
            assets: assets::names(),
            token: CsrfField(String::new()),
            next: value("next", |text| text.starts_with('/')),
            has_ended: false,
            organization: organization.hint("Leave blank for “default”.").max_length(40).errors(&errors),
            email: Field::text("email", "Email", value("email", is_email))
                .required(true)
                .max_length(254)
                .autocomplete("username")
                .errors(&errors),
            password: Field::password("password", "Password", "current-password").errors(&errors),
            errors,
        }
    }
}

/// Renders the page and sets the cookie that its form is tied to. All sign-in pages of a browser share it.
fn render(
    context: &HttpContext,
    request: &HttpRequest,
    page: Page,
    refusal: Option<(StatusCode, &'static str)>,
) -> Result<Reply, ErrorPage> {
    let public_url = &context.node.settings.public_url;
    let secret = match session::page_from_cookie(request, public_url) {
        Some(secret) => secret,
        None => members::SessionSecret::new()?,
    };
    let html = Page { token: CsrfField(secret.csrf_token()), ..page }.render()?;
    let reply = match refusal {
        None => Reply::page(html),
        Some(refusal) => Reply::refused(refusal, html),
    };
    Ok(reply.cookie(session::page_cookie(&secret, public_url, PAGE_SECONDS)))
}

/// Returns where to go after signing in: the wanted page if it is in the console, otherwise the first page.
fn next(wanted: Option<&str>, public_url: &str) -> String {
    let root = root(public_url);
    let is_in_console = |path: &&str| {
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let below =
            path.strip_prefix(root.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        // Our paths contain no escapes before the query, and browsers treat `%2e` as a dot.
        let before = path.split('?').next().unwrap_or_default();
        let odd = ["//", "..", "/sign-"];
        plain && below && !before.contains('%') && !odd.iter().any(|odd| path.contains(odd))
    };
    wanted.filter(is_in_console).map_or_else(|| format!("{root}/keys"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_stays_in_the_console() {
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
    fn next_keeps_the_path_of_the_public_url() {
        assert_eq!(next(None, "https://id.example/keyturn"), "/keyturn/console/keys");
        assert_eq!(next(Some("/console/keys"), "https://id.example/keyturn"), "/keyturn/console/keys");
    }
}
