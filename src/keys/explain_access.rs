//! Sentences of an explanation about the networks and the profile of a key.

use std::net::IpAddr;

use crate::clock::rfc3339;
use crate::domain::api_key::ApiKey;
use crate::domain::networks::{Networks, fold};
use crate::domain::profile::SharedAccess;
use crate::domain::slug::Slug;
use crate::keys::explain::Question;

pub(super) fn lifetime(key: &ApiKey, shared: &SharedAccess, question: &Question) -> String {
    let limit = key.profile.as_ref().and_then(|profile| Some((profile, shared.profile(profile)?.token_ttl_seconds?)));
    match (limit, &question.token) {
        (None, _) => "no profile limits the lifetime of the key's tokens".into(),
        (Some((profile, seconds)), None) => {
            format!("applies to tokens only: the profile {profile} allows tokens for {seconds} seconds")
        }
        (Some((profile, seconds)), Some(token)) => {
            let end = token.issued_at.plus_seconds(i64::from(seconds));
            let ends = if question.at < end { "ends" } else { "ended" };
            format!("the token {ends} at {}: the profile {profile} allows tokens for {seconds} seconds", rfc3339(end))
        }
    }
}

pub(super) fn network(key: &ApiKey, shared: &SharedAccess, address: Option<IpAddr>) -> String {
    let Some(address) = address.map(fold) else {
        if shared.allows_nowhere(key) {
            return "the networks of the key and those of its profile have no address in common".into();
        }
        return "no IP address was given".into();
    };
    let profile = key.profile.as_ref();
    if profile.is_some_and(|profile| shared.profile(profile).is_none()) {
        return "the profile of the key does not exist, so no address is allowed".into();
    }
    let own = place(address, &key.networks, &key.named_networks, shared);
    let of_profile = profile.and_then(|name| Some((name, shared.profile(name)?)));
    let of_profile =
        of_profile.map(|(name, held)| (name, place(address, &held.networks, &held.named_networks, shared)));
    match (own, of_profile) {
        (Err(detail), Some((name, Err(of_profile)))) => {
            format!("{detail}; for the profile {name}, {of_profile}")
        }
        (Err(detail), _) => detail,
        (Ok(_), Some((name, Err(detail)))) => format!("for the profile {name}, {detail}"),
        (Ok(detail), None) => detail,
        (Ok(detail), Some((name, Ok(of_profile)))) => format!("{detail}; for the profile {name}, {of_profile}"),
    }
}

/// Says where an address is among networks, or that it is not.
fn place(address: IpAddr, list: &Networks, named: &[Slug], shared: &SharedAccess) -> Result<String, String> {
    if list.iter().len() == 0 && named.is_empty() {
        return Ok("any address is allowed".to_owned());
    }
    if let Some(network) = list.iter().find(|network| network.contains(&address)) {
        return Ok(format!("{address} is in {network}"));
    }
    let held = || named.iter().filter_map(|name| shared.network(name));
    if let Some(network) = held().find(|network| network.addresses().allows(address)) {
        return Ok(format!("{address} is in the network {}", network.name));
    }
    let allowed: Vec<String> = list.to_strings().into_iter().chain(named.iter().map(Slug::to_string)).collect();
    let excluding = held().find(|network| network.cidrs.lists(address));
    let excluded = excluding.map(|network| format!("; the network {} excludes it", network.name)).unwrap_or_default();
    Err(format!("{address} is not in the allowed networks: {}{excluded}", allowed.join(", ")))
}
