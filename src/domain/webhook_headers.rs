//! Custom headers of a webhook, such as `Authorization`. Their values are secrets.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// Maximum number of headers of a webhook.
pub const MAX_HEADERS: usize = 10;
/// Maximum length of a name in bytes.
const MAX_NAME: usize = 64;
/// Maximum length of a value in bytes.
const MAX_VALUE: usize = 2048;

/// Names that Keyturn, HTTP itself, or proxies between Keyturn and the receiver control.
const RESERVED: [&str; 24] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Prefixes of reserved names.
const RESERVED_PREFIXES: [&str; 4] = ["webhook-", "x-forwarded-", "sec-", "x-keyturn-"];

/// Headers by lower-case name, sorted.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CustomHeaders(BTreeMap<String, Zeroizing<String>>);

impl CustomHeaders {
    /// Validates headers. Errors repeat no values and no invalid names.
    ///
    /// ```
    /// use keyturn::domain::webhook_headers::CustomHeaders;
    /// let headers = CustomHeaders::parse([("X-Api-Key".to_owned(), "secret".to_owned())]).unwrap();
    /// assert_eq!(headers.names().collect::<Vec<_>>(), ["x-api-key"]);
    /// assert!(CustomHeaders::parse([("Host".to_owned(), "a.example".to_owned())]).is_err());
    /// ```
    pub fn parse(headers: impl IntoIterator<Item = (String, String)>) -> Result<Self, String> {
        let mut read = BTreeMap::new();
        for (name, value) in headers {
            let value = Zeroizing::new(value);
            let name = check_name(&name)?;
            check_value(&name, &value)?;
            if read.len() == MAX_HEADERS {
                return Err(format!("too many; at most {MAX_HEADERS} are allowed"));
            }
            if read.insert(name.clone(), value).is_some() {
                return Err(format!("{name} is given twice; names are case-insensitive"));
            }
        }
        Ok(Self(read))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the headers for encryption: one line per header with name, colon and value.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_HEADERS * (MAX_NAME + MAX_VALUE + 2)));
        for (name, value) in self.iter() {
            for part in [name, ":", value, "\n"] {
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        bytes
    }

    /// Reads the output of [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let lines = std::str::from_utf8(bytes).ok()?.lines();
        let read = lines.map(|line| line.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned())));
        Self::parse(read.collect::<Option<Vec<_>>>()?).ok()
    }
}

/// Prints only names: values are secrets.
impl fmt::Debug for CustomHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Returns the name in lower case if webhooks may send it (RFC 9110 §5.1).
fn check_name(name: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_allowed) {
        return Err(format!("header names must be 1 to {MAX_NAME} characters of letters, digits and \"-\""));
    }
    let name = name.to_ascii_lowercase();
    if RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(format!("{name} is reserved"));
    }
    Ok(name)
}

fn check_value(name: &str, value: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if !(1..=MAX_VALUE).contains(&value.len()) || !value.bytes().all(is_allowed) || value.trim() != value {
        return Err(format!(
            "the value of {name} must be 1 to {MAX_VALUE} printable ASCII characters without spaces at the ends"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Result<CustomHeaders, String> {
        CustomHeaders::parse(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn headers_are_read_back() {
        for headers in [
            &[][..],
            &[("Authorization", "Basic dTpw")],
            &[("X-Token", "a:b: c"), ("authorization", "Bearer x"), ("CF-Access-Client-Id", "1")],
        ] {
            let read = parse(headers).unwrap();
            assert_eq!(CustomHeaders::from_bytes(&read.to_bytes()), Some(read.clone()));
            assert_eq!(read.is_empty(), headers.is_empty());
        }
        assert_eq!(CustomHeaders::from_bytes(b"no colon\n"), None);
        assert_eq!(CustomHeaders::from_bytes(&[0xff]), None);
    }

    #[test]
    fn errors_repeat_no_values() {
        let long = "x".repeat(MAX_VALUE + 1);
        for headers in [
            &[("", "hunter2")][..],
            &[("X Token", "hunter2")],
            &[("Authorization: Bearer hunter2", "x")],
            &[("X-Tok\u{e9}n", "hunter2")],
            &[("Content-Type", "hunter2")],
            &[("WEBHOOK-ID", "hunter2")],
            &[("webhook-anything", "hunter2")],
            &[("X-Forwarded-For", "hunter2")],
            &[("transfer-encoding", "hunter2")],
            &[("X-Token", "")],
            &[("X-Token", " hunter2")],
            &[("X-Token", "hunter2\r\nX-Other: 1")],
            &[("X-Token", "hunter2\u{e9}")],
            &[("X-Token", &long)],
            &[("X-Token", "hunter2"), ("x-token", "hunter2")],
        ] {
            let error = parse(headers).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let many: Vec<(String, String)> = (0..=MAX_HEADERS).map(|n| (format!("x-{n}"), "v".into())).collect();
        assert!(CustomHeaders::parse(many).unwrap_err().contains("at most 10"));
        assert!(!format!("{:?}", parse(&[("X-Token", "hunter2")]).unwrap()).contains("hunter2"));
    }
}
