//! Writes the uses that a node has counted in memory.

use crate::clock;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Details, KeyUsage, hour_of};
use crate::node::Node;
use crate::store::{AuditEntry, Notice, StoreError, action, kind};

/// Counts per write.
const BATCH: usize = 5_000;

/// Maximum number of denied addresses that are reported per key and hour.
const MAX_DENIED_ADDRESSES: u32 = 64;

/// Writes the uses since the last flush. Keeps those that cannot be written for the next one.
pub async fn flush(node: &Node) -> Result<(), StoreError> {
    let mut batch = node.memory.usage.take();
    while !batch.is_empty() {
        // Small enough for one statement, and not to delay changes.
        let mut counts = 0;
        let fits = batch.iter().take_while(|usage| {
            counts += usage.counts.len();
            counts <= BATCH
        });
        let rest = batch.split_off(fits.count().clamp(1, 500));
        if let Err(error) = node.store.add_usage(&batch).await {
            node.memory.usage.give_back(batch);
            node.memory.usage.give_back(rest);
            return Err(error);
        }
        // The counts are written; from here on only details are kept after a failure.
        batch.retain_mut(|usage| {
            usage.counts.clear();
            !usage.details.is_empty()
        });
        if let Err(error) = node.store.add_details(&batch).await {
            node.memory.usage.give_back(batch);
            node.memory.usage.give_back(rest);
            return Err(error);
        }
        batch.retain_mut(|usage| {
            usage.details = Details { denied: std::mem::take(&mut usage.details.denied), ..Details::default() };
            !usage.details.denied.is_empty()
        });
        if let Err(error) = notify_denied(node, &batch).await {
            node.memory.usage.give_back(batch);
            node.memory.usage.give_back(rest);
            return Err(error);
        }
        batch = rest;
    }
    Ok(())
}

/// Records a notice for each key, address and hour that the allowed networks denied.
async fn notify_denied(node: &Node, batch: &[KeyUsage]) -> Result<(), StoreError> {
    for usage in batch {
        for (address, seen) in &usage.details.denied {
            let hour = hour_of(seen.at);
            let notice = Notice {
                key: usage.key,
                kind: kind::NETWORK,
                period: hour,
                detail: address.to_string(),
                most: MAX_DENIED_ADDRESSES,
            };
            let entry = AuditEntry {
                address: Some(address.to_string()),
                ..AuditEntry::by_keyturn(
                    seen.at,
                    action::KEY_DENIED_BY_NETWORK,
                    usage.key,
                    None,
                    Some(serde_json::json!({
                        "address": address,
                        "hour": clock::rfc3339(Timestamp::from_seconds(hour.saturating_mul(3600))),
                    })),
                )
            };
            node.store.record_notice(&notice, seen.at, &entry).await?;
        }
    }
    Ok(())
}
