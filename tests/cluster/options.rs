//! The command line: options of the campaign, and those of libtest that `cargo test` may pass on.

use std::path::PathBuf;

use clap::Parser;

use crate::faults::Fault;

/// Runs PostgreSQL, Redis and three nodes, injects faults under load, and checks that no check succeeds in a state that
/// a confirmed change has ended.
#[derive(Debug, Parser)]
#[command(name = "cluster")]
pub struct Options {
    /// Only this fault; may be given several times.
    #[arg(long = "fault", value_name = "NAME", value_enum)]
    pub faults: Vec<Fault>,

    /// How long each fault is held, in seconds.
    #[arg(long, default_value_t = 2)]
    pub seconds: u64,

    /// The program to test.
    #[arg(long, value_name = "PATH")]
    pub keyturn: Option<PathBuf>,

    /// Repeats the choices of another run (not their moments).
    #[arg(long)]
    pub seed: Option<u64>,

    /// Writes everything that was counted to a file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Where histories and logs are kept; without it those of failures are, in the build's own folder.
    #[arg(long, value_name = "FOLDER")]
    pub kept: Option<PathBuf>,

    /// Checks a history that was kept, and runs nothing.
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,

    /// Measures how long changes and exchanges take with faults and without, and checks nothing.
    #[arg(long)]
    pub measure: bool,

    /// Ends at the first violation; success is to have found one.
    #[arg(long)]
    pub expect_violation: bool,

    /// As for any test: it is run when its name, `cluster`, contains one of these.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,

    #[command(flatten)]
    libtest: Libtest,
}

#[derive(Debug, clap::Args)]
struct Libtest {
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    skip: Vec<String>,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, alias = "no-capture", hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, short, hide = true)]
    quiet: bool,
    #[arg(long, hide = true)]
    test: bool,
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    test_threads: Option<String>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(long, hide = true)]
    format: Option<String>,
    #[arg(long, hide = true)]
    logfile: Option<String>,
    #[arg(long, num_args = 0..=1, hide = true)]
    report_time: Option<Option<String>>,
    #[arg(short = 'Z', hide = true)]
    unstable: Vec<String>,
}

const NAME: &str = "cluster";

impl Options {
    /// Returns the output if libtest's options request information instead of a run.
    pub fn instead(&self) -> Option<String> {
        let libtest = &self.libtest;
        let matches = |filter: &String| if libtest.exact { filter == NAME } else { NAME.contains(filter.as_str()) };
        let selected =
            (self.filters.is_empty() || self.filters.iter().any(matches)) && !libtest.skip.iter().any(matches);
        if libtest.list {
            let wanted = selected && !libtest.ignored;
            return Some(if wanted { format!("{NAME}: test") } else { String::new() });
        }
        if !selected || libtest.ignored || libtest.bench {
            return Some(format!("{NAME}: the filter leaves it out; nothing was run"));
        }
        None
    }
}
