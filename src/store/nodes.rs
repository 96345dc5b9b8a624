//! Registered nodes: those that serve from this database.

use crate::domain::timestamp::Timestamp;
use crate::store::{Seq, Store, StoreError};

use crate::store::sql::columns::unsigned;
use crate::store::sql::statement::query;

/// Identifies a running node. Each start of the process has a new one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(String);

impl NodeId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for NodeId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisteredNode {
    pub id: NodeId,
    /// Time of its last report, by the database's clock.
    pub seen_at: Timestamp,
    /// A change number that it has applied; it may have applied later ones.
    pub applied: Seq,
    /// Whether other nodes have removed it; it stops serving when its lease expires.
    pub is_removed: bool,
}

impl Store {
    /// Registers a node before it serves.
    pub async fn join(&self, node: &NodeId, now: Timestamp) -> Result<(), StoreError> {
        query("INSERT INTO nodes (id, joined_at, seen_at, applied) VALUES ($1, $2, $2, 0)")
            .bind(node.as_str())
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await?;
        Ok(())
    }

    /// Unregisters a node that has stopped serving.
    pub async fn leave(&self, node: &NodeId) -> Result<(), StoreError> {
        query("DELETE FROM nodes WHERE id = $1").bind(node.as_str()).execute_alone(&self.database).await?;
        Ok(())
    }

    /// Returns all registered nodes, including removed ones.
    pub async fn nodes(&self) -> Result<Vec<RegisteredNode>, StoreError> {
        let rows = query("SELECT id, seen_at, applied, struck FROM nodes ORDER BY joined_at, id")
            .fetch_all(&self.database)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(RegisteredNode {
                    id: NodeId::from(row.try_get::<String>("id")?),
                    seen_at: Timestamp::from_millis(row.try_get("seen_at")?),
                    applied: unsigned(row.try_get("applied")?, "change number")?,
                    is_removed: row.try_get::<i64>("struck")? == 1,
                })
            })
            .collect()
    }

    /// Records the last change that a node has applied, and the time of the report.
    pub async fn report(&self, node: &NodeId, applied: Seq, now: Timestamp) -> Result<(), StoreError> {
        query("UPDATE nodes SET applied = $2, seen_at = $3 WHERE id = $1 AND applied <= $2")
            .bind(node.as_str())
            .bind(applied)
            .bind(now.as_millis())
            .execute_alone(&self.database)
            .await?;
        Ok(())
    }

    /// Marks a node as removed if it has not reported since `seen_before`. Returns whether it was marked.
    pub async fn remove_silent_node(&self, node: &NodeId, seen_before: Timestamp) -> Result<bool, StoreError> {
        let count = query("UPDATE nodes SET struck = 1 WHERE id = $1 AND seen_at < $2 AND struck = 0")
            .bind(node.as_str())
            .bind(seen_before.as_millis())
            .execute_alone(&self.database)
            .await?;
        Ok(count > 0)
    }

    /// Stores the settings of a node that must be equal on all nodes.
    pub async fn declare_settings(&self, node: &NodeId, settings: &str) -> Result<(), StoreError> {
        query("UPDATE nodes SET settings = $2 WHERE id = $1")
            .bind(node.as_str())
            .bind(settings)
            .execute_alone(&self.database)
            .await?;
        Ok(())
    }

    /// Returns the settings of nodes that have reported since a time and are not removed.
    pub async fn declared_settings(&self, seen_since: Timestamp) -> Result<Vec<(NodeId, String)>, StoreError> {
        let rows = query("SELECT id, settings FROM nodes WHERE seen_at >= $1 AND struck = 0 ORDER BY joined_at, id")
            .bind(seen_since.as_millis())
            .fetch_all(&self.database)
            .await?;
        rows.iter().map(|row| Ok((NodeId::from(row.try_get::<String>("id")?), row.try_get("settings")?))).collect()
    }

    /// Returns the name of the deployment, and sets it to `proposed` if it has none.
    pub async fn deployment(&self, proposed: &str) -> Result<String, StoreError> {
        let mut transaction = self.database.begin().await?;
        query("INSERT INTO deployment (only_row, id) VALUES (1, $1) ON CONFLICT (only_row) DO NOTHING")
            .bind(proposed)
            .execute(&mut transaction)
            .await?;
        let row = query("SELECT id FROM deployment").fetch_one(&mut transaction).await?;
        transaction.commit().await?;
        row.try_get("id")
    }
}
