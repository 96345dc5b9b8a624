//! The routes of the management API. Each is written once: from its entry come the registration, the operation in the
//! OpenAPI document, the accepted query parameters and headers, and the methods in `Allow`.

use std::collections::BTreeMap;
use std::rc::Rc;

use actix_web::http::{Method, StatusCode};
use actix_web::{Handler, HttpRequest, ResponseError, web};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::api::call::{Arguments, OpenCall, context};
use crate::api::problem::Problem;
use crate::api::reply::Respond;
use crate::http::methods;

/// Returns the schema of a type, as a reference if it has a name.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The query parameters and headers that a route reads.
#[derive(Default)]
pub(super) struct Accepts {
    /// The names of the query parameters. Others are rejected.
    pub(super) query: Vec<&'static str>,
    /// The names of the query parameters that hold pairs: `name[key]=value`.
    pub(super) maps: Vec<&'static str>,
    pub(super) if_match: bool,
    pub(super) idempotency_key: bool,
    /// Whether the handler runs to its end even if the client disconnects.
    is_change: bool,
}

/// A query parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Value,
}

impl Parameter {
    /// Whether it holds pairs: `name[key]=value`.
    pub(super) fn is_map(&self) -> bool {
        self.schema.get("type").is_some_and(|kind| kind == "object")
    }
}

/// A method on a path, with its handler.
pub(super) struct Route {
    pub(super) method: Method,
    /// The path below `/api/v1`.
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// The permission that it needs, in a sentence.
    pub(super) permission: Option<String>,
    pub(super) query: Vec<Parameter>,
    pub(super) takes_if_match: bool,
    pub(super) takes_idempotency_key: bool,
    /// The schema of its body.
    pub(super) body: Option<SchemaOf>,
    pub(super) is_body_required: bool,
    /// Whether it takes no credentials.
    pub(super) is_open: bool,
    /// Whether it changes something.
    is_change: bool,
    pub(super) status: StatusCode,
    /// The description of a successful response.
    pub(super) returns: &'static str,
    pub(super) schema: SchemaOf,
    /// Another media type of the successful response.
    pub(super) alternative: Option<&'static str>,
    serve: Box<dyn FnOnce(Accepts, StatusCode) -> actix_web::Route>,
}

/// The table of routes.
#[derive(Default)]
pub(super) struct Routes {
    routes: Vec<Route>,
    tag: &'static str,
}

impl Routes {
    /// Adds the routes of a module, under a tag in the document.
    pub(super) fn group(&mut self, tag: &'static str, add: impl FnOnce(&mut Self)) {
        self.tag = tag;
        add(self);
    }

