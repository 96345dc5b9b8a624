//! Properties of networks.

use proptest::prelude::*;

use super::*;

fn nets(list: &[&str]) -> Networks {
    Networks::parse(list).unwrap()
}

fn kind(text: &str) -> NetworksErrorKind {
    Networks::parse(&[text]).unwrap_err().kind
}

/// A network as an oracle: family, bits and prefix length, compared with masks.
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

    /// All spellings of the network.
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
    // Few distinct bits, so that networks and addresses often match; never in the mapped range.
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
    fn spellings_are_equivalent(
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
    fn contained_networks_are_allowed(
        a in prop::collection::vec(any_oracle(), 0..5), b in prop::collection::vec(any_oracle(), 0..5),
        address in any_address(),
    ) {
        let read = |list: &[Oracle]| {
            Networks::parse(&list.iter().map(|one| one.spellings()[0].clone()).collect::<Vec<_>>()).unwrap()
        };
        let (a, b) = (read(&a), read(&b));
        prop_assert!(!(a.contains(&b) && b.allows(address)) || a.allows(address));
    }

    /// All addresses of 10.0.0.0/28 and 2001:db8::/124 can be tried.
    #[test]
    fn containment_is_inclusion(
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
    fn errors_are_ascii(text in "(\\PC|[0-9a-f:./ %]){0,30}") {
        match Networks::parse(&[&text]) {
            Ok(read) => prop_assert_eq!(Networks::parse(&read.to_strings()).unwrap(), read),
            Err(error) => prop_assert!(error.to_string().bytes().all(|b| matches!(b, b' '..=b'~'))),
        }
    }
}

#[test]
fn unrestricted_lists_are_recognized() {
    for list in [&[][..], &["*"], &["0.0.0.0/0", "::/0"], &["::/0", "0.0.0.0/1", "128.0.0.0/1"]] {
        assert!(!nets(list).is_restricted(), "{list:?}");
        assert!(nets(list).contains(&nets(&["*"])) && nets(list).contains(&Networks::all()));
    }
    for list in [&["0.0.0.0/0"][..], &["::/0"], &["::/0", "0.0.0.0/1"]] {
        assert!(nets(list).is_restricted(), "{list:?}");
    }
    // All IPv6 addresses except the mapped ones, which are IPv4: nothing is excluded.
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
fn lists_keep_order_without_duplicates() {
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
fn error_messages() {
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
    for text in ["10.0.0.0/8,192.0.2.0/24", "10.0.0.1,", "::1;::2", ","] {
        assert_eq!(kind(text), NetworksErrorKind::Separator, "{text}");
    }
    assert!(
        Networks::parse(&["10.0.0.1,::1"]).unwrap_err().to_string().ends_with("write one network or address per entry")
    );
    assert_eq!(kind("fe80::1%eth0/64"), NetworksErrorKind::Zone);
    assert_eq!(Networks::parse(&["::1", "x"]).unwrap_err().index, 1);
    assert!(serde_json::from_str::<Networks>("[\"10.0.0.1/8\"]").is_err());
}

#[test]
fn open_lists_allow_a_whole_family() {
    let is_open = |items: &[&str]| Networks::parse(items).unwrap().is_open();
    for items in [&[][..], &["*"], &["0.0.0.0/0"], &["::/0", "10.0.0.0/8"], &["0.0.0.0/1", "128.0.0.0/1"]] {
        assert!(is_open(items), "{items:?}");
    }
    for items in [&["0.0.0.0/1"][..], &["10.0.0.0/8", "2000::/3"], &["0.0.0.0/1", "129.0.0.0/8"]] {
        assert!(!is_open(items), "{items:?}");
    }
}
