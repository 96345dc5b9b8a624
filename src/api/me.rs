//! `GET /api/v1/me`: who a credential is.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::api::guard::{Anyone, Guarded};
use crate::api::problem::Problem;
use crate::clock::rfc3339;

/// Registers the route.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/me")
            .route(web::get().to(me))
            .default_service(web::to(|| async { Problem::method_not_allowed("GET") })),
    );
}

async fn me(guarded: Guarded<Anyone>) -> HttpResponse {
    let (key, grant) = (&guarded.caller.key, &guarded.caller.grant);
    let body = json!({
        "organization": key.organization,
        "credential": if guarded.caller.token.is_some() { "access_token" } else { "api_key" },
        "key": { "id": key.id, "name": key.name, "owner": key.owner },
        "scopes": grant.scopes.iter().map(|scope| json!({
            "action": scope.action(), "resource": scope.filter(),
        })).collect::<Vec<_>>(),
        "allowed_cidrs": key.networks,
        "expires_at": grant.not_after.map(rfc3339),
    });
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}
