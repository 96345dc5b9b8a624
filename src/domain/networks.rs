//! Allowed networks: how they are written, which addresses they allow, which lists contain which.
//!
//! - A list is an allow list. No entry at all, like the entry `*`, means every address.
//! - IPv4 and IPv6 are separate, except that `::ffff:a.b.c.d` is the IPv4 address `a.b.c.d`
//!   (RFC 4291 §2.5.5.2) wherever it turns up.
//! - A text that could mean two things is refused, and the error says which texts mean one.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nets(list: &[&str]) -> Networks {
        Networks::parse(list).unwrap()
    }

    fn kind(text: &str) -> NetworksErrorKind {
        Networks::parse(&[text]).unwrap_err().kind
    }

    /// What a network allows, said with masks: the family, the bits, how many of them count.
    #[derive(Clone, Copy, Debug)]
    struct Oracle {
        v6: bool,
        bits: u128,
        length: u8,
    }

    impl Oracle {
        fn width(self) -> u32 {
            if self.v6 { 128 } else { 32 }
        }

        fn mask(self) -> u128 {
            let free = self.width() - u32::from(self.length);
            u128::MAX.checked_shl(free).unwrap_or(0)
        }

        fn address(self) -> IpAddr {
            let bits = self.bits & self.mask();
            if self.v6 { IpAddr::V6(bits.into()) } else { IpAddr::V4((bits as u32).into()) }
        }

        fn allows(self, address: IpAddr) -> bool {
            let (v6, bits) = match address {
                IpAddr::V4(v4) => (false, u128::from(u32::from(v4))),
                IpAddr::V6(v6) if u128::from(v6) >> 32 == 0xffff => (false, u128::from(v6) & 0xffff_ffff),
                IpAddr::V6(v6) => (true, u128::from(v6)),
            };
            v6 == self.v6 && (bits ^ self.bits) & self.mask() & (u128::MAX >> (128 - self.width())) == 0
        }

        /// Each way to write it.
        fn spellings(self) -> Vec<String> {
            let mut all = vec![format!("{}/{}", self.address(), self.length)];
            if u32::from(self.length) == self.width() {
                all.push(self.address().to_string());
                if let IpAddr::V4(v4) = self.address() {
                    all.push(format!("::ffff:{v4}"));
                    all.push(format!("::FFFF:{:x}:{:x}", u32::from(v4) >> 16, u32::from(v4) & 0xffff));
                }
            }
            all
        }
    }

    fn any_oracle() -> impl Strategy<Value = Oracle> {
        // Few distinct bits, so that networks and addresses do meet; never the mapped range.
        let v4 = (0_u32..8, 0_u8..=32).prop_map(|(top, length)| (false, u128::from(top << 29 | top), length));
        let v6 = (0_u128..8, 0_u8..=128).prop_map(|(top, length)| (true, top << 125 | top, length));
        prop_oneof![v4, v6].prop_map(|(v6, bits, length)| {
            let whole = Oracle { v6, bits, length };
            Oracle { bits: bits & whole.mask(), ..whole }
        })
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        let v4 = (0_u32..8, 0_u32..8).prop_map(|(a, b)| Ipv4Addr::from(a << 29 | b));
        let v6 = (0_u128..8, 0_u128..8).prop_map(|(a, b)| IpAddr::V6((a << 125 | b).into()));
        let mapped = v4.clone().prop_map(|v4| IpAddr::V6(v4.to_ipv6_mapped()));
        prop_oneof![v4.prop_map(IpAddr::V4), v6, mapped, any::<IpAddr>()]
    }

    proptest! {
        #[test]
        fn every_spelling_allows_what_the_mask_says(
            list in prop::collection::vec(any_oracle(), 1..6), address in any_address(), which: usize,
        ) {
            let expected = list.iter().any(|one| one.allows(address));
            let texts: Vec<String> = list.iter().map(|one| {
                let spellings = one.spellings();
                spellings[which % spellings.len()].clone()
            }).collect();
            let read = Networks::parse(&texts).unwrap();
            prop_assert_eq!(read.allows(address), expected, "{:?} {}", texts, address);
            prop_assert_eq!(read.allows(fold(address)), expected);
        }

        #[test]
        fn printing_and_reading_are_inverse(list in prop::collection::vec(any_oracle(), 0..6)) {
            let texts: Vec<String> = list.iter().map(|one| one.spellings()[0].clone()).collect();
            let read = Networks::parse(&texts).unwrap();
            prop_assert_eq!(&Networks::parse(&read.to_strings()).unwrap(), &read);
            let json = serde_json::to_string(&read).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Networks>(&json).unwrap(), &read);
            prop_assert!(read.contains(&read) && Networks::all().contains(&read));
        }

        #[test]
        fn what_is_contained_is_allowed(
            a in prop::collection::vec(any_oracle(), 0..5), b in prop::collection::vec(any_oracle(), 0..5),
            address in any_address(),
        ) {
            let read = |list: &[Oracle]| {
                Networks::parse(&list.iter().map(|one| one.spellings()[0].clone()).collect::<Vec<_>>()).unwrap()
            };
            let (a, b) = (read(&a), read(&b));
            prop_assert!(!(a.contains(&b) && b.allows(address)) || a.allows(address));
        }

        /// Inside 10.0.0.0/28 and 2001:db8::/124 every address can be tried.
        #[test]
        fn containment_is_exactly_inclusion(
            a in prop::collection::vec((any::<bool>(), 0_u8..16, 0_u8..=4), 1..9),
            b in prop::collection::vec((any::<bool>(), 0_u8..16, 0_u8..=4), 1..4),
        ) {
            let read = |list: &[(bool, u8, u8)]| {
                let texts: Vec<String> = list.iter().map(|&(v6, host, free)| {
                    let host = host >> free << free;
                    if v6 { format!("2001:db8::{host:x}/{}", 128 - free) } else { format!("10.0.0.{host}/{}", 32 - free) }
                }).collect();
                Networks::parse(&texts).unwrap()
            };
            let (a, b) = (read(&a), read(&b));
            let included = (0..16).all(|host| {
                let v4 = IpAddr::from([10, 0, 0, host]);
                let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)]);
                [v4, v6].into_iter().all(|ip| !b.allows(ip) || a.allows(ip))
            });
            prop_assert_eq!(a.contains(&b), included);
        }

        #[test]
        fn any_text_is_read_or_refused_in_plain_ascii(text in "(\\PC|[0-9a-f:./ %]){0,30}") {
            match Networks::parse(&[&text]) {
                Ok(read) => prop_assert_eq!(Networks::parse(&read.to_strings()).unwrap(), read),
                Err(error) => prop_assert!(error.to_string().bytes().all(|b| matches!(b, b' '..=b'~'))),
            }
        }
    }

    #[test]
    fn unrestricted_is_told_however_it_is_spelled() {
        for list in [&[][..], &["*"], &["0.0.0.0/0", "::/0"], &["::/0", "0.0.0.0/1", "128.0.0.0/1"]] {
            assert!(!nets(list).is_restricted(), "{list:?}");
            assert!(nets(list).contains(&nets(&["*"])) && nets(list).contains(&Networks::all()));
        }
        for list in [&["0.0.0.0/0"][..], &["::/0"], &["::/0", "0.0.0.0/1"]] {
            assert!(nets(list).is_restricted(), "{list:?}");
        }
        // All of IPv6 but the mapped addresses, which fold: nobody is kept out.
        let mut around: Vec<String> = (1..=96_u32)
            .map(|length| {
                let bit = 1_u128 << (128 - length);
                let bits = (0xffff_0000_0000 ^ bit) & !(bit - 1);
                format!("{}/{length}", Ipv6Addr::from(bits))
            })
            .collect();
        around.push("0.0.0.0/0".to_owned());
        assert!(!Networks::parse(&around).unwrap().is_restricted());
        around.remove(9);
        assert!(Networks::parse(&around).unwrap().is_restricted());
    }

    #[test]
    fn lists_keep_their_order_and_drop_repetitions() {
        assert_eq!(nets(&["*"]).to_strings(), ["0.0.0.0/0", "::/0"]);
        assert!(nets(&[]).to_strings().is_empty());
        assert_eq!(nets(&[]).to_string(), "*");
        assert!(nets(&["*"]).has_wildcard() && nets(&["::1", "::/0"]).has_wildcard());
        assert!(!nets(&[]).has_wildcard() && !nets(&["0.0.0.0/1"]).has_wildcard());
        let list = nets(&["::1", "10.0.0.1", "::ffff:10.0.0.1", "0:0::1/128", "10.0.0.1/32"]);
        assert_eq!(list.to_strings(), ["::1/128", "10.0.0.1/32"]);
        let many: Vec<String> = (0..101).map(|n| format!("10.0.0.{n}")).collect();
        assert!(Networks::parse(&many[..100]).is_ok());
        let error = Networks::parse(&many).unwrap_err();
        assert_eq!((error.index, error.kind), (100, NetworksErrorKind::TooMany));
        assert_eq!(Networks::parse(&["::1"; 101]).unwrap_err().kind, NetworksErrorKind::TooMany);
    }

    #[test]
    fn every_error_says_what_was_meant() {
        for (text, message) in [
            ("::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104 is a network of IPv4-mapped addresses: write 10.0.0.0/8"),
            ("::ffff:a00:1/128", "::ffff:a00:1/128 is a network of IPv4-mapped addresses: write 10.0.0.1/32"),
            (
                "2001:db8::1/32",
                "2001:db8::1/32 has bits set beyond /32: write 2001:db8::/32 for the network or 2001:db8::1/128 for the one address",
            ),
            ("10.0.0.0/33", "10.0.0.0/33 has a wrong prefix length: write a whole number from 0 to 32 after the /"),
            (
                "10.0.0\u{e9}",
                "the entry is not an address: write a network like 10.0.0.0/8 or 2001:db8::/32, an address, or *",
            ),
        ] {
            assert_eq!(Networks::parse(&[text]).unwrap_err().to_string(), message);
        }
        let (v4, v6) = (NetworksErrorKind::PrefixLength(32), NetworksErrorKind::PrefixLength(128));
        for text in ["10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10.0.0.0/999"] {
            assert_eq!(kind(text), v4, "{text}");
        }
        assert_eq!(kind("::/129"), v6);
        for text in ["", "*/0", "10.0.0", "10", "0x7f.0.0.1", "[::1]", "localhost", "1.2.3.4:80", "::1::", "/8"] {
            let expected = if text.is_empty() { NetworksErrorKind::Empty } else { NetworksErrorKind::NotAnAddress };
            assert_eq!(kind(text), expected, "{text}");
        }
        for text in ["010.0.0.1", "10.0.0.00/8", "::ffff:10.0.0.01", "10.0.0.0/08"] {
            assert_eq!(kind(text), NetworksErrorKind::LeadingZero, "{text}");
        }
        for text in [" 10.0.0.1", "10.0.0.0/8\n", "10.0.0.0 /8", "::1\u{a0}", " * "] {
            assert_eq!(kind(text), NetworksErrorKind::Whitespace, "{text}");
        }
        assert_eq!(kind("fe80::1%eth0/64"), NetworksErrorKind::Zone);
        assert_eq!(Networks::parse(&["::1", "x"]).unwrap_err().index, 1);
        assert!(serde_json::from_str::<Networks>("[\"10.0.0.1/8\"]").is_err());
    }
}
