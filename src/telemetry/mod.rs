//! Names of metrics, and the set-up of logs. Imports `domain` only.

mod logs;
mod metrics;

pub use logs::{LogFormat, start_logs};
pub use metrics::{Metrics, Outcome};
