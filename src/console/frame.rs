//! The frame of every page: navigation, the signed-in member and the security headers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::DefaultHeaders;
use askama::Template;

use crate::console::assets::{self, Names};
use crate::console::error_page::ErrorPage;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::switcher::Switcher;
use crate::console::theme::Theme;
use crate::console::ui::{CsrfField, Icon};
use crate::domain::member::Role;
use crate::http::access::{Explanation, Refused};
use crate::http::permission::{
    AdminOrganizations, ReadApis, ReadAudit, ReadCustomers, ReadKeys, ReadMembers, ReadPolicy, ReadProfiles,
    ReadSigningKeys, ReadUsage, ReadWebhooks, WriteKeys,
};
use crate::http::public_path::PublicPath;

/// No third-party or inline content, no framing, and forms only to this origin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The sections of the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    Overview,
    /// No entry in the navigation: every page has the box.
    Find,
    Welcome,
    Keys,
    Customers,
    Apis,
    /// Profiles and named networks.
    Profiles,
    Usage,
    Audit,
    Members,
    Policy,
    SigningKeys,
    Webhooks,
    Gateways,
    Organizations,
    Emergency,
    Account,
    /// A page that does not exist.
    Other,
}

impl Section {
    /// The ID of the section's symbol in `assets/icons.svg`.
    const fn icon(self) -> &'static str {
        match self {
            Self::Overview => "home",
            Self::Find => "key",
            Self::Welcome => "flag",
            Self::Keys => "key",
            Self::Customers => "person",
            Self::Apis => "stack",
            Self::Profiles => "card",
            Self::Usage => "chart",
            Self::Audit => "list",
            Self::Members => "people",
            Self::Policy => "shield",
            Self::SigningKeys => "pen",
            Self::Webhooks => "bell",
            Self::Gateways => "gate",
            Self::Organizations => "building",
            Self::Emergency => "alert",
            Self::Account | Self::Other => "person",
        }
    }

    /// Returns the section of a path below `/console`.
    pub(super) fn of_path(path: &str) -> Self {
        match path.split(['/', '?']).nth(1).unwrap_or_default() {
            "" | "overview" => Self::Overview,
            "find" => Self::Find,
            "welcome" => Self::Welcome,
            "customers" | "portal" => Self::Customers,
            "apis" => Self::Apis,
            "profiles" | "networks" => Self::Profiles,
            "usage" | "denials" => Self::Usage,
            "audit" => Self::Audit,
            "members" => Self::Members,
            "policy" => Self::Policy,
            "signing-keys" => Self::SigningKeys,
            "webhooks" => Self::Webhooks,
            "gateways" => Self::Gateways,
            "organizations" => Self::Organizations,
            "emergency" => Self::Emergency,
            "account" | "theme" => Self::Account,
            "keys" | "check" => Self::Keys,
            _ => Self::Other,
        }
    }
}

/// A link in the navigation.
pub(super) struct NavItem {
    /// The path below `/console`.
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    /// The ID of the symbol in the sprite.
    pub(super) icon: &'static str,
    pub(super) is_current: bool,
}

pub(super) struct Frame {
    /// The first part of the page's title.
    pub(super) title: String,
    /// The absolute path of `/console`, including the public URL's path.
    pub(super) root: String,
    pub(super) assets: &'static Names,
    pub(super) nav: Vec<NavItem>,
    pub(super) is_account: bool,
    /// Whether the visitor can find keys.
    pub(super) may_find: bool,
    /// The display name of the member's organization.
    pub(super) organization: String,
    /// The menu of organizations.
    pub(super) switcher: Switcher,
    pub(super) email: String,
    pub(super) role: Role,
    /// The CSRF field for every form.
    pub(super) token: CsrfField,
    /// The message about the last change.
    pub(super) flash: Option<String>,
    pub(super) theme: Theme,
    /// The path below which the API reference is.
    pub(super) base: String,
}

