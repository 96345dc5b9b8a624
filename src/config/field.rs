//! One setting with its value: how a rule reads it, and how an error describes it.

use std::path::Path;

use toml::Value;

use super::declaration::{About, Allowed};
use super::error::ConfigError;
use super::layers::{Layers, Origin};

/// A setting with its value.
pub(super) struct Field<'a> {
    pub layers: &'a Layers,
    pub section: &'static str,
    pub name: &'static str,
    pub about: About,
}

impl<'a> Field<'a> {
    pub fn value(&self) -> Option<&'a Value> {
        self.layers.value(self.section, self.name)
    }

    /// The value, if it is text.
    pub fn text(&self) -> Result<&'a str, ConfigError> {
        self.value().and_then(Value::as_str).ok_or_else(|| self.refuse())
    }

    /// The value, if it is a list.
    pub fn list(&self) -> Result<&'a [Value], ConfigError> {
        self.value().and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| self.refuse())
    }

    /// A list of texts, each of them read by `read`, whose error is a complaint as for [`Field::refuse_because`].
    pub fn texts<T>(&self, read: fn(&str) -> Result<T, String>) -> Result<Vec<T>, ConfigError> {
        let texts: Option<Vec<&str>> = self.list()?.iter().map(Value::as_str).collect();
        let read = |text| read(text).map_err(|complaint| self.refuse_because(&complaint));
        texts.ok_or_else(|| self.refuse())?.into_iter().map(read).collect()
    }

    /// The value, if it is a number in the allowed range.
    pub fn number<T: TryFrom<u64>>(&self) -> Result<T, ConfigError> {
        let number = self.value().and_then(Value::as_integer).and_then(|number| u64::try_from(number).ok());
        number
            .filter(|number| {
                matches!(self.about.allowed, Allowed::Range { least, most, .. } if (least..=most).contains(number))
            })
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| self.refuse())
    }

    /// Another setting of the same section.
    pub fn sibling(&self, name: &str) -> Option<Self> {
        self.layers.fields().find(|other| other.section == self.section && other.name == name)
    }

    pub fn working_directory(&self) -> &'a Path {
        self.layers.working_directory()
    }

    /// `place: section.name is GIVEN; allowed: …`
    pub fn refuse(&self) -> ConfigError {
        self.refuse_because(&format!("is {}", self.given()))
    }

    /// `place: section.name COMPLAINT; allowed: …`
    pub fn refuse_because(&self, complaint: &str) -> ConfigError {
        self.refuse_at(&self.place(), complaint)
    }

    /// The same for a value that was read from a file that another setting names.
    pub fn refuse_at(&self, place: &str, complaint: &str) -> ConfigError {
        ConfigError::new(&format!("{place}: {} {complaint}; allowed: {}", self.key(), self.about.allowed))
    }

    /// Whether the file or a variable sets it; an empty string does not.
    pub fn is_set(&self) -> bool {
        *self.origin() != Origin::Default && self.value().and_then(Value::as_str) != Some("")
    }

    /// Two settings for one value.
    pub fn refuse_beside(&self, other: &Self) -> ConfigError {
        ConfigError::new(&format!(
            "{}: {} cannot be combined with {} ({}); remove one of them, or set it to an empty string",
            self.place(),
            self.key(),
            other.key(),
            other.place(),
        ))
    }

    pub fn key(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// Where the value came from, for the beginning of an error.
    pub fn place(&self) -> String {
        self.origin().place()
    }

    /// The value as `describe` shows it.
    pub fn describe_value(&self) -> String {
        match self.value() {
            Some(Value::String(text)) if text.is_empty() => "(not set)".to_owned(),
            Some(_) if self.about.is_secret => "(set)".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "(not set)".to_owned(),
        }
    }

    /// The origin as `describe` shows it; for a URL that was read from `url_file`, that file.
    pub fn describe_origin(&self) -> String {
        let url_file = self.sibling("url_file").filter(|file| self.name == "url" && file.is_set());
        match url_file.and_then(|file| file.value()) {
            Some(Value::String(path)) => path.clone(),
            _ => self.origin().to_string(),
        }
    }

    fn given(&self) -> String {
        match self.value() {
            None => "missing".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(_) if self.about.is_secret => NOT_SHOWN.to_owned(),
            Some(Value::String(text)) => quoted(text),
            Some(Value::Table(_)) => "a table".to_owned(),
            Some(value) => shortened(&value.to_string()),
        }
    }

    fn origin(&self) -> &'a Origin {
        self.layers.origin(self.section, self.name)
    }
}

/// Stands for a value that an error must not repeat.
pub(super) const NOT_SHOWN: &str = "invalid (not shown)";

/// A string as an error repeats it: quoted, escaped, not too long.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let head: String = text.chars().take(MOST).collect();
    if head.len() < text.len() { format!("{head}…") } else { head }
}
