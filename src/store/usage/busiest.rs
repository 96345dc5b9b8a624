//! Ranks an organization's keys by their use in a range of days: the difference of two snapshots.

use std::cmp::Reverse;
use std::sync::Arc;

use sqlx::AssertSqlSafe;

use crate::domain::key_text::KeyId;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::store::{BusyKey, BusyKeys, Store, StoreError};

use crate::store::usage::{ROWS, counts, each_outcome, packed, placeholder_list};

use crate::store::sql::columns::key_id;
use crate::store::sql::statement::query;

use crate::store::usage::snapshots::{Freshness, Uses};

/// Maximum number of keys in one packed text.
const KEYS: usize = 20_000;

/// Days that are scanned for the last rows of keys before the remaining keys are looked up individually.
const DAYS_SCANNED: i64 = 8;

/// If no more keys than this are missing, they are looked up individually.
const FEW: usize = 64;

/// The marks of the snapshots that a ranking uses.
struct Marks {
    now: Freshness,
    before: Freshness,
    end: Option<Freshness>,
}

impl Store {
    /// Returns a page of an organization's keys, busiest first.
    pub(super) async fn rank_keys(&self, filter: &BusyKeys) -> Result<Vec<BusyKey>, StoreError> {
        let permit = self.snapshots.acquire().await;
        // 1. Snapshots: now, before the range, and at its end. The marks are read first, so counts that are written
        //    meanwhile change them and are noticed next time.
        let organization = &filter.organization;
        let before = filter.first_day.saturating_sub(1);
        let marks = self.marks(organization, before, filter.last_day).await?;
        let now = self.current_snapshot(organization, marks.now).await?;
        let start = self.snapshot(organization, before, marks.before, &now).await?;
        let end = match (filter.last_day, marks.end) {
            (Some(last), Some(mark)) => Some(self.snapshot(organization, last, mark, &now).await?),
            _ => None,
        };

        // 2. The page.
        let keys = page(&now, &start, end.as_deref(), filter);
        drop(permit);

        // 3. Counts by outcome, of the keys of the page.
        let mut busy = self.counts_of(&keys, before, filter.last_day).await?;
        // Includes uses that were written meanwhile.
        busy.sort_by_key(|busy| (Reverse(busy.counts.uses()), busy.key));
        Ok(busy)
    }

    /// Returns the marks of an organization: now, before a range, and at its end.
    async fn marks(&self, organization: &Slug, before: i64, end: Option<i64>) -> Result<Marks, StoreError> {
        let row = query(
            "SELECT MIN(day) AS oldest, CAST(COALESCE(SUM(count), 0) AS BIGINT) AS now, \
             CAST(COALESCE(SUM(CASE WHEN day <= $2 THEN count END), 0) AS BIGINT) AS before, \
             CAST(COALESCE(SUM(CASE WHEN day <= $3 THEN count END), 0) AS BIGINT) AS until, \
             (SELECT seq FROM change_seq) AS change FROM usage_of_organization_days WHERE organization = $1",
        )
        .bind(organization.as_str())
        .bind(before)
        .bind(end.unwrap_or(before))
        .fetch_one(&self.database)
        .await?;
        let oldest = row.try_get("oldest")?;
        let until: i64 = row.try_get("until")?;
        Ok(Marks {
            now: Freshness { oldest, sum: row.try_get("now")?, change: Some(row.try_get("change")?) },
            before: Freshness { oldest, sum: row.try_get("before")?, change: None },
            end: end.map(|_| Freshness { oldest, sum: until, change: None }),
        })
    }

    /// Returns the total uses of every key, including unused ones.
    async fn current_snapshot(&self, organization: &Slug, mark: Freshness) -> Result<Arc<Uses>, StoreError> {
        let snapshot = self.snapshots.of(organization, None);
        let mut known = snapshot.known.lock().await;
        if let Some((_, uses)) = known.as_ref().filter(|(known, _)| *known == mark) {
            return Ok(Arc::clone(uses));
        }
        let uses = Arc::new(self.uses("usage_totals WHERE organization = $1", organization, None).await?);
        *known = Some((mark, Arc::clone(&uses)));
        self.snapshots.make_room(&snapshot, uses.len());
        Ok(uses)
    }

