//! `keyturn init`: an organization with its signing key, owner and first API key.

use clap::Args;
use serde_json::json;

use crate::cli::CliError;
use crate::clock;
use crate::config::Settings;
use crate::domain::member::is_email;
use crate::domain::organization::Slug;
use crate::organizations::{FoundError, Founded, found};
use crate::server::{self, Opened, ServerError};
use crate::store::{LockError, OrganizationStore, SqlStore};

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
    let opened = match server::open(&settings).await {
        Err(ServerError::Lock(LockError::Held(path))) => {
            let store = SqlStore::open(server::database(&settings)?, 1).await.map_err(ServerError::from)?;
            refuse_existing(&store, &slug).await?;
            return Err(ServerError::Lock(LockError::Held(path)).into());
        }
        other => other?,
    };
    refuse_existing(opened.store.as_ref(), &slug).await?;
    let founded = found_in(&opened, &settings, slug, arguments.email).await?;
    show(&founded, &settings, arguments.json);
    Ok(())
}

async fn refuse_existing(store: &SqlStore, slug: &Slug) -> Result<(), CliError> {
    let known = store.organizations().await.map_err(ServerError::from)?;
    if known.iter().any(|organization| organization.slug == *slug) {
        return Err(CliError::Use(FoundError::Exists(slug.clone()).to_string()));
    }
    Ok(())
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

fn show(founded: &Founded, settings: &Settings, as_json: bool) {
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
        println!("{value}");
        return;
    }
    println!("Organization {} is made. What follows is shown this once; keep it safe.\n", founded.organization);
    println!("  issuer     {issuer}");
    println!("  owner      {}", founded.email);
    println!("  password   {}", *founded.password);
    println!("  client id  {id}");
    println!("  API key    {}\n", *text);
    println!("Once the server is up, turn the API key into an access token:\n");
    println!("  curl -s -u '{id}:{}' -d grant_type=client_credentials {public_url}/oauth/token", *text);
}
