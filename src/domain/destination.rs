//! Webhook destinations: an `https` URL with a public address, unless an operator allows others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::domain::networks::fold;

/// Maximum length of a URL in characters.
const MAX_LENGTH: usize = 2048;

/// Destinations that the server's settings allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllowedDestinations {
    /// `https` to public addresses.
    Public,
    /// `https` to public addresses and to these networks.
    PublicAnd(&'static [IpNet]),
    /// Also `http`, and any address.
    Anywhere,
}

impl AllowedDestinations {
    pub fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::PublicAnd(networks) => {
                let address = fold(address);
                networks.iter().any(|network| network.contains(&address)) || is_public(address)
            }
            Self::Anywhere => true,
        }
    }

    pub fn allows_http(self) -> bool {
        self == Self::Anywhere
    }
}

/// URL of a receiver. Path and query may contain a token, so `Display` and `Debug` show neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination(Url);

/// Reason why a URL is not a valid destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DestinationError {
    #[error("too long; at most {MAX_LENGTH} characters are allowed")]
    TooLong,
    #[error("not a URL; https://host/path in printable ASCII is expected")]
    NotUrl,
    #[error("only https is allowed")]
    Scheme,
    #[error("a user or a password in the URL is not allowed")]
    UserInfo,
    /// A fragment is never sent.
    #[error("a fragment (#…) is not allowed")]
    Fragment,
    /// A literal address that is not allowed.
    #[error("an address that is not public is not allowed")]
    NotPublic,
}

