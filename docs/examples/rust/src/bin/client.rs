//! Gets a token with the `oauth2` crate and calls an API with it.

use std::env;

use oauth2::basic::BasicClient;
use oauth2::{ClientId, ClientSecret, Scope, TokenResponse, TokenUrl, reqwest};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let http = reqwest::blocking::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let client = BasicClient::new(ClientId::new(env::var("CLIENT_ID")?))
        .set_client_secret(ClientSecret::new(env::var("CLIENT_SECRET")?))
        .set_token_uri(TokenUrl::new(env::var("ISSUER")? + "/oauth/token")?);

    // Keep the token, and request a new one shortly before `token.expires_in()` is over.
    let token = client.exchange_client_credentials().add_scope(Scope::new("read:orders/*".into())).request(&http)?;

    let response = http.get(env::var("API_URL")?).bearer_auth(token.access_token().secret()).send()?;
    println!("{}", response.error_for_status()?.text()?);
    Ok(())
}
