//! The token that a request would return, and what validators see of it.

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::table::{field, items, plain, print_table, table};
use crate::cli::{CliError, print_json, print_out};

/// Arguments of `keys preview`.
#[derive(Args, Debug)]
pub(super) struct Preview {
    /// ID of the key
    pub(super) id: String,
    /// Requested scope. Can be repeated; without it, all scopes of the key
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Requested audience. Can be repeated; without it, the API that the key implies
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Assume the previous secret, in its grace period
    #[arg(long)]
    previous_secret: bool,
    /// Address of the caller, such as 203.0.113.7; without it, the allowed networks are not checked
    #[arg(long)]
    address: Option<String>,
}

impl Preview {
    /// The key's ID and the request.
    pub(super) fn id_and_body(self) -> (String, Value) {
        let mut body = Map::new();
        body.insert("audience".into(), self.audiences.into());
        if !self.scopes.is_empty() {
            body.insert("scope".into(), self.scopes.join(" ").into());
        }
        if self.previous_secret {
            body.insert("secret".into(), "previous".into());
        }
        body.extend(self.address.map(|address| ("address".into(), address.into())));
        (self.id, body.into())
    }
}

/// Prints a preview. A refusal is an error.
pub(super) fn print(preview: &Value, as_json: bool) -> Result<(), CliError> {
    if as_json {
        print_json(preview)?;
    }
    if let Some(refusal) = preview.get("refusal") {
        let hint = refusal.get("hint").and_then(Value::as_str).map(|hint| format!(" ({hint})")).unwrap_or_default();
        return Err(CliError::Failed(format!(
            "the token endpoint would respond {} {} {}: {}{hint}",
            plain(refusal.get("status")),
            field(refusal, "error"),
            field(refusal, "code"),
            field(refusal, "error_description"),
        )));
    }
    if as_json {
        return Ok(());
    }
    for name in ["header", "payload"] {
        let members = preview.get(name).map(serde_json::to_string_pretty).transpose().unwrap_or_default();
        print_out(&format!("{}\n", members.unwrap_or_default()))?;
    }
    let mut table = table(&["validator", "accepts", "settings", "sees", "why not"]);
    for view in items(preview.get("views")) {
        let refusals: Vec<String> = items(view.get("refusals")).map(|refusal| plain(Some(refusal))).collect();
        table.add_row([
            field(view, "name"),
            if view.get("accepts") == Some(&Value::Bool(true)) { "yes".into() } else { "no".into() },
            named_values(view.get("settings")),
            named_values(view.get("sees")),
            if refusals.is_empty() { "-".into() } else { refusals.join("\n") },
        ]);
    }
    print_table(&table)
}

/// Each name with its values, a line each.
fn named_values(list: Option<&Value>) -> String {
    let line = |named: &Value| {
        let values: Vec<String> = items(named.get("values")).map(|value| plain(Some(value))).collect();
        let values = if values.is_empty() { "none".to_owned() } else { values.join(" ") };
        format!("{}: {values}", field(named, "name"))
    };
    items(list).map(line).collect::<Vec<_>>().join("\n")
}
