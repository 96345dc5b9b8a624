//! Records the history of all tasks with one clock.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::history::{Event, Outcome, What};

pub struct Recorder {
    begun: Instant,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    pub fn new() -> Self {
        Self { begun: Instant::now(), events: Mutex::default() }
    }

    pub fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Starts a call. Its outcome is unknown until it is finished.
    pub fn begin(&self, node: Option<usize>, key: u32, what: What) -> u64 {
        self.with(|events| {
            let id = events.len() as u64;
            events.push(Event { id, at: self.now(), end: None, node, key, what, outcome: Outcome::Unknown });
            id
        })
    }

    /// Records the response; `minted` is the result of an exchange.
    pub fn finish(&self, id: u64, outcome: Outcome, minted: Option<bool>) {
        let end = self.now();
        self.change(id, |event| {
            if !matches!(outcome, Outcome::Unknown | Outcome::Unreached) {
                event.end = Some(end);
            }
            event.outcome = outcome;
            if let What::Check(check) = &mut event.what {
                check.minted = minted;
            }
        });
    }

    /// Adds a key of the pool to this history.
    pub fn created(&self, key: u32, name: &str, organization: usize) -> u64 {
        let id = self.begin(None, key, What::Create { name: name.into(), organization });
        self.finish(id, Outcome::Accepted, None);
        id
    }

    /// Records the result of a view.
    pub fn viewed(&self, id: u64, status: String, wide: bool) {
        self.finish(id, Outcome::Accepted, None);
        self.change(id, |event| event.what = What::View { status, wide });
    }

    /// From now on PostgreSQL cannot respond to this node, or to any.
    pub fn outage_begins(&self, node: Option<usize>) -> u64 {
        self.begin(node, u32::MAX, What::Outage)
    }

    /// From now on PostgreSQL may respond.
    pub fn outage_ends(&self, id: u64) {
        self.finish(id, Outcome::Accepted, None);
    }

    /// Starts a backup of the database or a restore; see `over`.
    pub fn begins(&self, what: What) -> u64 {
        self.begin(None, u32::MAX, what)
    }

    /// The backup was taken, or the nodes can be started on the restored database.
    pub fn over(&self, id: u64) {
        self.finish(id, Outcome::Accepted, None);
    }

    pub fn snapshot(&self) -> Vec<Event> {
        self.with(|events| events.clone())
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Event)) {
        self.with(|events| {
            if let Some(event) = usize::try_from(id).ok().and_then(|place| events.get_mut(place)) {
                change(event);
            }
        });
    }

    fn with<T>(&self, body: impl FnOnce(&mut Vec<Event>) -> T) -> T {
        body(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
