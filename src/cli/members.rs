//! `keyturn members …`: people with a login.

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::reset_password::{self, ResetArguments};
use crate::cli::table::{count, field, items, plain, print_record, print_table, table};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::member::MemberId;

const ROLES: [&str; 4] = ["viewer", "developer", "admin", "owner"];

#[derive(Subcommand, Debug)]
pub(super) enum MembersCommand {
    /// List members
    #[command(after_help = "Example:\n  keyturn members list --json | jq -r .email")]
    List {
        #[command(flatten)]
        api: ApiArguments,
    },
    /// Add a member and print their first password, which is shown only once
    #[command(after_help = "Example:\n  keyturn members add --email jo@example.org --role developer")]
    Add {
        #[command(flatten)]
        api: ApiArguments,
        /// Login of the member
        #[arg(long)]
        email: String,
        /// Role of the member
        #[arg(long, value_parser = ROLES)]
        role: String,
    },
    /// Change a member's role, login or password
    #[command(after_help = "Examples:\n  keyturn members update jo@example.org --role admin\n  \
        keyturn members update jo@example.org --reset-password")]
    Update {
        #[command(flatten)]
        api: ApiArguments,
        /// Login or ID of the member
        #[arg(allow_hyphen_values = true)]
        member: String,
        /// New role
        #[arg(long, value_parser = ROLES)]
        role: Option<String>,
        /// New login
        #[arg(long)]
        email: Option<String>,
        /// Replace the password with a generated one, which is shown only once, and end the member's sessions
        #[arg(long)]
        reset_password: bool,
    },
    /// Remove a member, end their sessions, and transfer or revoke the keys that they own
    #[command(after_help = "Examples:\n  keyturn members remove jo@example.org\n  \
        keyturn members remove jo@example.org --keys revoke\n\n\
        The person may know the secrets of transferred keys. Rotate those keys.")]
    Remove {
        #[command(flatten)]
        api: ApiArguments,
        /// Login or ID of the member
        #[arg(allow_hyphen_values = true)]
        member: String,
        /// Transfer the member's keys to the organization, or revoke them
        #[arg(long, default_value = "transfer", value_parser = ["transfer", "revoke"])]
        keys: String,
    },
    /// Reset a member's password directly in the database, for when nobody can sign in any more
    #[command(after_help = "Example:\n  keyturn members reset-password --email owner@example.org\n\n\
        Run it where the server runs, with the server's configuration; no credential is needed. The new password is shown \
        only once, and the member's sessions end. With SQLite, stop the server first; with PostgreSQL, it can keep running.")]
    ResetPassword(ResetArguments),
}

pub(super) async fn members(config: Option<PathBuf>, command: MembersCommand) -> Result<(), CliError> {
    match command {
        MembersCommand::List { api } => list(api).await,
        MembersCommand::Add { api, email, role } => {
            let client = Client::connect(api.server).await?;
            let body = json!({ "email": email, "role": role });
            show(&client.call(Method::POST, "members", Some(&body)).await?, api.json)
        }
        MembersCommand::Update { api, member, role, email, reset_password } => {
            let mut body = Map::new();
            body.extend(role.map(|role| ("role".into(), role.into())));
            body.extend(email.map(|email| ("email".into(), email.into())));
            if reset_password {
                body.insert("reset_password".into(), true.into());
            }
            if body.is_empty() {
                return Err(CliError::Use("nothing to change: give at least one option, such as --role".into()));
            }
            let client = Client::connect(api.server).await?;
            let id = find(&client, &member).await?;
            show(&client.call(Method::PATCH, &format!("members/{id}"), Some(&body.into())).await?, api.json)
        }
        MembersCommand::Remove { api, member, keys } => {
            let client = Client::connect(api.server).await?;
            let id = find(&client, &member).await?;
            let removed = client.call(Method::DELETE, &format!("members/{id}?keys={keys}"), None).await?;
            if api.json {
                return print_json(&removed);
            }
            let ids = |name| items(removed.get(name)).map(|id| plain(Some(id))).collect::<Vec<_>>();
            let (transferred, revoked) = (ids("transferred_keys"), ids("revoked_keys"));
            print_out(&format!("Removed {member}."))?;
            if !transferred.is_empty() {
                print_out(&format!(" Transferred {} to the organization.", count(transferred.len() as u64, "key")))?;
            }
            print_out(&format!(" Revoked {}.\n", count(revoked.len() as u64, "key")))?;
            transferred.iter().chain(&revoked).try_for_each(|key| print_out(&format!("  {key}\n")))
        }
        MembersCommand::ResetPassword(arguments) => {
            reset_password::reset_password(&crate::cli::load(config)?, arguments).await
        }
    }
}

async fn list(api: ApiArguments) -> Result<(), CliError> {
    const COLUMNS: [&str; 4] = ["id", "email", "role", "last_sign_in_at"];
    let client = Client::connect(api.server).await?;
    let mut table = table(&["id", "email", "role", "last sign-in"]);
    let mut each = |member: &Value| {
        if api.json {
            return print_json(member);
        }
        table.add_row(COLUMNS.map(|name| field(member, name)));
        Ok(())
    };
    client.list("members").await?.iter().try_for_each(&mut each)?;
    if api.json { Ok(()) } else { print_table(&table) }
}

/// The ID of a member, who may be named by their login.
async fn find(client: &Client, member: &str) -> Result<MemberId, CliError> {
    if let Some(id) = MemberId::parse(member) {
        return Ok(id);
    }
    let login = member.to_lowercase();
    let members = client.list("members").await?;
    let found = members.iter().find(|member| field(member, "email") == login);
    let id = found.and_then(|member| MemberId::parse(&field(member, "id")));
    id.ok_or_else(|| {
        CliError::Failed(format!("{member}: no member of organization {} has this login", client.organization()))
    })
}

fn show(member: &Value, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return print_json(member);
    }
    print_record(member, &["password", "keys_beyond_role"])?;
    let beyond: Vec<_> = items(member.get("keys_beyond_role")).map(|id| plain(Some(id))).collect();
    if !beyond.is_empty() {
        let keys = count(beyond.len() as u64, "key");
        print_out(&format!(
            "\nWarning: the member owns {keys} with more rights than the new role. Existing rights stay; revoke or narrow:\n\n  {}\n",
            beyond.join(" ")
        ))?;
    }
    match member.get("password").and_then(Value::as_str) {
        Some(password) => print_out(&format!("\nThe password is shown only once:\n\n  {password}\n")),
        None => Ok(()),
    }
}
