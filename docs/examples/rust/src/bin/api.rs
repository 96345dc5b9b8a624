//! An API with axum that checks Keyturn's access tokens with `jsonwebtoken`.

use std::env;
use std::sync::{Arc, RwLock};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use keyturn_examples::allows;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Claims {
    sub: String,
    scope: String,
    cidrs: Option<Vec<String>>,
}

/// Checks tokens with the issuer's keys.
struct Checker {
    jwks_url: String,
    validation: Validation,
    keys: RwLock<JwkSet>,
}

impl Checker {
    fn new(issuer: &str, audience: &str) -> Self {
        // The organization's algorithm, and no other.
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let keys = RwLock::new(JwkSet { keys: Vec::new() });
        Self { jwks_url: format!("{issuer}/.well-known/jwks.json"), validation, keys }
    }

    async fn check(&self, headers: &HeaderMap) -> Option<Claims> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let found = decode_header(token).ok()?;
        if found.typ.as_deref() != Some("at+jwt") {
            return None;
        }
        let key = self.key(&found.kid?).await?;
        let claims = decode::<Claims>(token, &key, &self.validation).ok()?.claims;
        // A key that is restricted to networks: compare the client's address with the list, or deny.
        claims.cidrs.is_none().then_some(claims)
    }

    /// The key with this ID. Fetches the keys if it is unknown; limit how often in a real service.
    async fn key(&self, kid: &str) -> Option<DecodingKey> {
        let find = |keys: &JwkSet| keys.find(kid).and_then(|key| DecodingKey::from_jwk(key).ok());
        if let Some(key) = find(&*self.keys.read().ok()?) {
            return Some(key);
        }
        let fetched: JwkSet = reqwest::get(&self.jwks_url).await.ok()?.json().await.ok()?;
        let key = find(&fetched);
        *self.keys.write().ok()? = fetched;
        key
    }
}

async fn read_order(State(checker): State<Arc<Checker>>, Path(order): Path<String>, headers: HeaderMap) -> Response {
    let denied = |status: StatusCode, error: &str| {
        (status, [(header::WWW_AUTHENTICATE, format!("Bearer error=\"{error}\""))]).into_response()
    };
    let Some(token) = checker.check(&headers).await else {
        return denied(StatusCode::UNAUTHORIZED, "invalid_token");
    };
    if !allows(&token.scope, "read", &format!("orders/{order}")) {
        return denied(StatusCode::FORBIDDEN, "insufficient_scope");
    }
    Json(json!({ "order": order, "client": token.sub })).into_response()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let checker = Arc::new(Checker::new(&env::var("ISSUER")?, &env::var("AUDIENCE")?));
    let app = Router::new().route("/orders/{order}", get(read_order)).with_state(checker);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", env::var("PORT")?)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
