//! `keyturn networks …`: named networks on a running server.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::profiles::{print_impact, read_name};
use crate::cli::table::{field, items, print_record, print_table, table};
use crate::cli::{CliError, print_json, print_out};

#[derive(Args, Debug)]
pub(super) struct NetworksArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: NetworksCommand,
}

#[derive(Subcommand, Debug)]
enum NetworksCommand {
    /// List named networks
    #[command(after_help = "Example:\n  keyturn networks list")]
    List,
    /// Show a named network
    #[command(after_help = "Example:\n  keyturn networks show office")]
    Show {
        /// Name of the network
        name: String,
    },
    /// Create a named network, which any number of keys and profiles can refer to
    #[command(
        after_help = "Example:\n  keyturn networks create office --cidr 203.0.113.0/24 --exclude 203.0.113.7\n  \
        keyturn keys create --name build --scope read --network office"
    )]
    Create {
        /// Name in keys, profiles and URLs: a-z, 0-9 and '-'
        name: String,
        #[command(flatten)]
        addresses: Addresses,
        /// What the network is
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// Change a named network. It applies to all keys that refer to it immediately
    #[command(
        visible_alias = "edit",
        after_help = "Example:\n  keyturn networks update office --cidr 203.0.113.0/24 --cidr 198.51.100.0/24\n\n\
        Networks replace those that it has."
    )]
    Update {
        /// Name of the network
        name: String,
        #[command(flatten)]
        addresses: Addresses,
        /// Exclude nothing
        #[arg(long, conflicts_with = "excluded")]
        no_excluded: bool,
        /// New description
        #[arg(long)]
        description: Option<String>,
    },
    /// Show what a change of a network would mean for its keys, and their requests of the last 30 days from lost addresses
    #[command(after_help = "Example:\n  keyturn networks impact office --cidr 203.0.113.0/25")]
    Impact {
        /// Name of the network
        name: String,
        #[command(flatten)]
        addresses: Addresses,
        /// Exclude nothing
        #[arg(long, conflicts_with = "excluded")]
        no_excluded: bool,
    },
    /// Delete a named network that no key and no profile refers to
    #[command(after_help = "Example:\n  keyturn networks delete office")]
    Delete {
        /// Name of the network
        name: String,
    },
}

#[derive(Args, Debug)]
struct Addresses {
    /// Network or address. Can be repeated
    #[arg(long = "cidr", value_name = "CIDR")]
    cidrs: Vec<String>,
    /// Network or address that is not part of it. Can be repeated
    #[arg(long = "exclude", id = "excluded", value_name = "CIDR")]
    excluded: Vec<String>,
}

impl Addresses {
    fn body(self) -> Map<String, Value> {
        let mut body = Map::new();
        for (name, list) in [("cidrs", self.cidrs), ("excluded_cidrs", self.excluded)] {
            if !list.is_empty() {
                body.insert(name.into(), list.into());
            }
        }
        body
    }

    /// The fields of a change.
    fn change(self, excludes_nothing: bool, description: Option<String>) -> Result<Value, CliError> {
        let mut body = self.body();
        body.extend(excludes_nothing.then(|| ("excluded_cidrs".into(), json!([]))));
        body.extend(description.map(|description| ("description".into(), description.into())));
        if body.is_empty() {
            return Err(CliError::Use("nothing to change: give at least one option, such as --cidr".into()));
        }
        Ok(body.into())
    }
}

pub(super) async fn networks(arguments: NetworksArguments) -> Result<(), CliError> {
    let NetworksArguments { api, command } = arguments;
    let as_json = api.json;
    let connect = || Client::connect(api.server);
    let shown = match command {
        NetworksCommand::List => return list(&connect().await?, as_json).await,
        NetworksCommand::Show { name } => connect().await?.get(&path(&name)?, &[]).await?,
        NetworksCommand::Create { name, addresses, description } => {
            if addresses.cidrs.is_empty() {
                return Err(CliError::Use("--cidr: at least one is required; '*' is every address".into()));
            }
            let mut body = addresses.body();
            body.insert("name".into(), name.into());
            body.insert("description".into(), description.into());
            connect().await?.call(Method::POST, "networks", Some(&body.into())).await?
        }
        NetworksCommand::Update { name, addresses, no_excluded, description } => {
            let body = addresses.change(no_excluded, description)?;
            connect().await?.call(Method::PATCH, &path(&name)?, Some(&body)).await?
        }
        NetworksCommand::Impact { name, addresses, no_excluded } => {
            let body = addresses.change(no_excluded, None)?;
            let impact = connect().await?.call(Method::POST, &format!("{}/impact", path(&name)?), Some(&body)).await?;
            return if as_json { print_json(&impact) } else { print_impact(&impact) };
        }
        NetworksCommand::Delete { name } => {
            connect().await?.call(Method::DELETE, &path(&name)?, None).await?;
            return if as_json {
                print_json(&json!({ "name": name }))
            } else {
                print_out(&format!("Deleted network {name}.\n"))
            };
        }
    };
    if as_json { print_json(&shown) } else { print_record(&shown, &[]) }
}

fn path(name: &str) -> Result<String, CliError> {
    Ok(format!("networks/{}", read_name(name)?))
}

async fn list(client: &Client, as_json: bool) -> Result<(), CliError> {
    let columns = ["name", "cidrs", "excluded_cidrs", "keys", "profiles"];
    let mut table = table(&["name", "CIDRs", "excluded", "keys", "profiles"]);
    // All of them: the list has no pages.
    let listed = client.get("networks", &[]).await?;
    for network in items(listed.get("items")) {
        if as_json {
            print_json(network)?;
        } else {
            table.add_row(columns.map(|name| field(network, name)));
        }
    }
    if as_json { Ok(()) } else { print_table(&table) }
}
