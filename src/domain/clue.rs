//! Finds references to keys in a text that somebody pasted: a secret, a token, an ID, or a log line that contains one.
//!
//! A clue borrows from the text and its `Debug` shows no credential, so nothing here keeps or prints a secret.

use std::fmt;

use crate::domain::key_text::{ID_LENGTH, KeyId, KeyPrefix, PREFIX_LENGTHS, SECRET_LENGTH};

/// Longest text that is read, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;
/// Maximum number of clues.
const MOST: usize = 20;
/// Displayed characters of a secret.
const LAST: usize = 4;
/// Letters and digits in a row that no name has. A key ID has 16, a part of a secret may have more.
const LONG_RUN: usize = 24;

/// A reference to a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clue<'a> {
    /// A text in the shape of a secret, complete or not. Whether it is one is not checked.
    Secret {
        id: KeyId,
        text: &'a str,
    },
    /// A secret that was shortened before it was sent: `kt_{id}_...Ab12`, and whether its checksum was valid.
    SecretPart {
        id: KeyId,
        last_four: &'a str,
        checksum: Option<bool>,
    },
    /// A JWT.
    Token(&'a str),
    /// A token that was shortened before it was sent: `token(sub=…,jti=…,exp=…)`.
    TokenPart {
        key: KeyId,
        jti: &'a str,
        expires_at: i64,
    },
    Key(KeyId),
    /// The end of a hint such as `kt_...Ab12`.
    LastFour(&'a str),
}

impl fmt::Debug for Clue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { id, .. } => write!(f, "Secret({id}, ..)"),
            Self::SecretPart { id, checksum, .. } => write!(f, "SecretPart({id}, {checksum:?})"),
            Self::Token(_) => f.write_str("Token(..)"),
            Self::TokenPart { key, jti, .. } => write!(f, "TokenPart({key}, {jti})"),
            Self::Key(id) => write!(f, "Key({id})"),
            Self::LastFour(last) => write!(f, "LastFour({last})"),
        }
    }
}

impl Clue<'_> {
    /// Whether it contains a credential.
    pub const fn is_credential(&self) -> bool {
        matches!(self, Self::Secret { .. } | Self::Token(_))
    }
}

/// Returns the references to keys in a text, in their order, each once.
pub fn clues(text: &str) -> Vec<Clue<'_>> {
    let text = beginning(text);
    let mut found: Vec<Clue<'_>> = Vec::new();
    for part in text.split("token(").skip(1) {
        if let Some(clue) = part.split(')').next().and_then(token_part) {
            push(&mut found, clue);
        }
    }
    for word in text.split(|c: char| !is_word(c)) {
        if found.len() >= MOST {
            break;
        }
        if let Some(token) = token(word) {
            push(&mut found, Clue::Token(token));
            continue;
        }
        let before = found.len();
        add_secrets(text, word, &mut found);
        if found.len() > before {
            continue;
        }
        if let Some(last) = hint(word) {
            push(&mut found, Clue::LastFour(last));
        } else if let Some(id) = KeyId::parse(word.trim_matches(['.', '-', '_'])) {
            push(&mut found, Clue::Key(id));
        }
    }
    found
}

/// Whether a text may contain a credential or a part of one. Such a text must not become part of a URL.
pub fn is_sensitive(text: &str) -> bool {
    clues(text).iter().any(Clue::is_credential)
        || text.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
            run.len() >= LONG_RUN
                && run.bytes().any(|byte| byte.is_ascii_digit())
                && run.bytes().any(|byte| byte.is_ascii_alphabetic())
        })
}

fn push<'a>(found: &mut Vec<Clue<'a>>, clue: Clue<'a>) {
    if found.len() < MOST && !found.contains(&clue) {
        found.push(clue);
    }
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// Returns a word without surrounding dots if it has the shape of a JWS (RFC 7515 §7.1) whose header is an object.
fn token(word: &str) -> Option<&str> {
    let word = word.trim_matches('.');
    let mut parts = word.split('.');
    let header = parts.next()?;
    let all_filled = parts.by_ref().take(2).filter(|part| !part.is_empty()).count() == 2;
    (header.starts_with("eyJ") && all_filled && parts.next().is_none()).then_some(word)
}

fn token_part(fields: &str) -> Option<Clue<'_>> {
    let field = |name: &str| fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let jti = field("jti").filter(|jti| (1..=64).contains(&jti.len()) && jti.chars().all(is_word))?;
    Some(Clue::TokenPart { key: KeyId::parse(field("sub")?)?, jti, expires_at: field("exp")?.parse().ok()? })
}

/// Adds the texts in a word that have the shape `{prefix}_{id}_{rest}`.
fn add_secrets<'a>(text: &str, word: &'a str, found: &mut Vec<Clue<'a>>) {
    for (at, _) in word.match_indices('_') {
        let Some(head) = word.get(..at) else { continue };
        let prefix = head.bytes().rev().take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()).count();
        let prefix = prefix.min(*PREFIX_LENGTHS.end());
        let Some(begin) = at.checked_sub(prefix).filter(|_| prefix >= *PREFIX_LENGTHS.start()) else { continue };
        let Some(id) = word.get(at + 1..at + 1 + ID_LENGTH).and_then(KeyId::parse) else { continue };
        let Some(rest) = word.get(at + 1 + ID_LENGTH..).and_then(|rest| rest.strip_prefix('_')) else { continue };
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if length > 0 {
            if let Some(text) = word.get(begin..at + 2 + ID_LENGTH + length) {
                push(found, Clue::Secret { id, text });
            }
        } else if let Some(last_four) = rest.strip_prefix("...").and_then(last_four) {
            let says = |verdict: &str| text.contains(&format!("_...{last_four} (checksum {verdict})"));
            let checksum = if says("valid") { Some(true) } else { says("invalid").then_some(false) };
            push(found, Clue::SecretPart { id, last_four, checksum });
        }
    }
}

