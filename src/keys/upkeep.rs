//! Scheduled tasks: expiry notices, stale keys, deleting old data.
//!
//! Any number of nodes can run them at the same time, because each notice is recorded in the same transaction as its
//! audit entry.

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

/// Days before a key's expiry at which a notice is sent, nearest first.
const NOTICE_DAYS: [i64; 3] = [1, 7, 14];

/// A key is disabled only after being idle for this much longer than the policy says, in seconds. The last written use
/// can be up to [`UNWRITTEN_SECONDS`] older than the actual one, clocks of nodes differ, and administrators need time
/// to react to the notice.
const DISABLE_MARGIN_SECONDS: i64 = DAY;
const _: () = assert!(DISABLE_MARGIN_SECONDS >= 2 * UNWRITTEN_SECONDS);

/// Keys per read.
const PAGE: u32 = 200;

/// Retention of hourly usage in days.
pub const HOURS_KEPT: i64 = 90;
/// Retention of daily usage in days.
pub const DAYS_KEPT: i64 = 731;
/// Retention of usage details in days.
const DETAILS_KEPT: i64 = 35;

/// Sends a notice for each key that expires within 14, 7 or 1 days: each threshold once, and only the nearest. Returns
/// the number of notices.
pub async fn notify_expiring(node: &Node, now: Timestamp) -> Result<usize, StoreError> {
    let until = now.plus_seconds(NOTICE_DAYS.into_iter().max().unwrap_or_default() * DAY);
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

/// Updates the metric of active keys that expire within a day, a week and 30 days.
pub async fn count_expiring(node: &Node, now: Timestamp) -> Result<(), StoreError> {
    const WITHIN: [(&str, i64); 3] = [("1d", 1), ("7d", 7), ("30d", 30)];
    let counts = node.store.count_expiring_keys(now, WITHIN.map(|(_, days)| now.plus_seconds(days * DAY))).await?;
    for ((within, _), count) in WITHIN.into_iter().zip(counts) {
        node.metrics.keys_expiring(within, count);
    }
    Ok(())
}

/// Returns the nearest threshold that a key has passed, unless the key was created after it.
fn due(key: &ApiKey, now: Timestamp) -> Option<(Timestamp, i64)> {
    let end = key.expires_at?;
    let days = NOTICE_DAYS.into_iter().find(|days| end.plus_seconds(-days * DAY) <= now)?;
    (end.plus_seconds(-days * DAY) >= key.created_at).then_some((end, days))
}

/// Sends a notice for each stale key, once per idle period. Returns the number of notices.
pub async fn notify_stale(node: &Node, now: Timestamp) -> Result<usize, StoreError> {
    let mut sent = 0;
    for tenant in node.tenants() {
        let organization = &tenant.organization;
        let Some(days) = organization.policy.stale_after_days else { continue };
        let mut after = None;
        loop {
            let keys = node.store.stale_keys(&filter(&organization.slug, days, after, PAGE, now)).await?;
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

/// Disables the stale keys of organizations whose policy says so. A key that was enabled again is disabled only after
/// another use and idle period. Returns the number of disabled keys.
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
            let mut filter = filter(&organization.slug, days, after, PAGE, now);
            filter.idle_before = filter.idle_before.plus_seconds(-DISABLE_MARGIN_SECONDS);
            let keys = node.store.stale_keys(&filter).await?;
            let Some(last) = keys.last() else { break };
            after = Some((last.created_at, last.id));
            for key in &keys {
                let notice = notice(kind::STALE_DISABLED, key);
                let reason =
                    format!("stale: not used since {}; the policy's limit is {days} days", rfc3339(key.idle_since()));
                let done = state::disable_stale(node, &by, key, filter.idle_before, &notice, &reason).await?;
                disabled += usize::from(done);
            }
        }
    }
    Ok(disabled)
}

/// Returns a page of an organization's stale keys, by the policy or by `days`. Without either, no key is stale.
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
    let filter = filter(organization, days, after, Page::<ApiKey>::read_limit(limit), now);
    Ok(Page::new(node.store.stale_keys(&filter).await?, limit))
}

/// Deletes usage and notices after their retention.
pub async fn delete_old_data(node: &Node, now: Timestamp) -> Result<(), StoreError> {
    let before = |days: i64| now.plus_seconds(-days * DAY);
    node.store
        .forget_usage(hour_of(before(HOURS_KEPT)), day_of(before(DAYS_KEPT)), day_of(before(DETAILS_KEPT)))
        .await?;
    node.store.forget_notices(before(DETAILS_KEPT)).await
}

fn filter(organization: &Slug, days: u32, after: Option<(Timestamp, KeyId)>, limit: u32, now: Timestamp) -> StaleKeys {
    let idle_before = now.plus_seconds(-i64::from(days) * DAY);
    StaleKeys { organization: organization.clone(), idle_before, now, after, limit }
}

/// A notice that is sent once per idle period.
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
    fn only_the_nearest_threshold_is_due() {
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
