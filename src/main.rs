//! Arguments become an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    keyturn::cli::run()
}
