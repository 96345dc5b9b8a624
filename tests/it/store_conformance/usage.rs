//! Usage: counts in any order and range; details, notices and chores.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use keyturn::domain::api_key::{ApiKey, Lifecycle, PreviousSecret};
use keyturn::domain::apis::{Api, ApiId};
use keyturn::domain::choices::Algorithm;
use keyturn::domain::grants::{Grant, Grants};
use keyturn::domain::key_text::KeyId;
use keyturn::domain::profile::SharedAccess;
use keyturn::domain::scope::ScopeSet;
use keyturn::domain::timestamp::Timestamp;
use keyturn::domain::usage::{Counts, Details, KeyUsage, LastUse, MOST_DISTINCT, UsageOutcome, UsedDetail};
use keyturn::store::{
    BusyKeys, DetailKind, Interval, Limits, Notice, StaleKeys, Store, UsageDetail, UsageOf, UsesOfApi, action, kind,
};

use super::{
    NOW, WriteOutcome as _, concurrently, create_organization, entry, id, insert, key, new_organization, next, slug,
    verifier,
};

fn used(n: u8, counts: &[(i64, UsageOutcome, u64)]) -> KeyUsage {
    KeyUsage { counts: counts.to_vec(), ..KeyUsage::new(id(n)) }
}

fn counts(list: &[(UsageOutcome, u64)]) -> Counts {
    let mut counts = Counts::default();
    for (outcome, count) in list {
        counts.add(*outcome, *count);
    }
    counts
}

async fn days(store: &Store, of: &UsageOf, first: i64, last: i64) -> Vec<(i64, u64)> {
    let found = store.usage(of, Interval::Day, first, last).await.unwrap();
    found.into_iter().map(|(day, counts)| (day, counts.uses())).collect()
}

/// Returns the keys from the busiest on with their uses, read in pages of `limit`.
async fn busy(store: &Store, first_day: i64, last_day: Option<i64>, limit: u32) -> Vec<(KeyId, u64)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let asked = BusyKeys { organization: slug("acme"), first_day, last_day, after, limit };
        let page = store.busy_keys(&asked).await.unwrap();
        assert!(page.len() <= limit as usize);
        let Some(last) = page.last() else { return all };
        after = Some((last.counts.uses(), last.key));
        all.extend(page.iter().map(|busy| (busy.key, busy.counts.uses())));
    }
}

pub async fn uses_by_hour_and_day_in_any_order(store: Arc<Store>) {
    use UsageOutcome::{DeniedScope, Exchanged, Verified};
    create_organization(store.as_ref()).await;
    insert(store.as_ref(), &key(1)).await;
    insert(store.as_ref(), &key(2)).await;
    store.add_usage(&[used(1, &[(24 * 10, Exchanged, 3), (24 * 10 + 1, DeniedScope, 2)])]).await.unwrap();
    store.add_usage(&[used(1, &[(24 * 12 + 5, Verified, 7)]), used(2, &[(24 * 12, Exchanged, 1)])]).await.unwrap();
    // Counted late: the day before, a day in between, and two days in one batch.
    store.add_usage(&[used(1, &[(24 * 10 + 23, Exchanged, 10)])]).await.unwrap();
    store.add_usage(&[used(1, &[(24 * 11, Exchanged, 100), (24 * 12 + 6, Exchanged, 1000)])]).await.unwrap();
    // Counts of a missing key are ignored; the rest of the batch is written.
    store.add_usage(&[used(99, &[(24 * 11, Exchanged, 5)]), used(2, &[(24 * 11, Exchanged, 2)])]).await.unwrap();

    let (one, all) = (UsageOf::Key(id(1)), UsageOf::Organization(slug("acme")));
    assert_eq!(days(store.as_ref(), &one, 0, 100).await, [(10, 13), (11, 100), (12, 1007)]);
    assert_eq!(days(store.as_ref(), &one, 11, 11).await, [(11, 100)], "from the middle on");
    assert_eq!(days(store.as_ref(), &one, 12, 30).await, [(12, 1007)]);
    assert_eq!(days(store.as_ref(), &one, 13, 30).await, []);
    assert_eq!(days(store.as_ref(), &all, 0, 100).await, [(10, 13), (11, 102), (12, 1008)]);
    assert_eq!(days(store.as_ref(), &UsageOf::Organization(slug("other")), 0, 100).await, []);
    let hours = store.usage(&one, Interval::Hour, 24 * 10, 24 * 10 + 23).await.unwrap();
    let expected = [
        (24 * 10, counts(&[(Exchanged, 3)])),
        (24 * 10 + 1, counts(&[(DeniedScope, 2)])),
        (24 * 10 + 23, counts(&[(Exchanged, 10)])),
    ];
    assert_eq!(hours, expected);
    let day = store.usage(&one, Interval::Day, 10, 10).await.unwrap();
    assert_eq!(day, [(10, counts(&[(Exchanged, 13), (DeniedScope, 2)]))]);
    let hours = store.usage(&all, Interval::Hour, 24 * 12, 24 * 12 + 23).await.unwrap();
    assert_eq!(
        hours.iter().map(|(hour, counts)| (*hour, counts.uses())).collect::<Vec<_>>(),
        [(24 * 12, 1), (24 * 12 + 5, 7), (24 * 12 + 6, 1000)]
    );
}

