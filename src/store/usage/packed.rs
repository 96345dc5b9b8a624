//! Many small rows packed into one text, because the driver takes longer to read a row than the database to produce a
//! dozen.

use std::collections::BTreeMap;

use crate::domain::key_text::KeyId;
use crate::domain::usage::{Counts, UsageOutcome};
use crate::store::StoreError;

use crate::store::sql::statement::Row;
use crate::store::usage::each_outcome;

/// Length of a key ID.
const ID_LENGTH: usize = 16;

/// The column with the packed text.
const COLUMN: &str = "packed";

/// Packs rows of a slot, an outcome and a count, for [`by_slot`]: `240exchanged3,240denied_scope1`.
pub(super) fn outcomes(slot: &str) -> String {
    format!("string_agg({slot} || outcome || count, ',') AS {COLUMN}")
}

/// Packs rows of a key ID and its uses, for [`by_key`]: the ID immediately followed by the number.
pub(super) const USES: &str = "string_agg(key_id || uses, ',') AS packed";

/// Packs rows of a day and its cumulative counts, for [`by_day`]: numbers separated by spaces.
pub(super) fn days() -> String {
    format!("string_agg(concat_ws(' ', day, {}), ',')", each_outcome(str::to_owned))
}

/// Returns the counts of each slot, in order. Ignores outcomes of later versions.
pub(super) fn by_slot(row: &Row) -> Result<Vec<(i64, Counts)>, StoreError> {
    let mut counts: BTreeMap<i64, Counts> = BTreeMap::new();
    for part in parts(&text(row)?) {
        let (slot, outcome, count) = split_count(part).ok_or_else(|| unreadable(part))?;
        let (slot, count) = (number::<i64>(slot)?, number::<u64>(count)?);
        if let Some(outcome) = UsageOutcome::ALL.into_iter().find(|known| known.as_str() == outcome) {
            counts.entry(slot).or_default().add(outcome, count);
        }
    }
    Ok(counts.into_iter().collect())
}

/// Returns the uses of each key, sorted by key ID.
pub(super) fn by_key(row: &Row) -> Result<Vec<(KeyId, u64)>, StoreError> {
    let text = text(row)?;
    let read = |part: &str| {
        let (id, uses) = part.split_at_checked(ID_LENGTH).ok_or_else(|| unreadable(part))?;
        Ok((KeyId::parse(id).ok_or_else(|| unreadable(part))?, number(uses)?))
    };
    let mut uses: Vec<(KeyId, u64)> = parts(&text).map(read).collect::<Result<_, StoreError>>()?;
    uses.sort_unstable();
    Ok(uses)
}

/// Returns the counts of each day from `first` on, in order.
pub(super) fn by_day(row: &Row, first: i64) -> Result<Vec<(i64, Counts)>, StoreError> {
    let text = text(row)?;
    let read = |part: &str| {
        let mut numbers = part.split(' ');
        let day = number::<i64>(numbers.next().unwrap_or_default())?;
        let mut so_far = Counts::default();
        for outcome in UsageOutcome::ALL {
            so_far.add(outcome, number(numbers.next().unwrap_or_default())?);
        }
        Ok((day, so_far))
    };
    let mut days: Vec<(i64, Counts)> = parts(&text).map(read).collect::<Result<_, StoreError>>()?;
    days.sort_unstable_by_key(|(day, _)| *day);
    let mut before = Counts::default();
    for (_, counts) in &mut days {
        let so_far = *counts;
        *counts = so_far.since(&before);
        before = so_far;
    }
    days.retain(|(day, _)| *day >= first);
    Ok(days)
}

/// Splits a number, a name and a number that are written without separators.
fn split_count(part: &str) -> Option<(&str, &str, &str)> {
    let is_numeric = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    let (slot, rest) = part.split_at_checked(part.bytes().position(|byte| !is_numeric(byte))?)?;
    let (outcome, count) = rest.split_at_checked(rest.bytes().position(is_numeric)?)?;
    Some((slot, outcome, count))
}

fn text(row: &Row) -> Result<String, StoreError> {
    // NULL if there is no row.
    Ok(row.try_get::<Option<String>>(COLUMN)?.unwrap_or_default())
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|part| !part.is_empty())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| unreadable(text))
}

fn unreadable(part: &str) -> StoreError {
    StoreError::Unreadable { what: "count of use", detail: format!("{part:?}") }
}
