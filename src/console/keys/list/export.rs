//! The filtered list as CSV (RFC 4180).

use std::collections::HashMap;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use crate::clock::rfc3339;
use crate::console::error_page::ErrorPage;
use crate::console::keys::create::tenant;
use crate::console::keys::granted::in_order;
use crate::console::keys::list::query::ListQuery;
use crate::console::request::ConsoleRequest;
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::apis::ServedApi;
use crate::domain::grants::Grants;
use crate::domain::member::MemberId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::ReadKeys;
use crate::keys::{self, KeyError};
use crate::members;
use crate::node::Tenant;
use crate::store::KeyFilter;

/// Keys per read.
const BATCH: u32 = 500;
/// Maximum number of keys in an export.
const MOST: u32 = 100_000;

const HEADER: &str = "id,name,description,owner,customer,status,hint,scopes,apis,allowed_cidrs,profile,networks,created_at,expires_at,rotated_at,\
    last_used_at,last_used_ip,revoked_at,revoked_reason\r\n";

/// Sends the keys in the order of the list, a batch at a time.
pub(super) async fn download(visit: ConsoleRequest<ReadKeys>, request: HttpRequest) -> Result<HttpResponse, ErrorPage> {
    let tenant = tenant(&visit)?;
    let query = ListQuery::of_request(&request).known(&tenant.apis);
    let filter = KeyFilter { limit: BATCH, offset: 0, ..super::filter(&visit, &query).await? };
    let members = members::list(visit.node(), visit.organization()).await?;
    let emails: HashMap<MemberId, String> = members.into_iter().map(|member| (member.id, member.email)).collect();
    // The first batch is read before the status is sent, so that a failure is an error page.
    let first = keys::list(visit.node(), filter.clone()).await?;
    let state = Some((visit, tenant, filter, emails, first, 0_u32));
    let lines = stream::unfold(state, async |state| {
        let (visit, tenant, mut filter, emails, page, sent) = state?;
        let mut text = if sent == 0 { HEADER.to_owned() } else { String::new() };
        page.items.iter().for_each(|key| add_line(&mut text, key, &emails, &tenant, visit.now));
        let sent = sent + BATCH;
        let next = match page.last_before_next().filter(|_| sent < MOST) {
            None => None,
            Some(last) => {
                filter.after = Some(filter.order.cursor(last));
                match keys::list(visit.node(), filter.clone()).await {
                    Ok(page) => Some((visit, tenant, filter, emails, page, sent)),
                    // The connection is cut, so a truncated file is not taken for a complete one.
                    Err(error) => return Some((Err(cut(&error)), None)),
                }
            }
        };
        Some((Ok(Bytes::from(text)), next))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"api-keys.csv\""))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(lines)))
}

fn cut(error: &KeyError) -> std::io::Error {
    tracing::error!(?error, "failed to export keys");
    std::io::Error::other("the export failed")
}

/// Returns every scope as `api=scope`, separated by spaces, and `api=` for an API without scopes. Names of APIs contain no `=`, and
/// scopes no spaces.
fn grants(grants: &Grants, apis: &[ServedApi]) -> String {
    let mut words = Vec::new();
    for (api, scopes) in in_order(grants, apis) {
        if scopes.is_empty() {
            words.push(format!("{}=", api.name));
        }
        words.extend(scopes.iter().map(|scope| format!("{}={scope}", api.name)));
    }
    words.join(" ")
}

/// Adds a key, with its scopes and addresses in effect.
fn add_line(text: &mut String, key: &ApiKey, emails: &HashMap<MemberId, String>, tenant: &Tenant, now: Timestamp) {
    let key = &*tenant.shared.effective(key);
    let time = |at: Option<Timestamp>| at.map(rfc3339).unwrap_or_default();
    let (revoked_at, reason) = match &key.lifecycle {
        Lifecycle::Revoked { at, reason } => (Some(*at), reason.clone().unwrap_or_default()),
        Lifecycle::Active | Lifecycle::Disabled { .. } => (None, String::new()),
    };
    let owner = key.owner.as_ref().map(|owner| emails.get(owner).map_or("removed member", String::as_str));
    let cells = [
        key.id.to_string(),
        key.name.clone(),
        key.description.clone(),
        owner.unwrap_or(if key.customer.is_some() { "" } else { "organization" }).to_owned(),
        key.customer.map(|id| id.to_string()).unwrap_or_default(),
        key.status(now).as_str().to_owned(),
        key.hint.clone(),
        key.grants.of_default_api().to_string(),
        grants(&key.grants, &tenant.apis),
        if key.networks.is_none() { "none".into() } else { key.networks.to_strings().join(" ") },
        key.profile.as_ref().map(Slug::to_string).unwrap_or_default(),
        key.named_networks.iter().map(Slug::as_str).collect::<Vec<_>>().join(" "),
        rfc3339(key.created_at),
        time(key.expires_at),
        time(key.rotated_at),
        time(key.last_used_at),
        key.last_used_ip.clone().unwrap_or_default(),
        time(revoked_at),
        reason,
    ];
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    text.push_str(&cells.join(","));
    text.push_str("\r\n");
}

/// Quotes a cell if necessary. A text that a spreadsheet would run as a formula gets an apostrophe in front.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::apis::{Api, ApiId};
    use crate::domain::choices::{Algorithm, ScopeStyle, TokenType};
    use crate::domain::scope::ScopeSet;

    #[test]
    fn scopes_name_their_api() {
        let api = Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0));
        let served = |id, name: &str| {
            let api = Api { id, name: Slug::parse(name).unwrap(), ..api.clone() };
            ServedApi {
                api,
                audience: "a".into(),
                aliases: vec![],
                ttl_seconds: 600,
                typ: TokenType::AtJwt,
                claims: Default::default(),
            }
        };
        let ids = [1, 2, 3].map(|byte| ApiId::from_random([byte; 16]));
        let apis = [served(ApiId::DEFAULT, "default"), served(ids[0], "orders"), served(ids[1], "billing")];
        let scopes = |text| ScopeSet::parse_as(ScopeStyle::Plain, text).unwrap();
        let all = Grants::of_default(ScopeSet::parse("read:a/* write").unwrap())
            .with(ids[0], Some(scopes("a=b orders:read")))
            .with(ids[1], Some(ScopeSet::default()))
            .with(ids[2], Some(scopes("of.a.deleted.api")));
        assert_eq!(grants(&all, &apis), "default=read:a/* default=write orders=a=b orders=orders:read billing=");
    }

    #[test]
    fn cells_are_quoted_and_formulas_neutralized() {
        for (cell, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1,A2)", "\"'@SUM(A1,A2)\""),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
