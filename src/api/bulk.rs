//! `POST /api/v1/organizations/{org}/keys/bulk`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::call::Call;
use crate::api::fields::nullable;
use crate::api::guard::WriteKeys;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::domain::api_key::Status;
use crate::domain::key_text::KeyId;
use crate::domain::member::MemberId;
use crate::http::checks::Checks;
use crate::keys::{self, BulkChange, MAX_BULK};

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::POST, "/organizations/{org}/keys/bulk", change)
        .operation("changeKeys", "Disable, enable or revoke many API keys, or set their expiry or owner")
        .body_required()
        .returns(StatusCode::OK, "The result for each key. A failed change does not affect the others.");
}

/// A change of up to 1,000 keys. Each is checked, audited and effective like a single change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BulkChange")]
struct BulkBody {
    #[schemars(length(min = 1, max = 1000))]
    ids: Vec<String>,
    action: ActionField,
    /// Only for `revoke`.
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::reason")]
    reason: Option<String>,
    /// Required for `set_expiry`; null is no expiry.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::moment")]
    expires_at: Option<Option<String>>,
    /// Required for `set_owner`: the ID of a member; null is the organization.
    #[serde(default, deserialize_with = "nullable")]
    owner: Option<Option<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BulkAction")]
enum ActionField {
    Disable,
    Enable,
    Revoke,
    SetExpiry,
    SetOwner,
}

/// The results of a bulk change.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BulkResults")]
struct BulkJson {
    changed: usize,
    failed: usize,
    /// In the order of `ids`.
    results: Vec<ResultJson>,
}

/// The result for one key: its new status, or why it was not changed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BulkResult")]
struct ResultJson {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::api::openapi::schemas::status")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::api::openapi::schemas::code")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

async fn change(call: Call<WriteKeys>, body: BulkBody) -> Result<Reply<BulkJson>, Problem> {
    // 1. The keys and the change.
    let mut checks = Checks::default();
    if body.ids.is_empty() || body.ids.len() > MAX_BULK {
        checks.wrong("ids", format!("must have 1 to {MAX_BULK} entries"));
    }
    let mut ids: Vec<KeyId> = Vec::with_capacity(body.ids.len().min(MAX_BULK));
    for (index, text) in body.ids.iter().enumerate().take(MAX_BULK) {
        match KeyId::parse(text) {
            None => checks.wrong(format!("ids[{index}]"), "must be a key ID of 16 letters and digits"),
            Some(id) => ids.push(id),
        }
    }
    let mut different = ids.clone();
    different.sort_unstable();
    different.dedup();
    if different.len() < ids.len() {
        checks.wrong("ids", "must not contain a key twice");
    }
    checks.text("reason", body.reason.as_deref().unwrap_or_default());
    if body.reason.is_some() && body.action != ActionField::Revoke {
        checks.wrong("reason", "is only allowed with the action revoke");
    }
    let expires_at = match (body.action, body.expires_at) {
        (ActionField::SetExpiry, None) => {
            checks.wrong("expires_at", "is required with the action set_expiry");
            None
        }
        (ActionField::SetExpiry, given) => checks.expiry(given, None, call.now).flatten(),
        (_, Some(_)) => {
            checks.wrong("expires_at", "is only allowed with the action set_expiry");
            None
        }
        (_, None) => None,
    };
    match (body.action, &body.owner) {
        (ActionField::SetOwner, None) => checks.wrong("owner", "is required with the action set_owner"),
        (ActionField::SetOwner, Some(_)) | (_, None) => {}
        (_, Some(_)) => checks.wrong("owner", "is only allowed with the action set_owner"),
    }
    checks.done()?;
    let owner = body.owner.flatten().map(MemberId);
    let change = match body.action {
        ActionField::Disable => BulkChange::Disable,
        ActionField::Enable => BulkChange::Enable,
        ActionField::Revoke => BulkChange::Revoke(body.reason),
        ActionField::SetExpiry => BulkChange::SetExpiry(expires_at),
        ActionField::SetOwner => BulkChange::SetOwner(keys::owner(call.node(), call.organization(), owner).await?),
    };
    let credential = call.principal.credential();
    call.context.count_bulk(&credential, ids.len(), change.takes_away()).map_err(Problem::too_many_changes)?;

    // 2. Each key.
    let changed = keys::change_many(call.node(), call.organization(), &call.by(), &ids, &change).await;
    let results: Vec<ResultJson> = changed
        .into_iter()
        .map(|(id, result)| match result {
            Ok(key) => ResultJson { id: id.to_string(), status: Some(key.status(call.now)), code: None, detail: None },
            Err(error) => {
                let (code, detail) = Problem::from(error).summary();
                ResultJson { id: id.to_string(), status: None, code: Some(code), detail: Some(detail) }
            }
        })
        .collect();
    let failed = results.iter().filter(|result| result.code.is_some()).count();
    Ok(Reply::new(BulkJson { changed: results.len() - failed, failed, results }))
}
