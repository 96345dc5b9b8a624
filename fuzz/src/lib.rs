//! Properties of Keyturn's parsers that hold for every input. Each function panics if its property does not hold.
//!
//! libFuzzer calls these functions (`fuzz_targets/`, run by `scripts/fuzz`). So does `tests/it/fuzz.rs`, briefly and on
//! stable Rust, with the inputs in `seeds/` and mutations of them.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::{AUTHORIZATION, FORWARDED, HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyturn::domain::choices::ForwardingHeader;
use keyturn::domain::decision::ClientAddress;
use keyturn::domain::destination::{AllowedDestinations, Destination, is_public};
use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText, looks_like_key_text};
use keyturn::domain::networks::{Networks, fold};
use keyturn::domain::policy::Policy;
use keyturn::domain::scope::{Action, Resource, Scope, ScopeSet, ScopeStyle};
use keyturn::store::KeyOrder;
use keyturn::testing::http::client_address::TrustedProxies;
use keyturn::testing::http::credentials::{self, HeaderCredentials};
use keyturn::testing::http::form::Form;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A target by its name: the name of its function here, its program in `fuzz_targets/` and its folder in `seeds/`.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 10] = [
    ("credentials", credentials),
    ("cursor", cursor),
    ("form", form),
    ("forwarded", forwarded),
    ("networks", networks),
    ("plain_scope", plain_scope),
    ("policy_toml", policy_toml),
    ("scope", scope),
    ("secret", secret),
    ("webhook_url", webhook_url),
];

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A secret is read exactly as it is written, its checksum finds every change of one character, and no error repeats it.
pub fn secret(data: &[u8]) {
    if let Some((id, random)) = data.split_first_chunk().and_then(|(id, rest)| Some((id, rest.first_chunk()?))) {
        let created = KeyText::new(KeyPrefix::default(), KeyId::from_random(*id), *random);
        read_secret(&created.reveal());
    }
    if let Some(text) = text(data) {
        read_secret(text);
    }
}

fn read_secret(text: &str) {
    let read = KeyText::parse(text);
    if let Ok(secret) = &read {
        assert_eq!(secret.reveal().as_str(), text);
        assert!(looks_like_key_text(text));
        for (at, was) in text.char_indices() {
            let other = if was == '1' { "2" } else { "1" };
            let mut changed = text.to_owned();
            changed.replace_range(at..at + was.len_utf8(), other);
            assert!(KeyText::parse(&changed).is_err(), "the checksum misses a change at {at}");
        }
    }
    let is_distinctive = text.len() >= 24 && !text.contains(' ');
    for presented in [credentials::presented_key(None, text).map(drop), credentials::key_or_token(text).map(drop)] {
        if let Err(invalid) = presented {
            assert!(read.is_err());
            assert!(!is_distinctive || !invalid.description().contains(text), "an error repeats a secret");
        }
    }
}

/// A plain scope prints as it was written, and contains only itself.
pub fn plain_scope(data: &[u8]) {
    let Some(set) = text(data).and_then(|text| ScopeSet::parse_as(ScopeStyle::Plain, text).ok()) else { return };
    let printed = ScopeSet::parse_as(ScopeStyle::Plain, &set.to_string()).expect("a printed scope is valid");
    assert_eq!(printed, set);
    for (one, other) in scopes(&set).iter().flat_map(|one| set.iter().map(move |other| (one, other))) {
        assert_eq!(one.contains(other), one.to_string() == other.to_string());
        assert!(Scope::parse("*:*").is_ok_and(|everything| !everything.contains(one)));
    }
}

/// A scope prints as it was written, and nothing is allowed by a part that is not allowed by the whole.
pub fn scope(data: &[u8]) {
    let Some(set) = text(data).and_then(|text| ScopeSet::parse(text).ok()) else { return };
    let printed = ScopeSet::parse(&set.to_string()).expect("a printed scope is valid");
    assert!(printed.is_same_text(&set));
    assert!(set.contains_all(&set));
    let management = Scope::parse("read:keyturn/keys").expect("valid");
    let read = Action::parse("read").expect("valid");
    for a in &scopes(&set) {
        assert!(a.contains(a) && set.contains(a));
        assert!(a.is_reserved() || !a.contains(&management), "a wildcard reaches keyturn/");
        for b in &scopes(&set) {
            if !a.contains(b) {
                continue;
            }
            // A filter without wildcards is a resource.
            if let Some(Ok(resource)) = b.parts().map(|(_, filter)| Resource::parse(filter.as_str())) {
                assert!(!b.allows(&read, &resource) || a.allows(&read, &resource));
            }
            for c in &scopes(&set) {
                assert!(!b.contains(c) || a.contains(c), "{a} contains {b}, and {b} contains {c}");
            }
        }
    }
}

