//! CORS at the endpoints that `cors.allowed_origins` applies to.
//!
//! A page that requests tokens can also revoke them. Introspection is for APIs, not for pages.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};

use crate::http::access::Explanation;
use crate::http::context::HttpContext;
use crate::http::methods;
use crate::oauth::answer::{OAuthError, method_not_allowed};

/// Returns a resource for `POST`, and for preflights if any origin is allowed. Pages can read its other responses too.
pub(super) fn resource(path: &str, post: Route, has_origins: bool) -> Resource {
    let preflights = has_origins.then(|| (Method::OPTIONS, web::to(preflight)));
    methods::resource(path, preflights.into_iter().chain([(Method::POST, post)]), |request, allowed| {
        let response = method_not_allowed(allowed);
        match request.app_data::<web::Data<HttpContext>>() {
            Some(context) => readable(context, request, response),
            None => response,
        }
    })
}

async fn preflight(context: web::Data<HttpContext>, request: HttpRequest) -> HttpResponse {
    context.allowed_origins.preflight(request.headers()).unwrap_or_else(|| {
        let error = OAuthError::invalid_request("Origin: not in cors.allowed_origins");
        let error = error.with_status(StatusCode::FORBIDDEN).explained(Explanation::because("origin_not_allowed"));
        let response = error.respond();
        readable(&context, &request, response)
    })
}

/// Makes a response readable for pages of the allowed origins.
pub(super) fn readable(context: &HttpContext, request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    context.allowed_origins.apply(request.headers(), &mut response);
    response
}
