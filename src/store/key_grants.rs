//! The scopes and networks of keys, one per row, to find keys by them.

use ipnet::IpNet;
use sqlx::AssertSqlSafe;

use crate::domain::api_key::ApiKey;
use crate::domain::grants::Grants;
use crate::domain::key_view::RuleBroken;
use crate::domain::policy::Policy;
use crate::domain::scope::{Scope, ScopeStyle};
use crate::domain::slug::Slug;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Query, placeholders, query};
use crate::store::{Store, StoreError};

/// Maximum number of different values that a filter matches: the databases limit the values of a statement. No real
/// organization has as many different scopes.
const MOST: usize = 20_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Scope,
    PlainScope,
    Network,
    Api,
    /// A named network.
    Named,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::PlainScope => "plain",
            Self::Api => "api",
            Self::Network => "network",
            Self::Named => "named",
        }
    }
}

/// Selects values.
pub(super) enum Matching<'a> {
    /// Scopes that contain this one.
    Scope(&'a Scope),
    /// Networks that contain this one.
    Network(&'a IpNet),
    /// Scopes that break a rule of a policy.
    Beyond(&'a Policy, RuleBroken),
}

impl Matching<'_> {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Network(wanted) => value.parse::<IpNet>().is_ok_and(|network| network.contains(*wanted)),
            Self::Scope(_) | Self::Beyond(..) => Scope::parse(value).is_ok_and(|scope| self.matches_scope(&scope)),
        }
    }

    fn matches_scope(&self, scope: &Scope) -> bool {
        match self {
            Self::Scope(wanted) => scope.style() == wanted.style() && scope.contains(wanted),
            Self::Network(_) => false,
            Self::Beyond(policy, RuleBroken::Actions) => {
                scope.action().is_some_and(|action| !policy.has_action(action))
            }
            Self::Beyond(policy, _) => scope.style() == ScopeStyle::Filters && !policy.is_grantable(scope),
        }
    }

    /// Whether a scope of any API matches.
    pub(super) fn matches_any(&self, grants: &Grants) -> bool {
        grants.scopes().any(|(_, scope)| self.matches_scope(scope))
    }
}

impl Store {
    /// Returns the different scopes or networks of an organization's keys that match.
    pub(super) async fn grants(
        &self,
        organization: &Slug,
        kind: Kind,
        matching: &Matching<'_>,
    ) -> Result<Vec<String>, StoreError> {
        let rows = query("SELECT DISTINCT value FROM key_grants WHERE organization = $1 AND kind = $2")
            .bind(organization.as_str())
            .bind(kind.as_str())
            .fetch_all(&self.database)
            .await?;
        let values: Vec<String> = rows.iter().map(|row| row.try_get("value")).collect::<Result<_, _>>()?;
        Ok(values.into_iter().filter(|value| matching.matches(value)).take(MOST).collect())
    }
}

/// Writes the scopes and networks of a key, if they differ from the stored ones.
pub(super) async fn write(transaction: &mut Transaction, key: &ApiKey) -> Result<(), StoreError> {
    let rows = query("SELECT kind, value FROM key_grants WHERE key_id = $1")
        .bind(key.id.as_str())
        .fetch_all(&mut *transaction)
        .await?;
    let mut stored = Vec::with_capacity(rows.len());
    for row in &rows {
        stored.push((row.try_get::<String>("kind")?, row.try_get::<String>("value")?));
    }
    let pair = |kind: Kind, value: String| (kind.as_str().to_owned(), value);
    let kind_of = |scope: &Scope| match scope.style() {
        ScopeStyle::Filters => Kind::Scope,
        ScopeStyle::Plain => Kind::PlainScope,
    };
    let scopes = key.grants.scopes().map(|(_, scope)| pair(kind_of(scope), scope.to_string()));
    let apis = key.grants.iter().map(|grant| pair(Kind::Api, grant.api.to_string()));
    let networks = key.networks.to_strings().into_iter().map(|network| pair(Kind::Network, network));
    let named = key.named_networks.iter().map(|name| pair(Kind::Named, name.to_string()));
    let mut wanted: Vec<(String, String)> = scopes.chain(networks).chain(apis).chain(named).collect();
    wanted.sort_unstable();
    wanted.dedup();
    stored.sort_unstable();
    if stored == wanted {
        return Ok(());
    }
    if !stored.is_empty() {
        query("DELETE FROM key_grants WHERE key_id = $1").bind(key.id.as_str()).execute(&mut *transaction).await?;
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let sql =
        format!("INSERT INTO key_grants (organization, kind, value, key_id) VALUES {}", placeholders(wanted.len(), 4));
    let bind = |query: Query, (kind, value): (String, String)| {
        query.bind(key.organization.as_str()).bind(kind).bind(value).bind(key.id.as_str())
    };
    wanted.into_iter().fold(query(AssertSqlSafe(sql)), bind).execute(transaction).await?;
    Ok(())
}