    /// Returns the uses of keys up to the end of a day. Missing keys had none.
    async fn snapshot(
        &self,
        organization: &Slug,
        day: i64,
        mark: Freshness,
        now: &Uses,
    ) -> Result<Arc<Uses>, StoreError> {
        let snapshot = self.snapshots.of(organization, Some(day));
        let mut known = snapshot.known.lock().await;
        if let Some((_, uses)) = known.as_ref().filter(|(known, _)| *known == mark) {
            return Ok(Arc::clone(uses));
        }
        let uses = Arc::new(self.uses_by(organization, day, now).await?);
        *known = Some((mark, Arc::clone(&uses)));
        self.snapshots.make_room(&snapshot, uses.len());
        Ok(uses)
    }

    /// Reads the uses of keys up to the end of a day, for the keys in `now` that have uses.
    async fn uses_by(&self, organization: &Slug, day: i64, now: &Uses) -> Result<Uses, StoreError> {
        // 1. The rows of that day, then of the days before for keys that are still missing: each day is a range of an
        //    index.
        let row = query("SELECT MIN(day) AS oldest FROM usage_days WHERE organization = $1")
            .bind(organization.as_str())
            .fetch_one(&self.database)
            .await?;
        let oldest = row.try_get::<Option<i64>>("oldest")?.unwrap_or(i64::MAX);
        let mut uses = Uses::new();
        let mut missing: Vec<KeyId> = now.iter().filter(|(_, so_far)| *so_far > 0).map(|(key, _)| *key).collect();
        let mut next = day;
        while next >= oldest && next > day.saturating_sub(DAYS_SCANNED) && missing.len() > FEW {
            let of_day = self.uses("usage_days WHERE organization = $1 AND day = $3", organization, Some(next)).await?;
            let row_of = |key: &KeyId| of_day.binary_search_by_key(key, |(known, _)| *known).ok();
            uses.extend(missing.iter().filter_map(|key| of_day.get(row_of(key)?)));
            missing.retain(|key| row_of(key).is_none());
            next -= 1;
        }
        // 2. The last row of each key that is still missing.
        if next < oldest {
            missing.clear();
        }
        for part in missing.chunks(ROWS) {
            let mut select = query(AssertSqlSafe(format!(
                "SELECT {} FROM (SELECT k.id AS key_id, (SELECT p.exchanged + p.verified FROM usage_days p \
                 WHERE p.key_id = k.id AND p.day <= $1 ORDER BY p.day DESC LIMIT 1) AS uses \
                 FROM api_keys k WHERE k.id IN ({})) part",
                packed::USES,
                placeholder_list(2, part.len())
            )))
            .bind(next);
            for key in part {
                select = select.bind(key.as_str());
            }
            uses.extend(packed::by_key(&select.fetch_one(&self.database).await?)?);
        }
        uses.sort_unstable();
        uses.shrink_to_fit();
        Ok(uses)
    }

