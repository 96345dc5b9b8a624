//! The list of keys: filters, order and a summary of each key.

use std::collections::{BTreeMap, HashMap};

use actix_web::HttpRequest;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::display_name;
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Badge, Field, Moment, Select, SelectOption, Spark, Tone, days_left};
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::Counts;
use crate::http::form::Form;
use crate::http::permission::{ReadKeys, ReadUsage, WriteKeys};
use crate::keys;
use crate::members;
use crate::store::{KeyFilter, KeyOrder};
use crate::usage;

/// Keys per page.
const LIMIT: u32 = 25;
/// Days in a sparkline.
const DAYS: u32 = 30;
/// An expiry within this many days is highlighted.
const SOON: i64 = 14;
/// Maximum number of members in a select box.
pub(super) const MAX_OWNERS: usize = 300;
/// Maximum length of a displayed scope, in characters.
const SHORT: usize = 48;
/// Maximum number of displayed scopes and networks.
const SHOWN: usize = 3;

const ORDERS: [(&str, &str); 8] = [
    ("-created_at", "Newest first"),
    ("created_at", "Oldest first"),
    ("name", "Name, A to Z"),
    ("-name", "Name, Z to A"),
    ("-last_used_at", "Recently used"),
    ("last_used_at", "Least recently used"),
    ("expires_at", "Expiring soonest"),
    ("-expires_at", "Expiring latest"),
];

#[derive(Template)]
#[template(path = "console/keys/list.html")]
struct Page {
    frame: Frame,
    status: Select,
    search: Field,
    owner: Option<Select>,
    kept_owner: String,
    sort: Select,
    rows: Vec<Row>,
    first: String,
    next: Option<String>,
    is_first: bool,
    may_create: bool,
    has_any: bool,
    is_filtered: bool,
    everything: String,
}

struct Row {
    id: String,
    name: String,
    hint: String,
    status: Badge,
    scopes: Vec<String>,
    more_scopes: usize,
    networks: Vec<String>,
    more_networks: usize,
    is_open: bool,
    owner: String,
    last_used: Option<Moment>,
    last_used_ip: Option<String>,
    expires: Option<Moment>,
    expires_soon: Option<Badge>,
    is_in_grace: bool,
    spark: Option<Spark>,
}

/// The parsed query of the page.
struct ListQuery {
    status: String,
    search: String,
    owner: String,
    sort: String,
    cursor: Option<String>,
}

pub(super) async fn show(visit: ConsoleRequest<ReadKeys>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    // 1. Read the query. Invalid values are ignored.
    let query = ListQuery::read(&request);
    let (order, is_descending) = keys::read_order(&query.sort).unwrap_or((KeyOrder::Created, true));
    let after = query.cursor.as_deref().and_then(|text| keys::read_cursor(text, order, is_descending));
    let filter = KeyFilter {
        status: Status::ALL.into_iter().find(|status| status.as_str() == query.status),
        search: Some(query.search.clone()).filter(|text| !text.is_empty()),
        owner: Some(query.owner.clone()).filter(|owner| !owner.is_empty()).map(MemberId),
        order,
        is_descending,
        after,
        limit: LIMIT,
        ..KeyFilter::new(visit.organization().clone(), visit.now)
    };

    // 2. Load the keys, their owners and their recent usage.
    let is_first = filter.after.is_none();
    let found = keys::list(visit.node(), filter).await?;
    let ids: Vec<KeyId> = found.items.iter().map(|key| key.id).collect();
    let recent = if visit.may::<ReadUsage>() {
        usage::recent(visit.node(), visit.organization(), &ids, DAYS, visit.now).await?
    } else {
        BTreeMap::new()
    };
    let members = members::list(visit.node(), visit.organization()).await?;
    let emails: HashMap<&MemberId, &str> = members.iter().map(|member| (&member.id, member.email.as_str())).collect();

    // 3. Render the page.
    let next = found.last_before_next().map(|last| {
        let cursor = keys::cursor(order, is_descending, &order.cursor(last));
        visit.path(&format!("/keys?{}", query.query(Some(&cursor))))
    });
    let policy = super::create::policy(&visit)?;
    let is_filtered = !query.search.is_empty() || !query.owner.is_empty() || query.status != "active";
    let rows: Vec<Row> = found.items.iter().map(|key| row(key, &emails, recent.get(&key.id), visit.now)).collect();
    page(&Page {
        status: query.status_field(),
        search: Field::text("search", "Search by name", &query.search).kind("search").max_length(100),
        owner: query.owner_field(&visit, &members),
        kept_owner: query.owner.clone(),
        sort: query.sort_field(),
        has_any: !rows.is_empty() || is_filtered,
        first: visit.path(&format!("/keys?{}", query.query(None))),
        next,
        is_first,
        may_create: visit.may::<WriteKeys>() && visit.who.member.role >= policy.create_role,
        is_filtered,
        everything: visit.path("/keys?status=all"),
        frame: visit.frame(Section::Keys, "API keys"),
        rows,
    })
}

