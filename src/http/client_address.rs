//! Where a caller is: the peer, or what trusted proxies say of it, read from right to left.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::domain::choices::ForwardingHeader;
use crate::domain::decision::{ClientAddress, UnreadableAddress};
use crate::domain::networks::fold;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// More hops than any honest chain has.
const MAX_HOPS: usize = 32;

/// The proxies whose forwarding headers are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardingHeader,
}

impl TrustedProxies {
    /// Proxies in these networks.
    pub fn new(networks: Vec<IpNet>, header: ForwardingHeader) -> Self {
        Self { networks, header }
    }

    /// The caller's address.
    ///
    /// A peer that is not a trusted proxy is the caller itself, whatever headers it sends. Behind a trusted
    /// proxy, `X-Forwarded-For` or `Forwarded` (RFC 7239) is read from right to left past trusted hops. If
    /// both headers name a client, they must agree: the caller may have sent one of them.
    pub fn client_address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> ClientAddress {
        let Some(peer) = peer.map(fold) else { return ClientAddress::Unreadable(UnreadableAddress::Missing) };
        if !self.trusts(peer) {
            return ClientAddress::Known(peer);
        }
        let x_forwarded_for = match self.header {
            ForwardingHeader::Forwarded => Hops::Absent,
            _ => hops(headers, &X_FORWARDED_FOR, plain_hops),
        };
        let forwarded = match self.header {
            ForwardingHeader::XForwardedFor => Hops::Absent,
            _ => hops(headers, &FORWARDED, forwarded_hops),
        };
        match (x_forwarded_for, forwarded) {
            (Hops::Absent, Hops::Absent) => ClientAddress::Unreadable(UnreadableAddress::Missing),
            (one, Hops::Absent) | (Hops::Absent, one) => self.past_trusted(&one),
            (one, other) => match (self.past_trusted(&one), self.past_trusted(&other)) {
                (ClientAddress::Known(a), ClientAddress::Known(b)) if a == b => ClientAddress::Known(a),
                (ClientAddress::Known(_), ClientAddress::Known(_)) => {
                    ClientAddress::Unreadable(UnreadableAddress::Disagreement)
                }
                _ => ClientAddress::Unreadable(UnreadableAddress::Malformed),
            },
        }
    }

    /// The networks of the trusted proxies.
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }

    /// Whether an address belongs to a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    fn past_trusted(&self, hops: &Hops) -> ClientAddress {
        let Hops::Read(hops) = hops else { return ClientAddress::Unreadable(UnreadableAddress::Malformed) };
        let mut nearest = None;
        for hop in hops.iter().rev() {
            let Some(address) = *hop else { return ClientAddress::Unreadable(UnreadableAddress::Malformed) };
            nearest = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        nearest.map_or(ClientAddress::Unreadable(UnreadableAddress::Missing), ClientAddress::Known)
    }
}

enum Hops {
    Absent,
    TooMany,
    /// From left to right; `None` is a hop that cannot be read.
    Read(Vec<Option<IpAddr>>),
}

/// One element of `Forwarded`.
enum Hop {
    /// It has no `for` parameter.
    Silent,
    Malformed,
    Known(IpAddr),
}

fn hops(headers: &HeaderMap, name: &HeaderName, read: fn(&str) -> Vec<Option<IpAddr>>) -> Hops {
    let mut all = Vec::new();
    let mut present = false;
    for value in headers.get_all(name) {
        present = true;
        match value.to_str() {
            Ok(text) => all.extend(read(text)),
            Err(_) => all.push(None),
        }
        if all.len() > MAX_HOPS {
            return Hops::TooMany;
        }
    }
    if present && !all.is_empty() { Hops::Read(all) } else { Hops::Absent }
}

/// The hops of `X-Forwarded-For`. Empty elements of a list are no elements (RFC 9110 §5.6.1).
fn plain_hops(text: &str) -> Vec<Option<IpAddr>> {
    text.split(',').map(str::trim).filter(|hop| !hop.is_empty()).map(plain_hop).collect()
}

