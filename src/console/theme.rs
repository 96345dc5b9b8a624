//! The color scheme: that of the system, light or dark. Stored in a cookie, so the first byte of a page already has it.

use actix_web::HttpRequest;
use actix_web::http::header::REFERER;
use actix_web::web;
use url::Url;

use crate::console::error_page::ErrorPage;
use crate::console::frame::next;
use crate::console::reply::Reply;
use crate::console::route::{resource, submit};
use crate::console::submitted::Submitted;
use crate::http::permission::AnyCredential;
use crate::http::session::ConsoleCookie;

/// How long the choice is stored, in seconds.
const SECONDS: i64 = 365 * 86_400;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/theme", [submit(choose)]));
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Theme {
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The value in the cookie, in the form and in the attribute `data-theme`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    /// The content of the meta element `color-scheme`.
    pub(super) const fn schemes(self) -> &'static str {
        match self {
            Self::System => "light dark",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Returns the choice in the request's cookie.
    pub(super) fn read(request: &HttpRequest, public_url: &str) -> Self {
        ConsoleCookie::Theme.read(request, public_url).and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }
}

/// The page with the form, if the browser sent it.
pub(super) struct CameFrom(Option<String>);

impl actix_web::FromRequest for CameFrom {
    type Error = ErrorPage;
    type Future = std::future::Ready<Result<Self, ErrorPage>>;

    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let referer = request.headers().get(REFERER).and_then(|value| value.to_str().ok());
        let url = referer.and_then(|text| Url::parse(text).ok());
        let path = url.map(|url| match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        });
        std::future::ready(Ok(Self(path)))
    }
}

async fn choose(submitted: Submitted<AnyCredential>, from: CameFrom) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let theme = form.value("theme").and_then(Theme::parse);
    let theme = theme.ok_or_else(|| ErrorPage::unreadable_form("it is incomplete"))?;
    let public_url = &visit.node().settings.public_url;
    let cookie = ConsoleCookie::Theme.build(theme.as_str().to_owned(), public_url, SECONDS);
    Ok(Reply::see_other(next(from.0.as_deref(), public_url)).cookie(cookie))
}
