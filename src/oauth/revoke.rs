//! `POST /oauth/revoke` (RFC 7009).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::clock;
use crate::domain::decision::ClientAddress;
use crate::http::context::HttpContext;
use crate::http::credentials::key_or_token;
use crate::node::Unavailable;
use crate::oauth::answer::{OAuthError, no_store};
use crate::oauth::client;
use crate::oauth::pages::{readable, with_preflight};
use crate::signing::VERIFY_MAX_BYTES;
use crate::tokens::{RevokeError, RevokeRequest, revoke};

/// A token of ours, however long, and the credentials beside it.
const MAX_BODY: usize = VERIFY_MAX_BYTES + 4096;

/// Registers the revocation endpoint.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(with_preflight(web::resource("/oauth/revoke").route(web::post().to(endpoint))));
}

async fn endpoint(context: web::Data<HttpContext>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let address = context.client_address(&request);
    let mut challenge = true;
    let asked = match client::body(payload, MAX_BODY).await {
        Ok(body) => read(&request, &body, address, &mut challenge),
        Err(error) => Err(error),
    };
    let done = match asked {
        Ok(asked) => {
            let node = context.node.clone();
            let revoked = context.node.run_to_end(async move { revoke(&node, asked).await });
            revoked.await.map_err(|error: RevokeError| match error {
                RevokeError::Refused(refusal) => OAuthError::from(refusal),
                RevokeError::Limited(seconds) => OAuthError::too_many_revocations(seconds),
            })
        }
        Err(error) => Err(error),
    };
    let response = match done {
        Ok(()) => no_store(HttpResponse::Ok()).json(serde_json::json!({})),
        Err(error) => error.limited_by(&context.failures, address).respond(challenge),
    };
    readable(&context, &request, response)
}

fn read(
    request: &HttpRequest,
    body: &[u8],
    address: ClientAddress,
    challenge: &mut bool,
) -> Result<RevokeRequest, OAuthError> {
    let (form, headers) = client::read_form(request, body, &[], challenge)?;
    let caller = client::presented_key(&headers, &form)?;
    let token = form.value("token").ok_or_else(|| OAuthError::invalid_request("token: missing"))?;
    Ok(RevokeRequest { caller, credential: key_or_token(token).ok(), address, now: clock::now() })
}

impl From<Unavailable> for OAuthError {
    fn from(cause: Unavailable) -> Self {
        Self::unavailable(&cause)
    }
}