pub async fn concurrent_batches_are_all_counted(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    for n in 1..=5 {
        insert(store.as_ref(), &key(n)).await;
    }
    let writing = store.clone();
    concurrently((0..40_i64).map(move |turn| {
        let store = writing.clone();
        async move {
            // Around midnight: some count the day before, some the day after.
            let hour = 24 * 50 - 1 + turn % 2;
            let batch: Vec<_> = (1..=5).map(|n| used(n, &[(hour, UsageOutcome::Exchanged, 1)])).collect();
            store.add_usage(&batch).await.unwrap();
        }
    }))
    .await;
    for n in 1..=5 {
        assert_eq!(days(store.as_ref(), &UsageOf::Key(id(n)), 49, 50).await, [(49, 20), (50, 20)]);
    }
    assert_eq!(days(store.as_ref(), &UsageOf::Organization(slug("acme")), 49, 50).await, [(49, 100), (50, 100)]);
    assert_eq!(busy(store.as_ref(), 50, None, 3).await[0].1, 20);
}

pub async fn busiest_keys_are_first_on_every_page(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store
        .create_organization(&new_organization("other", 60), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    for n in 1..=9 {
        insert(store.as_ref(), &key(n)).await;
    }
    let uses = |n: u8, day: i64| u64::from(n % 4) * 10 + u64::from(day % 3 == 0) * u64::from(n);
    let mut batches = Vec::new();
    for day in 1..=20_i64 {
        // Not every key on every day.
        for n in (1..=9).filter(|n| (i64::from(*n) + day) % 3 != 0) {
            batches.push(used(
                n,
                &[(day * 24, UsageOutcome::Exchanged, uses(n, day)), (day * 24, UsageOutcome::DeniedScope, 1)],
            ));
        }
    }
    store.add_usage(&batches).await.unwrap();
    store.add_usage(&[used(60, &[(24, UsageOutcome::Exchanged, 1_000_000)])]).await.unwrap();
    for (first, last) in
        [(1, None), (7, None), (20, None), (25, None), (1, Some(20)), (5, Some(9)), (9, Some(9)), (21, Some(22))]
    {
        let mut expected: Vec<(KeyId, u64)> = (0..=9)
            .map(|n| {
                let of_day = |day: i64| if n == 0 || (i64::from(n) + day) % 3 == 0 { 0 } else { uses(n, day) };
                (id(n), (first..=last.unwrap_or(20).min(20)).map(of_day).sum())
            })
            .collect();
        expected.sort_by_key(|(key, uses)| (std::cmp::Reverse(*uses), *key));
        for limit in [1, 4, 50] {
            assert_eq!(busy(store.as_ref(), first, last, limit).await, expected, "{first} {last:?} by {limit}");
        }
    }
    let asked = BusyKeys { organization: slug("acme"), first_day: 1, last_day: None, after: None, limit: 1 };
    let top = store.busy_keys(&asked).await.unwrap().remove(0);
    assert_eq!((top.name.as_str(), top.last_used_at), ("key 7", None));
    assert_eq!(top.counts.of(UsageOutcome::DeniedScope), 13);
}

pub async fn ranking_is_never_outdated(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    // Counts of each key and day; key 0 exists from the start.
    let mut counted: BTreeMap<u8, BTreeMap<i64, u64>> = BTreeMap::from([(0, BTreeMap::new())]);
    let mut random = 7_u64;
    let mut below = |end: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % end
    };
    let mut oldest = 1;
    for turn in 0..60_u64 {
        match below(8) {
            0 => {
                let n = u8::try_from(counted.len()).unwrap();
                insert(store.as_ref(), &key(n)).await;
                counted.insert(n, BTreeMap::new());
            }
            1 if turn > 30 => {
                oldest = oldest.max(i64::try_from(below(8)).unwrap());
                store.forget_usage(0, oldest, 0).await.unwrap();
            }
            _ => {
                // Includes late counts, but no deleted ones.
                let day = oldest + i64::try_from(below(20)).unwrap();
                let n = u8::try_from(below(counted.len() as u64)).unwrap();
                let uses = 1 + below(5);
                store.add_usage(&[used(n, &[(day * 24, UsageOutcome::Exchanged, uses)])]).await.unwrap();
                *counted.get_mut(&n).unwrap().entry(day).or_default() += uses;
            }
        }
        for (first, last) in [(oldest, None), (12, None), (12, Some(15)), (oldest, Some(14)), (15, Some(15))] {
            let mut expected: Vec<(KeyId, u64)> = counted
                .iter()
                .map(|(n, days)| (id(*n), days.range(first..=last.unwrap_or(i64::MAX)).map(|(_, uses)| uses).sum()))
                .collect();
            expected.sort_by_key(|(key, uses)| (std::cmp::Reverse(*uses), *key));
            assert_eq!(busy(store.as_ref(), first, last, 50).await, expected, "turn {turn}: {first} to {last:?}");
        }
    }
    assert!(counted.len() > 3 && oldest > 1, "all of it was tried: {counted:?}");
}

