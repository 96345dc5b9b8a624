//! Uses of keys that are written before they are answered.
//!
//! Counts are written every few seconds, so a node that dies loses the last ones. A key that is used often loses nothing by
//! that. The only use in weeks must not be lost: upkeep would take the key for stale.

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

/// How long the last use that is written may lie before one that is not, in seconds.
pub const UNWRITTEN_SECONDS: i64 = 12 * 3600;

/// How long a request waits for the write of its use.
const PATIENCE: Duration = Duration::from_millis(250);

/// Seconds after a write that failed until the next one.
const PAUSE_SECONDS: i64 = 5;

/// Writes of uses under way.
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
    /// Whether a use must be written before it is answered.
    pub fn is_rare_use(&self, key: &ApiKey, now: Timestamp) -> bool {
        now.millis_since(key.idle_since()) >= UNWRITTEN_SECONDS * 1000
    }

    /// Writes a rare use and drops the key's record from memory, which says that the last use is long ago. If the store does
    /// not answer soon, the use is written with the next batch.
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
                self.begin_writing(key.id, LastUse { at: now, address: address.known() }, done);
                written
            }))
        });
        if let Some(mut written) = written {
            // It fails when the sender is dropped, at the end of the write.
            let _ = tokio::time::timeout(PATIENCE, written.changed()).await;
        }
    }

    fn begin_writing(&self, key: KeyId, last: LastUse, done: watch::Sender<()>) {
        let (store, list, rare_uses) = (self.store.clone(), self.list.clone(), Arc::clone(&self.rare_uses));
        let used = KeyUsage { last_used: Some(last), ..KeyUsage::new(key) };
        self.run_beside(async move {
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
                tracing::warn!(%error, %key, "failed to write the use of a key; it is written with the next batch");
            }
        });
    }
}
