//! `keyturn policy …`: the policy of an organization on a running server.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::policy_diff::{Change, diff};
use crate::cli::table::{count, items, plain, rows};
use crate::cli::{CliError, Outcome, print_json, print_out};
use crate::domain::policy::Policy;

#[derive(Args, Debug)]
pub(super) struct PolicyArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Subcommand, Debug)]
enum PolicyCommand {
    /// Print the policy in force as a file that can be applied
    #[command(after_help = "Example:\n  keyturn policy show > policy.toml")]
    Show,
    /// Replace the policy with that of a TOML file, after printing the changes and their effect on existing keys
    #[command(after_help = "Examples:\n  keyturn policy apply policy.toml --dry-run\n  \
        keyturn policy apply policy.toml --yes --detailed-exitcode\n\n\
        Settings that are not in the file get their default. If nothing differs, nothing is written. A policy that was \
        changed in the meantime is not overwritten: the command fails with 1.\n\n\
        Exit codes: 0 success, 1 failure or --yes is needed, 2 invalid arguments or file, 3 with --detailed-exitcode \
        if the policy differs.")]
    Apply(Apply),
}

#[derive(Args, Debug)]
struct Apply {
    /// TOML file with the policy, or - for standard input. config/policies has examples and every setting
    file: PathBuf,
    /// Print the changes and their effect without applying them
    #[arg(long)]
    dry_run: bool,
    /// Apply the policy even if existing keys are affected
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Exit with 3 instead of 0 if the policy differs from the one in force
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn policy(arguments: PolicyArguments) -> Result<Outcome, CliError> {
    let PolicyArguments { api, command } = arguments;
    match command {
        PolicyCommand::Show => {
            let current = Client::connect(api.server).await?.get("policy", &[]).await?;
            if api.json {
                print_json(&current)?
            } else {
                print_out(&as_toml(&current)?)?
            }
            Ok(Outcome::Done)
        }
        PolicyCommand::Apply(apply) => {
            let wanted = read(&apply.file)?;
            let client = Client::connect(api.server).await?;
            let differs = self::apply(&client, &wanted, &apply, api.json).await?;
            Ok(if differs && apply.detailed_exitcode { Outcome::Differs } else { Outcome::Done })
        }
    }
}

/// Applies a policy. Returns whether it differs from the one in force.
async fn apply(client: &Client, wanted: &Policy, arguments: &Apply, as_json: bool) -> Result<bool, CliError> {
    // 1. The policy in force, and its version.
    let (current, version) = client.get_with_etag("policy").await?;
    let current = as_policy(&current)?;
    let changes = diff(&current, wanted)?;

    // 2. The changes, and their effect on existing keys.
    let effects = if changes.is_empty() { Vec::new() } else { effects(client, &current, wanted, &changes).await? };
    let needs_consent = !effects.is_empty() && !arguments.yes;
    let is_applied = !changes.is_empty() && !arguments.dry_run && !needs_consent;
    if !as_json {
        print_plan(client.organization(), &changes, &effects)?;
    }

    // 3. The write, if the policy is still the same.
    if is_applied && client.put_if_match("policy", &version, &to_json(wanted)?).await?.is_none() {
        return Err(CliError::Failed(
            "the policy was changed in the meantime; nothing was applied. Run the command again to \
             review the new changes (412 PRECONDITION_FAILED)"
                .into(),
        ));
    }
    if as_json {
        print_json(&json!({
            "organization": client.organization(),
            "changes": changes.iter().map(Change::to_json).collect::<Vec<_>>(),
            "effects": effects,
            "applied": is_applied,
        }))?;
    }
    match (is_applied, arguments.dry_run) {
        _ if changes.is_empty() => {}
        (false, false) => {
            return Err(CliError::Failed(
                "existing keys are affected; nothing was applied. To apply the policy, add --yes".into(),
            ));
        }
        _ if as_json => {}
        (true, _) => print_out("\nPolicy applied.\n")?,
        (false, true) => print_out("\nDry run: nothing was applied.\n")?,
    }
    Ok(!changes.is_empty())
}

/// The effects of a change on existing keys. The server reports every deviation from a policy, so those that exist
/// already and have nothing to do with the change are left out.
async fn effects(
    client: &Client,
    current: &Policy,
    wanted: &Policy,
    changes: &[Change],
) -> Result<Vec<Value>, CliError> {
    let mut effects = dry_run(client, wanted).await?;
    let before = dry_run(client, current).await?;
    let is_changed = |effect: &Value| {
        let setting = effect.get("setting").and_then(Value::as_str);
        changes.iter().any(|change| setting == Some(change.setting.as_str()))
    };
    effects.retain(|effect| is_changed(effect) || !before.contains(effect));
    Ok(effects)
}

async fn dry_run(client: &Client, policy: &Policy) -> Result<Vec<Value>, CliError> {
    let report = client.put("policy", &[("dry_run", "true".into())], &to_json(policy)?).await?;
    Ok(items(report.get("effects")).cloned().collect())
}

fn print_plan(organization: &str, changes: &[Change], effects: &[Value]) -> Result<(), CliError> {
    if changes.is_empty() {
        return print_out("No changes.\n");
    }
    let mut table = rows();
    for change in changes {
        table.add_row([change.setting.as_str(), &change.old_text(), "->", &change.new_text()]);
    }
    print_out(&format!("Changes to the policy of organization {organization}:\n\n{table}\n\n"))?;
    if effects.is_empty() {
        return print_out("No existing keys are affected.\n");
    }
    let mut text = String::from("Effect on existing keys:\n\n");
    for effect in effects {
        let number = effect.get("count").and_then(Value::as_u64).unwrap_or_default();
        let (setting, meaning) = (plain(effect.get("setting")), plain(effect.get("meaning")));
        let affected = match setting.as_str() {
            "audiences" => count(number, "audience"),
            "max_keys_per_user" => count(number, "member"),
            _ => count(number, "key"),
        };
        text.push_str(&format!("  {setting} ({affected}): {meaning}\n"));
        let also: Vec<_> = items(effect.get("also")).map(|setting| plain(Some(setting))).collect();
        if !also.is_empty() {
            text.push_str(&format!("    The same keys are counted under {}.\n", also.join(", ")));
        }
        let examples: Vec<_> = items(effect.get("examples")).map(|id| plain(Some(id))).collect();
        if !examples.is_empty() {
            let dots = if (examples.len() as u64) < number { " …" } else { "" };
            text.push_str(&format!("    {}{dots}\n", examples.join(" ")));
        }
    }
    print_out(&text)
}

/// Reads a policy file and checks everything that can be checked without the server.
fn read(file: &Path) -> Result<Policy, CliError> {
    let is_stdin = file == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
    let wrong = |reason: String| CliError::Use(format!("{name}: {reason}"));
    let mut text = String::new();
    let read = match is_stdin {
        true => std::io::stdin().read_to_string(&mut text).map(|_| ()),
        false => std::fs::read_to_string(file).map(|content| text = content),
    };
    read.map_err(|error| wrong(error.to_string()))?;
    let policy: Policy = toml::from_str(&text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
        wrong(format!("line {line}: {}", error.message()))
    })?;
    match policy.validate().into_iter().next() {
        Some(fault) => Err(wrong(format!("{}: {}", fault.field, fault.message()))),
        None => Ok(policy),
    }
}

fn as_policy(value: &Value) -> Result<Policy, CliError> {
    Policy::deserialize(value).map_err(|error| not_understood(&error))
}

fn as_toml(value: &Value) -> Result<String, CliError> {
    toml::to_string(&as_policy(value)?).map_err(|error| not_understood(&error))
}

fn to_json(policy: &Policy) -> Result<Value, CliError> {
    serde_json::to_value(policy).map_err(|error| not_understood(&error))
}

/// The server has another version, with other settings.
fn not_understood(error: &dyn std::fmt::Display) -> CliError {
    CliError::Failed(format!("the server's policy cannot be read, is this the same version of Keyturn? {error}"))
}
