//! Standard output and standard error of a command.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::cli::CliError;

/// Time limit of a line on standard error, which may not be read.
const LAST_LINE: Duration = Duration::from_secs(1);

/// Writes to standard output. A closed pipe or a full disk is an error, not a panic.
pub(super) fn print_out(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

/// Writes a JSON value as one line.
pub(super) fn print_json(value: &Value) -> Result<(), CliError> {
    print_out(&format!("{value}\n"))
}

pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        // As in `keyturn keys list | head -1`, which is not an error.
        ErrorKind::BrokenPipe => CliError::OutputClosed,
        _ => CliError::Failed(format!("failed to write to standard output: {error}")),
    })
}

/// Writes the line that says why the command failed. If it cannot be written, only the exit code reports the failure.
pub(super) fn print_error(error: &CliError) {
    print_line(error);
}

/// Writes a line about something that does not stop the command.
pub(super) fn print_warning(warning: &str) {
    print_line(&format!("warning: {warning}"));
}

fn print_line(text: &dyn Display) {
    let words = text.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let (done, is_done) = channel();
    let write = move || {
        let _ = writeln!(io::stderr(), "keyturn: {words}");
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = is_done.recv_timeout(LAST_LINE);
    }
}
