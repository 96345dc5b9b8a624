//! Lists of API keys by filter, and counts of keys.

use sqlx::AssertSqlSafe;

use crate::domain::api_key::{ApiKey, Status};
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyId;
use crate::domain::key_view::{BrokenRules, DAY, EXPIRING_DAYS, KeyView, RuleBroken, UNUSED_DAYS};
use crate::domain::member::MemberId;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeStyle;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::key_access::{InEffect, Parts};
use crate::store::key_grants::{Kind, Matching};
use crate::store::key_metadata::pair;
use crate::store::key_rows::key_from_row;
use crate::store::sql::database::Database;
use crate::store::sql::statement::{Query, Value, query};
use crate::store::{KeyCursor, KeyFilter, KeyOrder, Store, StoreError};

/// The time of the last use, rotation or creation, as `ApiKey::idle_since` computes it.
const IDLE_SINCE: &str = "CASE WHEN last_used_at >= created_at AND last_used_at >= COALESCE(rotated_at, 0) THEN last_used_at \
    WHEN rotated_at >= created_at THEN rotated_at ELSE created_at END";
const IN_TIME: &str = "(expires_at IS NULL OR expires_at > ";

/// The active keys that need attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attention {
    pub active: u64,
    pub expiring: u64,
    pub unused: u64,
    pub never_used: u64,
    pub no_expiry: u64,
    pub any_network: u64,
    pub full_access: u64,
    pub rotating: u64,
}

impl Store {
    /// Returns the keys that match a filter.
    pub async fn keys(&self, filter: &KeyFilter) -> Result<Vec<ApiKey>, StoreError> {
        let conditions = self.conditions(filter).await?;
        let rows = conditions.list(filter, self.source(filter)).fetch_all(&self.database).await?;
        rows.iter().map(key_from_row).collect()
    }

