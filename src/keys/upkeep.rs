//! What is due by the clock: keys that end soon are sent, stale ones told and disabled, old counts forgotten.
//!
//! Any number of nodes may do it at the same time: what was sent is noted in the transaction that tells it.

use serde_json::json;

use crate::clock::rfc3339;
use crate::domain::api_key::ApiKey;
use crate::domain::authority::ChangeContext;
use crate::domain::key_text::KeyId;
use crate::domain::page::Page;
use crate::domain::policy::Policy;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::{day_of, hour_of};
use crate::keys::change::{KeyError, policy_of};
use crate::keys::state;
use crate::node::{Node, UNWRITTEN_SECONDS};
use crate::store::{AuditEntry, Notice, StaleKeys, StoreError, action, kind};

const DAY: i64 = 86_400;

/// Days before a key's end at which it is sent, the nearest first.
const TOLD_BEFORE: [i64; 3] = [1, 7, 14];

/// How much longer than the policy says a key must be idle to be disabled, in seconds. A use that is not written is later
/// than the last one that is by less than [`UNWRITTEN_SECONDS`]; clocks of nodes differ; and whoever is sent that a key is
/// stale has time to do something about it.
const DISABLE_MARGIN_SECONDS: i64 = DAY;
const _: () = assert!(DISABLE_MARGIN_SECONDS >= 2 * UNWRITTEN_SECONDS);

/// Keys looked at in one go.
const PAGE: u32 = 200;

/// For how long hours are kept, in days.
pub const HOURS_KEPT: i64 = 90;
/// For how long days are kept, in days.
pub const DAYS_KEPT: i64 = 731;
/// For how long details are kept, in days.
const DETAILS_KEPT: i64 = 35;

/// Tells of each key that ends within a fortnight, a week, a day: once for each, and only the nearest. Gives how many
/// were sent.
pub async fn tell_expiring(node: &Node, now: Timestamp) -> Result<usize, StoreError> {
    let until = now.plus_seconds(TOLD_BEFORE.into_iter().max().unwrap_or_default() * DAY);
    let (mut after, mut sent) = (None, 0);
    loop {
        let keys = node.store.expiring_keys(now, until, after, PAGE).await?;
        let Some(last) = keys.last() else { return Ok(sent) };
        after = last.expires_at.map(|end| (end, last.id));
        for key in &keys {
            let Some((end, threshold)) = due(key, now) else { continue };
            let notice = Notice {
                key: key.id,
                kind: kind::EXPIRING,
                period: end.as_millis(),
                detail: threshold.to_string(),
                most: u32::MAX,
            };
            let days_left = end.millis_since(now).saturating_add(DAY * 1000 - 1) / (DAY * 1000);
            let new = json!({ "expires_at": rfc3339(end), "days_left": days_left });
            sent +=
                usize::from(node.store.record_notice(&notice, now, &entry(action::KEY_EXPIRING, key, new, now)).await?);
        }
    }
}

/// Counts the active keys that expire within a day, a week and thirty days, for the metric.
pub async fn count_expiring(node: &Node, now: Timestamp) -> Result<(), StoreError> {
    const WITHIN: [(&str, i64); 3] = [("1d", 1), ("7d", 7), ("30d", 30)];
    let counts = node.store.count_expiring_keys(now, WITHIN.map(|(_, days)| now.plus_seconds(days * DAY))).await?;
    for ((within, _), count) in WITHIN.into_iter().zip(counts) {
        node.metrics.keys_expiring(within, count);
    }
    Ok(())
}

/// The nearest threshold that a key has passed, unless it was made after it.
fn due(key: &ApiKey, now: Timestamp) -> Option<(Timestamp, i64)> {
    let end = key.expires_at?;
    let days = TOLD_BEFORE.into_iter().find(|days| end.plus_seconds(-days * DAY) <= now)?;
    (end.plus_seconds(-days * DAY) >= key.created_at).then_some((end, days))
}

/// Tells of each key that is stale, once for each time that it is left idle. Gives how many were sent.
pub async fn tell_stale(node: &Node, now: Timestamp) -> Result<usize, StoreError> {
    let mut sent = 0;
    for tenant in node.tenants() {
        let organization = &tenant.organization;
        let Some(days) = organization.policy.stale_after_days else { continue };
        let mut after = None;
        loop {
            let keys = node.store.stale_keys(&asked(&organization.slug, days, after, PAGE, now)).await?;
            let Some(last) = keys.last() else { break };
            after = Some((last.created_at, last.id));
            for key in &keys {
                let idle = key.idle_since();
                let new = json!({ "idle_since": rfc3339(idle), "stale_after_days": days });
                let entry = entry(action::KEY_STALE, key, new, now);
                sent += usize::from(node.store.record_notice(&notice(kind::STALE, key), now, &entry).await?);
            }
        }
    }
    Ok(sent)
}

