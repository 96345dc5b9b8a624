//! The secret of an API key, `{prefix}_{id}_{random}`: parsing, printing, checksum.
//!
//! The last part is 43 base62 digits of 256 random bits and 6 base62 digits of the CRC-32 of everything before them, so
//! a typo is detected without a lookup. A secret cannot be printed by accident: [`Secret`] has no `Display` and no
//! `Serialize`, and its `Debug` prints `Secret(..)`.

mod fault;
#[cfg(test)]
mod tests;

use std::fmt;

pub use fault::CredentialFault;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// Digits of a key ID.
pub const ID_LENGTH: usize = 16;
/// Digits of the last part, with the checksum.
pub const SECRET_LENGTH: usize = RANDOM_LENGTH + CHECKSUM_LENGTH;
/// Allowed lengths of a prefix.
pub const PREFIX_LENGTHS: std::ops::RangeInclusive<usize> = 2..=16;
/// The shortest and the longest secret, with its prefix and ID.
const LENGTHS: std::ops::RangeInclusive<usize> =
    *PREFIX_LENGTHS.start() + AFTER_PREFIX..=*PREFIX_LENGTHS.end() + AFTER_PREFIX;
/// The length of the ID, the secret, and the underscore before each.
const AFTER_PREFIX: usize = 1 + ID_LENGTH + 1 + SECRET_LENGTH;

/// A key ID, also the OAuth `client_id`: 16 base62 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_LENGTH]);

impl KeyId {
    /// Parses exactly 16 base62 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; ID_LENGTH] = text.as_bytes().try_into().ok()?;
        is_base62(text).then_some(Self(digits))
    }

    /// Creates an ID from 128 random bits, reduced modulo 62^16 (about 2^95). Each ID has at least 2^32 of the 2^128
    /// inputs, give or take one, so no ID is likelier than another by more than one part in 2^32.
    pub fn from_random(random: [u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(random);
        Self(base62(|| {
            let digit = (number % 62) as u8;
            number /= 62;
            digit
        }))
    }

    pub fn as_str(&self) -> &str {
        // Always ASCII; the fallback avoids a panic path.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Prefix of an organization's secrets: `[a-z0-9]{2,16}`, `kt` by default.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPrefix(Box<str>);

impl KeyPrefix {
    /// Parses a prefix without the underscore. Errors: [`KeyTextError::Prefix`].
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if PREFIX_LENGTHS.contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(KeyTextError::Prefix)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for KeyPrefix {
    fn default() -> Self {
        Self("kt".into())
    }
}

/// The 49 characters that prove possession of a key. Wiped from memory on drop. Compare it only through its verifiers.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Parses 49 base62 digits. The checksum also covers prefix and ID: see [`checksum_holds`].
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == SECRET_LENGTH && is_base62(text)).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Returns the text, for verifiers only. Never store or log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A complete secret with a valid checksum.
///
/// ```
/// use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText, KeyTextError};
/// let minted = KeyText::new(KeyPrefix::default(), KeyId::from_random([7; 16]), [9; 32]);
/// let text = minted.reveal();
/// assert_eq!(text.len(), "kt".len() + 1 + 16 + 1 + 49);
/// assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "one double-click selects it");
/// assert_eq!(KeyText::parse(&text).unwrap().id(), minted.id());
///
/// let typo = text.replacen("kt", "tk", 1);
/// assert_eq!(KeyText::parse(&typo).unwrap_err(), KeyTextError::Checksum);
/// ```
pub struct KeyText {
    prefix: KeyPrefix,
    id: KeyId,
    secret: Secret,
}

impl KeyText {
    /// Creates a secret from 256 random bits, written as a big-endian base62 number.
    pub fn new(prefix: KeyPrefix, id: KeyId, random: [u8; 32]) -> Self {
        let mut number = Zeroizing::new(random);
        let digits: Zeroizing<[u8; RANDOM_LENGTH]> = Zeroizing::new(base62(|| divide_by_62(&mut number)));
        let checksum = checksum(&prefix, &id, digits.as_slice());
        // Full capacity at once: a String that grows leaves copies in memory.
        let mut text = Zeroizing::new(String::with_capacity(SECRET_LENGTH));
        text.extend(digits.iter().chain(&checksum).map(|&b| char::from(b)));
        Self { prefix, id, secret: Secret(text) }
    }

    /// Parses a secret and verifies its checksum.
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let (prefix, id, secret) = parts(text).ok_or(KeyTextError::Shape)?;
        let prefix = KeyPrefix::parse(prefix)?;
        let id = KeyId::parse(id).ok_or(KeyTextError::Id)?;
        let secret = Secret::parse(secret).ok_or(KeyTextError::Secret)?;
        if !checksum_holds(&prefix, &id, &secret) {
            return Err(KeyTextError::Checksum);
        }
        Ok(Self { prefix, id, secret })
    }

    pub fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Drops everything but the random part.
    pub fn into_secret(self) -> Secret {
        self.secret
    }

    /// Returns the complete secret, to be shown once.
    pub fn reveal(&self) -> Zeroizing<String> {
        let pieces = [self.prefix.as_str(), "_", self.id.as_str(), "_", self.secret.expose()];
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.extend(pieces);
        text
    }

    /// Returns a short form to recognize a key by, such as `kt_...Ab12`. The last four characters belong to the
    /// checksum and reveal no random digits.
    pub fn hint(&self) -> String {
        let secret = self.secret.expose();
        let last_four = secret.get(SECRET_LENGTH - 4..).unwrap_or_default();
        format!("{}_...{last_four}", self.prefix)
    }
}

/// Whether the checksum at the end of `secret` matches this prefix and ID.
pub fn checksum_holds(prefix: &KeyPrefix, id: &KeyId, secret: &Secret) -> bool {
    match secret.expose().as_bytes().split_last_chunk::<CHECKSUM_LENGTH>() {
        Some((random, expected)) => checksum(prefix, id, random) == *expected,
        None => false,
    }
}

/// Whether a bearer token has the shape of a secret: three parts of the right lengths and no dot. A JWT always has dots
/// (RFC 7519 §3). Does not check characters or checksum.
pub fn looks_like_key_text(text: &str) -> bool {
    let right_lengths = |(prefix, id, secret): (&str, &str, &str)| {
        PREFIX_LENGTHS.contains(&prefix.len()) && id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH
    };
    LENGTHS.contains(&text.len()) && parts(text).is_some_and(right_lengths) && !text.contains('.')
}

/// Reason why a text is not a valid secret. The messages contain none of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyTextError {
    Shape,
    Prefix,
    Id,
    Secret,
    /// Well-formed, but mistyped or invented.
    Checksum,
}

