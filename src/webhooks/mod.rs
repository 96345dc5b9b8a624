//! What is done with webhooks: making, editing and removing them, giving them new secrets, and delivering events.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP surface, no SQL. Events are queued by the store, with
//! the changes that they tell of. They are delivered at least once and in no promised order.

mod attempt;
mod change;
mod deliver;
mod deliveries;
mod shares;

pub use change::{NewWebhook, WebhookError, WebhookUpdate, create, edit, find, list, remove, rotate_secret, url};
pub use deliver::{Outgoing, deliver};
pub use deliveries::{deliveries, read_cursor, retry, test, undelivered};
