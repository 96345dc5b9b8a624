//! Removing credentials from text that others wrote, before it is stored.
//!
//! Credentials are found like in a pasted log line (`clue.rs`), and by what surrounds them. The removal errs on the side of
//! removing too much.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::domain::clue;

/// Stands for what was removed.
pub const REMOVED: &str = "[removed]";

/// Shortest known secret that is removed wherever it occurs. A shorter one would remove parts of ordinary words.
const SHORTEST_KNOWN: usize = 4;
/// Length from which a word with lower-case letters, upper-case letters and digits is taken for a credential.
const LONG_WORD: usize = 32;

/// Names whose values are credentials.
const NAMES: &str =
    "passw(?:or)?d|passwd|secret|token|api[_-]?key|authorization|credential|cookie|session|private[_-]?key|signature";

/// A name, a colon or an equals sign, and a value in quotes or up to a separator.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let name = format!(r#"(?i-u:[a-z0-9_.-]*(?:{NAMES})[a-z0-9_.-]*)"#);
    let value = r#"(?:(?i-u:bearer|basic|digest) +)?[^ \t\r\n,;&<>"'\\}\])]+"#;
    Regex::new(&format!(
        r#"({name}\\?["']?[ \t]*(?:[:=]|=>)[ \t]*)("(?:[^"\\\n]|\\.)*|\\"(?:[^"\\\n]|\\[^"\n])*|'[^'\n]*|{value})"#
    ))
    .ok()
});

/// A credential of the `Authorization` header.
static SCHEME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i-u:\b(bearer|basic|digest)) +([A-Za-z0-9+/=._~-]{8,})").ok());

/// Removes credentials, and `known` ones wherever they occur.
///
/// ```
/// use keyturn::domain::redaction::redact;
/// let text = r#"{"error":"bad gateway","session_id":"abc","path":"/v1/orders/7"}"#;
/// assert_eq!(redact(text, &[]), r#"{"error":"bad gateway","session_id":"[removed]","path":"/v1/orders/7"}"#);
/// assert_eq!(redact("no such hook: T0/B0/tell", &["T0/B0/tell"]), "no such hook: [removed]");
/// ```
pub fn redact(text: &str, known: &[&str]) -> String {
    // 1. Known secrets, the longest first: one can be a part of another.
    let mut known: Vec<&str> = known.iter().copied().filter(|secret| secret.len() >= SHORTEST_KNOWN).collect();
    known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let text = known.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, REMOVED));

    // 2. Values of suspicious names.
    let (Some(named), Some(scheme)) = (NAMED.as_ref(), SCHEME.as_ref()) else { return REMOVED.to_owned() };
    let text = named.replace_all(&text, |found: &Captures<'_>| {
        let (name, value) = (part(found, 1), part(found, 2));
        let quote: String = value.chars().take_while(|c| matches!(c, '"' | '\'' | '\\')).collect();
        format!("{name}{quote}{REMOVED}")
    });
    let text = scheme.replace_all(&text, |found: &Captures<'_>| {
        let (name, value) = (part(found, 1), part(found, 2));
        let is_word = value.len() < 20 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_word { part(found, 0).to_owned() } else { format!("{name} {REMOVED}") }
    });

    // 3. Words that look like a credential.
    let (mut written, mut rest) = (String::with_capacity(text.len()), &*text);
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        written.push_str(if is_credential(word) { REMOVED } else { word });
        let (between, after) = after.split_at(after.find(is_word).unwrap_or(after.len()));
        written.push_str(between);
        rest = after;
    }
    written
}

/// Whether the value of a header or field with this name is a credential.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // A challenge is not a credential.
    let parts = ["auth", "cookie", "token", "secret", "session", "signature", "password", "key", "credential", "csrf"];
    !name.ends_with("-authenticate") && parts.iter().any(|part| name.contains(part))
}

fn part<'a>(found: &'a Captures<'_>, number: usize) -> &'a str {
    found.get(number).map_or("", |part| part.as_str())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '/' | '~')
}

