//! Uses of keys that are written before the response.
//!
//! Counts are written every few seconds, so a node that crashes loses the latest ones. This does not matter for keys
//! that are used often. But the only use in weeks must not be lost, because upkeep would consider the key stale.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::domain::api_key::ApiKey;
use crate::domain::decision::ClientAddress;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{KeyUsage, LastUse};
use crate::node::Node;

/// Maximum time between the last written use and an unwritten one.
pub const UNWRITTEN_SECONDS: i64 = 12 * 3600;

/// How long a request waits for the write of its use.
const WRITE_TIMEOUT: Duration = Duration::from_millis(250);

/// Pause after a failed write.
const PAUSE_SECONDS: i64 = 5;

/// Uses that are being written.
#[derive(Debug, Default)]
pub struct RareUses(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    under_way: HashMap<KeyId, watch::Receiver<()>>,
    paused_until: Option<Timestamp>,
}

impl RareUses {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock())
    }
}

impl Node {
    /// Whether a use must be written before the response.
    pub fn is_rare_use(&self, key: &ApiKey, now: Timestamp) -> bool {
        now.millis_since(key.idle_since()) >= UNWRITTEN_SECONDS * 1000
    }

    /// Writes a rare use and drops the key's cached record, whose last use is outdated. If the store does not respond
    /// soon, the use is written with the next batch.
    pub async fn write_rare_use(&self, key: &ApiKey, address: ClientAddress, now: Timestamp) {
        if self.cluster.as_ref().is_some_and(|cluster| cluster.is_cut_off()) {
            return;
        }
        let written = self.rare_uses.with(|state| {
            if state.paused_until.is_some_and(|until| now < until) {
                return None;
            }
            let known = state.under_way.get(&key.id).cloned();
            Some(known.unwrap_or_else(|| {
                let (done, written) = watch::channel(());
                state.under_way.insert(key.id, written.clone());
                self.start_write(key.id, LastUse { at: now, address: address.known() }, done);
                written
            }))
        });
        if let Some(mut written) = written {
            // Fails when the sender is dropped at the end of the write.
            let _ = tokio::time::timeout(WRITE_TIMEOUT, written.changed()).await;
        }
    }

    fn start_write(&self, key: KeyId, last: LastUse, done: watch::Sender<()>) {
        let (store, list, rare_uses) = (self.store.clone(), self.memory.list.clone(), Arc::clone(&self.rare_uses));
        let used = KeyUsage { last_used: Some(last), ..KeyUsage::new(key) };
        self.spawn(async move {
            let result = store.add_usage(&[used]).await;
            if result.is_ok() {
                list.apply_key_change(&key);
            }
            rare_uses.with(|state| {
                state.under_way.remove(&key);
                state.paused_until = result.as_ref().err().map(|_| last.at.plus_seconds(PAUSE_SECONDS));
            });
            drop(done);
            if let Err(error) = result {
                tracing::warn!(%error, %key, "failed to write the last use of a key; retrying with the next batch");
            }
        });
    }
}
