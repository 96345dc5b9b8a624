//! Uses of keys: written from a node's memory, and read by hour or day, by key, and by address or scope.
//!
//! Counting itself is in `telemetry`, because every decision counts; the tables are in `store/usage`.

mod details;
mod flush;
mod impact;
mod report;

pub use details::{Part, Seen, SeenDetails, details};
pub use flush::flush;
pub use impact::{Impact, Narrowing, Refusals, impact};
pub use report::{Span, Usage, busiest, recent, usage_of_key, usage_of_organization};