/// Disables the stale keys of organizations whose policy says so. A key that somebody has enabled again is left to them
/// until it was used and idle once more. Gives how many were disabled.
pub async fn disable_stale(node: &Node, now: Timestamp) -> Result<usize, KeyError> {
    let mut disabled = 0;
    for tenant in node.tenants() {
        let organization = &tenant.organization;
        let (Some(days), true) = (organization.policy.stale_after_days, organization.policy.disable_when_stale) else {
            continue;
        };
        let by = ChangeContext::keyturn(now);
        let mut after = None;
        loop {
            let mut asked = asked(&organization.slug, days, after, PAGE, now);
            asked.idle_before = asked.idle_before.plus_seconds(-DISABLE_MARGIN_SECONDS);
            let keys = node.store.stale_keys(&asked).await?;
            let Some(last) = keys.last() else { break };
            after = Some((last.created_at, last.id));
            for key in &keys {
                let notice = notice(kind::STALE_DISABLED, key);
                let reason =
                    format!("stale: not used since {}, and the policy says {days} days", rfc3339(key.idle_since()));
                let done = state::disable_stale(node, &by, key, asked.idle_before, &notice, &reason).await?;
                disabled += usize::from(done);
            }
        }
    }
    Ok(disabled)
}

/// A page of the stale keys of an organization, by its policy or by as many days as given. Where neither says when a key
/// is stale, none is.
pub async fn stale(
    node: &Node,
    organization: &Slug,
    days: Option<u32>,
    after: Option<(Timestamp, KeyId)>,
    limit: u32,
    now: Timestamp,
) -> Result<Page<ApiKey>, KeyError> {
    let Policy { stale_after_days, .. } = policy_of(node, organization).await?;
    let Some(days) = days.or(stale_after_days) else { return Ok(Page::EMPTY) };
    let asked = asked(organization, days, after, Page::<ApiKey>::read_limit(limit), now);
    Ok(Page::new(node.store.stale_keys(&asked).await?, limit))
}

/// Forgets counts that were kept long enough, and what was sent of times that are long over.
pub async fn forget_old(node: &Node, now: Timestamp) -> Result<(), StoreError> {
    let before = |days: i64| now.plus_seconds(-days * DAY);
    node.store
        .forget_usage(hour_of(before(HOURS_KEPT)), day_of(before(DAYS_KEPT)), day_of(before(DETAILS_KEPT)))
        .await?;
    node.store.forget_notices(before(DETAILS_KEPT)).await
}

fn asked(organization: &Slug, days: u32, after: Option<(Timestamp, KeyId)>, limit: u32, now: Timestamp) -> StaleKeys {
    let idle_before = now.plus_seconds(-i64::from(days) * DAY);
    StaleKeys { organization: organization.clone(), idle_before, now, after, limit }
}

/// Told once for each idle period.
fn notice(kind: &'static str, key: &ApiKey) -> Notice {
    Notice { key: key.id, kind, period: key.idle_since().as_millis(), detail: String::new(), most: 1 }
}

fn entry(action: &'static str, key: &ApiKey, new: serde_json::Value, now: Timestamp) -> AuditEntry {
    AuditEntry::by_keyturn(now, action, key.id, None, Some(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::tests::key;

    #[test]
    fn only_the_nearest_threshold_is_due_and_none_that_the_key_was_made_after() {
        let at = |days: i64| Timestamp::from_seconds(days * DAY);
        let ends =
            |made: i64, end: i64| ApiKey { created_at: at(made), expires_at: Some(at(end)), ..key("read:a", &[]) };
        let long = ends(0, 100);
        for (now, expected) in [(85, None), (86, Some(14)), (92, Some(14)), (93, Some(7)), (98, Some(7)), (99, Some(1))]
        {
            assert_eq!(due(&long, at(now)).map(|(_, days)| days), expected, "day {now}");
        }
        assert_eq!(due(&ends(95, 100), at(96)), None, "made for five days");
        assert_eq!(due(&ends(95, 100), at(99)), Some((at(100), 1)));
        assert_eq!(due(&key("read:a", &[]), at(1)), None);
    }
}
