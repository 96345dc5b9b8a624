//! Many small rows read as one text: the driver takes longer for a row than the database for a dozen.

use std::collections::BTreeMap;

use crate::domain::key_text::KeyId;
use crate::domain::usage::{Counts, UsageOutcome};
use crate::store::StoreError;

use crate::store::sql::statement::Row;
use crate::store::usage::each_outcome;

/// Characters of a key's id.
const ID_LENGTH: usize = 16;

/// The column in which a text is.
const COLUMN: &str = "packed";

/// Rows of a place, an outcome and a count, for [`by_place`]: `240exchanged3,240denied_scope1`.
pub(super) fn outcomes(place: &str) -> String {
    format!("string_agg({place} || outcome || count, ',') AS {COLUMN}")
}

/// Rows of a key's id and its uses, for [`by_key`]: the id, and the number right after it.
pub(super) const USES: &str = "string_agg(key_id || uses, ',') AS packed";

/// Rows of a day and what was counted up to its end, for [`by_day`]: numbers with spaces between.
pub(super) fn days() -> String {
    format!("string_agg(concat_ws(' ', day, {}), ',')", each_outcome(str::to_owned))
}

/// What was counted in each place, in order. Outcomes of later versions are left out.
pub(super) fn by_place(row: &Row) -> Result<Vec<(i64, Counts)>, StoreError> {
    let mut found: BTreeMap<i64, Counts> = BTreeMap::new();
    for part in parts(&text(row)?) {
        let (place, outcome, count) = apart(part).ok_or_else(|| unreadable(part))?;
        let (place, count) = (number::<i64>(place)?, number::<u64>(count)?);
        if let Some(outcome) = UsageOutcome::ALL.into_iter().find(|known| known.as_str() == outcome) {
            found.entry(place).or_default().add(outcome, count);
        }
    }
    Ok(found.into_iter().collect())
}

/// The uses of each key, by id.
pub(super) fn by_key(row: &Row) -> Result<Vec<(KeyId, u64)>, StoreError> {
    let text = text(row)?;
    let read = |part: &str| {
        let (id, uses) = part.split_at_checked(ID_LENGTH).ok_or_else(|| unreadable(part))?;
        Ok((KeyId::parse(id).ok_or_else(|| unreadable(part))?, number(uses)?))
    };
    let mut found: Vec<(KeyId, u64)> = parts(&text).map(read).collect::<Result<_, StoreError>>()?;
    found.sort_unstable();
    Ok(found)
}

/// What was counted on each day from the first one on, in order.
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

/// A number, a name and a number that are written without anything between.
fn apart(part: &str) -> Option<(&str, &str, &str)> {
    let is_numeric = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    let (place, rest) = part.split_at_checked(part.bytes().position(|byte| !is_numeric(byte))?)?;
    let (outcome, count) = rest.split_at_checked(rest.bytes().position(is_numeric)?)?;
    Some((place, outcome, count))
}

fn text(row: &Row) -> Result<String, StoreError> {
    // No row, no text.
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
