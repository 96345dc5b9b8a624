//! `[server]`: the listener, its time limits, and the name clients reach it by.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::Deserialize;
use url::{Host, Url};

use super::error::ConfigError;
use super::section::{NOT_SHOWN, Section, SectionOutline, Setting, quoted};

/// `[server]`: addresses and time limits of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The URL as it was set, without a trailing slash; [`Server::public_url`] fills in what is not set.
    pub configured_public_url: Option<String>,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Threads that serve requests, 0 to 512; 0 is the number of cores.
    pub workers: usize,
    /// Seconds that requests under way may take at stop, 0 to 3600.
    pub shutdown_seconds: u64,
    /// How long a server that is told to stop serves on while it says that it is not ready, 0 to 300 seconds.
    pub drain_seconds: u64,
    /// Seconds to receive the head of a request, 1 to 300.
    pub request_timeout_seconds: u64,
    /// Seconds that a client may stop reading a response, 1 to 300.
    pub write_timeout_seconds: u32,
    /// Seconds that an idle connection stays open, 1 to 3600.
    pub keep_alive_seconds: u32,
    /// Address and port of the operations endpoints; `None` serves them on `listen`.
    pub operations_listen: Option<SocketAddr>,
    /// The forwarding header that the trusted proxies write.
    pub forwarding_header: ForwardingHeader,
    /// Open connections in total, 16 to 1000000.
    pub max_connections: usize,
    /// Open connections from one address (IPv6: one /64), 1 to 1000000.
    pub max_connections_per_address: usize,
    /// Open connections from one network (IPv4: /24, IPv6: /48), 1 to 1000000.
    pub max_connections_per_network: usize,
}

/// `server.forwarding_header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// Either header; if both name a client, they must agree.
    Auto,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded`.
    Forwarded,
}

impl Server {
    /// The URL clients reach this server by, without a trailing slash: as set, else `http://{listen}`.
    pub fn public_url(&self) -> String {
        self.configured_public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }

    /// Whether no client can reach the public URL: it is not set, and `listen` is an unspecified address.
    pub(super) fn lacks_public_url(&self) -> bool {
        self.configured_public_url.is_none() && self.listen.ip().to_canonical().is_unspecified()
    }

    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        Ok(Self {
            listen: raw.listen.parse().map_err(|_| section.refuse(&LISTEN))?,
            configured_public_url: public_url(section, raw.public_url)?,
            trusted_proxies: (raw.trusted_proxies.iter())
                .map(|text| proxies(text).map_err(|why| section.refuse_because(&TRUSTED_PROXIES, &why)))
                .collect::<Result<_, _>>()?,
            workers: section.within(&WORKERS, raw.workers)?,
            shutdown_seconds: section.within(&SHUTDOWN_SECONDS, raw.shutdown_seconds)?,
            drain_seconds: section.within(&DRAIN_SECONDS, raw.drain_seconds)?,
            request_timeout_seconds: section.within(&REQUEST_TIMEOUT_SECONDS, raw.request_timeout_seconds)?,
            write_timeout_seconds: section.within(&WRITE_TIMEOUT_SECONDS, raw.write_timeout_seconds)?,
            keep_alive_seconds: section.within(&KEEP_ALIVE_SECONDS, raw.keep_alive_seconds)?,
            operations_listen: match raw.operations_listen.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|_| section.refuse(&OPERATIONS_LISTEN))?),
            },
            forwarding_header: match raw.forwarding_header.as_str() {
                "auto" => ForwardingHeader::Auto,
                "x-forwarded-for" => ForwardingHeader::XForwardedFor,
                "forwarded" => ForwardingHeader::Forwarded,
                _ => return Err(section.refuse(&FORWARDING_HEADER)),
            },
            max_connections: section.within(&MAX_CONNECTIONS, raw.max_connections)?,
            max_connections_per_address: section
                .within(&MAX_CONNECTIONS_PER_ADDRESS, raw.max_connections_per_address)?,
            max_connections_per_network: section
                .within(&MAX_CONNECTIONS_PER_NETWORK, raw.max_connections_per_network)?,
        })
    }
}

const LISTEN: Setting = Setting::words("listen", "an IP address and port, as 127.0.0.1:8080 or [::1]:8080");
const PUBLIC_URL: Setting =
    Setting::words("public_url", "an http or https URL without trailing slash, query, fragment and credentials");
