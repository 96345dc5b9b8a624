//! The fields of a new or changed key, as arguments.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::cli::values::{parse_duration, parse_moment, parse_pairs};

#[derive(Args, Debug)]
pub(super) struct Create {
    /// Name of the key
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// What the key is for
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// Text to store with the key. Can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Scope: action:resource, such as read:projects/acme/*, or an action alone for every resource. Can be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// API that the key is granted, with its scopes. Can be repeated. Without it, the key is granted the default API
    #[arg(long = "api", value_name = "API=SCOPE,SCOPE")]
    apis: Vec<String>,
    /// Network that may use the key, such as 10.0.0.0/8, or an address; every address if there is none. Can be repeated
    #[arg(long = "cidr", value_name = "CIDR")]
    cidrs: Vec<String>,
    /// Name of a network that may use the key, besides those of --cidr. Can be repeated
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,
    /// Profile that limits the key. Without --scope and --api, the key has all that the profile grants
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// ID of the member who owns the key
    #[arg(long, value_name = "MEMBER_ID", allow_hyphen_values = true)]
    owner: Option<String>,
    /// External ID or ID of the customer whom the key is given to
    #[arg(long, value_name = "CUSTOMER", conflicts_with = "owner")]
    pub(super) customer: Option<String>,
    #[command(flatten)]
    expiry: Expiry,
}

#[derive(Args, Debug)]
pub(super) struct Update {
    /// ID of the key
    pub(super) id: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long)]
    description: Option<String>,
    /// Text to store with the key. Can be repeated; replaces all metadata
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "no_metadata")]
    metadata: Vec<String>,
    /// Remove all metadata
    #[arg(long)]
    no_metadata: bool,
    /// ID of the member who will own the key
    #[arg(long, value_name = "MEMBER_ID", allow_hyphen_values = true, conflicts_with = "no_owner")]
    owner: Option<String>,
    /// Transfer the key to the organization
    #[arg(long)]
    no_owner: bool,
    /// External ID or ID of the customer whom the key will be given to; its tokens stop working immediately
    #[arg(long, value_name = "CUSTOMER", conflicts_with = "no_customer")]
    pub(super) customer: Option<String>,
    /// Take the key from its customer
    #[arg(long)]
    no_customer: bool,
    /// Scope that the key will have. Can be repeated
    #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "no_scopes")]
    scopes: Vec<String>,
    /// Remove every scope
    #[arg(long)]
    no_scopes: bool,
    /// API that the key will be granted, with its scopes. Can be repeated; replaces all APIs, so give default=… to keep the
    /// default one
    #[arg(long = "api", value_name = "API=SCOPE,SCOPE", conflicts_with_all = ["scopes", "no_scopes"])]
    apis: Vec<String>,
    /// Network that may use the key. Can be repeated
    #[arg(long = "cidr", value_name = "CIDR", conflicts_with = "no_cidrs")]
    cidrs: Vec<String>,
    /// Remove every listed network. Without any other network, every address is allowed
    #[arg(long)]
    no_cidrs: bool,
    /// Name of a network that may use the key. Can be repeated; its tokens stop working immediately
    #[arg(long = "network", value_name = "NAME", conflicts_with = "no_networks")]
    networks: Vec<String>,
    /// Remove every named network
    #[arg(long)]
    no_networks: bool,
    /// Profile that limits the key; its tokens stop working immediately
    #[arg(long, value_name = "PROFILE", conflicts_with = "no_profile")]
    profile: Option<String>,
    /// Take the profile from the key
    #[arg(long)]
    no_profile: bool,
    #[command(flatten)]
    expiry: Expiry,
    /// Remove the expiry
    #[arg(long, conflicts_with_all = ["expires_at", "expires_in"])]
    no_expiry: bool,
}

