//! The part of a key's recent use that a narrowing would have denied.

use std::net::IpAddr;

use crate::domain::apis::{ApiId, ServedApi};
use crate::domain::grants::Grants;
use crate::domain::key_text::KeyId;
use crate::domain::networks::Networks;
use crate::domain::scope::ScopeSet;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::keys::KeyError;
use crate::node::Node;
use crate::store::{DetailKind, UsageDetail};
use crate::usage::details::{UseCounts, recent_details, sort_by_frequency};

/// A narrowing of a key; `None` keeps a field.
#[derive(Clone, Debug)]
pub struct Narrowing {
    pub grants: Option<Grants>,
    pub networks: Option<Networks>,
}

/// Denied uses for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeniedUses {
    /// All denied uses.
    pub total: UseCounts,
    /// By address, API or requested scopes, most frequent first.
    pub of: Vec<UsageDetail>,
    /// Uses whose value was not recorded, because there were too many distinct ones.
    pub uncounted: UseCounts,
}

/// A change of what keys are granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScopeChange<'a> {
    pub apis: &'a [ServedApi],
    /// The grants before, if uses that these did not allow count as allowed: they were of an earlier state.
    pub old: Option<&'a Grants>,
    pub new: &'a Grants,
}

impl ScopeChange<'_> {
    fn allows(&self, is_allowed: impl Fn(&Grants) -> bool) -> bool {
        is_allowed(self.new) || self.old.is_some_and(|old| !is_allowed(old))
    }
}

/// The effect of a narrowing on recent use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Impact {
    /// First day of the period, since the epoch.
    pub first_day: i64,
    pub by_address: DeniedUses,
    /// Uses of APIs that the key is no longer granted.
    pub by_api: DeniedUses,
    /// Uses of the other APIs.
    pub by_scope: DeniedUses,
}

impl Impact {
    /// Minimum number of denied uses. The same use may be denied for its address too.
    pub fn total(&self) -> UseCounts {
        let (address, api, scope) = (self.by_address.total, self.by_api.total, self.by_scope.total);
        UseCounts {
            exchanges: address.exchanges.max(api.exchanges.saturating_add(scope.exchanges)),
            verifications: address.verifications.max(api.verifications.saturating_add(scope.verifications)),
        }
    }

    /// Number of uses that cannot be attributed.
    pub fn uncounted(&self) -> u64 {
        self.by_address.uncounted.all().saturating_add(self.by_scope.uncounted.all())
    }
}

/// Returns the successful uses of the last 30 days that a narrowing would have denied.
pub async fn impact(
    node: &Node,
    organization: &Slug,
    id: &KeyId,
    to: &Narrowing,
    now: Timestamp,
) -> Result<Impact, KeyError> {
    let (first_day, details) = recent_details(node, organization, id, now).await?;
    let apis = node.tenant(organization).map(|tenant| tenant.apis.clone()).unwrap_or_default();
    Ok(denied(details, to, &apis, first_day))
}

fn denied(details: Vec<UsageDetail>, to: &Narrowing, apis: &[ServedApi], first_day: i64) -> Impact {
    let networks = to.networks.as_ref().map(|networks| |address| networks.allows(address));
    let scopes = to.grants.as_ref().map(|grants| ScopeChange { apis, old: None, new: grants });
    denied_uses(details, first_day, networks.as_ref().map(|allows| allows as _), scopes)
}

/// Returns the uses that would have been denied. `None` leaves addresses or scopes out.
pub(super) fn denied_uses(
    details: Vec<UsageDetail>,
    first_day: i64,
    allows_address: Option<&dyn Fn(IpAddr) -> bool>,
    scopes: Option<ScopeChange<'_>>,
) -> Impact {
    let mut impact = Impact {
        first_day,
        by_address: DeniedUses::default(),
        by_api: DeniedUses::default(),
        by_scope: DeniedUses::default(),
    };
    for detail in details {
        // `None` if the value was not recorded.
        let (account, is_allowed) = match (detail.kind, allows_address, &scopes) {
            (DetailKind::Address, Some(allows), _) => {
                let address = detail.value.as_deref().and_then(|text| text.parse().ok());
                (&mut impact.by_address, address.map(allows))
            }
            (DetailKind::Api, _, Some(change)) => {
                let Some(served) = served(change.apis, detail.api) else { continue };
                (&mut impact.by_api, Some(change.allows(|grants| grants.get(served.api.id).is_some())))
            }
            (DetailKind::Scope, _, Some(change)) => {
                let is_allowed = match (served(change.apis, detail.api), &detail.value) {
                    (Some(served), Some(text)) => {
                        // Without the grant it is counted by API.
                        let Some(scopes) = change.new.get(served.api.id) else { continue };
                        let requested = ScopeSet::parse_as(served.api.style, text).ok();
                        requested.map(|requested| {
                            let old = change.old.and_then(|old| old.get(served.api.id));
                            scopes.contains_all(&requested) || old.is_some_and(|old| !old.contains_all(&requested))
                        })
                    }
                    // A use of an API that was deleted since.
                    (None, _) if detail.api.is_some() => continue,
                    _ => None,
                };
                (&mut impact.by_scope, is_allowed)
            }
            _ => continue,
        };
        match is_allowed {
            None => account.uncounted.add(&detail),
            Some(true) => {}
            Some(false) => {
                account.total.add(&detail);
                account.of.push(detail);
            }
        }
    }
    for account in [&mut impact.by_address, &mut impact.by_api, &mut impact.by_scope] {
        sort_by_frequency(&mut account.of);
    }
    impact
}

