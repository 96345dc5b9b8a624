//! `keyturn serve`: the server, and on an empty store of a loopback address the first credentials.

use crate::cli::init::found_in;
use crate::cli::{CliError, print_out};
use crate::config::Settings;
use crate::domain::slug::Slug;
use crate::organizations::Founded;
use crate::server;

pub(super) async fn serve(mut settings: Settings) -> Result<(), CliError> {
    let _flush = server::start_logs(&settings)?;
    let listeners = server::listen(&mut settings)?;
    let opened = server::open(&settings).await?;
    let is_empty = opened.store.organizations(None).await.map_err(server::ServerError::from)?.is_empty();
    let public_url = settings.server.public_url();
    if is_empty && !settings.server.listen.ip().is_loopback() {
        return Err(CliError::Failed(format!(
            "there is no organization yet, and {} is not a loopback address, so no credentials are made up; run: keyturn init",
            settings.server.listen
        )));
    }
    let said = print_out(&format!("Keyturn serves {public_url}\n"));
    if is_empty {
        // What cannot be shown must not be made: the credentials are shown once.
        said?;
        let founded = found_in(&opened, &settings, Slug::default_organization(), None).await?;
        print_out(&welcome(&founded, &public_url))?;
    }
    Ok(server::serve(settings, listeners, opened).await?)
}

fn welcome(founded: &Founded, public_url: &str) -> String {
    let (id, text, email, password) =
        (founded.key.id(), founded.key.reveal(), &founded.email, founded.password.as_str());
    let text = text.as_str();
    format!(
        "
This is the first run. What follows is shown this once; keep it safe.

  console    {public_url}/console
  owner      {email}
  password   {password}
  client id  {id}
  API key    {text}

Turn the API key into an access token:

  curl -s -u '{id}:{text}' -d grant_type=client_credentials {public_url}/oauth/token

"
    )
}
