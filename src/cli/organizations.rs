//! `keyturn organizations …`: the organizations of a running server.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::table::{field, items, plain, print_record, print_table, table};
use crate::cli::{CliError, parse_slug, print_json, print_out};
use crate::domain::slug::Slug;

#[derive(Args, Debug)]
pub(super) struct OrganizationsArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: OrganizationsCommand,
}

#[derive(Subcommand, Debug)]
enum OrganizationsCommand {
    /// List the organizations that the credential can see
    #[command(after_help = "Example:\n  keyturn organizations list")]
    List,
    /// Create an organization and print its owner's password, which is shown only once
    #[command(after_help = "Example:\n  keyturn organizations create acme --owner-email owner@acme.example\n  \
        keyturn organizations bootstrap acme\n\n\
        This needs admin:keyturn/organizations in organization default.")]
    Create {
        /// Name in URLs and tokens: 1 to 40 of a-z, 0-9 and '-'
        #[arg(value_parser = parse_slug)]
        slug: Slug,
        /// Login of the first owner
        #[arg(long, value_name = "EMAIL")]
        owner_email: String,
    },
    /// Create an organization's first signing key, without which it cannot have API keys
    #[command(after_help = "Example:\n  keyturn organizations bootstrap acme")]
    Bootstrap {
        /// Organization
        #[arg(value_parser = parse_slug)]
        slug: Slug,
    },
    /// Suspend an organization: all its keys and tokens are denied at once
    #[command(after_help = "Example:\n  keyturn organizations suspend acme")]
    Suspend {
        /// Organization
        #[arg(value_parser = parse_slug)]
        slug: Slug,
    },
    /// Resume a suspended organization
    #[command(after_help = "Example:\n  keyturn organizations resume acme")]
    Resume {
        /// Organization
        #[arg(value_parser = parse_slug)]
        slug: Slug,
    },
}

pub(super) async fn organizations(arguments: OrganizationsArguments) -> Result<(), CliError> {
    let OrganizationsArguments { api, command } = arguments;
    let client = Client::connect(api.server).await?;
    let changed = match command {
        OrganizationsCommand::List => return list(&client, api.json).await,
        OrganizationsCommand::Create { slug, owner_email } => {
            let body = json!({ "slug": slug, "owner_email": owner_email });
            client.call_root(Method::POST, "organizations", Some(&body)).await?
        }
        OrganizationsCommand::Bootstrap { slug } => {
            client.call_root(Method::POST, &format!("organizations/{slug}/bootstrap"), None).await?
        }
        OrganizationsCommand::Suspend { slug } => {
            client.call_root(Method::POST, &format!("organizations/{slug}/suspend"), None).await?
        }
        OrganizationsCommand::Resume { slug } => {
            client.call_root(Method::POST, &format!("organizations/{slug}/resume"), None).await?
        }
    };
    if api.json { print_json(&changed) } else { show(&changed) }
}

async fn list(client: &Client, as_json: bool) -> Result<(), CliError> {
    const COLUMNS: [&str; 5] = ["slug", "issuer", "bootstrapped", "created_at", "suspended_at"];
    let page = client.call_root(Method::GET, "organizations", None).await?;
    let mut table = table(&["slug", "issuer", "bootstrapped", "created", "suspended"]);
    for organization in items(page.get("items")) {
        if as_json {
            print_json(organization)?;
        }
        table.add_row(COLUMNS.map(|name| field(organization, name)));
    }
    if as_json { Ok(()) } else { print_table(&table) }
}

fn show(changed: &Value) -> Result<(), CliError> {
    print_record(changed, &["owner"])?;
    let Some(owner) = changed.get("owner") else { return Ok(()) };
    print_out(&format!(
        "\nThe owner's password is shown only once:\n\n  email     {}\n  password  {}\n\nNext: keyturn organizations bootstrap {}\n",
        field(owner, "email"),
        plain(owner.get("password")),
        field(changed, "slug")
    ))
}
