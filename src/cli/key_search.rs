//! Finding keys, and changing many of them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::cli::client::Client;
use crate::cli::table::{field, items, plain, print_table, table};
use crate::cli::values::{parse_duration, parse_moment, parse_pairs, parse_past};
use crate::cli::{CliError, print_json, print_out};
use crate::domain::clue::MAX_TEXT;
use crate::domain::key_text::KeyId;
use crate::domain::key_view::{KeyView, RuleBroken};

const STATUSES: [&str; 5] = ["all", "active", "expired", "disabled", "revoked"];
/// Keys in one request.
const BATCH: usize = 1_000;

/// The filter of a list.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Only keys in this state
    #[arg(long, default_value = "all", value_parser = STATUSES)]
    status: String,
    /// Only keys whose name or description contains this text, or with this ID or these last four characters of the secret
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only keys of this member
    #[arg(long, value_name = "MEMBER_ID", allow_hyphen_values = true)]
    owner: Option<String>,
    /// Only keys of this customer: its external ID or ID
    #[arg(long, value_name = "CUSTOMER")]
    pub(super) customer: Option<String>,
    /// Only keys with this profile
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Only keys that refer to this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Only keys with this pair in their metadata. Can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Only keys that are granted this API
    #[arg(long, value_name = "NAME")]
    api: Option<String>,
    /// Only keys with a scope that contains this one, such as read:invoices/2031. With --api, in the style of that API
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Only keys with an allowed network that contains this network or address
    #[arg(long, value_name = "CIDR")]
    cidr: Option<String>,
    /// Only keys that expire before this date
    #[arg(long, value_name = "DATE", value_parser = parse_moment)]
    expires_before: Option<String>,
    /// Only keys that were not used since this date, or for this long, such as 90d
    #[arg(long, value_name = "DATE", value_parser = parse_past)]
    unused_since: Option<String>,
    /// Only keys that need attention for this reason, and are neither revoked nor expired
    #[arg(long, value_parser = KeyView::ALL.map(KeyView::as_str))]
    view: Option<String>,
    /// Only keys that break this setting of the policy; any is every setting
    #[arg(long, value_name = "SETTING", value_parser = rules())]
    violates: Option<String>,
    /// Order; with a leading hyphen, descending
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true)]
    sort: Option<String>,
}

fn rules() -> Vec<&'static str> {
    std::iter::once("any").chain(RuleBroken::ALL.map(RuleBroken::setting)).collect()
}

impl List {
    /// The parameters, by name.
    pub(super) fn query(self) -> Result<Vec<(String, String)>, CliError> {
        let mut query = vec![("status".to_owned(), self.status)];
        for (name, value) in [
            ("search", self.search),
            ("owner", self.owner),
            ("profile", self.profile),
            ("network", self.network),
            ("api", self.api),
            ("scope", self.scope),
            ("cidr", self.cidr),
            ("expires_before", self.expires_before),
            ("unused_since", self.unused_since),
            ("view", self.view),
            ("violates", self.violates),
            ("sort", self.sort),
        ] {
            query.extend(value.map(|value| (name.to_owned(), value)));
        }
        for (name, value) in parse_pairs("--metadata", &self.metadata)? {
            query.push((format!("metadata[{name}]"), value.as_str().unwrap_or_default().to_owned()));
        }
        Ok(query)
    }
}

