//! Organization slugs and issuers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of an organization in URLs and in the `org` claim: `[a-z0-9-]{1,40}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

impl Slug {
    /// Slug of the first organization.
    pub const DEFAULT: &'static str = "default";

    /// Parses `[a-z0-9-]{1,40}`.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        ((1..=40).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    pub fn default_organization() -> Self {
        Self(Self::DEFAULT.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the organization whose issuer is the public URL.
    pub fn is_default(&self) -> bool {
        self.0 == Self::DEFAULT
    }

    /// Returns the issuer (RFC 8414 §2) of this organization's tokens, given a public URL without a trailing slash.
    ///
    /// ```
    /// use keyturn::domain::slug::Slug;
    /// let issuer = |slug| Slug::parse(slug).map(|s| s.issuer("https://id.example"));
    /// assert_eq!(issuer("default").as_deref(), Some("https://id.example"));
    /// assert_eq!(issuer("acme").as_deref(), Some("https://id.example/o/acme"));
    /// ```
    pub fn issuer(&self, public_url: &str) -> String {
        if self.is_default() { public_url.to_owned() } else { format!("{public_url}/o/{}", self.0) }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Slug {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("an organization's slug must be 1 to 40 characters of a-z, 0-9 and '-'")
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_characters() {
        for good in ["a", "default", "a-1", &"x".repeat(40)] {
            assert!(Slug::parse(good).is_some(), "{good}");
        }
        for bad in ["", "A", "a_b", "a/b", "a.b", "a b", "é", &"x".repeat(41)] {
            assert!(Slug::parse(bad).is_none(), "{bad}");
        }
    }
}
