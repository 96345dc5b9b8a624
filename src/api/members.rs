//! `/api/v1/organizations/{org}/members` and their sessions.

use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::etag::{etag, if_match};
use crate::api::fields::given;
use crate::api::guard::{AdminMembers, AnyCredential, Guarded, Principal, ReadMembers};
use crate::api::member_json::{MemberJson, SessionJson};
use crate::api::problem::Problem;
use crate::domain::member::{Member, MemberId, Role};
use crate::http::context::HttpContext;
use crate::members::{self, MemberEdit, MemberError, NewMember};

type Context = web::Data<HttpContext>;

/// Registers the routes.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    const LIST: &str = "/organizations/{org}/members";
    const ONE: &str = "/organizations/{org}/members/{id}";
    let resource = |path: String, allowed: &'static str| {
        web::resource(path).default_service(web::to(move || async move { Problem::method_not_allowed(allowed) }))
    };
    config
        .service(resource(LIST.into(), "GET, POST").route(web::get().to(list)).route(web::post().to(add)))
        .service(
            resource(ONE.into(), "GET, PATCH, DELETE")
                .route(web::get().to(show))
                .route(web::patch().to(change))
                .route(web::delete().to(remove)),
        )
        .service(resource(format!("{ONE}/sessions"), "GET").route(web::get().to(sessions)))
        .service(resource(format!("{ONE}/sessions/{{session}}"), "DELETE").route(web::delete().to(end_session)));
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MemberList")]
pub(super) struct MemberListJson {
    items: Vec<MemberJson>,
    next_cursor: Option<String>,
}

async fn list(guarded: Guarded<ReadMembers>, context: Context) -> Result<HttpResponse, Problem> {
    let members = members::list(&context.node, &guarded.organization()).await?;
    let items = members.iter().map(MemberJson::new).collect();
    Ok(no_store(HttpResponse::Ok()).json(MemberListJson { items, next_cursor: None }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewMember")]
pub(super) struct AddBody {
    email: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::role")]
    role: Role,
}

async fn add(
    guarded: Guarded<AdminMembers>,
    context: Context,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let AddBody { email, role } = body::read(&request, payload).await?;
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let added = context
        .node
        .run_to_end(async move { members::add(&node, &organization, &by, NewMember { email, role }).await });
    let (member, password) = added.await?;
    let location =
        format!("{}/api/v1/organizations/{}/members/{}", context.public_path.as_str(), member.organization, member.id);
    let mut response = with_headers(HttpResponse::Created(), &member);
    Ok(response.insert_header((LOCATION, location)).json(MemberJson::with_password(&member, &password)))
}

async fn show(
    guarded: Guarded<ReadMembers>,
    context: Context,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let member = members::find(&context.node, &guarded.organization(), &member_id(&path.1)?).await?;
    Ok(with_headers(HttpResponse::Ok(), &member).json(MemberJson::new(&member)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberChange")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
pub(super) struct ChangeBody {
    #[serde(default, deserialize_with = "given")]
    email: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::optional_role")]
    role: Option<Role>,
    #[serde(default)]
    reset_password: bool,
}

async fn change(
    guarded: Guarded<AdminMembers>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (id, version) = (member_id(&path.1)?, if_match(&request));
    let body: ChangeBody = body::read(&request, payload).await?;
    let edit = MemberEdit { email: body.email, role: body.role, resets_password: body.reset_password };
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let changed =
        context.node.run_to_end(async move { members::change(&node, &organization, &by, &id, version, edit).await });
    let (member, password) = changed.await?;
    let json = match &password {
        Some(password) => MemberJson::with_password(&member, password),
        None => MemberJson::new(&member),
    };
    let beyond = match body.role {
        Some(_) => members::keys_beyond_role(&context.node, &member, guarded.now).await?,
        None => Vec::new(),
    };
    Ok(with_headers(HttpResponse::Ok(), &member).json(json.with_keys_beyond_role(&beyond)))
}

/// What ended with a membership.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RemovedMember")]
pub(super) struct RemovedJson {
    /// The ids of the keys that were revoked.
    revoked_keys: Vec<String>,
}

async fn remove(
    guarded: Guarded<AdminMembers>,
    context: Context,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (id, version) = (member_id(&path.1)?, if_match(&request));
    let (node, organization, by) = (context.node.clone(), guarded.organization(), guarded.by());
    let removed =
        context.node.run_to_end(async move { members::remove(&node, &organization, &by, &id, version).await });
    let revoked_keys = removed.await?.iter().map(|key| key.id.to_string()).collect();
    Ok(no_store(HttpResponse::Ok()).json(RemovedJson { revoked_keys }))
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionList")]
pub(super) struct SessionListJson {
    items: Vec<SessionJson>,
    next_cursor: Option<String>,
}

async fn sessions(
    guarded: Guarded<AnyCredential>,
    context: Context,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (member, current) = whose(&guarded, &context, &path.1).await?;
    let found = members::of_member(&context.node, &member, guarded.now).await?;
    let items = found.iter().map(|session| SessionJson::new(session, current.as_deref())).collect();
    Ok(no_store(HttpResponse::Ok()).json(SessionListJson { items, next_cursor: None }))
}

async fn end_session(
    guarded: Guarded<AnyCredential>,
    context: Context,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (member, _) = whose(&guarded, &context, &path.1).await?;
    let MemberId(id) = member_id(&path.2)?;
    let (node, by) = (context.node.clone(), guarded.by());
    context.node.run_to_end(async move { members::end(&node, &by, &member, &id).await }).await?;
    Ok(no_store(HttpResponse::NoContent()).finish())
}

/// The member whose sessions are asked for: oneself, or with `admin:keyturn/members` somebody else. And the session that
/// asks, if it is one of theirs.
async fn whose(
    guarded: &Guarded<AnyCredential>,
    context: &Context,
    id: &str,
) -> Result<(Member, Option<String>), Problem> {
    let id = member_id(id)?;
    if let Principal::Member(who, _) = &guarded.principal
        && who.member.id == id
    {
        return Ok((who.member.clone(), Some(who.session.id.clone())));
    }
    guarded.principal.check_admin_of_members()?;
    Ok((members::find(&context.node, &guarded.organization(), &id).await?, None))
}

/// The id of a member, or of a session, which looks alike.
fn member_id(text: &str) -> Result<MemberId, Problem> {
    MemberId::parse(text).ok_or_else(|| MemberError::NotFound.into())
}

fn no_store(mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}

fn with_headers(response: HttpResponseBuilder, member: &Member) -> HttpResponseBuilder {
    let mut response = no_store(response);
    response.insert_header((ETAG, etag(member.version)));
    response
}
