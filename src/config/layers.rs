//! The three layers laid over each other, and where each value came from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::io::ErrorKind;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::OUTLINES;
use super::error::ConfigError;
use super::section::SectionOutline;
use super::suggest::nearest;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File { path: String, line: usize },
    Variable(String),
}

impl Origin {
    /// As an error starts.
    pub fn place(&self) -> String {
        match self {
            Self::Default => "config/default.toml (compiled in)".to_owned(),
            Self::File { .. } | Self::Variable(_) => self.to_string(),
        }
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Every setting's value, the last layer winning, and the origin of those that are not the default.
pub(super) struct Layers {
    defaults: Table,
    sections: Table,
    origins: BTreeMap<(String, String), Origin>,
}

impl Layers {
    pub fn defaults() -> Result<Self, ConfigError> {
        let defaults: Table =
            DEFAULTS.parse().map_err(|error| broken_toml(&Origin::Default.place(), DEFAULTS, &error))?;
        Ok(Self { sections: defaults.clone(), defaults, origins: BTreeMap::new() })
    }

    /// Lays the file over what is there. Only the file nobody asked for may be missing.
    pub fn add_file(&mut self, asked_for: Option<&Path>, working_directory: &Path) -> Result<(), ConfigError> {
        let file = asked_for.unwrap_or(Path::new(DEFAULT_FILE));
        let path = file.display().to_string();
        match std::fs::read_to_string(working_directory.join(file)) {
            Ok(text) => self.add_toml(path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound && asked_for.is_none() => Ok(()),
            Err(error) => Err(ConfigError::new(&format!("{path}: cannot be read: {error}"))),
        }
    }

    /// Lays the variables `KEYTURN_SECTION__NAME` over what is there. Every other `KEYTURN_` variable is refused, except
    /// those of the command line and those that Kubernetes sets for services.
    pub fn add_environment(
        &mut self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        // In order of their names, so that of two mistakes the same one is always reported.
        let variables: BTreeMap<String, OsString> = environment
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.strip_prefix("KEYTURN").is_some_and(|rest| rest.starts_with('_')))
            .filter(|(name, value)| !COMMAND_LINE.contains(&name.as_str()) && !is_of_kubernetes(name, value))
            .collect();
        for (variable, value) in variables {
            if !variable.contains("__") {
                return Err(unknown_variable(&variable));
            }
            let (section, name) = known_variable(&variable)?;
            let Ok(text) = value.into_string() else {
                return Err(ConfigError::new(&format!(
                    "{variable}: {section}.{name} is not Unicode; allowed is Unicode text"
                )));
            };
            let default = self.defaults.get(section).and_then(|settings| settings.get(name));
            let value = read_as(default, text);
            self.set(section, name, value, Origin::Variable(variable));
        }
        Ok(())
    }

    pub fn section(&self, section: &str) -> Value {
        self.sections.get(section).cloned().unwrap_or_else(|| Value::Table(Table::new()))
    }

    pub fn value(&self, section: &str, name: &str) -> Option<&Value> {
        self.sections.get(section)?.get(name)
    }

    pub fn origin(&self, section: &str, name: &str) -> &Origin {
        self.origins.get(&(section.to_owned(), name.to_owned())).unwrap_or(&Origin::Default)
    }

    fn add_toml(&mut self, path: String, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error| broken_toml(&path, text, &error))?;
        let lines = Lines::of(text);
        for (section, settings) in table {
            let at = |name: Option<&str>| Origin::File { path: path.clone(), line: lines.of_key(&section, name) };
            let outline = known_section(&section, &at(None))?;
            let Value::Table(settings) = settings else {
                return Err(ConfigError::new(&format!(
                    "{}: {section} is not a section; allowed is [{section}] with its settings below",
                    at(None)
                )));
            };
            for (name, value) in settings {
                let origin = at(Some(&name));
                known_setting(outline, &name, &origin)?;
                self.set(&section, &name, value, origin);
            }
        }
        Ok(())
    }

    fn set(&mut self, section: &str, name: &str, value: Value, origin: Origin) {
        if let Some(Value::Table(settings)) = self.sections.get_mut(section) {
            settings.insert(name.to_owned(), value);
            self.origins.insert((section.to_owned(), name.to_owned()), origin);
        }
    }
}

const DEFAULTS: &str = include_str!("../../config/default.toml");
const DEFAULT_FILE: &str = "config/keyturn.toml";

/// The variables of the command line.
pub const COMMAND_LINE: [&str; 8] = [
    "KEYTURN_API_KEY",
    "KEYTURN_API_KEY_FILE",
    "KEYTURN_CONFIG",
    "KEYTURN_COPY_TO",
    "KEYTURN_COPY_TO_FILE",
    "KEYTURN_SERVER",
    "KEYTURN_TOKEN",
    "KEYTURN_TOKEN_FILE",
];

/// Whether Kubernetes sets it in every container beside a service called `keyturn`, or `keyturn-…` as in
/// `KEYTURN_POSTGRESQL_SERVICE_HOST` and `KEYTURN_POSTGRESQL_PORT_5432_TCP_ADDR`.
fn is_of_kubernetes(name: &str, value: &OsStr) -> bool {
    if ["KEYTURN_PORT", "KEYTURN_SERVICE_"].iter().any(|prefix| name.starts_with(prefix)) {
        return true;
    }
    let is_address = value
        .to_str()
        .is_some_and(|value| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme)));
    let is_of_port = name.rsplit_once("_PORT_").is_some_and(|(_, rest)| {
        let mut parts = rest.split('_');
        let is_number = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
        is_number && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
    });
    is_of_port
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT") && is_address
}

