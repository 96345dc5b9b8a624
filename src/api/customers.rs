//! `/api/v1/organizations/{org}/customers`.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::call::Call;
use crate::api::fields::{NoBody, given, nullable};
use crate::api::guard::{ReadCustomers, WriteCustomers, WriteKeys};
use crate::api::problem::Problem;
use crate::api::reply::{ListJson, Reply};
use crate::api::route::Routes;
use crate::clock::rfc3339;
use crate::customers::{self, NewCustomer};
use crate::domain::customer::{Customer, CustomerEdit, CustomerId, ExternalId, MAX_KEYS};
use crate::http::checks::Checks;
use crate::store::CustomerFilter;

const LIST: &str = "/organizations/{org}/customers";
const ONE: &str = "/organizations/{org}/customers/{id}";

pub(super) fn routes(routes: &mut Routes) {
    routes
        .add(Method::GET, LIST, list)
        .operation("listCustomers", "List customers, newest first")
        .query(
            "search",
            "Only customers whose external ID or name contains this text, ignoring case; or with this ID.",
            json!({ "type": "string", "maxLength": 100 }),
        )
        .query("external_id", "Only the customer with this external ID.", json!({ "type": "string", "maxLength": 255 }))
        .query("suspended", "Only suspended customers, or only others.", json!({ "type": "boolean" }))
        .pages()
        .returns(StatusCode::OK, "A page of customers.");
    routes
        .add(Method::POST, LIST, create)
        .operation("createCustomer", "Create a customer. Create keys with `customer` to give them to it")
        .body_required()
        .returns(StatusCode::CREATED, "The customer.");
    routes
        .add(Method::GET, ONE, show)
        .operation("getCustomer", "Get a customer")
        .returns(StatusCode::OK, "The customer.");
    routes
        .add(Method::PATCH, ONE, edit)
        .operation("editCustomer", "Edit a customer")
        .if_match()
        .returns(StatusCode::OK, "The customer.");
    routes
        .add(Method::DELETE, ONE, remove)
        .operation("removeCustomer", "Remove a customer for good. All its keys and tokens stop working at once")
        .query(
            "revoke_keys",
            "Whether keys of the customer that still work are revoked, which also needs `write:keyturn/keys`. Otherwise a customer with such \
             keys is not removed.",
            json!({ "type": "boolean", "default": false }),
        )
        .if_match()
        .returns(StatusCode::OK, "The number of revoked keys.");
    routes
        .add(Method::POST, "/organizations/{org}/customers/{id}/suspend", |call: Call<WriteCustomers>, _: NoBody| {
            transition(call, true)
        })
        .operation("suspendCustomer", "Suspend a customer. All its keys and tokens stop working at once")
        .if_match()
        .returns(StatusCode::OK, "The customer.");
    routes
        .add(Method::POST, "/organizations/{org}/customers/{id}/reinstate", |call: Call<WriteCustomers>, _: NoBody| {
            transition(call, false)
        })
        .operation("reinstateCustomer", "End the suspension of a customer. Earlier tokens stay invalid")
        .if_match()
        .returns(StatusCode::OK, "The customer.");
}

/// A customer: the user or tenant whom keys are given to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Customer")]
struct CustomerJson {
    id: String,
    /// Your ID of the user or tenant.
    external_id: String,
    name: String,
    metadata: BTreeMap<String, String>,
    /// Maximum number of keys that are neither revoked nor expired; `null` is the policy's `max_keys_per_user`.
    max_keys: Option<u32>,
    /// Number of keys that are neither revoked nor expired.
    keys: u64,
    /// When the customer was suspended; `null` if it is not.
    #[schemars(extend("format" = "date-time"))]
    suspended_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    created_by: String,
    version: u64,
}

impl CustomerJson {
    fn new(customer: &Customer, keys: u64) -> Self {
        Self {
            id: customer.id.to_string(),
            external_id: customer.external_id.to_string(),
            name: customer.name.clone(),
            metadata: customer.metadata.to_map(),
            max_keys: customer.max_keys,
            keys,
            suspended_at: customer.suspended_at.map(rfc3339),
            created_at: rfc3339(customer.created_at),
            created_by: customer.created_by.clone(),
            version: customer.version,
        }
    }
}

