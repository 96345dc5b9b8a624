//! `keyturn profiles …`: access profiles on a running server.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::key_fields::read_grants;
use crate::cli::table::{count, field, items, plain, print_record, print_table, table, whole_seconds};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::slug::Slug;

#[derive(Args, Debug)]
pub(super) struct ProfilesArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: ProfilesCommand,
}

#[derive(Subcommand, Debug)]
enum ProfilesCommand {
    /// List profiles
    #[command(after_help = "Example:\n  keyturn profiles list")]
    List,
    /// Show a profile
    #[command(after_help = "Example:\n  keyturn profiles show readers")]
    Show {
        /// Name of the profile
        name: String,
    },
    /// Create a profile, which any number of keys can have
    #[command(
        after_help = "Example:\n  keyturn profiles create readers --scope 'read:invoices/*' --network office\n  \
        keyturn keys create --name report --profile readers"
    )]
    Create {
        /// Name in keys and URLs: a-z, 0-9 and '-'
        name: String,
        #[command(flatten)]
        access: Access,
        /// What the profile is for
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// Change a profile. It applies to all keys with it and to their tokens immediately
    #[command(
        visible_alias = "edit",
        after_help = "Example:\n  keyturn profiles update readers --scope read:invoices/2031\n\n\
        Scopes and networks replace those that the profile has."
    )]
    Update {
        /// Name of the profile
        name: String,
        #[command(flatten)]
        access: Access,
        #[command(flatten)]
        removed: Removed,
        /// New description
        #[arg(long)]
        description: Option<String>,
    },
    /// Show what a change of a profile would mean for its keys, and their requests of the last 30 days that it would have denied
    #[command(after_help = "Example:\n  keyturn profiles impact readers --scope read:invoices/2031")]
    Impact {
        /// Name of the profile
        name: String,
        #[command(flatten)]
        access: Access,
        #[command(flatten)]
        removed: Removed,
    },
    /// Delete a profile
    #[command(after_help = "Examples:\n  keyturn profiles delete readers\n  \
        keyturn profiles delete readers --move-keys-to auditors")]
    Delete {
        /// Name of the profile
        name: String,
        /// Give its keys this profile first. Their tokens stop working
        #[arg(long, value_name = "PROFILE")]
        move_keys_to: Option<String>,
        /// Revoke its keys first
        #[arg(long, conflicts_with = "move_keys_to")]
        revoke_keys: bool,
    },
}

#[derive(Args, Debug)]
struct Access {
    /// Scope for the default API. Can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// API that it grants, with its scopes. Can be repeated; replaces all APIs, so give default=… to keep the default one
    #[arg(long = "api", value_name = "API=SCOPE,SCOPE", conflicts_with = "scopes")]
    apis: Vec<String>,
    /// Network that may use the keys. Can be repeated
    #[arg(long = "cidr", value_name = "CIDR")]
    cidrs: Vec<String>,
    /// Name of a network that may use the keys. Can be repeated
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,
    /// Longest lifetime of tokens in seconds, 60 to 3600
    #[arg(long, value_name = "SECONDS")]
    token_ttl: Option<u32>,
}

#[derive(Args, Debug)]
struct Removed {
    /// Remove every scope for the default API
    #[arg(long, conflicts_with_all = ["scopes", "apis"])]
    no_scopes: bool,
    /// Remove every listed network
    #[arg(long, conflicts_with = "cidrs")]
    no_cidrs: bool,
    /// Remove every named network
    #[arg(long, conflicts_with = "networks")]
    no_networks: bool,
    /// Use the lifetime of the APIs
    #[arg(long, conflicts_with = "token_ttl")]
    no_token_ttl: bool,
}

impl Access {
    fn body(self) -> Result<Map<String, Value>, CliError> {
        let mut body = Map::new();
        for (name, list) in [("scopes", self.scopes), ("allowed_cidrs", self.cidrs), ("networks", self.networks)] {
            if !list.is_empty() {
                body.insert(name.into(), list.into());
            }
        }
        if !self.apis.is_empty() {
            body.insert("apis".into(), read_grants(&self.apis)?);
        }
        body.extend(self.token_ttl.map(|seconds| ("token_ttl_seconds".into(), seconds.into())));
        Ok(body)
    }
}

impl Removed {
    /// Adds the removed fields; `body` must not be empty then.
    fn add_to(self, mut body: Map<String, Value>) -> Result<Value, CliError> {
        let lists = [(self.no_scopes, "scopes"), (self.no_cidrs, "allowed_cidrs"), (self.no_networks, "networks")];
        body.extend(lists.into_iter().filter(|(is_removed, _)| *is_removed).map(|(_, name)| (name.into(), json!([]))));
        body.extend(self.no_token_ttl.then_some(("token_ttl_seconds".into(), Value::Null)));
        if body.is_empty() {
            return Err(CliError::Use("nothing to change: give at least one option, such as --scope".into()));
        }
        Ok(body.into())
    }
}

