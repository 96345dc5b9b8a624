//! The effect of a change of an API: the scopes that keys lose, and their recent requests that would have failed.

use std::collections::HashMap;

use crate::domain::apis::Api;
use crate::domain::choices::ScopeStyle;
use crate::domain::key_text::KeyId;
use crate::domain::scope::{Scope, ScopeSet};
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::day_of;
use crate::node::{Node, Tenant, Unavailable};
use crate::store::{KeyOfApi, RequestedOfKey};
use crate::usage::details::{DAYS, UseCounts};

/// A change of an API.
#[derive(Clone, Debug)]
pub enum ApiChange {
    Delete,
    /// The API after the change.
    Edit(Box<Api>),
}

/// The effect of a change on one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyImpact {
    pub id: KeyId,
    pub name: String,
    /// The scopes that the key loses.
    pub lost: Vec<Scope>,
    /// Requests of the period that would have failed.
    pub failed: UseCounts,
    /// Requests that may have failed, because their scopes were not recorded.
    pub unattributed: UseCounts,
}

/// The effect of a change on the keys of an API.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiImpact {
    /// First day of the period, since the epoch.
    pub first_day: i64,
    /// Whether all of the API's tokens become invalid.
    pub ends_all_tokens: bool,
    /// Affected keys, those with the most failed requests first.
    pub keys: Vec<KeyImpact>,
}

impl ApiImpact {
    /// The failed and the unattributed requests of all keys.
    pub fn totals(&self) -> [UseCounts; 2] {
        let sum = |of: fn(&KeyImpact) -> UseCounts| {
            self.keys.iter().map(of).fold(UseCounts::default(), |sum, each| UseCounts {
                exchanges: sum.exchanges.saturating_add(each.exchanges),
                verifications: sum.verifications.saturating_add(each.verifications),
            })
        };
        [sum(|key| key.failed), sum(|key| key.unattributed)]
    }
}

/// Returns the effect of a change of an API on its keys and on their requests of the last 30 days.
pub async fn api_impact(
    node: &Node,
    tenant: &Tenant,
    old: &Api,
    change: &ApiChange,
    now: Timestamp,
) -> Result<ApiImpact, Unavailable> {
    let first_day = day_of(now).saturating_sub(DAYS - 1);
    let keys = node.store.keys_of_api(old, &tenant.shared, first_day).await?;
    let requested = node.store.requested_of_api(old, &tenant.shared, first_day).await?;
    Ok(affected(old, change, keys, &requested, first_day))
}

fn affected(
    old: &Api,
    change: &ApiChange,
    keys: Vec<KeyOfApi>,
    requested: &[RequestedOfKey],
    first_day: i64,
) -> ApiImpact {
    let new = match change {
        ApiChange::Delete => None,
        ApiChange::Edit(new) => Some(new.as_ref()),
    };
    let ends_all_tokens = new.is_none_or(|new| new.audience != old.audience);
    let mut by_key: HashMap<KeyId, Vec<&RequestedOfKey>> = HashMap::new();
    for each in requested {
        by_key.entry(each.key).or_default().push(each);
    }
    let impact = |key: KeyOfApi| {
        let held = old.effective(key.grants.get(old.id)?);
        let kept = new.map(|new| new.effective(&held)).unwrap_or_default();
        let lost: Vec<Scope> = held.iter().filter(|scope| !kept.contains(scope)).cloned().collect();
        if lost.is_empty() && !ends_all_tokens {
            return None;
        }
        let requests = by_key.get(&key.id).map(Vec::as_slice).unwrap_or_default();
        let (failed, unattributed) = match ends_all_tokens {
            true => (UseCounts { exchanges: key.exchanges, verifications: key.verifications }, UseCounts::default()),
            false => count(old.style, &kept, requests),
        };
        Some(KeyImpact { id: key.id, name: key.name, lost, failed, unattributed })
    };
    let mut keys: Vec<KeyImpact> = keys.into_iter().filter_map(impact).collect();
    keys.sort_by_key(|key| std::cmp::Reverse(key.failed.all()));
    ApiImpact { first_day, ends_all_tokens, keys }
}

