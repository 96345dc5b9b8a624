//! The query of the list: filters, order, page and size. Links to the same list with another value are built from it.

use actix_web::HttpRequest;

use crate::clock::parse_rfc3339;
use crate::console::request::ConsoleRequest;
use crate::domain::api_key::Status;
use crate::domain::apis::ServedApi;
use crate::domain::choices::ScopeStyle;
use crate::domain::clue::is_sensitive;
use crate::domain::customer::CustomerId;
use crate::domain::key_view::KeyView;
use crate::domain::member::MemberId;
use crate::domain::networks::Networks;
use crate::domain::scope::Scope;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;
use crate::keys;
use crate::store::{KeyFilter, KeyOrder};

/// Keys per page.
pub(super) const SIZES: [u32; 2] = [25, 50];
pub(super) const ORDERS: [(&str, &str); 8] = [
    ("-created_at", "Newest first"),
    ("created_at", "Oldest first"),
    ("name", "Name, A to Z"),
    ("-name", "Name, Z to A"),
    ("-last_used_at", "Recently used"),
    ("last_used_at", "Least recently used"),
    ("expires_at", "Expiring soonest"),
    ("-expires_at", "Expiring latest"),
];
/// The owner in the query of a list of all keys.
pub(super) const ANY_OWNER: &str = "any";
/// The filters that have a chip, and their labels.
const FILTERS: [(&str, &str); 12] = [
    ("search", "Search"),
    ("owner", "Owner"),
    ("customer", "Customer"),
    ("profile", "Profile"),
    ("network", "Named network"),
    ("api", "API"),
    ("scope", "Scope"),
    ("cidr", "Network"),
    ("expires_before", "Expires before"),
    ("unused_since", "Unused since"),
    ("view", "View"),
    ("violates", "Violates"),
];

/// The parsed query. Invalid values are dropped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::console) struct ListQuery {
    pub(super) status: String,
    pub(super) search: String,
    /// A member's ID, `any`, or empty: then developers get their own keys, and other members all keys.
    pub(super) owner: String,
    /// A customer's ID.
    pub(super) customer: String,
    /// The name of a profile.
    pub(super) profile: String,
    /// The name of a network that keys refer to.
    pub(super) network: String,
    /// The name of an API.
    pub(super) api: String,
    pub(super) scope: String,
    pub(super) cidr: String,
    pub(super) expires_before: String,
    pub(super) unused_since: String,
    pub(super) view: String,
    pub(super) violates: String,
    pub(super) sort: String,
    pub(super) size: u32,
    pub(super) page: u64,
    /// Whether a search was dropped because it may be a secret.
    pub(super) was_sensitive: bool,
}

impl ListQuery {
    pub(in crate::console) fn of_request(request: &HttpRequest) -> Self {
        Self::read(&Form::parse(request.query_string().as_bytes()).unwrap_or_default())
    }

    /// Reads a query string.
    pub(super) fn parse(text: &str) -> Self {
        Self::read(&Form::parse(text.as_bytes()).unwrap_or_default())
    }

