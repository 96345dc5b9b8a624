//! APIs (resource servers): records and writes.

use serde::{Deserialize, Serialize};

use crate::domain::apis::{Api, ApiId, ApiScope, MAX_APIS, NextAlgorithm, TokenAlgorithm};
use crate::domain::choices::{Algorithm, Choice, ScopeStyle, TokenType};
use crate::domain::scope::Scope;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{On, Query, Row, query};
use crate::store::{AuditEntry, Refused, Seq, Store, StoreError, WriteError, audit, changes, is_duplicate, refuse};

/// A scope in the column `scopes`.
#[derive(Serialize, Deserialize)]
struct StoredScope {
    scope: String,
    description: String,
}

/// Returns the APIs of one organization or of all, the default API first, then by name.
pub(super) async fn read(on: impl Into<On<'_>>, organization: Option<&Slug>) -> Result<Vec<Api>, StoreError> {
    let statement = match organization {
        Some(organization) => query("SELECT * FROM apis WHERE organization = $1").bind(organization.as_str()),
        None => query("SELECT * FROM apis"),
    };
    let mut apis: Vec<Api> = statement.fetch_all(on).await?.iter().map(from_row).collect::<Result<_, _>>()?;
    let place = |api: &Api| (api.organization.clone(), !api.is_default(), api.name.clone());
    apis.sort_by_key(place);
    Ok(apis)
}

impl Store {
    /// Returns the APIs of an organization, the default API first, then by name.
    pub async fn apis(&self, organization: &Slug) -> Result<Vec<Api>, StoreError> {
        read(&self.database, Some(organization)).await
    }