    /// Adds a route. If it changes something, its handler runs to its end even if the client disconnects.
    pub(super) fn add<A, R, F>(&mut self, method: Method, path: &'static str, handler: F) -> &mut Route
    where
        A: Arguments,
        R: Respond + Send + 'static,
        F: Handler<A, Output = Result<R, Problem>, Future: Send>,
    {
        let serve = move |accepts: Accepts, status| {
            let accepts = Rc::new(accepts);
            web::to(move |request: HttpRequest, payload: web::Payload| {
                let (handler, accepts) = (handler.clone(), accepts.clone());
                async move {
                    let arguments = A::read(&request, payload, &accepts).await?;
                    let handled = handler.call(arguments);
                    let reply = if accepts.is_change {
                        context(&request)?.node.run_to_end(handled).await?
                    } else {
                        handled.await?
                    };
                    Ok::<_, Problem>(reply.respond(status))
                }
            })
        };
        self.push::<A, R>(method, path, Box::new(serve))
    }

    /// Adds a `POST` without credentials. Its handler is responsible for running changes to their end.
    pub(super) fn open<B, R, F>(&mut self, path: &'static str, handler: F) -> &mut Route
    where
        (OpenCall, B): Arguments,
        R: Respond + 'static,
        F: Handler<(OpenCall, B), Output = Result<R, Problem>>,
    {
        let serve = move |accepts: Accepts, status| {
            let accepts = Rc::new(accepts);
            web::to(move |request: HttpRequest, payload: web::Payload| {
                let (handler, accepts) = (handler.clone(), accepts.clone());
                async move {
                    let arguments = <(OpenCall, B)>::read(&request, payload, &accepts).await?;
                    Ok::<_, Problem>(handler.call(arguments).await?.respond(status))
                }
            })
        };
        let route = self.push::<(OpenCall, B), R>(Method::POST, path, Box::new(serve));
        route.is_open = true;
        route
    }

    fn push<A: Arguments, R: Respond>(
        &mut self,
        method: Method,
        path: &'static str,
        serve: Box<dyn FnOnce(Accepts, StatusCode) -> actix_web::Route>,
    ) -> &mut Route {
        let permission = A::NEEDS
            .map(|(action, resource)| format!("Requires the scope `{action}:{resource}`, or a role that includes it."));
        self.routes.push_mut(Route {
            is_change: A::is_change(&method),
            method,
            path,
            tag: self.tag,
            id: "",
            summary: "",
            permission,
            query: Vec::new(),
            takes_if_match: false,
            takes_idempotency_key: false,
            body: A::body(),
            is_body_required: false,
            is_open: false,
            status: StatusCode::OK,
            returns: "",
            schema: R::SCHEMA,
            alternative: None,
            serve,
        })
    }

    /// Returns the routes, for the OpenAPI document.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Registers the routes.
    pub(super) fn register(self, config: &mut web::ServiceConfig) {
        // In this order, `/keys/stale` comes before `/keys/{id}`: `{` sorts after every character of a literal segment.
        let mut resources: BTreeMap<&str, Vec<Route>> = BTreeMap::new();
        for route in self.routes {
            resources.entry(route.path).or_default().push(route);
        }
        for (path, routes) in resources {
            let routes = routes.into_iter().map(Route::into_service);
            let refuse = |_: &HttpRequest, allowed: &str| Problem::method_not_allowed(allowed).error_response();
            config.service(methods::resource(path, routes, refuse));
        }
    }
}

impl Route {
    /// Names the operation in the document: a verb with a noun, and a summary.
    pub(super) fn operation(&mut self, id: &'static str, summary: &'static str) -> &mut Self {
        (self.id, self.summary) = (id, summary);
        self
    }

    /// Describes the permission if it depends on more than the route.
    pub(super) fn permission(&mut self, sentence: &str) -> &mut Self {
        self.permission = Some(sentence.to_owned());
        self
    }

    /// Adds a query parameter.
    pub(super) fn query(&mut self, name: &'static str, description: &'static str, schema: Value) -> &mut Self {
        self.query.push(Parameter { name, description, schema });
        self
    }

    /// Adds the query parameters of a list with pages.
    pub(super) fn pages(&mut self) -> &mut Self {
        self.query(
            "limit",
            "Maximum number of items.",
            json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }),
        )
        .query("cursor", "`next_cursor` of the previous page.", json!({ "type": "string", "minLength": 1 }))
    }

    /// Makes the change conditional: the caller can name the version that it has seen.
    pub(super) fn if_match(&mut self) -> &mut Self {
        self.takes_if_match = true;
        self
    }

    /// Lets the caller repeat a request safely.
    pub(super) fn idempotency_key(&mut self) -> &mut Self {
        self.takes_idempotency_key = true;
        self
    }

    /// Documents that the body is required.
    pub(super) fn body_required(&mut self) -> &mut Self {
        self.is_body_required = true;
        self
    }

    /// Sets the status of a successful response, and describes it.
    pub(super) fn returns(&mut self, status: StatusCode, description: &'static str) -> &mut Self {
        (self.status, self.returns) = (status, description);
        self
    }

    /// Documents another media type of the successful response.
    pub(super) fn or_as(&mut self, media_type: &'static str) -> &mut Self {
        self.alternative = Some(media_type);
        self
    }

    fn into_service(self) -> (Method, actix_web::Route) {
        let accepts = Accepts {
            query: self.query.iter().filter(|parameter| !parameter.is_map()).map(|parameter| parameter.name).collect(),
            maps: self.query.iter().filter(|parameter| parameter.is_map()).map(|parameter| parameter.name).collect(),
            if_match: self.takes_if_match,
            idempotency_key: self.takes_idempotency_key,
            is_change: self.is_change,
        };
        (self.method, (self.serve)(accepts, self.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::table;

    #[test]
    fn only_reads_can_be_interrupted() {
        let mut interruptible: Vec<_> = table()
            .iter()
            .filter(|route| !route.is_change && route.method != Method::GET)
            .map(|route| route.id)
            .collect();
        interruptible.sort_unstable();
        assert_eq!(
            interruptible,
            [
                "explainKey",
                "getApiImpact",
                "getImpact",
                "getNetworkImpact",
                "getProfileImpact",
                "lookupKeys",
                "previewToken"
            ]
        );
        assert!(table().iter().all(|route| route.method != Method::GET || !route.is_change));
    }

    #[test]
    fn every_route_is_described() {
        let routes = table();
        for route in routes.iter() {
            assert!(!route.id.is_empty() && !route.summary.is_empty() && !route.returns.is_empty(), "{}", route.path);
            assert_eq!(routes.iter().filter(|other| other.id == route.id).count(), 1, "{}", route.id);
        }
    }
}
