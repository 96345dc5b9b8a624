//! URLs, origins and networks in settings.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::error::ConfigError;
use super::field::{Field, NOT_SHOWN, quoted};

/// Reads `server.public_url`. Issuers are compared byte by byte (RFC 8414 §3.3), so the URL must be in the one form that
/// every URL library prints; the error suggests that form.
pub(super) fn public_url(field: &Field<'_>) -> Result<Option<String>, ConfigError> {
    let text = field.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains('@') {
        return Err(field.refuse_because(&format!("is {NOT_SHOWN}: it contains an @")));
    }
    let usable = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && !url.path().trim_end_matches('/').contains("//")
    });
    let Some(url) = usable else {
        return Err(field.refuse());
    };
    if is_unspecified(&url) {
        return Err(field.refuse_because(&format!("is {}, an address that no client can reach", quoted(text))));
    }
    let canonical = url.as_str().trim_end_matches('/');
    if canonical != text {
        return Err(field.refuse_because(&format!("is {}, which must be written as {canonical}", quoted(text))));
    }
    Ok(Some(text.to_owned()))
}

/// Whether the host is `0.0.0.0` or `[::]`.
fn is_unspecified(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_unspecified(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_unspecified(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// Reads `cors.allowed_origins`.
pub(super) fn allowed_origins(field: &Field<'_>) -> Result<Vec<String>, ConfigError> {
    let items = field.list()?.len();
    if items > MAX_ORIGINS {
        return Err(field.refuse_because(&format!("has {items} items")));
    }
    field.texts(origin)
}

const MAX_ORIGINS: usize = 100;

/// Checks that an origin is written as browsers send it (RFC 6454 §6.2): origins are compared byte by byte. Wildcards and
/// `null`, which every sandboxed page sends, would allow pages that nobody has chosen.
fn origin(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err("contains an origin with an @ (not shown)".to_owned());
    }
    let given = quoted(text);
    if text.contains('*') {
        return Err(format!("contains {given}, a wildcard"));
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else { return Err(format!("contains {given}")) };
    let origin = url.origin().ascii_serialization();
    if origin != text {
        return Err(format!("contains {given}, which must be written as {origin}"));
    }
    Ok(origin)
}

/// Reads `server.trusted_proxies`.
pub(super) fn trusted_proxies(field: &Field<'_>) -> Result<Vec<IpNet>, ConfigError> {
    field.texts(|text| match network(text)? {
        net if net.prefix_len() == 0 => {
            Err(format!("contains {}, so that every client could choose its own address", quoted(text)))
        }
        net => Ok(net),
    })
}

/// Reads `webhooks.allowed_networks`.
pub(super) fn allowed_networks(field: &Field<'_>) -> Result<Vec<IpNet>, ConfigError> {
    field.texts(|text| match network(text)? {
        net if net.prefix_len() == 0 => Err(format!("contains {}, which is every address", quoted(text))),
        net => Ok(net),
    })
}

/// A network or a bare address; an IPv4-mapped address is read as its IPv4 address.
fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let given = quoted(text);
    let net: IpNet = text.parse().map_err(|_| format!("contains {given}"))?;
    if let IpNet::V6(v6) = net
        && let (Some(v4), Some(bits)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
        && let Ok(meant) = IpNet::new(v4.into(), bits)
    {
        return Err(format!("contains {given}, an IPv4 network, which must be written as {}", meant.trunc()));
    }
    if net != net.trunc() {
        let (network, address) = (net.trunc(), net.addr());
        return Err(format!("contains {given}, which has host bits set (did you mean {network} or {address}?)"));
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load, load_variable, refusal};

    fn public_url(text: &str) -> String {
        load_variable("KEYTURN_SERVER__PUBLIC_URL", text).public_url()
    }

    #[test]
    fn public_url_is_http_and_the_listen_address_when_not_set() {
        let listening_on = |text| load_variable("KEYTURN_SERVER__LISTEN", text).public_url();
        assert_eq!(public_url(""), "http://127.0.0.1:8080");
        assert_eq!(listening_on("[::1]:9000"), "http://[::1]:9000");
        assert_eq!(listening_on("0.0.0.0:80"), "http://0.0.0.0:80");
    }

    #[test]
    fn public_url_is_kept_unchanged() {
        for url in ["https://keys.example.com", "http://10.0.0.1:8080", "https://example.com/keys/eu"] {
            assert_eq!(public_url(url), url);
        }
    }

    #[test]
    fn public_url_has_one_form() {
        let allowed = "; allowed: an http or https URL without trailing slash, query, fragment or credentials";
        for (given, complaint) in [
            ("https://a.example/", "is \"https://a.example/\", which must be written as https://a.example"),
            ("https://A.example:443", "is \"https://A.example:443\", which must be written as https://a.example"),
            ("https://a.example/x/", "is \"https://a.example/x/\", which must be written as https://a.example/x"),
            ("https://a.example?x=1", "is \"https://a.example?x=1\""),
            ("https://a.example#x", "is \"https://a.example#x\""),
            ("https://a.example//x", "is \"https://a.example//x\""),
            ("ftp://a.example", "is \"ftp://a.example\""),
            ("a.example", "is \"a.example\""),
            ("https://me:hunter2@a.example", "is invalid (not shown): it contains an @"),
        ] {
            assert_eq!(
                refusal("KEYTURN_SERVER__PUBLIC_URL", given),
                format!("KEYTURN_SERVER__PUBLIC_URL: server.public_url {complaint}{allowed}")
            );
        }
    }

    #[test]
    fn public_url_must_be_reachable() {
        let allowed = "; allowed: an http or https URL without trailing slash, query, fragment or credentials";
        for given in ["http://0.0.0.0:8080", "https://0.0.0.0", "http://[::]:8080", "http://[::ffff:0:0]"] {
            assert_eq!(
                refusal("KEYTURN_SERVER__PUBLIC_URL", given),
                format!(
                    "KEYTURN_SERVER__PUBLIC_URL: server.public_url is \"{given}\", an address that no client can \
                     reach{allowed}"
                )
            );
        }
        for listen in ["0.0.0.0:8080", "[::]:8080", "[::ffff:0.0.0.0]:8080"] {
            let error = load_variable("KEYTURN_SERVER__LISTEN", listen).check_public_url().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "KEYTURN_SERVER__LISTEN: server.listen is {listen}, an address that no client can reach; set \
                     server.public_url to the URL that clients use"
                )
            );
            let url = ("KEYTURN_SERVER__PUBLIC_URL", "https://keys.example.com");
            assert!(load(&[("KEYTURN_SERVER__LISTEN", listen), url]).check_public_url().is_ok());
        }
        assert!(load(&[]).check_public_url().is_ok());
    }

    #[test]
    fn listen_takes_an_address_and_a_port() {
        for given in ["localhost:8080", "127.0.0.1", "8080", "::1:8080:"] {
            assert_eq!(
                refusal("KEYTURN_SERVER__LISTEN", given),
                format!(
                    "KEYTURN_SERVER__LISTEN: server.listen is \"{given}\"; allowed: an IP address and port, \
                     such as 127.0.0.1:8080 or [::1]:8080"
                )
            );
        }
    }

    #[test]
    fn trusted_proxies_are_networks_and_addresses() {
        for text in ["10.0.0.0/8, ::1,::ffff:192.0.2.1", "[\"10.0.0.0/8\", \"::1\", '192.0.2.1/32']"] {
            let networks = load_variable("KEYTURN_SERVER__TRUSTED_PROXIES", text).server.trusted_proxies;
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            assert_eq!(networks, ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]);
        }
        assert!(load_variable("KEYTURN_SERVER__TRUSTED_PROXIES", "").server.trusted_proxies.is_empty());
    }

    #[test]
    fn trusted_proxies_suggest_the_right_network() {
        for (given, complaint) in [
            ("10.0.0.1/8", "contains \"10.0.0.1/8\", which has host bits set (did you mean 10.0.0.0/8 or 10.0.0.1?)"),
            (
                "2001:db8::1/32",
                "contains \"2001:db8::1/32\", which has host bits set (did you mean 2001:db8::/32 or 2001:db8::1?)",
            ),
            (
                "::ffff:10.0.0.0/104",
                "contains \"::ffff:10.0.0.0/104\", an IPv4 network, which must be written as 10.0.0.0/8",
            ),
            ("10.0.0.0/33", "contains \"10.0.0.0/33\""),
            ("proxy.local", "contains \"proxy.local\""),
            ("[\"10.0.0.0/8\", 5]", "is [\"10.0.0.0/8\", 5]"),
            ("[\"10.0.0.0/8\"", "is \"[\\\"10.0.0.0/8\\\"\""),
            ("[]\nx = []", "is \"[]\\nx = []\""),
        ] {
            assert_eq!(
                refusal("KEYTURN_SERVER__TRUSTED_PROXIES", given),
                format!(
                    "KEYTURN_SERVER__TRUSTED_PROXIES: server.trusted_proxies {complaint}; allowed: a list of \
                     IP addresses and networks, such as 10.0.0.0/8"
                )
            );
        }
    }

    const ORIGINS: &str = "KEYTURN_CORS__ALLOWED_ORIGINS";

    #[test]
    fn origins_are_listed_as_browsers_send_them() {
        let read = |text| load_variable(ORIGINS, text).cors.allowed_origins;
        assert!(read("").is_empty());
        assert_eq!(
            read("https://app.example.com, http://localhost:5173"),
            ["https://app.example.com", "http://localhost:5173"]
        );
        assert_eq!(read("[\"http://[::1]:8080\"]"), ["http://[::1]:8080"]);
    }

    #[test]
    fn origins_in_another_form_are_rejected() {
        for (given, complaint) in [
            ("*", "contains \"*\", a wildcard"),
            ("https://*.example.com", "contains \"https://*.example.com\", a wildcard"),
            ("null", "contains \"null\""),
            ("app.example.com", "contains \"app.example.com\""),
            ("ftp://app.example.com", "contains \"ftp://app.example.com\""),
            ("https://a.example/", "contains \"https://a.example/\", which must be written as https://a.example"),
            ("https://a.example/x", "contains \"https://a.example/x\", which must be written as https://a.example"),
            ("https://A.example:443", "contains \"https://A.example:443\", which must be written as https://a.example"),
            ("https://u:p@a.example", "contains an origin with an @ (not shown)"),
        ] {
            assert_eq!(
                refusal(ORIGINS, given),
                format!(
                    "{ORIGINS}: cors.allowed_origins {complaint}; allowed: a list of at most 100 origins without path \
                     and wildcard, such as https://app.example.com or http://localhost:5173"
                )
            );
        }
        let many: Vec<String> = (0..101).map(|n| format!("https://a{n}.example")).collect();
        assert!(refusal(ORIGINS, &many.join(",")).contains("has 101 items; allowed:"));
    }

    #[test]
    fn allowed_networks_are_networks_and_addresses() {
        let read = |text| load_variable("KEYTURN_WEBHOOKS__ALLOWED_NETWORKS", text).webhooks.allowed_networks;
        assert!(read("").is_empty());
        let shown: Vec<String> = read("10.1.0.0/16, fd00::1").iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.1.0.0/16", "fd00::1/128"]);
        for (wrong, complaint) in [
            ("0.0.0.0/0", "contains \"0.0.0.0/0\", which is every address"),
            ("10.0.0.1/8", "contains \"10.0.0.1/8\", which has host bits set (did you mean 10.0.0.0/8 or 10.0.0.1?)"),
            ("internal.example", "contains \"internal.example\""),
        ] {
            assert_eq!(
                refusal("KEYTURN_WEBHOOKS__ALLOWED_NETWORKS", wrong),
                format!(
                    "KEYTURN_WEBHOOKS__ALLOWED_NETWORKS: webhooks.allowed_networks {complaint}; allowed: a list of IP \
                     addresses and networks, such as 10.0.0.0/8"
                )
            );
        }
    }
}
