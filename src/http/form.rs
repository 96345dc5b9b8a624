//! `application/x-www-form-urlencoded`, strictly: malformed input is an error and never guessed at.

use percent_encoding::percent_decode_str;

/// The parameters of a form in order. A parameter without a value counts as omitted (RFC 6749 §3.2); [`Form::has`] finds it
/// nevertheless.
#[derive(Debug, Default)]
pub struct Form {
    filled: Vec<(String, String)>,
    empty: Vec<String>,
}

/// A fault of a form. The text names the parameter if it is a known one, and never a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FormError {
    /// A `%` that two hexadecimal digits do not follow.
    Escape(String),
    /// Not UTF-8.
    Encoding(String),
    /// A NUL.
    Nul(String),
    /// More than once.
    Repeated(String),
    /// Too many parameters.
    TooMany(usize),
}

/// More parameters than any form has.
const MAX_PARAMETERS: usize = 64;

impl Form {
    /// Reads a body of at most 64 parameters.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        Self::parse_long(body, MAX_PARAMETERS)
    }

    /// Reads a body of at most `most` parameters.
    pub fn parse_long(body: &[u8], most: usize) -> Result<Self, FormError> {
        let body = std::str::from_utf8(body).map_err(|_| FormError::Encoding("the form".into()))?;
        let (mut parameters, mut empty) = (Vec::new(), Vec::new());
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).map_err(|kind| kind.of("a parameter's name"))?;
            let value = decode(value).map_err(|kind| kind.of(&name_for_people(&name)))?;
            if value.is_empty() {
                // Any number of these is allowed, and only so many are stored.
                if empty.len() < most {
                    empty.push(name);
                }
                continue;
            }
            if parameters.len() == most {
                return Err(FormError::TooMany(most));
            }
            parameters.push((name, value));
        }
        Ok(Self { filled: parameters, empty })
    }

    /// Checks that no parameter is repeated except the repeatable ones.
    pub fn check_repeats(&self, repeatable: &[&str]) -> Result<(), FormError> {
        for (place, (name, _)) in self.filled.iter().enumerate() {
            let earlier = self.filled.iter().take(place).any(|(other, _)| other == name);
            if earlier && !repeatable.contains(&name.as_str()) {
                return Err(FormError::Repeated(name_for_people(name)));
            }
        }
        Ok(())
    }

    /// The first value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.filled.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.filled.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter was sent, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some() || self.empty.iter().any(|empty| empty == name)
    }

    /// Every parameter, those without a value last.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let filled = self.filled.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        filled.chain(self.empty.iter().map(|name| (name.as_str(), "")))
    }

    /// The names of the parameters that have a value, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.filled.iter().map(|(name, _)| name.as_str())
    }
}

impl std::fmt::Display for FormError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Escape(what) => write!(f, "{what}: a % must be followed by two hexadecimal digits"),
            Self::Encoding(what) => write!(f, "{what}: not UTF-8"),
            Self::Nul(what) => write!(f, "{what}: holds a NUL character"),
            Self::Repeated(what) => write!(f, "{what}: given more than once"),
            Self::TooMany(most) => write!(f, "the form: at most {most} parameters are allowed"),
        }
    }
}

/// A fault of an encoded text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// A `%` that two hexadecimal digits do not follow.
    Escape,
    /// Not UTF-8.
    Encoding,
    /// A NUL.
    Nul,
}

impl DecodeError {
    /// The error of a named text.
    pub fn of(self, what: &str) -> FormError {
        match self {
            Self::Escape => FormError::Escape(what.to_owned()),
            Self::Encoding => FormError::Encoding(what.to_owned()),
            Self::Nul => FormError::Nul(what.to_owned()),
        }
    }
}

/// Decodes one form-encoded text: `+` is a space, `%XX` a byte.
pub fn decode(text: &str) -> Result<String, DecodeError> {
    // Without branches, so that many bytes are checked at once. Most texts have nothing to decode.
    if !text.bytes().fold(false, |found, byte| found | matches!(byte, b'%' | b'+' | b'\0')) {
        return Ok(text.to_owned());
    }
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        if byte == b'%' && !(hex(rest.next()) && hex(rest.next())) {
            return Err(DecodeError::Escape);
        }
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| DecodeError::Encoding)?;
    if decoded.contains('\0') {
        return Err(DecodeError::Nul);
    }
    Ok(decoded.into_owned())
}

/// A parameter's name for error messages. Unknown names are not repeated: a mistaken client may have put a secret there.
fn name_for_people(name: &str) -> String {
    let known =
        ["grant_type", "client_id", "client_secret", "scope", "resource", "audience", "token", "token_type_hint"];
    if known.contains(&name) { name.to_owned() } else { "an unknown parameter".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(body: &str) -> Result<Vec<(String, String)>, FormError> {
        Form::parse(body.as_bytes()).map(|form| form.filled)
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn parameters_are_decoded_and_empty_ones_omitted() {
        let expected = vec![pair("a", "1 2"), pair("b", "ü=&"), pair("d", "x=y")];
        assert_eq!(parsed("a=1+2&&b=%C3%BC%3d%26&c=&c&d=x=y&"), Ok(expected));
        assert_eq!(parsed(""), Ok(vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_parameter() {
        for bad in ["scope=%", "scope=%4", "scope=%zz", "scope=a%%20"] {
            assert_eq!(parsed(bad), Err(FormError::Escape("scope".into())), "{bad}");
        }
        assert_eq!(parsed("scope=%ff"), Err(FormError::Encoding("scope".into())));
        assert_eq!(parsed("scope=a%00"), Err(FormError::Nul("scope".into())));
        assert_eq!(parsed("s%00=a"), Err(FormError::Nul("a parameter's name".into())));
        assert!(Form::parse(b"a=\xff").is_err());
    }

    #[test]
    fn repeats_are_found_but_where_they_are_allowed() {
        let form = Form::parse(b"resource=a&resource=b&scope=x&scope=x").unwrap();
        assert_eq!(form.check_repeats(&["resource"]), Err(FormError::Repeated("scope".into())));
        assert_eq!(form.check_repeats(&["resource", "scope"]), Ok(()));
        let secret_as_name = Form::parse(b"kt_secret=1&kt_secret=2").unwrap();
        assert_eq!(secret_as_name.check_repeats(&[]), Err(FormError::Repeated("an unknown parameter".into())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Form::parse(&body);
        }

        #[test]
        fn what_the_url_crate_writes_is_read_back(pairs in prop::collection::vec(("[a-z_]{1,8}", "[^\\x00]{1,20}"), 0..6)) {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
            prop_assert_eq!(parsed(&body).unwrap(), pairs);
        }
    }
}
