//! `keyturn init`: an organization with its signing key, owner and first API key.

use clap::Args;
use serde_json::json;

use crate::cli::{CliError, print_out};
use crate::clock;
use crate::config::Settings;
use crate::domain::member::is_email;
use crate::domain::slug::Slug;
use crate::organizations::{FoundError, Founded, found};
use crate::server::{self, Opened};

#[derive(Args, Debug)]
pub(super) struct InitArguments {
    /// The organization's slug: 1 to 40 of a-z, 0-9 and '-'.
    #[arg(long, value_name = "SLUG", default_value = Slug::DEFAULT)]
    organization: String,
    /// The owner's login.
    #[arg(long, value_name = "E")]
    email: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn init(settings: Settings, arguments: InitArguments) -> Result<(), CliError> {
    let slug = Slug::parse(&arguments.organization)
        .ok_or_else(|| CliError::Use("--organization: 1 to 40 of a-z, 0-9 and '-' are expected".into()))?;
    if arguments.email.as_deref().is_some_and(|email| !is_email(email)) {
        return Err(CliError::Use("--email: an address like owner@example.org is expected".into()));
    }
    let look = server::look(&settings).await?;
    if look.is_some_and(|look| look.organizations.iter().any(|known| known == slug.as_str())) {
        return Err(CliError::Use(FoundError::Exists(slug).to_string()));
    }
    let opened = server::open(&settings).await?;
    // What cannot be shown must not be made: the credentials are shown once.
    print_out(if arguments.json { " " } else { "\n" })?;
    let founded = found_in(&opened, &settings, slug, arguments.email).await?;
    show(&founded, &settings, arguments.json)
}

/// Founds an organization in an opened store.
pub(super) async fn found_in(
    opened: &Opened,
    settings: &Settings,
    slug: Slug,
    email: Option<String>,
) -> Result<Founded, CliError> {
    let email = email.unwrap_or_else(|| "owner@localhost".to_owned());
    let algorithm = server::algorithm(settings);
    let store = opened.store.as_ref();
    match found(store, &opened.gate, &opened.master_keys, algorithm, (slug, email), clock::now()).await {
        Ok(founded) => Ok(founded),
        Err(exists @ FoundError::Exists(_)) => Err(CliError::Use(exists.to_string())),
        Err(other) => Err(CliError::Failed(other.to_string())),
    }
}

fn show(founded: &Founded, settings: &Settings, as_json: bool) -> Result<(), CliError> {
    let public_url = settings.server.public_url();
    let issuer = founded.organization.issuer(&public_url);
    let (id, text) = (founded.key.id(), founded.key.reveal());
    if as_json {
        let value = json!({
            "organization": founded.organization,
            "issuer": issuer,
            "console": { "url": format!("{public_url}/console"), "email": founded.email, "password": *founded.password },
            "api_key": { "client_id": id, "client_secret": *text },
        });
        return print_out(&format!("{value}\n"));
    }
    let Founded { organization, email, password, .. } = founded;
    let (text, password) = (&*text, &**password);
    print_out(&format!(
        "\
Organization {organization} is made. What follows is shown this once; keep it safe.

  issuer     {issuer}
  console    {public_url}/console
  owner      {email}
  password   {password}
  client id  {id}
  API key    {text}

Once the server is up, turn the API key into an access token:

  curl -s -u '{id}:{text}' -d grant_type=client_credentials {public_url}/oauth/token
"
    ))
}
