//! `/docs`: the OpenAPI document as a page to read, without a script.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use askama::Template;
use serde_json::Value;

use crate::api::openapi::document;
use crate::api::problem::Problem;

#[derive(Template)]
#[template(path = "api/openapi/page.html")]
struct Page {
    version: &'static str,
    tags: Vec<Tag>,
    schemas: Vec<Schema>,
}

struct Tag {
    name: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    parameters: Vec<Field>,
    /// The name of the body's schema.
    body: Option<String>,
    answers: Vec<Answer>,
}

struct Answer {
    status: String,
    description: String,
    /// The name of its schema.
    schema: Option<String>,
}

struct Schema {
    name: String,
    description: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    kind: String,
    is_required: bool,
    description: String,
}

/// The page.
pub(super) async fn serve() -> Result<HttpResponse, Problem> {
    let html = Page::read(&document()).render().map_err(|error| Problem::unavailable(&error))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "max-age=300"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ))
        .body(html))
}

/// Its style.
pub(super) async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/css; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "max-age=300"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(include_str!("page.css"))
}

impl Page {
    fn read(document: &Value) -> Self {
        let mut tags: Vec<Tag> = Vec::new();
        let shared = document.pointer("/components/responses").unwrap_or(&Value::Null);
        for (path, operations) in members(document.get("paths")) {
            for (method, operation) in members(Some(operations)) {
                let name = text(operation.pointer("/tags/0"));
                let operation = Operation::read(path, method, operation, shared);
                match tags.iter_mut().find(|tag| tag.name == name) {
                    Some(tag) => tag.operations.push(operation),
                    None => tags.push(Tag { name, operations: vec![operation] }),
                }
            }
        }
        let schemas = members(document.pointer("/components/schemas"))
            .map(|(name, schema)| Schema {
                name: name.clone(),
                description: text(schema.get("description")),
                fields: fields(schema),
            })
            .collect();
        Self { version: env!("CARGO_PKG_VERSION"), tags, schemas }
    }
}

impl Operation {
    fn read(path: &str, method: &str, operation: &Value, shared: &Value) -> Self {
        let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        Self {
            id: text(operation.get("operationId")),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(operation.get("summary")),
            description: text(operation.get("description")),
            parameters: parameters
                .map(|parameter| Field {
                    name: text(parameter.get("name")),
                    kind: format!("{}, {}", text(parameter.get("in")), kind(parameter.get("schema"))),
                    is_required: parameter.get("required") == Some(&Value::Bool(true)),
                    description: text(parameter.get("description")),
                })
                .collect(),
            body: operation.pointer("/requestBody/content/application~1json/schema").and_then(referred),
            answers: members(operation.get("responses"))
                .map(|(status, answer)| {
                    (status, shared.get(status).filter(|_| answer.get("$ref").is_some()).unwrap_or(answer))
                })
                .map(|(status, answer)| Answer {
                    status: status.clone(),
                    description: text(answer.get("description")),
                    schema: members(answer.get("content"))
                        .find_map(|(_, content)| content.get("schema").and_then(referred)),
                })
                .collect(),
        }
    }
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn referred(schema: &Value) -> Option<String> {
    Some(schema.get("$ref")?.as_str()?.rsplit('/').next()?.to_owned())
}

fn fields(schema: &Value) -> Vec<Field> {
    let required = schema.get("required").and_then(Value::as_array);
    members(schema.get("properties"))
        .map(|(name, field)| Field {
            name: name.clone(),
            kind: kind(Some(field)),
            is_required: required.is_some_and(|required| required.iter().any(|one| one == name.as_str())),
            description: text(field.get("description")),
        })
        .collect()
}

/// A schema in a few words.
fn kind(schema: Option<&Value>) -> String {
    let Some(schema) = schema else { return String::new() };
    if let Some(name) = referred(schema) {
        return name;
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let choices: Vec<String> =
            choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)).collect();
        return choices.join(" | ");
    }
    if let Some(either) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        return either.iter().map(|one| kind(Some(one))).collect::<Vec<_>>().join(" or ");
    }
    let one = |name: &str| match (name, schema.get("items"), schema.get("format").and_then(Value::as_str)) {
        ("array", items, _) => format!("list of {}", kind(items)),
        ("string", _, Some(format)) => format.to_owned(),
        _ => name.to_owned(),
    };
    match schema.get("type") {
        Some(Value::String(name)) => one(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}
