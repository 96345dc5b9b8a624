//! `/api/v1/organizations/{org}/policy`.

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::api::call::Call;
use crate::api::guard::{AdminPolicy, ReadPolicy};
use crate::api::openapi::schemas::PolicyJson;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::route::Routes;
use crate::organizations::{self, Effect};

const POLICY: &str = "/organizations/{org}/policy";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, POLICY, show)
        .operation("getPolicy", "Get the policy")
        .returns(StatusCode::OK, "The policy.");
    routes
        .add(Method::PUT, POLICY, replace)
        .operation("replacePolicy", "Replace the policy. Settings that are absent get their defaults")
        .query(
            "dry_run",
            "`true` changes nothing and returns the effect that the policy would have on existing keys.",
            json!({ "type": "boolean", "default": false }),
        )
        .if_match()
        .returns(StatusCode::OK, "The policy, or with `dry_run` its effects.");
}

async fn show(call: Call<ReadPolicy>) -> Result<Reply<PolicyJson>, Problem> {
    let organization = organizations::read_policy(call.node(), call.organization()).await?;
    Ok(Reply::new(PolicyJson(organization.policy)).version(organization.policy_version))
}

/// The effects that a policy would have.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyDryRun")]
struct DryRunJson {
    policy: PolicyJson,
    /// The effects on existing keys; empty if there are none.
    effects: Vec<EffectJson>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PolicyEffect")]
struct EffectJson {
    setting: &'static str,
    meaning: String,
    count: u64,
    /// Other settings that all of these keys violate as well.
    also: Vec<&'static str>,
    /// The IDs of some of the keys.
    examples: Vec<String>,
}

impl From<Effect> for EffectJson {
    fn from(effect: Effect) -> Self {
        Self {
            setting: effect.setting,
            meaning: effect.description,
            count: effect.count,
            also: effect.also,
            examples: effect.examples.iter().map(|key| key.id.to_string()).collect(),
        }
    }
}

/// The response to `PUT`.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ReplacedPolicy")]
enum ReplacedJson {
    Replaced(PolicyJson),
    DryRun(DryRunJson),
}

async fn replace(call: Call<AdminPolicy>, body: PolicyJson) -> Result<Reply<ReplacedJson>, Problem> {
    let (node, slug, policy) = (call.node(), call.organization(), body.0);
    if call.query(|query| query.flag("dry_run"))? {
        let effects = organizations::effects(node, slug, &policy, call.now).await?;
        let effects = effects.into_iter().map(EffectJson::from).collect();
        return Ok(Reply::new(ReplacedJson::DryRun(DryRunJson { policy: PolicyJson(policy), effects })));
    }
    let replaced = organizations::replace_policy(node, slug, &call.by(), call.if_match, policy).await?;
    Ok(Reply::new(ReplacedJson::Replaced(PolicyJson(replaced.policy))).version(replaced.policy_version))
}
