//! A client of the management API. Every change that the command line makes on a running server goes through it.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde_json::Value;
use url::form_urlencoded;

use crate::cli::credential::{Credential, ServerArguments};
use crate::cli::operations::describe_error;
use crate::cli::table::{items, plain};
use crate::cli::{CliError, print_bytes};
use crate::domain::slug::Slug;

/// How long an export may take. It fails sooner if nothing arrives for a while.
const EXPORT: Duration = Duration::from_secs(24 * 3600);

/// Items of a page: the most that a list returns at once.
const PAGE: u32 = 200;

/// Parameters of a query.
pub(super) type Query<'a> = Vec<(&'a str, String)>;

/// A server and the credential to call it with.
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    credential: Credential,
    organization: String,
}

/// A JSON response; `null` without a body.
struct Response {
    etag: Option<String>,
    body: Value,
}

impl Client {
    /// Prepares a client and looks up the organization of its credential.
    pub(super) async fn connect(arguments: ServerArguments) -> Result<Self, CliError> {
        let mut client = Self::new(arguments)?;
        let me = client.send(client.request(Method::GET, "api/v1/me", &[])?).await?.body;
        match me.get("organization").and_then(Value::as_str) {
            Some(organization) => organization.clone_into(&mut client.organization),
            None => return Err(client.not_keyturn(StatusCode::OK)),
        }
        Ok(client)
    }

    /// Prepares a client without calling the server.
    pub(super) fn new(arguments: ServerArguments) -> Result<Self, CliError> {
        let credential = Credential::read(&arguments)?;
        let mut server = Url::parse(&arguments.server)
            .ok()
            .filter(|url| {
                matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
            })
            .ok_or_else(|| {
                CliError::Use(
                    "--server: must be a URL such as https://keyturn.example, without a user or password".into(),
                )
            })?;
        if !server.path().ends_with('/') {
            server.set_path(&format!("{}/", server.path()));
        }
        let headers = arguments.headers.iter().map(|text| read_header(text)).collect::<Result<_, _>>()?;
        let mut http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .read_timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers);
        if server.scheme() == "http" {
            // No certificate authorities are needed, and without any installed the default fails.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| CliError::Failed(describe_error(error)))?;
        Ok(Self { http, server, credential, organization: String::new() })
    }

    /// The organization of the credential.
    pub(super) fn organization(&self) -> &str {
        &self.organization
    }

    /// Reads a resource of the organization.
    pub(super) async fn get(&self, rest: &str, query: &[(&str, String)]) -> Result<Value, CliError> {
        Ok(self.send(self.request(Method::GET, &self.path(rest), query)?).await?.body)
    }

    /// Reads a resource of the organization and its `ETag`.
    pub(super) async fn get_with_etag(&self, rest: &str) -> Result<(Value, String), CliError> {
        let response = self.send(self.request(Method::GET, &self.path(rest), &[])?).await?;
        let etag = response.etag.ok_or_else(|| self.not_keyturn(StatusCode::OK))?;
        Ok((response.body, etag))
    }

    /// Sends a request about a resource of the organization.
    pub(super) async fn call(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.call_path(method, &self.path(rest), body).await
    }

    /// Reads a resource under `/api/v1`.
    pub(super) async fn get_root(&self, rest: &str, query: &[(&str, String)]) -> Result<Value, CliError> {
        Ok(self.send(self.request(Method::GET, &format!("api/v1/{rest}"), query)?).await?.body)
    }

    /// Sends a request about a resource under `/api/v1`.
    pub(super) async fn call_root(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.call_path(method, &format!("api/v1/{rest}"), body).await
    }

    async fn call_path(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        let mut request = self.request(method, path, &[])?;
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(self.send(request).await?.body)
    }

    /// Replaces a resource of the organization, or reports what that would do.
    pub(super) async fn put(&self, rest: &str, query: &[(&str, String)], body: &Value) -> Result<Value, CliError> {
        Ok(self.send(self.request(Method::PUT, &self.path(rest), query)?.json(body)).await?.body)
    }

    /// Replaces a resource of the organization if it is unchanged. `None`: it has changed since `etag` was read.
    pub(super) async fn put_if_match(&self, rest: &str, etag: &str, body: &Value) -> Result<Option<Value>, CliError> {
        let request = self.request(Method::PUT, &self.path(rest), &[])?.header(IF_MATCH, etag).json(body);
        let (status, response) = self.receive(request).await?;
        if status == StatusCode::PRECONDITION_FAILED {
            return Ok(None);
        }
        Ok(Some(self.judge(status, response)?.body))
    }

    /// Hands every item of a list to `each`, page after page.
    pub(super) async fn each_item(
        &self,
        rest: &str,
        mut query: Query<'_>,
        each: &mut dyn FnMut(&Value) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        query.push(("limit", PAGE.to_string()));
        loop {
            let page = self.get(rest, &query).await?;
            items(page.get("items")).try_for_each(&mut *each)?;
            let Some(next) = page.get("next_cursor").and_then(Value::as_str) else { return Ok(()) };
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", next.to_owned()));
        }
    }

    /// Returns the items of a list that has a single page.
    pub(super) async fn list(&self, rest: &str) -> Result<Vec<Value>, CliError> {
        let page = self.get(rest, &[]).await?;
        Ok(items(page.get("items")).cloned().collect())
    }

