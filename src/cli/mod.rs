//! The command line: arguments, exit codes, errors of one line on standard error.
//!
//! Management commands call the API of a running server; `init`, `audit verify`, `store`, `master-key` and
//! `members reset-password` work on the configured database.

mod apis;
mod audit;
mod client;
mod completion;
mod credential;
mod customers;
mod init;
mod key_fields;
mod key_preview;
mod key_reports;
mod key_search;
mod keys;
mod master_key;
mod members;
mod networks;
mod operations;
mod organizations;
mod output;
mod policy;
mod policy_diff;
mod portal;
mod profiles;
mod reset_password;
mod serve;
mod signing_keys;
mod store;
mod table;
mod token;
mod values;
mod webhooks;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::audit::AuditCommand;
use crate::cli::output::{print_bytes, print_error, print_json, print_out};
use crate::cli::store::StoreCommand;
use crate::config::{ConfigError, Settings};
use crate::domain::slug::Slug;
use crate::server::{self, ServerError};

const AFTER_HELP: &str = "\
Management commands (token, keys, apis, customers, portal, profiles, networks, policy, members, organizations, webhooks,
signing-keys, audit export) call a running server, by default http://127.0.0.1:8080. They need an API key in KEYTURN_API_KEY or an access token in KEYTURN_TOKEN,
or in the files that KEYTURN_API_KEY_FILE or KEYTURN_TOKEN_FILE name.

Exit codes:
  0  Success
  1  The command failed, or the server denied the request
  2  Invalid arguments or configuration; nothing was done
  3  `policy apply --detailed-exitcode`: the policy differs

Example:
  keyturn init && keyturn serve";

/// Self-hosted OAuth 2.0 server that exchanges API keys for short-lived access tokens
#[derive(Parser, Debug)]
#[command(name = "keyturn", version, about, after_help = AFTER_HELP)]
struct Arguments {
    /// Configuration file; the default is config/keyturn.toml, if it exists
    #[arg(long, global = true, value_name = "FILE", env = "KEYTURN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start the server (default)
    #[command(after_help = "Example:\n  keyturn serve --config /etc/keyturn/keyturn.toml")]
    Serve,
    /// Create an organization with a signing key, an owner and a first API key
    Init(init::InitArguments),
    /// Check the configuration and print every setting with its source
    #[command(after_help = "Example:\n  keyturn check-config")]
    CheckConfig,
    /// Check that the server is alive, for container health checks
    #[command(after_help = "Example:\n  keyturn health")]
    Health,
    /// Exchange an API key for an access token and print the token
    Token(token::TokenArguments),
    /// Manage API keys
    Keys(keys::KeysArguments),
    /// Manage APIs: what tokens are for
    Apis(apis::ApisArguments),
    /// Manage customers: whom keys are given to
    Customers(customers::CustomersArguments),
    /// Manage the customer portal: its settings and the sessions of customers
    Portal(portal::PortalArguments),
    /// Manage access profiles: access that many keys share
    Profiles(profiles::ProfilesArguments),
    /// Manage named networks, which keys and profiles refer to
    Networks(networks::NetworksArguments),
    /// Manage the policy of the organization
    Policy(policy::PolicyArguments),
    /// Manage members
    Members {
        #[command(subcommand)]
        command: members::MembersCommand,
    },
    /// Manage organizations
    Organizations(organizations::OrganizationsArguments),
    /// Manage webhooks
    Webhooks(webhooks::WebhooksArguments),
    /// Manage signing keys
    SigningKeys(signing_keys::SigningKeysArguments),
    /// Verify and export the audit log
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Manage the database
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Manage the master key
    MasterKey {
        #[command(subcommand)]
        command: MasterKeyCommand,
    },
    /// Print the OpenAPI document of the management API
    #[command(after_help = "Example:\n  keyturn openapi > openapi.json")]
    Openapi,
    /// Print a script that completes commands in a shell
    Completion(completion::CompletionArguments),
}

