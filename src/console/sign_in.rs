//! Sign-in.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::assets::{self, Names};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{next, root};
use crate::console::kept;
use crate::console::reply::Reply;
use crate::console::route::{get, resource};
use crate::console::submitted::{self, CSRF_FIELD, check_origin};
use crate::console::switcher;
use crate::console::theme::Theme;
use crate::console::ui::{CsrfField, Errors, Field, Labels};
use crate::console::welcome;
use crate::domain::member::{Password, is_email};
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::http::context::HttpContext;
use crate::http::form::Form;
use crate::http::session::{self, ConsoleCookie};
use crate::http::sign_in::{SignInRefused, StartedSession, Typed, sign_in};
use crate::members::{self, SignInError};

type Context = web::Data<HttpContext>;

/// Maximum size of the sign-in form.
const MAX_BODY: usize = 8 * 1024;
/// How long a sign-in page stays valid, in seconds.
const PAGE_SECONDS: i64 = 12 * 3600;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/sign-in", [get(show), (Method::POST, web::post().to(begin))]));
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct Page {
    root: String,
    assets: &'static Names,
    token: CsrfField,
    next: String,
    theme: Theme,
    has_ended: bool,
    /// The session that the browser already has.
    current: Option<Current>,
    /// Whether the browser keeps a form that could not be submitted.
    has_form: bool,
    errors: Errors,
    /// Only if there is more than one organization.
    organization: Option<Field>,
    email: Field,
    password: Field,
}

/// The current session on the page for signing in to another organization.
struct Current {
    organization: String,
    /// The wanted organization and the token of the form that switches to it, if the browser holds a session there.
    switch: Option<(String, CsrfField)>,
}

async fn show(context: Context, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let public_url = &context.node.settings.public_url;
    if let Some(secret) = session::from_cookie(&request, public_url) {
        let now = crate::clock::now();
        let resumed =
            members::resume(&context.node, &secret, now).await.map_err(|cause| ErrorPage::node_unavailable(&cause))?;
        if let Some(who) = resumed {
            let other = query.value("organization").and_then(Slug::parse);
            if query.value("another").is_none() && other.as_ref().is_none_or(|slug| *slug == who.member.organization) {
                return Ok(Reply::see_other(next(query.value("next"), public_url)));
            }
            let mut page = Page::new(&context, &query, Errors::default());
            page.email.value.clone_from(&who.member.email);
            let held = switcher::read(&request, &context.node, &secret, &who, now);
            let is_held = |slug: &&Slug| held.iter().any(|held| held.organization == **slug);
            let token = CsrfField {
                token: members::mask_csrf_token(&secret.csrf_token())?,
                member: Some(who.member.id.to_string()),
            };
            page.current = Some(Current {
                organization: who.member.organization.to_string(),
                switch: other.as_ref().filter(is_held).map(|slug| (slug.to_string(), token)),
            });
            return render(&context, &request, page, None);
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
    if page_secret.is_none_or(|secret| {
        let token = secret.csrf_token();
        form.value(CSRF_FIELD).is_none_or(|sent| !members::is_csrf_token(sent, &token))
    }) {
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
            // The page of a form that was kept comes before Getting started.
            let to = match kept::has_form(&request, &public_url) {
                true => next(form.value("next"), &public_url),
                false => welcome::after_sign_in(&context.node, &who.member, form.value("next")).await?,
            };
            let address = context.client_address(&request);
            let [others, organization] =
                switcher::after_sign_in(&context.node, &request, &who, &secret, address).await?;
            return Ok(Reply::see_other(to)
                .cookie(device)
                .cookie(cookie)
                .cookie(others)
                .cookie(organization)
                .cookie(session::no_page_cookie(&public_url)));
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
            Errors::sentence(match context.node.tenant_count() {
                1 => "Incorrect email or password.",
                _ => "Incorrect email, password or organization.",
            }),
        ),
        Err(SignInRefused::Error(SignInError::Changed)) => (
            (StatusCode::CONFLICT, "CONFLICT"),
            Errors::sentence("Your account changed while you were signing in. Sign in again."),
        ),
        Err(SignInRefused::Error(SignInError::Unavailable(cause))) => return Err(ErrorPage::node_unavailable(&cause)),
    };
    render(&context, &request, Page::new(&context, &form, errors), Some(refusal))
}

const FIELDS: &Labels = &[("organization", "Organization"), ("email", "Email"), ("password", "Password")];

impl Page {
    fn new(context: &HttpContext, form: &Form, errors: Errors) -> Self {
        // A value typed into the wrong field may be a password, so only plausible values are sent back.
        let value = |name: &str, can_be: fn(&str) -> bool| {
            form.value(name).filter(|text| can_be(text)).unwrap_or_default().to_owned()
        };
        let slug = value("organization", |text| Slug::parse(text).is_some());
        let has_several = context.node.tenant_count() > 1 || errors.of("organization").is_some();
        let organization = Field::text("organization", "Organization", slug);
        Self {
            root: root(&context.node.settings.public_url),
            assets: assets::names(),
            token: CsrfField { token: String::new(), member: None },
            theme: Theme::default(),
            has_form: false,
            next: value("next", |text| text.starts_with('/')),
            has_ended: false,
            current: None,
            organization: has_several
                .then(|| organization.hint("Leave blank for “default”.").max_length(40).errors(&errors)),
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
    let token = CsrfField { token: members::mask_csrf_token(&secret.csrf_token())?, member: None };
    let (theme, has_form) = (Theme::read(request, public_url), kept::has_form(request, public_url));
    let mut page = Page { token, theme, has_form, ..page };
    // The organization of the last sign-in, unless the address or the form names one.
    if let Some(organization) = page.organization.as_mut().filter(|field| field.value.is_empty() && refusal.is_none()) {
        let last = ConsoleCookie::Organization.read(request, public_url).as_deref().and_then(Slug::parse);
        organization.value = last.filter(|_| page.current.is_none()).map(|slug| slug.to_string()).unwrap_or_default();
    }
    let html = page.render()?;
    let reply = match refusal {
        None => Reply::page(html),
        Some(refusal) => Reply::refused(refusal, html),
    };
    Ok(reply.cookie(session::page_cookie(&secret, public_url, PAGE_SECONDS)))
}
