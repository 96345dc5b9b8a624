//! Custom claims of tokens and headers of `/verify`: where each of them gets its value from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::domain::api_key::ApiKey;
use crate::domain::customer::Customer;
use crate::domain::metadata::Metadata;
use crate::domain::violation::{Violation, ViolationKind};

/// Maximum number of custom claims, and of custom headers.
pub const MAX_ATTRIBUTES: usize = 16;
/// Maximum length of a value in bytes. A claim with a longer one is left out, and a header is empty: proxies limit the length of
/// headers, so a long token could not be used.
pub const MAX_VALUE_BYTES: usize = 512;
/// Maximum length of the name of a claim or header in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Claims with a meaning of their own, which a policy cannot set: those of Keyturn's tokens and of introspection, and those by
/// which receivers recognize rights, holders and other kinds of token (RFC 7519 §4.1, 7662 §2.2, 7800 §3.1, 8693 §4, 9068 §2.2).
const RESERVED_CLAIMS: [&str; 27] = [
    "act",
    "active",
    "aud",
    "azp",
    "cidrs",
    "client_id",
    "cnf",
    "crit",
    "customer",
    "customer_gen",
    "events",
    "exp",
    "external_id",
    "gen",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "nonce",
    "org",
    "scope",
    "scp",
    "sub",
    "sv",
    "token_type",
    "username",
];

/// Beginnings of header names that Keyturn, proxies or clients use for something else.
const RESERVED_HEADERS: [&str; 7] =
    ["x-keyturn-", "x-forwarded-", "x-original-", "x-real-", "x-api-key", "x-request-", "x-accel-"];

/// Returns the custom claims of a verified token.
pub fn custom_of_token(token: &str) -> Map<String, Value> {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Map<String, Value>> = payload.and_then(|json| serde_json::from_slice(&json).ok());
    let is_custom = |(name, _): &(String, Value)| !RESERVED_CLAIMS.contains(&name.as_str());
    claims.unwrap_or_default().into_iter().filter(is_custom).collect()
}

/// Custom claims or headers, by name.
pub type Attributes = BTreeMap<String, Attribute>;

/// Returns the values for a key and its customer, without those that have none.
pub fn values<'a>(
    attributes: &'a Attributes,
    key: &'a ApiKey,
    customer: Option<&'a Customer>,
) -> BTreeMap<&'a str, AttributeValue<'a>> {
    let value = |(name, source): (&'a String, &'a Attribute)| Some((name.as_str(), source.value(key, customer)?));
    attributes.iter().filter_map(value).collect()
}

/// Where a claim or a header gets its value from.
///
/// As text: `metadata.x`, `customer.external_id`, `customer.metadata.x`, `owner`, or a constant. `=` before a constant is for one
/// that reads like a source.
///
/// ```
/// use keyturn::domain::attribute::{Attribute, Constant};
/// assert_eq!(Attribute::parse("metadata.plan"), Ok(Attribute::Metadata("plan".into())));
/// assert_eq!(Attribute::parse("production"), Ok(Attribute::Constant(Constant::Text("production".into()))));
/// assert_eq!(Attribute::parse("=owner"), Ok(Attribute::Constant(Constant::Text("owner".into()))));
/// assert!(Attribute::parse("customer.name").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// Metadata of the key.
    Metadata(String),
    CustomerExternalId,
    CustomerMetadata(String),
    /// The ID of the member who owns the key.
    Owner,
    Constant(Constant),
}

/// A value that is the same for all keys.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Constant {
    Text(String),
    Number(i64),
    Boolean(bool),
}

/// Reason why a text is no source of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "must be metadata.NAME, customer.external_id, customer.metadata.NAME, owner, or a constant of at most \
     {MAX_VALUE_BYTES} bytes without control characters; write = before a constant that begins like one of these"
)]
pub struct AttributeError;

impl Attribute {
    /// Parses the text form.
    pub fn parse(text: &str) -> Result<Self, AttributeError> {
        if let Some(constant) = text.strip_prefix('=') {
            return Self::text(constant);
        }
        let name = |name: &str| if Metadata::is_name(name) { Ok(name.to_owned()) } else { Err(AttributeError) };
        if let Some(rest) = text.strip_prefix("metadata.") {
            return name(rest).map(Self::Metadata);
        }
        if let Some(rest) = text.strip_prefix("customer.metadata.") {
            return name(rest).map(Self::CustomerMetadata);
        }
        match text {
            "owner" => Ok(Self::Owner),
            "customer.external_id" => Ok(Self::CustomerExternalId),
            other => {
                let first = other.split('.').next().unwrap_or_default();
                // A misspelled source must not become a constant.
                if matches!(first, "metadata" | "customer" | "owner") { Err(AttributeError) } else { Self::text(other) }
            }
        }
    }

