//! `docs/reference/logs.md` lists every reason of a denial.

use std::collections::BTreeSet;

use keyturn::domain::outcome::Denial;
use regex::Regex;

use crate::docs::{first_columns, read, sources};

#[test]
fn every_reason_is_listed() {
    let mut found: BTreeSet<String> = Denial::REASONS.iter().flatten().map(|reason| (*reason).to_owned()).collect();
    // Reasons that are no credential's.
    let pattern = Regex::new(r#"because\("([a-z_]+)"\)|reason: Some\("([a-z_]+)"\)"#).unwrap();
    let texts = ["src/oauth", "src/gateway", "src/api", "src/http", "src/tokens"].map(sources).concat();
    let captured = texts.iter().flat_map(|text| pattern.captures_iter(text));
    found.extend(
        captured.flat_map(|groups| groups.iter().skip(1).flatten().map(|m| m.as_str().to_owned()).collect::<Vec<_>>()),
    );
    for known in ["wrong_secret", "other_audience", "origin_not_allowed"] {
        assert!(found.contains(known), "{known} is found");
    }

    let page = read("docs/reference/logs.md");
    let listed = first_columns(page.split_once("## Reasons").unwrap().1);
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "not in docs/reference/logs.md: {missing:?}");
}
