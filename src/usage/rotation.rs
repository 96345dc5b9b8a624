//! Requests of both secrets of a key during a rotation.

use crate::domain::api_key::ApiKey;
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::hour_of;
use crate::node::{Node, Unavailable};

/// Hours of the longer range.
const DAY_HOURS: i64 = 24;

/// Allowed requests by one secret and its tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SecretRequests {
    /// Since the start of the previous hour in UTC, so at least one hour.
    pub last_hour: u64,
    /// Since the start of the hour 24 hours ago.
    pub last_day: u64,
}

/// Requests by the current and by the previous secret of a key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RotationUsage {
    pub current: SecretRequests,
    pub previous: SecretRequests,
    /// The same by hour, oldest first: the start of the hour, and the requests of the current and of the previous secret.
    pub hours: Vec<(Timestamp, u64, u64)>,
}

/// Returns the requests of both secrets, counted since the rotation.
pub async fn during_rotation(node: &Node, key: &ApiKey, now: Timestamp) -> Result<RotationUsage, Unavailable> {
    let hour = hour_of(now);
    let counted = node.store.usage_of_secrets(&key.id, hour.saturating_sub(DAY_HOURS)).await?;
    Ok(sum(&counted, key.secret_version, hour))
}

fn sum(counted: &[(i64, u64, u64)], current_version: u64, hour: i64) -> RotationUsage {
    let hours = hour.saturating_sub(DAY_HOURS)..=hour;
    let start = |hour: i64| Timestamp::from_seconds(hour.saturating_mul(3600));
    let mut usage =
        RotationUsage { hours: hours.map(|hour| (start(hour), 0, 0)).collect(), ..RotationUsage::default() };
    for (counted_hour, version, count) in counted {
        let of_secret = match version.abs_diff(current_version) {
            0 => &mut usage.current,
            1 if *version < current_version => &mut usage.previous,
            // An older rotation within the same day.
            _ => continue,
        };
        of_secret.last_day = of_secret.last_day.saturating_add(*count);
        if let Some((_, current, previous)) = usage.hours.iter_mut().find(|(at, ..)| *at == start(*counted_hour)) {
            let of_hour = if *version == current_version { current } else { previous };
            *of_hour = of_hour.saturating_add(*count);
        }
        if *counted_hour >= hour.saturating_sub(1) {
            of_secret.last_hour = of_secret.last_hour.saturating_add(*count);
        }
    }
    usage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_secret_and_range() {
        let counted = [(80, 2, 5), (98, 1, 1000), (98, 2, 7), (99, 2, 1), (99, 3, 10), (100, 3, 20)];
        let usage = sum(&counted, 3, 100);
        assert_eq!(usage.previous, SecretRequests { last_hour: 1, last_day: 13 });
        assert_eq!(usage.current, SecretRequests { last_hour: 30, last_day: 30 });
        let at = |hour: i64| Timestamp::from_seconds(hour * 3600);
        assert_eq!((usage.hours.len(), usage.hours[0], usage.hours[4]), (25, (at(76), 0, 0), (at(80), 0, 5)));
        assert_eq!(usage.hours[22..], [(at(98), 0, 7), (at(99), 10, 1), (at(100), 20, 0)]);
    }
}
