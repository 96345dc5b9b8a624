//! A customer's page: its state, metadata, keys, usage and audit trail.

use actix_web::web;
use askama::Template;
use url::form_urlencoded::Serializer;

use crate::console::audit::Trail;
use crate::console::customers::{display_name, find, keys_path, number_of_keys};
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Moment, format_count};
use crate::domain::portal::PortalSession;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::{ReadCustomers, ReadUsage, WriteCustomers, WriteKeys};
use crate::portal;
use crate::usage::{self, Span};

/// Days of counted requests.
const DAYS: i64 = 30;

#[derive(Template)]
#[template(path = "console/customers/show.html")]
struct Page {
    frame: Frame,
    id: String,
    external_id: String,
    name: String,
    suspended: Option<Moment>,
    created: Moment,
    keys: String,
    keys_path: String,
    max_keys: Option<u32>,
    /// Accepted requests of the last 30 days.
    requests: Option<String>,
    metadata: Vec<(String, String)>,
    may_change: bool,
    /// The form of a new key for the customer, if the visitor can create one.
    create_key: Option<String>,
    /// The valid sessions of the portal.
    sessions: Vec<SessionRow>,
    trail: Option<Trail>,
}

struct SessionRow {
    id: String,
    user: String,
    capabilities: String,
    opened: Option<Moment>,
    address: String,
    ends: Moment,
}

impl SessionRow {
    fn new(session: PortalSession, now: Timestamp) -> Self {
        Self {
            capabilities: session.capabilities.names().join(", "),
            opened: session.redeemed_at.map(|at| Moment::from_now(at, now)),
            ends: Moment::from_now(session.ends_at, now),
            user: session.user.unwrap_or_default(),
            address: session.address.unwrap_or_default(),
            id: session.id,
        }
    }
}

pub(super) async fn show(visit: ConsoleRequest<ReadCustomers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let customer = find(&visit, &id).await?;
    let now = visit.now;
    let requests = match visit.may::<ReadUsage>() {
        true => {
            let span = Span::last_days(DAYS, now);
            let totals = usage::usage_of_customer(visit.node(), &customer.id, span).await?.totals();
            Some(format_count(totals.uses()))
        }
        false => None,
    };
    page(&Page {
        frame: visit.frame(Section::Customers, display_name(&customer)),
        id: customer.id.to_string(),
        external_id: customer.external_id.to_string(),
        name: customer.name.clone(),
        suspended: customer.suspended_at.map(|at| Moment::from_now(at, now)),
        created: Moment::from_now(customer.created_at, now),
        keys: format_count(number_of_keys(&visit, &customer).await?),
        keys_path: keys_path(&customer),
        max_keys: customer.max_keys,
        requests,
        metadata: customer.metadata.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        may_change: visit.may::<WriteCustomers>(),
        create_key: (visit.may::<WriteKeys>() && visit.by().may_manage_key_of(None)).then(|| {
            let mut query = Serializer::new(String::new());
            query.append_pair("customer", customer.external_id.as_str());
            visit.path(&format!("/keys/new?{}", query.finish()))
        }),
        sessions: portal::list(visit.node(), visit.organization(), &customer.id, now)
            .await?
            .into_iter()
            .map(|session| SessionRow::new(session, now))
            .collect(),
        trail: Trail::of_customer(&visit, customer.id).await?,
    })
}