pub async fn many_rarely_used_keys_are_ranked(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    for n in 1..=120 {
        insert(store.as_ref(), &key(n)).await;
    }
    // Nine of ten keys on one of thirteen days, and some of them never again after the first time.
    let is_used = |n: u8, day: i64| {
        n > 0 && !n.is_multiple_of(10) && (i64::from(n) + day) % 13 == 0 && !(n.is_multiple_of(3) && day > 20)
    };
    let batch: Vec<KeyUsage> = (8..=50_i64)
        .flat_map(|day| (1..=120).filter(move |n| is_used(*n, day)).map(move |n| (n, day)))
        .map(|(n, day)| used(n, &[(day * 24, UsageOutcome::Verified, u64::from(n % 7) + 1)]))
        .collect();
    store.add_usage(&batch).await.unwrap();
    for (first, last) in
        [(1, None), (9, None), (12, None), (25, None), (40, None), (51, None), (30, Some(45)), (22, Some(22))]
    {
        let uses = |n: u8| {
            let days = (first..=last.unwrap_or(50)).filter(|day| *day >= 8 && is_used(n, *day)).count() as u64;
            days * (u64::from(n % 7) + 1)
        };
        let mut expected: Vec<(KeyId, u64)> = (0..=120).map(|n| (id(n), uses(n))).collect();
        expected.sort_by_key(|(key, uses)| (std::cmp::Reverse(*uses), *key));
        assert_eq!(busy(store.as_ref(), first, last, 50).await, expected, "{first} to {last:?}");
    }
}

