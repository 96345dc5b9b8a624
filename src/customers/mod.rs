//! Customers: create, find, list, edit, suspend, reinstate, remove.
//!
//! Use cases: imports `domain`, the adapters, `node` and `keys`; no HTTP, no SQL. A change is effective on all nodes before
//! the response.

mod change;
mod error;
mod order;
mod read;
mod remove;

pub use change::{NewCustomer, create, edit, reinstate, suspend};
pub use error::CustomerError;
pub use order::{cursor, read_cursor};
pub use read::{find, find_named, key_counts, list};
pub use remove::remove;