fn is_credential(word: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    let is_mixed = word.len() >= LONG_WORD
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_digit);
    is_mixed || clue::is_sensitive(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key_text::{KeyId, KeyPrefix, KeyText};
    use proptest::prelude::*;

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "",
            "boom: database is down",
            "<html><body><h1>502 Bad Gateway</h1></body></html>",
            "{\"error\":\"invalid_request\",\"id\":\"0b6e2f3c-9d5a-4a54-8f0e-5c0a7f6f1d11\"}",
            "invalid token",
            "Basic authentication required",
            "Bearer authentication",
            "max-age=31536000; includeSubDomains",
            "no column \u{201e}größe\u{201c} in table orders",
        ] {
            assert_eq!(redact(text, &[]), text);
        }
    }

    #[test]
    fn values_of_suspicious_names_are_removed() {
        for (text, expected) in [
            ("password=hunter2&user=x", "password=[removed]&user=x"),
            ("{\"api_key\": \"abc\", \"n\": 1}", "{\"api_key\": \"[removed]\", \"n\": 1}"),
            ("{\\\"apiKey\\\":\\\"abc\\\",\\\"n\\\":1}", "{\\\"apiKey\\\":\\\"[removed]\\\",\\\"n\\\":1}"),
            ("Authorization: Bearer abc", "Authorization: [removed]"),
            ("X-Session-Token: 'a b c' end", "X-Session-Token: '[removed]' end"),
            ("client_secret => x, y", "client_secret => [removed], y"),
            ("Set-Cookie: sid=1; Path=/", "Set-Cookie: [removed]; Path=/"),
            ("sent bearer abcdef12", "sent bearer [removed]"),
            ("ACCESS_TOKEN = q", "ACCESS_TOKEN = [removed]"),
        ] {
            assert_eq!(redact(text, &[]), expected, "{text}");
        }
    }

    #[test]
    fn known_secrets_are_removed_the_longest_first() {
        assert_eq!(redact("a T0/B0/xyz b T0/B0 c", &["T0/B0", "T0/B0/xyz"]), "a [removed] b [removed] c");
        assert_eq!(redact("an api", &["a", "api"]), "an api", "shorter ones are parts of words");
    }

    #[test]
    fn header_names_with_credentials_are_known() {
        for name in ["Set-Cookie", "x-api-key", "Proxy-Authorization", "webhook-signature", "X-CSRF"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["content-type", "www-authenticate", "Proxy-Authenticate", "date", "x-request-id"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    proptest! {
        /// A secret of Keyturn, a JWT and base64 are removed wherever they are.
        #[test]
        fn credentials_never_stay(
            id: [u8; 16], random: [u8; 32], bytes in proptest::collection::vec(any::<u8>(), 32..64),
            before in "[ -~\n]{0,40}", after in "[^A-Za-z0-9+/=_.~-][ -~\n]{0,40}",
        ) {
            let secret = KeyText::new(KeyPrefix::default(), KeyId::from_random(id), random).reveal().to_string();
            let encoded = data_encoding::BASE64.encode(&bytes);
            let token = format!("eyJhbGciOiJFUzI1NiJ9.{}.c2ln", data_encoding::BASE64URL_NOPAD.encode(&bytes));
            for credential in [secret, encoded.trim_end_matches('=').to_owned(), token] {
                let mixed = credential.bytes().any(|byte| byte.is_ascii_digit())
                    && credential.bytes().any(|byte| byte.is_ascii_uppercase());
                prop_assume!(mixed);
                let clean = redact(&format!("{before} {credential}{after}"), &[]);
                prop_assert!(!clean.contains(&credential), "{clean}");
                // Neither does a long part of it.
                prop_assert!(!clean.contains(credential.split_at(24).0), "{clean}");
            }
        }

        #[test]
        fn redaction_ends_and_keeps_lines(text in "\\PC{0,300}") {
            let clean = redact(&text, &[]);
            prop_assert_eq!(redact(&clean, &[]).lines().count(), clean.lines().count());
        }
    }
}
