//! Allowed networks: parsing, matching addresses, comparing lists.
//!
//! - A list is an allow-list. An empty list and the entry `*` allow every address.
//! - IPv4 and IPv6 are separate, except that `::ffff:a.b.c.d` is always treated as the IPv4 address `a.b.c.d` (RFC 4291
//!   §2.5.5.2).
//! - An ambiguous entry is rejected, and the error lists the unambiguous alternatives.

mod algebra;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Maximum number of entries, with duplicates.
pub const MAX_NETWORKS: usize = 100;

/// The networks that a key can be used from, in the given order, without duplicates.
///
/// ```
/// use keyturn::domain::networks::Networks;
/// let allows = |list: &[&str], ip: &str| Networks::parse(list).unwrap().allows(ip.parse().unwrap());
/// assert!(allows(&["10.0.0.0/8"], "10.1.2.3"));
/// assert!(allows(&["10.0.0.0/8"], "::ffff:10.1.2.3"), "the same address");
/// assert!(!allows(&["10.0.0.0/8"], "::1"), "an IPv4 network says nothing about IPv6");
/// assert!(allows(&[], "::1") && allows(&["*"], "::1"));
///
/// let halves = Networks::parse(&["10.0.0.0/9", "10.128.0.0/9"]).unwrap();
/// assert!(halves.contains(&Networks::parse(&["10.0.0.0/8"]).unwrap()));
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// An empty list, which allows every address.
    pub fn all() -> Self {
        Self::default()
    }

    /// Parses entries: a network in CIDR notation, an address, or `*`. Returns the first error.
    ///
    /// ```
    /// use keyturn::domain::networks::Networks;
    /// let list = Networks::parse(&["10.1.2.3", "2001:db8::/32"]).unwrap();
    /// assert_eq!(list.to_string(), "10.1.2.3/32,2001:db8::/32");
    /// let error = Networks::parse(&["10.0.0.1/8"]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "10.0.0.1/8 has bits set beyond /8: write 10.0.0.0/8 for the network or 10.0.0.1/32 for \
    ///      the one address"
    /// );
    /// ```
    pub fn parse<S: AsRef<str>>(items: &[S]) -> Result<Self, NetworksError> {
        let mut list = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let text = item.as_ref();
            let error = |kind| NetworksError { index, kind, entry: printable(text) };
            let read = match text {
                "*" => EVERYTHING.to_vec(),
                _ => vec![parse_one(text).map_err(error)?],
            };
            for net in read {
                if !list.contains(&net) {
                    list.push(net);
                }
            }
            if index >= MAX_NETWORKS || list.len() > MAX_NETWORKS {
                return Err(error(NetworksErrorKind::TooMany));
            }
        }
        Ok(Self(list))
    }

    /// Returns the error of each invalid entry, in order. Empty if every entry is valid; there can still be too many.
    pub fn errors<S: AsRef<str>>(items: &[S]) -> Vec<NetworksError> {
        let check = |(index, item): (usize, &S)| {
            let text = item.as_ref();
            let kind = if text == "*" { None } else { parse_one(text).err() };
            kind.map(|kind| NetworksError { index, kind, entry: printable(text) })
        };
        items.iter().take(MAX_NETWORKS).enumerate().filter_map(check).collect()
    }

    /// Whether `address` is allowed. Does not allocate.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = fold(address);
        self.0.is_empty() || self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether an entry contains `address`. An empty list has no entry.
    pub fn lists(&self, address: IpAddr) -> bool {
        let address = fold(address);
        self.iter().any(|net| net.contains(&address))
    }

    /// Whether the list excludes any address.
    pub fn is_restricted(&self) -> bool {
        !self.contains(&Self::all())
    }

    /// Whether every IPv4 address or every IPv6 address is allowed.
    pub fn is_open(&self) -> bool {
        self.0.is_empty() || Self::all().ranges().any(|range| self.covers(range))
    }

    /// Whether the list allows every address that `other` allows. Entries are combined: two halves contain the whole.
    pub fn contains(&self, other: &Self) -> bool {
        self.0.is_empty() || other.ranges().all(|range| self.covers(range))
    }

    /// Whether an entry is all of IPv4 or all of IPv6 (a /0, or `*`). An empty list has no entry; see
    /// [`Networks::is_restricted`].
    pub fn has_wildcard(&self) -> bool {
        self.iter().any(|net| net.prefix_len() == 0)
    }

    /// Returns the entries; `*` is two networks. Empty if every address is allowed.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = IpNet> {
        self.0.iter().copied()
    }

    /// Returns the entries in CIDR notation, as [`Networks::parse`] reads them. If no address is allowed, this is `none`, which
    /// is no network.
    pub fn to_strings(&self) -> Vec<String> {
        if self.is_none() {
            return vec![NONE.into()];
        }
        self.iter().map(|net| net.to_string()).collect()
    }

    fn ranges(&self) -> impl Iterator<Item = Range> {
        let nets = if self.0.is_empty() { EVERYTHING.as_slice() } else { self.0.as_slice() };
        nets.iter().copied().map(range)
    }

    /// Whether the entries together cover `wanted`. Each step finds the entry that reaches furthest from the first
    /// address that is not covered yet.
    fn covers(&self, wanted: Range) -> bool {
        let mut next = wanted.first;
        loop {
            let reach = self
                .ranges()
                .chain([MAPPED])
                .filter(|r| r.v6 == wanted.v6 && r.first <= next && next <= r.last)
                .map(|r| r.last)
                .max();
            match reach {
                None => return false,
                Some(reach) if reach >= wanted.last => return true,
                Some(reach) => next = reach + 1,
            }
        }
    }
}