fn served(apis: &[ServedApi], id: Option<ApiId>) -> Option<&ServedApi> {
    apis.iter().find(|served| Some(served.api.id) == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::apis::Api;
    use crate::domain::choices::{Algorithm, ScopeStyle, TokenType};
    use crate::domain::grants::Grant;

    fn detail(
        kind: DetailKind,
        api: Option<ApiId>,
        value: Option<&str>,
        exchanges: u64,
        verifications: u64,
    ) -> UsageDetail {
        UsageDetail { kind, api, value: value.map(str::to_owned), exchanges, verifications, last_day: 5 }
    }

    fn photos() -> ServedApi {
        let at = Timestamp::from_seconds(0);
        let mut api = Api::default_of(Slug::default_organization(), Algorithm::Es256, at);
        (api.id, api.style) = (ApiId::from_random([1; 16]), ScopeStyle::Plain);
        ServedApi {
            api,
            audience: String::new(),
            aliases: Vec::new(),
            ttl_seconds: 600,
            typ: TokenType::AtJwt,
            claims: Default::default(),
        }
    }

    #[test]
    fn denied_uses_by_address_api_and_scope() {
        let photos = photos();
        let default = Some(ApiId::DEFAULT);
        let (of_photos, of_deleted) = (Some(photos.api.id), Some(ApiId::from_random([2; 16])));
        let api = Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0));
        let apis = [ServedApi { api, ..photos.clone() }, photos];
        let details = || {
            vec![
                detail(DetailKind::Address, None, Some("10.0.0.1"), 5, 0),
                detail(DetailKind::Address, None, Some("203.0.113.7"), 312, 1),
                detail(DetailKind::Address, None, Some("2001:db8::1"), 400, 0),
                detail(DetailKind::Address, None, None, 7, 8),
                detail(DetailKind::Api, default, None, 13, 3),
                detail(DetailKind::Api, of_photos, None, 20, 9),
                detail(DetailKind::Api, of_deleted, None, 2, 2),
                detail(DetailKind::Scope, default, Some("read:a/b write:a"), 3, 0),
                detail(DetailKind::Scope, default, Some("read:a/b"), 9, 2),
                detail(DetailKind::Scope, default, None, 1, 1),
                detail(DetailKind::Scope, of_photos, Some("photos.read"), 4, 5),
                detail(DetailKind::Scope, of_deleted, Some("x"), 2, 2),
            ]
        };
        let granted = |api, style, scopes: &str| Grant { api, scopes: ScopeSet::parse_as(style, scopes).unwrap() };
        let of_default = granted(ApiId::DEFAULT, ScopeStyle::Filters, "read:a/*");
        let narrowing = Narrowing {
            grants: Some(Grants::new([of_default.clone()])),
            networks: Some(Networks::parse(&["10.0.0.0/8"]).unwrap()),
        };
        let impact = denied(details(), &narrowing, &apis, 0);
        let listed: Vec<&str> = impact.by_address.of.iter().filter_map(|detail| detail.value.as_deref()).collect();
        assert_eq!(listed, ["2001:db8::1", "203.0.113.7"]);
        assert_eq!(impact.by_address.total, UseCounts { exchanges: 712, verifications: 1 });
        assert_eq!(impact.by_address.uncounted, UseCounts { exchanges: 7, verifications: 8 });
        assert_eq!(impact.by_scope.total, UseCounts { exchanges: 3, verifications: 0 });
        assert_eq!((impact.by_scope.uncounted.all(), impact.uncounted()), (2, 17));
        assert_eq!(impact.by_api.total, UseCounts { exchanges: 20, verifications: 9 });
        assert_eq!(impact.total(), UseCounts { exchanges: 712, verifications: 9 });

        let write = granted(apis[1].api.id, ScopeStyle::Plain, "photos.write");
        let narrowing = Narrowing { grants: Some(Grants::new([of_default, write])), networks: None };
        let impact = denied(details(), &narrowing, &apis, 0);
        assert_eq!(impact.by_api, DeniedUses::default());
        assert_eq!(impact.by_scope.total, UseCounts { exchanges: 7, verifications: 5 });

        let nothing = denied(details(), &Narrowing { grants: None, networks: None }, &apis, 0);
        assert_eq!((nothing.total(), nothing.by_address), (UseCounts::default(), DeniedUses::default()));
    }
}
