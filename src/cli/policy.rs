//! `keyturn policy …`: the policy of an organization on a running server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::cli::client::{Client, ServerArguments};
use crate::cli::{CliError, print_out};
use crate::domain::policy::Policy;

#[derive(Args, Debug)]
pub(super) struct PolicyArguments {
    #[command(flatten)]
    server: ServerArguments,
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Subcommand, Debug)]
enum PolicyCommand {
    /// Show the policy in force, as a file that can be applied.
    Show,
    /// Replace the whole policy by that of a TOML file, after listing what it means to the keys that there are. Where it
    /// means anything to them, --yes is needed.
    Apply {
        /// The file; config/policies has examples and the list of settings.
        file: PathBuf,
        /// List what it would mean, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Apply it whatever it means to the keys that there are.
        #[arg(long, conflicts_with = "dry_run")]
        yes: bool,
    },
}

pub(super) async fn policy(arguments: PolicyArguments) -> Result<(), CliError> {
    let PolicyArguments { server, command } = arguments;
    match command {
        PolicyCommand::Show => {
            let client = Client::connect(server).await?;
            let current = client.organization(Method::GET, "policy", &[], None).await?;
            print_out(&as_toml(current)?)
        }
        PolicyCommand::Apply { file, dry_run, yes } => {
            let policy = read(&file)?;
            let client = Client::connect(server).await?;
            let dry = vec![("dry_run", "true".to_owned())];
            let answer = client.organization(Method::PUT, "policy", &dry, Some(policy.clone())).await?;
            let effects = answer.get("effects").and_then(Value::as_array).cloned().unwrap_or_default();
            list(&effects)?;
            match (dry_run, effects.is_empty() || yes) {
                (true, _) => print_out("Nothing was changed.\n"),
                (false, false) => Err(CliError::Failed(
                    "nothing was changed: this means something to keys that there are; apply it with --yes".into(),
                )),
                (false, true) => {
                    client.organization(Method::PUT, "policy", &[], Some(policy)).await?;
                    print_out("The policy is in force.\n")
                }
            }
        }
    }
}

/// A policy file, checked as far as it can be without the server.
fn read(file: &Path) -> Result<Value, CliError> {
    let wrong = |why: String| CliError::Use(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let policy: Policy = toml::from_str(&text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
        wrong(format!("line {line}: {}", error.message()))
    })?;
    if let Some(fault) = policy.faults().into_iter().next() {
        return Err(wrong(format!("{}: {}", fault.field, fault.message())));
    }
    serde_json::to_value(&policy).map_err(|error| wrong(error.to_string()))
}

fn as_toml(policy: Value) -> Result<String, CliError> {
    let failed = |error: String| CliError::Failed(format!("the server's policy is not understood: {error}"));
    let policy: Policy = serde_json::from_value(policy).map_err(|error| failed(error.to_string()))?;
    toml::to_string(&policy).map_err(|error| failed(error.to_string()))
}

fn list(effects: &[Value]) -> Result<(), CliError> {
    if effects.is_empty() {
        return print_out("It means nothing to the keys that there are.\n");
    }
    let text = |effect: &Value, name: &str| effect.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut said = String::from("What it means to the keys that there are:\n");
    for effect in effects {
        let count = effect.get("count").and_then(Value::as_u64).unwrap_or_default();
        said.push_str(&format!("  {}: {count} {}\n", text(effect, "setting"), text(effect, "meaning")));
        let examples = effect.get("examples").and_then(Value::as_array).into_iter().flatten();
        let examples: Vec<&str> = examples.filter_map(Value::as_str).collect();
        if !examples.is_empty() {
            said.push_str(&format!("    {}\n", examples.join(" ")));
        }
    }
    print_out(&said)
}
