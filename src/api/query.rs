//! The parameters of a query, each at most once, and no other.

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api::problem::Problem;
use crate::clock::parse_rfc3339;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::http::form::Form;

/// Items of a page where no limit is given, and at most.
const LIMIT: (u32, u32) = (50, 200);

/// The parameters that were given.
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads a query that may have these parameters and no others.
    pub(super) fn read(request: &HttpRequest, allowed: &[&'static str]) -> Result<Self, Problem> {
        let form = form(request)?;
        let mut given = Vec::new();
        for name in form.names() {
            // A name that is none of ours is not shown: it may be a misplaced secret.
            let Some(known) = allowed.iter().find(|known| **known == name) else {
                return Err(Problem::invalid_field("query", format!("allowed is {}", allowed.join(", "))));
            };
            if form.values(name).count() > 1 {
                return Err(Problem::invalid_field(*known, "given more than once"));
            }
            given.push((*known, form.value(name).unwrap_or_default().to_owned()));
        }
        Ok(Self(given))
    }

    /// One parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A moment.
    pub(super) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let at = parse_rfc3339(text).ok_or_else(|| {
            Problem::invalid_field(name, "not a moment; RFC 3339 is expected, as in 2030-01-31T00:00:00Z")
        })?;
        Ok(Some(at))
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_plain && (least..=most).contains(number));
        number.map(Some).ok_or_else(|| Problem::invalid_field(name, format!("allowed is {least} to {most}")))
    }

    /// How many items a page may have.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        Ok(self.number("limit", 1, LIMIT.1)?.unwrap_or(LIMIT.0))
    }

    /// Where a list goes on: what it is sorted by, and the key.
    pub(super) fn cursor(&self, list: &str) -> Result<Option<(i64, KeyId)>, Problem> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let cursor = read_cursor(list, text);
        cursor.map(Some).ok_or_else(|| Problem::invalid_field("cursor", "not one that this list gave as next_cursor"))
    }
}

/// Reads a query without looking at the names in it.
pub(super) fn form(request: &HttpRequest) -> Result<Form, Problem> {
    // `Form` leaves empty parameters out, as OAuth wants it (RFC 6749 section 3.2). Here none may be empty.
    let mut pairs = request.query_string().split('&').filter(|pair| !pair.is_empty());
    if pairs.any(|pair| pair.split_once('=').is_none_or(|(_, value)| value.is_empty())) {
        return Err(Problem::invalid_field("query", "a parameter is empty; leave it out"));
    }
    Form::parse(request.query_string().as_bytes()).map_err(|error| Problem::invalid_field("query", error.to_string()))
}

/// The cursor behind an item of a list.
pub(super) fn cursor(list: &str, sorted_by: i64, key: &KeyId) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}.{sorted_by}.{key}"))
}

fn read_cursor(list: &str, text: &str) -> Option<(i64, KeyId)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (sorted_by, key) = plain.strip_prefix(list)?.strip_prefix('.')?.split_once('.')?;
    let sorted_by = sorted_by.parse().ok().filter(|number| *number >= 0)?;
    Some((sorted_by, KeyId::parse(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_its_own_list_only() {
        let key = KeyId::from_random([1; 16]);
        let text = cursor("usage", 7, &key);
        assert_eq!(read_cursor("usage", &text), Some((7, key)));
        assert_eq!(read_cursor("stale", &text), None);
        for wrong in ["", "usage", "!", &cursor("usage", -1, &key), &URL_SAFE_NO_PAD.encode("usage.1.short")] {
            assert_eq!(read_cursor("usage", wrong), None, "{wrong}");
        }
    }
}
