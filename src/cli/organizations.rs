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
    #[command(
        after_help = "Example:\n  keyturn organizations create acme --owner-email owner@acme.example --name 'Acme Rockets'\n\n\
        This needs admin:keyturn/organizations in organization default."
    )]
    Create {
        /// Name in URLs and tokens: 1 to 40 of a-z, 0-9 and '-'
        #[arg(value_parser = parse_slug)]
        slug: Slug,
        /// Login of the first owner
        #[arg(long, value_name = "EMAIL")]
        owner_email: String,
        /// Display name (default: the slug)
        #[arg(long)]
        name: Option<String>,
    },
    /// Change the display name of an organization
    #[command(after_help = "Example:\n  keyturn organizations rename acme 'Acme Rockets'")]
    Rename {
        /// Organization
        #[arg(value_parser = parse_slug)]
        slug: Slug,
        /// New display name: 1 to 100 characters
        name: String,
    },
    /// Create a signing key for an organization that has none
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
    /// Delete an organization with all its data. Its slug is never used again
    #[command(
        after_help = "Examples:\n  keyturn organizations delete acme\n  keyturn organizations delete acme --now\n\n\
        Without --now, it must have been suspended for 30 days."
    )]
    Delete {
        /// Organization
        #[arg(value_parser = parse_slug)]
        slug: Slug,
        /// Delete it without a suspension of 30 days
        #[arg(long)]
        now: bool,
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
        OrganizationsCommand::Create { slug, owner_email, name } => {
            let mut body = json!({ "slug": slug, "owner_email": owner_email });
            if let (Some(name), Some(body)) = (name, body.as_object_mut()) {
                body.insert("name".into(), name.into());
            }
            client.call_root(Method::POST, "organizations", Some(&body)).await?
        }
        OrganizationsCommand::Rename { slug, name } => {
            client.call_root(Method::PATCH, &format!("organizations/{slug}"), Some(&json!({ "name": name }))).await?
        }
        OrganizationsCommand::Bootstrap { slug } => {
            client.call_root(Method::POST, &format!("organizations/{slug}/bootstrap"), None).await?
        }
        OrganizationsCommand::Delete { slug, now } => {
            let query = if now { "?now=true" } else { "" };
            client.call_root(Method::DELETE, &format!("organizations/{slug}{query}"), None).await?;
            return match api.json {
                true => print_json(&json!({ "slug": slug })),
                false => print_out(&format!("Deleted organization {slug}.\n")),
            };
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
    const COLUMNS: [&str; 5] = ["slug", "name", "issuer", "created_at", "suspended_at"];
    const COUNTS: [&str; 4] = ["members", "keys", "active_keys", "last_used_at"];
    let mut table =
        table(&["slug", "name", "issuer", "created", "suspended", "members", "keys", "active keys", "last used"]);
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "200".to_owned())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let page = client.get_root("organizations", &query).await?;
        for organization in items(page.get("items")) {
            if as_json {
                print_json(organization)?;
            }
            let counts = organization.get("counts").unwrap_or(&Value::Null);
            let fields = COLUMNS.map(|name| field(organization, name)).into_iter();
            table.add_row(fields.chain(COUNTS.map(|name| field(counts, name))));
        }
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if as_json { Ok(()) } else { print_table(&table) }
}

fn show(changed: &Value) -> Result<(), CliError> {
    print_record(changed, &["owner"])?;
    let Some(owner) = changed.get("owner") else { return Ok(()) };
    print_out(&format!(
        "\nThe owner's password is shown only once:\n\n  email     {}\n  password  {}\n",
        field(owner, "email"),
        plain(owner.get("password")),
    ))
}
