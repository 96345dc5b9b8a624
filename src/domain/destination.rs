//! Where a webhook may go: an `https` URL, and public addresses only unless an operator allows others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Most characters of a URL.
const MAX_LENGTH: usize = 2048;

/// Whether `http` and addresses that are not public are allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// `https` to public addresses.
    Public,
    /// `http` as well, and any address.
    Anywhere,
}

/// The URL of a receiver. Its path and query may hold a token, so neither is shown by `Display` or `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Destination(Url);

/// Why a text is no destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DestinationError {
    /// Longer than allowed.
    #[error("too long; at most {MAX_LENGTH} characters are allowed")]
    TooLong,
    /// Not a URL of a host.
    #[error("not a URL; https://host/path in printable ASCII is expected")]
    NotUrl,
    /// Another scheme.
    #[error("only https is allowed")]
    Scheme,
    /// A name or password in it.
    #[error("a user or a password in the URL is not allowed")]
    UserInfo,
    /// A fragment, which is never sent.
    #[error("a fragment (#…) is not allowed")]
    Fragment,
    /// An address that is not public.
    #[error("an address that is not public is not allowed")]
    NotPublic,
}

impl Destination {
    /// Reads a URL, and holds its scheme and an address written in it to what may be reached.
    ///
    /// ```
    /// use keyturn::domain::destination::{Destination, DestinationError, Reach};
    /// let read = |text| Destination::parse(text, Reach::Public);
    /// assert_eq!(read("https://hooks.example/in?token=x").unwrap().to_string(), "https://hooks.example");
    /// assert_eq!(read("http://hooks.example/"), Err(DestinationError::Scheme));
    /// assert_eq!(read("https://2130706433/"), Err(DestinationError::NotPublic)); // 127.0.0.1
    /// assert!(Destination::parse("http://127.0.0.1:9/", Reach::Anywhere).is_ok());
    /// ```
    pub fn parse(text: &str, reach: Reach) -> Result<Self, DestinationError> {
        if text.chars().count() > MAX_LENGTH {
            return Err(DestinationError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(DestinationError::NotUrl);
        }
        let url = Url::parse(text).map_err(|_| DestinationError::NotUrl)?;
        match (url.scheme(), reach) {
            ("https", _) | ("http", Reach::Anywhere) => {}
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
        if reach == Reach::Public && literal.is_some_and(|address| !is_public(address)) {
            return Err(DestinationError::NotPublic);
        }
        if url.port() == Some(0) {
            return Err(DestinationError::NotUrl);
        }
        Ok(Self(url))
    }

    /// The whole URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The URL without its query, for the audit log.
    pub fn without_query(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
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

/// Whether an address is one of the public internet: what is private, shared, loopback, link-local, multicast,
/// unspecified, reserved or for documentation is not (the IANA special-purpose registries). An IPv6 address that stands
/// for an IPv4 one (mapped, NAT64, 6to4) is what that one is.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = match address.octets() {
        // Azure's WireServer, which only Azure's own machines reach; Oracle Cloud and Alibaba Cloud use 192.0.0.192 and
        // 100.100.100.200, which are in ranges below.
        [168, 63, 129, 16] => true,
        [0 | 10 | 127, ..] | [224..=255, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [169, 254, ..] | [192, 168, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        // AS112 and AMT (RFC 7534, RFC 7535, RFC 7450): anycast services of whatever network a node is in.
        [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => true,
        [172, second, ..] => second & 0xf0 == 16,
        [198, second, third, _] => second & 0xfe == 18 || (second, third) == (51, 100),
        [203, 0, 113, _] => true,
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
        // Mapped (RFC 4291 §2.5.5.2), NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056 §2).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Protocol assignments, Teredo among them, and documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // AS112 (RFC 7534).
        [0x2620, 0x4f, 0x8000, ..] => false,
        // ISATAP (RFC 5214 §6.1): an IPv4 address in the interface identifier.
        [first, _, _, _, 0 | 0x200, 0x5efe, high, low] => first & 0xe000 == 0x2000 && embedded(high, low),
        // Of the rest, global unicast alone (RFC 4291 §2.4).
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_known_in_every_spelling() {
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
            "168.63.129.16",
            "::ffff:168.63.129.16",
            "64:ff9b::168.63.129.16",
            "2002:a83f:8110::1",
            "192.0.0.192",
            "100.100.100.200",
            "192.31.196.1",
            "192.52.193.1",
            "192.175.48.1",
            "2606:4700::5efe:7f00:1",
            "2620:4f:8000::1",
            "fd00:ec2::254",
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
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "168.63.129.17",
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
            "2002:808:808::1",
            "2001:4860::8888",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_url_is_refused_for_what_is_wrong_with_it() {
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
            assert_eq!(Destination::parse(text, Reach::Public), Err(error), "{text}");
        }
        for text in ["https://1.1.1.1:8443/a?b=c", "https://[2606:4700::1111]/", "https://hooks.example"] {
            assert!(Destination::parse(text, Reach::Public).is_ok(), "{text}");
        }
        for text in ["http://10.0.0.1/", "http://localhost:1/", "https://[::1]/"] {
            assert!(Destination::parse(text, Reach::Anywhere).is_ok(), "{text}");
        }
        assert_eq!(Destination::parse("ftp://10.0.0.1/", Reach::Anywhere), Err(Scheme));
    }

    #[test]
    fn neither_path_nor_query_is_shown() {
        let there = Destination::parse("https://hooks.example:8443/token1?token2", Reach::Public).unwrap();
        assert_eq!(there.to_string(), "https://hooks.example:8443");
        assert!(!format!("{there:?}").contains("token"));
        assert_eq!(there.without_query(), "https://hooks.example:8443/token1");
    }
}
