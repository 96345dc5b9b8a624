//! The laws of targets.

use proptest::prelude::*;

use super::*;
use crate::domain::claims::Audience;
use crate::domain::grants::{Grant, Grants};

const NAMES: [&str; 4] = ["default", "orders", "photos", "billing"];

fn api(place: usize, style: ScopeStyle, scopes: &[&str]) -> ServedApi {
    let name = NAMES[place];
    let mut api = Api::default_of(Slug::default_organization(), Algorithm::Es256, Timestamp::from_seconds(0));
    if place > 0 {
        api.id = ApiId::from_random([place as u8; 16]);
        api.audience = Some(format!("https://{name}.example"));
    }
    api.name = Slug::parse(name).unwrap();
    api.style = style;
    let listed = |text: &&str| ApiScope { scope: Scope::parse_as(style, text).unwrap(), description: String::new() };
    api.scopes = scopes.iter().map(listed).collect();
    let audience = api.audience.clone().unwrap_or_else(|| "https://default.example".into());
    let aliases = if place == 0 { vec!["https://id.example/".into()] } else { Vec::new() };
    ServedApi {
        api,
        audience,
        aliases,
        ttl_seconds: 600 - 60 * place as u32,
        typ: TokenType::AtJwt,
        claims: Default::default(),
    }
}

fn grants(of: &[(&ServedApi, &str)]) -> Grants {
    Grants::new(
        of.iter()
            .map(|(api, scopes)| Grant { api: api.api.id, scopes: ScopeSet::parse_as(api.api.style, scopes).unwrap() }),
    )
}

fn some() -> [ServedApi; 4] {
    [
        api(0, ScopeStyle::Filters, &[]),
        api(1, ScopeStyle::Filters, &["read:orders/*", "write:orders/*"]),
        api(2, ScopeStyle::Plain, &["photos.read", "photos.write"]),
        api(3, ScopeStyle::Plain, &["photos.read", "invoices.read"]),
    ]
}