    /// Returns the keys of an organization with these IDs, in this order.
    pub async fn keys_by_id(&self, organization: &Slug, ids: &[KeyId]) -> Result<Vec<ApiKey>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (0..ids.len()).map(|index| format!("${}", index + 2)).collect();
        let sql = format!("SELECT * FROM api_keys WHERE organization = $1 AND id IN ({})", places.join(", "));
        let reading = query(AssertSqlSafe(sql)).bind(organization.as_str());
        let rows = ids.iter().fold(reading, |query, id| query.bind(id.as_str())).fetch_all(&self.database).await?;
        let mut keys: Vec<ApiKey> = rows.iter().map(key_from_row).collect::<Result<_, _>>()?;
        let place: std::collections::HashMap<KeyId, usize> =
            ids.iter().zip(0..).map(|(id, place)| (*id, place)).collect();
        keys.sort_by_key(|key| place.get(&key.id).copied());
        Ok(keys)
    }

    /// Returns the number of keys that match a filter, whatever its position and limit.
    pub async fn count_keys(&self, filter: &KeyFilter) -> Result<u64, StoreError> {
        let conditions = self.conditions(&KeyFilter { after: None, ..filter.clone() }).await?;
        let source = self.source(filter);
        let Conditions { sql, values, .. } = conditions;
        let counting = query(AssertSqlSafe(format!("SELECT COUNT(*) AS n FROM {source} WHERE {sql}")));
        let row = values.into_iter().fold(counting, Query::bind).fetch_one(&self.database).await?;
        Ok(row.try_get::<i64>("n")?.unsigned_abs())
    }

    /// Counts the active keys that need attention, of an organization or of one owner.
    pub async fn attention(
        &self,
        organization: &Slug,
        owner: Option<&MemberId>,
        now: Timestamp,
    ) -> Result<Attention, StoreError> {
        let mut conditions = Conditions::new(organization);
        conditions.in_effect = self.in_effect(organization, Parts { grants: true, networks: true }).await?;
        let at = conditions.bind(now.as_millis());
        conditions.and(&format!("state = 'active' AND {IN_TIME}{at})"));
        if let Some(owner) = owner {
            let owner = conditions.bind(owner.0.as_str());
            conditions.and(&format!("owner = {owner}"));
        }
        let views = [
            KeyView::Expiring,
            KeyView::Unused,
            KeyView::NeverUsed,
            KeyView::NoExpiry,
            KeyView::AnyNetwork,
            KeyView::FullAccess,
            KeyView::Rotating,
        ];
        let sums = views.map(|view| {
            let condition = conditions.of_view(view, now);
            format!(", CAST(COALESCE(SUM(CASE WHEN {condition} THEN 1 ELSE 0 END), 0) AS BIGINT) AS {}", view.as_str())
        });
        let Conditions { sql, values, .. } = conditions;
        let sql = format!("SELECT COUNT(*) AS active{} FROM api_keys WHERE {sql}", sums.concat());
        let row = values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind).fetch_one(&self.database).await?;
        let count = |column: &str| Ok::<_, StoreError>(row.try_get::<i64>(column)?.unsigned_abs());
        Ok(Attention {
            active: count("active")?,
            expiring: count("expiring")?,
            unused: count("unused")?,
            never_used: count("never_used")?,
            no_expiry: count("no_expiry")?,
            any_network: count("any_network")?,
            full_access: count("full_access")?,
            rotating: count("rotating")?,
        })
    }

    /// Returns the table to select keys from.
    fn source(&self, filter: &KeyFilter) -> &'static str {
        match &self.database {
            // Without statistics SQLite would walk another index and read the row of every key.
            Database::Sqlite { .. } if is_scan(filter) => "api_keys INDEXED BY api_keys_attention",
            _ => "api_keys",
        }
    }

    async fn conditions(&self, filter: &KeyFilter) -> Result<Conditions, StoreError> {
        let mut conditions = Conditions::new(&filter.organization);
        conditions.in_effect = self.in_effect(&filter.organization, parts(filter)).await?;
        conditions.add_plain(filter);
        if let Some(api) = filter.api {
            let own = conditions.granted(Kind::Api, &[api.to_string()]);
            let condition = conditions.by_grants(own, |grants| grants.get(api).is_some());
            conditions.and(&condition);
        }
        if let Some(scope) = &filter.scope {
            let matching = Matching::Scope(scope);
            let own = match scope.style() {
                ScopeStyle::Plain => conditions.granted(Kind::PlainScope, &[scope.to_string()]),
                ScopeStyle::Filters => {
                    let found = self.grants(&filter.organization, Kind::Scope, &matching).await?;
                    conditions.granted(Kind::Scope, &found)
                }
            };
            let condition = conditions.by_grants(own, |grants| matching.matches_any(grants));
            conditions.and(&condition);
        }
        if let Some(network) = &filter.network {
            let found = self.grants(&filter.organization, Kind::Network, &Matching::Network(network)).await?;
            let own = conditions.granted(Kind::Network, &found);
            let contains =
                |networks: &Networks| !networks.is_none() && networks.iter().any(|one| one.contains(network));
            let condition = conditions.by_networks(own, contains);
            conditions.and(&condition);
        }
        if let Some(rules) = &filter.broken {
            let mut any = Vec::new();
            for rule in &rules.rules {
                let condition = match rule {
                    RuleBroken::Actions | RuleBroken::GrantableScopes => {
                        let matching = Matching::Beyond(&rules.policy, *rule);
                        let found = self.grants(&filter.organization, Kind::Scope, &matching).await?;
                        let own = conditions.granted(Kind::Scope, &found);
                        conditions.by_grants(own, |grants| matching.matches_any(grants))
                    }
                    rule => conditions.of_rule(*rule, rules, filter.now),
                };
                any.push(condition);
            }
            conditions.and(&if any.is_empty() { "1 = 0".to_owned() } else { format!("({})", any.join(" OR ")) });
        }
        Ok(conditions)
    }
}

/// The conditions of a statement, and the values that they refer to by number. `$1` is the organization.
struct Conditions {
    sql: String,
    values: Vec<Value>,
    /// The access of keys with a profile or named networks.
    in_effect: InEffect,
}

