//! The list of keys: views, filters, order, pages, and a summary of each key.

mod bulk;
mod export;
mod query;
mod row;

use std::collections::{BTreeMap, HashMap};

use actix_web::{HttpRequest, web};
use askama::Template;

use crate::audit;
use crate::console::actor;
use crate::console::error_page::ErrorPage;
use crate::console::find;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::Submitted;
use crate::console::ui::{Field, Select, SelectOption, Spark, format_count};
use crate::domain::api_key::{ApiKey, Lifecycle};
use crate::domain::apis::ServedApi;
use crate::domain::clue::is_sensitive;
use crate::domain::key_text::KeyId;
use crate::domain::key_view::KeyView;
use crate::domain::member::{Member, MemberId};
use crate::domain::slug::Slug;
use crate::http::permission::{ReadAudit, ReadKeys, ReadUsage, WriteKeys};
use crate::keys;
use crate::members;
use crate::node::Tenant;
use crate::store::KeyFilter;
use crate::usage;

use query::{ANY_OWNER, ListQuery, ORDERS, SIZES};
use row::{Context, Row};

/// Days in a sparkline.
const DAYS: u32 = 30;
/// Maximum number of members in a select box.
pub(super) const MAX_OWNERS: usize = 300;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/keys", [get(show)]))
        .service(resource("/keys/filter", [submit(apply)]))
        .service(resource("/keys/export", [get(export::download)]))
        .service(resource("/keys/bulk", [submit(bulk::review)]))
        .service(resource("/keys/bulk/apply", [submit(bulk::apply)]));
}

#[derive(Template)]
#[template(path = "console/keys/list/list.html")]
struct Page {
    frame: Frame,
    views: Vec<View>,
    fields: FilterFields,
    filters: Vec<Chip>,
    /// The columns that sort the list, with their links.
    head: Head,
    rows: Vec<Row>,
    /// `1–25 of 303 keys`.
    range: String,
    /// The number of keys, if they can all be selected at once.
    selectable: Option<String>,
    query: String,
    previous: Option<String>,
    next: Option<String>,
    sizes: Vec<(u32, String, bool)>,
    export: String,
    may_create: bool,
    may_change: bool,
    /// Whether the visitor manages the keys of all members.
    manages_all: bool,
    is_filtered: bool,
    /// Whether the visitor sees only their own keys because of their role.
    is_own: bool,
    was_sensitive: bool,
    everything: String,
    all_owners: String,
}

/// A link to a saved view.
struct View {
    name: &'static str,
    link: String,
    is_current: bool,
}

/// A filter in use, and the list without it.
struct Chip {
    label: &'static str,
    value: String,
    without: String,
}

