//! `keyturn customers …`: the users or tenants whom keys are given to, on a running server.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::{Client, Query};
use crate::cli::credential::ApiArguments;
use crate::cli::table::{field, items, print_record, print_table, table};
use crate::cli::values::parse_pairs;
use crate::cli::{CliError, print_json, print_out};
use crate::domain::customer::CustomerId;

#[derive(Args, Debug)]
pub(super) struct CustomersArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: CustomersCommand,
}

#[derive(Subcommand, Debug)]
enum CustomersCommand {
    /// List customers, newest first
    #[command(
        after_help = "Examples:\n  keyturn customers list --search acme\n  keyturn customers list --suspended true"
    )]
    List {
        /// Only customers whose external ID or name contains this text, or with this ID
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only suspended customers, or only others
        #[arg(long, value_name = "BOOLEAN", value_parser = ["true", "false"])]
        suspended: Option<String>,
    },
    /// Create a customer
    #[command(
        after_help = "Example:\n  keyturn customers create user_8f3a --name 'Acme Rockets' --metadata plan=pro\n  \
        keyturn keys create --customer user_8f3a --scope read:invoices/*"
    )]
    Create {
        /// Your ID of the user or tenant
        external_id: String,
        /// Name of the customer
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Show a customer
    #[command(after_help = "Example:\n  keyturn customers show user_8f3a")]
    Show {
        /// External ID or ID of the customer
        customer: String,
    },
    /// Change a customer's external ID, name, metadata or limit
    #[command(
        visible_alias = "edit",
        after_help = "Example:\n  keyturn customers update user_8f3a --metadata plan=free --max-keys 3\n\n\
        Metadata replaces all pairs that the customer has."
    )]
    Update {
        /// External ID or ID of the customer
        customer: String,
        /// New external ID
        #[arg(long)]
        external_id: Option<String>,
        /// New name
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        fields: Fields,
        /// Remove all metadata
        #[arg(long, conflicts_with = "metadata")]
        no_metadata: bool,
        /// Use the policy's limit on keys
        #[arg(long, conflicts_with = "max_keys")]
        no_max_keys: bool,
    },
    /// Suspend a customer. All its keys and tokens stop working immediately
    #[command(after_help = "Example:\n  keyturn customers suspend user_8f3a")]
    Suspend {
        /// External ID or ID of the customer
        customer: String,
    },
    /// End the suspension of a customer. Earlier tokens stay invalid
    #[command(after_help = "Example:\n  keyturn customers reinstate user_8f3a")]
    Reinstate {
        /// External ID or ID of the customer
        customer: String,
    },
    /// Remove a customer for good
    #[command(after_help = "Example:\n  keyturn customers remove user_8f3a --revoke-keys")]
    Remove {
        /// External ID or ID of the customer
        customer: String,
        /// Revoke the keys of the customer that still work. Without it, a customer with such keys is not removed
        #[arg(long)]
        revoke_keys: bool,
    },
}

#[derive(Args, Debug)]
struct Fields {
    /// Text to store with the customer. Can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Maximum number of keys that are neither revoked nor expired; the default is the policy's max_keys_per_user
    #[arg(long, value_name = "NUMBER")]
    max_keys: Option<u32>,
}

impl Fields {
    fn body(self) -> Result<Map<String, Value>, CliError> {
        let mut body = Map::new();
        if !self.metadata.is_empty() {
            body.insert("metadata".into(), parse_pairs("--metadata", &self.metadata)?.into());
        }
        body.extend(self.max_keys.map(|limit| ("max_keys".into(), limit.into())));
        Ok(body)
    }
}

pub(super) async fn customers(arguments: CustomersArguments) -> Result<(), CliError> {
    let CustomersArguments { api, command } = arguments;
    let as_json = api.json;
    let connect = || Client::connect(api.server);
    let shown = match command {
        CustomersCommand::List { search, suspended } => {
            let given = [("search", search), ("suspended", suspended)];
            let query = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            return list(&connect().await?, query, as_json).await;
        }
        CustomersCommand::Create { external_id, name, fields } => {
            let mut body = fields.body()?;
            body.insert("external_id".into(), external_id.into());
            body.insert("name".into(), name.into());
            connect().await?.call(Method::POST, "customers", Some(&body.into())).await?
        }
        CustomersCommand::Show { customer } => {
            let client = connect().await?;
            client.get(&path(&client, &customer).await?, &[]).await?
        }
        CustomersCommand::Update { customer, external_id, name, fields, no_metadata, no_max_keys } => {
            let mut body = fields.body()?;
            body.extend(external_id.map(|id| ("external_id".into(), id.into())));
            body.extend(name.map(|name| ("name".into(), name.into())));
            body.extend(no_metadata.then(|| ("metadata".into(), json!({}))));
            body.extend(no_max_keys.then_some(("max_keys".into(), Value::Null)));
            if body.is_empty() {
                return Err(CliError::Use("nothing to change: give at least one option, such as --name".into()));
            }
            let client = connect().await?;
            client.call(Method::PATCH, &path(&client, &customer).await?, Some(&body.into())).await?
        }
        CustomersCommand::Suspend { customer } => {
            let client = connect().await?;
            client.call(Method::POST, &format!("{}/suspend", path(&client, &customer).await?), None).await?
        }
        CustomersCommand::Reinstate { customer } => {
            let client = connect().await?;
            client.call(Method::POST, &format!("{}/reinstate", path(&client, &customer).await?), None).await?
        }
        CustomersCommand::Remove { customer, revoke_keys } => {
            let client = connect().await?;
            let path = format!("{}?revoke_keys={revoke_keys}", path(&client, &customer).await?);
            let removed = client.call(Method::DELETE, &path, None).await?;
            if as_json {
                return print_json(&removed);
            }
            let revoked = field(&removed, "revoked_keys");
            return print_out(&format!("Removed customer {customer}. Revoked keys: {revoked}\n"));
        }
    };
    if as_json { print_json(&shown) } else { print_record(&shown, &[]) }
}

/// Returns the ID of the customer with an external ID, otherwise the text itself if it has the form of an ID.
pub(super) async fn find_id(client: &Client, customer: &str) -> Result<CustomerId, CliError> {
    let found = client.get("customers", &[("external_id", customer.to_owned())]).await?;
    let by_external_id = items(found.get("items")).next().map(|found| field(found, "id"));
    let Some(id) = CustomerId::parse(by_external_id.as_deref().unwrap_or(customer)) else {
        return Err(CliError::Failed(format!("no customer has the external ID or ID {customer}")));
    };
    // A text can be the external ID of one customer and the ID of another.
    if id.as_str() != customer
        && CustomerId::parse(customer).is_some()
        && client.get(&format!("customers/{customer}"), &[]).await.is_ok()
    {
        return Err(CliError::Failed(format!(
            "two customers match {customer}, by external ID and by ID; use the ID {id} or the API"
        )));
    }
    Ok(id)
}

async fn path(client: &Client, customer: &str) -> Result<String, CliError> {
    Ok(format!("customers/{}", find_id(client, customer).await?))
}

async fn list(client: &Client, query: Query<'_>, as_json: bool) -> Result<(), CliError> {
    let columns = ["id", "external_id", "name", "keys", "suspended_at", "created_at"];
    let mut table = table(&["id", "external ID", "name", "keys", "suspended", "created"]);
    let mut each = |customer: &Value| {
        if as_json {
            return print_json(customer);
        }
        table.add_row(columns.map(|name| field(customer, name)));
        Ok(())
    };
    client.each_item("customers", query, &mut each).await?;
    if as_json { Ok(()) } else { print_table(&table) }
}