impl Conditions {
    fn new(organization: &Slug) -> Self {
        Self {
            sql: "organization = $1".into(),
            values: vec![organization.as_str().into()],
            in_effect: InEffect::default(),
        }
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        bind(&mut self.values, value)
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    /// Adds the conditions on columns of the key itself.
    fn add_plain(&mut self, filter: &KeyFilter) {
        if let Some(cursor) = &filter.after {
            let (beyond, _) = direction(filter);
            let (last, id) = match cursor {
                KeyCursor::At(at, id) => (self.bind(*at), self.bind(id.as_str())),
                KeyCursor::Named(name, id) => (self.bind(name), self.bind(id.as_str())),
            };
            self.and(&format!("({}, id) {beyond} ({last}, {id})", sorted_by(filter)));
        }
        let now = self.bind(filter.now.as_millis());
        match filter.status {
            None => {}
            Some(Status::Revoked) => self.and("state = 'revoked'"),
            Some(Status::Expired) => self.and(&format!("state <> 'revoked' AND expires_at <= {now}")),
            Some(Status::Active) => self.and(&format!("state = 'active' AND {IN_TIME}{now})")),
            Some(Status::Disabled) => self.and(&format!("state = 'disabled' AND {IN_TIME}{now})")),
        }
        if let Some(part) = filter.search.as_deref().filter(|part| !part.is_empty()) {
            self.and_search(part);
        }
        if let Some(owner) = &filter.owner {
            let owner = self.bind(owner.0.as_str());
            self.and(&format!("owner = {owner}"));
        }
        if let Some(customer) = &filter.customer {
            let customer = self.bind(customer.as_str());
            self.and(&format!("customer_id = {customer}"));
        }
        if let Some(profile) = &filter.profile {
            let profile = self.bind(profile.as_str());
            self.and(&format!("profile = {profile}"));
        }
        if let Some(network) = &filter.named_network {
            let (organization, network) = (self.bind(filter.organization.as_str()), self.bind(network.as_str()));
            self.and(&format!(
                "id IN (SELECT key_id FROM key_grants WHERE organization = {organization} AND kind = 'named' AND value = {network})"
            ));
        }
        for (name, value) in &filter.metadata {
            let (organization, pair) = (self.bind(filter.organization.as_str()), self.bind(pair(name, value)));
            self.and(&format!(
                "id IN (SELECT key_id FROM key_metadata WHERE organization = {organization} AND pair = {pair})"
            ));
        }
        if let Some(end) = filter.expires_before {
            let end = self.bind(end.as_millis());
            self.and(&format!("expires_at < {end}"));
        }
        if let Some(since) = filter.unused_since {
            let since = self.bind(since.as_millis());
            self.and(&format!("{IDLE_SINCE} < {since}"));
        }
        if filter.view.is_some() || filter.broken.is_some() {
            self.and(&format!("state <> 'revoked' AND {IN_TIME}{now})"));
        }
        if let Some(view) = filter.view {
            let condition = self.of_view(view, filter.now);
            self.and(&condition);
        }
    }

    fn and_search(&mut self, part: &str) {
        let pattern = self.bind(contains_pattern(part));
        let mut any = format!("search_text LIKE {pattern} ESCAPE '\\'");
        if let Some(id) = KeyId::parse(part) {
            let id = self.bind(id.as_str());
            any.push_str(&format!(" OR id = {id}"));
        }
        if part.len() == LAST && part.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let last = self.bind(part);
            any.push_str(&format!(" OR substr(hint, length(hint) - {}) = {last}", LAST - 1));
        }
        self.and(&format!("({any})"));
    }

    /// Returns the condition of a view.
    fn of_view(&mut self, view: KeyView, now: Timestamp) -> String {
        match view {
            KeyView::Expiring => {
                let end = self.bind(now.plus_seconds(EXPIRING_DAYS * DAY).as_millis());
                format!("expires_at <= {end}")
            }
            KeyView::Unused => {
                let since = self.bind(now.plus_seconds(-UNUSED_DAYS * DAY).as_millis());
                format!("{IDLE_SINCE} < {since}")
            }
            KeyView::NeverUsed => "last_used_at IS NULL".into(),
            KeyView::NoExpiry => "expires_at IS NULL".into(),
            KeyView::AnyNetwork => self.by_networks("is_open = 1".into(), Networks::is_open),
            KeyView::FullAccess => self.by_grants("is_full_access = 1".into(), Grants::is_full_access),
            KeyView::Rotating => {
                let now = self.bind(now.as_millis());
                format!("previous_until > {now}")
            }
        }
    }

    /// Returns the condition of a broken rule on the key's own columns, as `Policy::violated_settings` decides it.
    fn of_rule(&mut self, rule: RuleBroken, rules: &BrokenRules, now: Timestamp) -> String {
        let policy = &rules.policy;
        match rule {
            RuleBroken::NameRequired => "TRIM(name) = ''".into(),
            RuleBroken::ScopesRequired => {
                let own = "NOT EXISTS (SELECT 1 FROM key_grants \
                    WHERE key_grants.key_id = api_keys.id AND key_grants.kind IN ('scope', 'plain'))";
                self.by_grants(own.into(), Grants::has_no_scope)
            }
            RuleBroken::ExpiryRequired => "expires_at IS NULL".into(),
            RuleBroken::MaxLifetimeDays => {
                let days = policy.max_lifetime_days.unwrap_or_default();
                let length = self.bind(i64::from(days) * DAY * 1000);
                format!("(expires_at IS NULL OR expires_at > COALESCE(rotated_at, created_at) + {length})")
            }
            RuleBroken::KeyPrefix => {
                let prefix = self.bind(policy.key_prefix.as_str());
                format!("prefix <> {prefix}")
            }
            RuleBroken::DisableWhenStale => {
                let days = policy.stale_after_days.unwrap_or_default();
                let since = self.bind(now.plus_seconds(-i64::from(days) * DAY).as_millis());
                format!("(state = 'active' AND {IDLE_SINCE} <= {since})")
            }
            RuleBroken::Actions | RuleBroken::GrantableScopes => "1 = 0".into(),
        }
    }

