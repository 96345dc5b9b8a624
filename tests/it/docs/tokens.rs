//! `docs/reference/tokens.md` lists the claims of a token.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::customers;
use crate::docs::read;
use crate::support::Server;

#[test]
fn claims_match_a_token() {
    let server = Server::start();
    let customer = customers::new_customer(&server);
    let key = server.make(&json!({ "allowed_cidrs": ["127.0.0.0/8"], "customer": customer }));
    let claims = server.claims(&server.token(&key, &[]));
    let found: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();

    let page = read("docs/reference/tokens.md");
    let table = page.split_once("| claim |").unwrap().1.split_once("\n\n").unwrap().0;
    let names = table.lines().filter_map(|row| row.strip_prefix("| ")?.split(" |").next());
    let listed: BTreeSet<&str> = names.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`')).collect();
    let listed: BTreeSet<&str> =
        listed.into_iter().filter(|name| !name.starts_with("---") && *name != "type").collect();
    assert_eq!(listed, found, "in docs/reference/tokens.md, and in a token");

    let example = page.split("```json").find(|block| block.contains("\"iss\"")).unwrap();
    let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
    let shown: BTreeSet<&str> = example.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(shown, found, "in the example, and in a token");
    let same_kind = |name: &&&str| std::mem::discriminant(&example[**name]) == std::mem::discriminant(&claims[**name]);
    assert_eq!(found.iter().filter(same_kind).count(), found.len(), "each claim of the example has the right type");
}