fn hint(word: &str) -> Option<&str> {
    let (prefix, rest) = word.split_once("_...")?;
    KeyPrefix::parse(prefix).ok()?;
    last_four(rest)
}

fn last_four(text: &str) -> Option<&str> {
    text.get(..LAST).filter(|last| last.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The last four characters of a text in the shape of a secret, if it is complete.
pub fn last_four_of(secret: &str) -> Option<&str> {
    let random = secret.rsplit('_').next().filter(|random| random.len() == SECRET_LENGTH)?;
    random.get(SECRET_LENGTH - LAST..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key_text::KeyText;
    use proptest::prelude::*;

    fn minted(id: [u8; 16], random: [u8; 32]) -> KeyText {
        KeyText::new(KeyPrefix::default(), KeyId::from_random(id), random)
    }

    #[test]
    fn log_lines_are_read() {
        let minted = minted([1; 16], [2; 32]);
        let (secret, id) = (minted.reveal(), minted.id());
        let secret = secret.as_str();
        for line in [
            format!("curl -H 'Authorization: Bearer {secret}' https://api.example"),
            format!("{{\"client_secret\":\"{secret}\",\"ok\":false}}"),
            format!("KEYTURN_API_KEY={secret}"),
            format!("https://example/{secret}/x?y={secret}"),
            format!("  {secret}.\n"),
            format!("x-api-key-{secret}"),
        ] {
            assert_eq!(clues(&line), [Clue::Secret { id, text: secret }], "{line:?}");
            assert!(is_sensitive(&line));
        }
        let cut = secret.get(..40).unwrap();
        assert_eq!(clues(cut), [Clue::Secret { id, text: cut }]);
        assert_eq!(clues(&format!("key {id} was denied.")), [Clue::Key(id)]);
        assert_eq!(clues("kt_...Ab12"), [Clue::LastFour("Ab12")]);
        assert_eq!(clues("nothing here: billing-export, 10.0.0.0/8"), []);
    }

    #[test]
    fn shortened_credentials_are_read() {
        let id = KeyId::from_random([3; 16]);
        let part = |checksum| Clue::SecretPart { id, last_four: "Ab12", checksum };
        assert_eq!(clues(&format!("kt_{id}_...Ab12 (checksum valid)")), [part(Some(true))]);
        assert_eq!(clues(&format!("kt_{id}_...Ab12 (checksum invalid)")), [part(Some(false))]);
        assert_eq!(clues(&format!("kt_{id}_...Ab12")), [part(None)]);
        let shortened = format!("Bearer token(sub={id},jti=q7_x-y,exp=1800000000)");
        assert_eq!(
            clues(&shortened).first(),
            Some(&Clue::TokenPart { key: id, jti: "q7_x-y", expires_at: 1_800_000_000 })
        );
        for wrong in ["token(sub=x,jti=y,exp=1)", &format!("token(sub={id},jti=,exp=1)"), &format!("token(sub={id}")] {
            assert!(!clues(wrong).iter().any(|clue| matches!(clue, Clue::TokenPart { .. })), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_found_by_their_shape() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-_";
        assert_eq!(clues(&format!("Authorization: Bearer {token},")), [Clue::Token(token)]);
        for other in ["eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0", "a.b.c", "eyJ.b.c.d", "eyJ..c"] {
            assert_eq!(clues(other), [], "{other}");
        }
        assert!(is_sensitive(token) && is_sensitive("x 4fR9aB7xQ2LpZs3kTMd9aB7xQ2Lp y"));
        assert!(!is_sensitive("billing-export of 2026") && !is_sensitive("3kTMd9aB7xQ2LpZs"));
    }

    proptest! {
        #[test]
        fn secret_is_found_between_anything(
            id: [u8; 16],
            random: [u8; 32],
            before in "(.*[^A-Za-z0-9_.-])?",
            after in "([^A-Za-z0-9_.-].*)?",
        ) {
            let minted = minted(id, random);
            let line = format!("{before}{}{after}", minted.reveal().as_str());
            prop_assume!(line.len() < MAX_TEXT);
            let found = clues(&line);
            let secret = minted.reveal();
            let wanted = Clue::Secret { id: minted.id(), text: secret.as_str() };
            prop_assert!(found.contains(&wanted) || found.len() == MOST);
            prop_assert!(is_sensitive(&line));
            let debug = format!("{found:?}");
            prop_assert!(!debug.contains(minted.secret().expose()));
        }

        #[test]
        fn every_text_is_read_within_bounds(text: String) {
            prop_assert!(clues(&text).len() <= MOST);
        }
    }
}
