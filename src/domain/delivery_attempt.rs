//! Attempts of a delivery, and the excerpt of the response that is stored with each.

use std::borrow::Cow;

use crate::domain::redaction::{REMOVED, is_secret_name, redact};
use crate::domain::timestamp::Timestamp;

/// Longest stored body, in bytes.
pub const MAX_BODY: usize = 4 * 1024;
/// Longest stored headers of a response, in bytes.
pub const MAX_HEADERS: usize = 2 * 1024;
/// Longest stored value of a header, in bytes.
const MAX_VALUE: usize = 256;
/// Part of characters that are not text, from which a body is taken for binary data: one in this many.
const BINARY: usize = 10;

/// An attempt as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryAttempt {
    /// Counts the attempts of a delivery from 1, also after it was retried manually.
    pub number: u32,
    /// When the request was signed.
    pub at: Timestamp,
    pub duration_ms: u64,
    /// Status of the response, if there was one.
    pub status: Option<u16>,
    pub error: Option<String>,
    /// `None` if it is not stored.
    pub response: Option<ResponseExcerpt>,
}

/// The beginning of a response, without secrets and without characters that a terminal would act on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResponseExcerpt {
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// `None` if it is not text.
    pub body: Option<String>,
    /// Bytes of the body that were read.
    pub bytes: u64,
    /// Whether the body continues after `body`, or ended early.
    pub is_cut: bool,
}

/// The beginning of a response as it was received.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ResponseStart {
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Bytes of the body that were read, including those that are not in `body`.
    pub bytes: u64,
    /// Whether the whole body was read.
    pub is_complete: bool,
}

impl ResponseExcerpt {
    /// Removes credentials and the secrets of the request, then shortens.
    pub fn new(response: &ResponseStart, secrets: &[&str]) -> Self {
        let mut left = MAX_HEADERS;
        let mut headers = Vec::new();
        for (name, value) in &response.headers {
            let value = if is_secret_name(name) {
                Cow::Borrowed(REMOVED)
            } else {
                let text = printable(value).unwrap_or_default().replace(['\n', '\t'], " ");
                Cow::Owned(shorten(&redact(&text, secrets), MAX_VALUE).to_owned())
            };
            let Some(rest) = left.checked_sub(name.len() + value.len() + ": \n".len()) else { break };
            left = rest;
            headers.push((name.clone(), value.into_owned()));
        }
        let is_whole = response.is_complete && response.bytes == response.body.len() as u64;
        let text = printable(&response.body).map(|text| {
            // A credential at the end of an incomplete text can be too short to be recognized.
            let text = if is_whole { &*text } else { without_last_word(&text) };
            redact(text, secrets)
        });
        let body = text.as_deref().map(|text| shorten(text, MAX_BODY).to_owned());
        let is_cut = !is_whole || body.as_ref().map(String::len) != text.as_ref().map(String::len);
        Self { headers, body, bytes: response.bytes, is_cut }
    }

    /// The headers as lines, to store them.
    pub fn header_lines(&self) -> String {
        self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
    }

    /// Reads the output of [`Self::header_lines`].
    pub fn read_header_lines(lines: &str) -> Vec<(String, String)> {
        let pairs = lines.lines().filter_map(|line| line.split_once(": "));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// Returns a text without characters that a terminal or a page would act on; `None` if it is binary data.
fn printable(bytes: &[u8]) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let (mut written, mut odd, mut all) = (String::with_capacity(text.len()), 0, 0);
    for c in text.chars() {
        all += 1;
        let is_invisible = c.is_control() && !matches!(c, '\n' | '\t') || is_format(c);
        odd += usize::from(is_invisible || c == char::REPLACEMENT_CHARACTER);
        written.push(if is_invisible { char::REPLACEMENT_CHARACTER } else { c });
    }
    (odd * BINARY <= all).then_some(written)
}

/// Characters that change the direction or the order of a text, or are invisible.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

fn shorten(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

fn without_last_word(text: &str) -> &str {
    let end =
        text.rfind(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '<' | '>' | '&' | ';' | '(' | ')'));
    text.get(..end.map_or(0, |end| end + 1).min(text.len())).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn response(body: &[u8]) -> ResponseStart {
        ResponseStart { headers: Vec::new(), body: body.to_vec(), bytes: body.len() as u64, is_complete: true }
    }

    fn excerpt(body: &[u8]) -> ResponseExcerpt {
        ResponseExcerpt::new(&response(body), &[])
    }

    #[test]
    fn text_stays_and_binary_data_does_not() {
        for (body, expected) in [
            (&b"boom: database is down"[..], Some("boom: database is down")),
            (b"", Some("")),
            (b"a\r\n\tb\n", Some("a\n\tb\n")),
            (
                b"ok \x1b[2J\x1b]0;x\x07 and a lot of other text that is readable",
                Some("ok \u{fffd}[2J\u{fffd}]0;x\u{fffd} and a lot of other text that is readable"),
            ),
            (b"caf\xe9 is open every day", Some("caf\u{fffd} is open every day")),
            (b"\x89PNG\r\n\x1a\n\0\0", None),
            (&[0xff, 0xfe, 0xfd, 0x80, 0x81], None),
            ("right\u{202e}tfel and so on and so on".as_bytes(), Some("right\u{fffd}tfel and so on and so on")),
        ] {
            let made = excerpt(body);
            assert_eq!((made.body.as_deref(), made.is_cut, made.bytes), (expected, false, body.len() as u64));
        }
    }

    #[test]
    fn long_bodies_are_cut() {
        let made = excerpt("ä ".repeat(3000).as_bytes());
        assert!(made.is_cut && made.bytes == 9000 && made.body.unwrap().len() <= MAX_BODY);
        let part = ResponseStart { bytes: 70_000, is_complete: false, ..response(b"first second-and-cu") };
        let made = ResponseExcerpt::new(&part, &[]);
        assert_eq!((made.body.as_deref(), made.is_cut), (Some("first "), true), "the last word could be a secret");
    }

    #[test]
    fn headers_are_bounded_and_without_secrets() {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let mut headers = vec![
            header("content-type", "text/plain"),
            header("set-cookie", "sid=1"),
            header("x-echo", "hook-path and Bearer abcdefgh1"),
            header("x-odd", "a\u{1b}b is a longer value with one odd character"),
        ];
        headers.extend((0..100).map(|n| header(&format!("x-{n}"), &"v ".repeat(400))));
        let made = ResponseExcerpt::new(&ResponseStart { headers, ..response(b"") }, &["hook-path"]);
        assert!(made.header_lines().len() <= MAX_HEADERS && made.headers.len() > 5);
        for (place, expected) in [
            (1, REMOVED),
            (2, "[removed] and Bearer [removed]"),
            (3, "a\u{fffd}b is a longer value with one odd character"),
        ] {
            assert_eq!(made.headers[place].1, expected);
        }
        assert_eq!(ResponseExcerpt::read_header_lines(&made.header_lines()), made.headers);
    }

    proptest! {
        #[test]
        fn every_body_is_bounded_and_can_be_stored(body in proptest::collection::vec(any::<u8>(), 0..9000)) {
            let made = excerpt(&body);
            let text = made.body.unwrap_or_default();
            prop_assert!(text.len() <= MAX_BODY && !text.contains('\0'));
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
