//! `keyturn apis …`: APIs (resource servers) on a running server.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::client::Client;
use crate::cli::credential::ApiArguments;
use crate::cli::key_reports;
use crate::cli::table::{field, items, plain, print_record, print_table, table, whole_seconds};
use crate::cli::values::{parse_pairs, parse_past};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::choices::{Algorithm, Choice};
use crate::domain::slug::Slug;

#[derive(Args, Debug)]
pub(super) struct ApisArguments {
    #[command(flatten)]
    api: ApiArguments,
    #[command(subcommand)]
    command: ApisCommand,
}

#[derive(Subcommand, Debug)]
enum ApisCommand {
    /// List the APIs that tokens can be for
    #[command(after_help = "Example:\n  keyturn apis list")]
    List,
    /// Show an API with its scopes
    #[command(after_help = "Example:\n  keyturn apis show orders")]
    Show {
        /// Name of the API
        name: String,
    },
    /// Create an API. Keys must be granted its scopes before they can get tokens for it
    #[command(after_help = "Example:\n  keyturn apis create orders --audience https://orders.example.com \
        --scope 'orders.read=See orders' --scope orders.write\n  keyturn keys create --name shop --api orders=orders.read")]
    Create {
        /// Name in grants and URLs: a-z, 0-9 and '-'
        name: String,
        /// The aud claim of its tokens, such as its URL
        #[arg(long)]
        audience: String,
        /// plain: any text, compared exactly. filters: action:resource, where one scope can contain others
        #[arg(long, default_value = "plain", value_parser = ["plain", "filters"])]
        style: String,
        /// Scope, with an optional description after '='. Can be repeated
        #[arg(long = "scope", value_name = "SCOPE[=DESCRIPTION]")]
        scopes: Vec<String>,
        /// Scope that can be granted to keys, and narrower ones. Can be repeated; without it, all of them
        #[arg(long = "grantable", value_name = "SCOPE")]
        grantable: Vec<String>,
        #[command(flatten)]
        tokens: TokenArguments,
        /// What the API is
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// Change an API. Tokens with scopes or an audience that it no longer has stop working at once
    #[command(after_help = "Example:\n  keyturn apis update orders --scope orders.read --scope orders.write")]
    Update {
        /// Name of the API
        name: String,
        /// New name
        #[arg(long)]
        rename: Option<String>,
        /// New aud claim of its tokens
        #[arg(long)]
        audience: Option<String>,
        /// Scope that the API will have, with an optional description after '='. Can be repeated
        #[arg(long = "scope", value_name = "SCOPE[=DESCRIPTION]", conflicts_with = "no_scopes")]
        scopes: Vec<String>,
        /// Remove every scope
        #[arg(long)]
        no_scopes: bool,
        #[command(flatten)]
        grantable: GrantableArguments,
        #[command(flatten)]
        tokens: TokenArguments,
        /// New description
        #[arg(long)]
        description: Option<String>,
    },
    /// Show what a change of an API would take from keys, and their requests of the last 30 days that would have failed
    #[command(
        after_help = "Examples:\n  keyturn apis impact orders --scope orders.read\n  keyturn apis impact orders --delete"
    )]
    Impact {
        /// Name of the API
        name: String,
        /// Audience that the API would have
        #[arg(long)]
        audience: Option<String>,
        /// Scope that the API would have. Can be repeated
        #[arg(long = "scope", value_name = "SCOPE", conflicts_with = "no_scopes")]
        scopes: Vec<String>,
        /// The API would have no scopes
        #[arg(long)]
        no_scopes: bool,
        /// The API would be deleted
        #[arg(long, conflicts_with_all = ["audience", "scopes", "no_scopes"])]
        delete: bool,
    },
    /// Show how many tokens an API's clients got, and how many verifications were of it, by day
    #[command(after_help = "Example:\n  keyturn apis usage orders --from 7d")]
    Usage {
        /// Name of the API
        name: String,
        /// First day: a date, or how long ago, such as 7d. The default is 30 days before the end
        #[arg(long, value_name = "DATE", value_parser = parse_past)]
        from: Option<String>,
        /// End; the default is now
        #[arg(long, value_name = "DATE", value_parser = parse_past)]
        to: Option<String>,
    },
    /// Delete an API. Its tokens stop working at once
    #[command(after_help = "Example:\n  keyturn apis delete orders")]
    Delete {
        /// Name of the API
        name: String,
    },
}