    pub(super) fn read(form: &Form) -> Self {
        let value = |name| form.value(name).unwrap_or_default().trim().to_owned();
        let only = |text: String, is_valid: &dyn Fn(&str) -> bool| if is_valid(&text) { text } else { String::new() };
        let search: String = value("search").chars().filter(|c| !c.is_control()).take(100).collect();
        let was_sensitive = is_sensitive(&value("search"));
        let is_status = |text: &str| text == "all" || Status::ALL.into_iter().any(|known| known.as_str() == text);
        let status = only(value("status"), &is_status);
        let sort = only(value("sort"), &|text| ORDERS.into_iter().any(|(known, _)| known == text));
        let number = |name| form.value(name).and_then(|text| text.parse::<u32>().ok());
        Self {
            status: if status.is_empty() { "active".into() } else { status },
            search: if was_sensitive { String::new() } else { search },
            owner: value("owner").chars().filter(char::is_ascii_graphic).take(64).collect(),
            customer: only(value("customer"), &|text| CustomerId::parse(text).is_some()),
            profile: only(value("profile"), &|text| Slug::parse(text).is_some()),
            network: only(value("network"), &|text| Slug::parse(text).is_some()),
            api: only(value("api"), &|text| Slug::parse(text).is_some()),
            // Whether it is a scope depends on the style of the API.
            scope: only(value("scope"), &|text| !is_sensitive(text) && Scope::parse_plain(text).is_ok()),
            cidr: only(value("cidr"), &|text| network(text).is_some()),
            expires_before: only(value("expires_before"), &|text| date(text).is_some()),
            unused_since: only(value("unused_since"), &|text| date(text).is_some()),
            view: only(value("view"), &|text| KeyView::parse(text).is_some()),
            violates: only(value("violates"), &|text| {
                text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            }),
            sort: if sort.is_empty() { "-created_at".into() } else { sort },
            size: number("size").filter(|size| SIZES.contains(size)).unwrap_or(SIZES[0]),
            page: number("page").map_or(1, |page| u64::from(page.max(1))),
            was_sensitive,
        }
    }

    /// Drops an API that does not exist, and a scope that is none in the style of the API.
    pub(super) fn known(mut self, apis: &[ServedApi]) -> Self {
        let api = apis.iter().find(|served| served.api.name.as_str() == self.api);
        let style = api.map_or(ScopeStyle::Filters, |served| served.api.style);
        if api.is_none() {
            self.api.clear();
        }
        if Scope::parse_as(style, &self.scope).is_err() {
            self.scope.clear();
        }
        self
    }

