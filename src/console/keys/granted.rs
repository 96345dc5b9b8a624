//! The scopes of a key by API, as displayed.

use askama::Template;

use crate::console::ui::html;
use crate::domain::apis::{Api, ApiId, ServedApi, api_name};
use crate::domain::grants::Grants;
use crate::domain::scope::ScopeSet;

html! { Granted }

/// The scopes of a key. The APIs are named if the organization has several.
#[derive(Template, Clone, Debug)]
#[template(path = "console/keys/granted.html")]
pub(in crate::console) struct Granted {
    apis: Vec<GrantedApi>,
    is_named: bool,
    /// The number of scopes that are left out.
    more: usize,
}

#[derive(Clone, Debug)]
struct GrantedApi {
    name: String,
    /// Each scope, and whether the API has it.
    scopes: Vec<(String, bool)>,
}

impl Granted {
    /// In the order of the APIs. Grants for APIs that no longer exist mean nothing and are left out.
    pub(in crate::console) fn new(grants: &Grants, apis: &[ServedApi]) -> Self {
        let granted = in_order(grants, apis).map(|(api, scopes)| GrantedApi {
            name: api.name.to_string(),
            scopes: scopes.iter().map(|scope| (scope.to_string(), api.has_scope(scope))).collect(),
        });
        Self { apis: granted.collect(), is_named: apis.len() > 1, more: 0 }
    }

    /// Leaves out all but the first scopes.
    pub(in crate::console) fn first(mut self, most: usize) -> Self {
        let mut room = most;
        for api in &mut self.apis {
            self.more += api.scopes.len().saturating_sub(room);
            api.scopes.truncate(room);
            room -= api.scopes.len();
        }
        if self.more > 0 {
            self.apis.retain(|api| !api.scopes.is_empty());
        }
        self
    }

    fn has_no_scope(&self) -> bool {
        self.apis.iter().all(|api| api.scopes.is_empty())
    }
}

/// Returns the granted APIs that exist, in their order, with the scopes.
pub(super) fn in_order<'a>(grants: &'a Grants, apis: &'a [ServedApi]) -> impl Iterator<Item = (&'a Api, &'a ScopeSet)> {
    apis.iter().filter_map(|served| Some((&served.api, grants.get(served.api.id)?)))
}

/// Returns what uses were counted by: an address, an API, or scopes. The API of scopes is named if there are several.
pub(super) fn describe_detail(api: Option<ApiId>, value: Option<&str>, apis: &[ServedApi]) -> String {
    let name = || api.map(|api| api_name(apis, api).unwrap_or("Deleted API"));
    match (value.filter(|value| !value.is_empty()), name()) {
        (Some(value), Some(name)) if apis.len() > 1 => format!("{value} ({name})"),
        (Some(value), _) => value.to_owned(),
        (None, name) => name.unwrap_or_default().to_owned(),
    }
}
