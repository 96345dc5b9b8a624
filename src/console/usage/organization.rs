//! Usage of the organization, and its top keys.

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Chart, Moment, format_count};
use crate::console::usage::range::{Range, Ranges, Totals};
use crate::domain::apis::{ApiId, api_name};
use crate::domain::usage::UsageOutcome;
use crate::http::form::Form;
use crate::http::permission::ReadUsage;
use crate::store::BusyKey;
use crate::usage::{self, UseCounts};

/// Maximum number of listed keys.
const MAX_LISTED: u32 = 25;

#[derive(Template)]
#[template(path = "console/usage/organization.html")]
struct Page {
    frame: Frame,
    ranges: Ranges,
    totals: Totals,
    chart: Chart,
    /// Empty if the organization has one API.
    apis: Vec<ApiRow>,
    rows: Vec<Row>,
    has_more: bool,
}

struct ApiRow {
    /// ID and name; `None` for a deleted API.
    api: Option<(String, String)>,
    exchanges: String,
    verifications: String,
}

struct Row {
    id: String,
    name: String,
    exchanges: String,
    verifications: String,
    denials: String,
    last_used: Option<Moment>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadUsage>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let range = Range::read(&query);
    let (node, organization, span) = (visit.node(), visit.organization(), range.span(visit.now));
    let usage = usage::usage_of_organization(node, organization, span).await?;
    let busiest = usage::busiest(node, organization, span, None, MAX_LISTED, visit.now).await?;
    let apis = visit.node().tenant(organization).map(|tenant| tenant.apis.clone()).unwrap_or_default();
    let by_api = match apis.len() > 1 {
        true => usage::usage_by_api(node, organization, span).await?,
        false => Vec::new(),
    };
    let of_api = |(api, uses): (ApiId, UseCounts)| ApiRow {
        api: api_name(&apis, api).map(|name| (api.to_string(), name.to_owned())),
        exchanges: format_count(uses.exchanges),
        verifications: format_count(uses.verifications),
    };
    let caption = format!("Requests, last {}", range.name());
    let all =
        |key: &BusyKey| UsageOutcome::ALL.into_iter().fold(0, |sum: u64, of| sum.saturating_add(key.counts.of(of)));
    // Keys without requests are at the end of the list and are not shown.
    let has_more = busiest.last_before_next().is_some_and(|key| all(key) > 0);
    let row = |key: BusyKey| {
        let (exchanges, verifications) =
            (key.counts.of(UsageOutcome::Exchanged), key.counts.of(UsageOutcome::Verified));
        let all = all(&key);
        Row {
            name: if key.name.trim().is_empty() { format!("Unnamed ({})", key.key) } else { key.name },
            id: key.key.to_string(),
            exchanges: format_count(exchanges),
            verifications: format_count(verifications),
            denials: format_count(all.saturating_sub(exchanges).saturating_sub(verifications)),
            last_used: key.last_used_at.map(|at| Moment::from_now(at, visit.now)),
        }
    };
    page(&Page {
        frame: visit.frame(Section::Usage, "Usage"),
        ranges: range.links(),
        totals: Totals::from(&usage.totals()),
        chart: Chart::new("usage", caption, range.unit(), range.columns(&usage)),
        apis: by_api.into_iter().map(of_api).collect(),
        rows: busiest.items.into_iter().filter(|key| all(key) > 0).map(row).collect(),
        has_more,
    })
}
