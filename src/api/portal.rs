//! `/api/v1/organizations/{org}/portal` and the portal sessions of a customer.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::customers::customer_id;
use crate::api::fields::{GrantField, ScopeField, requested_grants};
use crate::api::guard::{AdminPolicy, ReadCustomers, ReadKeys, ReadPolicy, WriteCustomers, WriteKeys};
use crate::api::key_json::GrantJson;
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::apis::ServedApi;
use crate::domain::choices::Choice;
use crate::domain::member::MemberId;
use crate::domain::portal::{Capabilities, Capability, PortalSession, PortalSettings, RawPortalSettings, WebUrl};
use crate::domain::violation::Violation;
use crate::http::checks::Checks;
use crate::portal::{self, NewSession};

const SETTINGS: &str = "/organizations/{org}/portal";
const SESSIONS: &str = "/organizations/{org}/customers/{id}/portal-sessions";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, SETTINGS, show_settings)
        .operation("getPortal", "Get the settings of the customer portal")
        .returns(StatusCode::OK, "The settings.");
    routes
        .add(Method::PUT, SETTINGS, replace_settings)
        .operation(
            "replacePortal",
            "Replace the settings of the customer portal. Settings that are absent get their defaults",
        )
        .if_match()
        .returns(StatusCode::OK, "The settings.");
    routes
        .add(Method::GET, SESSIONS, list)
        .operation("listPortalSessions", "List a customer's valid portal sessions, newest first")
        .returns(StatusCode::OK, "All of them.");
    routes
        .add(Method::POST, SESSIONS, create)
        .operation(
            "createPortalSession",
            "Create a portal session: a URL at which the customer manages its own keys. It can be opened once, within 15 minutes",
        )
        .permission(
            "Requires the scopes `write:keyturn/customers` and `write:keyturn/keys`, or a role that includes them; for \
             the capability `read` alone, `read:keyturn/keys` instead of `write:keyturn/keys`. The caller must have the \
             scopes that the session can grant.",
        )
        .returns(StatusCode::CREATED, "The session with its URL.");
    routes
        .add(Method::DELETE, "/organizations/{org}/customers/{id}/portal-sessions/{session}", end)
        .operation("endPortalSession", "End a portal session on every node, or withdraw its URL")
        .returns(StatusCode::NO_CONTENT, "The session has ended.");
}

/// The settings of the customer portal.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Portal")]
struct SettingsJson {
    /// The name that customers see; the organization's display name if `null`.
    #[schemars(extend("minLength" = 1, "maxLength" = 100))]
    name: Option<String>,
    /// The color of buttons: `#` and six hexadecimal digits. Their text is black or white, for the higher contrast.
    #[schemars(extend("pattern" = "^#[0-9A-Fa-f]{6}$"))]
    color: Option<String>,
    /// An image that browsers load, at an `https` URL.
    #[schemars(extend("format" = "uri", "maxLength" = 2048))]
    logo_url: Option<String>,
    /// An introduction above the list of keys.
    #[schemars(extend("maxLength" = 1000))]
    text: String,
    /// Where the portal links back to, unless the session says otherwise.
    #[schemars(extend("format" = "uri", "maxLength" = 2048))]
    return_url: Option<String>,
    /// The origins to which sessions can link back, besides that of `return_url`.
    #[schemars(extend("maxItems" = 20))]
    return_origins: Vec<String>,
    /// The origins that can show the portal in a frame.
    #[schemars(extend("maxItems" = 20))]
    frame_origins: Vec<String>,
}

impl From<PortalSettings> for SettingsJson {
    fn from(settings: PortalSettings) -> Self {
        let texts = |list: &[crate::domain::portal::Origin]| list.iter().map(ToString::to_string).collect();
        Self {
            color: settings.color.map(|color| color.to_string()),
            logo_url: settings.logo_url.map(|url| url.to_string()),
            return_url: settings.return_url.map(|url| url.to_string()),
            return_origins: texts(&settings.return_origins),
            frame_origins: texts(&settings.frame_origins),
            name: settings.name,
            text: settings.text,
        }
    }
}

async fn show_settings(call: Call<ReadPolicy>) -> Result<Reply<SettingsJson>, Problem> {
    let (settings, version) = portal::read_settings(call.node(), call.organization()).await?;
    Ok(Reply::new(settings.into()).version(version))
}

