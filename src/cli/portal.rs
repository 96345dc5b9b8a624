//! `keyturn portal …`: the customer portal of an organization, on a running server.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::customers::find_id;
use crate::cli::table::{field, plain, print_record, print_table, table};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::choices::Choice;
use crate::domain::portal::Capability;

#[derive(Args, Debug)]
pub(super) struct PortalArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: PortalCommand,
}

#[derive(Subcommand, Debug)]
enum PortalCommand {
    /// Show the settings of the portal
    #[command(after_help = "Example:\n  keyturn portal show")]
    Show,
    /// Change settings of the portal. An empty value removes a setting
    #[command(
        after_help = "Example:\n  keyturn portal update --name 'Acme Cloud' --color '#0a66c2' --frame-origin https://app.acme.example\n\n\
        Origins replace all that the list has; one empty origin clears it."
    )]
    Update(Settings),
    /// Create a session of a customer and print its URL, which works once
    #[command(after_help = "Example:\n  keyturn portal create-session user_8f3a --scope read:orders/*")]
    CreateSession(NewSession),
    /// List the valid sessions of a customer
    #[command(after_help = "Example:\n  keyturn portal sessions user_8f3a")]
    Sessions {
        /// External ID or ID of the customer
        customer: String,
    },
    /// End a session of a customer
    #[command(after_help = "Example:\n  keyturn portal end-session user_8f3a hk3Jm0s8QnW1c7UO2pXb4A")]
    EndSession {
        /// External ID or ID of the customer
        customer: String,
        /// ID of the session
        session: String,
    },
}

#[derive(Args, Debug)]
struct Settings {
    /// Name that customers see
    #[arg(long)]
    name: Option<String>,
    /// Color of buttons: # and six hexadecimal digits
    #[arg(long)]
    color: Option<String>,
    /// URL of an image
    #[arg(long, value_name = "URL")]
    logo_url: Option<String>,
    /// Introduction above the list of keys
    #[arg(long)]
    text: Option<String>,
    /// Where the portal links back to
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    /// Origin to which sessions can link back. Can be repeated
    #[arg(long = "return-origin", value_name = "ORIGIN")]
    return_origins: Vec<String>,
    /// Origin that can show the portal in a frame. Can be repeated
    #[arg(long = "frame-origin", value_name = "ORIGIN")]
    frame_origins: Vec<String>,
}

#[derive(Args, Debug)]
struct NewSession {
    /// External ID or ID of the customer
    customer: String,
    /// Capability of the customer; all of them by default. Can be repeated
    #[arg(long = "capability", value_name = "CAPABILITY", value_parser = PossibleValuesParser::new(Capability::NAMES))]
    capabilities: Vec<String>,
    /// Scope that new keys can have for the default API. Can be repeated; by default those that the policy lists as grantable
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Where the portal links back to
    #[arg(long, value_name = "URL")]
    return_url: Option<String>,
    /// Name of the person, for the audit log
    #[arg(long)]
    user: Option<String>,
}

pub(super) async fn portal(arguments: PortalArguments) -> Result<(), CliError> {
    let PortalArguments { api, command } = arguments;
    let as_json = api.json;
    let client = Client::connect(api.server).await?;
    let shown = match command {
        PortalCommand::Show => client.get("portal", &[]).await?,
        PortalCommand::Update(settings) => update(&client, settings).await?,
        PortalCommand::CreateSession(new) => {
            let path = sessions_of(&client, &new.customer).await?;
            let session = client.call(Method::POST, &path, Some(&new.body().into())).await?;
            if !as_json {
                return print_out(&format!("{}\n", field(&session, "url")));
            }
            session
        }
        PortalCommand::Sessions { customer } => {
            return list(&client, &sessions_of(&client, &customer).await?, as_json).await;
        }
        PortalCommand::EndSession { customer, session } => {
            let path = format!("{}/{session}", sessions_of(&client, &customer).await?);
            client.call(Method::DELETE, &path, None).await?;
            return if as_json { Ok(()) } else { print_out(&format!("Ended session {session}.\n")) };
        }
    };
    if as_json { print_json(&shown) } else { print_record(&shown, &[]) }
}

/// Changes the given settings, unless they were changed meanwhile.
async fn update(client: &Client, settings: Settings) -> Result<Value, CliError> {
    let given = settings.given();
    if given.is_empty() {
        return Err(CliError::Use("nothing to change: give at least one option, such as --name".into()));
    }
    let (current, version) = client.get_with_etag("portal").await?;
    let mut body = current.as_object().cloned().unwrap_or_default();
    body.extend(given.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let changed = client.put_if_match("portal", &version, &body.into()).await?;
    changed.ok_or_else(|| CliError::Failed("someone else changed the settings at the same time; try again".into()))
}

impl Settings {
    fn given(self) -> Vec<(&'static str, Value)> {
        let optional =
            [("name", self.name), ("color", self.color), ("logo_url", self.logo_url), ("return_url", self.return_url)];
        let lists = [("return_origins", self.return_origins), ("frame_origins", self.frame_origins)];
        let optional = optional.into_iter().filter_map(|(name, text)| {
            // An empty value removes the setting.
            Some((name, Some(text?).filter(|text| !text.is_empty()).into()))
        });
        let text = self.text.map(|text| ("text", Value::from(text)));
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| {
            (name, list.into_iter().filter(|origin| !origin.is_empty()).collect::<Vec<_>>().into())
        });
        optional.chain(text).chain(lists).collect()
    }
}

impl NewSession {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        let mut add = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        if !self.capabilities.is_empty() {
            add("capabilities", json!(self.capabilities));
        }
        if !self.scopes.is_empty() {
            add("scopes", json!(self.scopes));
        }
        for (name, text) in [("return_url", &self.return_url), ("user", &self.user)] {
            if let Some(text) = text {
                add(name, json!(text));
            }
        }
        body
    }
}

async fn sessions_of(client: &Client, customer: &str) -> Result<String, CliError> {
    Ok(format!("customers/{}/portal-sessions", find_id(client, customer).await?))
}

async fn list(client: &Client, path: &str, as_json: bool) -> Result<(), CliError> {
    let mut table = table(&["id", "user", "can", "created", "opened", "expires"]);
    for session in client.list(path).await? {
        if as_json {
            print_json(&session)?;
            continue;
        }
        let text = |name| field(&session, name);
        let can = plain(session.get("capabilities"));
        table.add_row([text("id"), text("user"), can, text("created_at"), text("opened_at"), text("expires_at")]);
    }
    if as_json { Ok(()) } else { print_table(&table) }
}
