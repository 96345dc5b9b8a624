//! `keyturn init`: an organization with its signing key, owner and first API key.

use clap::Args;
use serde_json::json;

use crate::cli::{CliError, parse_organization, print_json, print_out};
use crate::clock;
use crate::config::Settings;
use crate::domain::member::is_email;
use crate::domain::slug::Slug;
use crate::organizations::{BootstrapError, BootstrappedOrganization, bootstrap_organization};
use crate::server::{self, Opened};

#[derive(Args, Debug)]
#[command(after_help = "Example:\n  keyturn init --organization acme --email owner@acme.example\n\n\
    The password and the secret are shown only once. The first key can do everything; create narrower keys with it and then \
    revoke it.")]
pub(super) struct InitArguments {
    /// Name of the organization in URLs and tokens: 1 to 40 of a-z, 0-9 and '-'
    #[arg(long, value_name = "SLUG", default_value = Slug::DEFAULT)]
    organization: String,
    /// Login of the owner; the default is owner@localhost
    #[arg(long)]
    email: Option<String>,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

pub(super) async fn init(settings: Settings, arguments: InitArguments) -> Result<(), CliError> {
    let slug = parse_organization(&arguments.organization)?;
    if arguments.email.as_deref().is_some_and(|email| !is_email(email)) {
        return Err(CliError::Use("--email: must be an address such as owner@example.org".into()));
    }
    let look = server::database_state(&settings).await?;
    if look.is_some_and(|look| look.organizations.iter().any(|known| known == slug.as_str())) {
        return Err(CliError::Use(BootstrapError::Exists(slug).to_string()));
    }
    let opened = server::open(&settings).await?;
    // The credentials are shown only once, so they are not created if they cannot be shown.
    print_out(if arguments.json { " " } else { "\n" })?;
    let founded = create_in(&opened, &settings, slug, arguments.email).await?;
    show(&founded, &settings, arguments.json)
}

/// Creates an organization in an opened store.
pub(super) async fn create_in(
    opened: &Opened,
    settings: &Settings,
    slug: Slug,
    email: Option<String>,
) -> Result<BootstrappedOrganization, CliError> {
    let email = email.unwrap_or_else(|| "owner@localhost".to_owned());
    let algorithm = settings.token.algorithm;
    let store = opened.store.as_ref();
    match bootstrap_organization(store, &opened.gate, &opened.master_keys, algorithm, (slug, email), clock::now()).await
    {
        Ok(founded) => Ok(founded),
        Err(exists @ BootstrapError::Exists(_)) => Err(CliError::Use(exists.to_string())),
        Err(other) => Err(CliError::Failed(other.to_string())),
    }
}

fn show(founded: &BootstrappedOrganization, settings: &Settings, as_json: bool) -> Result<(), CliError> {
    let public_url = settings.public_url();
    let issuer = founded.organization.issuer(&public_url);
    let (id, text) = (founded.key.id(), founded.key.reveal());
    if as_json {
        let value = json!({
            "organization": founded.organization,
            "issuer": issuer,
            "console": { "url": format!("{public_url}/console"), "email": founded.email, "password": *founded.password },
            "api_key": { "client_id": id, "client_secret": *text },
        });
        return print_json(&value);
    }
    print_out(&format!(
        "Created organization {}. These credentials are shown only once; store them safely.\n\n  issuer     {issuer}\n{}",
        founded.organization,
        credentials(founded, &public_url, "Start the server with `keyturn serve`, then exchange")
    ))
}

/// The credentials of a new organization, and how to use them.
pub(super) fn credentials(founded: &BootstrappedOrganization, public_url: &str, exchange: &str) -> String {
    let (id, secret, email, password) = (founded.key.id(), founded.key.reveal(), &founded.email, &*founded.password);
    let secret = &*secret;
    format!(
        "  console    {public_url}/console
  owner      {email}
  password   {password}
  client ID  {id}
  secret     {secret}

{exchange} the API key for an access token:

  curl -s -u '{id}:{secret}' -d grant_type=client_credentials {public_url}/oauth/token

"
    )
}
