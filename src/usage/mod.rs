//! Key usage: flushing a node's counters; reports by hour or day, by key, and by address or scope.
//!
//! Counting is in `telemetry`, because every decision counts; the tables are in `store/usage`.

mod details;
mod flush;
mod impact;
mod report;

pub use details::{UseCounts, ValueList, ValueUses, details};
pub use flush::flush;
pub use impact::{DeniedUses, Impact, Narrowing, impact};
pub use report::{Span, Usage, busiest, recent, usage_of_key, usage_of_organization};