    /// Returns the query string of the list. Default values are left out.
    pub(super) fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut add = |name: &str, value: &str, default: &str| {
            if !value.is_empty() && value != default {
                query.append_pair(name, value);
            }
        };
        add("status", &self.status, "active");
        for (name, _) in FILTERS {
            add(name, self.value(name), "");
        }
        add("sort", &self.sort, "-created_at");
        add("size", &self.size.to_string(), "25");
        add("page", &self.page.to_string(), "1");
        query.finish()
    }

    /// Returns the path below `/console` of the list with one change.
    pub(super) fn link(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut other = Self { page: 1, ..self.clone() };
        change(&mut other);
        let query = other.to_query();
        if query.is_empty() { "/keys".into() } else { format!("/keys?{query}") }
    }

    fn value(&self, name: &str) -> &str {
        match name {
            "search" => &self.search,
            "owner" => &self.owner,
            "customer" => &self.customer,
            "profile" => &self.profile,
            "network" => &self.network,
            "api" => &self.api,
            "scope" => &self.scope,
            "cidr" => &self.cidr,
            "expires_before" => &self.expires_before,
            "unused_since" => &self.unused_since,
            "view" => &self.view,
            _ => &self.violates,
        }
    }

    fn clear(&mut self, name: &str) {
        let field = match name {
            "search" => &mut self.search,
            "owner" => &mut self.owner,
            "customer" => &mut self.customer,
            "profile" => &mut self.profile,
            "network" => &mut self.network,
            "api" => &mut self.api,
            "scope" => &mut self.scope,
            "cidr" => &mut self.cidr,
            "expires_before" => &mut self.expires_before,
            "unused_since" => &mut self.unused_since,
            "view" => &mut self.view,
            _ => &mut self.violates,
        };
        field.clear();
    }

    /// Returns the label, the value and the link without it of each filter in use.
    pub(super) fn filters(&self) -> Vec<(&'static str, String, String)> {
        let used = FILTERS.into_iter().filter(|(name, _)| !self.value(name).is_empty());
        let chip = |(name, label)| (label, self.value(name).to_owned(), self.link(|query| query.clear(name)));
        used.map(chip).collect()
    }

    /// Whether the list leaves out any active key.
    pub(super) fn is_filtered(&self) -> bool {
        self.status != "active" || FILTERS.into_iter().any(|(name, _)| !self.value(name).is_empty())
    }

    /// Whether a filter of the form is in use, other than the status.
    pub(super) fn is_refined(&self) -> bool {
        let in_form = FILTERS.into_iter().filter(|(name, _)| !["owner", "customer", "view", "violates"].contains(name));
        in_form.into_iter().any(|(name, _)| !self.value(name).is_empty())
    }

    pub(super) fn order(&self) -> (KeyOrder, bool) {
        keys::read_order(&self.sort).unwrap_or((KeyOrder::Created, true))
    }

    /// Returns the owner whose keys are listed.
    pub(super) fn owner<P>(&self, visit: &ConsoleRequest<P>) -> Option<MemberId> {
        match self.owner.as_str() {
            "" if !visit.who.member.role.may_manage_key(false) && visit.may::<crate::http::permission::WriteKeys>() => {
                Some(visit.who.member.id.clone())
            }
            "" | ANY_OWNER => None,
            id => Some(MemberId(id.to_owned())),
        }
    }

    /// Returns the filter of the store, without the rules of the policy.
    pub(super) fn filter<P>(&self, visit: &ConsoleRequest<P>, apis: &[ServedApi]) -> KeyFilter {
        let api = apis.iter().find(|served| served.api.name.as_str() == self.api).map(|served| &served.api);
        let style = api.map_or(ScopeStyle::Filters, |api| api.style);
        let (order, is_descending) = self.order();
        KeyFilter {
            status: Status::ALL.into_iter().find(|status| status.as_str() == self.status),
            search: Some(self.search.clone()).filter(|text| !text.is_empty()),
            owner: self.owner(visit),
            customer: CustomerId::parse(&self.customer),
            profile: Slug::parse(&self.profile),
            named_network: Slug::parse(&self.network),
            api: api.map(|api| api.id),
            scope: Scope::parse_as(style, &self.scope).ok(),
            network: network(&self.cidr),
            expires_before: date(&self.expires_before),
            unused_since: date(&self.unused_since),
            view: KeyView::parse(&self.view),
            order,
            is_descending,
            offset: (self.page - 1).saturating_mul(u64::from(self.size)),
            limit: self.size,
            ..KeyFilter::new(visit.organization().clone(), visit.now)
        }
    }
}

fn network(text: &str) -> Option<ipnet::IpNet> {
    let networks = Networks::parse(&[text]).ok().filter(|networks| networks.iter().len() == 1)?;
    networks.iter().next()
}

/// Parses a date as its first moment in UTC.
fn date(text: &str) -> Option<Timestamp> {
    parse_rfc3339(&format!("{text}T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_round_trip_and_drop_what_is_invalid() {
        let text = "status=all&search=a+b&owner=any&customer=3kTMd9aB7xQ2LpZs&profile=readers&network=office&api=orders&scope=read%3Aorders%2F1&cidr=10.0.0.0%2F8&expires_before=2031-01-02&\
            unused_since=2026-01-02&view=no_expiry&violates=any&sort=name&size=50&page=3";
        let query = ListQuery::parse(text);
        assert_eq!(query.to_query(), text);
        assert_eq!(query.filters().len(), 12);
        let query = ListQuery::parse(
            "status=x&customer=x&profile=No&network=No&api=No&scope=no+scope&cidr=10.0.0.1/8&view=x&sort=x&size=7&page=0&unused_since=soon",
        );
        assert_eq!(query.to_query(), "");
    }

    #[test]
    fn secrets_never_become_part_of_a_link() {
        for text in
            ["kt_gpxgw5NsGiA0beZN_n3f8aaaaaaaaaaaaaaaaaaaaaaaaaa", "n3f8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]
        {
            let query = ListQuery::parse(&format!("search={text}"));
            assert!(query.was_sensitive && query.to_query().is_empty(), "{text}");
        }
    }
}
