//! `keyturn serve`: the server, and on an empty store of a loopback address the first credentials.

use std::io::Write;

use crate::cli::CliError;
use crate::cli::init::found_in;
use crate::config::Settings;
use crate::domain::organization::Slug;
use crate::organizations::Founded;
use crate::server;
use crate::store::OrganizationStore;

pub(super) async fn serve(mut settings: Settings) -> Result<(), CliError> {
    server::start_logs(&settings)?;
    let listener = server::listen(&mut settings)?;
    server::database(&settings)?;
    let opened = server::open(&settings).await?;
    let is_empty = opened.store.organizations().await.map_err(server::ServerError::from)?.is_empty();
    let public_url = settings.server.public_url();
    if is_empty {
        if !settings.server.listen.ip().is_loopback() {
            return Err(CliError::Failed(format!(
                "there is no organization yet, and {} is not a loopback address, so no credentials are made up; run: keyturn init",
                settings.server.listen
            )));
        }
        let founded = found_in(&opened, &settings, Slug::default_organization(), None).await?;
        // A closed standard output must not keep the server from serving.
        let _ = welcome(&mut std::io::stdout(), &founded, &public_url);
    } else {
        let _ = writeln!(std::io::stdout(), "Keyturn serves {public_url}");
    }
    Ok(server::serve(settings, listener, opened).await?)
}

fn welcome(out: &mut impl Write, founded: &Founded, public_url: &str) -> std::io::Result<()> {
    let (id, text) = (founded.key.id(), founded.key.reveal());
    writeln!(out, "Keyturn serves {public_url}")?;
    writeln!(out)?;
    writeln!(out, "This is the first run. What follows is shown this once; keep it safe.")?;
    writeln!(out)?;
    writeln!(out, "  owner      {}", founded.email)?;
    writeln!(out, "  password   {}", *founded.password)?;
    writeln!(out, "  client id  {id}")?;
    writeln!(out, "  API key    {}", *text)?;
    writeln!(out)?;
    writeln!(out, "Turn the API key into an access token:")?;
    writeln!(out)?;
    writeln!(out, "  curl -s -u '{id}:{}' -d grant_type=client_credentials {public_url}/oauth/token", *text)?;
    writeln!(out)?;
    out.flush()
}
