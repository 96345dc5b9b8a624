//! Detects a credential that was damaged when it was copied, from its text alone.

use std::fmt;

use super::{ID_LENGTH, KeyPrefix, KeyText, PREFIX_LENGTHS, SECRET_LENGTH, is_base62, parts};

/// A defect of a credential. The messages contain none of its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CredentialFault {
    /// A character outside ASCII, often an invisible one.
    NotAscii,
    /// A quotation mark from a shell or a configuration file.
    Quotes,
    WhiteSpace,
    Control,
    /// The secret is too short or too long.
    Length,
    /// The secret's checksum does not match.
    Checksum,
}

impl CredentialFault {
    /// Returns the first invalid kind of character. IDs, secrets and tokens contain none.
    pub fn of_characters(text: &str) -> Option<Self> {
        if text.bytes().fold(true, |is_plain, byte| is_plain & is_plain_byte(byte)) {
            None
        } else if !text.is_ascii() {
            Some(Self::NotAscii)
        } else if text.contains(['"', '\'', '`']) {
            Some(Self::Quotes)
        } else if text.contains(|c: char| c.is_ascii_whitespace()) {
            Some(Self::WhiteSpace)
        } else if text.contains(|c: char| c.is_ascii_control()) {
            Some(Self::Control)
        } else {
            None
        }
    }

    /// Returns an invalid character, or an invalid length or checksum if the text looks like a key's secret.
    pub fn of_secret(text: &str) -> Option<Self> {
        Self::of_characters(text).or_else(|| {
            // A long token is not searched for underscores.
            if !text.bytes().take(PREFIX_LENGTHS.end() + 1).any(|byte| byte == b'_') {
                return None;
            }
            let (prefix, id, secret) = parts(text)?;
            if KeyPrefix::parse(prefix).is_err() || id.len() != ID_LENGTH || !is_base62(id) {
                return None;
            }
            match KeyText::parse(text) {
                Ok(_) => None,
                Err(_) if secret.len() != SECRET_LENGTH => Some(Self::Length),
                Err(_) => Some(Self::Checksum),
            }
        })
    }
}

/// Whether a byte is printable ASCII other than a quotation mark. Branchless, so that the compiler vectorizes it: every
/// request has a credential, and tokens are long.
fn is_plain_byte(byte: u8) -> bool {
    (byte.wrapping_sub(b'!') <= b'~' - b'!') & (byte != b'"') & (byte != b'\'') & (byte != b'`')
}

/// Completes "the secret …".
impl fmt::Display for CredentialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAscii => "contains a non-ASCII character, such as a no-break space or a zero-width space",
            Self::Quotes => "contains a quotation mark",
            Self::WhiteSpace => "contains white space",
            Self::Control => "contains a control character",
            Self::Length => "is too short or too long; check that it was copied completely",
            Self::Checksum => "is malformed: its checksum does not match; check that it was copied completely",
        })
    }
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "secrets are ASCII")]
mod tests {
    use super::*;
    use crate::domain::key_text::KeyId;

    #[test]
    fn faults_are_detected() {
        let good = KeyText::new(KeyPrefix::default(), KeyId::from_random([7; 16]), [9; 32]).reveal().to_string();
        assert_eq!(CredentialFault::of_secret(&good), None);
        let wrong_digit = if good.ends_with('a') { "b" } else { "a" };
        for (text, fault) in [
            (format!("\u{a0}{good}"), CredentialFault::NotAscii),
            (good.replace('_', "_\u{200b}"), CredentialFault::NotAscii),
            (format!("\"{good}\""), CredentialFault::Quotes),
            (format!("'{good}'"), CredentialFault::Quotes),
            (good.replacen('_', " _", 1), CredentialFault::WhiteSpace),
            (format!("{good}\u{7f}"), CredentialFault::Control),
            (good[..60].to_owned(), CredentialFault::Length),
            (format!("{good}="), CredentialFault::Length),
            (format!("{}{wrong_digit}", &good[..good.len() - 1]), CredentialFault::Checksum),
            (format!("{}-", &good[..good.len() - 1]), CredentialFault::Checksum),
        ] {
            assert_eq!(CredentialFault::of_secret(&text), Some(fault), "{text}");
        }
        for other in ["", "eyJ.eyJ.x-_", "somebody", &good[20..], "kt_short_x"] {
            assert_eq!(CredentialFault::of_secret(other), None, "{other}");
        }
    }
}
