//! `config/policies/README.md`, which `docs/reference/policy.md` includes, lists every setting of a policy.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::docs::{first_columns, read};

#[test]
fn every_setting_is_listed() {
    let document: Value = serde_json::from_str(&read("docs/openapi.json")).unwrap();
    let properties = document["components"]["schemas"]["Policy"]["properties"].as_object().unwrap();
    let settings: BTreeSet<String> = properties.keys().cloned().collect();
    assert!(settings.contains("grantable_scopes"));
    assert_eq!(first_columns(&read("config/policies/README.md")), settings);
}