fn unknown_variable(variable: &str) -> ConfigError {
    let settings = all_settings().map(|(section, name)| format!("KEYTURN_{section}__{name}").to_lowercase());
    let names: Vec<String> = settings.chain(COMMAND_LINE.map(str::to_lowercase)).collect();
    let rest = variable.strip_prefix("KEYTURN_").unwrap_or_default();
    let by_setting = || {
        let (section, name) = elsewhere(rest).or_else(|| {
            let near = nearest(rest, all_settings().map(|(_, name)| name))?;
            elsewhere(near)
        })?;
        Some(format!("KEYTURN_{section}__{name}"))
    };
    let near = nearest(variable, names.iter().map(String::as_str)).map(str::to_owned).or_else(by_setting);
    let near = near.filter(|_| rest.len() > 1);
    let did_you_mean = near.map(|name| format!("; did you mean {}?", name.to_uppercase())).unwrap_or_default();
    ConfigError::new(&format!(
        "{variable}: no setting is called that; allowed is KEYTURN_SECTION__NAME with two underscores, and {}{did_you_mean}",
        COMMAND_LINE.join(", ")
    ))
}

/// The line each key of a TOML text stands on.
struct Lines(BTreeMap<(String, Option<String>), usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let mut lines = BTreeMap::new();
        if let Ok(table) = DeTable::parse(text) {
            for (section, settings) in table.get_ref() {
                let at = (section.get_ref().to_string(), None);
                lines.insert(at, line_at(text, section.span().start));
                if let DeValue::Table(settings) = settings.get_ref() {
                    for name in settings.keys() {
                        let at = (section.get_ref().to_string(), Some(name.get_ref().to_string()));
                        lines.insert(at, line_at(text, name.span().start));
                    }
                }
            }
        }
        Self(lines)
    }

    fn of_key(&self, section: &str, name: Option<&str>) -> usize {
        let at = (section.to_owned(), name.map(str::to_owned));
        self.0.get(&at).copied().unwrap_or(1)
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

/// Says where the text stops being TOML, without repeating any of it.
fn broken_toml(path: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    ConfigError::new(&format!("{path}:{line}: is not TOML: {message}"))
}

/// The section and setting a variable names; both are as in the outlines, so in lower case.
fn known_variable(variable: &str) -> Result<(&'static str, &'static str), ConfigError> {
    let rest = variable.strip_prefix("KEYTURN_").unwrap_or_default();
    let (section, name) = rest.split_once("__").unwrap_or(("", rest));
    let found = all_settings().find(|(s, n)| s.to_uppercase() == section && n.to_uppercase() == name);
    found.ok_or_else(|| {
        let near = OUTLINES.iter().find(|outline| Some(outline.name) == nearest(section, section_names()));
        let (what, suggestion) = match near {
            Some(outline) => {
                let near = nearest(name, setting_names(outline)).map(|n| (outline.name, n));
                let what = format!("allowed in [{}] is {}", outline.name, list(setting_names(outline)));
                (what, near.or_else(|| elsewhere(name)))
            }
            None => (format!("allowed as a section is {}", list(section_names())), elsewhere(name)),
        };
        let did_you_mean = suggestion.map(|(section, name)| {
            format!("; did you mean KEYTURN_{}__{}?", section.to_uppercase(), name.to_uppercase())
        });
        ConfigError::new(&format!("{variable}: no setting is called that; {what}{}", did_you_mean.unwrap_or_default()))
    })
}

fn known_section(section: &str, origin: &Origin) -> Result<&'static SectionOutline, ConfigError> {
    OUTLINES.into_iter().find(|outline| outline.name == section).ok_or_else(|| {
        let near = nearest(section, section_names()).map(|near| format!("; did you mean {near}?"));
        let setting = || elsewhere(section).map(|(s, name)| format!("; did you mean {s}.{name}?"));
        ConfigError::new(&format!(
            "{origin}: no section is called {section}; allowed is {}{}",
            list(section_names()),
            near.or_else(setting).unwrap_or_default()
        ))
    })
}

