//! The list of keys: which, in which order, and what can be told of each at a glance.

use std::collections::{BTreeMap, HashMap};

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use crate::console::frame::{Frame, Section, page};
use crate::console::keys::name;
use crate::console::trouble::Trouble;
use crate::console::ui::{Badge, Field, Moment, Offer, Select, Spark, Tone, days_left};
use crate::console::visit::Visit;
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

/// Keys on a page.
const LIMIT: u32 = 25;
/// Days that the small picture shows.
const DAYS: u32 = 30;
/// Days before its end from which a key's end stands out.
const SOON: i64 = 14;
/// Members that are offered to choose from.
pub(super) const MOST_OFFERED: usize = 300;
/// Characters of a scope that a row shows.
const SHORT: usize = 48;
/// Scopes and networks that a row shows.
const SHOWN: usize = 3;

const ORDERS: [(&str, &str); 8] = [
    ("-created_at", "Newest first"),
    ("created_at", "Oldest first"),
    ("name", "Name, A to Z"),
    ("-name", "Name, Z to A"),
    ("-last_used_at", "Last used first"),
    ("last_used_at", "Longest unused first"),
    ("expires_at", "Ending soonest first"),
    ("-expires_at", "Ending latest first"),
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
    ends_soon: Option<Badge>,
    is_in_grace: bool,
    spark: Option<Spark>,
}

/// What was asked for, as it is written in the address of the page.
struct Asked {
    status: String,
    search: String,
    owner: String,
    sort: String,
    cursor: Option<String>,
}

/// Shows the list.
pub(super) async fn show(visit: Visit<ReadKeys>, request: HttpRequest) -> Result<HttpResponse, Trouble> {
    // 1. What is asked for; what cannot be understood is as if it were not there.
    let asked = Asked::read(&request);
    let (order, is_descending) = keys::read_order(&asked.sort).unwrap_or((KeyOrder::Created, true));
    let after = asked.cursor.as_deref().and_then(|text| keys::read_cursor(text, order, is_descending));
    let filter = KeyFilter {
        organization: visit.organization().clone(),
        status: Status::ALL.into_iter().find(|status| status.as_str() == asked.status),
        now: visit.now,
        search: Some(asked.search.clone()).filter(|text| !text.is_empty()),
        owner: Some(asked.owner.clone()).filter(|owner| !owner.is_empty()).map(MemberId),
        order,
        is_descending,
        after,
        limit: LIMIT,
    };

    // 2. The keys, whose they are, and how they were used of late.
    let is_first = filter.after.is_none();
    let found = keys::list(visit.node(), filter).await?;
    let ids: Vec<KeyId> = found.keys.iter().map(|key| key.id).collect();
    let recent = if visit.may::<ReadUsage>() {
        usage::recent(visit.node(), visit.organization(), &ids, DAYS, visit.now).await?
    } else {
        BTreeMap::new()
    };
    let members = members::list(visit.node(), visit.organization()).await?;
    let logins: HashMap<&MemberId, &str> = members.iter().map(|member| (&member.id, member.email.as_str())).collect();

    // 3. The page.
    let next = found.keys.last().filter(|_| found.more).map(|last| {
        let cursor = keys::cursor(order, is_descending, &order.place(last));
        visit.path(&format!("/keys?{}", asked.query(Some(&cursor))))
    });
    let policy = super::create::policy(&visit)?;
    let is_filtered = !asked.search.is_empty() || !asked.owner.is_empty() || asked.status != "active";
    let rows: Vec<Row> = found.keys.iter().map(|key| row(key, &logins, recent.get(&key.id), visit.now)).collect();
    page(&Page {
        status: asked.statuses(),
        search: Field::text("search", "Search by name", &asked.search).kind("search").most(100),
        owner: asked.owners(&visit, &members),
        kept_owner: asked.owner.clone(),
        sort: asked.orders(),
        has_any: !rows.is_empty() || is_filtered,
        first: visit.path(&format!("/keys?{}", asked.query(None))),
        next,
        is_first,
        may_create: visit.may::<WriteKeys>() && visit.who.member.role >= policy.create_role,
        is_filtered,
        everything: visit.path("/keys?status=all"),
        frame: visit.frame(Section::Keys, "API keys"),
        rows,
    })
}

impl Asked {
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

    /// The same as a query.
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

    fn statuses(&self) -> Select {
        let offers = [
            ("active", "Active"),
            ("disabled", "Disabled"),
            ("expired", "Expired"),
            ("revoked", "Revoked"),
            ("all", "All"),
        ];
        let offers = offers.into_iter().map(|(value, text)| Offer::new(value, text)).collect();
        Select::new("status", "Status", offers, &self.status)
    }

    fn orders(&self) -> Select {
        let offers = ORDERS.into_iter().map(|(value, text)| Offer::new(value, text)).collect();
        Select::new("sort", "Order", offers, &self.sort)
    }

    fn owners(&self, visit: &Visit<ReadKeys>, members: &[crate::domain::member::Member]) -> Option<Select> {
        let own = &visit.who.member;
        let mut offers = vec![Offer::new("", "Anybody"), Offer::new(&*own.id.0, "You")];
        let others = members.iter().filter(|member| member.id != own.id);
        offers.extend(others.map(|member| Offer::new(&*member.id.0, &*member.email)));
        // Of more, a member's own page leads to their keys.
        (2..=MOST_OFFERED).contains(&members.len()).then(|| Select::new("owner", "Owner", offers, &self.owner))
    }
}

fn row(key: &ApiKey, logins: &HashMap<&MemberId, &str>, recent: Option<&Vec<Counts>>, now: Timestamp) -> Row {
    let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
    let networks = key.networks.to_strings();
    let status = key.status(now);
    let left = key.expires_at.map(|end| days_left(end, now)).filter(|left| *left <= SOON && status == Status::Active);
    let plural = |days: i64| if days == 1 { "Ends within a day".into() } else { format!("Ends in {days} days") };
    Row {
        id: key.id.to_string(),
        name: name(key),
        hint: key.hint.clone(),
        status: status.into(),
        more_scopes: scopes.len().saturating_sub(SHOWN),
        scopes: scopes.iter().take(SHOWN).map(|scope| short(scope)).collect(),
        is_open: !key.networks.is_restricted(),
        more_networks: networks.len().saturating_sub(SHOWN),
        networks: networks.into_iter().take(SHOWN).collect(),
        owner: match &key.owner {
            None => "Organization".into(),
            Some(owner) => logins.get(owner).map_or_else(|| "Removed member".into(), |login| (*login).to_owned()),
        },
        last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        last_used_ip: key.last_used_ip.clone(),
        expires: key.expires_at.map(|end| Moment::from_now(end, now)),
        ends_soon: left.map(|days| Badge::new(Tone::Warning, plural(days))),
        is_in_grace: key.previous.as_ref().is_some_and(|previous| previous.until > now),
        spark: recent.map(|days| Spark::new(days)),
    }
}

/// A text as it fits into a row; all of it is on the key's page.
fn short(text: &str) -> String {
    let kept: String = text.chars().take(SHORT).collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}
