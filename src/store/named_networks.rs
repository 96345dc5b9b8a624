//! Named networks: reading and writing them, and the keys that refer to them.

use ipnet::IpNet;

use crate::domain::profile::{MAX_NAMED_NETWORKS, NamedNetwork};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::apis::is_unchanged;
use crate::store::key_rows::{names_from, networks_column, networks_from};
use crate::store::profiles::{commit, counted};
use crate::store::sql::columns::{slug, unsigned};
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{On, Query, Row, query};
use crate::store::{AuditEntry, Refused, Seq, Store, StoreError, WriteError, is_duplicate, refuse};

/// Returns the networks of one organization or of all.
pub(super) async fn read(on: impl Into<On<'_>>, organization: Option<&Slug>) -> Result<Vec<NamedNetwork>, StoreError> {
    let statement = match organization {
        Some(organization) => query("SELECT * FROM named_networks WHERE organization = $1").bind(organization.as_str()),
        None => query("SELECT * FROM named_networks"),
    };
    statement.fetch_all(on).await?.iter().map(from_row).collect()
}

impl Store {
    /// Inserts a network with the audit entry.
    pub async fn insert_network(&self, network: &NamedNetwork, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let counting = query("SELECT COUNT(*) AS n FROM named_networks WHERE organization = $1");
        let counted = counting.bind(network.organization.as_str()).fetch_one(&mut transaction).await?;
        if counted.try_get::<i64>("n")? >= MAX_NAMED_NETWORKS as i64 {
            return refuse(transaction, Refused::LimitReached).await;
        }
        let inserting = query(
            "INSERT INTO named_networks (organization, name, description, cidrs, excluded, version, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        match bind(inserting, network).bind(network.created_at.as_millis()).execute(&mut transaction).await {
            Err(error) if is_duplicate(&error) => return refuse(transaction, Refused::AlreadyExists).await,
            other => other?,
        };
        commit(transaction, &network.organization, seq, entry).await
    }

    /// Writes the next state of a network with the audit entry, if the stored version is the previous one and the organization's
    /// last change is `seen`. Writes no key: all keys that refer to the network have the new addresses.
    pub async fn update_network(
        &self,
        network: &NamedNetwork,
        seen: Seq,
        entry: &AuditEntry,
    ) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        if !is_unchanged(&mut transaction, &network.organization, seen).await? {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let updating = query(
            "UPDATE named_networks SET description = $3, cidrs = $4, excluded = $5, version = $6 \
             WHERE organization = $1 AND name = $2 AND version + 1 = $6",
        );
        if bind(updating, network).execute(&mut transaction).await? == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        commit(transaction, &network.organization, seq, entry).await
    }

    /// Deletes a network with the audit entry, if the stored version is this one. Rejected with [`Refused::HasKeys`] or
    /// [`Refused::HasProfiles`] if a key that is not revoked or a profile refers to it.
    pub async fn delete_network(&self, network: &NamedNetwork, entry: &AuditEntry) -> Result<Seq, WriteError> {
        let (mut transaction, seq) = self.begin_as(entry).await?;
        let deleting = query("DELETE FROM named_networks WHERE organization = $1 AND name = $2 AND version = $3");
        let deleting = deleting.bind(network.organization.as_str()).bind(network.name.as_str()).bind(network.version);
        if deleting.execute(&mut transaction).await? == 0 {
            return refuse(transaction, Refused::VersionConflict).await;
        }
        let profiles = query("SELECT named_networks FROM profiles WHERE organization = $1 AND named_networks <> ''");
        for row in profiles.bind(network.organization.as_str()).fetch_all(&mut transaction).await? {
            if names_from(&row.try_get::<String>("named_networks")?)?.contains(&network.name) {
                return refuse(transaction, Refused::HasProfiles).await;
            }
        }
        let keys = query(
            "SELECT k.id AS id FROM key_grants g JOIN api_keys k ON k.id = g.key_id \
             WHERE g.organization = $1 AND g.kind = 'named' AND g.value = $2 AND k.state <> 'revoked' LIMIT 1",
        );
        let keys = keys.bind(network.organization.as_str()).bind(network.name.as_str());
        if keys.fetch_optional(&mut transaction).await?.is_some() {
            return refuse(transaction, Refused::HasKeys).await;
        }
        commit(transaction, &network.organization, seq, entry).await
    }

    /// Returns the number of keys that refer to each network themselves, without revoked ones.
    pub async fn keys_of_networks(&self, organization: &Slug) -> Result<Vec<(Slug, u64)>, StoreError> {
        let counting = query(
            "SELECT g.value AS name, COUNT(*) AS n FROM key_grants g JOIN api_keys k ON k.id = g.key_id \
             WHERE g.organization = $1 AND g.kind = 'named' AND k.state <> 'revoked' GROUP BY g.value",
        );
        counted(&counting.bind(organization.as_str()).fetch_all(&self.database).await?)
    }
}

/// Whether all of these networks exist.
pub(super) async fn exist(
    transaction: &mut Transaction,
    organization: &Slug,
    names: &[Slug],
) -> Result<bool, StoreError> {
    for name in names {
        let finding = query("SELECT name FROM named_networks WHERE organization = $1 AND name = $2");
        let finding = finding.bind(organization.as_str()).bind(name.as_str());
        if finding.fetch_optional(&mut *transaction).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Binds the columns from `organization` to `version`.
fn bind(statement: Query, network: &NamedNetwork) -> Query {
    let excluded: Vec<String> = network.excluded.iter().map(IpNet::to_string).collect();
    statement
        .bind(network.organization.as_str())
        .bind(network.name.as_str())
        .bind(&network.description)
        .bind(networks_column(&network.cidrs))
        .bind(excluded.join(" "))
        .bind(network.version)
}

fn from_row(row: &Row) -> Result<NamedNetwork, StoreError> {
    Ok(NamedNetwork {
        organization: slug(row.try_get("organization")?)?,
        name: slug(row.try_get("name")?)?,
        description: row.try_get("description")?,
        cidrs: networks_from(&row.try_get::<String>("cidrs")?)?,
        excluded: networks_from(&row.try_get::<String>("excluded")?)?.iter().collect(),
        version: unsigned(row.try_get("version")?, "version of a network")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