#[derive(Subcommand, Debug)]
enum MasterKeyCommand {
    /// Replace the master key. Stop the server first; every API key keeps working
    #[command(after_help = "Example:\n  keyturn master-key rotate")]
    Rotate,
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 3.
    Differs,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// Invalid arguments or configuration: exit code 2.
    #[error("{0}")]
    Use(String),
    /// A failure or a denied request: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The reader closed standard output: exit code 1 without a message.
    #[error("standard output was closed")]
    OutputClosed,
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

/// Runs the command in the process's arguments.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(arguments) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Differs) => ExitCode::from(3),
        Err(error) => {
            if !matches!(error, CliError::OutputClosed) {
                print_error(&error);
            }
            match error {
                CliError::Use(_) => ExitCode::from(2),
                CliError::Failed(_) | CliError::OutputClosed => ExitCode::from(1),
            }
        }
    }
}

fn execute(arguments: Arguments) -> Result<Outcome, CliError> {
    // Files that are created hold secrets or their digests: only the owner may read them.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("failed to start the runtime: {error}")))?;
    runtime.block_on(dispatch(arguments.config, arguments.command.unwrap_or(Command::Serve)))
}

async fn dispatch(config: Option<PathBuf>, command: Command) -> Result<Outcome, CliError> {
    let done = match command {
        Command::Policy(policy) => return policy::policy(policy).await,
        Command::Serve => serve::serve(load_for_issuer(config)?).await,
        Command::Init(init) => init::init(load_for_issuer(config)?, init).await,
        Command::CheckConfig => operations::check_config(&load_for_issuer(config)?),
        Command::Health => operations::health(&load(config)?).await,
        Command::Token(token) => token::token(token).await,
        Command::Keys(keys) => keys::keys(keys).await,
        Command::Apis(apis) => apis::apis(apis).await,
        Command::Customers(customers) => customers::customers(customers).await,
        Command::Portal(arguments) => portal::portal(arguments).await,
        Command::Profiles(profiles) => profiles::profiles(profiles).await,
        Command::Networks(networks) => networks::networks(networks).await,
        Command::Members { command } => members::members(config, command).await,
        Command::Organizations(organizations) => organizations::organizations(organizations).await,
        Command::Webhooks(webhooks) => webhooks::webhooks(webhooks).await,
        Command::SigningKeys(signing_keys) => signing_keys::signing_keys(signing_keys).await,
        Command::Audit { command: AuditCommand::Export(arguments) } => audit::export(*arguments).await,
        Command::Audit { command: AuditCommand::Verify(arguments) } => match arguments.file() {
            Some(file) => audit::verify_file(&arguments, file),
            None => audit::verify_store(&load(config)?, arguments).await,
        },
        Command::Store { command: StoreCommand::Copy(arguments) } => store::copy(arguments).await,
        Command::Store { command: StoreCommand::Migrate(arguments) } => store::migrate(&load(config)?, arguments).await,
        Command::Store { command: StoreCommand::AfterRestore } => store::after_restore(&load(config)?).await,
        Command::MasterKey { command: MasterKeyCommand::Rotate } => master_key::rotate(load(config)?).await,
        Command::Openapi => print_out(&crate::api::openapi_text()),
        Command::Completion(arguments) => completion::completion(&arguments, Arguments::command()),
    };
    done.map(|()| Outcome::Done)
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment comes in")]
fn load(config: Option<PathBuf>) -> Result<Settings, CliError> {
    let folder = std::env::current_dir()
        .map_err(|error| CliError::Failed(format!("the working directory cannot be read: {error}")))?;
    let settings = Settings::load(config.as_deref(), std::env::vars_os(), &folder)?;
    server::check(&settings)?;
    Ok(settings)
}

/// Loads the settings of a command that names the issuer of tokens.
fn load_for_issuer(config: Option<PathBuf>) -> Result<Settings, CliError> {
    let settings = load(config)?;
    settings.check_public_url()?;
    Ok(settings)
}

/// Reads the slug of an organization.
fn parse_slug(text: &str) -> Result<Slug, String> {
    Slug::parse(text).ok_or_else(|| "must be 1 to 40 of a-z, 0-9 and '-'".into())
}

/// Reads the value of `--organization`.
fn parse_organization(text: &str) -> Result<Slug, CliError> {
    parse_slug(text).map_err(|expected| CliError::Use(format!("--organization: {expected}")))
}

/// The error of a command that needs a database.
fn no_database() -> CliError {
    CliError::Failed("store.url: there is no database yet; run: keyturn init".into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory, Parser};

    use super::Arguments;
    use crate::cli::credential;
    use crate::config::COMMAND_LINE;

    const REFERENCE: &str = include_str!("../../docs/cli.md");

    /// Every command that does something, with its whole name.
    fn leaves(command: &clap::Command, name: &str, found: &mut Vec<(String, clap::Command)>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let name = format!("{name} {}", sub.get_name());
            if sub.has_subcommands() {
                leaves(sub, &name, found);
            } else {
                found.push((name, sub.clone()));
            }
        }
    }

    fn all() -> Vec<(String, clap::Command)> {
        let mut command = Arguments::command();
        command.build();
        let mut found = Vec::new();
        leaves(&command, "keyturn", &mut found);
        found
    }

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn variables_are_those_that_the_configuration_leaves_alone() {
        let mut variables: BTreeSet<String> = credential::VARIABLES.map(str::to_owned).into();
        for (_, command) in all() {
            variables
                .extend(command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())));
        }
        assert_eq!(variables, COMMAND_LINE.into_iter().map(str::to_owned).collect());
    }

    #[test]
    fn help_of_every_command_has_an_example_and_describes_every_argument() {
        for (name, mut command) in all() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{name}");
            assert!(help.contains(&format!("  {name}")) || help.contains(&format!("({name}")), "{name}: {help}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name} {}", argument.get_id());
            }
        }
    }

    /// The commands in the examples of a help text, as words.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let lines = help.lines().skip_while(|line| !line.starts_with("Example")).filter(|line| line.starts_with("  "));
        let commands = lines.flat_map(|line| line.split(['|', '&', '>', '<', '(', ')']));
        let commands = commands.filter_map(|part| part.trim().strip_prefix("keyturn "));
        let words = |command: &str| {
            // Quotes keep spaces together; no example has them within each other.
            let parts = command.split('\'').enumerate();
            let words = parts.flat_map(|(place, part)| match place % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            });
            std::iter::once("keyturn".to_owned()).chain(words).collect()
        };
        commands.map(words).collect()
    }

    #[test]
    fn examples_are_valid_commands() {
        let mut count = 0;
        for (name, mut command) in all() {
            let examples = examples(&command.render_long_help().to_string());
            assert!(!examples.is_empty(), "{name}");
            for example in examples {
                if let Err(error) = Arguments::try_parse_from(&example) {
                    panic!("{example:?}: {error}");
                }
                count += 1;
            }
        }
        assert!(count > 40, "{count}");
    }

    #[test]
    fn help_of_every_command_on_a_server_names_the_credentials() {
        let mut count = 0;
        for (name, mut command) in all() {
            if command.get_arguments().any(|argument| argument.get_id() == "server") {
                let help = command.render_help().to_string();
                for variable in
                    ["SERVER", "API_KEY", "API_KEY_FILE", "TOKEN", "TOKEN_FILE"].map(|name| format!("KEYTURN_{name}"))
                {
                    let is_named =
                        help.split(|c: char| !c.is_ascii_uppercase() && c != '_').any(|word| word == variable);
                    assert!(is_named, "{name}: {variable}");
                }
                count += 1;
            }
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn reference_has_every_command_variable_and_exit_code() {
        for (name, _) in all() {
            assert!(REFERENCE.contains(&format!("`{name}")), "{name}");
        }
        for variable in COMMAND_LINE {
            assert!(REFERENCE.contains(&format!("`{variable}`")), "{variable}");
        }
        for code in 0..=3 {
            assert!(REFERENCE.contains(&format!("\n| {code} | ")), "exit code {code}");
        }
    }
}
