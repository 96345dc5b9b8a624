//! `[token]`: what access tokens are like.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::Deserialize;

use super::error::ConfigError;
use super::section::{Section, SectionOutline, Setting};

/// `[token]`: access tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Seconds a token lives, 60 to 3600.
    pub ttl_seconds: u32,
    /// What new organizations sign with.
    pub algorithm: Algorithm,
    /// The `typ` header.
    pub typ: TokenType,
    /// The `aud` as it was set; `Settings::audience` fills in what is not set.
    pub audience: Option<String>,
}

/// A signature algorithm, by its name in RFC 7518 §3.1 and RFC 8037 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Algorithm {
    /// Every algorithm, the default first.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];
}

impl Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        })
    }
}

/// No algorithm is called that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("allowed is ES256, EdDSA or RS256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        match name {
            "ES256" => Ok(Self::Es256),
            "EdDSA" => Ok(Self::EdDsa),
            "RS256" => Ok(Self::Rs256),
            _ => Err(UnknownAlgorithm),
        }
    }
}

/// The `typ` header of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt`, RFC 9068 §2.1.
    AtJwt,
    /// `JWT`, for validators that refuse the other.
    Jwt,
}

impl TokenType {
    /// As it stands in the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtJwt => "at+jwt",
            Self::Jwt => "JWT",
        }
    }
}

impl Token {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        Ok(Self {
            ttl_seconds: section.within(&TTL_SECONDS, raw.ttl_seconds)?,
            algorithm: raw.algorithm.parse().map_err(|_| section.refuse(&ALGORITHM))?,
            typ: match raw.typ.as_str() {
                "at+jwt" => TokenType::AtJwt,
                "JWT" => TokenType::Jwt,
                _ => return Err(section.refuse(&TYP)),
            },
            audience: match raw.audience {
                text if text.is_empty() => None,
                text if text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic()) => Some(text),
                _ => return Err(section.refuse(&AUDIENCE)),
            },
        })
    }
}

const TTL_SECONDS: Setting = Setting::numbers("ttl_seconds", 60, 3600, "seconds");
const ALGORITHM: Setting = Setting::words("algorithm", "ES256, EdDSA or RS256");
const TYP: Setting = Setting::words("typ", "at+jwt or JWT");
const AUDIENCE: Setting =
    Setting::words("audience", "a URI or a name, 1 to 256 printable ASCII characters without spaces");

pub(super) const OUTLINE: SectionOutline =
    SectionOutline { name: "token", settings: &[TTL_SECONDS, ALGORITHM, TYP, AUDIENCE] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    ttl_seconds: u32,
    algorithm: String,
    typ: String,
    audience: String,
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load, load_variable, refusal};
    use super::{Algorithm, TokenType, UnknownAlgorithm};

    #[test]
    fn algorithms_are_read_as_they_print() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!("es256".parse::<Algorithm>(), Err(UnknownAlgorithm));
        assert_eq!(
            refusal("KEYTURN_TOKEN__ALGORITHM", "HS256"),
            "KEYTURN_TOKEN__ALGORITHM: token.algorithm is \"HS256\"; allowed is ES256, EdDSA or RS256"
        );
    }

    #[test]
    fn typ_is_one_of_two() {
        for typ in [TokenType::AtJwt, TokenType::Jwt] {
            assert_eq!(load_variable("KEYTURN_TOKEN__TYP", typ.as_str()).token.typ, typ);
        }
        assert_eq!(
            refusal("KEYTURN_TOKEN__TYP", "jwt"),
            "KEYTURN_TOKEN__TYP: token.typ is \"jwt\"; allowed is at+jwt or JWT"
        );
    }

    #[test]
    fn audience_is_the_public_url_unless_set() {
        assert_eq!(load(&[("KEYTURN_SERVER__PUBLIC_URL", "https://k.example")]).audience(), "https://k.example");
        for audience in ["https://api.example/v1/", "urn:example:api", "orders", &"a".repeat(256)] {
            assert_eq!(load_variable("KEYTURN_TOKEN__AUDIENCE", audience).audience(), audience);
        }
    }

    #[test]
    fn audience_has_no_spaces_and_an_end() {
        let allowed = "allowed is a URI or a name, 1 to 256 printable ASCII characters without spaces";
        let long = "a".repeat(257);
        let cut = format!("{}…", "a".repeat(80));
        for (given, shown) in [("a b", "a b"), ("\u{e9}", "\u{e9}"), (" ", " "), (long.as_str(), cut.as_str())] {
            assert_eq!(
                refusal("KEYTURN_TOKEN__AUDIENCE", given),
                format!("KEYTURN_TOKEN__AUDIENCE: token.audience is \"{shown}\"; {allowed}")
            );
        }
    }
}