#[derive(Args, Debug)]
#[group(multiple = true)]
struct GrantableArguments {
    /// Scope that can be granted to further keys, and narrower ones. Can be repeated
    #[arg(long = "grantable", value_name = "SCOPE", conflicts_with_all = ["grantable_any", "grantable_none"])]
    grantable: Vec<String>,
    /// Allow all scopes to be granted
    #[arg(long, conflicts_with = "grantable_none")]
    grantable_any: bool,
    /// Allow no scope to be granted to further keys
    #[arg(long)]
    grantable_none: bool,
}

impl GrantableArguments {
    /// The value of `grantable_scopes`; `None` to keep it.
    fn value(self) -> Option<Value> {
        match self {
            Self { grantable_any: true, .. } => Some(Value::Null),
            Self { grantable_none: true, .. } => Some(json!([])),
            Self { grantable, .. } if !grantable.is_empty() => Some(grantable.into()),
            _ => None,
        }
    }
}

#[derive(Args, Debug)]
struct TokenArguments {
    /// Lifetime of its tokens in seconds, 60 to 3600
    #[arg(long, value_name = "SECONDS")]
    token_ttl: Option<u32>,
    /// typ header of its tokens
    #[arg(long, value_parser = ["at+jwt", "JWT"])]
    token_typ: Option<String>,
    /// Custom claim of its tokens: its name, and metadata.NAME, customer.external_id, customer.metadata.NAME, owner or a
    /// constant. Can be repeated; replaces all custom claims of the API
    #[arg(long = "claim", value_name = "NAME=SOURCE", conflicts_with = "no_claims")]
    claims: Vec<String>,
    /// Remove all custom claims of the API
    #[arg(long)]
    no_claims: bool,
    /// Algorithm that signs its tokens. A change begins when services that cache the JWKS know the key
    #[arg(long, value_parser = Algorithm::NAMES.to_vec())]
    algorithm: Option<String>,
}

impl TokenArguments {
    fn body(self) -> Result<Map<String, Value>, CliError> {
        let mut body = Map::new();
        if self.no_claims || !self.claims.is_empty() {
            body.insert("token_claims".into(), parse_pairs("--claim", &self.claims)?.into());
        }
        body.extend(self.token_ttl.map(|seconds| ("token_ttl_seconds".into(), seconds.into())));
        body.extend(self.token_typ.map(|typ| ("token_typ".into(), typ.into())));
        body.extend(self.algorithm.map(|algorithm| ("algorithm".into(), algorithm.into())));
        Ok(body)
    }
}

pub(super) async fn apis(arguments: ApisArguments) -> Result<(), CliError> {
    let ApisArguments { api, command } = arguments;
    let as_json = api.json;
    let connect = || Client::connect(api.server);
    let shown = match command {
        ApisCommand::List => return list(&connect().await?, as_json).await,
        ApisCommand::Show { name } => connect().await?.get(&path(&name)?, &[]).await?,
        ApisCommand::Create { name, audience, style, scopes, grantable, tokens, description } => {
            let mut body = tokens.body()?;
            if !grantable.is_empty() {
                body.insert("grantable_scopes".into(), grantable.into());
            }
            body.insert("name".into(), name.into());
            body.insert("audience".into(), audience.into());
            body.insert("scope_style".into(), style.into());
            body.insert("scopes".into(), read_scopes(&scopes));
            body.insert("description".into(), description.into());
            connect().await?.call(Method::POST, "apis", Some(&body.into())).await?
        }
        ApisCommand::Update { name, rename, audience, scopes, no_scopes, grantable, tokens, description } => {
            let mut body = tokens.body()?;
            body.extend(grantable.value().map(|value| ("grantable_scopes".into(), value)));
            body.extend(rename.map(|name| ("name".into(), name.into())));
            body.extend(audience.map(|audience| ("audience".into(), audience.into())));
            body.extend(description.map(|description| ("description".into(), description.into())));
            if no_scopes || !scopes.is_empty() {
                body.insert("scopes".into(), read_scopes(&scopes));
            }
            if body.is_empty() {
                return Err(CliError::Use("nothing to change: give at least one option, such as --scope".into()));
            }
            connect().await?.call(Method::PATCH, &path(&name)?, Some(&body.into())).await?
        }
        ApisCommand::Impact { name, audience, scopes, no_scopes, delete } => {
            let mut body = Map::new();
            body.insert("delete".into(), delete.into());
            body.extend(audience.map(|audience| ("audience".into(), audience.into())));
            if no_scopes || !scopes.is_empty() {
                body.insert("scopes".into(), read_scopes(&scopes));
            }
            if body.len() == 1 && !delete {
                return Err(CliError::Use("no change: give --scope, --no-scopes, --audience or --delete".into()));
            }
            let path = format!("{}/impact", path(&name)?);
            let impact = connect().await?.call(Method::POST, &path, Some(&body.into())).await?;
            return if as_json { print_json(&impact) } else { show_impact(&impact) };
        }
        ApisCommand::Usage { name, from, to } => {
            let times = [("from", from), ("to", to)].into_iter();
            let query: Vec<_> = times.filter_map(|(name, time)| Some((name, time?))).collect();
            let path = format!("{}/usage", path(&name)?);
            return key_reports::usage_of(&connect().await?, &path, &query, as_json).await;
        }
        ApisCommand::Delete { name } => {
            connect().await?.call(Method::DELETE, &path(&name)?, None).await?;
            return if as_json {
                print_json(&json!({ "name": name }))
            } else {
                print_out(&format!("Deleted API {name}. Its tokens no longer work.\n"))
            };
        }
    };
    if as_json { print_json(&shown) } else { show(&shown) }
}

