//! The access of a key in words: a line for the review before it exists, and warnings.

use crate::console::ui::{Notice, Tone, format_date};
use crate::domain::api_key::{Access, ApiKey};
use crate::domain::apis::api_name;
use crate::domain::apis::{ApiId, ServedApi};
use crate::domain::grants::{Grant, Grants};
use crate::domain::networks::Networks;
use crate::domain::scope::Scope;

/// Whether a scope of the default API is `*:*`.
fn has_full_access(grants: &Grants) -> bool {
    grants.of_default_api().iter().any(Scope::is_everything)
}

/// Returns the names of other APIs with the scope `*:*`.
fn full_apis<'a>(grants: &Grants, apis: &'a [ServedApi]) -> Vec<&'a str> {
    let is_full = |grant: &&Grant| grant.api != ApiId::DEFAULT && grant.scopes.iter().any(Scope::is_everything);
    grants.iter().filter(is_full).filter_map(|grant| api_name(apis, grant.api)).collect()
}

/// Whether a scope is for the management API.
fn manages_keyturn(grants: &Grants) -> bool {
    grants.scopes().any(|(_, scope)| scope.is_reserved())
}

/// Describes access in a line: `Full access, from any network, never expires.`
pub(super) fn describe_access(access: Access<'_>, apis: &[ServedApi]) -> String {
    let known = || access.grants.iter().filter(|grant| api_name(apis, grant.api).is_some());
    let scopes: usize = known().map(|grant| grant.scopes.len()).sum();
    let with_scopes = known().filter(|grant| !grant.scopes.is_empty()).count();
    let what = match (has_full_access(access.grants), manages_keyturn(access.grants), scopes) {
        (true, true, _) => "Full access, including the Keyturn management API".to_owned(),
        (true, false, _) => "Full access".to_owned(),
        (false, true, _) => "Access to the Keyturn management API".to_owned(),
        (false, false, 0) => "No access".to_owned(),
        (false, false, 1) => "1 scope".to_owned(),
        (false, false, number) => format!("{number} scopes"),
    };
    let what = match with_scopes {
        0 | 1 => what,
        _ if scopes > 1 && what.ends_with("scopes") => format!("{what} of {with_scopes} APIs"),
        number => format!("{what}, and scopes of {} more", counted_apis(number - 1)),
    };
    let from = match access.networks.iter().len() {
        _ if !access.networks.is_restricted() => "from any network".to_owned(),
        _ if access.networks.is_none() => "from no network".to_owned(),
        1 => "from 1 network".to_owned(),
        number => format!("from {number} networks"),
    };
    let until = access.expires_at.map_or("never expires".to_owned(), |end| format!("expires on {}", format_date(end)));
    format!("{what}, {from}, {until}.")
}

fn counted_apis(number: usize) -> String {
    if number == 1 { "1 API".into() } else { format!("{number} APIs") }
}

/// Describes networks: `any network`, `no network`, or a list.
pub(super) fn describe_networks(networks: &Networks) -> String {
    if networks.is_none() {
        return "no network".into();
    }
    if networks.is_restricted() { networks.to_strings().join(", ") } else { "any network".into() }
}

/// Returns warnings about the access of a new or existing key.
pub(super) fn warnings(access: Access<'_>, apis: &[ServedApi]) -> Vec<Notice> {
    let warn = |text: &str| Notice::new(Tone::Warning, text);
    let mut notices = Vec::new();
    let has_scope = |grant: &Grant| !grant.scopes.is_empty() && api_name(apis, grant.api).is_some();
    if !access.grants.iter().any(has_scope) {
        notices.push(warn("This key has no access: it has no scopes. Its tokens only identify it."));
    }
    if has_full_access(access.grants) {
        notices.push(warn("This key has full access (*:*). Grant only the scopes it needs."));
    }
    for api in full_apis(access.grants, apis) {
        notices.push(warn(&format!("This key has full access to {api} (*:*). Grant only the scopes it needs.")));
    }
    if manages_keyturn(access.grants) {
        notices.push(warn("This key can use the Keyturn management API, for example to manage other keys."));
    }
    if !access.networks.is_restricted() {
        notices.push(warn("This key can be used from any address. List the networks you use."));
    }
    notices
}

