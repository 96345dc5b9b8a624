//! The text of an API key, `{prefix}_{id}_{secret}`: reading, printing, checksum.
//!
//! The secret is 43 base62 digits of 256 random bits and 6 base62 digits of the CRC-32 of everything
//! before them, so a typo is told from a key with no look-up. A secret prints nowhere by accident:
//! it has no `Display`, no `Serialize`, and its `Debug` says `Secret(..)`.

mod fault;
#[cfg(test)]
mod tests;

use std::fmt;

pub use fault::CredentialFault;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// Digits of a key's id.
pub const ID_LENGTH: usize = 16;
/// Digits of a secret, its checksum included.
pub const SECRET_LENGTH: usize = RANDOM_LENGTH + CHECKSUM_LENGTH;
/// The shortest and the longest prefix.
pub const PREFIX_LENGTHS: std::ops::RangeInclusive<usize> = 2..=16;
/// The shortest and the longest key text.
const LENGTHS: std::ops::RangeInclusive<usize> =
    *PREFIX_LENGTHS.start() + AFTER_PREFIX..=*PREFIX_LENGTHS.end() + AFTER_PREFIX;
/// The length of the ID, the secret, and the underscore before each.
const AFTER_PREFIX: usize = 1 + ID_LENGTH + 1 + SECRET_LENGTH;

/// A key's identity, also its OAuth `client_id`: 16 base62 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_LENGTH]);

impl KeyId {
    /// Reads exactly 16 base62 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; ID_LENGTH] = text.as_bytes().try_into().ok()?;
        is_base62(text).then_some(Self(digits))
    }

    /// Makes an id of 128 random bits, reduced modulo 62^16 (about 2^95). Each id is hit by 2^32 or
    /// more of the 2^128 inputs, give or take one, so none is likelier than another by more than one
    /// part in 2^32: no observer can tell that from uniform.
    pub fn from_random(random: [u8; 16]) -> Self {
        let mut number = u128::from_be_bytes(random);
        Self(base62(|| {
            let digit = (number % 62) as u8;
            number /= 62;
            digit
        }))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Always ASCII, by construction; the fallback only keeps this function total.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What an organization's key texts begin with: `[a-z0-9]{2,16}`, `kt` by default.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPrefix(Box<str>);

impl KeyPrefix {
    /// Reads a prefix, without the underscore that follows it. Errors: [`KeyTextError::Prefix`].
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if PREFIX_LENGTHS.contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(KeyTextError::Prefix)
        }
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for KeyPrefix {
    fn default() -> Self {
        Self("kt".into())
    }
}

/// The 49 characters that prove possession of a key. Erased from memory when dropped; compare it
/// through its verifiers, never as text.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Reads 49 base62 characters. The checksum covers the prefix and the id as well, so a bare secret
    /// is not checked here: see [`checksum_holds`].
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == SECRET_LENGTH && is_base62(text)).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret itself, for a verifier and for nothing that is kept or logged.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A whole key text whose checksum holds.
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
    /// Mints the text of a key from 256 random bits, written as a big-endian base62 number.
    pub fn new(prefix: KeyPrefix, id: KeyId, random: [u8; 32]) -> Self {
        let mut number = Zeroizing::new(random);
        let digits: Zeroizing<[u8; RANDOM_LENGTH]> = Zeroizing::new(base62(|| divide_by_62(&mut number)));
        let checksum = checksum(&prefix, &id, digits.as_slice());
        // Full capacity at once: a String that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(SECRET_LENGTH));
        text.extend(digits.iter().chain(&checksum).map(|&b| char::from(b)));
        Self { prefix, id, secret: Secret(text) }
    }

    /// Reads a key text and checks its checksum.
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

    /// What the text begins with.
    pub fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    /// Whose text it is.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The secret in it.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Keeps the secret only.
    pub fn into_secret(self) -> Secret {
        self.secret
    }

    /// The whole text, to be shown once.
    pub fn reveal(&self) -> Zeroizing<String> {
        let pieces = [self.prefix.as_str(), "_", self.id.as_str(), "_", self.secret.expose()];
        let length = pieces.iter().map(|piece| piece.len()).sum();
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.extend(pieces);
        text
    }

    /// What lists show to tell keys apart, like `kt_...Ab12`. The last four characters belong to the
    /// checksum, so none of the random digits are given away.
    pub fn hint(&self) -> String {
        let secret = self.secret.expose();
        let last_four = secret.get(SECRET_LENGTH - 4..).unwrap_or_default();
        format!("{}_...{last_four}", self.prefix)
    }
}

/// Whether the checksum at the end of `secret` is that of a key text with this prefix and id.
pub fn checksum_holds(prefix: &KeyPrefix, id: &KeyId, secret: &Secret) -> bool {
    match secret.expose().as_bytes().split_last_chunk::<CHECKSUM_LENGTH>() {
        Some((random, found)) => checksum(prefix, id, random) == *found,
        None => false,
    }
}

/// Whether a bearer text should be read as a key text: three parts of the right lengths and no dot. A
/// JWT always has dots (RFC 7519 §3). Says nothing about the characters or the checksum.
pub fn looks_like_key_text(text: &str) -> bool {
    let right_lengths = |(prefix, id, secret): (&str, &str, &str)| {
        PREFIX_LENGTHS.contains(&prefix.len()) && id.len() == ID_LENGTH && secret.len() == SECRET_LENGTH
    };
    LENGTHS.contains(&text.len()) && parts(text).is_some_and(right_lengths) && !text.contains('.')
}

/// Why a text is not a key text. The messages hold none of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyTextError {
    /// Not three parts.
    Shape,
    /// The prefix is not `[a-z0-9]{2,16}`.
    Prefix,
    /// The id is not 16 base62 characters.
    Id,
    /// The secret is not 49 base62 characters.
    Secret,
    /// Well formed, but mistyped or made up.
    Checksum,
}

impl std::error::Error for KeyTextError {}

impl fmt::Display for KeyTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "a key is three parts with an underscore between them: prefix_id_secret",
            Self::Prefix => "the prefix of a key is 2 to 16 of a-z and 0-9",
            Self::Id => "the id of a key is 16 of 0-9, A-Z and a-z",
            Self::Secret => "the secret of a key is 49 of 0-9, A-Z and a-z",
            Self::Checksum => "the checksum of the key does not hold: it was mistyped or cut",
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

/// Exactly three parts; what is in them is not looked at.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let (prefix, rest) = text.split_once('_')?;
    let (id, secret) = rest.split_once('_')?;
    (!secret.contains('_')).then_some((prefix, id, secret))
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The last `N` base62 digits of a number. `next` divides it by 62 and returns the remainder.
fn base62<const N: usize>(mut next: impl FnMut() -> u8) -> [u8; N] {
    let mut digits = [b'0'; N];
    for place in digits.iter_mut().rev() {
        *place = digit(next());
    }
    digits
}

/// The base62 digit for a value below 62, in the order 0-9, A-Z, a-z.
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

/// The CRC-32 of `{prefix}_{id}_{random}`, in six digits.
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
