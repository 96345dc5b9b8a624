//! The master key, which encrypts the signing keys.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::error::ConfigError;
use super::field::Field;

/// Where the master keys are; the first of several is current.
#[derive(Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// Given in the configuration itself: at least one.
    Inline(Vec<Zeroizing<[u8; 32]>>),
    /// In a file for [`parse_master_keys`], not read here; a relative path starts at the working directory.
    File(PathBuf),
}

impl fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(keys) => write!(f, "Inline({} not shown)", keys.len()),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Reads master keys: base64 (standard or URL-safe, padded or not) of exactly 32 bytes each, separated by
/// commas or white space; lines that start with `#` are comments. An error contains nothing of the text.
pub fn parse_master_keys(text: &str) -> Result<Vec<Zeroizing<[u8; 32]>>, String> {
    let words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()))
        .filter(|word| !word.is_empty());
    let keys = words
        .enumerate()
        .map(|(index, word)| decode(word).map_err(|why| format!("key {} {why}", index + 1)))
        .collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err("there is no key".to_owned()) } else { Ok(keys) }
}

/// Reads `secrets.master_key`, or else `secrets.master_key_file`.
pub(super) fn master_key(field: &Field<'_>) -> Result<MasterKeySource, ConfigError> {
    let text = field.text()?;
    let file = field.sibling("master_key_file");
    match file {
        Some(file) if text.is_empty() => Ok(MasterKeySource::File(master_key_file(&file)?)),
        Some(file) if file.is_set() => Err(file.refuse_beside(field)),
        _ => parse_master_keys(text)
            .map(MasterKeySource::Inline)
            .map_err(|reason| field.refuse_because(&format!("is not usable: {reason}"))),
    }
}

/// Reads `secrets.master_key_file`, which may be empty only beside `secrets.master_key`.
pub(super) fn master_key_file(field: &Field<'_>) -> Result<PathBuf, ConfigError> {
    let path = field.text()?;
    if path.is_empty() && !field.sibling("master_key").is_some_and(|key| key.is_set()) {
        return Err(field.refuse());
    }
    if looks_like_a_key(path) {
        return Err(field.refuse_because("is a key (not shown)"));
    }
    Ok(PathBuf::from(path))
}

/// A key in the place of its path, which later errors would repeat. A long path may be base64 by accident,
/// but has slashes and no padding.
fn looks_like_a_key(path: &str) -> bool {
    (path.ends_with('=') || !path.contains('/')) && parse_master_keys(path).is_ok()
}

fn decode(word: &str) -> Result<Zeroizing<[u8; 32]>, String> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet: &Alphabet = if word.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let bytes = GeneralPurpose::new(alphabet, LENIENT).decode(word).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "is not base64".to_owned())?;
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() != key.len() {
        return Err(format!("is {} bytes long, not 32", bytes.len()));
    }
    key.copy_from_slice(&bytes);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::tests::{Scene, load, load_variable, refusal};
    use super::{MasterKeySource, parse_master_keys};

    const SEVENS: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const ONES_FILLED: &str = "//////////////////////////////////////////8=";
    const ONES_FILLED_URL_SAFE: &str = "__________________________________________8";

    fn bytes(text: &str) -> Vec<[u8; 32]> {
        parse_master_keys(text).unwrap().iter().map(|key| **key).collect()
    }

    #[test]
    fn keys_come_in_every_base64() {
        for text in [ONES_FILLED, ONES_FILLED.trim_end_matches('='), ONES_FILLED_URL_SAFE] {
            assert_eq!(bytes(text), [[255; 32]]);
        }
        assert_eq!(bytes(&format!("{ONES_FILLED_URL_SAFE}=")), [[255; 32]]);
    }

    #[test]
    fn the_first_of_several_comes_first() {
        for text in [
            format!("{SEVENS},{ONES_FILLED}"),
            format!("{SEVENS} , {ONES_FILLED}"),
            format!("# current\n{SEVENS}\r\n\n  # old\n{ONES_FILLED}\n"),
        ] {
            assert_eq!(bytes(&text), [[7; 32], [255; 32]]);
        }
    }

    #[test]
    fn errors_do_not_contain_the_text() {
        for (text, message) in [
            ("", "there is no key"),
            (" ,\n# only a comment", "there is no key"),
            ("aHVudGVyMg==", "key 1 is 7 bytes long, not 32"),
            ("hunter2!", "key 1 is not base64"),
            ("//////////////////////////////////////////-=", "key 1 is not base64"),
        ] {
            assert_eq!(parse_master_keys(text).unwrap_err(), message);
            let second = format!("{SEVENS}\n{text}");
            if !message.starts_with("there") {
                assert_eq!(parse_master_keys(&second).unwrap_err(), message.replace('1', "2"));
            }
        }
    }

    #[test]
    fn an_inline_key_wins_over_the_default_file_only() {
        assert_eq!(load(&[]).secrets.master_key, MasterKeySource::File(PathBuf::from("data/master.key")));

        let settings = load_variable("KEYTURN_SECRETS__MASTER_KEY", SEVENS);
        assert_eq!(
            format!("{:?}", settings.secrets),
            "Secrets { master_key: Inline(1 not shown), master_key_file: \"data/master.key\" }"
        );
        let rows = settings.describe();
        let variable = "KEYTURN_SECRETS__MASTER_KEY".to_owned();
        assert!(rows.contains(&("secrets.master_key".into(), "(set)".into(), variable)));
        let file = ("secrets.master_key_file".into(), "(not used)".into(), "default".into());
        assert!(rows.contains(&file));

        let scene = Scene::new().with("config/keyturn.toml", "[secrets]\nmaster_key_file = 'data/master.key'");
        assert_eq!(
            scene.refusal(&[("KEYTURN_SECRETS__MASTER_KEY", SEVENS)]),
            "config/keyturn.toml:2: secrets.master_key_file cannot be combined with secrets.master_key \
             (KEYTURN_SECRETS__MASTER_KEY); remove one of them, or set it to an empty string"
        );
    }

    #[test]
    fn unusable_keys_are_refused() {
        assert_eq!(
            refusal("KEYTURN_SECRETS__MASTER_KEY", "aHVudGVyMg=="),
            "KEYTURN_SECRETS__MASTER_KEY: secrets.master_key is not usable: key 1 is 7 bytes long, not 32; \
             allowed: one or more keys of 32 bytes, each as base64, separated by commas or spaces"
        );
        assert_eq!(
            refusal("KEYTURN_SECRETS__MASTER_KEY_FILE", ""),
            "KEYTURN_SECRETS__MASTER_KEY_FILE: secrets.master_key_file is empty; allowed: a path, or an \
             empty string if secrets.master_key is set"
        );
        for key in [SEVENS, ONES_FILLED, ONES_FILLED_URL_SAFE] {
            assert_eq!(
                refusal("KEYTURN_SECRETS__MASTER_KEY_FILE", key),
                "KEYTURN_SECRETS__MASTER_KEY_FILE: secrets.master_key_file is a key (not shown); allowed: a \
                 path, or an empty string if secrets.master_key is set"
            );
        }
    }
}