/// A hop of `X-Forwarded-For`: an address, with or without a port.
fn plain_hop(text: &str) -> Option<IpAddr> {
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?;
    // `SocketAddr` takes a zone id, which names an interface of somebody else's machine.
    (!text.contains('%')).then(|| fold(address))
}

/// The hops of `Forwarded` (RFC 7239 §4). A separator inside a quoted string separates nothing: proxies
/// copy what the client sent, such as its Host, into one. A quote that is not closed makes all unreadable.
fn forwarded_hops(text: &str) -> Vec<Option<IpAddr>> {
    match split_outside_quotes(text, ',') {
        Some(elements) => (elements.into_iter().map(forwarded_hop))
            .filter_map(|hop| match hop {
                Hop::Silent => None,
                Hop::Malformed => Some(None),
                Hop::Known(address) => Some(Some(address)),
            })
            .collect(),
        None => vec![None],
    }
}

/// A hop of `Forwarded`: the `for` parameter of one element. An element without one, such as `proto=https`,
/// says nothing about the client.
fn forwarded_hop(element: &str) -> Hop {
    let Some(parameters) = split_outside_quotes(element, ';') else { return Hop::Malformed };
    let mut found = None;
    for parameter in parameters.into_iter().map(str::trim).filter(|parameter| !parameter.is_empty()) {
        let Some((name, value)) = parameter.split_once('=') else { return Hop::Malformed };
        if name.eq_ignore_ascii_case("for")
            && found.replace(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)).is_some()
        {
            return Hop::Malformed;
        }
    }
    match found.map(plain_hop) {
        None => Hop::Silent,
        Some(Some(address)) => Hop::Known(address),
        Some(None) => Hop::Malformed,
    }
}