/// Returns the requests that would have failed with the scopes that are left, and those that may have. Without scopes, a
/// request gets those that are left.
fn count(style: ScopeStyle, kept: &ScopeSet, requests: &[&RequestedOfKey]) -> (UseCounts, UseCounts) {
    let (mut failed, mut unattributed) = (UseCounts::default(), UseCounts::default());
    for request in requests {
        let wanted = request.scopes.as_ref().and_then(|text| ScopeSet::parse_as(style, text).ok());
        let to = match wanted {
            Some(wanted) if kept.contains_all(&wanted) => continue,
            Some(_) => &mut failed,
            None => &mut unattributed,
        };
        to.exchanges = to.exchanges.saturating_add(request.exchanges);
        to.verifications = to.verifications.saturating_add(request.verifications);
    }
    (failed, unattributed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::apis::{ApiId, ApiScope};
    use crate::domain::choices::Algorithm;
    use crate::domain::grants::{Grant, Grants};
    use crate::domain::slug::Slug;

    fn photos(scopes: &str) -> Api {
        let mut api = Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0));
        api.id = ApiId::from_random([1; 16]);
        api.style = ScopeStyle::Plain;
        api.audience = Some("https://photos.example".into());
        let listed =
            |text| ApiScope { scope: Scope::parse_as(ScopeStyle::Plain, text).unwrap(), description: "".into() };
        api.scopes = scopes.split(' ').map(listed).collect();
        api
    }

    fn key(id: u8, of: &[(ApiId, ScopeStyle, &str)], exchanges: u64, verifications: u64) -> KeyOfApi {
        let grant = |(api, style, scopes): &(ApiId, ScopeStyle, &str)| Grant {
            api: *api,
            scopes: ScopeSet::parse_as(*style, scopes).unwrap(),
        };
        let grants = Grants::new(of.iter().map(grant));
        KeyOfApi { id: KeyId::from_random([id; 16]), name: format!("key {id}"), grants, exchanges, verifications }
    }

    fn request(id: u8, scopes: Option<&str>, exchanges: u64, verifications: u64) -> RequestedOfKey {
        let scopes = scopes.map(str::to_owned);
        RequestedOfKey { key: KeyId::from_random([id; 16]), scopes, exchanges, verifications }
    }

    #[test]
    fn removed_scope_fails_requests_that_named_it() {
        let (old, new) = (photos("read write"), photos("read"));
        let only = [(old.id, ScopeStyle::Plain, "read write")];
        let keys = vec![key(1, &only, 100, 50), key(2, &[(old.id, ScopeStyle::Plain, "read")], 10, 0)];
        let requests = [
            request(1, Some("read"), 5, 1),
            request(1, Some("read write"), 7, 0),
            request(1, Some("write"), 1, 3),
            request(1, None, 2, 0),
        ];
        let impact = affected(&old, &ApiChange::Edit(Box::new(new)), keys, &requests, 9);
        assert_eq!((impact.ends_all_tokens, impact.keys.len()), (false, 1), "the other key loses nothing");
        assert_eq!(impact.keys[0].lost.iter().map(ToString::to_string).collect::<Vec<_>>(), ["write"]);
        assert_eq!(impact.keys[0].failed, UseCounts { exchanges: 8, verifications: 3 });
        assert_eq!(impact.keys[0].unattributed, UseCounts { exchanges: 2, verifications: 0 });
        assert_eq!(impact.totals()[0], impact.keys[0].failed);
    }

    #[test]
    fn deletion_fails_every_request() {
        let old = photos("read write");
        let both = [(ApiId::DEFAULT, ScopeStyle::Filters, "read"), (old.id, ScopeStyle::Plain, "read write")];
        let keys = vec![key(1, &[(old.id, ScopeStyle::Plain, "")], 100, 50), key(2, &both, 40, 4)];
        let requests = [request(2, Some("write"), 5, 1), request(2, None, 6, 0)];
        let impact = affected(&old, &ApiChange::Delete, keys, &requests, 0);
        assert!(impact.ends_all_tokens);
        assert_eq!(impact.totals(), [UseCounts { exchanges: 140, verifications: 54 }, UseCounts::default()]);
        let mut moved = old.clone();
        moved.audience = Some("https://elsewhere.example".into());
        assert!(affected(&old, &ApiChange::Edit(Box::new(moved)), Vec::new(), &[], 0).ends_all_tokens);
    }

    #[test]
    fn harmless_change_affects_no_key() {
        let old = photos("read write");
        let keys = vec![key(1, &[(old.id, ScopeStyle::Plain, "read")], 100, 50)];
        let change = ApiChange::Edit(Box::new(photos("read write more")));
        assert_eq!(affected(&old, &change, keys, &[], 0).keys, []);
    }
}
