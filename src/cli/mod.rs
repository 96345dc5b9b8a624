//! The command line: serve, init, check-config, health, keys, audit, store, master-key.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong use. Errors are one line on standard error.

mod audit;
mod client;
mod init;
mod keys;
mod master_key;
mod operations;
mod policy;
mod serve;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::audit::AuditCommand;
use crate::cli::store::StoreCommand;
use crate::config::{ConfigError, Settings};
use crate::server::{self, ServerError};

/// Keeps API keys and turns them into short-lived access tokens.
#[derive(Parser, Debug)]
#[command(name = "keyturn", version, about)]
struct Arguments {
    /// The configuration file; without it, config/keyturn.toml if there is one.
    #[arg(long, global = true, value_name = "FILE", env = "KEYTURN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve; what is done without a command as well.
    Serve,
    /// Found an organization with its signing key, owner and first API key.
    Init(init::InitArguments),
    /// Check the configuration and show what is in force, and from where.
    CheckConfig,
    /// Ask a running server whether it is alive, for container health checks.
    Health,
    /// Manage API keys on a running server.
    Keys(keys::KeysArguments),
    /// Manage the policy of the organization on a running server.
    Policy(policy::PolicyArguments),
    /// Print the OpenAPI document of the management API.
    Openapi,
    /// Check and export the audit log.
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Manage the database.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Manage the master key.
    MasterKey {
        #[command(subcommand)]
        command: MasterKeyCommand,
    },
}

#[derive(Subcommand, Debug)]
enum MasterKeyCommand {
    /// Replace the master key by a new one. Stop the server first; every API key goes on working.
    Rotate,
}

/// Why a command ended without doing what it was asked.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// Wrong use: exit code 2.
    #[error("{0}")]
    Use(String),
    /// Refused or failed: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::Use(error.to_string())
    }
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Setting(line) => Self::Use(line),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            eprintln!("keyturn: {line}");
            match error {
                CliError::Use(_) => ExitCode::from(2),
                CliError::Failed(_) => ExitCode::from(1),
            }
        }
    }
}

/// Writes to standard output, where a closed pipe or a full disk is an error and not a panic.
fn print_out(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| CliError::Failed(format!("standard output cannot be written: {error}")))
}

fn execute(arguments: Arguments) -> Result<(), CliError> {
    // Whatever is made holds secrets or their digests: the owner's alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("no runtime could be started: {error}")))?;
    let config = arguments.config;
    runtime.block_on(async move {
        match arguments.command.unwrap_or(Command::Serve) {
            Command::Serve => serve::serve(load(config)?).await,
            Command::Init(init) => init::init(load(config)?, init).await,
            Command::CheckConfig => operations::check_config(&load(config)?),
            Command::Openapi => print_out(&crate::api::openapi_text()),
            Command::Health => operations::health(&load(config)?).await,
            Command::Audit { command: AuditCommand::Export(arguments) } => audit::export(arguments).await,
            Command::Audit { command: AuditCommand::Verify(arguments) } => match arguments.file() {
                Some(file) => audit::verify_file(&arguments, file),
                None => audit::verify_store(&load(config)?, arguments).await,
            },
            Command::Store { command: StoreCommand::Copy(arguments) } => store::copy(arguments).await,
            Command::Store { command: StoreCommand::AfterRestore } => store::after_restore(&load(config)?).await,
            Command::Keys(keys) => keys::keys(keys).await,
            Command::Policy(policy) => policy::policy(policy).await,
            Command::MasterKey { command: MasterKeyCommand::Rotate } => master_key::rotate(load(config)?).await,
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment comes in")]
fn load(config: Option<PathBuf>) -> Result<Settings, CliError> {
    let folder =
        std::env::current_dir().map_err(|error| CliError::Failed(format!("the working directory is gone: {error}")))?;
    let settings = Settings::load(config.as_deref(), std::env::vars_os(), &folder)?;
    server::check(&settings)?;
    Ok(settings)
}
