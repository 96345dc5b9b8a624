//! Metadata: text that an operator stores with an object, by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Maximum number of pairs.
pub const MAX_PAIRS: usize = 50;
/// Maximum length of a name in bytes.
pub const MAX_NAME: usize = 64;
/// Maximum length of all names and values together in bytes.
pub const MAX_BYTES: usize = 4096;

/// Pairs of a name and a value, at most [`MAX_PAIRS`] and [`MAX_BYTES`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

/// Reason why pairs are no metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("at most {MAX_PAIRS} pairs are allowed")]
    TooMany,
    #[error("at most {MAX_BYTES} bytes are allowed in all names and values together")]
    TooLong,
    #[error("a name must have 1 to {MAX_NAME} of A-Z, a-z, 0-9, '_', '-' and '.'")]
    Name,
    #[error("control characters are not allowed in values")]
    Value,
}

impl Metadata {
    /// Checks names, values and sizes.
    ///
    /// ```
    /// use keyturn::domain::metadata::{Metadata, MetadataError};
    /// let of = |name: &str, value: &str| Metadata::new([(name.to_owned(), value.to_owned())]);
    /// assert!(of("plan", "Pro, yearly").is_ok());
    /// assert_eq!(of("a plan", "Pro"), Err(MetadataError::Name));
    /// assert_eq!(of("plan", "a\nb"), Err(MetadataError::Value));
    /// assert_eq!(of("plan", &"x".repeat(4093)), Err(MetadataError::TooLong));
    /// ```
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, MetadataError> {
        let pairs: BTreeMap<String, String> = pairs.into_iter().collect();
        if pairs.len() > MAX_PAIRS {
            return Err(MetadataError::TooMany);
        }
        if !pairs.keys().all(|name| Self::is_name(name)) {
            return Err(MetadataError::Name);
        }
        if pairs.values().any(|value| value.chars().any(char::is_control)) {
            return Err(MetadataError::Value);
        }
        let metadata = Self(pairs);
        if metadata.bytes() > MAX_BYTES { Err(MetadataError::TooLong) } else { Ok(metadata) }
    }

    /// Whether a text can be a name.
    pub fn is_name(text: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_plain)
    }

    /// Returns the value with a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The pairs by name.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The length of all names and values together.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(number: usize, length: usize) -> Vec<(String, String)> {
        (0..number).map(|n| (format!("n{n:02}"), "v".repeat(length))).collect()
    }

    #[test]
    fn limits_are_inclusive() {
        assert!(Metadata::new(pairs(MAX_PAIRS, 1)).is_ok());
        assert_eq!(Metadata::new(pairs(MAX_PAIRS + 1, 1)), Err(MetadataError::TooMany));
        assert!(Metadata::new(pairs(1, MAX_BYTES - 3)).is_ok());
        assert_eq!(Metadata::new(pairs(1, MAX_BYTES - 2)), Err(MetadataError::TooLong));
        let named = |length| Metadata::new([("n".repeat(length), String::new())]);
        assert!(named(MAX_NAME).is_ok());
        assert_eq!((named(0), named(MAX_NAME + 1)), (Err(MetadataError::Name), Err(MetadataError::Name)));
    }
}
