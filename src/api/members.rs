//! `/api/v1/organizations/{org}/members`, and the sessions of members.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::call::Call;
use crate::api::fields::given;
use crate::api::guard::{AdminMembers, AnyCredential, Permission, Principal, ReadMembers};
use crate::api::member_json::{MemberJson, SessionJson};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::domain::api_key::Status;
use crate::domain::member::{Member, MemberId, Role};
use crate::keys::KeyOfRemovedMember;
use crate::members::{self, MemberEdit, MemberKeys, NewMember};

const LIST: &str = "/organizations/{org}/members";
const ONE: &str = "/organizations/{org}/members/{id}";

pub(super) fn routes(routes: &mut Routes) {
    const FOR_OTHERS: &str = "Requires the scope `admin:keyturn/members` for the sessions of other members.";
    routes
        .add(Method::GET, LIST, list)
        .operation("listMembers", "List members")
        .returns(StatusCode::OK, "All members.");
    routes
        .add(Method::POST, LIST, add)
        .operation("addMember", "Add a member. The response contains a temporary password, which is shown once")
        .body_required()
        .returns(StatusCode::CREATED, "The member with its `password`.");
    routes.add(Method::GET, ONE, show).operation("getMember", "Get a member").returns(StatusCode::OK, "The member.");
    routes
        .add(Method::PATCH, ONE, change)
        .operation("changeMember", "Change a member's email address or role, or reset the password")
        .if_match()
        .returns(StatusCode::OK, "The member, with a `password` if it was reset.");
    routes
        .add(Method::DELETE, ONE, remove)
        .operation("removeMember", "Remove a member, and transfer the keys that they own to the organization or revoke them")
        .query(
            "keys",
            "What happens to the keys of the member: `transfer` makes the organization their owner, `revoke` revokes them.",
            json!({ "type": "string", "enum": ["transfer", "revoke"], "default": "transfer" }),
        )
        .if_match()
        .returns(StatusCode::OK, "The transferred and the revoked keys.");
    routes
        .add(Method::GET, "/organizations/{org}/members/{id}/sessions", sessions)
        .operation("listSessions", "List the sessions of a member")
        .permission(FOR_OTHERS)
        .returns(StatusCode::OK, "The active sessions.");
    routes
        .add(Method::DELETE, "/organizations/{org}/members/{id}/sessions/{session}", end_session)
        .operation("endSession", "End a session of a member")
        .permission(FOR_OTHERS)
        .returns(StatusCode::NO_CONTENT, "The session has ended.");
}

async fn list(call: Call<ReadMembers>) -> Result<Reply<ListJson<MemberJson>>, Problem> {
    let members = members::list(call.node(), call.organization()).await?;
    Ok(ListJson::all(members.iter().map(MemberJson::new)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewMember")]
struct AddBody {
    email: String,
    #[schemars(schema_with = "crate::api::openapi::schemas::role")]
    role: Role,
}

async fn add(call: Call<AdminMembers>, body: AddBody) -> Result<Reply<MemberJson>, Problem> {
    let new = NewMember { email: body.email, role: body.role };
    let (member, password) = members::add(call.node(), call.organization(), &call.by(), new).await?;
    let location = call.location(&format!("/organizations/{}/members/{}", member.organization, member.id));
    Ok(Reply::new(MemberJson::with_password(&member, &password)).version(member.version).location(location))
}

async fn show(call: Call<ReadMembers>) -> Result<Reply<MemberJson>, Problem> {
    let id = call.path("id", MemberId::parse)?;
    let member = members::find(call.node(), call.organization(), &id).await?;
    Ok(Reply::new(MemberJson::new(&member)).version(member.version))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberChange")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct ChangeBody {
    #[serde(default, deserialize_with = "given")]
    email: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::optional_role")]
    role: Option<Role>,
    #[serde(default)]
    reset_password: bool,
}

async fn change(call: Call<AdminMembers>, body: ChangeBody) -> Result<Reply<MemberJson>, Problem> {
    let (node, organization, id) = (call.node(), call.organization(), call.path("id", MemberId::parse)?);
    let edit = MemberEdit { email: body.email, role: body.role, resets_password: body.reset_password };
    let (member, password) = members::change(node, organization, &call.by(), &id, call.if_match, edit).await?;
    let json = match &password {
        Some(password) => MemberJson::with_password(&member, password),
        None => MemberJson::new(&member),
    };
    let beyond = match body.role {
        Some(_) => members::keys_beyond_role(node, &member, call.now).await?,
        None => Vec::new(),
    };
    Ok(Reply::new(json.with_keys_beyond_role(&beyond)).version(member.version))
}

/// The effect of removing a member.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RemovedMember")]
struct RemovedJson {
    /// The IDs of the keys that belong to the organization now.
    transferred_keys: Vec<String>,
    /// The IDs of the keys that were revoked.
    revoked_keys: Vec<String>,
}

async fn remove(call: Call<AdminMembers>) -> Result<Reply<RemovedJson>, Problem> {
    let id = call.path("id", MemberId::parse)?;
    let to = call.query(|query| match query.get("keys") {
        None | Some("transfer") => KeyOfRemovedMember::Transfer,
        Some("revoke") => KeyOfRemovedMember::Revoke,
        Some(_) => {
            query.wrong("keys", "must be transfer or revoke");
            KeyOfRemovedMember::Transfer
        }
    })?;
    let (node, organization, by) = (call.node(), call.organization(), call.by());
    let released = members::remove(node, organization, &by, &id, call.if_match, &MemberKeys::all(to)).await?;
    let ids = |is_revoked: bool| {
        let those = released.iter().filter(|key| (key.status(call.now) == Status::Revoked) == is_revoked);
        those.map(|key| key.id.to_string()).collect()
    };
    Ok(Reply::new(RemovedJson { transferred_keys: ids(false), revoked_keys: ids(true) }))
}

async fn sessions(call: Call<AnyCredential>) -> Result<Reply<ListJson<SessionJson>>, Problem> {
    let (member, current) = find_with_sessions(&call).await?;
    let found = members::of_member(call.node(), &member, call.now).await?;
    Ok(ListJson::all(found.iter().map(|session| SessionJson::new(session, current.as_deref()))))
}

async fn end_session(call: Call<AnyCredential>) -> Result<Reply<()>, Problem> {
    let (member, _) = find_with_sessions(&call).await?;
    // Session IDs have the format of member IDs.
    let MemberId(session) = call.path("session", MemberId::parse)?;
    members::end(call.node(), &call.by(), &member, &session).await?;
    Ok(Reply::new(()))
}

/// Returns the member that the path names, if the caller can see their sessions: the caller itself, or with
/// `admin:keyturn/members` any member. For the caller itself, also the ID of the current session.
async fn find_with_sessions(call: &Call<AnyCredential>) -> Result<(Member, Option<String>), Problem> {
    let id = call.path("id", MemberId::parse)?;
    if let Principal::Member(who, _) = &call.principal
        && who.member.id == id
    {
        return Ok((who.member.clone(), Some(who.session.id.clone())));
    }
    if let Some(need) = AdminMembers::NEEDS {
        call.principal.check(need)?;
    }
    Ok((members::find(call.node(), call.organization(), &id).await?, None))
}
