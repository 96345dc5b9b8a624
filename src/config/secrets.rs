//! `[secrets]`: the master key, which seals the signing keys.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::error::ConfigError;
use super::section::{Section, SectionOutline, Setting};

/// `[secrets]`: the master key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Where the master keys are.
    pub master_key: MasterKeySource,
}

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
/// commas or white space; lines that start with `#` are comments. What it says of a mistake holds nothing
/// of the text.
pub fn parse_master_keys(text: &str) -> Result<Vec<Zeroizing<[u8; 32]>>, String> {
    let words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()))
        .filter(|word| !word.is_empty());
    let keys = words
        .enumerate()
        .map(|(index, word)| master_key(word).map_err(|why| format!("key {} {why}", index + 1)))
        .collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err("there is no key".to_owned()) } else { Ok(keys) }
}

impl Secrets {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        let text = Zeroizing::new(raw.master_key);
        let master_key = if text.is_empty() {
            if raw.master_key_file.is_empty() {
                return Err(section.refuse(&MASTER_KEY_FILE));
            }
            if looks_like_a_key(&raw.master_key_file) {
                return Err(section.refuse_because(&MASTER_KEY_FILE, "is a key (not shown)"));
            }
            MasterKeySource::File(PathBuf::from(raw.master_key_file))
        } else {
            if section.is_set(&MASTER_KEY_FILE) {
                return Err(section.refuse_both(&MASTER_KEY, &MASTER_KEY_FILE));
            }
            MasterKeySource::Inline(
                parse_master_keys(&text)
                    .map_err(|why| section.refuse_because(&MASTER_KEY, &format!("is not usable: {why}")))?,
            )
        };
        Ok(Self { master_key })
    }
}

const MASTER_KEY: Setting =
    Setting::secret("master_key", "one or more keys of 32 bytes, each as base64, separated by commas or spaces");
const MASTER_KEY_FILE: Setting =
    Setting::words("master_key_file", "a path, or an empty string where secrets.master_key is set");

pub(super) const OUTLINE: SectionOutline = SectionOutline { name: "secrets", settings: &[MASTER_KEY, MASTER_KEY_FILE] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    master_key: String,
    master_key_file: String,
}

/// A key in the place of its path, which later errors would repeat. A long path may be base64 by accident,
/// but has slashes and no padding.
fn looks_like_a_key(path: &str) -> bool {
    (path.ends_with('=') || !path.contains('/')) && parse_master_keys(path).is_ok()
}

fn master_key(word: &str) -> Result<Zeroizing<[u8; 32]>, String> {
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
    fn mistakes_are_told_without_the_text() {
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
        assert_eq!(format!("{:?}", settings.secrets), "Secrets { master_key: Inline(1 not shown) }");
        let rows = settings.describe();
        let variable = "KEYTURN_SECRETS__MASTER_KEY".to_owned();
        assert!(rows.contains(&("secrets.master_key".into(), "(set)".into(), variable)));
        let file = ("secrets.master_key_file".into(), "(not used)".into(), "default".into());
        assert!(rows.contains(&file));

        let scene = Scene::new().with("config/keyturn.toml", "[secrets]\nmaster_key_file = 'data/master.key'");
        assert_eq!(
            scene.refusal(&[("KEYTURN_SECRETS__MASTER_KEY", SEVENS)]),
            "config/keyturn.toml:2: secrets.master_key_file is set, and so is secrets.master_key \
             (KEYTURN_SECRETS__MASTER_KEY); allowed is one of the two (an empty string unsets)"
        );
    }

    #[test]
    fn unusable_keys_are_refused() {
        assert_eq!(
            refusal("KEYTURN_SECRETS__MASTER_KEY", "aHVudGVyMg=="),
            "KEYTURN_SECRETS__MASTER_KEY: secrets.master_key is not usable: key 1 is 7 bytes long, not 32; \
             allowed is one or more keys of 32 bytes, each as base64, separated by commas or spaces"
        );
        assert_eq!(
            refusal("KEYTURN_SECRETS__MASTER_KEY_FILE", ""),
            "KEYTURN_SECRETS__MASTER_KEY_FILE: secrets.master_key_file is empty; allowed is a path, or an \
             empty string where secrets.master_key is set"
        );
        for key in [SEVENS, ONES_FILLED, ONES_FILLED_URL_SAFE] {
            assert_eq!(
                refusal("KEYTURN_SECRETS__MASTER_KEY_FILE", key),
                "KEYTURN_SECRETS__MASTER_KEY_FILE: secrets.master_key_file is a key (not shown); allowed is a \
                 path, or an empty string where secrets.master_key is set"
            );
        }
    }
}