#[derive(Args, Debug)]
pub(super) struct Expiry {
    /// When the key expires, such as 2030-01-31 (00:00 UTC) or 2030-01-31T12:00:00Z
    #[arg(long, value_name = "DATE", conflicts_with = "expires_in", value_parser = parse_moment)]
    pub(super) expires_at: Option<String>,
    /// How long until the key expires, such as 90d or 12h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(super) expires_in: Option<i64>,
}

impl Create {
    /// The request, without a customer.
    pub(super) fn body(self) -> Result<Map<String, Value>, CliError> {
        let mut body = self.expiry.body();
        body.insert("name".into(), self.name.into());
        body.insert("description".into(), self.description.into());
        body.insert("allowed_cidrs".into(), self.cidrs.into());
        if !self.metadata.is_empty() {
            body.insert("metadata".into(), parse_pairs("--metadata", &self.metadata)?.into());
        }
        if !self.scopes.is_empty() || (self.apis.is_empty() && self.profile.is_none()) {
            body.insert("scopes".into(), self.scopes.into());
        }
        if !self.apis.is_empty() {
            body.insert("apis".into(), read_grants(&self.apis)?);
        }
        if !self.networks.is_empty() {
            body.insert("networks".into(), self.networks.into());
        }
        body.extend(self.profile.map(|profile| ("profile".into(), profile.into())));
        body.extend(self.owner.map(|owner| ("owner".into(), owner.into())));
        Ok(body)
    }
}

impl Expiry {
    pub(super) fn body(self) -> Map<String, Value> {
        let mut body = Map::new();
        body.extend(self.expires_at.map(|date| ("expires_at".into(), date.into())));
        body.extend(self.expires_in.map(|seconds| ("expires_in_seconds".into(), seconds.into())));
        body
    }
}

impl Update {
    /// The key's ID and a JSON merge patch (RFC 7396), without a new customer.
    pub(super) fn id_and_body(self) -> Result<(String, Map<String, Value>), CliError> {
        let mut body = self.expiry.body();
        if self.no_expiry {
            body.insert("expires_at".into(), Value::Null);
        }
        body.extend(self.name.map(|name| ("name".into(), name.into())));
        body.extend(self.description.map(|description| ("description".into(), description.into())));
        if self.no_metadata || !self.metadata.is_empty() {
            body.insert("metadata".into(), parse_pairs("--metadata", &self.metadata)?.into());
        }
        if self.no_owner {
            body.insert("owner".into(), Value::Null);
        }
        body.extend(self.owner.map(|owner| ("owner".into(), owner.into())));
        if self.no_customer {
            body.insert("customer".into(), Value::Null);
        }
        if self.no_scopes || !self.scopes.is_empty() {
            body.insert("scopes".into(), self.scopes.into());
        }
        if !self.apis.is_empty() {
            body.insert("apis".into(), read_grants(&self.apis)?);
        }
        if self.no_cidrs || !self.cidrs.is_empty() {
            body.insert("allowed_cidrs".into(), self.cidrs.into());
        }
        if self.no_networks || !self.networks.is_empty() {
            body.insert("networks".into(), self.networks.into());
        }
        if self.no_profile {
            body.insert("profile".into(), Value::Null);
        }
        body.extend(self.profile.map(|profile| ("profile".into(), profile.into())));
        if body.is_empty() && self.customer.is_none() {
            return Err(CliError::Use("nothing to change: give at least one option, such as --name".into()));
        }
        Ok((self.id, body))
    }
}

/// Reads grants, each `API=SCOPE,SCOPE`.
pub(super) fn read_grants(grants: &[String]) -> Result<Value, CliError> {
    let read = |text: &String| {
        let (api, scopes) = text
            .split_once('=')
            .ok_or_else(|| CliError::Use(format!("--api {text}: must be API=SCOPE,SCOPE; API= grants no scope")))?;
        let scopes: Vec<&str> = scopes.split(',').filter(|scope| !scope.is_empty()).collect();
        Ok(json!({ "api": api, "scopes": scopes }))
    };
    grants.iter().map(read).collect::<Result<Vec<_>, CliError>>().map(Value::from)
}
