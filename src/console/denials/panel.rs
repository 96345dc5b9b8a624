//! The latest denials of a key, for its own page.

use askama::Template;

use crate::console::denials::row::{Keys, Row};
use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::ui::html;
use crate::domain::key_text::KeyId;
use crate::http::permission::ReadUsage;
use crate::store::DenialFilter;
use crate::usage;

/// Maximum number of denials.
const ROWS: u32 = 5;

html! { DenialPanel }

/// The latest denials of a key.
#[derive(Template)]
#[template(
    source = r#"{% import "console/denials/macros.html" as parts %}{% if rows.is_empty() %}<p class="soft">No recent denials.</p>{% else %}{% call parts::table(rows, false) %}{% endcall %}{% if has_more %}<p><a href="{{ all }}">View all denials of this key</a></p>{% endif %}{% endif %}"#,
    ext = "html"
)]
pub(in crate::console) struct DenialPanel {
    rows: Vec<Row>,
    has_more: bool,
    all: String,
}

impl DenialPanel {
    /// Loads the latest denials. Returns `None` if the visitor cannot read the usage.
    pub(in crate::console) async fn load<P>(visit: &ConsoleRequest<P>, key: KeyId) -> Result<Option<Self>, ErrorPage> {
        if !visit.may::<ReadUsage>() {
            return Ok(None);
        }
        let filter = DenialFilter { key: Some(key), ..DenialFilter::new(visit.organization().clone(), ROWS) };
        let found = usage::denials(visit.node(), &filter).await?;
        let keys = Keys::load(visit, &found.items).await?;
        Ok(Some(Self {
            rows: found.items.iter().map(|denied| Row::new(visit, &keys, denied)).collect(),
            has_more: found.has_more,
            all: visit.path(&format!("/denials?key={key}")),
        }))
    }
}
