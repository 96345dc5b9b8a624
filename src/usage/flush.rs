//! Writes the uses that a node has counted in memory.

use crate::clock;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{Details, KeyUsage, hour_of};
use crate::node::Node;
use crate::store::{AuditEntry, Notice, StoreError, action, kind};

/// Counts of use that are written at once.
const COUNTS_AT_ONCE: usize = 5_000;

/// Most addresses of one key and hour that are reported as denied by its networks.
const MAX_DENIED_ADDRESSES: u32 = 64;

/// Writes the uses that were counted since the last time. What cannot be written is kept for the next time.
pub async fn flush(node: &Node) -> Result<(), StoreError> {
    let mut batch = node.usage.take();
    while !batch.is_empty() {
        // Small enough that a change does not wait long behind it, and for one statement.
        let mut counts = 0;
        let fits = batch.iter().take_while(|usage| {
            counts += usage.counts.len();
            counts <= COUNTS_AT_ONCE
        });
        let rest = batch.split_off(fits.count().clamp(1, 500));
        if let Err(error) = node.store.add_usage(&batch).await {
            node.usage.give_back(batch);
            node.usage.give_back(rest);
            return Err(error);
        }
        // The counts are written: what is given back from here on is the details alone.
        batch.retain_mut(|usage| {
            usage.counts.clear();
            !usage.details.is_empty()
        });
        if let Err(error) = node.store.add_details(&batch).await {
            node.usage.give_back(batch);
            node.usage.give_back(rest);
            return Err(error);
        }
        batch.retain_mut(|usage| {
            usage.details = Details { denied: std::mem::take(&mut usage.details.denied), ..Details::default() };
            !usage.details.denied.is_empty()
        });
        if let Err(error) = notify_denied(node, &batch).await {
            node.usage.give_back(batch);
            node.usage.give_back(rest);
            return Err(error);
        }
        batch = rest;
    }
    Ok(())
}

/// Notifies of keys that were denied by their networks: once for each address and hour.
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
