//! Metrics of the process, under the names of Prometheus's client libraries, read when metrics are rendered.

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Reads `/proc/self`. Exports nothing if that fails, as in a sandbox that hides it.
#[derive(Debug)]
pub(super) struct ProcessMetrics;

/// The kernel's figures of the process.
struct Figures {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: i64,
    virtual_bytes: i64,
    open_files: i64,
    /// `None`: unlimited.
    most_files: Option<i64>,
    threads: i64,
}

impl Figures {
    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = ticks_per_second() as f64;
        Ok(Self {
            cpu_seconds: (stat.utime.saturating_add(stat.stime)) as f64 / ticks,
            start_seconds: boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
            resident_bytes: whole(stat.rss.saturating_mul(page_size())),
            virtual_bytes: whole(stat.vsize),
            open_files: i64::try_from(process.fd_count()?).unwrap_or(i64::MAX),
            most_files: match process.limits()?.max_open_files.soft_limit {
                LimitValue::Unlimited => None,
                LimitValue::Value(most) => Some(whole(most)),
            },
            threads: stat.num_threads,
        })
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(figures) = Figures::read() else { return Ok(()) };
        let mut write = |name, help, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let cpu = ConstCounter::new(figures.cpu_seconds);
        write("process_cpu_seconds", "User and system CPU time", &cpu)?;
        let start = ConstGauge::new(figures.start_seconds);
        write("process_start_time_seconds", "Start of the process since the Unix epoch", &start)?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", Some(figures.resident_bytes)),
            ("process_virtual_memory_bytes", "Virtual memory", Some(figures.virtual_bytes)),
            ("process_open_fds", "Open file descriptors", Some(figures.open_files)),
            ("process_max_fds", "Limit of open file descriptors", figures.most_files),
            ("process_threads", "Threads", Some(figures.threads)),
        ] {
            if let Some(value) = value {
                write(name, help, &ConstGauge::new(value))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_this_process() {
        let held = std::fs::File::open("/proc/self/stat").unwrap();
        let figures = Figures::read().unwrap();
        drop(held);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let kib = |name: &str| -> i64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").trim().parse().unwrap()
        };
        let resident = kib("VmRSS:") * 1024;
        assert!((resident - figures.resident_bytes).abs() < 64 << 20, "{resident} {}", figures.resident_bytes);
        assert!(figures.virtual_bytes >= figures.resident_bytes && figures.threads >= 1);
        assert!(figures.open_files >= 4 && figures.most_files.is_none_or(|most| most >= figures.open_files));
        let now = crate::clock::now().as_millis() as f64 / 1000.0;
        assert!((0.0..3600.0).contains(&(now - figures.start_seconds + 1.0)), "{}", now - figures.start_seconds);
        assert!(figures.cpu_seconds >= 0.0 && figures.cpu_seconds < 3600.0);
    }
}
