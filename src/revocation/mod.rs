//! What this node holds in memory of keys and revoked tokens, and how it is kept true.
//!
//! Imports `domain` only. On one node every change is applied here before it is answered, so memory is
//! never behind the store.

mod list;

pub use list::{FillTicket, RevocationList};