fn audiences(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn target_without_an_audience_is_implied_by_grants_and_scopes() {
    let all = some();
    let [default, orders, photos, billing] = &all;
    let chosen =
        |grants: &Grants, scopes| select(&all, grants, &[], scopes).map(|target| target.apis[0].api.name.to_string());
    let one = grants(&[(photos, "photos.read")]);
    assert_eq!(chosen(&one, None).as_deref(), Ok("photos"), "the only API");
    assert_eq!(chosen(&one, Some("other")).as_deref(), Ok("photos"), "the decision denies the scope");

    let both = grants(&[(default, "read:a"), (photos, "photos.read")]);
    assert_eq!(chosen(&both, None).as_deref(), Ok("default"));
    assert_eq!(chosen(&both, Some("photos.read")).as_deref(), Ok("photos"), "only one has the scope");
    assert_eq!(chosen(&both, Some("read:a")).as_deref(), Ok("default"));
    assert_eq!(chosen(&both, Some("photos.write")).as_deref(), Ok("default"), "the decision denies the scope");

    let without_default = grants(&[(orders, "read:orders/1"), (photos, "photos.read"), (billing, "photos.read")]);
    assert_eq!(chosen(&without_default, None), Err(TargetError::AudienceRequired));
    assert_eq!(chosen(&without_default, Some("photos.read")), Err(TargetError::AudienceRequired), "two have it");
    assert_eq!(chosen(&without_default, Some("read:orders/1")).as_deref(), Ok("orders"));
    assert_eq!(chosen(&Grants::default(), None), Err(TargetError::AudienceRequired));
}

#[test]
fn only_granted_audiences_can_be_requested() {
    let all = some();
    let [default, orders, photos, billing] = &all;
    let held =
        grants(&[(default, "read:a"), (photos, "photos.read photos.write"), (billing, "photos.read invoices.read")]);
    let of = |list: &[&str]| select(&all, &held, &audiences(list), None);
    assert_eq!(of(&["https://orders.example"]).unwrap_err(), TargetError::NotGranted);
    assert_eq!(of(&["https://nowhere.example"]).unwrap_err(), TargetError::NotGranted);
    assert_eq!(of(&["https://photos.example", "https://orders.example"]).unwrap_err(), TargetError::NotGranted);
    assert_eq!(of(&["https://id.example"]).unwrap().audiences, ["https://id.example/"], "an alias, as configured");
    assert_eq!(of(&["HTTPS://PHOTOS.example:443/"]).unwrap().audiences, ["https://photos.example"]);
    assert_eq!(of(&["https://default.example", "https://photos.example"]).unwrap_err(), TargetError::Mixed);

    let two = of(&["https://photos.example", "https://billing.example"]).unwrap();
    assert_eq!(two.scopes.as_str(), "photos.read", "no scope that one of them does not grant");
    assert_eq!(two.ttl_seconds(), 420);
    assert_eq!(two.audience(), Audience::Many(vec!["https://photos.example", "https://billing.example"]));
    assert!(!two.has_default());
    let _ = orders;
}

#[test]
fn scopes_that_an_api_no_longer_has_are_not_effective() {
    let mut all = some();
    let held = grants(&[(&all[2], "photos.read photos.write")]);
    all[2].api.scopes.pop();
    let target = select(&all, &held, &[], None).unwrap();
    assert_eq!(target.scopes.as_str(), "photos.read");
    let wide = grants(&[(&all[1], "*:* read:orders/1")]);
    assert_eq!(select(&all, &wide, &[], None).unwrap().scopes.as_str(), "read:orders/1", "wider than the API's scopes");
}

#[test]
fn wildcards_of_other_apis_do_not_reach_the_management_api() {
    let all = some();
    let scope = |text| Scope::parse(text).unwrap();
    assert!(all[0].api.has_scope(&scope("read:keyturn/keys")));
    let open = api(1, ScopeStyle::Filters, &[]);
    assert!(open.api.has_scope(&scope("*:*")) && !open.api.has_scope(&scope("read:keyturn/keys")));
    let held = grants(&[(&open, "read:a read:keyturn/keys *:keyturn/*")]);
    assert_eq!(select(&[open], &held, &[], None).unwrap().scopes.as_str(), "read:a");
}

#[test]
fn removed_api_has_no_target() {
    let all = some();
    let held = grants(&[(&all[0], "read:a"), (&all[3], "photos.read")]);
    let aud = Audience::One("https://billing.example".to_owned());
    assert!(held_for_token(&all, &held, &aud).is_some());
    assert!(held_for_token(&all[..3], &held, &aud).is_none());
}

prop_compose! {
    fn any_api(place: usize)(
        is_plain in any::<bool>(),
        scopes in prop::sample::subsequence(vec!["read", "write", "read:a", "read:a/*", "*:*", "read:keyturn/keys"], 0..5),
    ) -> ServedApi {
        api(place, if is_plain && place > 0 { ScopeStyle::Plain } else { ScopeStyle::Filters }, &scopes)
    }
}

prop_compose! {
    fn any_grants()(
        apis in prop::sample::subsequence(vec![0_usize, 1, 2, 3], 0..=4),
        scopes in prop::collection::vec(
            prop::sample::subsequence(vec!["read", "write", "read:a/b", "read:a/*", "*:*", "*:keyturn/*"], 0..5), 4),
    ) -> Vec<(usize, String)> {
        apis.into_iter().map(|api| (api, scopes[api].join(" "))).collect()
    }
}

proptest! {
    #[test]
    fn no_target_has_an_audience_or_a_scope_that_is_not_granted(
        first in any_api(0), second in any_api(1), third in any_api(2), fourth in any_api(3),
        granted in any_grants(),
        requested in prop::collection::vec(0_usize..5, 0..4),
        scope in prop::option::of(prop::sample::select(vec!["read", "write", "read:a/b", "*:*", "read:keyturn/keys"])),
    ) {
        let all = [first, second, third, fourth];
        let list: Vec<(&ServedApi, &str)> = granted.iter().map(|(place, scopes)| (&all[*place], scopes.as_str())).collect();
        let grants = grants(&list);
        let wanted: Vec<String> = requested
            .iter()
            .map(|place| all.get(*place).map_or("https://nowhere.example".into(), |api| api.audience.clone()))
            .collect();
        if let Ok(target) = select(&all, &grants, &wanted, scope) {
            prop_assert!(!target.apis.is_empty());
            prop_assert_eq!(wanted.is_empty(), requested.is_empty());
            for api in &target.apis {
                let held = grants.get(api.api.id);
                prop_assert!(held.is_some(), "an API that is not granted");
                for scope in target.scopes.iter() {
                    prop_assert!(held.unwrap().contains(scope), "{scope} is not granted for {}", api.api.name);
                    prop_assert!(api.api.has_scope(scope), "{} does not have {scope}", api.api.name);
                    prop_assert!(api.api.is_default() || !scope.is_reserved());
                }
            }
            for audience in &target.audiences {
                prop_assert!(target.apis.iter().any(|api| api.audience == *audience || api.aliases.iter().any(|alias| alias == audience)));
            }
            prop_assert_eq!(target.apis.iter().map(|api| api.api.style).collect::<std::collections::HashSet<_>>().len(), 1);
        }
    }
}