struct FilterFields {
    status: Select,
    search: Field,
    owner: Option<Select>,
    kept_owner: String,
    /// `None` if the organization has no profiles.
    profile: Option<Select>,
    /// `None` if the organization has no named networks.
    network: Option<Select>,
    /// `None` if the organization has only the default API.
    api: Option<Select>,
    scope: Field,
    cidr: Field,
    expires_before: Field,
    unused_since: Field,
    sort: Select,
    kept: Vec<(&'static str, String)>,
    is_open: bool,
}

struct Head {
    name: Sorting,
    last_used: Sorting,
    expires: Sorting,
}

/// The link of a column's header, and how the list is sorted by it now.
struct Sorting {
    link: String,
    /// The `aria-sort` attribute, or empty.
    sorted: &'static str,
}

async fn show(visit: ConsoleRequest<ReadKeys>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    // 1. The filter.
    let tenant = super::create::tenant(&visit)?;
    let query = ListQuery::of_request(&request).known(&tenant.apis);
    let filter = filter(&visit, &query).await?;

    // 2. The keys, their owners and their recent usage.
    let total = keys::count(visit.node(), &filter).await?;
    let last_page = total.div_ceil(u64::from(query.size)).max(1);
    if query.page > last_page {
        return Ok(Reply::see_other(visit.path(&query.link(|query| query.page = last_page))));
    }
    let policy = &tenant.organization.policy;
    let rule_policy = filter.broken.is_some().then_some(policy);
    let found = keys::list(visit.node(), filter.clone()).await?.items;
    let ids: Vec<KeyId> = found.iter().map(|key| key.id).collect();
    let recent = if visit.may::<ReadUsage>() {
        usage::recent(visit.node(), visit.organization(), &ids, DAYS, visit.now).await?
    } else {
        BTreeMap::new()
    };
    let members = members::list(visit.node(), visit.organization()).await?;
    let emails: HashMap<&MemberId, &str> = members.iter().map(|member| (&member.id, member.email.as_str())).collect();
    let revokers = revokers(&visit, &found, &members).await?;

    // 3. The page.
    let top = Spark::common_top(recent.values());
    let spark = |key: &KeyId| recent.get(key).map(|days| Spark::new(days, top));
    let context =
        Context { emails: &emails, revokers: &revokers, policy: rule_policy, apis: &tenant.apis, now: visit.now };
    let rows: Vec<Row> = found
        .iter()
        .map(|key| Row::new(&tenant.shared.effective(key), &context, spark(&key.id), super::may_change(&visit, key)))
        .collect();
    let link = |change: &dyn Fn(&mut ListQuery)| visit.path(&query.link(change));
    let sizes = SIZES.map(|size| (size, link(&|query| query.size = size), size == query.size));
    let may_change = visit.may::<WriteKeys>() && rows.iter().any(|row| row.can_change);
    page(&Page {
        views: views(&visit, &query),
        fields: FilterFields::new(&visit, &query, &members, &tenant),
        filters: chips(&visit, &query, &members),
        head: Head::new(&visit, &query),
        range: range(&query, rows.len(), total),
        selectable: (total > rows.len() as u64 && total <= keys::MAX_BULK as u64).then(|| format_count(total)),
        query: query.to_query(),
        previous: (query.page > 1).then(|| link(&|other| other.page = query.page - 1)),
        next: (query.page < last_page).then(|| link(&|other| other.page = query.page + 1)),
        sizes: if total > u64::from(SIZES[0]) { sizes.to_vec() } else { Vec::new() },
        export: visit.path(&format!("/keys/export?{}", query.to_query())),
        may_create: visit.may::<WriteKeys>() && visit.who.member.role >= policy.create_role,
        may_change,
        manages_all: may_change && visit.by().may_manage_key_of(None),
        is_filtered: query.is_filtered(),
        is_own: query.owner.is_empty() && filter.owner.is_some(),
        was_sensitive: query.was_sensitive,
        everything: visit.path("/keys?status=all&owner=any"),
        all_owners: link(&|query| query.owner = ANY_OWNER.into()),
        frame: visit.frame(Section::Keys, "API keys"),
        rows,
    })
}

/// Turns the submitted filters into a link, so that a list can be saved and shared. A secret is looked up instead.
async fn apply(submitted: Submitted<ReadKeys>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let search = form.value("search").unwrap_or_default();
    if is_sensitive(search) {
        return find::results(&visit, search).await;
    }
    let mut query = ListQuery::read(&form);
    query.page = 1;
    Ok(Reply::see_other(visit.path(&query.link(|_| ()))))
}

/// Returns the filter of the store, with the rules of the policy that the query names.
async fn filter<P>(visit: &ConsoleRequest<P>, query: &ListQuery) -> Result<KeyFilter, ErrorPage> {
    let tenant = super::create::tenant(visit)?;
    let mut filter = query.filter(visit, &tenant.apis);
    if !query.violates.is_empty() {
        filter.broken = keys::broken_rules(visit.node(), visit.organization(), &query.violates).await?;
    }
    Ok(filter)
}

/// Returns who revoked the keys of a page, by key ID, if the visitor may read the audit log.
async fn revokers(
    visit: &ConsoleRequest<ReadKeys>,
    found: &[ApiKey],
    members: &[Member],
) -> Result<HashMap<String, String>, ErrorPage> {
    let revoked = found.iter().filter(|key| matches!(key.lifecycle, Lifecycle::Revoked { .. }));
    let ids: Vec<String> = revoked.map(|key| key.id.to_string()).collect();
    if ids.is_empty() || !visit.may::<ReadAudit>() {
        return Ok(HashMap::new());
    }
    let actors = audit::revokers(visit.node(), visit.organization(), &ids).await?;
    Ok(actors.into_iter().map(|(id, actor)| (id, actor::display_name(&actor, members))).collect())
}

fn range(query: &ListQuery, rows: usize, total: u64) -> String {
    let noun = if total == 1 { "key" } else { "keys" };
    if total == rows as u64 {
        return format!("{} {noun}", format_count(total));
    }
    let first = (query.page - 1).saturating_mul(u64::from(query.size)) + 1;
    let last = first + rows as u64 - 1;
    format!("{}–{} of {} {noun}", format_count(first), format_count(last), format_count(total))
}

/// The label of a setting of the policy, as a property of a key that breaks it.
fn rule_label(setting: &str) -> &'static str {
    match setting {
        "name_required" => "No name",
        "scopes_required" => "No scopes",
        "actions" => "Unknown action",
        "grantable_scopes" => "Scope not grantable",
        "expiry_required" => "No expiry",
        "max_lifetime_days" => "Lifetime too long",
        "key_prefix" => "Old prefix",
        "disable_when_stale" => "Stale",
        _ => "Policy",
    }
}