    /// Returns the condition that the grants in effect match. `own` is the condition on the key's own grants.
    fn by_grants(&mut self, own: String, matches: impl Fn(&Grants) -> bool) -> String {
        let Self { in_effect, values, .. } = self;
        in_effect.by_grants(own, matches, |value| bind(values, value))
    }

    /// Returns the condition that the networks in effect match. `own` is the condition on the key's own networks.
    fn by_networks(&mut self, own: String, matches: impl Fn(&Networks) -> bool) -> String {
        let Self { in_effect, values, .. } = self;
        in_effect.by_networks(own, matches, |value| bind(values, value))
    }

    /// Returns the condition that a key has one of these scopes, networks or APIs.
    fn granted(&mut self, kind: Kind, values: &[String]) -> String {
        if values.is_empty() {
            return "1 = 0".into();
        }
        let places: Vec<String> = values.iter().map(|value| self.bind(value)).collect();
        format!(
            "id IN (SELECT key_id FROM key_grants WHERE organization = $1 AND kind = '{}' AND value IN ({}))",
            kind.as_str(),
            places.join(", ")
        )
    }

    /// Returns the statement of a list. IDs are selected from `source`, by a covering index,
    /// then their rows are read.
    fn list(mut self, filter: &KeyFilter, source: &str) -> Query {
        let (value, (_, direction)) = (sorted_by(filter), direction(filter));
        let limit = self.bind(i64::from(filter.limit));
        let offset = self.bind(filter.offset);
        let Self { sql, values, .. } = self;
        let sql = format!(
            "SELECT * FROM api_keys WHERE id IN (SELECT id FROM {source} WHERE {sql} \
             ORDER BY {value} {direction}, id {direction} LIMIT {limit} OFFSET {offset}) \
             ORDER BY {value} {direction}, id {direction}"
        );
        values.into_iter().fold(query(AssertSqlSafe(sql)), Query::bind)
    }
}

/// Adds a value, and returns its place in the statement.
fn bind(values: &mut Vec<Value>, value: impl Into<Value>) -> String {
    values.push(value.into());
    format!("${}", values.len())
}

/// Returns the parts of the access in effect that a filter needs.
fn parts(filter: &KeyFilter) -> Parts {
    let is_about_grants = |rule: &RuleBroken| {
        matches!(rule, RuleBroken::ScopesRequired | RuleBroken::Actions | RuleBroken::GrantableScopes)
    };
    let breaks = filter.broken.as_ref().is_some_and(|broken| broken.rules.iter().any(is_about_grants));
    let is_full = filter.view == Some(KeyView::FullAccess);
    Parts {
        grants: filter.api.is_some() || filter.scope.is_some() || is_full || breaks,
        networks: filter.network.is_some() || filter.view == Some(KeyView::AnyNetwork),
    }
}

/// Displayed characters of a secret.
const LAST: usize = 4;

/// Whether a condition needs columns that the indexes of the orders do not have, but `api_keys_attention` has. The keys of a
/// customer, a profile, a network or a pair of metadata have an index of their own.
fn is_scan(filter: &KeyFilter) -> bool {
    let is_search = filter.search.as_deref().is_some_and(|part| !part.is_empty());
    let has_own_index = filter.customer.is_some()
        || filter.profile.is_some()
        || filter.named_network.is_some()
        || !filter.metadata.is_empty();
    !has_own_index && (filter.view.is_some() || filter.unused_since.is_some() || is_search)
}

/// Returns the value that a list is sorted by. The generated columns have indexes, but `api_keys_attention` has only
/// what they are generated from.
fn sorted_by(filter: &KeyFilter) -> &'static str {
    match (filter.order, is_scan(filter)) {
        (KeyOrder::Created, _) => "created_at",
        (KeyOrder::Name, _) => "name_lowercase",
        (KeyOrder::Expiry, false) => "expires_place",
        (KeyOrder::Expiry, true) => "COALESCE(expires_at, 9223372036854775807)",
        (KeyOrder::LastUse, false) => "used_place",
        (KeyOrder::LastUse, true) => "COALESCE(last_used_at, 0)",
    }
}

const fn direction(filter: &KeyFilter) -> (&'static str, &'static str) {
    if filter.is_descending { ("<", "DESC") } else { (">", "ASC") }
}

/// Returns a LIKE pattern for a substring of a lower-case text, with wildcards escaped.
pub(super) fn contains_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for c in part.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