/// The parts between separators that stand outside quoted strings; `None` when a quote is not closed.
fn split_outside_quotes(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text
        .split(|c: char| {
            let separates = c == separator && !quoted;
            (quoted, escaped) = match (quoted, escaped, c) {
                (true, true, _) => (true, false),
                (true, false, '\\') => (true, true),
                (true, false, '"') => (false, false),
                (false, _, '"') => (true, false),
                (state, _, _) => (state, false),
            };
            separates
        })
        .collect();
    (!quoted).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn seen(peer: &str, headers: &[(&'static str, &str)]) -> Option<String> {
        seen_by(ForwardingHeader::Auto, peer, headers).ok()
    }

    fn seen_by(
        header: ForwardingHeader,
        peer: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<String, UnreadableAddress> {
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()], header);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        match trusted.client_address(Some(peer.parse().unwrap()), &map) {
            ClientAddress::Known(address) => Ok(address.to_string()),
            ClientAddress::Unreadable(reason) => Err(reason),
            ClientAddress::NotTheCaller => panic!("the caller has an address"),
        }
    }

    const XFF: &str = "x-forwarded-for";

    #[test]
    fn a_stranger_is_where_it_is_whatever_it_says() {
        assert_eq!(
            seen("192.0.2.1", &[(XFF, "10.1.1.1"), ("forwarded", "for=10.1.1.1")]).as_deref(),
            Some("192.0.2.1")
        );
        assert_eq!(seen("::ffff:192.0.2.1", &[]).as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn hops_are_read_from_the_right_past_trusted_ones() {
        for (value, expected) in [
            ("192.0.2.9", "192.0.2.9"),
            ("1.1.1.1, 192.0.2.9", "192.0.2.9"),
            ("1.1.1.1, 192.0.2.9, 10.0.0.2", "192.0.2.9"),
            ("junk, 192.0.2.9:4711", "192.0.2.9"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ] {
            assert_eq!(seen("10.0.0.1", &[(XFF, value)]).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(seen("10.0.0.1", &[(XFF, "1.1.1.1"), (XFF, "192.0.2.9")]).as_deref(), Some("192.0.2.9"));
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        for (value, expected) in [
            ("for=192.0.2.9", "192.0.2.9"),
            ("For=\"[2001:db8::1]:4711\";proto=https", "2001:db8::1"),
            ("for=1.1.1.1, proto=http;for=192.0.2.9;by=10.0.0.1", "192.0.2.9"),
            ("for=192.0.2.9;", "192.0.2.9"),
            ("for=192.0.2.9;host=\"x,for=10.9.9.9;a=\"", "192.0.2.9"),
            ("for=192.0.2.9;host=\"x\\\",for=10.9.9.9;a=\"", "192.0.2.9"),
        ] {
            assert_eq!(seen("fd00::1", &[("forwarded", value)]).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(seen("10.0.0.1", &[]), None);
        for value in ["", " , ", "unknown", "192.0.2.9, _hidden", "fe80::1%eth0", "[fe80::1%2]:80", "300.1.1.1"] {
            assert_eq!(seen("10.0.0.1", &[(XFF, value)]), None, "{value}");
        }
        for value in ["for=unknown", "proto=https", "for=1.1.1.1;for=2.2.2.2", "1.1.1.1", "for=1.1.1.1;host=\"x"] {
            assert_eq!(seen("10.0.0.1", &[("forwarded", value)]), None, "{value}");
        }
        assert_eq!(seen("10.0.0.1", &[(XFF, &["192.0.2.9"; 40].join(","))]), None);
    }

    #[test]
    fn empty_elements_are_skipped() {
        for value in ["192.0.2.9,", "192.0.2.9, ", ",192.0.2.9", "1.1.1.1,, ,192.0.2.9,,"] {
            assert_eq!(seen("10.0.0.1", &[(XFF, value)]).as_deref(), Some("192.0.2.9"), "{value}");
        }
        assert_eq!(seen("10.0.0.1", &[("forwarded", "for=192.0.2.9, ")]).as_deref(), Some("192.0.2.9"));
        assert_eq!(seen("10.0.0.1", &[(XFF, "192.0.2.9"), (XFF, "")]).as_deref(), Some("192.0.2.9"));
        assert_eq!(seen_by(ForwardingHeader::Auto, "10.0.0.1", &[(XFF, ",")]), Err(UnreadableAddress::Missing));
    }

    #[test]
    fn two_headers_must_agree() {
        assert_eq!(seen("10.0.0.1", &[(XFF, "192.0.2.9"), ("forwarded", "for=192.0.2.8")]), None);
        assert_eq!(
            seen("10.0.0.1", &[(XFF, "192.0.2.9"), ("forwarded", "for=192.0.2.9")]).as_deref(),
            Some("192.0.2.9")
        );
    }

    #[test]
    fn forwarded_without_for_says_nothing() {
        let proto = ("forwarded", "proto=https;host=a");
        assert_eq!(seen("10.0.0.1", &[(XFF, "192.0.2.9"), proto]).as_deref(), Some("192.0.2.9"));
        let by = ("forwarded", "for=192.0.2.9, by=10.0.0.2");
        assert_eq!(seen("10.0.0.1", &[by]).as_deref(), Some("192.0.2.9"));
        assert_eq!(seen_by(ForwardingHeader::Auto, "10.0.0.1", &[proto]), Err(UnreadableAddress::Missing));
    }

    #[test]
    fn reason_names_the_cause() {
        let both = [(XFF, "10.9.9.9"), ("forwarded", "by=3.1.1.1;for=203.0.113.7;proto=https")];
        let auto = |headers| seen_by(ForwardingHeader::Auto, "10.0.0.1", headers);
        assert_eq!(auto(&both), Err(UnreadableAddress::Disagreement));
        assert_eq!(auto(&[]), Err(UnreadableAddress::Missing));
        assert_eq!(auto(&[(XFF, "x")]), Err(UnreadableAddress::Malformed));
    }

    #[test]
    fn setting_selects_the_header() {
        let both = [(XFF, "10.9.9.9"), ("forwarded", "for=203.0.113.7")];
        let read = |header, headers| seen_by(header, "10.0.0.1", headers);
        assert_eq!(read(ForwardingHeader::Forwarded, &both).as_deref(), Ok("203.0.113.7"));
        assert_eq!(read(ForwardingHeader::XForwardedFor, &both).as_deref(), Ok("10.9.9.9"));
        let one = [(XFF, "192.0.2.9")];
        assert_eq!(read(ForwardingHeader::Forwarded, &one), Err(UnreadableAddress::Missing));
    }
}
