//! Logs: a phrase with fields, for people or as JSON, on standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

use crate::telemetry::json_lines::JsonLines;
use crate::telemetry::log_writer::LogWriter;

/// How a line is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Waits briefly for queued log lines when it is dropped: hold it until the process ends.
#[must_use = "the last lines are written when it is dropped"]
#[derive(Debug)]
pub struct LogFlush(LogWriter);

impl Drop for LogFlush {
    fn drop(&mut self) {
        self.0.flush_briefly();
    }
}

/// Whether a level can be used as a filter.
pub fn check_level(level: &str) -> Result<(), String> {
    EnvFilter::try_new(level).map(|_| ()).map_err(|error| error.to_string())
}

/// Starts logging for the whole process. `level` is a filter such as `info` or `keyturn=debug,info`. A line that cannot
/// be written is lost and counted; nothing else is affected.
pub fn start_logs(level: &str, format: LogFormat) -> io::Result<LogFlush> {
    let filter = EnvFilter::try_new(level).map_err(io::Error::other)?;
    let writer = LogWriter::start(io::stderr())?;
    let lines = writer.clone();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || lines.clone())
        // It would report what goes wrong with `eprintln!`, which blocks and panics.
        .log_internal_errors(false)
        .with_target(false);
    let started = match format {
        LogFormat::Human => builder.compact().with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.fmt_fields(JsonFields::new()).event_format(JsonLines).try_init(),
    };
    started.map_err(io::Error::other)?;
    panic::set_hook(Box::new(log_panic));
    Ok(LogFlush(writer))
}

/// The standard hook writes to standard error by itself, and waits for its reader.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => tracing::error!(location, message, %backtrace, "panicked"),
        _ => tracing::error!(location, message, "panicked"),
    }
}