/// Maps an IPv4-mapped IPv6 address to IPv4 and returns any other address unchanged.
pub fn fold(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// An invalid entry in a list of networks.
///
/// The message is ASCII. It quotes the entry only if that is short and printable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworksError {
    /// Zero-based index of the entry.
    pub index: usize,
    pub kind: NetworksErrorKind,
    entry: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworksErrorKind {
    Empty,
    /// A space, tab, line break or other white space.
    Whitespace,
    /// Several networks in one entry.
    Separator,
    /// A zone ID (RFC 4007 §11), which is local to one machine.
    Zone,
    /// A number with leading zeros, which some programs read as octal.
    LeadingZero,
    /// No IPv4 or IPv6 address before the slash.
    NotAnAddress,
    /// No whole number from 0 to this maximum after the slash.
    PrefixLength(u8),
    /// Host bits are set: the network and the single address are both possible meanings.
    HostBits(IpNet, IpNet),
    /// A network of IPv4-mapped addresses, and its IPv4 form.
    Mapped(Ipv4Net),
    TooMany,
}

impl NetworksError {
    /// Returns the invalid entry in ASCII, or a placeholder if it cannot be shown.
    pub fn entry(&self) -> &str {
        &self.entry
    }
}

impl std::error::Error for NetworksError {}

impl fmt::Display for NetworksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = &self.entry;
        match self.kind {
            NetworksErrorKind::Empty => {
                write!(f, "the entry is empty: write a network like 10.0.0.0/8, an address, or *")
            }
            NetworksErrorKind::Whitespace => {
                write!(f, "{entry} contains white space: write one network or address per entry")
            }
            NetworksErrorKind::Separator => {
                write!(f, "the entry contains a comma or semicolon: write one network or address per entry")
            }
            NetworksErrorKind::Zone => {
                write!(f, "{entry} names a zone: leave out the % and what follows it, or write a network")
            }
            NetworksErrorKind::LeadingZero => {
                write!(f, "{entry} has a number with leading zeros: write it without them")
            }
            NetworksErrorKind::NotAnAddress => write!(
                f,
                "{entry} is not an address: write a network like 10.0.0.0/8 or 2001:db8::/32, an \
                 address, or *"
            ),
            NetworksErrorKind::PrefixLength(max) => {
                write!(f, "{entry} has a wrong prefix length: write a whole number from 0 to {max} after the /")
            }
            NetworksErrorKind::HostBits(network, address) => write!(
                f,
                "{entry} has bits set beyond /{}: write {network} for the network or {address} for \
                 the one address",
                network.prefix_len()
            ),
            NetworksErrorKind::Mapped(meant) => {
                write!(f, "{entry} is a network of IPv4-mapped addresses: write {meant}")
            }
            NetworksErrorKind::TooMany => {
                write!(f, "too many networks: at most {MAX_NETWORKS} are allowed")
            }
        }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("*");
        }
        if self.is_none() {
            return f.write_str(NONE);
        }
        for (index, net) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{net}")?;
        }
        Ok(())
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.to_strings())
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Vec::<String>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Networks of `*` and of the empty list.
const EVERYTHING: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

