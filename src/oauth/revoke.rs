//! `POST /oauth/revoke` (RFC 7009).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::clock;
use crate::domain::decision::ClientAddress;
use crate::http::context::HttpContext;
use crate::http::credentials::key_or_token;
use crate::node::Unavailable;
use crate::oauth::answer::{OAuthError, method_not_allowed, no_store};
use crate::oauth::client::{self, MAX_BODY};
use crate::tokens::{Refusal, RevokeRequest, revoke};

/// Registers the revocation endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/oauth/revoke")
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .route(web::post().to(endpoint))
            .default_service(web::to(|| async { method_not_allowed("POST") })),
    );
}

async fn endpoint(
    context: web::Data<HttpContext>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    let address = context.client_address(&request);
    let mut challenge = true;
    let asked = client::body(body).and_then(|body| read(&request, &body, address, &mut challenge));
    let done = match asked {
        Ok(asked) => {
            let node = context.node.clone();
            let revoked = context.node.run_to_end(async move { revoke(&node, asked).await });
            revoked.await.map_err(|refusal: Refusal| OAuthError::from(refusal))
        }
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => no_store(HttpResponse::Ok()).json(serde_json::json!({})),
        Err(error) => error.limited_by(&context.failures, address).respond(challenge),
    }
}

fn read(
    request: &HttpRequest,
    body: &[u8],
    address: ClientAddress,
    challenge: &mut bool,
) -> Result<RevokeRequest, OAuthError> {
    let (form, headers) = client::read_form(request, body, &[], challenge)?;
    let caller = client::presented_key(headers, &form)?;
    let token = form.value("token").ok_or_else(|| OAuthError::invalid_request("token: missing"))?;
    Ok(RevokeRequest { caller, credential: key_or_token(token), address, now: clock::now() })
}

impl From<Unavailable> for OAuthError {
    fn from(cause: Unavailable) -> Self {
        Self::unavailable(&cause)
    }
}
