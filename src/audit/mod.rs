//! The audit log: listing, exporting, verifying.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL.

mod export;
mod item;
mod page;
mod verify;

pub use export::{Export, verify_export};
pub use item::AuditItem;
pub use page::{cursor, is_field_name, list, name_fault, read_cursor, revokers};
pub use verify::verify;