    /// Parses the text form, in which a whole number, `true` and `false` are constants of their own type.
    pub fn parse_typed(text: &str) -> Result<Self, AttributeError> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Constant(Constant::Number(number)));
        }
        match text {
            "true" => Ok(Self::Constant(Constant::Boolean(true))),
            "false" => Ok(Self::Constant(Constant::Boolean(false))),
            text => Self::parse(text),
        }
    }

    /// Returns the text form as one of two functions parses it.
    fn to_text(&self, parse: fn(&str) -> Result<Self, AttributeError>) -> String {
        match self {
            Self::Metadata(name) => format!("metadata.{name}"),
            Self::CustomerMetadata(name) => format!("customer.metadata.{name}"),
            Self::CustomerExternalId => "customer.external_id".into(),
            Self::Owner => "owner".into(),
            Self::Constant(Constant::Text(text)) if parse(text).as_ref() == Ok(self) => text.clone(),
            Self::Constant(Constant::Text(text)) => format!("={text}"),
            Self::Constant(Constant::Number(number)) => number.to_string(),
            Self::Constant(Constant::Boolean(boolean)) => boolean.to_string(),
        }
    }

    fn text(text: &str) -> Result<Self, AttributeError> {
        let is_valid = text.len() <= MAX_VALUE_BYTES && !text.chars().any(char::is_control);
        if is_valid { Ok(Self::Constant(Constant::Text(text.to_owned()))) } else { Err(AttributeError) }
    }

    /// Returns the value for a key and its customer. `None` if there is none, or it is longer than [`MAX_VALUE_BYTES`].
    pub fn value<'a>(&'a self, key: &'a ApiKey, customer: Option<&'a Customer>) -> Option<AttributeValue<'a>> {
        let text = match self {
            Self::Constant(Constant::Text(text)) => Some(text.as_str()),
            Self::Constant(Constant::Number(number)) => return Some(AttributeValue::Number(*number)),
            Self::Constant(Constant::Boolean(boolean)) => return Some(AttributeValue::Boolean(*boolean)),
            Self::Metadata(name) => key.metadata.get(name),
            Self::CustomerExternalId => customer.map(|customer| customer.external_id.as_str()),
            Self::CustomerMetadata(name) => customer.and_then(|customer| customer.metadata.get(name)),
            Self::Owner => key.owner.as_ref().map(|owner| owner.0.as_str()),
        };
        text.filter(|text| text.len() <= MAX_VALUE_BYTES).map(AttributeValue::Text)
    }
}

/// As [`Attribute::parse_typed`] reads it.
impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(Self::parse_typed))
    }
}

impl Serialize for Attribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant(Constant::Number(number)) => serializer.serialize_i64(*number),
            Self::Constant(Constant::Boolean(boolean)) => serializer.serialize_bool(*boolean),
            source => serializer.serialize_str(&source.to_text(Self::parse)),
        }
    }
}

/// Implemented by hand because the errors of serde's untagged enums do not say what is expected.
impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyForm;

        impl Visitor<'_> for AnyForm {
            type Value = Attribute;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the source of a value such as metadata.plan, or a constant: a string, a whole number or a boolean",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Attribute, E> {
                Attribute::parse(text).map_err(E::custom)
            }

            fn visit_bool<E: Error>(self, boolean: bool) -> Result<Attribute, E> {
                Ok(Attribute::Constant(Constant::Boolean(boolean)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Attribute, E> {
                Ok(Attribute::Constant(Constant::Number(number)))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Attribute, E> {
                i64::try_from(number).map_err(|_| E::custom("the number is too large")).and_then(|n| self.visit_i64(n))
            }
        }

        deserializer.deserialize_any(AnyForm)
    }
}

/// A value of a custom claim or header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum AttributeValue<'a> {
    Text(&'a str),
    Number(i64),
    Boolean(bool),
}

impl<'a> AttributeValue<'a> {
    /// The value as JSON.
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => number.into(),
            Self::Boolean(boolean) => boolean.into(),
        }
    }

    /// The value as text.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => number.to_string().into(),
            Self::Boolean(boolean) => boolean.to_string().into(),
        }
    }
}

/// Returns every invalid name of a custom claim; `field` has the claims.
pub fn check_claims(field: &str, claims: &Attributes) -> Vec<Violation> {
    check(field, claims, |name| {
        let is_valid = (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'='));
        if !is_valid {
            return Some(format!(
                "{name:?} must have 1 to {MAX_NAME_BYTES} printable ASCII characters without spaces, \", \\ and ="
            ));
        }
        RESERVED_CLAIMS.contains(&name).then(|| format!("{name} is reserved"))
    })
}

