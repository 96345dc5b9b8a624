//! Claims of an access token (RFC 9068 §2.2) and its lifetime.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::attribute::AttributeValue;
use crate::domain::audience::is_same;
use crate::domain::timestamp::Timestamp;

/// The payload of an access token, without custom claims. Times are whole seconds (NumericDate). Texts are borrowed (`T = &str`)
/// to mint a token, and owned to read one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims<T = String> {
    /// The organization's issuer.
    pub iss: T,
    /// The key ID.
    pub sub: T,
    /// The key ID again: RFC 9068 §2.2 requires it if the subject is the client.
    pub client_id: T,
    /// A string if there is only one audience.
    pub aud: Audience<T>,
    /// Rounded down.
    pub iat: i64,
    pub exp: i64,
    pub jti: T,
    /// Scopes separated by spaces.
    pub scope: T,
    pub org: T,
    /// The key's generation when the token was issued.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// The version of the secret that the token was issued for.
    #[serde(rename = "sv")]
    pub secret_version: u64,
    /// The ID of the key's customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<T>,
    /// The customer's generation when the token was issued.
    #[serde(rename = "customer_gen", default, skip_serializing_if = "Option::is_none")]
    pub customer_generation: Option<u64>,
    /// The key's allowed networks, if it is restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidrs: Option<Vec<String>>,
}

/// The payload of an access token with custom claims.
#[derive(Debug, Serialize)]
pub struct ExtendedClaims<'a> {
    #[serde(flatten)]
    pub claims: Claims<&'a str>,
    /// None of them is one of Keyturn's own.
    #[serde(flatten)]
    pub custom: BTreeMap<&'a str, AttributeValue<'a>>,
}

/// One audience is a string, several are a list (RFC 7519 §4.1.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience<T = String> {
    One(T),
    /// Requested with a repeated `resource` parameter (RFC 8707 §2).
    Many(Vec<T>),
}

impl<T: AsRef<str>> Audience<T> {
    /// Creates an audience from a list without duplicates; a single entry is written as a string.
    pub fn from_list(mut list: Vec<T>) -> Self {
        match list.pop() {
            Some(only) if list.is_empty() => Self::One(only),
            Some(last) => {
                list.push(last);
                Self::Many(list)
            }
            None => Self::Many(list),
        }
    }

    /// The audiences, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
        .iter()
        .map(AsRef::as_ref)
    }

    /// Whether the token is for `audience`, in any equivalent spelling.
    pub fn contains(&self, audience: &str) -> bool {
        self.iter().any(|each| is_same(each, audience))
    }
}

/// Lifetime of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// In whole seconds, rounded down.
    pub iat: i64,
    /// In whole seconds.
    pub exp: i64,
    /// Remaining seconds from now, rounded down.
    pub expires_in: i64,
}

/// Returns the lifetime of a token issued at `now`: `ttl_seconds`, but not beyond `not_after`. `None` if less than a
/// second remains.
///
/// ```
/// use keyturn::domain::{claims::{Lifetime, lifetime}, timestamp::Timestamp};
/// let now = Timestamp::from_millis(10_900);
/// assert_eq!(lifetime(now, 600, None), Some(Lifetime { iat: 10, exp: 610, expires_in: 600 }));
/// let end = Some(Timestamp::from_millis(12_100));
/// assert_eq!(lifetime(now, 600, end), Some(Lifetime { iat: 10, exp: 12, expires_in: 1 }));
/// assert_eq!(lifetime(now, 600, Some(Timestamp::from_millis(11_800))), None);
/// ```
pub fn lifetime(now: Timestamp, ttl_seconds: u32, not_after: Option<Timestamp>) -> Option<Lifetime> {
    let iat = now.as_seconds();
    let full = iat.saturating_add(i64::from(ttl_seconds));
    match not_after.map(Timestamp::as_seconds).filter(|end| *end < full) {
        None => Some(Lifetime { iat, exp: full, expires_in: i64::from(ttl_seconds) }),
        Some(exp) => {
            let expires_in = Timestamp::from_seconds(exp).millis_since(now).div_euclid(1000);
            (expires_in > 0).then_some(Lifetime { iat, exp, expires_in })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn single_audience_is_a_string() {
        let json = |list: &[&str]| serde_json::to_string(&Audience::from_list(list.to_vec())).unwrap();
        assert_eq!(json(&["a"]), r#""a""#);
        assert_eq!(json(&["a", "b"]), r#"["a","b"]"#);
    }

    proptest! {
        #[test]
        fn token_never_outlives_its_key(now in 0i64..4_000_000_000_000, left in -10_000i64..4_000_000, ttl in 60u32..=3600) {
            let end = Timestamp::from_millis(now + left);
            if let Some(life) = lifetime(Timestamp::from_millis(now), ttl, Some(end)) {
                prop_assert!(life.iat < life.exp && life.exp <= life.iat + i64::from(ttl));
                prop_assert!(Timestamp::from_seconds(life.exp) <= end);
                prop_assert!((1..=i64::from(ttl)).contains(&life.expires_in));
                prop_assert!(life.expires_in <= life.exp - life.iat);
            }
        }
    }
}
