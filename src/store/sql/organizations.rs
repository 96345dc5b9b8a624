//! Organizations and their members.

use async_trait::async_trait;

use crate::domain::member::{Member, MemberId, Role};
use crate::domain::organization::Organization;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::sql::columns::slug;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, query};
use crate::store::sql::{SqlStore, api_keys, audit, changes, is_duplicate, refuse, signing_keys};
use crate::store::{AuditEntry, Founding, MemberStore, OrganizationStore, Refused, Seq, StoreError};

#[async_trait]
impl OrganizationStore for SqlStore {
    async fn organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let rows =
            query("SELECT slug, policy, created_at FROM organizations ORDER BY slug").fetch_all(&self.database).await?;
        rows.iter()
            .map(|row| {
                let policy: String = row.try_get("policy")?;
                Ok(Organization {
                    slug: slug(row.try_get("slug")?)?,
                    policy: serde_json::from_str(&policy)
                        .map_err(|error| StoreError::Unreadable { what: "policy", detail: error.to_string() })?,
                    created_at: Timestamp::from_millis(row.try_get("created_at")?),
                })
            })
            .collect()
    }

    async fn found(&self, founding: &Founding, entry: &AuditEntry) -> Result<Result<Seq, Refused>, StoreError> {
        let (mut transaction, seq) = self.begin().await?;
        let organization = &founding.organization;
        let policy = serde_json::to_string(&organization.policy)
            .map_err(|error| StoreError::Unreadable { what: "policy", detail: error.to_string() })?;
        let inserted = query("INSERT INTO organizations (slug, policy, created_at) VALUES ($1, $2, $3)")
            .bind(organization.slug.as_str())
            .bind(policy)
            .bind(organization.created_at.as_millis())
            .execute(&mut transaction)
            .await;
        match inserted {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        };
        let (owner, password_phc) = &founding.owner;
        insert_member(&mut transaction, owner, password_phc).await?;
        signing_keys::insert(&mut transaction, &founding.signing_key).await?;
        api_keys::insert(&mut transaction, &founding.key, seq).await?;
        changes::tenants_changed(&mut transaction, seq).await?;
        audit::write(&mut transaction, &organization.slug, entry).await?;
        transaction.commit().await?;
        Ok(Ok(seq))
    }
}

#[async_trait]
impl MemberStore for SqlStore {
    async fn member_by_email(&self, organization: &Slug, email: &str) -> Result<Option<Member>, StoreError> {
        let row = query(
            "SELECT id, organization, email, role, created_at FROM members WHERE organization = $1 AND email = $2",
        )
        .bind(organization.as_str())
        .bind(email)
        .fetch_optional(&self.database)
        .await?;
        row.as_ref().map(member).transpose()
    }

    async fn members(&self, organization: &Slug) -> Result<Vec<Member>, StoreError> {
        let rows = query(
            "SELECT id, organization, email, role, created_at FROM members WHERE organization = $1 ORDER BY email",
        )
        .bind(organization.as_str())
        .fetch_all(&self.database)
        .await?;
        rows.iter().map(member).collect()
    }
}

async fn insert_member(transaction: &mut Transaction, member: &Member, password_phc: &str) -> Result<(), StoreError> {
    query(
        "INSERT INTO members (id, organization, email, role, password_phc, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&member.id.0)
    .bind(member.organization.as_str())
    .bind(&member.email)
    .bind(member.role.as_str())
    .bind(password_phc)
    .bind(member.created_at.as_millis())
    .execute(transaction)
    .await?;
    Ok(())
}

fn member(row: &Row) -> Result<Member, StoreError> {
    let role: String = row.try_get("role")?;
    Ok(Member {
        id: MemberId(row.try_get("id")?),
        organization: slug(row.try_get("organization")?)?,
        email: row.try_get("email")?,
        role: Role::parse(&role)
            .ok_or_else(|| StoreError::Unreadable { what: "member", detail: format!("role {role}") })?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
