//! The customer portal: its settings, the sessions that an operator creates, and what a customer does with its keys in one.
//!
//! Use cases: imports `domain`, the adapters, `node`, `keys`, `customers`, `members` and `usage`; no HTTP, no SQL. Only
//! `PortalVisit` acts for a customer: it has the changes of keys that its capabilities allow, and nothing else.

mod error;
mod sessions;
mod settings;
mod visit;

pub use error::PortalError;
pub use sessions::{NewSession, create, end, list, open, url_of_code};
pub use settings::{read_settings, replace_settings};
pub use visit::PortalVisit;