impl Destination {
    /// Parses a URL and checks its scheme, and its host if that is an address.
    ///
    /// ```
    /// use keyturn::domain::destination::{Destination, DestinationError, AllowedDestinations};
    /// let read = |text| Destination::parse(text, AllowedDestinations::Public);
    /// assert_eq!(read("https://hooks.example/in?token=x").unwrap().to_string(), "https://hooks.example");
    /// assert_eq!(read("http://hooks.example/"), Err(DestinationError::Scheme));
    /// assert_eq!(read("https://2130706433/"), Err(DestinationError::NotPublic)); // 127.0.0.1
    /// assert!(Destination::parse("http://127.0.0.1:9/", AllowedDestinations::Anywhere).is_ok());
    /// ```
    pub fn parse(text: &str, allowed: AllowedDestinations) -> Result<Self, DestinationError> {
        if text.chars().count() > MAX_LENGTH {
            return Err(DestinationError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(DestinationError::NotUrl);
        }
        let url = Url::parse(text).map_err(|_| DestinationError::NotUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if allowed.allows_http() => {}
            _ => return Err(DestinationError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(DestinationError::Fragment);
        }
        let literal = match url.host() {
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            None => return Err(DestinationError::NotUrl),
        };
        if literal.is_some_and(|address| !allowed.allows(address)) {
            return Err(DestinationError::NotPublic);
        }
        if url.port() == Some(0) {
            return Err(DestinationError::NotUrl);
        }
        Ok(Self(url))
    }

    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// Scheme, host and port.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({self})")
    }
}

/// Whether webhooks may connect to an address by default. Excludes all addresses in the IANA special-purpose
/// registries, and addresses of cloud metadata and control services that the registries do not list.
///
/// An IPv6 address that reaches an IPv4 host (mapped, NAT64, ISATAP) is allowed if that host is.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = match address.octets() {
        // This network, private, loopback; multicast, reserved, broadcast.
        [0 | 10 | 127, ..] | [224..=255, ..] => true,
        // Shared (RFC 6598); includes Alibaba Cloud's metadata service.
        [100, second, ..] => second & 0xc0 == 64,
        // Link-local, which includes most clouds' metadata services; private.
        [169, 254, ..] | [192, 168, ..] => true,
        [172, second, ..] => second & 0xf0 == 16,
        // Protocol assignments (includes Oracle Cloud's metadata service), documentation, AS112, AMT, 6to4 relays.
        [192, 0, 0 | 2, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 88, 99, _] | [192, 175, 48, _] => true,
        // Benchmarking, documentation.
        [198, second, third, _] => second & 0xfe == 18 || (second, third) == (51, 100),
        [203, 0, 113, _] => true,
        // Azure's wire server, a public address that every Azure machine can reach.
        [168, 63, 129, 16] => true,
        // IBM Cloud's services and endpoints for its own machines.
        [161, 26, ..] | [166, 8..=11, ..] => true,
        // Google's private and restricted access to its APIs.
        [199, 36, 153, 4..=11] => true,
        // Equinix Metal's metadata service.
        [192, 80, 8, 124] => true,
        _ => false,
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052 §2.1). The local-use NAT64 prefix 64:ff9b:1::/48 (RFC 8215) is
        // outside 2000::/3.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // Protocol assignments (Teredo, benchmarking, ORCHID), documentation, 6to4 (deprecated by RFC 7526), the former
        // 6bone, AS112.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [0x2002 | 0x3ffe, ..] | [0x2620, 0x4f, 0x8000, ..] => false,
        // ISATAP (RFC 5214 §6.1) under any prefix.
        [first, _, _, _, 0 | 0x200, 0x5efe, high, low] if first & 0xe000 == 0x2000 => embedded(high, low),
        // Otherwise only global unicast (RFC 4291 §2.4).
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_public_addresses_are_recognized_in_every_form() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::8.8.8.8",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "100::1",
            "4000::1",
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "64:ff9b::168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "192.31.196.1",
            "192.52.193.1",
            "192.80.8.124",
            "192.175.48.1",
            "161.26.0.10",
            "166.8.0.1",
            "166.11.255.255",
            "199.36.153.4",
            "199.36.153.11",
            "::a9fe:a9fe",
            "::8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:ffff::1",
            "64:ff9b:0:1::8.8.8.8",
            "2001:0:7f00:1::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2002:808:808::1",
            "2002:a9fe:a9fe::1",
            "3ffe::1",
            "2620:4f:8000::1",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:169.254.169.254",
            "fe80::5efe:8.8.8.8",
            "5f00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
            "2001:200::1",
            "168.63.129.15",
            "168.63.129.17",
            "161.25.255.255",
            "161.27.0.0",
            "166.7.255.255",
            "166.12.0.0",
            "199.36.153.3",
            "199.36.153.12",
            "192.31.195.1",
            "192.80.8.123",
            "2606:4700::5efe:8.8.8.8",
            "2606:4700:0:0:100:5efe:a00:1",
            "3ffd::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn invalid_urls_have_specific_errors() {
        use DestinationError::*;
        let long = format!("https://hooks.example/{}", "a".repeat(2048));
        for (text, error) in [
            ("", NotUrl),
            ("hooks.example", NotUrl),
            ("https://", NotUrl),
            ("https://a b/", NotUrl),
            (" https://hooks.example/", NotUrl),
            ("https://hooks.example/\0", NotUrl),
            ("https://hooks.example/\n", NotUrl),
            ("https://bücher.example/", NotUrl),
            ("https://hooks.example:0/", NotUrl),
            ("https://hooks.example:99999/", NotUrl),
            (long.as_str(), TooLong),
            ("ftp://hooks.example/", Scheme),
            ("file:///etc/passwd", Scheme),
            ("http://hooks.example/", Scheme),
            ("https://user@hooks.example/", UserInfo),
            ("https://user:pass@hooks.example/", UserInfo),
            ("https://hooks.example/#x", Fragment),
            ("https://127.0.0.1/", NotPublic),
            ("https://127.1/", NotPublic),
            ("https://0x7f000001/", NotPublic),
            ("https://0177.0.0.1/", NotPublic),
            ("https://[::1]/", NotPublic),
            ("https://[::ffff:169.254.169.254]/", NotPublic),
            ("https://[64:ff9b::a00:1]/", NotPublic),
        ] {
            assert_eq!(Destination::parse(text, AllowedDestinations::Public), Err(error), "{text}");
        }
        for text in ["https://1.1.1.1:8443/a?b=c", "https://[2606:4700::1111]/", "https://hooks.example"] {
            assert!(Destination::parse(text, AllowedDestinations::Public).is_ok(), "{text}");
        }
        for text in ["http://10.0.0.1/", "http://localhost:1/", "https://[::1]/"] {
            assert!(Destination::parse(text, AllowedDestinations::Anywhere).is_ok(), "{text}");
        }
        assert_eq!(Destination::parse("ftp://10.0.0.1/", AllowedDestinations::Anywhere), Err(Scheme));
    }

    #[test]
    fn allowed_networks_extend_public_addresses() {
        let networks: Vec<IpNet> = ["10.1.0.0/16", "fd00:1::/32"].iter().map(|text| text.parse().unwrap()).collect();
        let reach = AllowedDestinations::PublicAnd(networks.leak());
        let parse = |url: &str| Destination::parse(url, reach);
        for url in ["https://10.1.2.3/", "https://[fd00:1::5]:8443/", "https://[::ffff:10.1.0.1]/", "https://1.1.1.1/"]
        {
            assert!(parse(url).is_ok(), "{url}");
        }
        for url in ["https://10.2.0.1/", "https://127.0.0.1/", "https://[fd00:2::1]/", "https://169.254.169.254/"] {
            assert_eq!(parse(url), Err(DestinationError::NotPublic), "{url}");
        }
        assert_eq!(parse("http://10.1.2.3/"), Err(DestinationError::Scheme), "only over TLS");
    }

    #[test]
    fn display_hides_path_and_query() {
        let there =
            Destination::parse("https://hooks.example:8443/token1?token2", AllowedDestinations::Public).unwrap();
        assert_eq!(there.to_string(), "https://hooks.example:8443");
        assert!(!format!("{there:?}").contains("token"));
    }
}