fn known_setting(outline: &SectionOutline, name: &str, origin: &Origin) -> Result<(), ConfigError> {
    if setting_names(outline).any(|known| known == name) {
        return Ok(());
    }
    let near = nearest(name, setting_names(outline)).map(|near| (outline.name, near));
    let did_you_mean = near.or_else(|| elsewhere(name)).map(|(s, n)| format!("; did you mean {s}.{n}?"));
    Err(ConfigError::new(&format!(
        "{origin}: no setting is called {section}.{name}; allowed in [{section}] is {}{}",
        list(setting_names(outline)),
        did_you_mean.unwrap_or_default(),
        section = outline.name,
    )))
}

/// The setting of that very name, whatever its section.
fn elsewhere(name: &str) -> Option<(&'static str, &'static str)> {
    all_settings().find(|(_, known)| known.eq_ignore_ascii_case(name))
}

fn all_settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    OUTLINES.into_iter().flat_map(|outline| setting_names(outline).map(|name| (outline.name, name)))
}

fn section_names() -> impl Iterator<Item = &'static str> {
    OUTLINES.into_iter().map(|outline| outline.name)
}

fn setting_names(outline: &SectionOutline) -> impl Iterator<Item = &'static str> + use<> {
    outline.settings.iter().map(|setting| setting.name)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// A variable's text in the type of the setting's default. What cannot be read that way stays text, and is
/// refused as one when the section is read.
fn read_as(default: Option<&Value>, text: String) -> Value {
    let read = match default {
        Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).ok(),
        Some(Value::Boolean(_)) => text.trim().parse().map(Value::Boolean).ok(),
        Some(Value::Array(_)) if text.trim_start().starts_with('[') => text.trim().parse().ok(),
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => None,
    };
    read.unwrap_or(Value::String(text))
}

#[cfg(test)]
mod tests {
    use toml::Value;

    use super::{Value::*, read_as};

    #[test]
    fn a_variable_is_read_in_the_type_of_the_default() {
        let text = |text: &str| String(text.to_owned());
        for (default, given, expected) in [
            (text(""), "5", text("5")),
            (text(""), " a ", text(" a ")),
            (Integer(1), "-5", Integer(-5)),
            (Integer(1), "5s", text("5s")),
            (Boolean(true), "false", Boolean(false)),
            (Boolean(true), "no", text("no")),
            (Array(vec![]), "", Array(vec![])),
            (Array(vec![]), "a, b,", Array(vec![text("a"), text("b")])),
            (Array(vec![]), " ['a', 'b'] ", Array(vec![text("a"), text("b")])),
            (Array(vec![]), "['a'", text("['a'")),
        ] {
            let read: Value = read_as(Some(&default), given.to_owned());
            assert_eq!(read, expected, "{given}");
        }
    }
}
