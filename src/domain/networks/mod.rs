//! Allowed networks: how they are written, which addresses they allow, which lists contain which.
//!
//! - A list is an allow list. No entry at all, like the entry `*`, means every address.
//! - IPv4 and IPv6 are separate, except that `::ffff:a.b.c.d` is the IPv4 address `a.b.c.d`
//!   (RFC 4291 §2.5.5.2) wherever it turns up.
//! - A text that could mean two things is refused, and the error says which texts mean one.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most entries in one list, repetitions included.
pub const MAX_NETWORKS: usize = 100;

/// The networks a key may be used from, in the order they were given, each once.
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
    /// No entry: every address.
    pub fn all() -> Self {
        Self::default()
    }

    /// Reads entries, each a network in CIDR notation, an address, or `*`. Errors: the first entry that
    /// is wrong, and why.
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
            let wrong = |kind| NetworksError { index, kind, shown: shown(text) };
            let read = match text {
                "*" => EVERYTHING.to_vec(),
                _ => vec![parse_one(text).map_err(wrong)?],
            };
            for net in read {
                if !list.contains(&net) {
                    list.push(net);
                }
            }
            if index >= MAX_NETWORKS || list.len() > MAX_NETWORKS {
                return Err(wrong(NetworksErrorKind::TooMany));
            }
        }
        Ok(Self(list))
    }

    /// Whether a caller at `address` is let in. Allocates nothing.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = fold(address);
        self.0.is_empty() || self.0.iter().any(|net| net.contains(&address))
    }

    /// Whether some address is kept out, however the list is written.
    pub fn is_restricted(&self) -> bool {
        !self.contains(&Self::all())
    }

    /// Whether every address that `other` allows is allowed here. Networks count together: two halves
    /// contain the whole.
    pub fn contains(&self, other: &Self) -> bool {
        self.0.is_empty() || other.ranges().all(|range| self.covers(range))
    }

    /// Whether an entry was written that is all of IPv4 or all of IPv6 (a /0, or `*`). An empty list has
    /// no entry: ask [`Networks::is_restricted`] for what it amounts to.
    pub fn has_wildcard(&self) -> bool {
        self.iter().any(|net| net.prefix_len() == 0)
    }

    /// The entries as networks, `*` as its two. None when the list was empty, which allows everything.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = IpNet> {
        self.0.iter().copied()
    }

    /// The entries in CIDR notation, as [`Networks::parse`] reads them back.
    pub fn to_strings(&self) -> Vec<String> {
        self.iter().map(|net| net.to_string()).collect()
    }

    fn ranges(&self) -> impl Iterator<Item = Range> {
        let nets = if self.0.is_empty() { EVERYTHING.as_slice() } else { self.0.as_slice() };
        nets.iter().copied().map(range)
    }

    /// Whether the entries together cover `wanted`: each step finds the entry that reaches furthest from
    /// the first address not yet covered.
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

/// The address that matters: the IPv4 address in an IPv4-mapped one, any other as it is.
pub fn fold(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Why a list is not one of networks, with the (zero-based) index of the first entry that is wrong.
///
/// The message is ASCII and shows the entry where that is printable and short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetworksError {
    /// Which entry, counted from 0.
    pub index: usize,
    /// What is wrong with it.
    pub kind: NetworksErrorKind,
    shown: String,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NetworksErrorKind {
    /// An empty text.
    Empty,
    /// A space, tab, line end or other white space.
    Whitespace,
    /// A comma or semicolon: several networks in one entry.
    Separator,
    /// A zone id (RFC 4007 §11), which means something on one machine only.
    Zone,
    /// A number written with leading zeros, which some programs read as octal.
    LeadingZero,
    /// Neither an IPv4 nor an IPv6 address before the slash.
    NotAnAddress,
    /// No whole number from 0 to this after the slash.
    PrefixLength(u8),
    /// Bits beyond the prefix length: perhaps the network was meant, perhaps the one address.
    HostBits(IpNet, IpNet),
    /// A network of IPv4-mapped addresses: the IPv4 one was meant.
    Mapped(Ipv4Net),
    /// More than [`MAX_NETWORKS`].
    TooMany,
}

impl NetworksError {
    /// Returns the invalid entry, shortened and in ASCII.
    pub fn entry(&self) -> &str {
        &self.shown
    }
}

impl std::error::Error for NetworksError {}

impl fmt::Display for NetworksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.shown;
        match self.kind {
            NetworksErrorKind::Empty => {
                write!(f, "the entry is empty: write a network like 10.0.0.0/8, an address, or *")
            }
            NetworksErrorKind::Whitespace => {
                write!(f, "{shown} contains white space: write one network or address per entry")
            }
            NetworksErrorKind::Separator => {
                write!(f, "the entry contains a comma or semicolon: write one network or address per entry")
            }
            NetworksErrorKind::Zone => {
                write!(f, "{shown} names a zone: leave out the % and what follows it, or write a network")
            }
            NetworksErrorKind::LeadingZero => {
                write!(f, "{shown} has a number with leading zeros: write it without them")
            }
            NetworksErrorKind::NotAnAddress => write!(
                f,
                "{shown} is not an address: write a network like 10.0.0.0/8 or 2001:db8::/32, an \
                 address, or *"
            ),
            NetworksErrorKind::PrefixLength(max) => {
                write!(f, "{shown} has a wrong prefix length: write a whole number from 0 to {max} after the /")
            }
            NetworksErrorKind::HostBits(network, address) => write!(
                f,
                "{shown} has bits set beyond /{}: write {network} for the network or {address} for \
                 the one address",
                network.prefix_len()
            ),
            NetworksErrorKind::Mapped(meant) => {
                write!(f, "{shown} is a network of IPv4-mapped addresses: write {meant}")
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

/// What `*` and the empty list stand for.
const EVERYTHING: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

/// The IPv6 addresses that never come up as such, since they fold to IPv4: covered by any list.
const MAPPED: Range = Range { v6: true, first: 0xffff_0000_0000, last: 0xffff_ffff_ffff };

/// Consecutive addresses of one family, both ends included.
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

/// Reads one entry other than `*`.
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
    // u8's own reader takes a plus sign.
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

/// Tells `010.0.0.1`, refused by the standard library as well, from what is no address at all.
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

/// The longest spelling of a network; what is longer may be a misplaced secret.
const LONGEST: usize = 43;

/// The entry for a message, unless it holds what an error text must not or goes on too long.
fn shown(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'/' | b'%' | b'*');
    if text.len() <= LONGEST && text.bytes().all(plain) { text.to_owned() } else { "the entry".to_owned() }
}
