//! An operation of the OpenAPI document.

use actix_web::http::{Method, StatusCode};
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::api::route::Route;

/// The error responses.
pub(super) const PROBLEMS: [(u16, &str); 12] = [
    (400, "The request is not valid HTTP."),
    (401, "The credentials are missing or not valid."),
    (403, "The caller's scopes, role or network, or the CSRF token, do not allow this."),
    (404, "The object does not exist, or the caller cannot see it."),
    (408, "The body took too long to arrive."),
    (409, "The current state does not allow this."),
    (412, "The object was changed since the version in `If-Match`."),
    (413, "The body is too large."),
    (415, "The body is compressed or not JSON."),
    (422, "Fields or parameters are not valid."),
    (429, "Too many failed attempts or changes."),
    (503, "The server cannot do this now."),
];

/// The schema of a path parameter.
fn path_schema(name: &str) -> Value {
    match name {
        "org" => json!({ "type": "string", "pattern": "^[a-z0-9-]{1,40}$" }),
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}

/// Returns the parameters of a route in its path, query and headers.
fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('{').skip(1).filter_map(|part| part.split_once('}'));
    let in_path =
        in_path.map(|(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": path_schema(name) }));
    let optional = |name: &str, place: &str, description: &str, schema: &Value| json!({ "name": name, "in": place, "description": description, "schema": schema });
    let mut parameters: Vec<Value> = in_path.collect();
    for parameter in &route.query {
        let mut described = optional(parameter.name, "query", parameter.description, &parameter.schema);
        if let Some(members) = described.as_object_mut().filter(|_| parameter.is_map()) {
            members.insert("style".into(), "deepObject".into());
        }
        parameters.push(described);
    }
    if route.takes_if_match {
        let description = "The `ETag` of the version that you have seen. Without it, any version is changed.";
        parameters.push(optional("If-Match", "header", description, &json!({ "type": "string" })));
    }
    if route.takes_idempotency_key {
        let description =
            "A unique name of this request. It is carried out once, however often it is sent within a day.";
        let schema = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
        parameters.push(optional("Idempotency-Key", "header", description, &schema));
    }
    parameters
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let mut content = Map::new();
    if route.status != StatusCode::NO_CONTENT {
        let schema = (route.schema)(schemas).to_value();
        content.insert("application/json".into(), json!({ "schema": schema }));
    }
    if let Some(media_type) = route.alternative {
        content.insert(media_type.into(), json!({ "schema": { "type": "string" } }));
    }
    let success = match content.is_empty() {
        true => json!({ "description": route.returns }),
        false => json!({ "description": route.returns, "content": content }),
    };
    let names_object = route.path.contains('{') || route.path.starts_with("/me/") || route.path == "/session";
    let applies = |status: u16| match status {
        404 => !route.is_open && names_object,
        408 | 413 | 415 => route.body.is_some(),
        409 => route.method != Method::GET,
        412 => route.takes_if_match,
        _ => true,
    };
    let problems = PROBLEMS.iter().filter(|(status, _)| applies(*status));
    let problems =
        problems.map(|(status, _)| (status.to_string(), json!({ "$ref": format!("#/components/responses/{status}") })));
    let mut responses: Map<String, Value> = problems.collect();
    responses.insert(route.status.as_u16().to_string(), success);
    responses
}

/// Returns the operation object of a route (OpenAPI 3.1 §4.8.10).
pub(super) fn describe(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".into(), route.id.into());
    operation.insert("tags".into(), json!([route.tag]));
    operation.insert("summary".into(), route.summary.into());
    operation.insert("responses".into(), responses(route, schemas).into());
    if let Some(permission) = &route.permission {
        operation.insert("description".into(), permission.as_str().into());
    }
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(schema) = route.body {
        let body = json!({ "schema": schema(schemas).to_value() });
        let content = match route.method {
            Method::PATCH => json!({ "application/json": body, "application/merge-patch+json": body }),
            _ => json!({ "application/json": body }),
        };
        operation.insert("requestBody".into(), json!({ "required": route.is_body_required, "content": content }));
    }
    if route.is_open {
        operation.insert("security".into(), json!([]));
    }
    operation.into()
}
