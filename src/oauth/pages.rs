//! CORS at the endpoints that `cors.allowed_origins` applies to.
//!
//! A page that requests tokens can also revoke them. Introspection is for APIs, not for pages.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Resource, web};

use crate::http::access::Explanation;
use crate::http::context::HttpContext;
use crate::oauth::answer::{OAuthError, method_not_allowed};

/// Adds the responses to preflights and to methods other than `POST`.
pub(super) fn with_preflight(resource: Resource) -> Resource {
    resource.route(web::method(actix_web::http::Method::OPTIONS).to(preflight)).default_service(web::to(other_method))
}

async fn preflight(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    if context.allowed_origins.is_empty() {
        return method_not_allowed("POST");
    }
    context.allowed_origins.preflight(request.headers()).unwrap_or_else(|| {
        let error = OAuthError::invalid_request("Origin: not in cors.allowed_origins");
        let error = error.with_status(StatusCode::FORBIDDEN).explained(Explanation::because("origin_not_allowed"));
        let response = error.respond();
        readable(&context, &request, response)
    })
}

async fn other_method(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    let allowed = if context.allowed_origins.is_empty() { "POST" } else { "OPTIONS, POST" };
    readable(&context, &request, method_not_allowed(allowed))
}

/// Makes a response readable for pages of the allowed origins.
pub(super) fn readable(context: &HttpContext, request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    context.allowed_origins.apply(request.headers(), &mut response);
    response
}
