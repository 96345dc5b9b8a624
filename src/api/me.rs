//! `GET /api/v1/me`: the caller and its rights.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::call::Call;
use crate::api::guard::{AnyCredential, Principal};
use crate::api::key_json::ScopeJson;
use crate::api::member_json::MemberJson;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::domain::networks::Networks;

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, "/me", me)
        .operation("whoAmI", "Get the caller")
        .returns(StatusCode::OK, "The key or member, and its rights.");
}

/// The caller.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Me")]
struct MeJson {
    organization: String,
    /// `api_key`, `access_token` or `session`.
    credential: &'static str,
    /// The key, if the credential is a key or an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<MyKeyJson>,
    /// The member, if the credential is a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberJson>,
    /// The scopes of the credential. For a member: the scopes that they can grant.
    scopes: Vec<ScopeJson>,
    #[schemars(schema_with = "crate::api::openapi::schemas::networks")]
    allowed_cidrs: Networks,
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MyKey")]
struct MyKeyJson {
    id: String,
    name: String,
    owner: Option<String>,
}

async fn me(call: Call<AnyCredential>) -> Result<Reply<MeJson>, Problem> {
    let organization = call.organization().to_string();
    let body = match &call.principal {
        Principal::Key(caller) => MeJson {
            organization,
            credential: if caller.token.is_some() { "access_token" } else { "api_key" },
            key: Some(MyKeyJson {
                id: caller.key.id.to_string(),
                name: caller.key.name.clone(),
                owner: caller.key.owner.as_ref().map(|owner| owner.0.clone()),
            }),
            member: None,
            scopes: ScopeJson::list(caller.grants().of_default_api()),
            allowed_cidrs: caller.tenant.shared.networks_of(&caller.key).into_owned(),
            expires_at: caller.grant.not_after.map(rfc3339),
        },
        Principal::Member(who, _) => MeJson {
            organization,
            credential: "session",
            key: None,
            member: Some(MemberJson::new(&who.member)),
            scopes: ScopeJson::list(&who.member.role.grantable()),
            allowed_cidrs: Networks::all(),
            expires_at: Some(rfc3339(who.session.ends_at)),
        },
    };
    Ok(Reply::new(body))
}
