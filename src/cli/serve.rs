//! `keyturn serve`: the server. On a loopback address with an empty store, it creates an organization first.

use crate::cli::init::{create_in, credentials};
use crate::cli::{CliError, print_out};
use crate::config::Settings;
use crate::domain::slug::Slug;
use crate::server;

pub(super) async fn serve(mut settings: Settings) -> Result<(), CliError> {
    let _flush = server::start_logs(&settings)?;
    let listeners = server::listen(&mut settings)?;
    let opened = server::open(&settings).await?;
    let is_empty = opened.store.organizations().await.map_err(server::ServerError::from)?.is_empty();
    let public_url = settings.public_url();
    if is_empty && !settings.server.listen.ip().is_loopback() {
        return Err(CliError::Failed(format!(
            "there is no organization yet, and {} is not a loopback address, so none is created automatically; run: keyturn init",
            settings.server.listen
        )));
    }
    let printed = print_out(&format!("Keyturn serves {public_url}\n"));
    if is_empty {
        // The credentials are shown only once, so they are not created if they cannot be shown.
        printed?;
        let created = create_in(&opened, &settings, Slug::default_organization(), None).await?;
        print_out(&format!(
            "\nFirst run: created organization {}. These credentials are shown only once; store them safely.\n\n{}",
            created.organization,
            credentials(&created, &public_url, "Exchange")
        ))?;
    }
    Ok(server::serve(settings, listeners, opened).await?)
}
