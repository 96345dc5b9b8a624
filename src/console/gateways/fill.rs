//! Replacing the example values in recipes with an organization's own values.

use std::net::IpAddr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::clock;
use crate::console::ui::Errors;
use crate::domain::scope::Scope;
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::node::{NodeSettings, Tenant};

/// The example addresses of Keyturn and of the protected API.
pub(super) const EXAMPLE_KEYTURN: &str = "127.0.0.1:8080";
pub(super) const EXAMPLE_API: &str = "127.0.0.1:9000";
/// The example of what is protected: a path, and the scope that it requires.
pub(super) const EXAMPLE_PATH: &str = "/orders/";
pub(super) const EXAMPLE_SCOPE: &str = "read:orders/*";
/// The requirement in recipes in which path and scope can be replaced.
pub(super) const EXAMPLE_REQUIREMENT: &str = "keyturn_require=read:orders/*";
/// The path of the other example in these recipes.
const SECOND_PATH: &str = "/projects/";
/// Maximum length of a path or a scope.
const MAX_LENGTH: usize = 200;

/// The values for recipes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Values {
    /// The internal address of Keyturn, over plain HTTP.
    pub(super) keyturn: HostPort,
    /// The address of the protected API.
    pub(super) api: HostPort,
    /// The beginning of the paths to protect.
    pub(super) path: String,
    /// The scope that they require.
    pub(super) scope: String,
    /// The `iss` of tokens.
    pub(super) issuer: String,
    /// The part of the issuer after the public URL: empty or `/o/{slug}`.
    pub(super) issuer_path: String,
    /// The `aud` of tokens.
    pub(super) audience: String,
    /// The signing algorithm of tokens.
    pub(super) algorithm: String,
    /// The `typ` of tokens.
    pub(super) typ: String,
}

/// A host and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// Reads `host:port`: a name, an IPv4 address, or an IPv6 address in brackets.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let is_digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_digits && *port > 0)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let is_name = (1..=253).contains(&host.len()) && host.bytes().all(plain);
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_ipv6 = in_brackets.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        (is_name || is_ipv6).then(|| Self { host: host.to_owned(), port })
    }

    /// Returns the host without brackets.
    fn without_brackets(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    fn is_name(&self) -> bool {
        self.without_brackets().parse::<IpAddr>().is_err()
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Values {
    /// Returns the organization's values, overridden by the query, and the query's errors.
    pub(super) fn new(tenant: &Tenant, settings: &NodeSettings, query: &Form) -> (Self, Errors) {
        let mut violations = Vec::new();
        let mut address = |name: &'static str, default: HostPort| match query.value(name).map(str::trim) {
            None | Some("") => default,
            Some(text) => HostPort::parse(text).unwrap_or_else(|| {
                violations.push(Violation::new(name, "Enter host:port, for example 10.0.0.5:8080."));
                default
            }),
        };
        let example = |text| HostPort::parse(text).unwrap_or(HostPort { host: "127.0.0.1".into(), port: 8080 });
        let keyturn = address("keyturn", plain_http(&settings.public_url).unwrap_or_else(|| example(EXAMPLE_KEYTURN)));
        let api = address("api", example(EXAMPLE_API));
        let mut text = |name: &'static str, example: &str, check: fn(&str) -> Result<(), String>| {
            let given = query.value(name).map(str::trim).filter(|text| !text.is_empty()).unwrap_or(example);
            match check(given) {
                Ok(()) => given.to_owned(),
                Err(error) => {
                    violations.push(Violation::new(name, error));
                    example.to_owned()
                }
            }
        };
        let (path, scope) = (text("path", EXAMPLE_PATH, check_path), text("scope", EXAMPLE_SCOPE, check_scope));
        let audiences = audiences(tenant, settings);
        let audience = query.value("audience").and_then(|wanted| audiences.iter().find(|known| *known == wanted));
        let values = Self {
            keyturn,
            api,
            path,
            scope,
            issuer: tenant.issuer.clone(),
            issuer_path: tenant.issuer.strip_prefix(&settings.public_url).unwrap_or_default().to_owned(),
            audience: audience.unwrap_or(&settings.audience).clone(),
            algorithm: tenant.default_algorithm(clock::now()).unwrap_or(settings.algorithm).to_string(),
            typ: settings.typ.to_string(),
        };
        let labels = [
            ("keyturn", "Keyturn address"),
            ("api", "Your API"),
            ("path", "Path to protect"),
            ("scope", "Required scope"),
        ];
        (values, Errors::new(violations, &labels))
    }

    /// Returns the path of `/verify` for this organization and audience, ready for more parameters.
    fn verify(&self) -> String {
        let audience = utf8_percent_encode(&self.audience, NON_ALPHANUMERIC);
        format!("{}/verify?keyturn_audience={audience}&", self.issuer_path)
    }

    /// Replaces the example values in a recipe.
    pub(super) fn fill(&self, recipe: &str) -> String {
        let Self { keyturn, api, .. } = self;
        // If a recipe compares scopes by a pattern, the example stays.
        let (path, scope) = match recipe.contains(EXAMPLE_REQUIREMENT) {
            true => (self.path.as_str(), self.scope.as_str()),
            false => (EXAMPLE_PATH, EXAMPLE_SCOPE),
        };
        let in_envoy =
            |address: &HostPort| format!("address: \"{}\", port_value: {}", address.without_brackets(), address.port);
        let cluster = |name: &str, address: &HostPort| {
            let more = if address.is_name() { "\n    type: STRICT_DNS" } else { "" };
            format!("  - name: {name}\n    connect_timeout: 1s{more}\n")
        };
        replace_all(
            recipe,
            &[
                ("/verify?", self.verify()),
                ("/(orders|projects)/.*", format!("({path}|{SECOND_PATH}).*")),
                (EXAMPLE_PATH, path.to_owned()),
                (EXAMPLE_SCOPE, scope.to_owned()),
                ("127.0.0.1:8080/.well-known/", format!("{keyturn}{}/.well-known/", self.issuer_path)),
                (EXAMPLE_KEYTURN, keyturn.to_string()),
                (EXAMPLE_API, api.to_string()),
                ("address: 127.0.0.1, port_value: 8080", in_envoy(keyturn)),
                ("address: 127.0.0.1, port_value: 9000", in_envoy(api)),
                ("  - name: keyturn\n    connect_timeout: 1s\n", cluster("keyturn", keyturn)),
                ("  - name: api\n    connect_timeout: 1s\n", cluster("api", api)),
                ("https://keys.example.com", self.issuer.clone()),
                ("https://api.example.com", self.audience.clone()),
                ("ES256", self.algorithm.clone()),
                ("at+jwt", self.typ.clone()),
            ],
        )
    }
}

