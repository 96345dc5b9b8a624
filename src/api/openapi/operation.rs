//! One operation of the management API as the OpenAPI document describes it.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// An operation: a method on a path, what it takes and what it answers.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    scope: Option<&'static str>,
    parameters: Vec<Value>,
    body: Option<(Value, bool)>,
    answers: Vec<Answer>,
    takes_if_match: bool,
    is_open: bool,
}

/// A good answer: its status, what it means, and the schema and media type of its body.
type Answer = (u16, &'static str, Option<(Value, &'static str)>);

/// The operations of one kind of thing.
pub(super) struct Group<'g> {
    pub(super) tag: &'static str,
    pub(super) schemas: &'g mut SchemaGenerator,
    pub(super) operations: &'g mut Vec<Operation>,
}

impl Group<'_> {
    /// Adds an operation; its id is a verb and a noun.
    pub(super) fn add(
        &mut self,
        method: &'static str,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Added<'_> {
        self.operations.push(Operation {
            method,
            path,
            id,
            tag: self.tag,
            summary,
            scope: None,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            takes_if_match: false,
            is_open: false,
        });
        Added { schemas: self.schemas, operation: self.operations.last_mut() }
    }
}

/// An operation that was just added, to be told more of.
pub(super) struct Added<'a> {
    schemas: &'a mut SchemaGenerator,
    operation: Option<&'a mut Operation>,
}

impl Added<'_> {
    fn with(mut self, change: impl FnOnce(&mut Operation)) -> Self {
        if let Some(operation) = self.operation.as_deref_mut() {
            change(operation);
        }
        self
    }

    /// The scope that it needs.
    pub(super) fn needs(self, scope: &'static str) -> Self {
        self.with(|operation| operation.scope = Some(scope))
    }

    /// It takes no credentials.
    pub(super) fn open(self) -> Self {
        self.with(|operation| operation.is_open = true)
    }

    /// A query parameter with its schema.
    pub(super) fn query(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.with(|operation| {
            operation
                .parameters
                .push(json!({ "name": name, "in": "query", "description": description, "schema": schema }));
        })
    }

    /// A header with its schema.
    pub(super) fn header(self, name: &'static str, description: &'static str, schema: Value) -> Self {
        self.with(|operation| {
            operation
                .parameters
                .push(json!({ "name": name, "in": "header", "description": description, "schema": schema }));
        })
    }

    /// It may be held to a version.
    pub(super) fn if_match(self) -> Self {
        self.with(|operation| operation.takes_if_match = true).header(
            "If-Match",
            "the ETag of the version that you have seen; without it any version is changed",
            json!({ "type": "string" }),
        )
    }

    /// A JSON body that must be there.
    pub(super) fn body<T: JsonSchema>(self) -> Self {
        let schema = self.schemas.subschema_for::<T>().to_value();
        self.with(|operation| operation.body = Some((schema, true)))
    }

    /// A JSON body that may be left out: then every field is absent.
    pub(super) fn optional_body<T: JsonSchema>(self) -> Self {
        let schema = self.schemas.subschema_for::<T>().to_value();
        self.with(|operation| operation.body = Some((schema, false)))
    }

    /// A good answer with a JSON body.
    pub(super) fn answers<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        let schema = self.schemas.subschema_for::<T>().to_value();
        self.with(|operation| operation.answers.push((status, description, Some((schema, "application/json")))))
    }

    /// The same answer in another form.
    pub(super) fn or_as(self, status: u16, description: &'static str, kind: &'static str) -> Self {
        let schema = json!({ "type": "string" });
        self.with(|operation| operation.answers.push((status, description, Some((schema, kind)))))
    }

    /// A good answer without a body.
    pub(super) fn answers_nothing(self, status: u16, description: &'static str) -> Self {
        self.with(|operation| operation.answers.push((status, description, None)))
    }
}

/// The problems that calls are answered with.
pub(super) const PROBLEMS: [(u16, &str); 12] = [
    (400, "the request is not readable HTTP"),
    (401, "no credentials, or none that are good"),
    (403, "a scope, a role, a network or the CSRF token is missing"),
    (404, "there is nothing here that you may see"),
    (408, "the body took too long to arrive"),
    (409, "the present state does not allow it"),
    (412, "it was changed since the version in If-Match"),
    (413, "the body is too large"),
    (415, "the body is compressed or not JSON"),
    (422, "fields that are not as they should be"),
    (429, "too many failed attempts"),
    (503, "it could not be done now"),
];

/// What can be in a path, as a regular expression of its schema.
fn path_schema(name: &str) -> Value {
    match name {
        "org" => json!({ "type": "string", "pattern": "^[a-z0-9-]{1,40}$" }),
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}

impl Operation {
    /// The operation object (OpenAPI 3.1 §4.8.10).
    pub(super) fn to_json(&self) -> Value {
        let mut parameters: Vec<Value> = self
            .path
            .split('{')
            .skip(1)
            .filter_map(|part| part.split_once('}'))
            .map(|(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": path_schema(name) }))
            .collect();
        let in_path = parameters.len();
        parameters.extend(self.parameters.iter().cloned());

        let mut responses: Map<String, Value> = Map::new();
        for (status, description, body) in &self.answers {
            let response = responses.entry(status.to_string()).or_insert_with(|| json!({ "description": description }));
            if let (Some((schema, kind)), Some(response)) = (body, response.as_object_mut()) {
                let content = response.entry("content").or_insert_with(|| json!({}));
                if let Some(content) = content.as_object_mut() {
                    content.insert((*kind).to_owned(), json!({ "schema": schema }));
                }
            }
        }
        let changes = self.method != "GET";
        let has_object = !self.is_open && (in_path > 0 || self.path.starts_with("/me/") || self.path == "/session");
        let applies = |status: u16| match status {
            404 => has_object,
            408 | 413 | 415 => self.body.is_some(),
            409 => changes,
            412 => self.takes_if_match,
            _ => true,
        };
        for (status, _) in PROBLEMS.iter().filter(|(status, _)| applies(*status)) {
            let problem = json!({ "$ref": format!("#/components/responses/{status}") });
            responses.entry(status.to_string()).or_insert(problem);
        }

        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": responses,
        });
        let Some(object) = operation.as_object_mut() else { return operation };
        if let Some(scope) = self.scope {
            object.insert("description".into(), format!("Needs the scope `{scope}`, or a role that holds it.").into());
        }
        if !parameters.is_empty() {
            object.insert("parameters".into(), parameters.into());
        }
        if let Some((schema, required)) = &self.body {
            let content = if self.method == "PATCH" {
                json!({ "application/json": { "schema": schema }, "application/merge-patch+json": { "schema": schema } })
            } else {
                json!({ "application/json": { "schema": schema } })
            };
            object.insert("requestBody".into(), json!({ "required": required, "content": content }));
        }
        if self.is_open {
            object.insert("security".into(), json!([]));
        }
        operation
    }
}