/// The first few, so that an input of many scopes does not take seconds.
fn scopes(set: &ScopeSet) -> Vec<Scope> {
    set.iter().take(6).cloned().collect()
}

/// A network allows its first and last address in every spelling, and a list contains what it allows.
pub fn networks(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let items: Vec<&str> = text.split('\n').collect();
    let networks = match Networks::parse(&items) {
        Ok(networks) => networks,
        Err(error) => {
            let item = items.get(error.index).expect("the error names an entry");
            assert!(error.to_string().len() < 300, "the message for {item:?} is too long");
            return;
        }
    };
    assert_eq!(Networks::parse(&networks.to_strings()).as_ref(), Ok(&networks));
    assert!(networks.contains(&networks) && Networks::all().contains(&networks));
    for network in networks.iter().take(20) {
        for address in [network.network(), network.broadcast()] {
            if fold(address) != address {
                continue; // An IPv6 network says nothing about IPv4 addresses.
            }
            assert!(networks.allows(address));
            let one = Networks::parse(&[address.to_string()]).expect("an address is a network");
            assert!(networks.contains(&one) && one.allows(address));
            if let IpAddr::V4(v4) = address {
                assert!(networks.allows(IpAddr::V6(v4.to_ipv6_mapped())), "a mapped address is the same address");
            }
        }
    }
}

/// A form is read as the URL standard reads it, or rejected.
pub fn form(data: &[u8]) {
    let Ok(form) = Form::parse(data) else { return };
    let filled = |(name, value): (&str, &str)| (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()));
    let read: Vec<(String, String)> = form.all().filter_map(filled).collect();
    let standard: Vec<(String, String)> =
        url::form_urlencoded::parse(data).filter_map(|(name, value)| filled((&name, &value))).collect();
    assert_eq!(read, standard);
    for (name, value) in &read {
        assert!(form.has(name) && form.values(name).any(|each| each == value));
        assert!(!value.contains('\0'));
    }
    let mut names: Vec<&str> = form.names().collect();
    names.sort_unstable();
    let has_repeats = names.windows(2).any(|pair| pair.first() == pair.last());
    assert_eq!(form.check_repeats(&[]).is_err(), has_repeats);
}

/// Credentials in headers are read as they are written, and two at a time are rejected.
pub fn credentials(data: &[u8]) {
    let (authorization, api_key) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (data.get(..at).unwrap_or_default(), data.get(at + 1..)),
        None => (data, None),
    };
    let mut headers = HeaderMap::new();
    let Ok(value) = HeaderValue::from_bytes(authorization) else { return };
    headers.insert(AUTHORIZATION, value);
    let alone = credentials::from_headers(&headers);
    match &alone {
        Ok(HeaderCredentials::Basic { id, secret }) => {
            let encode = |part: &str| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string();
            let written = format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))));
            let mut again = HeaderMap::new();
            again.insert(AUTHORIZATION, HeaderValue::from_str(&written).expect("base64 is a header value"));
            match credentials::from_headers(&again) {
                Ok(HeaderCredentials::Basic { id: other, secret: same }) => assert_eq!((&other, &same), (id, secret)),
                Ok(_) | Err(_) => panic!("{written:?} is read as something else"),
            }
        }
        Ok(HeaderCredentials::Bearer(token)) => {
            assert!(!token.is_empty() && !token.contains([' ', '\t']));
            assert!(text(authorization).is_some_and(|text| text.contains(*token)));
        }
        Ok(HeaderCredentials::ApiKey(_)) => panic!("there is no X-Api-Key header"),
        Ok(HeaderCredentials::None | HeaderCredentials::Empty | HeaderCredentials::OtherScheme) | Err(_) => {}
    }
    let Some(value) = api_key.and_then(|api_key| HeaderValue::from_bytes(api_key).ok()) else { return };
    let mut with_key = headers.clone();
    with_key.insert(HeaderName::from_static("x-api-key"), value);
    let both = credentials::from_headers(&with_key);
    if matches!(both, Ok(HeaderCredentials::ApiKey(_))) {
        assert!(matches!(alone, Ok(HeaderCredentials::None | HeaderCredentials::Empty)), "two credentials at a time");
    }
}

