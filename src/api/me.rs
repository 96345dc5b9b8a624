//! `GET /api/v1/me`: who a credential is.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::guard::{AnyCredential, Guarded, Principal};
use crate::api::key_json::ScopeJson;
use crate::api::member_json::MemberJson;
use crate::api::problem::Problem;
use crate::clock::rfc3339;
use crate::domain::networks::Networks;

/// Registers the route.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/me")
            .route(web::get().to(me))
            .default_service(web::to(|| async { Problem::method_not_allowed("GET") })),
    );
}

/// Who a credential is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Me")]
pub(super) struct MeJson {
    organization: String,
    /// `api_key`, `access_token` or `session`.
    credential: &'static str,
    /// The key, where it is one or a token of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<MyKeyJson>,
    /// The person, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberJson>,
    /// What it holds; a person: the most that they can hand out.
    scopes: Vec<ScopeJson>,
    #[schemars(schema_with = "crate::api::openapi::schemas::networks")]
    allowed_cidrs: Networks,
    #[schemars(extend("format" = "date-time"))]
    expires_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MyKey")]
pub(super) struct MyKeyJson {
    id: String,
    name: String,
    owner: Option<String>,
}

async fn me(guarded: Guarded<AnyCredential>) -> HttpResponse {
    let organization = guarded.organization().to_string();
    let body = match &guarded.principal {
        Principal::Key(caller) => MeJson {
            organization,
            credential: if caller.token.is_some() { "access_token" } else { "api_key" },
            key: Some(MyKeyJson {
                id: caller.key.id.to_string(),
                name: caller.key.name.clone(),
                owner: caller.key.owner.as_ref().map(|owner| owner.0.clone()),
            }),
            member: None,
            scopes: ScopeJson::list(&caller.grant.scopes),
            allowed_cidrs: caller.key.networks.clone(),
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
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(body)
}
