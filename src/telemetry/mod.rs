//! Metrics, usage counters and logging. Imports `domain` only.

mod cluster_metrics;
mod database_metrics;
mod json_lines;
mod label;
mod log_writer;
mod logs;
mod metrics;
mod process_metrics;
mod task_metrics;
mod usage;
mod webhook_metrics;

pub use cluster_metrics::{ClusterMetrics, Settled};
pub use logs::{LogFlush, check_level, start_logs};
pub use metrics::Metrics;
pub use task_metrics::TaskMetrics;
pub use usage::Usage;
pub use webhook_metrics::Sent;
