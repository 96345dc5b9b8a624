//! How keys are used, and whether one would be allowed.

use serde_json::Value;

use crate::cli::client::{Client, Query};
use crate::cli::table::{field, items, plain, print_table, rows, table, whole_seconds};
use crate::cli::{CliError, print_json, print_out};

/// Prints the use of a key or an API, an interval a line. Intervals without use are left out of the table.
pub(super) async fn usage_of(
    client: &Client,
    path: &str,
    query: &[(&str, String)],
    as_json: bool,
) -> Result<(), CliError> {
    let usage = client.get(path, query).await?;
    if as_json {
        return print_json(&usage);
    }
    // Denials are not counted by API.
    let columns = match usage.pointer("/totals/denials") {
        Some(_) => ["start", "exchanges", "verifications", "denials"].as_slice(),
        None => &["start", "exchanges", "verifications"],
    };
    let mut table = table(columns);
    let mut add = |start: String, counts: [u64; 3]| {
        let cells = std::iter::once(start).chain(counts.map(|count| count.to_string()));
        table.add_row(cells.take(columns.len()));
    };
    for bucket in items(usage.get("buckets")) {
        let counts = counts(bucket);
        if counts.iter().any(|count| *count > 0) {
            add(whole_seconds(&plain(bucket.get("start"))), counts);
        }
    }
    add("total".to_owned(), usage.get("totals").map(counts).unwrap_or_default());
    print_table(&table)?;
    let range = |name: &str| whole_seconds(&plain(usage.get(name)));
    print_out(&format!("\nFrom {} to {}. Intervals without use are not listed.\n", range("from"), range("to")))
}

/// Lists the keys that were used, the busiest first.
pub(super) async fn busiest_keys(client: &Client, query: Query<'_>, as_json: bool) -> Result<(), CliError> {
    let mut table = table(&["id", "name", "exchanges", "verifications", "denials", "last used"]);
    let mut each = |key: &Value| {
        if as_json {
            return print_json(key);
        }
        let [exchanges, verifications, denials] = key.get("totals").map(counts).unwrap_or_default();
        table.add_row([
            field(key, "id"),
            field(key, "name"),
            exchanges.to_string(),
            verifications.to_string(),
            denials.to_string(),
            field(key, "last_used_at"),
        ]);
        Ok(())
    };
    client.each_item("usage", query, &mut each).await?;
    if as_json { Ok(()) } else { print_table(&table) }
}

/// Exchanges, verifications and the sum of denials.
fn counts(value: &Value) -> [u64; 3] {
    let number = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    let denials = value.get("denials").and_then(Value::as_object).into_iter().flat_map(|denials| denials.values());
    [number("exchanges"), number("verifications"), denials.filter_map(Value::as_u64).sum()]
}

/// Prints each check of a decision. Everything but a complete "allowed" is an error.
pub(super) fn explain(explained: &Value, as_json: bool) -> Result<(), CliError> {
    let mut table = rows();
    let mut denials = Vec::new();
    for check in items(explained.get("checks")) {
        let (name, outcome, detail) = (field(check, "check"), field(check, "outcome"), field(check, "detail"));
        if outcome == "failed" {
            denials.push(format!("denied by the check {name}: {detail}"));
        }
        table.add_row([name, outcome.replace('_', " "), detail]);
    }
    if as_json {
        print_json(explained)?;
    } else {
        print_table(&table)?;
    }
    match field(explained, "verdict").as_str() {
        "allowed" => Ok(()),
        "incomplete" => Err(CliError::Failed(
            "incomplete: no check failed, but some were skipped; give --address, --action and --resource".into(),
        )),
        _ => Err(CliError::Failed(denials.join("; "))),
    }
}

/// Lists recent denials.
pub(super) async fn denials(client: &Client, query: Query<'_>, as_json: bool) -> Result<(), CliError> {
    let mut table = table(&["last", "count", "key", "address", "endpoint", "status", "reason", "scope", "request ID"]);
    let mut each = |denied: &Value| {
        if as_json {
            return print_json(denied);
        }
        let scope =
            ["missing_scope", "requested_scope"].map(|name| field(denied, name)).into_iter().find(|scope| scope != "-");
        table.add_row([
            whole_seconds(&field(denied, "last_at")),
            field(denied, "count"),
            field(denied, "client_id"),
            field(denied, "address"),
            field(denied, "endpoint"),
            field(denied, "status"),
            field(denied, "reason"),
            scope.unwrap_or_else(|| "-".into()),
            plain(items(denied.get("request_ids")).next()),
        ]);
        Ok(())
    };
    client.each_item("denials", query, &mut each).await?;
    if as_json { Ok(()) } else { print_table(&table) }
}
