//! The layers of settings: defaults, a file, the environment; and where each value came from.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::declaration::{About, Section};
use super::defaults;
use super::error::ConfigError;
use super::field::Field;
use super::settings::SECTIONS;
use super::suggest::nearest;

const DEFAULT_FILE: &str = "config/keyturn.toml";

/// The environment variables of the command line, which are no settings.
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

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File { path: String, line: usize },
    Variable(String),
}

impl Origin {
    /// For the beginning of an error.
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

/// A setting for `describe`, as it was given. Never contains a secret.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub key: String,
    pub value: String,
    pub origin: String,
}

type Key = (&'static str, &'static str);

/// The value of each setting from the last layer that sets it, and its origin if it is not the default.
pub(super) struct Layers {
    defaults: BTreeMap<Key, Value>,
    values: BTreeMap<Key, Value>,
    origins: BTreeMap<Key, Origin>,
    working_directory: PathBuf,
}

impl Layers {
    /// The defaults. Relative paths start at `working_directory`.
    pub fn defaults(working_directory: &Path) -> Result<Self, ConfigError> {
        let text = defaults::render();
        let place = Origin::Default.place();
        let table: Table = text.parse().map_err(|error| broken_toml(&place, &text, &error))?;
        let value = |(section, name)| Some(((section, name), table.get(section)?.get(name)?.clone()));
        let defaults: BTreeMap<_, _> = all_settings().filter_map(value).collect();
        Ok(Self {
            values: defaults.clone(),
            defaults,
            origins: BTreeMap::new(),
            working_directory: working_directory.to_owned(),
        })
    }

    /// Adds the values of a file. Only the default file may be missing.
    pub fn add_file(&mut self, requested: Option<&Path>) -> Result<(), ConfigError> {
        let file = requested.unwrap_or(Path::new(DEFAULT_FILE));
        let path = file.display().to_string();
        match std::fs::read_to_string(self.working_directory.join(file)) {
            Ok(text) => self.add_toml(&path, &text),
            Err(error) if error.kind() == ErrorKind::NotFound && requested.is_none() => Ok(()),
            Err(error) => Err(ConfigError::new(&format!("{path}: cannot be read: {error}"))),
        }
    }

    /// Adds the values of variables named `KEYTURN_SECTION__NAME`. Every other `KEYTURN_` variable is an error, except
    /// those of the command line and those that Kubernetes sets for services.
    pub fn add_environment(
        &mut self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        // Sorted, so that of two mistakes the same one is always reported.
        let variables: BTreeMap<String, OsString> = environment
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.strip_prefix("KEYTURN").is_some_and(|rest| rest.starts_with('_')))
            .filter(|(name, value)| !COMMAND_LINE.contains(&name.as_str()) && !is_of_kubernetes(name, value))
            .collect();
        for (variable, value) in variables {
            if !variable.contains("__") {
                return Err(unknown_variable(&variable));
            }
            let key = known_variable(&variable)?;
            let Ok(text) = value.into_string() else {
                return Err(ConfigError::new(&format!("{variable}: {}.{} is not valid Unicode", key.0, key.1)));
            };
            let value = read_as(self.defaults.get(&key), text);
            self.set(key, value, Origin::Variable(variable));
        }
        Ok(())
    }

    pub fn value(&self, section: &'static str, name: &'static str) -> Option<&Value> {
        self.values.get(&(section, name))
    }

    pub fn origin(&self, section: &'static str, name: &'static str) -> &Origin {
        self.origins.get(&(section, name)).unwrap_or(&Origin::Default)
    }

    pub fn working_directory(&self) -> &Path {
        &self.working_directory
    }

    pub fn field(&self, section: &'static str, name: &'static str, about: About) -> Field<'_> {
        Field { layers: self, section, name, about }
    }

    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        SECTIONS.iter().flat_map(|section| {
            section.settings.iter().map(|setting| self.field(section.name, setting.name, setting.about))
        })
    }

    pub fn rows(&self) -> Vec<Row> {
        let row =
            |field: Field<'_>| Row { key: field.key(), value: field.describe_value(), origin: field.describe_origin() };
        self.fields().map(row).collect()
    }

    fn add_toml(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = text.parse().map_err(|error| broken_toml(path, text, &error))?;
        let lines = Lines::of(text);
        for (name, settings) in table {
            let at = |setting: Option<&str>| Origin::File { path: path.to_owned(), line: lines.of_key(&name, setting) };
            let section = known_section(&name, &at(None))?;
            let Value::Table(settings) = settings else {
                return Err(ConfigError::new(&format!(
                    "{}: {name} is a section; write [{name}] and its settings below it",
                    at(None)
                )));
            };
            for (setting, value) in settings {
                let origin = at(Some(&setting));
                let setting = known_setting(section, &setting, &origin)?;
                self.set((section.name, setting), value, origin);
            }
        }
        Ok(())
    }

    fn set(&mut self, key: Key, value: Value, origin: Origin) {
        self.values.insert(key, value);
        self.origins.insert(key, origin);
    }
}