impl std::error::Error for KeyTextError {}

impl fmt::Display for KeyTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "a secret has three parts separated by underscores: prefix_id_random",
            Self::Prefix => "a key prefix must be 2 to 16 characters of a-z and 0-9",
            Self::Id => "a key ID must be 16 characters of 0-9, A-Z and a-z",
            Self::Secret => "the last part of a secret must be 49 characters of 0-9, A-Z and a-z",
            Self::Checksum => "the checksum of the secret does not match; check that it was copied completely",
        })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPrefix({self})")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({}_{}_..)", self.prefix, self.id)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(KeyTextError::Id))
    }
}

impl Serialize for KeyPrefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KeyPrefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// 62^43 is just above 2^256.
const RANDOM_LENGTH: usize = 43;
/// 62^6 is above 2^32.
const CHECKSUM_LENGTH: usize = 6;

/// Splits a text into exactly three parts without checking them.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (prefix, rest) = text.split_once('_')?;
    let (id, secret) = rest.split_once('_')?;
    (!secret.contains('_')).then_some((prefix, id, secret))
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Returns the last `N` base62 digits of a number, padded with `0`. `next` divides it by 62 and returns the remainder.
fn base62<const N: usize>(mut next: impl FnMut() -> u8) -> [u8; N] {
    let mut digits = [b'0'; N];
    for place in digits.iter_mut().rev() {
        *place = digit(next());
    }
    digits
}

/// Returns the base62 digit for a value below 62, in the order 0-9, A-Z, a-z.
fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        10..=35 => b'A' + (value - 10),
        _ => b'a' + (value - 36) % 26,
    }
}

/// Divides a big-endian number in place and returns the remainder.
fn divide_by_62(number: &mut [u8; 32]) -> u8 {
    let mut remainder = 0_u16;
    for byte in number {
        // The remainder carried in is below 62, so the quotient is below 256.
        let dividend = remainder << 8 | u16::from(*byte);
        *byte = (dividend / 62) as u8;
        remainder = dividend % 62;
    }
    remainder as u8
}

/// CRC-32 of `{prefix}_{id}_{random}` in six digits.
fn checksum(prefix: &KeyPrefix, id: &KeyId, random: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut crc = crc32fast::Hasher::new();
    for piece in [prefix.as_str().as_bytes(), b"_", &id.0, b"_", random] {
        crc.update(piece);
    }
    let mut number = crc.finalize();
    base62(|| {
        let digit = (number % 62) as u8;
        number /= 62;
        digit
    })
}
