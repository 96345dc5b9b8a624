//! One section as its own file sees it: what each setting allows, and how to say that it got something else.

use std::fmt::{self, Display};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::Value;

use super::error::ConfigError;
use super::layers::{Layers, Origin};

/// A section's name and its settings, in the order of `config/default.toml`.
pub(super) struct SectionOutline {
    pub name: &'static str,
    pub settings: &'static [Setting],
}

/// A setting's name within its section, and what it allows.
pub(super) struct Setting {
    pub name: &'static str,
    pub allowed: Allowed,
    pub secret: bool,
}

/// Completes the sentence "allowed is …".
pub(super) enum Allowed {
    Numbers { least: u64, most: u64, unit: &'static str },
    Words(&'static str),
}

impl Setting {
    pub const fn numbers(name: &'static str, least: u64, most: u64, unit: &'static str) -> Self {
        let allowed = Allowed::Numbers { least, most, unit };
        Self { name, allowed, secret: false }
    }

    pub const fn words(name: &'static str, allowed: &'static str) -> Self {
        let allowed = Allowed::Words(allowed);
        Self { name, allowed, secret: false }
    }

    /// Its value is never shown.
    pub const fn secret(name: &'static str, allowed: &'static str) -> Self {
        let allowed = Allowed::Words(allowed);
        Self { name, allowed, secret: true }
    }
}

impl Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers { least, most, unit } => write!(f, "{least} to {most} {unit}"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

/// The merged values of one section.
pub(super) struct Section<'a> {
    outline: &'static SectionOutline,
    layers: &'a Layers,
    working_directory: &'a Path,
}

impl<'a> Section<'a> {
    pub fn new(outline: &'static SectionOutline, layers: &'a Layers, working_directory: &'a Path) -> Self {
        Self { outline, layers, working_directory }
    }

    /// The section in its raw form; a value of the wrong type is refused here.
    pub fn raw<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        serde_path_to_error::deserialize(self.layers.section(self.outline.name)).map_err(|error| {
            let setting = error.path().iter().next().and_then(|segment| match segment {
                Segment::Map { key } => self.settings().iter().find(|setting| setting.name == key),
                _ => None,
            });
            match setting {
                Some(setting) => self.refuse(setting),
                None => ConfigError::new(&format!(
                    "{}: [{}] {}",
                    Origin::Default.place(),
                    self.outline.name,
                    error.inner().message()
                )),
            }
        })
    }

    /// The number itself, if the setting allows it.
    pub fn within<T: Copy + TryInto<u64>>(&self, setting: &Setting, number: T) -> Result<T, ConfigError> {
        match (&setting.allowed, number.try_into()) {
            (Allowed::Numbers { least, most, .. }, Ok(n)) if (*least..=*most).contains(&n) => Ok(number),
            _ => Err(self.refuse(setting)),
        }
    }

    /// `place: section.name is GIVEN; allowed is …`
    pub fn refuse(&self, setting: &Setting) -> ConfigError {
        self.refuse_because(setting, &format!("is {}", self.given(setting)))
    }

    /// `place: section.name COMPLAINT; allowed is …`
    pub fn refuse_because(&self, setting: &Setting, complaint: &str) -> ConfigError {
        self.refuse_at(&self.place(setting), setting, complaint)
    }

    /// The same for a value that was read from elsewhere, as from a file the setting names.
    pub fn refuse_at(&self, place: &str, setting: &Setting, complaint: &str) -> ConfigError {
        let key = self.key(setting);
        ConfigError::new(&format!("{place}: {key} {complaint}; allowed is {}", setting.allowed))
    }

    /// Whether a file or a variable gives it a value; an empty string is none.
    pub fn is_set(&self, setting: &Setting) -> bool {
        *self.origin(setting) != Origin::Default && self.value(setting).and_then(Value::as_str) != Some("")
    }

    /// Refuses two settings for one value.
    pub fn refuse_both(&self, first: &Setting, second: &Setting) -> ConfigError {
        ConfigError::new(&format!(
            "{}: {} is set, and so is {} ({}); allowed is one of the two (an empty string unsets)",
            self.place(second),
            self.key(second),
            self.key(first),
            self.place(first),
        ))
    }

    pub fn settings(&self) -> &'static [Setting] {
        self.outline.settings
    }

    pub fn working_directory(&self) -> &Path {
        self.working_directory
    }

    pub fn key(&self, setting: &Setting) -> String {
        format!("{}.{}", self.outline.name, setting.name)
    }

    /// Where the value came from, as an error starts.
    pub fn place(&self, setting: &Setting) -> String {
        self.origin(setting).place()
    }

    /// The value as `describe` shows it.
    pub fn describe_value(&self, setting: &Setting) -> String {
        match self.value(setting) {
            Some(Value::String(text)) if text.is_empty() => "(not set)".to_owned(),
            Some(_) if setting.secret => "(set)".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "(not set)".to_owned(),
        }
    }

    /// The origin as `describe` shows it; for a URL read from `url_file`, that file.
    pub fn describe_origin(&self, setting: &Setting) -> String {
        let url_file = self.settings().iter().find(|other| other.name == "url_file");
        let file = url_file.filter(|file| setting.name == "url" && self.is_set(file));
        match file.and_then(|file| self.value(file)) {
            Some(Value::String(path)) => path.clone(),
            _ => self.origin(setting).to_string(),
        }
    }

    fn given(&self, setting: &Setting) -> String {
        match self.value(setting) {
            None => "missing".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(_) if setting.secret => NOT_SHOWN.to_owned(),
            Some(Value::String(text)) => quoted(text),
            Some(Value::Table(_)) => "a table".to_owned(),
            Some(value) => shortened(&value.to_string()),
        }
    }

    fn value(&self, setting: &Setting) -> Option<&Value> {
        self.layers.value(self.outline.name, setting.name)
    }

    fn origin(&self, setting: &Setting) -> &Origin {
        self.layers.origin(self.outline.name, setting.name)
    }
}

/// Stands for what was given, where that must not be repeated.
pub(super) const NOT_SHOWN: &str = "something else (not shown)";

/// A string as an error repeats it: quoted, escaped, not too long.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let head: String = text.chars().take(MOST).collect();
    if head.len() < text.len() { format!("{head}…") } else { head }
}