pub async fn days_of_several_keys_of_one_organization(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store
        .create_organization(&new_organization("other", 60), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    for n in 1..=3 {
        insert(store.as_ref(), &key(n)).await;
    }
    for day in [3_i64, 10, 12, 30, 31] {
        let uses = day.unsigned_abs();
        let batch = [
            used(1, &[(day * 24, UsageOutcome::Exchanged, uses), (day * 24, UsageOutcome::DeniedScope, 1)]),
            used(60, &[(day * 24, UsageOutcome::Exchanged, 1)]),
        ];
        store.add_usage(&batch).await.unwrap();
    }
    store.add_usage(&[used(2, &[(11 * 24 + 23, UsageOutcome::Verified, 5)])]).await.unwrap();
    let read = async |organization: &str, keys: &[u8], first: i64, last: i64| {
        let keys: Vec<KeyId> = keys.iter().map(|n| id(*n)).collect();
        let found = store.usage_of_keys(&slug(organization), &keys, first, last).await.unwrap();
        found.into_iter().collect::<Vec<_>>()
    };
    let of_day =
        |day: i64| (day, counts(&[(UsageOutcome::Exchanged, day.unsigned_abs()), (UsageOutcome::DeniedScope, 1)]));
    let mut expected = vec![
        (id(1), vec![of_day(10), of_day(12), of_day(30)]),
        (id(2), vec![(11, counts(&[(UsageOutcome::Verified, 5)]))]),
        (id(3), vec![]),
    ];
    expected.sort_by_key(|(key, _)| *key);
    assert_eq!(read("acme", &[3, 1, 2, 60, 99], 10, 30).await, expected);
    assert_eq!(read("acme", &[1], 4, 9).await, [(id(1), vec![])], "between two that were counted");
    assert_eq!(read("acme", &[1], 31, 31).await, [(id(1), vec![of_day(31)])]);
    assert_eq!(read("acme", &[1], 0, 3).await, [(id(1), vec![of_day(3)])]);
    assert_eq!(read("acme", &[1], 32, 40).await, [(id(1), vec![])]);
    assert_eq!(read("acme", &[1], 12, 11).await, [(id(1), vec![])], "no day at all");
    assert_eq!(read("other", &[1, 2, 3], 0, 100).await, []);
    assert_eq!(read("acme", &[], 0, 100).await, []);
}

pub async fn outcomes_are_counted_separately(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    insert(store.as_ref(), &key(1)).await;
    let mut all = Counts::default();
    for (outcome, count) in UsageOutcome::ALL.into_iter().zip([1, 20, 300, 4_000, 50_000, 600_000, 7_000_000, 1 << 40])
    {
        all.add(outcome, count);
        store.add_usage(&[used(1, &[(24 * 10 + 7, outcome, count)])]).await.unwrap();
    }
    for of in [UsageOf::Key(id(1)), UsageOf::Organization(slug("acme"))] {
        assert_eq!(store.usage(&of, Interval::Hour, 0, 1000).await.unwrap(), [(24 * 10 + 7, all)]);
        assert_eq!(store.usage(&of, Interval::Day, 0, 1000).await.unwrap(), [(10, all)]);
        assert_eq!(store.usage(&of, Interval::Hour, 0, 24 * 10).await.unwrap(), []);
    }
    let asked = BusyKeys { organization: slug("acme"), first_day: 10, last_day: None, after: None, limit: 1 };
    assert_eq!(store.busy_keys(&asked).await.unwrap()[0].counts, all);
    let asked = BusyKeys { last_day: Some(10), ..asked };
    assert_eq!(store.busy_keys(&asked).await.unwrap()[0].counts, all);
    let of_keys = store.usage_of_keys(&slug("acme"), &[id(1)], 10, 10).await.unwrap();
    assert_eq!(of_keys[&id(1)], [(10, all)]);
}

pub async fn old_usage_is_deleted(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    insert(store.as_ref(), &key(1)).await;
    for day in [1, 5, 6, 9] {
        let mut batch = used(1, &[(day * 24, UsageOutcome::Exchanged, 10), (day * 24 + 1, UsageOutcome::Exchanged, 1)]);
        batch.details.count_address(day, IpAddr::from([10, 0, 0, 1]), (11, 0));
        store.add_usage(std::slice::from_ref(&batch)).await.unwrap();
        store.add_details(&[batch]).await.unwrap();
    }
    let (one, all) = (UsageOf::Key(id(1)), UsageOf::Organization(slug("acme")));
    store.forget_usage(9 * 24 + 1, 6, 9).await.unwrap();
    store.forget_usage(9 * 24 + 1, 6, 9).await.unwrap();
    for of in [&one, &all] {
        let hours = store.usage(of, Interval::Hour, 0, 1000).await.unwrap();
        assert_eq!(hours, [(9 * 24 + 1, counts(&[(UsageOutcome::Exchanged, 1)]))]);
        assert_eq!(days(store.as_ref(), of, 6, 9).await, [(6, 11), (9, 11)]);
    }
    assert_eq!(days(store.as_ref(), &all, 0, 9).await, [(6, 11), (9, 11)]);
    assert_eq!(busy(store.as_ref(), 6, None, 10).await[0], (id(1), 22), "what was before is not counted in");
    assert_eq!(busy(store.as_ref(), 7, None, 10).await[0], (id(1), 11));
    let details = store.usage_details(&id(1), 0).await.unwrap();
    assert_eq!((details.len(), details[0].exchanges), (1, 11));
}

pub async fn details_add_up_and_are_bounded(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    insert(store.as_ref(), &key(1)).await;
    insert(store.as_ref(), &key(2)).await;
    let address = |n: u8| IpAddr::from([10, 0, 0, n]);
    let from = |addresses: std::ops::Range<u8>, day: i64| {
        let mut details = Details::default();
        addresses.for_each(|n| details.count_address(day, address(n), (2, 1)));
        KeyUsage { details, ..KeyUsage::new(id(1)) }
    };
    store.add_details(&[from(0..40, 7)]).await.unwrap();
    store.add_details(&[from(30..60, 7), from(59..60, 7), from(0..1, 8)]).await.unwrap();
    // Ten new values, and room for four.
    store.add_details(&[from(55..70, 7)]).await.unwrap();
    store.add_details(&[from(100..110, 7), from(0..1, 7)]).await.unwrap();
    let details = store.usage_details(&id(1), 7).await.unwrap();
    let known: Vec<&UsageDetail> = details.iter().filter(|detail| detail.value.is_some()).collect();
    assert_eq!(known.len(), MOST_DISTINCT);
    let of = |value: Option<IpAddr>| {
        let value = value.map(|address| address.to_string());
        let detail = details.iter().find(|detail| detail.value == value).unwrap();
        (detail.exchanges, detail.verifications, detail.last_day)
    };
    assert_eq!(of(Some(address(0))), (6, 3, 8), "twice on one day, once on the next");
    assert_eq!(of(Some(address(59))), (6, 3, 7));
    assert_eq!(of(Some(address(63))), (2, 1, 7), "the last for which there was room");
    assert_eq!(of(None), ((6 + 10) * 2, 6 + 10, 7));
    assert!(details.iter().all(|detail| detail.kind == DetailKind::Address));
    assert_eq!(store.usage_details(&id(1), 8).await.unwrap().len(), 1);

    // Another kind and another key: counted separately.
    let mut details = Details::default();
    let (plain, long) =
        (ScopeSet::parse("read:a write:b").unwrap(), ScopeSet::parse(&format!("read:{}", "x".repeat(60))).unwrap());
    details.count_request(7, None, UsedDetail::Scopes(&plain), (1, 0));
    details.count_request(7, None, UsedDetail::Scopes(&long), (0, 4));
    store.add_details(&[KeyUsage { details, ..KeyUsage::new(id(2)) }]).await.unwrap();
    let asked = store.usage_details(&id(2), 0).await.unwrap();
    let shown: Vec<_> =
        asked.iter().map(|detail| (detail.value.as_deref(), detail.exchanges, detail.verifications)).collect();
    assert_eq!(shown, [(None, 0, 4), (Some("read:a write:b"), 1, 0)]);
    assert!(asked.iter().all(|detail| (detail.kind, detail.api) == (DetailKind::Scope, None)));
}

pub async fn uses_are_counted_by_api(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let default = Api::default_of(key(1).organization, Algorithm::Es256, NOW);
    let [photos, orders] = [1, 2].map(|n| ApiId::from_random([n; 16]));
    let granted = |api| Grant { api, scopes: ScopeSet::parse("read").unwrap() };
    insert(store.as_ref(), &ApiKey { grants: Grants::new([ApiId::DEFAULT, photos].map(granted)), ..key(1) }).await;
    insert(store.as_ref(), &ApiKey { grants: Grants::new([photos].map(granted)), ..key(2) }).await;
    let read = ScopeSet::parse("read").unwrap();
    for (n, day) in [(1, 7), (2, 7), (1, 8)] {
        let mut usage = KeyUsage::new(id(n));
        usage.details.count_api(day, photos, (1, 2));
        usage.details.count_api(day, orders, (5, 0));
        usage.details.count_request(day, Some(photos), UsedDetail::Scopes(&read), (1, 0));
        usage.details.count_request(day, None, UsedDetail::Scopes(&read), (0, 9));
        store.add_details(&[usage.clone(), usage]).await.unwrap();
    }
    let uses = |api, day, exchanges, verifications| UsesOfApi { api, day, exchanges, verifications };
    let organization = &default.organization;
    let of = async |first, last| store.usage_by_api(organization, first, last).await.unwrap();
    let mut all = vec![uses(photos, 8, 6, 12), uses(orders, 8, 30, 0)];
    all.sort_by_key(|uses| uses.api);
    assert_eq!(of(0, 9).await, all);
    assert_eq!(of(9, 9).await, []);
    let api = Api { id: photos, ..default.clone() };
    assert_eq!(store.usage_of_api(&api, 7, 8).await.unwrap(), [uses(photos, 7, 4, 8), uses(photos, 8, 2, 4)]);
    assert_eq!(store.usage_of_api(&default, 0, 9).await.unwrap(), []);

    let keys = store.keys_of_api(&api, &SharedAccess::empty(), 8).await.unwrap();
    let counts: Vec<_> = keys.iter().map(|key| (key.id, key.exchanges, key.verifications)).collect();
    let mut expected = [(id(1), 2, 4), (id(2), 0, 0)];
    expected.sort_by_key(|(key, ..)| *key);
    assert_eq!(counts, expected, "of this API alone, since the day");
    let requested = store.requested_of_api(&api, &SharedAccess::empty(), 8).await.unwrap();
    let requested: Vec<_> = requested.iter().map(|each| (each.scopes.as_deref(), each.exchanges)).collect();
    assert_eq!(requested, [(None, 0), (Some("read"), 2)], "a request of several APIs has no scopes");
    let details = store.usage_details(&id(1), 7).await.unwrap();
    let of_photos: Vec<_> = details.iter().filter(|detail| detail.api == Some(photos)).collect();
    let shown: Vec<_> = of_photos.iter().map(|d| (d.kind, d.value.as_deref(), d.exchanges, d.last_day)).collect();
    assert_eq!(shown, [(DetailKind::Api, None, 4, 8), (DetailKind::Scope, Some("read"), 4, 8)]);

    store.forget_usage(0, 8, 8).await.unwrap();
    assert_eq!(of(0, 9).await.iter().map(|uses| uses.exchanges).sum::<u64>(), 12, "earlier days are deleted");
}

pub async fn previous_secret_use_is_kept_until_the_next_rotation(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let rotated = ApiKey {
        rotated_at: Some(NOW),
        previous: Some(PreviousSecret::new(verifier(200), "kt_...prev".into(), NOW.plus_seconds(600))),
        ..key(1)
    };
    insert(store.as_ref(), &rotated).await;
    let used_at = async |at: Timestamp, address: Option<&str>| {
        let mut usage = KeyUsage::new(id(1));
        usage.details.previous_secret = Some(LastUse { at, address: address.map(|text| text.parse().unwrap()) });
        store.add_details(&[usage]).await.unwrap();
        let key = store.key(&id(1)).await.unwrap().unwrap();
        key.previous.map(|previous| (previous.last_used_at, previous.last_used_ip))
    };
    let seen = |at: i64, address: &str| Some((Some(NOW.plus_seconds(at)), Some(address.to_owned())));
    assert_eq!(used_at(NOW.plus_seconds(-1), Some("192.0.2.1")).await, Some((None, None)), "of the secret before that");
    assert_eq!(used_at(NOW.plus_seconds(5), Some("192.0.2.2")).await, seen(5, "192.0.2.2"));
    assert_eq!(used_at(NOW.plus_seconds(4), Some("192.0.2.3")).await, seen(5, "192.0.2.2"));
    assert_eq!(used_at(NOW.plus_seconds(6), None).await, seen(6, "192.0.2.2"));
    // An edit keeps it, a rotation does not.
    let stored = store.key(&id(1)).await.unwrap().unwrap();
    store.update_key(&next(&stored), None, &entry(action::KEY_EDIT, id(1)), None, None).await.outcome().unwrap();
    assert_eq!(used_at(NOW.plus_seconds(1), None).await, seen(6, "192.0.2.2"));
    let again = ApiKey {
        rotated_at: Some(NOW.plus_seconds(60)),
        previous: Some(PreviousSecret::new(verifier(201), "kt_...prev".into(), NOW.plus_seconds(600))),
        ..next(&next(&stored))
    };
    store.update_key(&again, None, &entry(action::KEY_ROTATE, id(1)), None, None).await.outcome().unwrap();
    assert_eq!(used_at(NOW.plus_seconds(59), None).await, Some((None, None)));
}

fn notice(n: u8, period: i64, detail: &str, most: u32) -> Notice {
    Notice { key: id(n), kind: kind::NETWORK, period, detail: detail.into(), most }
}

pub async fn notice_is_recorded_once_with_its_audit_entry(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    insert(store.as_ref(), &key(1)).await;
    let row = entry(action::KEY_EXPIRING, id(1));
    let notices: Vec<_> = (0..20)
        .map(|_| {
            let (store, row) = (store.clone(), row.clone());
            async move { store.record_notice(&notice(1, 1, "a", 3), NOW, &row).await.unwrap() }
        })
        .collect();
    assert_eq!(concurrently(notices).await.into_iter().filter(|is_told| *is_told).count(), 1);
    for (other, is_new) in [
        (notice(1, 1, "a", 3), false),
        (notice(1, 1, "b", 3), true),
        (notice(1, 1, "c", 3), true),
        (notice(1, 1, "d", 3), false),
        (notice(1, 2, "a", 3), true),
        (notice(99, 1, "a", 3), false),
    ] {
        assert_eq!(store.record_notice(&other, NOW, &row).await.unwrap(), is_new, "{other:?}");
    }
    let rows = super::audit(store.as_ref(), "acme").await;
    assert_eq!(rows.iter().filter(|row| row.action == action::KEY_EXPIRING).count(), 4);
}

pub async fn stale_key_is_disabled_once_with_its_notice(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let idle_before = NOW.plus_seconds(-100);
    let old = ApiKey { created_at: NOW.plus_seconds(-1000), ..key(1) };
    insert(store.as_ref(), &old).await;
    let row = entry(action::KEY_DISABLE, id(1));
    let stale = |period: i64| Notice { kind: kind::STALE_DISABLED, ..notice(1, period, "", 1) };
    let disable = async |from: &ApiKey, notice: &Notice| {
        let disabled = from.clone().disable(NOW).unwrap();
        store.disable_stale_key(&disabled, idle_before, notice, &row).await.unwrap()
    };
    let state = async || store.key(&id(1)).await.unwrap().unwrap();
    let written = async || {
        let rows = super::audit(store.as_ref(), "acme").await;
        rows.iter().filter(|row| row.action == action::KEY_DISABLE).count()
    };
    let use_at = async |at: Timestamp| {
        let last_used = Some(LastUse { at, address: None });
        store.add_usage(&[KeyUsage { last_used, ..KeyUsage::new(id(1)) }]).await.unwrap();
    };

    // Used after it was found to be stale: nothing is written, including the notice.
    use_at(idle_before.plus_millis(1)).await;
    assert_eq!(disable(&old, &stale(1)).await, None);
    assert_eq!((state().await.lifecycle, written().await), (Lifecycle::Active, 0));

    // Changed after it was read.
    let other = ApiKey { version: old.version + 1, ..old.clone() };
    assert_eq!(disable(&other, &stale(1)).await, None);

    // Idle: everything is written, under a number that other nodes follow.
    let idle = ApiKey { id: id(2), ..old.clone() };
    insert(store.as_ref(), &idle).await;
    let disabled = idle.clone().disable(NOW).unwrap();
    let row = entry(action::KEY_DISABLE, id(2));
    let stale = Notice { kind: kind::STALE_DISABLED, ..notice(2, 1, "", 1) };
    let seq = store.disable_stale_key(&disabled, idle_before, &stale, &row).await.unwrap().expect("written");
    assert_eq!(store.last_seq().await.unwrap(), seq);
    let found = store.key(&id(2)).await.unwrap().unwrap();
    assert_eq!((&found.lifecycle, written().await), (&Lifecycle::Disabled { at: NOW }, 1));

    // Enabled again, it stays enabled: the notice was recorded.
    let enabled = found.enable(NOW).unwrap();
    store.update_key(&enabled, None, &entry(action::KEY_ENABLE, id(2)), None, None).await.outcome().unwrap();
    let again = enabled.clone().disable(NOW).unwrap();
    assert_eq!(store.disable_stale_key(&again, idle_before, &stale, &row).await.unwrap(), None);
    assert_eq!((store.key(&id(2)).await.unwrap().unwrap().lifecycle, written().await), (Lifecycle::Active, 1));
}

pub async fn old_notices_are_deleted_except_the_last(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    insert(store.as_ref(), &key(1)).await;
    let row = entry(action::KEY_STALE, id(1));
    let stale = |period: i64| Notice { kind: kind::STALE, ..notice(1, period, "", 1) };
    for notice in [notice(1, 1, "a", 9), stale(5), stale(6)] {
        assert!(store.record_notice(&notice, NOW, &row).await.unwrap());
    }
    store.forget_notices(NOW).await.unwrap();
    assert!(!store.record_notice(&stale(5), NOW, &row).await.unwrap(), "known");
    store.forget_notices(NOW.plus_seconds(1)).await.unwrap();
    for (notice, is_forgotten) in [(notice(1, 1, "a", 9), true), (stale(5), true), (stale(6), false)] {
        assert_eq!(store.record_notice(&notice, NOW, &row).await.unwrap(), is_forgotten, "{notice:?}");
    }
}

pub async fn chore_is_claimed_once_per_interval(store: Arc<Store>) {
    let claim = |now: Timestamp| {
        let store = store.clone();
        async move { store.claim_chore("upkeep", now.plus_seconds(-60), now).await.unwrap() }
    };
    let claims: Vec<_> = (0..20).map(|_| claim(NOW)).collect();
    assert_eq!(concurrently(claims).await.into_iter().filter(|is_claimed| *is_claimed).count(), 1);
    assert!(!claim(NOW.plus_seconds(59)).await);
    assert!(claim(NOW.plus_seconds(60)).await);
    assert!(!store.claim_chore("unknown", NOW, NOW).await.unwrap());
}

pub async fn stale_keys_are_active_and_idle(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    store
        .create_organization(&new_organization("other", 60), &entry(action::ORGANIZATION_CREATE, "other"))
        .await
        .outcome()
        .unwrap();
    let old = NOW.plus_seconds(-1000);
    let made = |n: u8| ApiKey { created_at: old.plus_seconds(i64::from(n)), ..key(n) };
    for key in [
        made(1),
        ApiKey { rotated_at: Some(NOW), ..made(2) },
        ApiKey { lifecycle: Lifecycle::Disabled { at: NOW }, ..made(3) },
        ApiKey { lifecycle: Lifecycle::Revoked { at: NOW, reason: None }, ..made(4) },
        ApiKey { expires_at: Some(NOW), ..made(5) },
        ApiKey { expires_at: Some(NOW.plus_seconds(1)), ..made(6) },
        made(7),
        ApiKey { created_at: NOW, ..key(8) },
    ] {
        store
            .insert_key(&key, Limits::default(), &entry(action::KEY_CREATE, key.id), None, None)
            .await
            .outcome()
            .unwrap();
    }
    let last_used = Some(LastUse { at: NOW.plus_seconds(-400), address: None });
    store.add_usage(&[KeyUsage { last_used, ..KeyUsage::new(id(7)) }]).await.unwrap();
    for (seconds, expected) in [(-500, vec![6, 1]), (-400, vec![7, 6, 1]), (-1001, vec![])] {
        let expected: Vec<KeyId> = expected.into_iter().map(id).collect();
        for limit in [1, 10] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let idle_before = NOW.plus_seconds(seconds);
                let asked = StaleKeys { organization: slug("acme"), idle_before, now: NOW, after, limit };
                let page = store.stale_keys(&asked).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some((last.created_at, last.id));
                found.extend(page.iter().map(|key| key.id));
            }
            assert_eq!(found, expected, "{seconds} by {limit}");
        }
    }
}

pub async fn expiring_keys_are_sorted_by_expiry(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let ends = |n: u8, seconds: i64| ApiKey { expires_at: Some(NOW.plus_seconds(seconds)), ..key(n) };
    for key in [
        ends(1, 50),
        ends(2, 10),
        ends(3, 50),
        ends(4, 0),
        ends(5, 101),
        ends(6, 100),
        ApiKey { lifecycle: Lifecycle::Disabled { at: NOW }, ..ends(7, 20) },
        key(8),
    ] {
        insert(store.as_ref(), &key).await;
    }
    for limit in [1, 2, 10] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.expiring_keys(NOW, NOW.plus_seconds(100), after, limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.expires_at.unwrap(), last.id));
            found.extend(page.iter().map(|key| key.id));
        }
        assert_eq!(found, [id(2), id(1), id(3), id(6)], "by {limit}");
    }
}