fn view_label(view: KeyView) -> &'static str {
    match view {
        KeyView::Expiring => "Expiring in 14 days",
        KeyView::Unused => "Unused for 90 days",
        KeyView::NeverUsed => "Never used",
        KeyView::NoExpiry => "No expiry",
        KeyView::AnyNetwork => "Any network",
        KeyView::FullAccess => "Full access",
        KeyView::Rotating => "Rotating",
    }
}

/// The saved views. Each starts a new list.
fn views(visit: &ConsoleRequest<ReadKeys>, query: &ListQuery) -> Vec<View> {
    let empty = ListQuery::parse("");
    let manages_all = empty.owner(visit).is_none();
    let own = visit.who.member.id.0.clone();
    let mut views = Vec::new();
    let mut add = |name, change: &dyn Fn(&mut ListQuery)| {
        let mut wanted = ListQuery { size: query.size, sort: query.sort.clone(), ..empty.clone() };
        change(&mut wanted);
        let here = ListQuery { page: 1, was_sensitive: false, ..query.clone() };
        let is_current = here.to_query() == wanted.to_query();
        views.push(View { name, link: visit.path(&wanted.link(|_| ())), is_current });
    };
    if manages_all {
        add("All active", &|_| ());
        if visit.may::<WriteKeys>() {
            add("Mine", &|query| query.owner.clone_from(&own));
        }
    } else {
        add("Mine", &|_| ());
        add("All active", &|query| query.owner = ANY_OWNER.into());
    }
    for view in KeyView::ALL {
        add(view_label(view), &|query| query.view = view.as_str().into());
    }
    add("Violates policy", &|query| query.violates = "any".into());
    for (name, status) in [("Disabled", "disabled"), ("Expired", "expired"), ("Revoked", "revoked"), ("All", "all")] {
        add(name, &|query| query.status = status.into());
    }
    views
}

fn chips(visit: &ConsoleRequest<ReadKeys>, query: &ListQuery, members: &[Member]) -> Vec<Chip> {
    let shown = |label: &str, value: String| match label {
        "Owner" if value == ANY_OWNER => "Anybody".to_owned(),
        "Owner" => members.iter().find(|member| member.id.0 == value).map_or(value, |member| member.email.clone()),
        "View" => KeyView::parse(&value).map_or("", view_label).to_owned(),
        "Violates" if value == "any" => "Policy".to_owned(),
        "Violates" => rule_label(&value).to_owned(),
        _ => value,
    };
    let chips = query.filters().into_iter();
    chips.map(|(label, value, link)| Chip { label, value: shown(label, value), without: visit.path(&link) }).collect()
}