async fn list(call: Call<ReadCustomers>) -> Result<Reply<ListJson<CustomerJson>>, Problem> {
    let filter = call.query(|query| CustomerFilter {
        search: query
            .parse("search", "at most 100 characters", |text| (text.chars().count() <= 100).then(|| text.to_owned())),
        external_id: query.parse("external_id", "1 to 255 visible characters", ExternalId::parse),
        is_suspended: query.parse("suspended", "true or false", |text| text.parse().ok()),
        after: query.cursor(customers::read_cursor),
        ..CustomerFilter::new(call.organization().clone(), query.limit())
    })?;
    let page = customers::list(call.node(), filter).await?;
    let ids: Vec<CustomerId> = page.items.iter().map(|customer| customer.id).collect();
    let keys = customers::key_counts(call.node(), &ids, call.now).await?;
    let json = |customer: Customer| CustomerJson::new(&customer, keys.get(&customer.id).copied().unwrap_or_default());
    Ok(ListJson::page(page, customers::cursor, json))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewCustomer")]
struct CreateBody {
    /// Your ID of the user or tenant. Unique in the organization.
    #[schemars(schema_with = "crate::api::openapi::schemas::external_id")]
    external_id: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::name")]
    name: String,
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::metadata")]
    metadata: BTreeMap<String, String>,
    /// Maximum number of keys that are neither revoked nor expired; by default the policy's `max_keys_per_user`.
    #[serde(default)]
    #[schemars(schema_with = "crate::api::openapi::schemas::customer_keys")]
    max_keys: Option<u32>,
}

async fn create(call: Call<WriteCustomers>, body: CreateBody) -> Result<Reply<CustomerJson>, Problem> {
    let mut checks = Checks::default();
    checks.name(&body.name);
    let external_id = read_external_id(&mut checks, &body.external_id);
    let metadata = checks.metadata(body.metadata);
    check_limit(&mut checks, body.max_keys);
    checks.done()?;
    let (Some(external_id), Some(metadata)) = (external_id, metadata) else { return Err(Problem::not_found()) };
    let new = NewCustomer { external_id, name: body.name, metadata, max_keys: body.max_keys };
    let customer = customers::create(call.node(), call.organization(), &call.by(), new).await?;
    let location = call.location(&format!("/organizations/{}/customers/{}", customer.organization, customer.id));
    Ok(Reply::new(CustomerJson::new(&customer, 0)).version(customer.version).location(location))
}

async fn show(call: Call<ReadCustomers>) -> Result<Reply<CustomerJson>, Problem> {
    let customer = customers::find(call.node(), call.organization(), &customer_id(&call)?).await?;
    reply(&call, &customer).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CustomerEdit")]
#[schemars(transform = crate::api::openapi::schemas::without_null)]
struct EditBody {
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::external_id")]
    external_id: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::name")]
    name: Option<String>,
    /// Replaces all pairs.
    #[serde(default, deserialize_with = "given")]
    #[schemars(schema_with = "crate::api::openapi::schemas::metadata")]
    metadata: Option<BTreeMap<String, String>>,
    /// `null` is the policy's `max_keys_per_user`. A lower limit affects no existing key.
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(schema_with = "crate::api::openapi::schemas::customer_keys")]
    max_keys: Option<Option<u32>>,
}

async fn edit(call: Call<WriteCustomers>, body: EditBody) -> Result<Reply<CustomerJson>, Problem> {
    let id = customer_id(&call)?;
    let mut checks = Checks::default();
    if let Some(name) = &body.name {
        checks.name(name);
    }
    let edit = CustomerEdit {
        external_id: body.external_id.as_deref().and_then(|text| read_external_id(&mut checks, text)),
        name: body.name,
        metadata: body.metadata.and_then(|pairs| checks.metadata(pairs)),
        max_keys: body.max_keys,
    };
    check_limit(&mut checks, body.max_keys.flatten());
    checks.done()?;
    let edited = customers::edit(call.node(), call.organization(), &call.by(), &id, call.if_match, edit).await?;
    reply(&call, &edited).await
}

/// The effect of removing a customer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RemovedCustomer")]
struct RemovedJson {
    /// Number of keys that were revoked, expired ones among them.
    revoked_keys: u64,
}

async fn remove(call: Call<WriteCustomers>) -> Result<Reply<RemovedJson>, Problem> {
    let id = customer_id(&call)?;
    let revokes_keys = call.query(|query| query.flag("revoke_keys"))?;
    let (node, organization, by) = (call.node(), call.organization(), call.by());
    if revokes_keys {
        call.check::<WriteKeys>()?;
    }
    let revoked_keys = customers::remove(node, organization, &by, &id, call.if_match, revokes_keys).await?;
    Ok(Reply::new(RemovedJson { revoked_keys }))
}

async fn transition(call: Call<WriteCustomers>, suspends: bool) -> Result<Reply<CustomerJson>, Problem> {
    let id = customer_id(&call)?;
    let (node, organization, by, version) = (call.node(), call.organization(), call.by(), call.if_match);
    let customer = match suspends {
        true => customers::suspend(node, organization, &by, &id, version).await?,
        false => customers::reinstate(node, organization, &by, &id, version).await?,
    };
    reply(&call, &customer).await
}

pub(super) fn customer_id<P>(call: &Call<P>) -> Result<CustomerId, Problem> {
    call.path("id", CustomerId::parse)
}

async fn reply<P>(call: &Call<P>, customer: &Customer) -> Result<Reply<CustomerJson>, Problem> {
    let keys = customers::key_counts(call.node(), &[customer.id], call.now).await?;
    let keys = keys.get(&customer.id).copied().unwrap_or_default();
    Ok(Reply::new(CustomerJson::new(customer, keys)).version(customer.version))
}

fn read_external_id(checks: &mut Checks, text: &str) -> Option<ExternalId> {
    let external_id = ExternalId::parse(text);
    if external_id.is_none() {
        checks.wrong("external_id", "must be 1 to 255 visible characters without spaces");
    }
    external_id
}

fn check_limit(checks: &mut Checks, limit: Option<u32>) {
    if limit.is_some_and(|limit| limit > MAX_KEYS) {
        checks.wrong("max_keys", format!("must be 0 to {MAX_KEYS}"));
    }
}