/// The text of a list that allows no address.
const NONE: &str = "none";

/// IPv4-mapped addresses are converted to IPv4 first, so any list covers this range.
const MAPPED: Range = Range { v6: true, first: 0xffff_0000_0000, last: 0xffff_ffff_ffff };

/// Consecutive addresses of one family, inclusive.
#[derive(Clone, Copy)]
struct Range {
    v6: bool,
    first: u128,
    last: u128,
}

fn range(net: IpNet) -> Range {
    let (first, last) = match net {
        IpNet::V4(net) => (net.network().to_bits().into(), net.broadcast().to_bits().into()),
        IpNet::V6(net) => (net.network().to_bits(), net.broadcast().to_bits()),
    };
    Range { v6: matches!(net, IpNet::V6(_)), first, last }
}

/// Parses one entry other than `*`.
fn parse_one(text: &str) -> Result<IpNet, NetworksErrorKind> {
    if text.is_empty() {
        return Err(NetworksErrorKind::Empty);
    }
    if text.contains(char::is_whitespace) {
        return Err(NetworksErrorKind::Whitespace);
    }
    if text.contains([',', ';']) {
        return Err(NetworksErrorKind::Separator);
    }
    if text.contains('%') {
        return Err(NetworksErrorKind::Zone);
    }
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| not_an_address(address))?;
    let Some(length) = length else {
        return Ok(IpNet::from(fold(address)));
    };
    let max = if address.is_ipv4() { 32 } else { 128 };
    let wrong_length = NetworksErrorKind::PrefixLength(max);
    // `u8::from_str` accepts a plus sign.
    if !length.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong_length);
    }
    if length.len() > 1 && length.starts_with('0') {
        return Err(NetworksErrorKind::LeadingZero);
    }
    let length = length.parse().map_err(|_| wrong_length)?;
    let net = IpNet::new(address, length).map_err(|_| wrong_length)?;
    match (net, fold(address)) {
        (IpNet::V6(_), IpAddr::V4(v4)) if length >= 96 => {
            let meant = Ipv4Net::new(v4, length - 96).map_err(|_| wrong_length)?.trunc();
            Err(NetworksErrorKind::Mapped(meant))
        }
        (_, folded) if net.trunc() != net => Err(NetworksErrorKind::HostBits(net.trunc(), folded.into())),
        _ => Ok(net),
    }
}

/// Distinguishes `010.0.0.1`, which the standard library also rejects, from other invalid addresses.
fn not_an_address(text: &str) -> NetworksErrorKind {
    let dotted = text.rsplit(':').next().unwrap_or(text);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let padded = dotted.split('.').any(|part| part.len() > 1 && part.starts_with('0'));
    if padded && dotted.split('.').count() == 4 && dotted.split('.').all(is_number) {
        NetworksErrorKind::LeadingZero
    } else {
        NetworksErrorKind::NotAnAddress
    }
}

/// Maximum length of a quoted entry; a longer one may be a misplaced secret.
const LONGEST: usize = 43;

/// Returns the entry for a message, or a placeholder if it is too long or not printable ASCII.
fn printable(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'/' | b'%' | b'*');
    if text.len() <= LONGEST && text.bytes().all(plain) { text.to_owned() } else { "the entry".to_owned() }
}
