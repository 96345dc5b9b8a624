//! An API's page: its settings, its scopes, and how clients request a token for it.

use actix_web::web;
use askama::Template;

use crate::console::apis::{allows_every_scope, find, keys_path, number_of_keys, style_name};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::policy::format_seconds;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Copyable, Moment, format_count, html_size};
use crate::domain::apis::{Api, ApiScope};
use crate::domain::audience::resource_metadata_url;
use crate::domain::choices::ScopeStyle;
use crate::domain::usage::UsageOutcome;
use crate::http::permission::{AdminApis, ReadApis, ReadUsage};
use crate::organizations;
use crate::usage::{self, Span};

/// Days of counted requests.
const DAYS: i64 = 30;
/// Up to this size of the table, in bytes of HTML, scopes are listed.
const MAX_SIZE: usize = 110_000;
/// Markup of a row, in bytes of HTML.
const MARKUP: usize = 260;

#[derive(Template)]
#[template(path = "console/apis/show.html")]
struct Page {
    frame: Frame,
    id: String,
    name: String,
    description: String,
    is_default: bool,
    audience: String,
    aliases: Vec<String>,
    style: &'static str,
    is_plain: bool,
    lifetime: String,
    has_own_lifetime: bool,
    typ: &'static str,
    has_own_typ: bool,
    algorithm: &'static str,
    /// An algorithm that will sign, and when it begins.
    next_algorithm: Option<(&'static str, Moment)>,
    created: Moment,
    keys: String,
    keys_path: String,
    /// Successful token requests and verifications of the last 30 days.
    requests: Option<(String, String)>,
    is_unused: bool,
    allows_every_scope: bool,
    actions: String,
    scopes: Vec<ScopeRow>,
    /// Number of scopes that the page leaves out for lack of room.
    more: usize,
    token_endpoint: String,
    /// The parameters of the example, quoted for a shell.
    parameters: Vec<String>,
    verify_query: String,
    /// Where clients look for the metadata of the API (RFC 9728), and where Keyturn has it. `None` if the audience is not a URL.
    metadata: Option<(String, String)>,
    may_change: bool,
}

struct ScopeRow {
    scope: String,
    description: String,
    keys_path: String,
}

pub(super) async fn show(visit: ConsoleRequest<ReadApis>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (tenant, served) = find(&visit, &id).await?;
    let keys = organizations::keys_of_apis(visit.node(), visit.organization()).await?;
    let api = &served.api;
    let keys = number_of_keys(&keys, api.id);
    let actions: Vec<&str> = tenant.organization.policy.actions.iter().map(|action| action.as_str()).collect();
    let mut verify = url::form_urlencoded::Serializer::new(String::new());
    verify.append_pair("keyturn_audience", &served.audience);
    let example_scope = api.scopes.first().map(|listed| listed.scope.to_string());
    if let Some(scope) = &example_scope {
        verify.append_pair("keyturn_require", scope);
    }
    let resource = std::iter::once(("resource", &served.audience));
    let parameters = resource.chain(example_scope.iter().map(|scope| ("scope", scope)));
    let parameters = parameters.map(|(name, value)| quote_for_shell(&format!("{name}={value}"))).collect();
    let scopes = scope_rows(api);
    let requests = match visit.may::<ReadUsage>() {
        true => {
            let usage = usage::usage_of_api(visit.node(), api, Span::last_days(DAYS, visit.now)).await?;
            let totals = usage.totals();
            let count = |outcome| format_count(totals.of(outcome));
            Some((count(UsageOutcome::Exchanged), count(UsageOutcome::Verified)))
        }
        false => None,
    };
    page(&Page {
        frame: visit.frame(Section::Apis, format!("API {}", api.name)),
        id: api.id.to_string(),
        name: api.name.to_string(),
        description: api.description.clone(),
        is_default: api.is_default(),
        audience: served.audience.clone(),
        aliases: served.aliases.clone(),
        style: style_name(api.style),
        is_plain: api.style == ScopeStyle::Plain,
        lifetime: format_seconds(served.ttl_seconds),
        has_own_lifetime: api.token_ttl_seconds.is_some(),
        typ: served.typ.as_str(),
        has_own_typ: api.typ.is_some(),
        algorithm: api.algorithm.at(visit.now).as_str(),
        next_algorithm: api
            .algorithm
            .pending(visit.now)
            .map(|next| (next.algorithm.as_str(), Moment::from_now(next.from, visit.now))),
        created: Moment::from_now(api.created_at, visit.now),
        keys: format_count(keys),
        keys_path: keys_path(api),
        requests,
        is_unused: keys == 0,
        allows_every_scope: allows_every_scope(api),
        actions: actions.join(", "),
        more: api.scopes.len().saturating_sub(scopes.len()),
        scopes,
        token_endpoint: format!("{}/oauth/token", visit.node().settings.public_url),
        parameters,
        verify_query: verify.finish(),
        metadata: resource_metadata_url(&served.audience)
            .map(|url| (url, format!("{}/.well-known/oauth-protected-resource/{}", tenant.issuer, api.name))),
        may_change: visit.may::<AdminApis>(),
    })
}

/// Returns as many scopes as fit on the page.
fn scope_rows(api: &Api) -> Vec<ScopeRow> {
    let row = |listed: &ApiScope| {
        let scope = listed.scope.to_string();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("api", api.name.as_str()).append_pair("scope", &scope);
        let keys_path = format!("/keys?status=all&owner=any&{}", query.finish());
        ScopeRow { scope, description: listed.description.clone(), keys_path }
    };
    let mut size = 0_usize;
    let fits = |row: &ScopeRow| {
        size =
            size.saturating_add(MARKUP + 2 * html_size(&row.scope) + html_size(&row.description) + row.keys_path.len());
        size <= MAX_SIZE
    };
    api.scopes.iter().map(row).take_while(fits).collect()
}

/// Quotes a text for a POSIX shell.
fn quote_for_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(quote_for_shell("resource=https://a.example"), "'resource=https://a.example'");
        assert_eq!(quote_for_shell("scope=a'$(id)'b"), "'scope=a'\\''$(id)'\\''b'");
    }
}
