//! What was done to one key or member: the newest rows of its audit trail, for its own page.

use askama::Template;

use crate::audit;
use crate::console::audit::row::{Names, Row};
use crate::console::trouble::Trouble;
use crate::console::ui::html;
use crate::console::visit::Visit;
use crate::http::permission::ReadAudit;
use crate::store::{AuditFilter, AuditFrom};

/// Rows that are shown; the rest is in the log.
const ROWS: u32 = 20;

html! { Trail }

/// What was done to a key or a member, newest first.
#[derive(Template, Debug)]
#[template(path = "console/audit/trail.html")]
pub(in crate::console) struct Trail {
    root: String,
    subject: String,
    rows: Vec<Row>,
    more: bool,
}

impl Trail {
    /// The trail of an id in the visitor's organization; `None` where the visitor may not read the audit log.
    pub(in crate::console) async fn of<P>(visit: &Visit<P>, subject: impl ToString) -> Result<Option<Self>, Trouble> {
        if !visit.may::<ReadAudit>() {
            return Ok(None);
        }
        let subject = subject.to_string();
        let filter = AuditFilter {
            organization: visit.organization().clone(),
            action: None,
            actor: None,
            subject: Some(subject.clone()),
            since: None,
            until: None,
            from: AuditFrom::Newest,
            limit: ROWS,
        };
        let page = audit::list(visit.node(), &filter).await?;
        let names = Names::read(visit, &page.rows).await?;
        Ok(Some(Self {
            root: visit.path(""),
            subject,
            rows: page.rows.iter().map(|row| Row::new(visit, &names, row)).collect(),
            more: page.more,
        }))
    }
}