const TRUSTED_PROXIES: Setting =
    Setting::words("trusted_proxies", "a list of IP addresses and networks, as 10.0.0.0/8");
const WORKERS: Setting = Setting::numbers("workers", 0, 512, "threads (0: the number of cores)");
const SHUTDOWN_SECONDS: Setting = Setting::numbers("shutdown_seconds", 0, 3600, "seconds");
const DRAIN_SECONDS: Setting = Setting::numbers("drain_seconds", 0, 300, "seconds");
const REQUEST_TIMEOUT_SECONDS: Setting = Setting::numbers("request_timeout_seconds", 1, 300, "seconds");
const WRITE_TIMEOUT_SECONDS: Setting = Setting::numbers("write_timeout_seconds", 1, 300, "seconds");
const KEEP_ALIVE_SECONDS: Setting = Setting::numbers("keep_alive_seconds", 1, 3600, "seconds");
const OPERATIONS_LISTEN: Setting =
    Setting::words("operations_listen", "an IP address and port, as 127.0.0.1:8081, or an empty string");
const FORWARDING_HEADER: Setting = Setting::words("forwarding_header", "auto, x-forwarded-for or forwarded");
const MAX_CONNECTIONS: Setting = Setting::numbers("max_connections", 16, 1_000_000, "connections");
const MAX_CONNECTIONS_PER_ADDRESS: Setting =
    Setting::numbers("max_connections_per_address", 1, 1_000_000, "connections");
const MAX_CONNECTIONS_PER_NETWORK: Setting =
    Setting::numbers("max_connections_per_network", 1, 1_000_000, "connections");

pub(super) const OUTLINE: SectionOutline = SectionOutline {
    name: "server",
    settings: &[
        LISTEN,
        OPERATIONS_LISTEN,
        PUBLIC_URL,
        TRUSTED_PROXIES,
        FORWARDING_HEADER,
        WORKERS,
        SHUTDOWN_SECONDS,
        DRAIN_SECONDS,
        REQUEST_TIMEOUT_SECONDS,
        WRITE_TIMEOUT_SECONDS,
        KEEP_ALIVE_SECONDS,
        MAX_CONNECTIONS,
        MAX_CONNECTIONS_PER_ADDRESS,
        MAX_CONNECTIONS_PER_NETWORK,
    ],
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: String,
    public_url: String,
    trusted_proxies: Vec<String>,
    workers: usize,
    shutdown_seconds: u64,
    drain_seconds: u64,
    request_timeout_seconds: u64,
    write_timeout_seconds: u32,
    keep_alive_seconds: u32,
    operations_listen: String,
    forwarding_header: String,
    max_connections: usize,
    max_connections_per_address: usize,
    max_connections_per_network: usize,
}

/// Issuers are compared byte by byte (RFC 8414 §3.3), so the URL has to be in the one spelling every URL
/// library prints; another is refused with that one as the suggestion.
fn public_url(section: &Section<'_>, text: String) -> Result<Option<String>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains('@') {
        return Err(section.refuse_because(&PUBLIC_URL, &format!("is {NOT_SHOWN}, with an @ in it")));
    }
    let usable = Url::parse(&text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && !url.path().trim_end_matches('/').contains("//")
    });
    let Some(url) = usable else {
        return Err(section.refuse(&PUBLIC_URL));
    };
    if is_unspecified(&url) {
        let complaint = format!("is {}, an address that no client can reach", quoted(&text));
        return Err(section.refuse_because(&PUBLIC_URL, &complaint));
    }
    let spelling = url.as_str().trim_end_matches('/');
    if spelling != text {
        let given = quoted(&text);
        let complaint = format!("is {given}, which has to be spelled {spelling}");
        return Err(section.refuse_because(&PUBLIC_URL, &complaint));
    }
    Ok(Some(text))
}