impl Frame {
    pub(super) fn new<P>(visit: &ConsoleRequest<P>, section: Section, title: String) -> Self {
        let member = &visit.who.member;
        let is_from_default = member.organization.is_default();
        let sections = [
            (Section::Overview, "/overview", "Overview", true),
            (Section::Keys, "/keys", "API keys", visit.may::<ReadKeys>()),
            (Section::Customers, "/customers", "Customers", visit.may::<ReadCustomers>()),
            (Section::Apis, "/apis", "APIs", visit.may::<ReadApis>()),
            (Section::Profiles, "/profiles", "Profiles", visit.may::<ReadProfiles>()),
            (Section::Usage, "/usage", "Usage", visit.may::<ReadUsage>()),
            (Section::Audit, "/audit", "Audit log", visit.may::<ReadAudit>()),
            (Section::Members, "/members", "Members", visit.may::<ReadMembers>()),
            (Section::Policy, "/policy", "Policy", visit.may::<ReadPolicy>()),
            (Section::SigningKeys, "/signing-keys", "Signing keys", visit.may::<ReadSigningKeys>()),
            (Section::Webhooks, "/webhooks", "Webhooks", visit.may::<ReadWebhooks>()),
            (Section::Gateways, "/gateways", "Gateways", true),
            (
                Section::Organizations,
                "/organizations",
                "Organizations",
                is_from_default && visit.may::<AdminOrganizations>(),
            ),
            (Section::Emergency, "/emergency", "Emergency", visit.may::<WriteKeys>()),
            (Section::Welcome, "/welcome", "Getting started", true),
        ];
        let visible = sections.into_iter().filter(|(.., may)| *may);
        let root = root(&visit.node().settings.public_url);
        let tenant = visit.node().tenant(&member.organization);
        let token = CsrfField { token: visit.form_token.clone(), member: Some(member.id.to_string()) };
        Self {
            title,
            organization: tenant
                .map_or_else(|| member.organization.to_string(), |tenant| tenant.organization.name.clone()),
            switcher: Switcher::new(visit, root.clone(), token.clone()),
            root,
            assets: assets::names(),
            nav: visible
                .map(|(item, path, name, _)| NavItem { path, name, icon: item.icon(), is_current: item == section })
                .collect(),
            is_account: section == Section::Account,
            may_find: visit.may::<ReadKeys>(),
            email: member.email.clone(),
            role: member.role,
            token,
            flash: visit.flash.take(),
            theme: visit.theme,
            base: base_path(&visit.node().settings.public_url),
        }
    }

    /// The name of the current section.
    pub(super) fn current(&self) -> Option<&NavItem> {
        self.nav.iter().find(|item| item.is_current)
    }

    /// A symbol of the sprite. It says nothing to screen readers.
    pub(super) fn icon(&self, symbol: &'static str) -> Icon<'_> {
        Icon { root: &self.root, sprite: &self.assets.icons, symbol }
    }

    pub(super) fn themes(&self) -> &'static [Theme] {
        &Theme::ALL
    }

    /// The version of the server.
    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// The absolute path of `/console`, including the public URL's path.
pub(super) fn root(public_url: &str) -> String {
    format!("{}/console", base_path(public_url))
}

/// Returns the path of the public URL.
pub(super) fn base_path(public_url: &str) -> String {
    PublicPath::of(public_url).as_str().to_owned()
}

/// Renders a page.
pub(super) fn page(template: &impl Template) -> Result<Reply, ErrorPage> {
    Ok(Reply::page(template.render()?))
}

/// Renders a form with its validation errors.
pub(super) fn invalid_form(template: &impl Template) -> Result<Reply, ErrorPage> {
    Ok(Reply::refused((StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"), template.render()?))
}

/// Returns an error page, with the code for the access log.
pub(super) fn error_response(
    (status, code): (StatusCode, &'static str),
    html: String,
    explanation: Option<Box<Explanation>>,
) -> HttpResponse {
    let mut response = html_response(status, html);
    Refused::note(&mut response, code, explanation);
    response
}

/// The headers of every response of the console, including redirects and exports.
pub(super) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, POLICY))
        .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // With `no-referrer`, browsers would send no usable `Origin` with forms.
        .add((REFERRER_POLICY, "same-origin"))
}

/// Returns an HTML response. It is never cached, because pages are personal and may show secrets.
pub(super) fn html_response(status: StatusCode, html: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .body(html)
}

/// Returns where to go after signing in or choosing a color scheme: the wanted page if it is in the console, otherwise the first page.
pub(super) fn next(wanted: Option<&str>, public_url: &str) -> String {
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
    wanted.filter(is_in_console).map_or_else(|| format!("{root}/overview"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Section, next as next_page};

    #[test]
    fn denials_are_in_the_section_usage() {
        assert_eq!(Section::of_path("/denials/1/nothing"), Section::Usage);
        assert_eq!(Section::of_path("/nothing"), Section::Other);
    }

    #[test]
    fn next_stays_in_the_console() {
        let next = |wanted| next_page(Some(wanted), "https://id.example");
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
            assert_eq!(next(bad), "/console/overview", "{bad}");
        }
    }

    #[test]
    fn next_keeps_the_path_of_the_public_url() {
        assert_eq!(next_page(None, "https://id.example/keyturn"), "/keyturn/console/overview");
        assert_eq!(next_page(Some("/console/keys"), "https://id.example/keyturn"), "/keyturn/console/overview");
    }
}
