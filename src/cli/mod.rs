//! The command line: serve, init, check-config, health, keys, audit, store, master-key.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong use. Errors are one line on standard error.

mod audit;
mod client;
mod init;
mod keys;
mod master_key;
mod operations;
mod output;
mod policy;
mod serve;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::audit::AuditCommand;
use crate::cli::output::{print_bytes, print_error, print_out};
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
    /// The reader closed standard output: exit code 1 without a message.
    #[error("standard output was closed")]
    NobodyReads,
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
            if !matches!(error, CliError::NobodyReads) {
                print_error(&error);
            }
            match error {
                CliError::Use(_) => ExitCode::from(2),
                CliError::Failed(_) | CliError::NobodyReads => ExitCode::from(1),
            }
        }
    }
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
            Command::Serve => serve::serve(load_for_issuer(config)?).await,
            Command::Init(init) => init::init(load_for_issuer(config)?, init).await,
            Command::CheckConfig => operations::check_config(&load_for_issuer(config)?),
            Command::Openapi => print_out(&crate::api::openapi_text()),
            Command::Health => operations::health(&load(config)?).await,
            Command::Audit { command: AuditCommand::Export(arguments) } => audit::export(arguments).await,
            Command::Audit { command: AuditCommand::Verify(arguments) } => match arguments.file() {
                Some(file) => audit::verify_file(&arguments, file),
                None => audit::verify_store(&load(config)?, arguments).await,
            },
            Command::Store { command: StoreCommand::Copy(arguments) } => store::copy(arguments).await,
            Command::Store { command: StoreCommand::Migrate(arguments) } => {
                store::migrate(&load(config)?, arguments).await
            }
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

/// For commands that say who issues tokens.
fn load_for_issuer(config: Option<PathBuf>) -> Result<Settings, CliError> {
    let settings = load(config)?;
    settings.check_public_url()?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::Arguments;
    use crate::config::COMMAND_LINE;

    fn collect(command: &clap::Command, variables: &mut BTreeSet<String>) {
        variables.extend(command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())));
        command.get_subcommands().for_each(|command| collect(command, variables));
    }

    #[test]
    fn variables_of_the_command_line_are_those_that_the_configuration_leaves_alone() {
        let mut variables = BTreeSet::new();
        collect(&Arguments::command(), &mut variables);
        assert_eq!(variables, COMMAND_LINE.into_iter().map(str::to_owned).collect());
    }
}