/// Returns every invalid name of a custom header; `field` has the headers.
pub fn check_headers(field: &str, headers: &Attributes) -> Vec<Violation> {
    let mut violations = check(field, headers, |name| {
        let lower = name.to_ascii_lowercase();
        let is_valid = (3..=MAX_NAME_BYTES).contains(&name.len())
            && lower.starts_with("x-")
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_valid {
            return Some(format!(
                "{name:?} must begin with X- and have at most {MAX_NAME_BYTES} of A-Z, a-z, 0-9 and '-'"
            ));
        }
        RESERVED_HEADERS.iter().any(|reserved| lower.starts_with(reserved)).then(|| format!("{name} is reserved"))
    });
    let mut lower: Vec<String> = headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    lower.sort_unstable();
    if let Some((twice, _)) = lower.iter().zip(lower.iter().skip(1)).find(|(one, next)| one == next) {
        violations.push(Violation::new(field, ViolationKind::Other(format!("{twice} is listed twice"))));
    }
    violations
}

fn check(field: &str, attributes: &Attributes, fault: impl Fn(&str) -> Option<String>) -> Vec<Violation> {
    let mut violations = Vec::new();
    if attributes.len() > MAX_ATTRIBUTES {
        violations.push(Violation::new(field, ViolationKind::EntryCount { least: 0, most: MAX_ATTRIBUTES }));
    }
    let faults = attributes.keys().filter_map(|name| fault(name));
    violations.extend(faults.map(|text| Violation::new(field, ViolationKind::Other(text))));
    violations
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::api_key::tests::key;

    fn attributes(names: &[&str]) -> Attributes {
        names.iter().map(|name| ((*name).to_owned(), Attribute::Owner)).collect()
    }

    #[test]
    fn misspelled_sources_are_no_constants() {
        for text in [
            "metadata",
            "metadata.",
            "metadata.a b",
            "customer",
            "customer.name",
            "customer.metadata.",
            "owner.id",
            "a\nb",
        ] {
            assert_eq!(Attribute::parse(text), Err(AttributeError), "{text}");
        }
        assert_eq!(Attribute::parse(&"a".repeat(MAX_VALUE_BYTES + 1)), Err(AttributeError));
    }

    #[test]
    fn names_with_a_meaning_are_reserved() {
        let fields = |violations: Vec<Violation>| violations.len();
        assert_eq!(fields(check_claims("token_claims", &attributes(&RESERVED_CLAIMS[..16]))), 16);
        assert_eq!(
            fields(check_claims("token_claims", &attributes(&RESERVED_CLAIMS[16..]))),
            RESERVED_CLAIMS.len() - 16
        );
        assert_eq!(
            fields(check_claims("token_claims", &attributes(&["plan", "https://example.com/tier", "Scope"]))),
            0
        );
        assert_eq!(fields(check_claims("token_claims", &attributes(&["a b", "", "a=b"]))), 3);
        let reserved = ["X-Keyturn-Scope", "x-forwarded-for", "X-Request-Id", "Set-Cookie", "X-", "X-A_B"];
        assert_eq!(fields(check_headers("verify_headers", &attributes(&reserved))), reserved.len());
        assert_eq!(fields(check_headers("verify_headers", &attributes(&["X-Plan", "X-Customer-Tier"]))), 0);
        assert_eq!(fields(check_headers("verify_headers", &attributes(&["X-Plan", "x-plan"]))), 1);
    }

    #[test]
    fn long_and_missing_values_are_none() {
        let mut key = key("", &[]);
        key.metadata = Metadata::new([
            ("plan".to_owned(), "pro".to_owned()),
            ("long".to_owned(), "x".repeat(MAX_VALUE_BYTES + 1)),
        ])
        .unwrap();
        let value =
            |text: &str| Attribute::parse(text).unwrap().value(&key, None).map(|value| value.to_text().into_owned());
        assert_eq!(value("metadata.plan").as_deref(), Some("pro"));
        assert_eq!(value("production").as_deref(), Some("production"));
        for text in ["metadata.long", "metadata.absent", "customer.external_id", "customer.metadata.plan"] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn both_text_forms_round_trip(text in "[ -~é]{0,40}|[0-9]{1,4}|true|owner", number: i64, boolean: bool) {
            let constants = [Constant::Text(text.clone()), Constant::Number(number), Constant::Boolean(boolean)];
            let sources = [Attribute::Owner, Attribute::CustomerExternalId, Attribute::Metadata("a".into()), Attribute::CustomerMetadata("b.c".into())];
            for attribute in constants.map(Attribute::Constant).into_iter().chain(sources) {
                let json = serde_json::to_string(&attribute).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Attribute>(&json).unwrap(), &attribute);
                prop_assert_eq!(Attribute::parse_typed(&attribute.to_string()).unwrap(), attribute);
            }
        }
    }
}