/// A change of many keys.
#[derive(Args, Debug)]
pub(super) struct Bulk {
    /// What to do with the keys
    #[arg(value_enum)]
    action: BulkAction,
    /// IDs of the keys
    ids: Vec<String>,
    /// Reason to store with revoked keys
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// When the keys expire, such as 2030-01-31 (00:00 UTC)
    #[arg(long, value_name = "DATE", conflicts_with_all = ["expires_in", "no_expiry"], value_parser = parse_moment)]
    expires_at: Option<String>,
    /// How long until the keys expire, such as 90d
    #[arg(long, value_name = "DURATION", conflicts_with = "no_expiry", value_parser = parse_duration)]
    expires_in: Option<i64>,
    /// Remove the expiry
    #[arg(long)]
    no_expiry: bool,
    /// ID of the member who owns the keys from now on
    #[arg(long, value_name = "MEMBER_ID", conflicts_with = "no_owner", allow_hyphen_values = true)]
    owner: Option<String>,
    /// Make the organization the owner
    #[arg(long)]
    no_owner: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum BulkAction {
    Disable,
    Enable,
    Revoke,
    SetExpiry,
    SetOwner,
}

impl Bulk {
    /// The IDs, from the arguments or standard input, and the rest of the request.
    pub(super) fn ids_and_body(self) -> Result<(Vec<String>, Map<String, Value>), CliError> {
        let mut body = Map::new();
        let action = match self.action {
            BulkAction::Disable => "disable",
            BulkAction::Enable => "enable",
            BulkAction::Revoke => "revoke",
            BulkAction::SetExpiry => "set_expiry",
            BulkAction::SetOwner => "set_owner",
        };
        body.insert("action".into(), action.into());
        if self.reason.is_some() && self.action != BulkAction::Revoke {
            return Err(CliError::Use("--reason: only with the action revoke".into()));
        }
        body.extend(self.reason.map(|reason| ("reason".into(), reason.into())));
        let expiry = match (self.expires_at, self.expires_in, self.no_expiry) {
            (Some(date), ..) => Some(Value::from(date)),
            (None, Some(seconds), _) => {
                let now = jiff::Timestamp::from_second(crate::clock::now().as_seconds());
                let end = now.ok().and_then(|now| now.checked_add(jiff::SignedDuration::from_secs(seconds)).ok());
                let end = end.ok_or_else(|| CliError::Use("--expires-in: too long".into()))?;
                Some(Value::from(end.to_string()))
            }
            (None, None, true) => Some(Value::Null),
            (None, None, false) => None,
        };
        match (self.action, expiry) {
            (BulkAction::SetExpiry, None) => {
                return Err(CliError::Use("set-expiry: give --expires-at, --expires-in or --no-expiry".into()));
            }
            (BulkAction::SetExpiry, Some(expiry)) => drop(body.insert("expires_at".into(), expiry)),
            (_, None) => {}
            (_, Some(_)) => return Err(CliError::Use("an expiry is only for set-expiry".into())),
        }
        let owner = match (self.owner, self.no_owner) {
            (Some(owner), _) => Some(Value::from(owner)),
            (None, true) => Some(Value::Null),
            (None, false) => None,
        };
        match (self.action, owner) {
            (BulkAction::SetOwner, None) => {
                return Err(CliError::Use("set-owner: give --owner or --no-owner".into()));
            }
            (BulkAction::SetOwner, Some(owner)) => drop(body.insert("owner".into(), owner)),
            (_, None) => {}
            (_, Some(_)) => return Err(CliError::Use("an owner is only for set-owner".into())),
        }
        let ids = if self.ids.is_empty() {
            let text = read_text(None)?;
            text.split_ascii_whitespace().map(str::to_owned).collect()
        } else {
            self.ids
        };
        if ids.is_empty() {
            return Err(CliError::Use("no key IDs: give them as arguments or on standard input".into()));
        }
        // An ID that cannot be one may be a misplaced secret, so it is not repeated.
        match ids.iter().position(|id| KeyId::parse(id).is_none()) {
            Some(index) => Err(CliError::Use(format!("ID {}: must be a key ID of 16 letters and digits", index + 1))),
            None => Ok((ids, body)),
        }
    }
}

/// Reads a text from a file or standard input.
pub(super) fn read_text(file: Option<&Path>) -> Result<Zeroizing<String>, CliError> {
    /// Room for the IDs of an organization.
    const MOST: u64 = 16 * 1024 * 1024;
    let mut text = Zeroizing::new(String::new());
    let read = match file {
        None => std::io::stdin().lock().take(MOST).read_to_string(&mut text),
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)),
    };
    read.map_err(|error| {
        CliError::Use(format!("{}: {error}", file.map_or(PathBuf::from("standard input"), PathBuf::from).display()))
    })?;
    Ok(text)
}

/// Prints the keys that a text refers to. None is an error.
pub(super) async fn lookup(client: &Client, text: &str, as_json: bool) -> Result<(), CliError> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(CliError::Use(format!("the text must have 1 to {MAX_TEXT} bytes")));
    }
    let response = client.call(Method::POST, "keys/lookup", Some(&json!({ "text": text }))).await?;
    let mut table = table(&["id", "name", "status", "found by", "state", "last used"]);
    let mut is_empty = true;
    for finding in items(response.get("items")) {
        is_empty = false;
        if as_json {
            print_json(finding)?;
            continue;
        }
        let key = finding.get("key").unwrap_or(&Value::Null);
        let state =
            [finding.get("secret"), finding.get("token")].into_iter().flatten().map(|part| field(part, "state"));
        let state = state.collect::<String>().replace('_', " ");
        table.add_row([
            field(key, "id"),
            field(key, "name"),
            field(key, "status"),
            field(finding, "found_by").replace('_', " "),
            state,
            field(key, "last_used_at"),
        ]);
    }
    if is_empty {
        return Err(CliError::Failed("no key of this organization found in the text".into()));
    }
    if as_json { Ok(()) } else { print_table(&table) }
}

/// Changes keys in batches, and prints the result for each.
pub(super) async fn change_many(
    client: &Client,
    ids: &[String],
    body: &Map<String, Value>,
    as_json: bool,
) -> Result<(), CliError> {
    let (mut changed, mut failed) = (0_usize, 0_usize);
    let mut table = table(&["id", "status", "error"]);
    for batch in ids.chunks(BATCH) {
        let mut body = body.clone();
        body.insert("ids".into(), batch.to_vec().into());
        let response = client.call(Method::POST, "keys/bulk", Some(&body.into())).await?;
        for result in items(response.get("results")) {
            let is_ok = result.get("code").is_none();
            *(if is_ok { &mut changed } else { &mut failed }) += 1;
            if as_json {
                print_json(result)?;
            } else {
                table.add_row([field(result, "id"), field(result, "status"), plain(result.get("detail"))]);
            }
        }
    }
    if !as_json {
        print_table(&table)?;
        print_out(&format!("\n{changed} changed, {failed} failed.\n"))?;
    }
    if failed > 0 { Err(CliError::Failed(format!("{failed} of {} keys were not changed", ids.len()))) } else { Ok(()) }
}
