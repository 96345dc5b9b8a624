//! The fault campaign: tries to break the guarantee that a confirmed change is effective on every node.
//!
//! It knows the program only from outside: processes, HTTP, PostgreSQL and Redis. `history` defines the records,
//! `checker` the rules; `cluster`, `nodes`, `postgres`, `redis`, `proxy` and `process` own the processes; `load`,
//! `changers`, `calls` and `probes` make the requests; `faults` injects the faults; `scenario` and `report` combine
//! them. Without options all faults run in less than four minutes; see `--help`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test program: it ends with a message, and is where time and the environment are"
)]

mod api_calls;
mod api_changers;
mod calls;
mod changers;
mod checker;
mod cluster;
mod customer_changers;
mod dice;
mod faults;
mod history;
mod http;
mod load;
mod measure;
mod nodes;
mod options;
mod organization_changers;
mod postgres;
mod probes;
mod process;
mod profile_changers;
mod proxy;
mod recorder;
mod redis;
mod redis_faults;
mod report;
mod restore;
mod scenario;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::Cluster;
use crate::faults::Fault;
use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(text) = options.instead() {
        println!("{text}");
        return ExitCode::SUCCESS;
    }
    // The main thread starts all processes, because they are killed when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    let result = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                result = run(&options) => result,
                name = ended() => Err(format!("ended by {name}")),
            }
        })
    });
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cluster: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<bool, String> {
    if let Some(file) = &options.check {
        return check(file);
    }
    let program = options.keyturn.clone().or_else(|| option_env!("CARGO_BIN_EXE_keyturn").map(PathBuf::from));
    let program = program.ok_or("no program to test: give --keyturn PATH")?;
    let program = program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?;
    let seed = options.seed.unwrap_or_else(|| {
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        time.map_or(1, |time| u64::from(time.subsec_nanos()))
    });
    dice::seed(seed);
    let begun = Instant::now();
    let mut cluster = Cluster::start(program).await?;
    println!("a cluster of {} nodes after {:.1} s; seed {seed}", cluster::NODES, begun.elapsed().as_secs_f64());
    if options.measure {
        return measure::run(&mut cluster, Duration::from_secs(options.seconds)).await.map(|()| true);
    }

    let faults = if options.faults.is_empty() { Fault::value_variants() } else { options.faults.as_slice() };
    let kept = kept(options);
    let (mut reports, mut good) = (Vec::new(), true);
    println!("{}", report::HEAD);
    for fault in faults {
        let hold = Duration::from_secs(options.seconds);
        let report =
            scenario::run(&mut cluster, *fault, hold, options.expect_violation, (&kept, options.kept.is_some()))
                .await?;
        println!("{}", report.row());
        let explained = report.explain();
        if !explained.is_empty() {
            eprint!("{explained}");
        }
        good &= report.is_good();
        let violated = report.is_violated();
        reports.push(report.json());
        if options.expect_violation && violated {
            break;
        }
        cluster.recover().await?;
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "seed": seed, "faults": reports }));
        let text = text.map_err(|error| error.to_string())?;
        std::fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let violated = reports.iter().any(|report| report["violations"] != 0);
    println!("{} faults in {:.0} s", reports.len(), begun.elapsed().as_secs_f64());
    if options.expect_violation {
        println!("{}", if violated { "a violation was found, as expected" } else { "no violation was found" });
        return Ok(violated);
    }
    Ok(good)
}

fn check(file: &Path) -> Result<bool, String> {
    let history = history::load(file)?;
    let verdict = checker::check(&history);
    for found in verdict.violations.iter().chain(&verdict.lost) {
        println!("{}", report::explain(found, &history));
    }
    let (violations, lost) = (verdict.violations.len(), verdict.lost.len());
    let (spurious, late) = (verdict.spurious.len(), verdict.late.len());
    println!(
        "{} events: {violations} violations, {lost} lost changes, {spurious} spurious and {late} late refusals",
        history.len()
    );
    Ok(violations + lost == 0)
}

fn kept(options: &Options) -> PathBuf {
    let build = option_env!("CARGO_TARGET_TMPDIR").map(PathBuf::from);
    options.kept.clone().unwrap_or_else(|| build.unwrap_or_else(std::env::temp_dir).join("cluster"))
}

async fn ended() -> &'static str {
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => "SIGINT",
        () = wait(SignalKind::terminate()) => "SIGTERM",
        () = wait(SignalKind::hangup()) => "SIGHUP",
    }
}
