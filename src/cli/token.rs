//! `keyturn token`: an access token for an API key.

use clap::Args;
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::{CliError, print_json, print_out};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  curl -H \"Authorization: Bearer $(keyturn token)\" https://api.example/orders\n  \
    keyturn token --scope read:invoices/* --json"
)]
pub(super) struct TokenArguments {
    #[command(flatten)]
    api: ApiArguments,
    /// Scope of the token; the default is every scope of the key. Can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// API that the token is for (RFC 8707). Can be repeated
    #[arg(long = "resource", value_name = "URL")]
    resources: Vec<String>,
}

pub(super) async fn token(arguments: TokenArguments) -> Result<(), CliError> {
    let TokenArguments { api, scopes, resources } = arguments;
    let client = Client::new(api.server)?;
    if !client.has_api_key() {
        return Err(CliError::Use(
            "only an API key can be exchanged: set KEYTURN_API_KEY or use --api-key-file".into(),
        ));
    }
    let mut fields = vec![("grant_type", "client_credentials".to_owned())];
    if !scopes.is_empty() {
        fields.push(("scope", scopes.join(" ")));
    }
    fields.extend(resources.into_iter().map(|resource| ("resource", resource)));
    let response = client.post_form("oauth/token", &fields).await?;
    if api.json {
        return print_json(&response);
    }
    match response.get("access_token").and_then(Value::as_str) {
        Some(token) => print_out(&format!("{token}\n")),
        None => Err(CliError::Failed("the response has no access_token".into())),
    }
}