/// Returns warnings about the access of a key.
pub(super) fn warnings_about(key: &ApiKey, apis: &[ServedApi]) -> Vec<Notice> {
    warnings(Access::from(key), apis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::apis::Api;
    use crate::domain::choices::{Algorithm, TokenType};
    use crate::domain::scope::ScopeSet;
    use crate::domain::slug::Slug;
    use crate::domain::timestamp::Timestamp;

    fn default_api() -> ServedApi {
        let api = Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0));
        ServedApi {
            api,
            audience: "a".into(),
            aliases: vec![],
            ttl_seconds: 600,
            typ: TokenType::AtJwt,
            claims: Default::default(),
        }
    }

    #[test]
    fn access_to_several_apis_is_described() {
        let id = ApiId::from_random([1; 16]);
        let base = default_api();
        let other =
            ServedApi { api: Api { id, name: Slug::parse("orders").unwrap(), ..base.api.clone() }, ..base.clone() };
        let networks = Networks::parse(&["10.0.0.0/8"]).unwrap();
        let describe = |default: &str, orders: &str, apis: &[ServedApi]| {
            let grants =
                Grants::of_default(ScopeSet::parse(default).unwrap()).with(id, Some(ScopeSet::parse(orders).unwrap()));
            let access = Access { grants: &grants, networks: &networks, expires_at: None };
            (describe_access(access, apis), warnings(access, apis).len())
        };
        let both = [base.clone(), other];
        let end = "from 1 network, never expires.";
        assert_eq!(describe("read:a", "read:b", &both), (format!("2 scopes of 2 APIs, {end}"), 0));
        assert_eq!(describe("", "read:b", &both), (format!("1 scope, {end}"), 0));
        assert_eq!(describe("*:*", "read:b", &both), (format!("Full access, and scopes of 1 API more, {end}"), 1));
        assert_eq!(describe("read:a", "*:*", &both), (format!("2 scopes of 2 APIs, {end}"), 1));
        assert_eq!(describe("", "read:b", &[base]), (format!("No access, {end}"), 1), "the API is gone");
    }

    fn described(scopes: &str, networks: &[&str], expires_at: Option<i64>) -> (String, usize) {
        let grants = Grants::of_default(ScopeSet::parse(scopes).unwrap());
        let networks = Networks::parse(networks).unwrap();
        let expires_at = expires_at.map(Timestamp::from_seconds);
        let access = Access { grants: &grants, networks: &networks, expires_at };
        let apis = [default_api()];
        (describe_access(access, &apis), warnings(access, &apis).len())
    }

    #[test]
    fn access_is_one_line() {
        for (scopes, networks, end, line, warnings) in [
            (
                "*:* *:keyturn/*",
                &[] as &[_],
                None,
                "Full access, including the Keyturn management API, from any network, never expires.",
                3,
            ),
            ("*:*", &["*"], None, "Full access, from any network, never expires.", 2),
            ("*", &["0.0.0.0/1", "128.0.0.0/1", "::/0"], None, "Full access, from any network, never expires.", 2),
            (
                "read:keyturn/keys",
                &["10.0.0.0/8"],
                None,
                "Access to the Keyturn management API, from 1 network, never expires.",
                1,
            ),
            ("", &["10.0.0.0/8", "::1"], Some(86_400), "No access, from 2 networks, expires on 1970-01-02.", 1),
            ("read:a", &["10.0.0.0/8"], None, "1 scope, from 1 network, never expires.", 0),
            ("read:a read:keyturns/b", &["10.0.0.0/8"], None, "2 scopes, from 1 network, never expires.", 0),
        ] {
            assert_eq!(described(scopes, networks, end), (line.to_owned(), warnings), "{scopes}");
        }
    }
}