/// Returns the audiences that need no quoting in a recipe.
pub(super) fn audiences(tenant: &Tenant, settings: &NodeSettings) -> Vec<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/._~-".contains(&byte);
    let more = tenant.organization.policy.audiences.iter().filter(|audience| audience.bytes().all(plain));
    let mut known = vec![settings.audience.clone()];
    for audience in more {
        if !known.contains(audience) {
            known.push(audience.clone());
        }
    }
    known
}

/// Checks the beginning of a path. It needs no quoting in a recipe.
fn check_path(path: &str) -> Result<(), String> {
    let segments = path.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(plain);
    if path.len() > MAX_LENGTH || !segments.is_some_and(|segments| segments.split('/').all(is_segment)) {
        return Err(
            "Enter a path that begins and ends with a slash, such as /orders/, of letters, digits, - and _.".into()
        );
    }
    if path == SECOND_PATH {
        return Err(format!("{SECOND_PATH} is the second example in the configuration. Enter another path."));
    }
    Ok(())
}

/// Checks a scope. It needs no quoting in a recipe.
fn check_scope(scope: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/*._-".contains(&byte);
    let is_plain = scope.len() <= MAX_LENGTH && scope.bytes().all(plain);
    if !is_plain || Scope::parse(scope).is_err() {
        return Err("Enter one scope, such as read:orders/*, of letters, digits and : / * . _ -".into());
    }
    Ok(())
}

/// Returns the host and port of a plain HTTP URL.
fn plain_http(public_url: &str) -> Option<HostPort> {
    let url = url::Url::parse(public_url).ok().filter(|url| url.scheme() == "http")?;
    HostPort::parse(&format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// Replaces all pairs in one pass, so that replacements are never replaced again. At the same position the first pair wins.
fn replace_all(text: &str, pairs: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let found = pairs.iter().filter_map(|(from, to)| Some((rest.split_once(from)?, to)));
        let Some(((before, after), to)) = found.min_by_key(|((before, _), _)| before.len()) else {
            filled.push_str(rest);
            return filled;
        };
        filled.push_str(before);
        filled.push_str(to);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            keyturn: HostPort::parse("127.0.0.1:9000").unwrap(),
            api: HostPort::parse("api.internal:80").unwrap(),
            path: EXAMPLE_PATH.into(),
            scope: EXAMPLE_SCOPE.into(),
            issuer: "https://id.example/o/acme".into(),
            issuer_path: "/o/acme".into(),
            audience: "urn:orders".into(),
            algorithm: "RS256".into(),
            typ: "JWT".into(),
        }
    }

    #[test]
    fn examples_are_replaced_once() {
        let filled = values().fill(
            "http://127.0.0.1:8080/.well-known/jwks.json 127.0.0.1:8080/verify 127.0.0.1:9000 \
             https://keys.example.com/.well-known https://api.example.com ES256 at+jwt",
        );
        assert_eq!(
            filled,
            "http://127.0.0.1:9000/o/acme/.well-known/jwks.json 127.0.0.1:9000/verify api.internal:80 \
             https://id.example/o/acme/.well-known urn:orders RS256 JWT"
        );
    }

    #[test]
    fn envoy_distinguishes_names_from_addresses() {
        let recipe = "  - name: api\n    connect_timeout: 1s\n{ address: 127.0.0.1, port_value: 9000 }\n  \
            - name: keyturn\n    connect_timeout: 1s\n";
        let filled = values().fill(recipe);
        assert!(filled.contains("- name: api\n    connect_timeout: 1s\n    type: STRICT_DNS\n"), "{filled}");
        assert!(filled.contains("{ address: \"api.internal\", port_value: 80 }"), "{filled}");
        assert!(filled.ends_with("- name: keyturn\n    connect_timeout: 1s\n"), "{filled}");
    }

    #[test]
    fn no_recipe_keeps_an_example() {
        let values = Values { keyturn: HostPort::parse("10.0.0.5:81").unwrap(), ..values() };
        for gateway in &crate::console::gateways::recipes::GATEWAYS {
            for (name, text) in gateway.recipes.iter().flat_map(|recipe| recipe.files) {
                let filled = values.fill(text);
                for example in ["example.com", "8080", "9000", "ES256", "at+jwt"] {
                    let left = filled.replace("gateway.example.com", "");
                    assert!(!left.contains(example), "{example} is left in {name} of {}", gateway.name);
                }
            }
        }
    }

    #[test]
    fn audience_changes_every_recipe() {
        let other = Values { audience: "urn:other".into(), ..values() };
        for gateway in &crate::console::gateways::recipes::GATEWAYS {
            for recipe in gateway.recipes {
                let filled =
                    |values: &Values| recipe.files.iter().map(|(_, text)| values.fill(text)).collect::<String>();
                assert_ne!(filled(&values()), filled(&other), "{}: {}", gateway.name, recipe.title);
            }
        }
    }

    #[test]
    fn path_and_scope_change_every_recipe_that_asks_for_a_scope() {
        let other = Values { path: "/v1/invoices/".into(), scope: "write:invoices/acme".into(), ..values() };
        let mut changed = 0;
        for gateway in &crate::console::gateways::recipes::GATEWAYS {
            for recipe in gateway.recipes.iter().filter(|recipe| recipe.has(EXAMPLE_REQUIREMENT)) {
                changed += 1;
                for (name, text) in recipe.files.iter().filter(|(_, text)| text.contains(EXAMPLE_REQUIREMENT)) {
                    let filled = other.fill(text);
                    assert!(filled.contains("keyturn_require=write:invoices/acme"), "{name} of {}", gateway.name);
                    assert!(!filled.contains("/orders/") && !filled.contains(EXAMPLE_SCOPE), "{name}: {filled}");
                }
            }
        }
        assert_eq!(changed, 6, "nginx twice, Envoy, Caddy, Traefik and HAProxy");
    }

    #[test]
    fn paths_and_scopes_need_no_quotes() {
        for good in ["/orders/", "/v1/a_b-c/"] {
            assert_eq!(check_path(good), Ok(()));
        }
        for bad in ["", "/", "//", "orders", "/orders", "/a//b/", "/a b/", "/a;}/", "/../", "/projects/", "/ä/", "/a{/"]
        {
            assert!(check_path(bad).is_err(), "{bad}");
        }
        for good in ["read:orders/*", "*:*", "read", "admin:a.b/c-d"] {
            assert_eq!(check_scope(good), Ok(()), "{good}");
        }
        for bad in ["", "read:orders/#", "read orders", "read:a;}", "read:\"", "read:a&b=c", ":", "read:a b"] {
            assert!(check_scope(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for good in ["10.0.0.5:8080", "keyturn.internal:80", "[::1]:65535", "a:1"] {
            assert_eq!(HostPort::parse(good).map(|address| address.to_string()).as_deref(), Some(good));
        }
        for bad in
            ["", "a", ":1", "a:", "a:0", "a:65536", "a:+1", "a b:1", "a;}:1", "::1:80", "[x]:1", "ü:1", "\"a\":1"]
        {
            assert_eq!(HostPort::parse(bad), None, "{bad}");
        }
    }
}
