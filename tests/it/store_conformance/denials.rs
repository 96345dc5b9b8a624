//! Conformance of recent denials: folding, filters and bounds.

use std::sync::Arc;

use keyturn::domain::key_text::KeyId;
use keyturn::domain::timestamp::Timestamp;
use keyturn::store::{DenialFilter, DeniedRequest, Store};

use super::{NOW, create_organization, slug};

fn denied(id: u64, key: Option<u8>, is_authenticated: bool, network: &str) -> DeniedRequest {
    DeniedRequest {
        organization: slug("acme"),
        id: format!("{id:016x}"),
        client_id: key.map(|byte| KeyId::from_random([byte; 16])),
        is_authenticated,
        network: network.into(),
        address: Some("192.0.2.1".into()),
        endpoint: "/oauth/token".into(),
        status: 403,
        code: "API_KEY_IP_NOT_ALLOWED".into(),
        reason: "api_key_ip_not_allowed".into(),
        missing_scope: None,
        requested_scope: Some("read:a".into()),
        audience: None,
        request_ids: vec![format!("request_{id}")],
        count: 1,
        first_at: at(id),
        last_at: at(id),
    }
}

fn at(second: u64) -> Timestamp {
    NOW.plus_seconds(i64::try_from(second).unwrap())
}

fn filter() -> DenialFilter {
    DenialFilter::new(slug("acme"), 5_000)
}

async fn ids(store: &Store, filter: &DenialFilter) -> Vec<u64> {
    let found = store.denials(filter).await.unwrap();
    found.iter().map(|denied| u64::from_str_radix(&denied.id, 16).unwrap()).collect()
}

pub async fn situations_are_folded_and_found_by_their_parts(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let one = denied(1, Some(1), true, "n");
    let mut other =
        DeniedRequest { reason: "wrong_secret".into(), code: "API_KEY_INVALID".into(), ..denied(2, None, false, "n") };
    other.address = None;
    store.add_denials(&[one.clone(), other.clone()]).await.unwrap();
    let later =
        DeniedRequest { request_ids: vec!["again".into()], count: 4, first_at: at(9), last_at: at(9), ..one.clone() };
    store.add_denials(std::slice::from_ref(&later)).await.unwrap();

    let read = store.denial(&slug("acme"), &one.id).await.unwrap().unwrap();
    let folded = DeniedRequest {
        request_ids: vec!["again".into(), "request_1".into()],
        count: 5,
        last_at: at(9),
        ..one.clone()
    };
    assert_eq!(read, folded);
    assert_eq!(store.denial(&slug("other"), &one.id).await.unwrap(), None, "of another organization");

    let text = |text: &str| Some(text.to_owned());
    for (filter, wanted) in [
        (filter(), &[1, 2][..]),
        (DenialFilter { key: one.client_id, ..filter() }, &[1]),
        (DenialFilter { reason: text("wrong_secret"), ..filter() }, &[2]),
        (DenialFilter { reason: text("api_key_invalid"), ..filter() }, &[2]),
        (DenialFilter { request_id: text("request_1"), ..filter() }, &[1]),
        (DenialFilter { request_id: text("again"), ..filter() }, &[1]),
        (DenialFilter { request_id: text("request%"), ..filter() }, &[]),
        (DenialFilter { request_id: text("requestx1"), ..filter() }, &[]),
        (DenialFilter { address: text("192.0.2.1"), ..filter() }, &[1]),
        (DenialFilter { after: Some((at(9), one.id.clone())), ..filter() }, &[2]),
        (DenialFilter { after: Some((at(9), one.id.clone())), reason: text("wrong_secret"), ..filter() }, &[2]),
        (DenialFilter { organization: slug("other"), ..filter() }, &[]),
    ] {
        assert_eq!(ids(store.as_ref(), &filter).await, wanted, "{filter:?}");
    }

    // The list of request IDs does not grow.
    for n in 0..100 {
        let again = DeniedRequest { request_ids: vec![format!("{n:0>120}")], ..later.clone() };
        store.add_denials(&[again]).await.unwrap();
    }
    let read = store.denial(&slug("acme"), &one.id).await.unwrap().unwrap();
    assert_eq!((read.count, read.request_ids.len()), (405, 4));
    assert_eq!(read.request_ids[0], format!("{:0>120}", 99));
}

pub async fn strangers_displace_neither_keys_nor_each_others_networks(store: Arc<Store>) {
    create_organization(store.as_ref()).await;
    let mine = denied(0, Some(1), true, "mine");
    let honest = denied(1, Some(2), false, "honest");
    let mut all = vec![mine, honest];
    // One key in a loop, one network that tries many keys, and many networks.
    all.extend((100..200).map(|n| denied(n, Some(3), true, "loop")));
    all.extend((200..400).map(|n| denied(n, Some((n % 250) as u8), false, "one network")));
    store.add_denials(&all).await.unwrap();
    store.prune_denials(at(0)).await.unwrap();
    let left = ids(store.as_ref(), &filter()).await;
    assert!(left.contains(&0) && left.contains(&1), "{left:?}");
    let count = |range: std::ops::Range<u64>| left.iter().filter(|id| range.contains(id)).count();
    assert_eq!((count(100..200), count(200..400)), (50, 10));
    assert!(left.contains(&199) && !left.contains(&100), "the latest are kept: {left:?}");

    let many: Vec<_> = (1_000..2_000).map(|n| denied(n, None, false, &format!("network {n}"))).collect();
    store.add_denials(&many).await.unwrap();
    store.prune_denials(at(0)).await.unwrap();
    let left = ids(store.as_ref(), &filter()).await;
    assert!(left.contains(&0), "an authentic one stays");
    assert_eq!(left.len(), 500 + 51, "{}", left.len());

    // Old ones are deleted.
    store.prune_denials(at(1_999)).await.unwrap();
    assert_eq!(ids(store.as_ref(), &filter()).await, [1_999]);
}
