//! `docs/reference/limits.md` has the limits of the program.

use keyturn::domain::{attribute, member, metadata, networks, scope, webhook};
use keyturn::signing::VERIFY_MAX_BYTES;
use keyturn::testing::http::checks;

use crate::docs::read;

/// The value of a constant that is not exported.
fn signing_keys() -> String {
    let source = read("src/organizations/signing_keys.rs");
    let rest = source.split_once("MAX_SIGNING_KEYS: usize = ").expect("the constant").1;
    rest.split(';').next().unwrap().to_owned()
}

#[test]
fn sizes_match_the_program() {
    let page = read("docs/reference/limits.md");
    for row in [
        format!("| scopes per key | {} |", scope::MAX_SCOPES),
        format!("| filter | {} bytes, {} segments |", scope::MAX_FILTER_BYTES, scope::MAX_FILTER_SEGMENTS),
        format!("| action | {} bytes |", scope::MAX_ACTION_BYTES),
        format!("| resource in a requirement | {} bytes |", scope::MAX_RESOURCE_BYTES),
        format!("| networks per key | {} |", networks::MAX_NETWORKS),
        format!("| name | {} characters |", checks::MAX_NAME),
        format!("| description, reason | {} characters |", checks::MAX_TEXT),
        format!(
            "| metadata of a key or customer | {} pairs, {} bytes together |",
            metadata::MAX_PAIRS,
            metadata::MAX_BYTES
        ),
        format!(
            "| custom claims of the policy and of each API, custom headers | {} each; {} bytes per value |",
            attribute::MAX_ATTRIBUTES,
            attribute::MAX_VALUE_BYTES
        ),
        format!("| access token | {} KiB |", VERIFY_MAX_BYTES / 1024),
        format!("| body of `/oauth/introspect` and `/oauth/revoke` | {} KiB |", VERIFY_MAX_BYTES / 1024 + 4),
        format!("| unexpired signing keys per organization | {} |", signing_keys()),
        format!("| webhooks per organization | {} |", webhook::MAX_WEBHOOKS),
        format!("| password | {} characters to {} bytes |", member::MIN_PASSWORD, member::MAX_PASSWORD),
    ] {
        assert!(page.lines().any(|line| line == row), "{row}");
    }
}

#[test]
fn rates_and_connections_match_the_settings() {
    let page = read("docs/reference/limits.md");
    let settings: toml::Table = read("config/default.toml").parse().unwrap();
    let mut checked = 0;
    for row in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, limit, setting] = cells.as_slice() else { continue };
        let Some((section, name)) = setting.trim_matches('`').split_once('.') else { continue };
        let value = settings[section][name].as_integer().unwrap().to_string();
        assert!(limit.replace(',', "").split(' ').any(|word| word == value), "{row}: {value}");
        checked += 1;
    }
    assert_eq!(checked, 8);
}
