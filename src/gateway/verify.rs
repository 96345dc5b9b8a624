//! `/verify` and `/verify/*`, for any method. The body is never read.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::clock;
use crate::domain::timestamp::Timestamp;
use crate::gateway::answer::{VerifyError, allowed};
use crate::gateway::requirement;
use crate::http::context::HttpContext;
use crate::http::credentials::{self, HeaderCredentials};
use crate::tokens::{Caller, Credential, Required, check};

/// Registers the endpoint. What follows `/verify/` is the path that some gateways append, and is ignored.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/verify").default_service(web::to(verify)))
        .service(web::resource("/verify/{path:.*}").default_service(web::to(verify)));
}

async fn verify(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    let now = clock::now();
    match decide(&context, &request, now).await {
        Ok(caller) => allowed(&caller, context.verdict_max_age_seconds, now),
        Err(error) => error.respond(),
    }
}

async fn decide(context: &HttpContext, request: &HttpRequest, now: Timestamp) -> Result<Caller, VerifyError> {
    // 1. One credential, in one header.
    let credential = credential(request)?;

    // 2. What is required. A requirement that cannot be read is one that nobody meets, but who asks is
    //    told so only after the credential was found good.
    let required: Result<Vec<Required>, VerifyError> = requirement::read(request);
    let readable = required.as_deref().unwrap_or_default();

    // 3. The decision.
    let address = context.client_address(request);
    let caller = check(&context.node, &credential, address, readable, now).await?;
    required.map(|_| caller)
}

fn credential(request: &HttpRequest) -> Result<Credential, VerifyError> {
    match credentials::from_headers(request.headers()) {
        Ok(HeaderCredentials::Bearer(text) | HeaderCredentials::ApiKey(text)) => {
            credentials::key_or_token(&text).ok_or_else(VerifyError::invalid_credentials)
        }
        Ok(HeaderCredentials::None | HeaderCredentials::Basic { .. } | HeaderCredentials::OtherScheme) => {
            Err(VerifyError::credentials_required())
        }
        Err(error) => Err(VerifyError::ambiguous(error.0)),
    }
}