async fn replace_settings(call: Call<AdminPolicy>, body: SettingsJson) -> Result<Reply<SettingsJson>, Problem> {
    // An empty text is how a form leaves a setting out; here `null` does.
    let optional =
        [("name", &body.name), ("color", &body.color), ("logo_url", &body.logo_url), ("return_url", &body.return_url)];
    let is_empty = |(_, text): &(&str, &Option<String>)| text.as_ref().is_some_and(String::is_empty);
    let empty = optional.into_iter().filter(is_empty);
    let empty: Vec<Violation> =
        empty.map(|(field, _)| Violation::new(field, "must not be empty; null removes the setting")).collect();
    if !empty.is_empty() {
        return Err(Problem::invalid(empty));
    }
    let raw = RawPortalSettings {
        name: body.name.unwrap_or_default(),
        color: body.color.unwrap_or_default(),
        logo_url: body.logo_url.unwrap_or_default(),
        text: body.text,
        return_url: body.return_url.unwrap_or_default(),
        return_origins: body.return_origins,
        frame_origins: body.frame_origins,
    };
    let settings = raw.parse().map_err(Problem::invalid)?;
    let (node, organization, by) = (call.node(), call.organization(), call.by());
    let version = portal::replace_settings(node, organization, &by, call.if_match, &settings).await?;
    Ok(Reply::new(settings.into()).version(version))
}

/// A portal session of a customer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PortalSession")]
struct SessionJson {
    id: String,
    /// What the customer can do: `read`, `create`, `rotate`, `revoke`.
    capabilities: Vec<&'static str>,
    /// The scopes that new keys can have, for each API.
    apis: Vec<GrantJson>,
    return_url: Option<String>,
    /// Your name of the person.
    user: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    created_by: String,
    /// When the URL was opened; `null` if it was not.
    #[schemars(extend("format" = "date-time"))]
    opened_at: Option<String>,
    /// The client's address when the URL was opened.
    opened_from: Option<String>,
    /// Until then the URL can be opened; once it is opened, the end of the session.
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    /// The URL, only in the response to its creation. It contains a one-time code: redirect the customer's browser to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "uri"))]
    url: Option<String>,
}

impl SessionJson {
    fn new(session: PortalSession, apis: &[ServedApi]) -> Self {
        Self {
            capabilities: session.capabilities.names(),
            apis: GrantJson::list(&session.grants, apis),
            return_url: session.return_url.as_ref().map(WebUrl::to_string),
            user: session.user,
            created_at: rfc3339(session.created_at),
            created_by: session.created_by,
            opened_at: session.redeemed_at.map(rfc3339),
            opened_from: session.address,
            expires_at: rfc3339(session.ends_at),
            id: session.id,
            url: None,
        }
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "NewPortalSession")]
struct CreateBody {
    /// What the customer can do: `read` (always included), `create`, `rotate`, `revoke`. All of them by default.
    capabilities: Option<Vec<String>>,
    /// The scopes that new keys can have for the default API. By default those that the policy and the APIs allow to be granted.
    scopes: Option<Vec<ScopeField>>,
    /// The scopes that new keys can have, for each API. The default API can be listed too, unless `scopes` is given.
    apis: Option<Vec<GrantField>>,
    /// Where the portal links back to. Its origin must be one of the settings.
    #[schemars(extend("format" = "uri", "maxLength" = 2048))]
    return_url: Option<String>,
    /// Your name of the person, for the audit log.
    #[schemars(extend("maxLength" = 255))]
    user: Option<String>,
}

async fn create(call: Call<WriteCustomers>, body: CreateBody) -> Result<Reply<SessionJson>, Problem> {
    let customer = customer_id(&call)?;
    let mut checks = Checks::default();
    let capabilities = match body.capabilities {
        None => Capabilities::new(Capability::ALL),
        Some(names) => {
            let known: Vec<_> = names.iter().map(|name| Capability::parse(name)).collect();
            if let Some(index) = known.iter().position(Option::is_none) {
                checks.wrong(
                    format!("capabilities[{index}]"),
                    format!("must be one of {}", Capability::NAMES.join(", ")),
                );
            }
            Capabilities::new(known.into_iter().flatten())
        }
    };
    let return_url = body.return_url.as_deref().map(WebUrl::parse);
    if return_url == Some(None) {
        checks.wrong("return_url", WebUrl::RULE);
    }
    let grants = requested_grants(&mut checks, body.scopes, body.apis);
    checks.done()?;
    match capabilities.change_keys() {
        true => call.check::<WriteKeys>()?,
        false => call.check::<ReadKeys>()?,
    }
    let new = NewSession { capabilities, grants, return_url: return_url.flatten(), user: body.user };
    let opened = portal::create(call.node(), call.organization(), &call.by(), &customer, new).await?;
    Ok(Reply::new(SessionJson { url: Some(opened.url), ..SessionJson::new(opened.session, &call.apis()) }))
}

async fn list(call: Call<ReadCustomers>) -> Result<Reply<ListJson<SessionJson>>, Problem> {
    let sessions = portal::list(call.node(), call.organization(), &customer_id(&call)?, call.now).await?;
    let apis = call.apis();
    Ok(ListJson::all(sessions.into_iter().map(|session| SessionJson::new(session, &apis))))
}

async fn end(call: Call<WriteCustomers>) -> Result<Reply<()>, Problem> {
    let customer = customer_id(&call)?;
    // Their format is that of the IDs of members.
    let MemberId(session) = call.path("session", MemberId::parse)?;
    portal::end(call.node(), call.organization(), &call.by(), &customer, &session).await?;
    Ok(Reply::new(()))
}
