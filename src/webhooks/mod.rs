//! Webhooks: creating, editing and deleting them, rotating secrets, delivering events.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP surface, no SQL. The store queues events together with
//! their changes. They are delivered at least once, in no guaranteed order.

mod attempt;
mod change;
mod deliver;
mod deliveries;
mod shares;

pub use change::{NewWebhook, WebhookError, WebhookUpdate, create, edit, find, list, remove, rotate_secret, url};
pub use deliver::{DeliveryWorker, deliver};
pub use deliveries::{cursor, deliveries, delivery, read_cursor, request_headers, retry, test, undelivered};
