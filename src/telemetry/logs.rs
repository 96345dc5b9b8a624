//! Logging to standard error, as text or JSON.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::JsonFields;

use crate::domain::choices::LogFormat;
use crate::telemetry::json_lines::JsonLines;
use crate::telemetry::log_writer::LogWriter;

/// Waits briefly for queued log lines when it is dropped: hold it until the process ends.
#[must_use = "the last lines are written when it is dropped"]
#[derive(Debug)]
pub struct LogFlush(LogWriter);

impl Drop for LogFlush {
    fn drop(&mut self) {
        self.0.flush_briefly();
    }
}

/// Silences the pool, which logs every failed connection, up to five times a second. Keyturn itself logs that the database
/// cannot be used, and why.
const QUIET_POOL: &str = "sqlx_core::pool=off";

/// Silences how the listener starts and stops.
const QUIET_LISTENER: &str = "actix_server=warn";

/// Whether a level can be used as a filter.
pub fn check_level(level: &str) -> Result<(), String> {
    filter(level).map(|_| ()).map_err(|error| error.to_string())
}

/// The filter of a level, without lines of libraries that are of no use to an operator. Directives in `level` win, so a
/// library can be enabled by its name.
fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(level)?;
    let is_verbose =
        |word: &str| ["info", "debug", "trace"].iter().any(|verbose| word.trim().eq_ignore_ascii_case(verbose));
    if level.split(',').any(is_verbose) {
        EnvFilter::try_new(format!("{QUIET_POOL},{QUIET_LISTENER},{level}"))
    } else {
        EnvFilter::try_new(format!("{QUIET_POOL},{level}"))
    }
}

/// Starts logging for the whole process. `level` is a filter such as `info` or `keyturn=debug,info`. A line that cannot
/// be written is lost and counted; nothing else is affected.
pub fn start_logs(level: &str, format: LogFormat) -> io::Result<LogFlush> {
    let filter = filter(level).map_err(io::Error::other)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a level lets through of lines of our own and of libraries.
    fn logged(level: &str) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(level).unwrap())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "keyturn::server", "serving");
            tracing::info!(target: "actix_server::server", "starting");
            tracing::warn!(target: "actix_server::accept", "cannot accept");
            tracing::info!(target: "sqlx_core::pool::inner", "ping failed");
            tracing::error!(target: "sqlx_core::pool::inner", "after_connect failed");
        });
        String::from_utf8(captured.0.lock().clone()).unwrap()
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        for level in ["info", "debug", "trace"] {
            let lines = logged(level);
            assert!(lines.contains("serving") && lines.contains("cannot accept"), "{lines}");
            assert!(!lines.contains("starting") && !lines.contains("failed"), "{lines}");
        }
        let lines = logged("info,actix_server=info,sqlx_core::pool=info");
        assert!(
            lines.contains("starting") && lines.contains("ping failed") && lines.contains("after_connect"),
            "{lines}"
        );
        let lines = logged("keyturn=info");
        assert!(lines.contains("serving") && !lines.contains("starting"), "{lines}");
        assert_eq!(logged("off"), "");
        assert_eq!(logged("error"), "");
    }

    #[test]
    fn unreadable_level_is_refused() {
        assert!(check_level("info,keyturn=loud").is_err() && check_level("info").is_ok());
    }
}
