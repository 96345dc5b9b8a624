//! The routes of pages and forms.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route, web};

use crate::console::error_page::ErrorPage;
use crate::console::reply::Reply;
use crate::http::context::HttpContext;
use crate::http::methods;

/// Returns a resource with its page, its form or both.
pub(super) fn resource(path: &str, routes: impl IntoIterator<Item = (Method, Route)>) -> Resource {
    methods::resource(path, routes, |_, allowed| HttpResponse::from_error(ErrorPage::method_not_allowed(allowed)))
}

/// Returns the route of a page.
pub(super) fn get<A, F>(handler: F) -> (Method, Route)
where
    A: FromRequest + 'static,
    F: Handler<A, Output: Responder + 'static>,
{
    (Method::GET, web::to(handler))
}

/// Returns the route of a form. Its handler runs to its end even if the browser disconnects.
pub(super) fn submit<A, F>(handler: F) -> (Method, Route)
where
    A: FromRequest + 'static,
    F: Handler<A, Output = Result<Reply, ErrorPage>, Future: Send>,
{
    let route = web::to(move |context: web::Data<HttpContext>, arguments: A| {
        let handled = handler.call(arguments);
        async move { context.node.run_to_end(handled).await }
    });
    (Method::POST, route)
}
