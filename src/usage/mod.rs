//! Key usage: flushing a node's counters; reports by hour or day, by key, by API, and by address or scope.
//!
//! Counting is in `telemetry`, because every decision counts; the tables are in `store/usage`.

mod api_impact;
mod apis;
mod denials;
mod details;
mod flush;
mod impact;
mod issued;
mod profile_impact;
mod report;
mod rotation;

pub use api_impact::{ApiChange, KeyImpact, api_impact};
pub use apis::{usage_by_api, usage_of_api};
pub use denials::{denial, denials, denials_cursor, read_denials_cursor};
pub use details::{UseCounts, ValueList, ValueUses, details};
pub use flush::flush;
pub use impact::{DeniedUses, Impact, Narrowing, impact};
pub use issued::estimate_issued;
pub use profile_impact::{SharedChange, SharedImpact, shared_impact};
pub use report::{Span, Usage, busiest, recent, usage_of_customer, usage_of_key, usage_of_organization};
pub use rotation::{RotationUsage, SecretRequests, during_rotation};