/// Whether Kubernetes sets it in every container for a service called `keyturn`, or `keyturn-…` as in
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
        "{variable}: unknown variable; allowed: KEYTURN_SECTION__NAME with two underscores, and {}{did_you_mean}",
        COMMAND_LINE.join(", ")
    ))
}

/// The line of each key in a TOML text.
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

/// A syntax error, without any of the text.
fn broken_toml(path: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    ConfigError::new(&format!("{path}:{line}: invalid TOML: {message}"))
}

/// The setting of a variable.
fn known_variable(variable: &str) -> Result<Key, ConfigError> {
    let rest = variable.strip_prefix("KEYTURN_").unwrap_or_default();
    let (section, name) = rest.split_once("__").unwrap_or(("", rest));
    let found = all_settings().find(|(s, n)| s.to_uppercase() == section && n.to_uppercase() == name);
    found.ok_or_else(|| {
        let near = SECTIONS.iter().find(|known| Some(known.name) == nearest(section, section_names()));
        let (known, suggestion) = match near {
            Some(section) => (known_settings(section), nearest_setting(section, name)),
            None => (known_sections(), elsewhere(name)),
        };
        let did_you_mean = suggestion.map(|(section, name)| {
            format!("; did you mean KEYTURN_{}__{}?", section.to_uppercase(), name.to_uppercase())
        });
        ConfigError::new(&format!("{variable}: unknown setting; {known}{}", did_you_mean.unwrap_or_default()))
    })
}

fn known_section(name: &str, origin: &Origin) -> Result<&'static Section, ConfigError> {
    SECTIONS.iter().find(|section| section.name == name).ok_or_else(|| {
        let near = nearest(name, section_names()).map(|near| format!("; did you mean {near}?"));
        let setting = || elsewhere(name).map(|(section, name)| format!("; did you mean {section}.{name}?"));
        let did_you_mean = near.or_else(setting).unwrap_or_default();
        ConfigError::new(&format!("{origin}: unknown section {name}; {}{did_you_mean}", known_sections()))
    })
}

fn known_setting(section: &'static Section, name: &str, origin: &Origin) -> Result<&'static str, ConfigError> {
    setting_names(section).find(|known| *known == name).ok_or_else(|| {
        let near = nearest_setting(section, name);
        let did_you_mean = near.map(|(section, name)| format!("; did you mean {section}.{name}?")).unwrap_or_default();
        ConfigError::new(&format!(
            "{origin}: unknown setting {}.{name}; {}{did_you_mean}",
            section.name,
            known_settings(section)
        ))
    })
}

/// The setting of the section with a similar name, or a setting of exactly that name in another section.
fn nearest_setting(section: &'static Section, name: &str) -> Option<Key> {
    nearest(name, setting_names(section)).map(|near| (section.name, near)).or_else(|| elsewhere(name))
}

/// The setting of exactly that name, in any section.
fn elsewhere(name: &str) -> Option<Key> {
    all_settings().find(|(_, known)| known.eq_ignore_ascii_case(name))
}

fn all_settings() -> impl Iterator<Item = Key> {
    SECTIONS.iter().flat_map(|section| setting_names(section).map(|name| (section.name, name)))
}

fn section_names() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|section| section.name)
}

fn setting_names(section: &'static Section) -> impl Iterator<Item = &'static str> {
    section.settings.iter().map(|setting| setting.name)
}

fn known_sections() -> String {
    format!("the sections are {}", section_names().collect::<Vec<_>>().join(", "))
}

fn known_settings(section: &'static Section) -> String {
    format!("[{}] has {}", section.name, setting_names(section).collect::<Vec<_>>().join(", "))
}

/// A variable's text in the type of the setting's default. Text that cannot be read in that type stays text, and is
/// rejected when the setting is read.
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
