//! The management API, as the command line calls it: one path for every change.

use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

use crate::cli::operations::without_url;
use crate::cli::{CliError, print_bytes};
use crate::domain::key_text::CredentialFault;
use crate::domain::slug::Slug;
use crate::http::credentials::trim;

/// How long an export may take; it is given up sooner when nothing comes for a while.
const EXPORT: Duration = Duration::from_secs(24 * 3600);

/// Which server, and as whom.
#[derive(Args, Debug)]
pub(super) struct ServerArguments {
    /// The server's public URL.
    #[arg(long, global = true, value_name = "URL", env = "KEYTURN_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// A header to send with every request, for example "X-Forwarded-For: 127.0.0.1" to a server that trusts this machine
    /// as a proxy. Can be repeated.
    #[arg(long = "header", global = true, value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// An access token with keyturn/ scopes.
    #[arg(env = "KEYTURN_TOKEN", long = "token-from-environment", hide = true, hide_env_values = true)]
    token: Option<String>,
    /// A key text with keyturn/ scopes.
    #[arg(env = "KEYTURN_API_KEY", long = "key-from-environment", hide = true, hide_env_values = true)]
    api_key: Option<String>,
}

/// A server, and who asks it.
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    credential: String,
    organization: String,
}

impl Client {
    /// Finds out who the credential is, and so of which organization.
    pub(super) async fn connect(arguments: ServerArguments) -> Result<Self, CliError> {
        let credential = credential(arguments.token, arguments.api_key)?;
        let mut server = Url::parse(&arguments.server)
            .ok()
            .filter(|url| {
                matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
            })
            .ok_or_else(|| {
                CliError::Use(
                    "--server: a URL like https://keyturn.example, with no user or password, is expected".into(),
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
            // No certificate authorities are needed; where there are none, the default would fail.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|error| CliError::Failed(without_url(error)))?;
        let mut client = Self { http, server, credential, organization: String::new() };
        let me = client.call(Method::GET, "api/v1/me", &[], None).await?;
        match me.get("organization").and_then(Value::as_str) {
            Some(organization) => organization.clone_into(&mut client.organization),
            None => return Err(client.not_keyturn()),
        }
        Ok(client)
    }

    /// Calls a route of the organization's keys: `rest` follows `/keys`.
    pub(super) async fn keys(
        &self,
        method: Method,
        rest: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Value, CliError> {
        self.organization(method, &format!("keys{rest}"), query, body).await
    }

    /// Calls a route of the organization.
    pub(super) async fn organization(
        &self,
        method: Method,
        rest: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Value, CliError> {
        self.call(method, &format!("api/v1/organizations/{}/{rest}", self.organization), query, body).await
    }

    /// Writes what a route of an organization gives to standard output as it comes, the credential's own organization
    /// if none is named.
    pub(super) async fn export(
        &self,
        rest: &str,
        organization: Option<&Slug>,
        query: &[(&str, String)],
    ) -> Result<(), CliError> {
        let organization = organization.map_or(self.organization.as_str(), Slug::as_str);
        let path = format!("api/v1/organizations/{organization}/{rest}");
        let failed = |error: reqwest::Error| CliError::Failed(format!("{}: {}", self.server, without_url(error)));
        let request = self.request(Method::GET, &path, query)?.timeout(EXPORT);
        let mut answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            let problem: Option<Value> = serde_json::from_str(&answer.text().await.map_err(failed)?).ok();
            return Err(match problem {
                Some(problem) if problem.get("code").is_some() => CliError::Failed(explain(status.as_u16(), &problem)),
                _ => self.not_keyturn(),
            });
        }
        let kind = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-ndjson");
        if !kind {
            return Err(self.not_keyturn());
        }
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            print_bytes(&part)?;
        }
        Ok(())
    }

    /// A request as whom the credential stands for.
    fn request(&self, method: Method, path: &str, query: &[(&str, String)]) -> Result<RequestBuilder, CliError> {
        let mut url = self.server.join(path).map_err(|error| CliError::Use(format!("--server: {error}")))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, url).bearer_auth(&self.credential))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Value, CliError> {
        let mut request = self.request(method, path, query)?;
        if let Some(body) = body {
            request = request.json(&body);
        }
        let failed = |error: reqwest::Error| CliError::Failed(format!("{}: {}", self.server, without_url(error)));
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let value: Option<Value> = serde_json::from_str(&answer.text().await.map_err(failed)?).ok();
        match value {
            Some(value) if status.is_success() && value.is_object() => Ok(value),
            Some(problem) if problem.get("code").is_some() => Err(CliError::Failed(explain(status.as_u16(), &problem))),
            _ => Err(self.not_keyturn()),
        }
    }

    fn not_keyturn(&self) -> CliError {
        CliError::Failed(format!("{}: what answers there is not Keyturn", self.server))
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
        CliError::Use("--header: a name, a colon and a value are expected; Authorization cannot be set".into())
    })
}

/// The token or else the key, without the white space of files and shells.
fn credential(token: Option<String>, api_key: Option<String>) -> Result<String, CliError> {
    let given = [("KEYTURN_TOKEN", token), ("KEYTURN_API_KEY", api_key)].into_iter().find_map(|(name, text)| {
        let text = text.map(|text| trim(&text).to_owned()).filter(|text| !text.is_empty())?;
        Some((name, text))
    });
    let (name, text) = given.ok_or_else(|| {
        CliError::Use("set KEYTURN_API_KEY (a key text) or KEYTURN_TOKEN (an access token) with keyturn/ scopes".into())
    })?;
    match CredentialFault::of_secret(&text) {
        Some(fault) => Err(CliError::Use(format!("{name}: the credential {fault}"))),
        None => Ok(text),
    }
}

/// A problem document in one line.
fn explain(status: u16, problem: &Value) -> String {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut line = format!("{status} {} {}", text(problem, "code"), text(problem, "detail"));
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        line.push_str(&format!("; {}: {}", text(error, "field"), text(error, "message")));
    }
    line
}
