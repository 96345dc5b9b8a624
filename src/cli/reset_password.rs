//! `keyturn members reset-password`: break-glass access, directly on the database.

use clap::Args;
use serde_json::json;

use crate::cli::{CliError, print_json, print_out};
use crate::clock;
use crate::config::Settings;
use crate::domain::slug::Slug;
use crate::members::{self, RecoveryError};
use crate::server;

#[derive(Args, Debug)]
pub(super) struct ResetArguments {
    /// Login of the member
    #[arg(long)]
    email: String,
    /// Organization of the member
    #[arg(long, value_name = "SLUG", default_value = Slug::DEFAULT)]
    organization: String,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

pub(super) async fn reset_password(settings: &Settings, arguments: ResetArguments) -> Result<(), CliError> {
    let ResetArguments { email, organization, json: as_json } = arguments;
    let slug = super::parse_organization(&organization)?;
    let known = server::database_state(settings).await?.ok_or_else(super::no_database)?;
    if !known.organizations.iter().any(|known| known == slug.as_str()) {
        let organizations = known.organizations.join(", ");
        return Err(CliError::Failed(format!(
            "organization {slug} does not exist; this database has: {organizations}"
        )));
    }
    let opened = server::open(settings).await?;
    let failed = |error: RecoveryError| CliError::Failed(error.to_string());
    let member = members::find_login(opened.store.as_ref(), &slug, &email).await.map_err(failed)?;
    // The password is shown only once, so it is not created if it cannot be shown.
    print_out(if as_json { " " } else { "\n" })?;
    let reset = members::reset_password(opened.store.as_ref(), &opened.gate, &member, clock::now()).await;
    opened.store.close().await;
    let password = reset.map_err(failed)?;
    if as_json {
        return print_json(&json!({
            "organization": member.organization, "email": member.email, "role": member.role, "password": *password,
        }));
    }
    print_out(&format!(
        "\
The password of {}, {} of organization {}, is reset and their sessions have ended.
It is shown only once:

  {}

Sign in and change it.
",
        member.email, member.role, member.organization, *password
    ))
}