/// Whether its host is `0.0.0.0` or `[::]`.
fn is_unspecified(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_unspecified(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_unspecified(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// A network of trusted proxies.
fn proxies(text: &str) -> Result<IpNet, String> {
    let net = network(text)?;
    if net.prefix_len() == 0 {
        return Err(format!("has {} in it, which would let every client choose its own address", quoted(text)));
    }
    Ok(net)
}

/// A network or a bare address; an IPv4-mapped address is the IPv4 address it stands for.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let given = quoted(text);
    let net: IpNet = text.parse().map_err(|_| format!("has {given} in it"))?;
    if let IpNet::V6(v6) = net
        && let (Some(v4), Some(bits)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
        && let Ok(meant) = IpNet::new(v4.into(), bits)
    {
        return Err(format!("has {given} in it, an IPv4 network, to be spelled {}", meant.trunc()));
    }
    if net != net.trunc() {
        let (network, address) = (net.trunc(), net.addr());
        return Err(format!("has {given} in it, with host bits set: {network} or {address} was meant"));
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load, load_variable, refusal};

    fn public_url(text: &str) -> String {
        load_variable("KEYTURN_SERVER__PUBLIC_URL", text).server.public_url()
    }

    #[test]
    fn public_url_is_http_and_the_listen_address_when_not_set() {
        let listening_on = |text| load_variable("KEYTURN_SERVER__LISTEN", text).server.public_url();
        assert_eq!(public_url(""), "http://127.0.0.1:8080");
        assert_eq!(listening_on("[::1]:9000"), "http://[::1]:9000");
        assert_eq!(listening_on("0.0.0.0:80"), "http://0.0.0.0:80");
    }

    #[test]
    fn public_url_is_kept_byte_by_byte() {
        for url in ["https://keys.example.com", "http://10.0.0.1:8080", "https://example.com/keys/eu"] {
            assert_eq!(public_url(url), url);
        }
    }

    #[test]
    fn public_url_has_one_spelling() {
        let allowed = "; allowed is an http or https URL without trailing slash, query, fragment and credentials";
        for (given, complaint) in [
            ("https://a.example/", "is \"https://a.example/\", which has to be spelled https://a.example"),
            ("https://A.example:443", "is \"https://A.example:443\", which has to be spelled https://a.example"),
            ("https://a.example/x/", "is \"https://a.example/x/\", which has to be spelled https://a.example/x"),
            ("https://a.example?x=1", "is \"https://a.example?x=1\""),
            ("https://a.example#x", "is \"https://a.example#x\""),
            ("https://a.example//x", "is \"https://a.example//x\""),
            ("ftp://a.example", "is \"ftp://a.example\""),
            ("a.example", "is \"a.example\""),
            ("https://me:hunter2@a.example", "is something else (not shown), with an @ in it"),
        ] {
            assert_eq!(
                refusal("KEYTURN_SERVER__PUBLIC_URL", given),
                format!("KEYTURN_SERVER__PUBLIC_URL: server.public_url {complaint}{allowed}")
            );
        }
    }

    #[test]
    fn public_url_is_an_address_that_clients_can_reach() {
        let allowed = "; allowed is an http or https URL without trailing slash, query, fragment and credentials";
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
                    "KEYTURN_SERVER__LISTEN: server.listen is \"{given}\"; allowed is an IP address and port, \
                     as 127.0.0.1:8080 or [::1]:8080"
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
    fn trusted_proxies_say_what_was_meant() {
        for (given, complaint) in [
            ("10.0.0.1/8", "has \"10.0.0.1/8\" in it, with host bits set: 10.0.0.0/8 or 10.0.0.1 was meant"),
            (
                "2001:db8::1/32",
                "has \"2001:db8::1/32\" in it, with host bits set: 2001:db8::/32 or 2001:db8::1 was meant",
            ),
            ("::ffff:10.0.0.0/104", "has \"::ffff:10.0.0.0/104\" in it, an IPv4 network, to be spelled 10.0.0.0/8"),
            ("10.0.0.0/33", "has \"10.0.0.0/33\" in it"),
            ("proxy.local", "has \"proxy.local\" in it"),
            ("[\"10.0.0.0/8\", 5]", "is [\"10.0.0.0/8\", 5]"),
            ("[\"10.0.0.0/8\"", "is \"[\\\"10.0.0.0/8\\\"\""),
            ("[]\nx = []", "is \"[]\\nx = []\""),
        ] {
            assert_eq!(
                refusal("KEYTURN_SERVER__TRUSTED_PROXIES", given),
                format!(
                    "KEYTURN_SERVER__TRUSTED_PROXIES: server.trusted_proxies {complaint}; allowed is a list of \
                     IP addresses and networks, as 10.0.0.0/8"
                )
            );
        }
    }
}