impl ListQuery {
    fn read(request: &HttpRequest) -> Self {
        let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
        let value = |name| query.value(name).unwrap_or_default().trim().to_owned();
        let status = match value("status") {
            status if status == "all" || Status::ALL.into_iter().any(|known| known.as_str() == status) => status,
            _ => "active".into(),
        };
        let sort = match value("sort") {
            sort if ORDERS.into_iter().any(|(known, _)| known == sort) => sort,
            _ => "-created_at".into(),
        };
        Self {
            status,
            search: value("search").chars().filter(|c| !c.is_control()).take(100).collect(),
            owner: value("owner").chars().filter(char::is_ascii_graphic).take(64).collect(),
            sort,
            cursor: query.value("cursor").map(str::to_owned),
        }
    }

    /// Returns the same list as a query string.
    fn query(&self, cursor: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("status", &self.status).append_pair("sort", &self.sort);
        for (name, value) in
            [("search", self.search.as_str()), ("owner", &self.owner), ("cursor", cursor.unwrap_or_default())]
        {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    fn status_field(&self) -> Select {
        let options = [
            ("active", "Active"),
            ("disabled", "Disabled"),
            ("expired", "Expired"),
            ("revoked", "Revoked"),
            ("all", "All"),
        ];
        let options = options.into_iter().map(|(value, text)| SelectOption::new(value, text)).collect();
        Select::new("status", "Status", options, &self.status)
    }

    fn sort_field(&self) -> Select {
        let options = ORDERS.into_iter().map(|(value, text)| SelectOption::new(value, text)).collect();
        Select::new("sort", "Sort by", options, &self.sort)
    }

    fn owner_field(
        &self,
        visit: &ConsoleRequest<ReadKeys>,
        members: &[crate::domain::member::Member],
    ) -> Option<Select> {
        let own = &visit.who.member;
        let mut options = vec![SelectOption::new("", "Any owner"), SelectOption::new(&*own.id.0, "You")];
        let others = members.iter().filter(|member| member.id != own.id);
        options.extend(others.map(|member| SelectOption::new(&*member.id.0, &*member.email)));
        // With more members, each member's page links to their keys.
        (2..=MAX_OWNERS).contains(&members.len()).then(|| Select::new("owner", "Owner", options, &self.owner))
    }
}

fn row(key: &ApiKey, emails: &HashMap<&MemberId, &str>, recent: Option<&Vec<Counts>>, now: Timestamp) -> Row {
    let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
    let networks = key.networks.to_strings();
    let status = key.status(now);
    let left = key.expires_at.map(|end| days_left(end, now)).filter(|left| *left <= SOON && status == Status::Active);
    let label = |days: i64| if days == 1 { "Expires within a day".into() } else { format!("Expires in {days} days") };
    Row {
        id: key.id.to_string(),
        name: display_name(key),
        hint: key.hint.clone(),
        status: status.into(),
        more_scopes: scopes.len().saturating_sub(SHOWN),
        scopes: scopes.iter().take(SHOWN).map(|scope| shorten(scope)).collect(),
        is_open: !key.networks.is_restricted(),
        more_networks: networks.len().saturating_sub(SHOWN),
        networks: networks.into_iter().take(SHOWN).collect(),
        owner: match &key.owner {
            None => "Organization".into(),
            Some(owner) => emails.get(owner).map_or_else(|| "Removed member".into(), |email| (*email).to_owned()),
        },
        last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        last_used_ip: key.last_used_ip.clone(),
        expires: key.expires_at.map(|end| Moment::from_now(end, now)),
        expires_soon: left.map(|days| Badge::new(Tone::Warning, label(days))),
        is_in_grace: key.previous.as_ref().is_some_and(|previous| previous.until > now),
        spark: recent.map(|days| Spark::new(days)),
    }
}

/// Shortens a text to fit into a row. The key's page has all of it.
fn shorten(text: &str) -> String {
    let kept: String = text.chars().take(SHORT).collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}
