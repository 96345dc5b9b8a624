//! `keyturn check-config` and `keyturn health`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::cli::table::{print_table, table};
use crate::cli::{CliError, print_out};
use crate::config::Settings;

pub(super) fn check_config(settings: &Settings) -> Result<(), CliError> {
    let mut table = table(&["setting", "value", "source"]);
    for (key, value, origin) in settings.describe() {
        table.add_row([key, value, origin]);
    }
    print_table(&table)
}

pub(super) async fn health(settings: &Settings) -> Result<(), CliError> {
    let mut address = settings.server.operations_listen.unwrap_or(settings.server.listen);
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let url = format!("http://{address}/healthz");
    let failed = |error: reqwest::Error| CliError::Failed(format!("{url}: {}", describe_error(error)));
    // No certificate authorities are needed, and without any installed the default fails.
    let client = reqwest::Client::builder().tls_certs_only([]).timeout(Duration::from_secs(3)).no_proxy();
    let client = client.build().map_err(failed)?;
    let response = client.get(&url).send().await.map_err(failed)?;
    if response.status().is_success() {
        return print_out("alive\n");
    }
    Err(CliError::Failed(format!("{url}: the server returned {}", response.status())))
}

/// An error of the HTTP client with its causes, in one line and without the URL.
pub(super) fn describe_error(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        line = format!("{line}: {next}");
        cause = next.source();
    }
    line
}