impl FilterFields {
    fn new(visit: &ConsoleRequest<ReadKeys>, query: &ListQuery, members: &[Member], tenant: &Tenant) -> Self {
        let statuses = [
            ("active", "Active"),
            ("disabled", "Disabled"),
            ("expired", "Expired"),
            ("revoked", "Revoked"),
            ("all", "All"),
        ];
        let options =
            |list: &[(&str, &str)]| list.iter().map(|(value, text)| SelectOption::new(*value, *text)).collect();
        let date = |name, label, value: &str| Field::text(name, label, value).kind("date");
        let kept = [("view", &query.view), ("violates", &query.violates)];
        let mut kept: Vec<(&'static str, String)> = kept
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.clone()))
            .collect();
        kept.push(("size", query.size.to_string()));
        Self {
            status: Select::new("status", "Status", options(&statuses), &query.status),
            search: Field::text("search", "Search", &query.search)
                .kind("search")
                .max_length(16_384)
                .hint("Name, description, ID or last four characters"),
            owner: owner_field(visit, query, members),
            kept_owner: query.owner.clone(),
            profile: names_field(
                ("profile", "Profile", "Any or none"),
                tenant.shared.profiles().map(|profile| &profile.name),
                &query.profile,
            ),
            network: names_field(
                ("network", "Named network", "Any or none"),
                tenant.shared.networks().map(|network| &network.name),
                &query.network,
            ),
            api: api_field(query, &tenant.apis),
            scope: Field::text("scope", "Grants the scope", &query.scope).hint("Such as read:orders/1").max_length(300),
            cidr: Field::text("cidr", "Allows the network", &query.cidr).hint("Address or CIDR").max_length(50),
            expires_before: date("expires_before", "Expires before (UTC)", &query.expires_before),
            unused_since: date("unused_since", "Unused since (UTC)", &query.unused_since),
            sort: Select::new("sort", "Sort by", options(&ORDERS), &query.sort),
            kept,
            is_open: query.is_refined(),
        }
    }
}

/// Returns the filter by the name of a profile or network, if there are any.
fn names_field<'a>(
    (name, label, every): (&'static str, &'static str, &'static str),
    names: impl Iterator<Item = &'a Slug>,
    chosen: &str,
) -> Option<Select> {
    let names: Vec<SelectOption> = names.map(|name| SelectOption::new(name.as_str(), name.as_str())).collect();
    let is_needed = !names.is_empty() || !chosen.is_empty();
    let options = std::iter::once(SelectOption::new("", every)).chain(names).collect();
    is_needed.then(|| Select::new(name, label, options, chosen))
}

fn api_field(query: &ListQuery, apis: &[ServedApi]) -> Option<Select> {
    let names = apis.iter().map(|served| served.api.name.as_str());
    let options =
        std::iter::once(SelectOption::new("", "Any API")).chain(names.map(|name| SelectOption::new(name, name)));
    (apis.len() > 1 || !query.api.is_empty()).then(|| Select::new("api", "API", options.collect(), &query.api))
}

fn owner_field(visit: &ConsoleRequest<ReadKeys>, query: &ListQuery, members: &[Member]) -> Option<Select> {
    let own = &visit.who.member;
    let default = ListQuery::parse("").owner(visit);
    let mut options = match default {
        None => vec![SelectOption::new("", "Any owner"), SelectOption::new(&*own.id.0, "You")],
        Some(_) => vec![SelectOption::new("", "You"), SelectOption::new(ANY_OWNER, "Any owner")],
    };
    let others = members.iter().filter(|member| member.id != own.id);
    options.extend(others.map(|member| SelectOption::new(&*member.id.0, &*member.email)));
    // With more members, each member's page links to their keys.
    (2..=MAX_OWNERS).contains(&members.len()).then(|| Select::new("owner", "Owner", options, &query.owner))
}

impl Head {
    fn new(visit: &ConsoleRequest<ReadKeys>, query: &ListQuery) -> Self {
        let sorting = |first: &str, second: &str| {
            let next = if query.sort == first { second } else { first };
            let sorted = match &query.sort {
                sort if sort.trim_start_matches('-') != first.trim_start_matches('-') => "",
                sort if sort.starts_with('-') => "descending",
                _ => "ascending",
            };
            Sorting { link: visit.path(&query.link(|query| query.sort = next.into())), sorted }
        };
        Self {
            name: sorting("name", "-name"),
            last_used: sorting("-last_used_at", "last_used_at"),
            expires: sorting("expires_at", "-expires_at"),
        }
    }
}