    /// Inserts an API with the audit entry. Rejected if the organization's last change is not `seen`: what the API was
    /// compared with may have changed.
    pub async fn insert_api(&self, api: &Api, seen: Seq, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !is_unchanged(&mut transaction, &api.organization, seen).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let row = query("SELECT COUNT(*) AS n FROM apis WHERE organization = $1").bind(api.organization.as_str());
        if row.fetch_one(&mut transaction).await?.try_get::<i64>("n")? >= MAX_APIS as i64 {
            return refuse(transaction, Refused::LimitReached).await;
        }
        match insert(&mut transaction, api).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        }
        changes::tenant_changed(&mut transaction, &api.organization, seq).await?;
        audit::write(&mut transaction, &api.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Writes the next state of an API with the audit entry, if the stored version is the previous one and the
    /// organization's last change is `seen`.
    pub async fn update_api(&self, api: &Api, seen: Seq, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !is_unchanged(&mut transaction, &api.organization, seen).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let written = query(
            "UPDATE apis SET name = $3, description = $4, audience = $5, style = $6, scopes = $7, \
             grantable_scopes = $8, token_ttl_seconds = $9, typ = $10, algorithm = $11, next_algorithm = $12, \
             next_algorithm_from = $13, token_claims = $14, version = $15 WHERE organization = $1 AND id = $2 AND version + 1 = $15",
        );
        let written = match bind(written, api)?.bind(api.version).execute(&mut transaction).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        };
        if written == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        changes::tenant_changed(&mut transaction, &api.organization, seq).await?;
        audit::write(&mut transaction, &api.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }

    /// Deletes an API with the audit entry, if the stored version is this one. Its tokens are no longer valid, and its ID is
    /// not used again, so the grants that keys have for it mean nothing.
    pub async fn delete_api(&self, api: &Api, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let deleted = query("DELETE FROM apis WHERE organization = $1 AND id = $2 AND version = $3")
            .bind(api.organization.as_str())
            .bind(api.id.as_str())
            .bind(api.version)
            .execute(&mut transaction)
            .await?;
        if deleted == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        changes::tenant_changed(&mut transaction, &api.organization, seq).await?;
        audit::write(&mut transaction, &api.organization, entry).await?;
        transaction.commit().await?;
        Ok(seq)
    }
}

/// Whether the last change of an organization is this one.
pub(super) async fn is_unchanged(
    transaction: &mut Transaction,
    organization: &Slug,
    seen: Seq,
) -> Result<bool, StoreError> {
    let row = query("SELECT changed_seq FROM organizations WHERE slug = $1")
        .bind(organization.as_str())
        .fetch_optional(transaction)
        .await?;
    let Some(row) = row else { return Ok(false) };
    Ok(unsigned(row.try_get("changed_seq")?, "change number")? == seen)
}

pub(super) async fn insert(transaction: &mut Transaction, api: &Api) -> Result<(), StoreError> {
    let statement = query(
        "INSERT INTO apis (organization, id, name, description, audience, style, scopes, grantable_scopes, \
         token_ttl_seconds, typ, algorithm, next_algorithm, next_algorithm_from, token_claims, version, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    );
    bind(statement, api)?.bind(api.version).bind(api.created_at.as_millis()).execute(transaction).await?;
    Ok(())
}

/// Binds the columns from `organization` to `token_claims`.
fn bind(statement: Query, api: &Api) -> Result<Query, StoreError> {
    let stored: Vec<StoredScope> = api
        .scopes
        .iter()
        .map(|listed| StoredScope { scope: listed.scope.to_string(), description: listed.description.clone() })
        .collect();
    let (algorithm, next) = api.algorithm.to_stored();
    let scopes = serde_json::to_string(&stored).map_err(|error| unreadable(error.to_string()))?;
    let claims = serde_json::to_string(&api.token_claims).map_err(|error| unreadable(error.to_string()))?;
    let texts = |scopes: &Vec<Scope>| serde_json::to_string(&scopes.iter().map(Scope::to_string).collect::<Vec<_>>());
    let grantable = api.grantable.as_ref().map(texts).transpose().map_err(|error| unreadable(error.to_string()))?;
    Ok(statement
        .bind(api.organization.as_str())
        .bind(api.id.as_str())
        .bind(api.name.as_str())
        .bind(&api.description)
        .bind(api.audience.as_deref())
        .bind(api.style.as_str())
        .bind(scopes)
        .bind(grantable)
        .bind(api.token_ttl_seconds.map(i64::from))
        .bind(api.typ.map(TokenType::as_str))
        .bind(algorithm.as_str())
        .bind(next.map(|next| next.algorithm.as_str()))
        .bind(next.map(|next| next.from.as_millis()))
        .bind(claims))
}

fn from_row(row: &Row) -> Result<Api, StoreError> {
    let style: String = row.try_get("style")?;
    let style = ScopeStyle::parse(&style).ok_or_else(|| unreadable(format!("style {style:?}")))?;
    let typ: Option<String> = row.try_get("typ")?;
    let ttl: Option<i64> = row.try_get("token_ttl_seconds")?;
    let stored: Vec<StoredScope> =
        serde_json::from_str(&row.try_get::<String>("scopes")?).map_err(|error| unreadable(error.to_string()))?;
    let parse = |text: &str| Scope::parse_as(style, text).map_err(|error| unreadable(error.to_string()));
    let read = |stored: StoredScope| Ok(ApiScope { scope: parse(&stored.scope)?, description: stored.description });
    let grantable: Option<String> = row.try_get("grantable_scopes")?;
    let grantable: Option<Vec<String>> = grantable
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error: serde_json::Error| unreadable(error.to_string()))?;
    Ok(Api {
        id: api_id(&row.try_get::<String>("id")?)?,
        organization: slug(row.try_get("organization")?)?,
        name: slug(row.try_get("name")?)?,
        description: row.try_get("description")?,
        audience: row.try_get("audience")?,
        style,
        scopes: stored.into_iter().map(read).collect::<Result<_, StoreError>>()?,
        grantable: grantable.map(|list| list.iter().map(|text| parse(text)).collect()).transpose()?,
        token_ttl_seconds: ttl.and_then(|seconds| u32::try_from(seconds).ok()),
        typ: typ.as_deref().and_then(TokenType::parse),
        token_claims: serde_json::from_str(&row.try_get::<String>("token_claims")?)
            .map_err(|error| unreadable(error.to_string()))?,
        algorithm: algorithm_from(row)?,
        version: unsigned(row.try_get("version")?, "version of an API")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}

fn algorithm_from(row: &Row) -> Result<TokenAlgorithm, StoreError> {
    let parse = |text: String| Algorithm::parse(&text).ok_or_else(|| unreadable(format!("algorithm {text:?}")));
    let next = row.try_get::<Option<String>>("next_algorithm")?.map(parse).transpose()?;
    let from = row.try_get::<Option<i64>>("next_algorithm_from")?.map(Timestamp::from_millis);
    let next = next.zip(from).map(|(algorithm, from)| NextAlgorithm { algorithm, from });
    Ok(TokenAlgorithm::from_stored(parse(row.try_get("algorithm")?)?, next))
}

pub(super) fn api_id(text: &str) -> Result<ApiId, StoreError> {
    ApiId::parse(text).ok_or_else(|| unreadable(format!("ID {text:?}")))
}

fn unreadable(detail: String) -> StoreError {
    StoreError::Unreadable { what: "API", detail }
}
