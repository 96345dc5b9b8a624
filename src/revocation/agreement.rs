//! Settings that must be equal on all nodes: each node stores its own and compares them with those of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::revocation::cluster::Cluster;
use crate::store::{NodeId, StoreError};

/// Settings by name.
pub type SharedSettings = BTreeMap<String, String>;

/// Interval of the comparison.
const COMPARE_INTERVAL: Duration = Duration::from_secs(2);

/// Nodes that have not reported for this long are ignored.
const SILENT_SECONDS: i64 = 15;

impl Cluster {
    /// Stores this node's settings and compares them with the others' until the process ends.
    pub async fn compare_settings(&self, own: &SharedSettings) {
        let mut declared = None;
        loop {
            if let Err(error) = self.compare_once(own, &mut declared).await {
                tracing::debug!(%error, "failed to compare settings with other nodes");
            }
            tokio::time::sleep(COMPARE_INTERVAL).await;
        }
    }

    /// Returns a warning for each setting that differs.
    pub fn disagreements(&self) -> Vec<String> {
        self.disagreements.lock().clone()
    }

    async fn compare_once(&self, own: &SharedSettings, declared: &mut Option<NodeId>) -> Result<(), StoreError> {
        let id = self.id();
        if id.as_str().is_empty() {
            return Ok(());
        }
        if declared.as_ref() != Some(&id) {
            let text = serde_json::to_string(own).unwrap_or_default();
            self.store().declare_settings(&id, &text).await?;
            *declared = Some(id.clone());
        }
        let since = self.database_time().plus_seconds(-SILENT_SECONDS);
        let all = self.store().declared_settings(since).await?;
        let others = all.into_iter().filter(|(other, _)| *other != id);
        let others: Vec<SharedSettings> =
            others.filter_map(|(_, settings)| serde_json::from_str(&settings).ok()).collect();
        self.update(compare(own, &others));
        Ok(())
    }

    fn update(&self, lines: Vec<String>) {
        let mut known = self.disagreements.lock();
        for line in lines.iter().filter(|line| !known.contains(line)) {
            tracing::warn!("{line}");
        }
        if lines.is_empty() && !known.is_empty() {
            tracing::info!("all nodes have the same settings again");
        }
        *known = lines;
    }
}

/// Returns a line for each setting with a different value on another node.
fn compare(own: &SharedSettings, others: &[SharedSettings]) -> Vec<String> {
    let line = |(name, value): (&String, &String)| {
        let values = others.iter().filter_map(|other| other.get(name));
        let different: BTreeSet<&String> = values.filter(|other| *other != value).collect();
        let different: Vec<String> = different.into_iter().map(|value| format!("{value:?}")).collect();
        (!different.is_empty()).then(|| {
            format!(
                "{name} differs between nodes: {value:?} on this node, {} on others; tokens of one are not valid on the other: set \
                 the same value on every node",
                different.join(" and ")
            )
        })
    };
    own.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> SharedSettings {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_different_values_are_reported() {
        let own = settings(&[("token.typ", "JWT"), ("token.ttl_seconds", "600")]);
        assert_eq!(compare(&own, &[]), [""; 0]);
        assert_eq!(compare(&own, &[own.clone(), own.clone()]), [""; 0]);
        let other = settings(&[("token.typ", "at+jwt"), ("token.ttl_seconds", "600")]);
        let lines = compare(&own, &[other.clone(), own.clone(), other]);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("token.typ differs between nodes: \"JWT\" on this node, \"at+jwt\" on others;"));
    }

    #[test]
    fn settings_that_another_version_does_not_know_are_ignored() {
        let own = settings(&[("token.typ", "JWT")]);
        assert_eq!(compare(&own, &[settings(&[("token.other", "x")])]), [""; 0]);
    }
}