pub(super) async fn profiles(arguments: ProfilesArguments) -> Result<(), CliError> {
    let ProfilesArguments { api, command } = arguments;
    let as_json = api.json;
    let connect = || Client::connect(api.server);
    let shown = match command {
        ProfilesCommand::List => return list(&connect().await?, as_json).await,
        ProfilesCommand::Show { name } => connect().await?.get(&path(&name)?, &[]).await?,
        ProfilesCommand::Create { name, access, description } => {
            let mut body = access.body()?;
            body.insert("name".into(), name.into());
            body.insert("description".into(), description.into());
            connect().await?.call(Method::POST, "profiles", Some(&body.into())).await?
        }
        ProfilesCommand::Update { name, access, removed, description } => {
            let mut body = access.body()?;
            body.extend(description.map(|description| ("description".into(), description.into())));
            connect().await?.call(Method::PATCH, &path(&name)?, Some(&removed.add_to(body)?)).await?
        }
        ProfilesCommand::Impact { name, access, removed } => {
            let body = removed.add_to(access.body()?)?;
            let impact = connect().await?.call(Method::POST, &format!("{}/impact", path(&name)?), Some(&body)).await?;
            return if as_json { print_json(&impact) } else { print_impact(&impact) };
        }
        ProfilesCommand::Delete { name, move_keys_to, revoke_keys } => {
            let mut path = format!("{}?revoke_keys={revoke_keys}", path(&name)?);
            if let Some(to) = move_keys_to {
                path.push_str(&format!("&move_keys_to={}", read_name(&to)?));
            }
            let deleted = connect().await?.call(Method::DELETE, &path, None).await?;
            if as_json {
                return print_json(&deleted);
            }
            let changed = field(&deleted, "changed_keys");
            return print_out(&format!("Deleted profile {name}. Keys moved or revoked: {changed}\n"));
        }
    };
    if as_json { print_json(&shown) } else { print_record(&shown, &[]) }
}

/// Refuses a name that cannot be one before it becomes part of a URL.
pub(super) fn read_name(text: &str) -> Result<Slug, CliError> {
    Slug::parse(text).ok_or_else(|| CliError::Use("NAME: must be 1 to 40 of a-z, 0-9 and '-'".into()))
}

fn path(name: &str) -> Result<String, CliError> {
    Ok(format!("profiles/{}", read_name(name)?))
}

async fn list(client: &Client, as_json: bool) -> Result<(), CliError> {
    let columns = ["name", "apis", "allowed_cidrs", "networks", "token_ttl_seconds", "keys"];
    let mut table = table(&["name", "scopes", "CIDRs", "networks", "token lifetime", "keys"]);
    // All of them: the list has no pages.
    let listed = client.get("profiles", &[]).await?;
    for profile in items(listed.get("items")) {
        if as_json {
            print_json(profile)?;
        } else {
            table.add_row(columns.map(|name| field(profile, name)));
        }
    }
    if as_json { Ok(()) } else { print_table(&table) }
}

/// Prints the effect of a change of a profile or a network.
pub(super) fn print_impact(impact: &Value) -> Result<(), CliError> {
    let mut changes = table(&["", "loses", "gains"]);
    let scope = |scope: &Value| format!("{}: {}", field(scope, "api"), field(scope, "scope"));
    let scopes = |name| items(impact.get(name)).map(scope).collect::<Vec<_>>().join(", ");
    let cidrs = |name| items(impact.get(name)).map(|cidr| plain(Some(cidr))).collect::<Vec<_>>().join(", ");
    changes.add_row(["scopes".into(), scopes("lost_scopes"), scopes("gained_scopes")]);
    changes.add_row(["networks".into(), cidrs("lost_cidrs"), cidrs("gained_cidrs")]);
    print_table(&changes)?;
    let denied = impact.get("denied").cloned().unwrap_or_default();
    let mut requests = table(&["denied from or for", "requests", "last seen"]);
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    let all = |value: &Value| number(value, "exchanges") + number(value, "verifications");
    for (list, name) in [("by_address", "address"), ("by_scope", "scope")] {
        for each in items(denied.get(list)) {
            requests.add_row([field(each, name), all(each).to_string(), field(each, "last_seen")]);
        }
    }
    let total = all(&denied.get("total").cloned().unwrap_or_default());
    if total > 0 {
        print_out("\n").and_then(|()| print_table(&requests))?;
    }
    print_out(&format!(
        "\nAffects {}. Would have denied at least {} since {}.\n",
        count(number(impact, "keys"), "key"),
        count(total, "request"),
        whole_seconds(&plain(denied.get("from"))),
    ))
}
