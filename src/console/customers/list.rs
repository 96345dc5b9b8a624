//! The list of customers.

use actix_web::HttpRequest;
use askama::Template;
use url::form_urlencoded::Serializer;

use crate::console::customers::keys_path;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Field, Moment, Select, SelectOption, format_count};
use crate::customers;
use crate::domain::clue::is_sensitive;
use crate::domain::customer::{Customer, CustomerId};
use crate::http::form::Form;
use crate::http::permission::{AdminPolicy, ReadCustomers, WriteCustomers};
use crate::store::CustomerFilter;

/// Customers per page.
const LIMIT: u32 = 50;

#[derive(Template)]
#[template(path = "console/customers/list.html")]
struct Page {
    frame: Frame,
    search: Field,
    state: Select,
    rows: Vec<Row>,
    is_filtered: bool,
    was_sensitive: bool,
    may_create: bool,
    may_set_up_portal: bool,
    first: Option<String>,
    next: Option<String>,
}

struct Row {
    id: String,
    external_id: String,
    name: String,
    keys: String,
    keys_path: String,
    is_suspended: bool,
    created: Moment,
}

pub(super) async fn show(visit: ConsoleRequest<ReadCustomers>, request: HttpRequest) -> Result<Reply, ErrorPage> {
    let query = Form::parse(request.query_string().as_bytes()).unwrap_or_default();
    let value = |name| query.value(name).unwrap_or_default().trim().to_owned();
    let (search, state, cursor) = (value("search"), value("state"), value("cursor"));
    let was_sensitive = is_sensitive(&search);
    let search: String = if was_sensitive { String::new() } else { search.chars().take(100).collect() };
    let filter = CustomerFilter {
        search: Some(search.clone()),
        is_suspended: match state.as_str() {
            "active" => Some(false),
            "suspended" => Some(true),
            _ => None,
        },
        after: customers::read_cursor(&cursor),
        ..CustomerFilter::new(visit.organization().clone(), LIMIT)
    };
    let (is_after, is_filtered) = (filter.after.is_some(), !search.is_empty() || filter.is_suspended.is_some());
    let found = customers::list(visit.node(), filter).await?;
    let ids: Vec<CustomerId> = found.items.iter().map(|customer| customer.id).collect();
    let keys = customers::key_counts(visit.node(), &ids, visit.now).await?;
    let link = |cursor: Option<&str>| {
        let mut query = Serializer::new(String::new());
        for (name, value) in [("search", Some(&*search)), ("state", Some(&*state)), ("cursor", cursor)] {
            query.extend_pairs(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
        }
        visit.path(&format!("/customers?{}", query.finish()))
    };
    let row = |customer: &Customer| Row {
        id: customer.id.to_string(),
        external_id: customer.external_id.to_string(),
        name: customer.name.clone(),
        keys: format_count(keys.get(&customer.id).copied().unwrap_or_default()),
        keys_path: keys_path(customer),
        is_suspended: customer.suspended_at.is_some(),
        created: Moment::day(customer.created_at),
    };
    let options = vec![
        SelectOption::new("", "All"),
        SelectOption::new("active", "Not suspended"),
        SelectOption::new("suspended", "Suspended"),
    ];
    page(&Page {
        frame: visit.frame(Section::Customers, "Customers"),
        search: Field::text("search", "Search by external ID or name", &search).kind("search").max_length(100),
        state: Select::new("state", "State", options, &state),
        rows: found.items.iter().map(row).collect(),
        is_filtered,
        was_sensitive,
        may_create: visit.may::<WriteCustomers>(),
        may_set_up_portal: visit.may::<AdminPolicy>(),
        first: is_after.then(|| link(None)),
        next: found.last_before_next().map(|last| link(Some(&customers::cursor(last)))),
    })
}
