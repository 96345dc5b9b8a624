//! Standard output and standard error of a command.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::cli::CliError;

/// How long the last line may take: nobody may read it.
const LAST_LINE: Duration = Duration::from_secs(1);

/// Writes to standard output. A closed pipe or a full disk is an error, not a panic.
pub(super) fn print_out(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        // As in `keyturn keys list | head -1`: nothing went wrong that somebody needs to read.
        ErrorKind::BrokenPipe => CliError::NobodyReads,
        _ => CliError::Failed(format!("failed to write to standard output: {error}")),
    })
}

/// Writes the line that says why the command failed. If it cannot be written, the exit code must do.
pub(super) fn print_error(error: &CliError) {
    let words = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    let (done, is_done) = channel();
    let write = move || {
        let _ = writeln!(io::stderr(), "keyturn: {words}");
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = is_done.recv_timeout(LAST_LINE);
    }
}
