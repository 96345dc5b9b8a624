//! The `oauth2` crate: both ways to authenticate a client, and a wrong secret each way.

use std::{env, process::exit};

use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AuthType, ClientId, ClientSecret, RequestTokenError, Scope, TokenResponse, TokenUrl, reqwest,
};

fn main() {
    let http = reqwest::blocking::ClientBuilder::new()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("an HTTP client");

    for (name, way) in [
        ("client_secret_basic", AuthType::BasicAuth),
        ("client_secret_post", AuthType::RequestBody),
    ] {
        let client_of = |id: String, secret: &str| {
            BasicClient::new(ClientId::new(id))
                .set_client_secret(ClientSecret::new(variable(secret)))
                .set_auth_type(way.clone())
                .set_token_uri(
                    TokenUrl::new(variable("INTEROP_ISSUER") + "/oauth/token").expect("a URL"),
                )
        };
        let client = |secret: &str| client_of(variable("INTEROP_CLIENT_ID"), secret);

        let token = client("INTEROP_KEY_TEXT")
            .exchange_client_credentials()
            .request(&http);
        check(
            token.as_ref().is_ok_and(|token| {
                *token.token_type() == BasicTokenType::Bearer
                    && token.expires_in().is_some_and(|life| life.as_secs() == 600)
                    && token.scopes().is_some_and(|scopes| !scopes.is_empty())
            }),
            &format!("{name}: a token with the secret"),
            &token,
        );

        let scopes =
            ["read:projects/acme/#", "write:projects/acme/*"].map(|s| Scope::new(s.into()));
        let token = client("INTEROP_BARE_SECRET")
            .exchange_client_credentials()
            .add_scopes(scopes.clone())
            .request(&http);
        check(
            token
                .as_ref()
                .is_ok_and(|token| token.scopes() == Some(&scopes.to_vec())),
            &format!("{name}: a token with the bare secret and a narrower scope"),
            &token,
        );

        let token = client("INTEROP_WRONG_KEY_TEXT")
            .exchange_client_credentials()
            .request(&http);
        check(
            matches!(
                &token,
                Err(RequestTokenError::ServerResponse(refusal))
                    if *refusal.error() == BasicErrorResponseType::InvalidClient
            ),
            &format!("{name}: a wrong secret is reported as invalid_client"),
            &token,
        );

        let token = client_of("0000000000000000".into(), "INTEROP_KEY_TEXT")
            .exchange_client_credentials()
            .request(&http);
        check(
            matches!(
                &token,
                Err(RequestTokenError::ServerResponse(refusal))
                    if *refusal.error() == BasicErrorResponseType::InvalidClient
            ),
            &format!("{name}: an unknown client_id is reported as invalid_client"),
            &token,
        );

        let read = Scope::new("read".into());
        let token = client_of(variable("INTEROP_READER_ID"), "INTEROP_READER_KEY_TEXT")
            .exchange_client_credentials()
            .add_scope(read.clone())
            .request(&http);
        check(
            token
                .as_ref()
                .is_ok_and(|token| token.scopes() == Some(&vec![read.clone()])),
            &format!("{name}: a token for the scope read, spelled so"),
            &token,
        );

        let token = client("INTEROP_KEY_TEXT")
            .exchange_client_credentials()
            .add_scope(Scope::new("openid".into()))
            .request(&http);
        check(
            matches!(
                &token,
                Err(RequestTokenError::ServerResponse(refusal))
                    if *refusal.error() == BasicErrorResponseType::InvalidScope
            ),
            &format!("{name}: the scope openid is reported as invalid_scope"),
            &token,
        );
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set; see tests/interop/README.md"))
}

fn check(holds: bool, what: &str, seen: &dyn std::fmt::Debug) {
    if !holds {
        eprintln!("FAILED rust-oauth2: {what}: {seen:?}");
        exit(1);
    }
    println!("ok rust-oauth2: {what}");
}