/// Nothing that a client sends ahead of the trusted proxies' entries changes its address.
pub fn forwarded(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let value =
        |line: Option<&[u8]>| line.filter(|line| !line.is_empty()).and_then(|line| HeaderValue::from_bytes(line).ok());
    let (x_forwarded_for, forwarded) = (value(lines.next()), value(lines.next()));
    let headers = |prefixes: [&str; 2]| {
        let mut headers = HeaderMap::new();
        let names = [HeaderName::from_static("x-forwarded-for"), FORWARDED];
        for ((name, value), prefix) in names.into_iter().zip([&x_forwarded_for, &forwarded]).zip(prefixes) {
            if let Some(value) = value {
                let spoofed = [prefix.as_bytes(), value.as_bytes()].concat();
                headers.insert(name, HeaderValue::from_bytes(&spoofed).expect("a header value with a prefix"));
            }
        }
        headers
    };
    let trusted = "10.0.0.0/8".parse().expect("a network");
    let (stranger, proxy) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([10, 0, 0, 1]));
    for header in [ForwardingHeader::Auto, ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] {
        let proxies = TrustedProxies::new(vec![trusted], header);
        let address = |peer, prefixes| proxies.client_address(Some(peer), &headers(prefixes));
        assert_eq!(address(stranger, ["", ""]), ClientAddress::Known(stranger));
        let ClientAddress::Known(client) = address(proxy, ["", ""]) else { continue };
        assert!(!matches!(client, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()), "{client} is not folded");
        let is_long = |value: &Option<HeaderValue>| {
            value.iter().flat_map(|value| value.as_bytes()).filter(|byte| **byte == b',').count() > 28
        };
        if !proxies.trusts(client) && !is_long(&x_forwarded_for) && !is_long(&forwarded) {
            let spoofed = address(proxy, ["198.51.100.9, ", "for=198.51.100.9, "]);
            match spoofed {
                ClientAddress::Known(address) => assert_eq!(address, client),
                // The spoofed header disagrees with the other one.
                _ => assert_eq!(header, ForwardingHeader::Auto),
            }
        }
    }
}

/// A policy without violations is the same after it was written as TOML or JSON.
pub fn policy_toml(data: &[u8]) {
    let Some(policy) = text(data).and_then(|text| toml::from_str::<Policy>(text).ok()) else { return };
    if !policy.validate().is_empty() {
        return;
    }
    let written = toml::to_string(&policy).expect("a policy can be written as TOML");
    assert_eq!(toml::from_str::<Policy>(&written).as_ref(), Ok(&policy));
    let written = serde_json::to_string(&policy).expect("a policy can be written as JSON");
    assert_eq!(serde_json::from_str::<Policy>(&written).ok().as_ref(), Some(&policy));
}

/// A cursor that is accepted names one place, and is accepted only for the order that it was issued for.
pub fn cursor(data: &[u8]) {
    let encoded = URL_SAFE_NO_PAD.encode(data);
    for text in text(data).into_iter().chain([encoded.as_str()]) {
        let _ = keyturn::testing::audit::read_cursor(text);
        let _ = keyturn::testing::webhooks::read_cursor(text);
        let mut accepted = 0;
        for order in [KeyOrder::Created, KeyOrder::Name, KeyOrder::Expiry, KeyOrder::LastUse] {
            for is_descending in [false, true] {
                let Some(place) = keyturn::testing::keys::read_cursor(text, order, is_descending) else { continue };
                accepted += 1;
                let issued = keyturn::testing::keys::cursor(order, is_descending, &place);
                assert_eq!(keyturn::testing::keys::read_cursor(&issued, order, is_descending), Some(place));
            }
        }
        assert!(accepted <= 1);
    }
}

/// An accepted URL leads to a public host over https, and only its origin is shown.
pub fn webhook_url(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(destination) = Destination::parse(text, AllowedDestinations::Public) else { return };
    let url = destination.url();
    assert_eq!(url.scheme(), "https");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    match url.host().expect("a host") {
        url::Host::Domain(domain) => assert!(domain.parse::<Ipv4Addr>().is_err(), "{domain} is an address"),
        url::Host::Ipv4(address) => assert!(is_public(IpAddr::V4(address))),
        url::Host::Ipv6(address) => assert!(is_public(IpAddr::V6(address))),
    }
    // Escaping makes a URL longer, perhaps too long.
    if url.as_str().len() <= text.len() {
        assert_eq!(Destination::parse(url.as_str(), AllowedDestinations::Public).as_ref(), Ok(&destination));
    }
    assert!(Destination::parse(text, AllowedDestinations::Anywhere).is_ok());
    let origin = url.origin().ascii_serialization();
    assert_eq!(
        (destination.to_string(), format!("{destination:?}")),
        (origin.clone(), format!("Destination({origin})"))
    );
}