fn path(name: &str) -> Result<String, CliError> {
    let name = Slug::parse(name).ok_or_else(|| CliError::Use("NAME: must be 1 to 40 of a-z, 0-9 and '-'".into()))?;
    Ok(format!("apis/{name}"))
}

/// Reads `SCOPE` or `SCOPE=DESCRIPTION`. A scope that contains `=` can be set through the API or the console.
fn read_scopes(scopes: &[String]) -> Value {
    let read = |text: &String| match text.split_once('=') {
        Some((scope, description)) => json!({ "scope": scope, "description": description }),
        None => json!({ "scope": text }),
    };
    scopes.iter().map(read).collect()
}

async fn list(client: &Client, as_json: bool) -> Result<(), CliError> {
    let mut table = table(&["name", "audience", "style", "scopes", "keys"]);
    // All of them: the list has no pages.
    let listed = client.get("apis", &[]).await?;
    for api in items(listed.get("items")) {
        if as_json {
            print_json(api)?;
            continue;
        }
        let scopes: Vec<String> = items(api.get("scopes")).map(|scope| field(scope, "scope")).collect();
        let [name, audience, style, keys] = ["name", "audience", "scope_style", "keys"].map(|name| field(api, name));
        table.add_row([name, audience, style, scopes.join(" "), keys]);
    }
    if as_json { Ok(()) } else { print_table(&table) }
}

fn show(api: &Value) -> Result<(), CliError> {
    print_record(api, &["scopes", "aliases", "is_default"])?;
    let mut table = table(&["scope", "description"]);
    let scopes: Vec<&Value> = items(api.get("scopes")).collect();
    for scope in &scopes {
        table.add_row([field(scope, "scope"), field(scope, "description")]);
    }
    if scopes.is_empty() { Ok(()) } else { print_out("\n").and_then(|()| print_table(&table)) }
}

fn show_impact(impact: &Value) -> Result<(), CliError> {
    let mut table = table(&["id", "name", "loses", "failed requests", "unattributed"]);
    let all = |counts: Option<&Value>| {
        let number = |name| counts.and_then(|counts| counts.get(name)).and_then(Value::as_u64).unwrap_or_default();
        (number("exchanges") + number("verifications")).to_string()
    };
    let ends_all = impact.get("ends_all_tokens") == Some(&Value::Bool(true));
    for key in items(impact.get("keys")) {
        let lost: Vec<String> = items(key.get("lost_scopes")).map(|scope| plain(Some(scope))).collect();
        let lost = if lost.is_empty() { "tokens".to_owned() } else { lost.join(" ") };
        let (failed, unattributed) = (all(key.get("failed")), all(key.get("unattributed")));
        table.add_row([field(key, "id"), field(key, "name"), lost, failed, unattributed]);
    }
    print_table(&table)?;
    let tokens = if ends_all { "all tokens for the API, and " } else { "" };
    print_out(&format!(
        "\nAffects {tokens}{} keys with {} requests since {} that would have failed.\n",
        plain(impact.get("key_count")),
        all(impact.get("failed")),
        whole_seconds(&plain(impact.get("from"))),
    ))
}
