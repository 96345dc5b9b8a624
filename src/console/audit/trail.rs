//! The newest audit entries of a single key, member, profile or network, for its own page.

use askama::Template;

use crate::audit;
use crate::console::audit::labels::action_label;
use crate::console::audit::row::{Names, Row};
use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::ui::html;
use crate::domain::customer::CustomerId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::ReadAudit;
use crate::store::AuditFilter;

/// Maximum number of entries. The audit log has the rest.
const ROWS: u32 = 20;

/// Maximum size of all differences, in bytes of HTML.
const MAX_DIFFERENCES: usize = 30_000;

html! { Trail }

/// The audit entries of a key or member, newest first.
#[derive(Template, Debug)]
#[template(path = "console/audit/trail.html")]
pub(in crate::console) struct Trail {
    root: String,
    /// The audit log with the same filter.
    log: String,
    rows: Vec<Row>,
    more: bool,
}

impl Trail {
    /// Loads the trail of an ID. Returns `None` if the visitor cannot read the audit log.
    pub(in crate::console) async fn load<P>(
        visit: &ConsoleRequest<P>,
        subject: impl ToString,
    ) -> Result<Option<Self>, ErrorPage> {
        if !visit.may::<ReadAudit>() {
            return Ok(None);
        }
        let subject = subject.to_string();
        let log = visit.path(&format!("/audit?subject={subject}"));
        let filter = AuditFilter { subject: Some(subject), ..AuditFilter::new(visit.organization().clone(), ROWS) };
        Self::read(visit, &filter, log).await.map(Some)
    }

    /// Loads the trail of a profile or network, whose subject is its name. Returns `None` if the visitor cannot read the audit log.
    pub(in crate::console) async fn of_named<P>(
        visit: &ConsoleRequest<P>,
        actions: [&'static str; 3],
        name: &Slug,
    ) -> Result<Option<Self>, ErrorPage> {
        let trail = Self::load(visit, name).await?;
        // A profile and a network can have the same name.
        let labels = actions.map(action_label);
        Ok(trail.map(|mut trail| {
            trail.rows.retain(|row| labels.contains(&row.action.as_str()));
            trail
        }))
    }

    /// Loads the changes of a customer and of its keys. Returns `None` if the visitor cannot read the audit log.
    pub(in crate::console) async fn of_customer<P>(
        visit: &ConsoleRequest<P>,
        customer: CustomerId,
    ) -> Result<Option<Self>, ErrorPage> {
        if !visit.may::<ReadAudit>() {
            return Ok(None);
        }
        let log = visit.path(&format!("/audit?customer={customer}"));
        let filter = AuditFilter { customer: Some(customer), ..AuditFilter::new(visit.organization().clone(), ROWS) };
        Self::read(visit, &filter, log).await.map(Some)
    }

    /// Loads what an actor did, from a time on. Returns `None` if the visitor cannot read the audit log.
    pub(in crate::console) async fn of_actor<P>(
        visit: &ConsoleRequest<P>,
        actor: String,
        since: Option<Timestamp>,
    ) -> Result<Option<Self>, ErrorPage> {
        if !visit.may::<ReadAudit>() {
            return Ok(None);
        }
        let log = visit.path(&format!("/audit?actor={actor}"));
        let filter = AuditFilter { actor: Some(actor), since, ..AuditFilter::new(visit.organization().clone(), ROWS) };
        Self::read(visit, &filter, log).await.map(Some)
    }

    async fn read<P>(visit: &ConsoleRequest<P>, filter: &AuditFilter, log: String) -> Result<Self, ErrorPage> {
        let page = audit::list(visit.node(), filter).await?;
        let names = Names::read(visit, &page.items).await?;
        let mut room = MAX_DIFFERENCES;
        Ok(Self {
            root: visit.path(""),
            log,
            rows: page.items.iter().map(|row| Row::new(visit, &names, row, &mut room)).collect(),
            more: page.has_more,
        })
    }
}