    /// Sends a form to an OAuth endpoint.
    pub(super) async fn post_form(&self, path: &str, fields: &[(&str, String)]) -> Result<Value, CliError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request(Method::POST, path, &[])?;
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        Ok(self.send(request).await?.body)
    }

    /// Copies NDJSON of an organization to standard output as it arrives. The default is the credential's organization.
    pub(super) async fn export(
        &self,
        rest: &str,
        organization: Option<&Slug>,
        query: &[(&str, String)],
    ) -> Result<(), CliError> {
        let organization = organization.map_or(self.organization.as_str(), Slug::as_str);
        let path = format!("api/v1/organizations/{organization}/{rest}");
        let request = self.request(Method::GET, &path, query)?.timeout(EXPORT);
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        if !status.is_success() {
            let text = response.text().await.map_err(|error| self.failed(error))?;
            return Err(self.error_of(status, &serde_json::from_str(&text).unwrap_or_default()));
        }
        if response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != "application/x-ndjson") {
            return Err(self.not_keyturn(status));
        }
        while let Some(part) = response.chunk().await.map_err(|error| self.failed(error))? {
            print_bytes(&part)?;
        }
        Ok(())
    }

    /// Whether the credential is an API key and not a token.
    pub(super) fn has_api_key(&self) -> bool {
        self.credential.is_api_key()
    }

    fn path(&self, rest: &str) -> String {
        format!("api/v1/organizations/{}/{rest}", self.organization)
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> Result<RequestBuilder, CliError> {
        let mut url = self.server.join(path).map_err(|error| CliError::Use(format!("--server: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, url).bearer_auth(self.credential.expose()))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let (status, response) = self.receive(request).await?;
        self.judge(status, response)
    }

    async fn receive(&self, request: RequestBuilder) -> Result<(StatusCode, Response), CliError> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let text = response.text().await.map_err(|error| self.failed(error))?;
        Ok((status, Response { etag, body: serde_json::from_str(&text).unwrap_or_default() }))
    }

    /// Returns a successful response; an error response becomes one line.
    fn judge(&self, status: StatusCode, response: Response) -> Result<Response, CliError> {
        let is_empty = status == StatusCode::NO_CONTENT && response.body.is_null();
        match status.is_success() && (response.body.is_object() || is_empty) {
            true => Ok(response),
            false => Err(self.error_of(status, &response.body)),
        }
    }

    fn error_of(&self, status: StatusCode, body: &Value) -> CliError {
        match body.get("code").or(body.get("error")) {
            Some(_) if !status.is_success() => CliError::Failed(describe_problem(status, body)),
            _ => self.not_keyturn(status),
        }
    }

    fn failed(&self, error: reqwest::Error) -> CliError {
        CliError::Failed(format!("{}: {}", self.server, describe_error(error)))
    }

    fn not_keyturn(&self, status: StatusCode) -> CliError {
        CliError::Failed(format!(
            "{}: the response (HTTP {}) is not from Keyturn; check --server",
            self.server,
            status.as_u16()
        ))
    }
}

fn read_header(text: &str) -> Result<(HeaderName, HeaderValue), CliError> {
    let parsed = text.split_once(':').and_then(|(name, value)| {
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        (name != AUTHORIZATION).then_some((name, value))
    });
    parsed.ok_or_else(|| {
        CliError::Use("--header: must be a name, a colon and a value; Authorization cannot be set".into())
    })
}

/// A problem document (RFC 9457) or an OAuth error (RFC 6749 section 5.2) in one line, its fields first.
fn describe_problem(status: StatusCode, problem: &Value) -> String {
    let text = |value: &Value, name: &str| plain(value.get(name));
    let mut parts: Vec<String> = items(problem.get("errors"))
        .map(|error| format!("{}: {}", text(error, "field"), text(error, "message")))
        .collect();
    // The detail of a failed validation only announces the fields.
    if parts.is_empty() || text(problem, "code") != "VALIDATION_FAILED" {
        let detail = ["detail", "error_description"].into_iter().map(|name| text(problem, name));
        parts.splice(0..0, detail.filter(|detail| !detail.is_empty()));
    }
    let code = ["error", "code"].into_iter().map(|name| text(problem, name)).filter(|code| !code.is_empty());
    let codes = std::iter::once(status.as_u16().to_string()).chain(code).collect::<Vec<_>>().join(" ");
    format!("{} ({codes})", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_name_every_field_first() {
        let problem = json!({ "code": "VALIDATION_FAILED", "detail": "Validation failed", "errors": [
            { "field": "name", "message": "is missing" }, { "field": "scopes[0]", "message": "is not a scope" },
        ] });
        let line = "name: is missing; scopes[0]: is not a scope (422 VALIDATION_FAILED)";
        assert_eq!(describe_problem(StatusCode::UNPROCESSABLE_ENTITY, &problem), line);
    }

    #[test]
    fn problems_without_fields_have_their_detail() {
        let problem = json!({ "code": "NOT_FOUND", "detail": "Not found", "errors": [] });
        assert_eq!(describe_problem(StatusCode::NOT_FOUND, &problem), "Not found (404 NOT_FOUND)");
        let oauth = json!({ "error": "invalid_scope", "code": "INVALID_SCOPE", "error_description": "no such scope" });
        let line = "no such scope (400 invalid_scope INVALID_SCOPE)";
        assert_eq!(describe_problem(StatusCode::BAD_REQUEST, &oauth), line);
    }
}