    /// Reads the uses of keys in several packed texts of limited size, so that no single read takes long.
    async fn uses(&self, rows: &str, organization: &Slug, day: Option<i64>) -> Result<Uses, StoreError> {
        let sql = format!(
            "SELECT {} FROM (SELECT key_id, exchanged + verified AS uses FROM {rows} AND key_id > $2 \
             ORDER BY key_id LIMIT {KEYS}) part",
            packed::USES
        );
        let mut all = Uses::new();
        loop {
            let after = all.last().map_or("", |(key, _): &(KeyId, u64)| key.as_str());
            let mut select = query(AssertSqlSafe(sql.clone())).bind(organization.as_str()).bind(after);
            if let Some(day) = day {
                select = select.bind(day);
            }
            let part = packed::by_key(&select.fetch_one(&self.database).await?)?;
            let is_last = part.len() < KEYS;
            all.extend(part);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Returns the counts of keys after a day, up to another day or now.
    async fn counts_of(&self, keys: &[KeyId], before: i64, last: Option<i64>) -> Result<Vec<BusyKey>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let latest = |name: &str, day: &str| {
            format!(
                "LEFT JOIN usage_days {name} ON {name}.key_id = k.id AND {name}.day = \
                 (SELECT MAX(day) FROM usage_days WHERE key_id = k.id AND day <= {day})"
            )
        };
        let end = match last {
            None => "LEFT JOIN usage_totals t ON t.organization = k.organization AND t.key_id = k.id".to_owned(),
            Some(_) => latest("t", "$2"),
        };
        let mut select = query(AssertSqlSafe(format!(
            "SELECT k.id, k.name, k.last_used_at, {} FROM api_keys k {end} {} WHERE k.id IN ({})",
            each_outcome(|name| format!("COALESCE(t.{name}, 0) - COALESCE(p.{name}, 0) AS {name}")),
            latest("p", "$1"),
            placeholder_list(if last.is_some() { 3 } else { 2 }, keys.len())
        )))
        .bind(before);
        if let Some(last) = last {
            select = select.bind(last);
        }
        for key in keys {
            select = select.bind(key.as_str());
        }
        let rows = select.fetch_all(&self.database).await?;
        rows.iter()
            .map(|row| {
                Ok(BusyKey {
                    key: key_id(row.try_get("id")?)?,
                    name: row.try_get("name")?,
                    counts: counts(row)?,
                    last_used_at: row.try_get::<Option<i64>>("last_used_at")?.map(Timestamp::from_millis),
                })
            })
            .collect()
    }
}

/// Returns the keys of the requested page. All inputs are sorted by key ID.
fn page(now: &Uses, start: &Uses, end: Option<&Uses>, filter: &BusyKeys) -> Vec<KeyId> {
    let (mut before, mut up_to) = (walk(start), end.map(walk));
    let is_after =
        |position: &(Reverse<u64>, KeyId)| filter.after.is_none_or(|(uses, key)| *position > (Reverse(uses), key));
    let mut ranked: Vec<(Reverse<u64>, KeyId)> = now
        .iter()
        .map(|(key, so_far)| {
            let so_far = up_to.as_mut().map_or(*so_far, |up_to| up_to(key));
            (Reverse(so_far.saturating_sub(before(key))), *key)
        })
        .filter(is_after)
        .collect();
    let limit = filter.limit as usize;
    if limit < ranked.len() {
        ranked.select_nth_unstable(limit);
        ranked.truncate(limit);
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, key)| key).collect()
}

/// Returns a function that looks up keys in ascending order of their IDs.
fn walk(uses: &Uses) -> impl FnMut(&KeyId) -> u64 {
    let mut left = uses.iter().peekable();
    move |key| {
        while left.next_if(|(known, _)| known < key).is_some() {}
        left.next_if(|(known, _)| known == key).map_or(0, |(_, uses)| *uses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_rank_by_difference() {
        let id = |n: u8| KeyId::from_random([n; 16]);
        let mut ids = [id(1), id(2), id(3), id(4)];
        ids.sort_unstable();
        let uses = |list: &[(usize, u64)]| -> Uses { list.iter().map(|(n, uses)| (ids[*n], *uses)).collect() };
        let (now, start) = (uses(&[(0, 10), (1, 50), (2, 50), (3, 0)]), uses(&[(0, 9), (2, 10)]));
        let filter = |after: Option<(u64, usize)>, limit| BusyKeys {
            organization: Slug::parse("acme").unwrap(),
            first_day: 1,
            last_day: None,
            after: after.map(|(uses, n)| (uses, ids[n])),
            limit,
        };
        assert_eq!(page(&now, &start, None, &filter(None, 9)), [ids[1], ids[2], ids[0], ids[3]]);
        assert_eq!(page(&now, &start, None, &filter(None, 1)), [ids[1]]);
        assert_eq!(page(&now, &start, None, &filter(Some((40, 2)), 1)), [ids[0]]);
        assert_eq!(page(&now, &start, None, &filter(Some((0, 3)), 1)), []);
        let end = uses(&[(0, 10), (2, 51)]);
        assert_eq!(page(&now, &start, Some(&end), &filter(None, 2)), [ids[2], ids[0]]);
    }
}
