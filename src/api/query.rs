//! Query strings: each parameter at most once, and no others.

use actix_web::HttpRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::api::problem::Problem;
use crate::api::route::Accepts;
use crate::clock::parse_rfc3339;
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::ViolationKind;
use crate::http::checks::Checks;
use crate::http::form::Form;

/// Default and maximum number of items of a page.
const LIMIT: (u32, u32) = (50, 200);

/// The parameters of a query.
pub(super) struct Query {
    given: Vec<(&'static str, String)>,
    /// A parameter's name, with one of its pairs.
    pairs: Vec<(&'static str, (String, String))>,
}

/// Parses the parameters of a query, and collects errors.
pub(super) struct QueryReader<'a> {
    query: &'a Query,
    checks: Checks,
}

impl Query {
    /// Reads a query that can have the parameters of a route and no others.
    pub(super) fn read(request: &HttpRequest, accepts: &Accepts) -> Result<Self, Problem> {
        let (text, allowed) = (request.query_string(), &accepts.query);
        let find = |name: &str| allowed.iter().find(|known| **known == name).copied();
        let find_pair = |name: &str| {
            let (name, key) = name.strip_suffix(']')?.split_once('[')?;
            Some((*accepts.maps.iter().find(|known| **known == name)?, key.to_owned()))
        };
        let mut checks = Checks::default();
        // `Form` omits empty parameters, as OAuth requires (RFC 6749 §3.2). Here they are errors.
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if value.is_empty() {
                checks.wrong(find(name).unwrap_or("query"), "a parameter must not be empty; leave it out");
            }
        }
        checks.done()?;
        let form = Form::parse(text.as_bytes()).map_err(|error| Problem::invalid_field("query", error.to_string()))?;
        let (mut given, mut pairs, mut checks) = (Vec::new(), Vec::new(), Checks::default());
        // An unknown name is not repeated in the error: it may be a misplaced secret.
        if form.names().any(|name| find(name).is_none() && find_pair(name).is_none()) {
            let maps = accepts.maps.iter().map(|name| format!("{name}[NAME]"));
            let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).chain(maps).collect();
            checks.wrong(
                "query",
                match allowed.as_slice() {
                    [] => "unknown parameter; none is allowed here".to_owned(),
                    _ => format!("unknown parameter; must be one of {}", allowed.join(", ")),
                },
            );
        }
        for (name, value) in form.all() {
            let Some((map, key)) = find_pair(name) else { continue };
            if pairs.iter().any(|(known, (earlier, _))| (*known, earlier) == (map, &key)) {
                checks.wrong(map, "given more than once for the same name");
            }
            pairs.push((map, (key, value.to_owned())));
        }
        for name in allowed {
            let mut values = form.values(name);
            given.extend(values.next().map(|value| (*name, value.to_owned())));
            if values.next().is_some() {
                checks.wrong(*name, "given more than once");
            }
        }
        checks.done()?;
        Ok(Self { given, pairs })
    }

    /// Parses the parameters and reports all errors together.
    pub(super) fn parse<T>(&self, parse: impl FnOnce(&mut QueryReader<'_>) -> T) -> Result<T, Problem> {
        let mut reader = QueryReader { query: self, checks: Checks::default() };
        let parsed = parse(&mut reader);
        reader.checks.done()?;
        Ok(parsed)
    }
}

impl<'a> QueryReader<'a> {
    /// Returns a parameter as it is.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.query.given.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the pairs of a parameter.
    pub(super) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        self.query.pairs.iter().filter(|(known, _)| *known == name).map(|(_, pair)| pair.clone()).collect()
    }

    /// Adds an error.
    pub(super) fn wrong(&mut self, name: &str, message: impl Into<ViolationKind>) {
        self.checks.wrong(name, message);
    }

    /// Parses a parameter. `expected` completes "must be".
    pub(super) fn parse<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(self.get(name)?);
        if parsed.is_none() {
            self.wrong(name, format!("must be {expected}"));
        }
        parsed
    }

    /// Parses a time.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.parse(name, "an RFC 3339 time before the year 10000, such as 2030-01-31T00:00:00Z", parse_rfc3339)
    }

    /// Parses a whole number within bounds.
    pub(super) fn number(&mut self, name: &str, least: u32, most: u32) -> Option<u32> {
        self.parse(name, &format!("{least} to {most}"), |text| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| is_plain && (least..=most).contains(number))
        })
    }

    /// Parses `true` or `false`; the default is false.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.parse(name, "true or false", |text| text.parse().ok()).unwrap_or_default()
    }

    /// The number of items that a page can have.
    pub(super) fn limit(&mut self) -> u32 {
        self.number("limit", 1, LIMIT.1).unwrap_or(LIMIT.0)
    }

    /// Parses the cursor of a list.
    pub(super) fn cursor<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.parse("cursor", "the next_cursor of an earlier page of the same list", read)
    }
}

/// Returns the cursor behind a key in a list that is sorted by a number.
pub(super) fn cursor(list: &str, sorted_by: i64, key: &KeyId) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}.{sorted_by}.{key}"))
}

/// Reads a cursor of a list as [`cursor`] returns it.
pub(super) fn read_cursor(list: &str, text: &str) -> Option<(i64, KeyId)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (sorted_by, key) = plain.strip_prefix(list)?.strip_prefix('.')?.split_once('.')?;
    let sorted_by = sorted_by.parse().ok().filter(|number| *number >= 0)?;
    Some((sorted_by, KeyId::parse(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_belong_to_one_list() {
        let key = KeyId::from_random([1; 16]);
        let text = cursor("usage", 7, &key);
        assert_eq!(read_cursor("usage", &text), Some((7, key)));
        assert_eq!(read_cursor("stale", &text), None);
        for wrong in ["", "usage", "!", &cursor("usage", -1, &key), &URL_SAFE_NO_PAD.encode("usage.1.short")] {
            assert_eq!(read_cursor("usage", wrong), None, "{wrong}");
        }
    }
}
