//! A rotation in progress: both secrets, with their requests.

use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::request::ConsoleRequest;
use crate::console::ui::{Chart, Moment, SecretColumn, format_count, format_date_and_time, html};
use crate::domain::api_key::{ApiKey, PreviousSecret, Status};
use crate::domain::timestamp::Timestamp;
use crate::http::permission::{Permission, ReadUsage};
use crate::usage::{self, RotationUsage, SecretRequests};

/// The previous secret can be ended without harm if it was not used for this long.
const UNUSED_SECONDS: i64 = 86_400;

html! { Rotation }

/// Both secrets of a key during the grace period.
#[derive(Template)]
#[template(path = "console/keys/rotation.html")]
pub(super) struct Rotation {
    until: Moment,
    rotated: Moment,
    verdict: Verdict,
    secrets: [SecretRow; 2],
    /// Whether the visitor can see usage.
    has_counts: bool,
    /// The requests of both secrets by hour, if there were any.
    chart: Option<Chart>,
    /// The absolute path of the key's page, if the visitor can end and extend the grace period.
    actions: Option<String>,
}

struct SecretRow {
    name: &'static str,
    hint: String,
    last_hour: String,
    last_day: String,
    last_used: Option<Moment>,
    /// Address of the last use; empty if it is unknown.
    last_used_ip: String,
}

/// Whether clients still use the previous secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// Not used for a day.
    Unused,
    /// Not used since a rotation less than a day ago.
    UnusedSinceRotation,
    Used,
}

impl Verdict {
    fn of(key: &ApiKey, previous: &PreviousSecret, requests_of_day: u64, now: Timestamp) -> Self {
        let is_recent = |at: Timestamp| at.plus_seconds(UNUSED_SECONDS) > now;
        if previous.last_used_at.is_some_and(is_recent) || requests_of_day > 0 {
            Self::Used
        } else if is_recent(key.secret_since()) {
            Self::UnusedSinceRotation
        } else {
            Self::Unused
        }
    }
}

impl Rotation {
    /// Returns the rotation in progress, if there is one.
    pub(super) async fn load<P: Permission>(
        visit: &ConsoleRequest<P>,
        key: &ApiKey,
        may_change: bool,
    ) -> Result<Option<Self>, ErrorPage> {
        let now = visit.now;
        let previous = key.previous.as_ref().filter(|previous| previous.until > now);
        let Some(previous) = previous.filter(|_| key.status(now) != Status::Revoked) else { return Ok(None) };
        let has_counts = visit.may::<ReadUsage>();
        let counts = match has_counts {
            true => usage::during_rotation(visit.node(), key, now).await?,
            false => RotationUsage::default(),
        };
        let row = |name, hint: &str, counts: SecretRequests, at: Option<Timestamp>, ip: Option<&String>| SecretRow {
            name,
            hint: hint.to_owned(),
            last_hour: format_count(counts.last_hour),
            last_day: format_count(counts.last_day),
            last_used: at.map(|at| Moment::from_now(at, now)),
            last_used_ip: ip.cloned().unwrap_or_default(),
        };
        // The key's last use is the current secret's, unless it is the previous one's or from before the rotation.
        let is_of_current = key.last_used_at > previous.last_used_at && key.last_used_at >= Some(key.secret_since());
        let current_use = key.last_used_at.filter(|_| is_of_current);
        let current_ip = key.last_used_ip.as_ref().filter(|_| is_of_current);
        Ok(Some(Self {
            until: Moment::from_now(previous.until, now),
            rotated: Moment::from_now(key.secret_since(), now),
            verdict: Verdict::of(key, previous, counts.previous.last_day, now),
            secrets: [
                row("Current", &key.hint, counts.current, current_use, current_ip),
                row("Previous", &previous.hint, counts.previous, previous.last_used_at, previous.last_used_ip.as_ref()),
            ],
            has_counts,
            chart: (counts.current.last_day + counts.previous.last_day > 0).then(|| chart(&counts)),
            actions: may_change.then(|| visit.path(&format!("/keys/{}", key.id))),
        }))
    }

    /// Whether the previous secret was used within a day.
    pub(super) fn is_in_use(&self) -> bool {
        self.verdict == Verdict::Used
    }

    /// Hides the chart and the buttons.
    pub(super) fn without_actions(self) -> Self {
        Self { actions: None, chart: None, ..self }
    }
}

fn chart(counts: &RotationUsage) -> Chart {
    let column = |(at, current, previous): &(Timestamp, u64, u64)| {
        let name = format_date_and_time(*at);
        let short = name.split(' ').nth(1).unwrap_or_default().to_owned();
        SecretColumn { at: *at, name, short, current: *current, previous: *previous }
    };
    let columns = counts.hours.iter().map(column).collect();
    Chart::of_secrets("secrets", "Requests by secret, last 24 hours", "Hour (UTC)", columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::SecretVerifier;
    use crate::domain::api_key::tests::key;

    #[test]
    fn previous_secret_is_safe_to_end_after_a_day_without_requests() {
        let at = Timestamp::from_seconds;
        let verdict = |rotated: i64, used: Option<i64>, requests: u64, now: i64| {
            let key = ApiKey { rotated_at: Some(at(rotated)), ..key("read:a", &[]) };
            let secret = SecretVerifier { phc: String::new(), fast: None };
            let previous = PreviousSecret {
                last_used_at: used.map(at),
                ..PreviousSecret::new(secret, String::new(), at(900_000))
            };
            Verdict::of(&key, &previous, requests, at(now))
        };
        assert_eq!(verdict(0, None, 0, 86_399), Verdict::UnusedSinceRotation);
        assert_eq!(verdict(0, None, 0, 86_400), Verdict::Unused);
        assert_eq!(verdict(0, Some(10), 0, 86_409), Verdict::Used);
        assert_eq!(verdict(0, Some(10), 0, 86_410), Verdict::Unused);
        assert_eq!(verdict(0, Some(10), 1, 86_410), Verdict::Used, "by a token");
    }
}
