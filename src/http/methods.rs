//! Resources with one handler for each method.

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};

/// Returns a resource with one route for each method. Every other method gets 405 with `Allow` (RFC 9110
/// §15.5.6); `refuse` writes the body in the format of the surface, from the request and the list of allowed methods.
pub fn resource(
    path: &str,
    routes: impl IntoIterator<Item = (Method, Route)>,
    refuse: impl Fn(&HttpRequest, &str) -> HttpResponse + Clone + 'static,
) -> Resource {
    let mut allowed = Vec::new();
    let resource = routes.into_iter().fold(web::resource(path), |resource, (method, route)| {
        allowed.push(method.to_string());
        resource.route(route.method(method))
    });
    let allowed = allowed.join(", ");
    resource.default_service(web::to(move |request: HttpRequest| {
        let mut response = refuse(&request, &allowed);
        if let Ok(value) = HeaderValue::from_str(&allowed) {
            response.headers_mut().insert(ALLOW, value);
        }
        async move { response }
    }))
}
