//! `docs/reference/logs.md` lists every reason of a denial.

use std::collections::BTreeSet;

use regex::Regex;

use crate::docs::{first_columns, read, sources};

#[test]
fn every_reason_is_listed() {
    let texts = ["src/oauth", "src/gateway", "src/api", "src/http", "src/tokens"].map(sources).concat();
    // A reason of its own, of an invalid credential, of a denied credential, and of a rejected token.
    let patterns =
        [r#"reason: (?:Some\()?"([a-z_]+)""#, r#"(?:invalid|because)\("([a-z_]+)"\)"#, r#"=> Some\("([a-z_]+)"\)"#];
    let mut found: BTreeSet<String> = BTreeSet::new();
    for pattern in patterns {
        let pattern = Regex::new(pattern).unwrap();
        let reasons: BTreeSet<String> =
            texts.iter().flat_map(|text| pattern.captures_iter(text)).map(|groups| groups[1].to_owned()).collect();
        assert!(!reasons.is_empty(), "{pattern}");
        found.extend(reasons);
    }
    let rejected = read("src/signing/verify.rs");
    let names = rejected.split_once("fn as_str").unwrap().1.split_once("\n    }").unwrap().0;
    found.extend(names.split('"').skip(1).step_by(2).map(str::to_owned));
    for known in ["wrong_secret", "other_audience", "malformed_secret", "token_expired"] {
        assert!(found.contains(known), "{known} is found in the source");
    }

    let page = read("docs/reference/logs.md");
    let listed = first_columns(page.split_once("## Reasons").unwrap().1);
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "not in docs/reference/logs.md: {missing:?}");
}
