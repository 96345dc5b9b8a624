//! The form in which `settings.rs` declares each setting, and the table that it becomes.

use std::fmt::{self, Display};
use std::str::FromStr;

use toml::Value;

use crate::domain::choices::Choice;

use super::error::ConfigError;
use super::field::Field;

/// A section, its settings in the order of `config/default.toml`.
pub(super) struct Section {
    pub name: &'static str,
    pub settings: &'static [Setting],
}

/// A setting without its value.
pub(super) struct Setting {
    pub name: &'static str,
    /// The documentation, without the allowed values and the default.
    pub documentation: &'static str,
    /// The default as TOML.
    pub default: &'static str,
    pub about: About,
}

/// The part of a rule that does not depend on the type of the value.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub allowed: Allowed,
    /// The default in words, if the value itself does not say it.
    pub default: Option<&'static str>,
    /// Whether the value is never shown.
    pub is_secret: bool,
}

/// The values that are allowed. Its text follows "allowed: ".
#[derive(Clone, Copy)]
pub(super) enum Allowed {
    Range { least: u64, most: u64, unit: &'static str },
    Choice(&'static [&'static str]),
    Text(&'static str),
}

impl Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { least, most, unit } => write!(f, "{least} to {most} {unit}"),
            Self::Choice([first @ .., before, last]) => {
                first.iter().try_for_each(|name| write!(f, "{name}, "))?;
                write!(f, "{before} or {last}")
            }
            Self::Choice(names) => f.write_str(&names.concat()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// How a setting is read and checked.
pub(super) struct Rule<T> {
    pub about: About,
    pub read: fn(&Field<'_>) -> Result<T, ConfigError>,
}

impl<T> Rule<T> {
    const fn new(allowed: Allowed, read: fn(&Field<'_>) -> Result<T, ConfigError>) -> Self {
        Self { about: About { allowed, default: None, is_secret: false }, read }
    }

    /// Never shows the value.
    pub const fn secret(self) -> Self {
        Self { about: About { is_secret: true, ..self.about }, ..self }
    }

    /// Describes the default in words.
    pub const fn default_is(self, text: &'static str) -> Self {
        Self { about: About { default: Some(text), ..self.about }, ..self }
    }
}

/// A number with its limits and its unit.
pub(super) const fn range<T: TryFrom<u64>>(least: u64, most: u64, unit: &'static str) -> Rule<T> {
    Rule::new(Allowed::Range { least, most, unit }, |field| field.number())
}

/// One of a few names.
pub(super) const fn choice<T: Choice>() -> Rule<T> {
    Rule::new(Allowed::Choice(T::NAMES), |field| T::parse(field.text()?).ok_or_else(|| field.refuse()))
}

/// `true` or `false`.
pub(super) const fn flag() -> Rule<bool> {
    Rule::new(Allowed::Choice(&["true", "false"]), |field| match field.value() {
        Some(Value::Boolean(flag)) => Ok(*flag),
        _ => Err(field.refuse()),
    })
}

/// Text that the type itself parses.
pub(super) const fn parsed<T: FromStr>(allowed: &'static str) -> Rule<T> {
    Rule::new(Allowed::Text(allowed), |field| field.text()?.parse().map_err(|_| field.refuse()))
}

/// The same, or an empty string.
pub(super) const fn parsed_or_empty<T: FromStr>(allowed: &'static str) -> Rule<Option<T>> {
    Rule::new(Allowed::Text(allowed), |field| match field.text()? {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| field.refuse()),
    })
}

/// A value with a check of its own.
pub(super) const fn checked<T>(read: fn(&Field<'_>) -> Result<T, ConfigError>, allowed: &'static str) -> Rule<T> {
    Rule::new(Allowed::Text(allowed), read)
}

/// Declares sections of settings as `name: Type = default => rule;`. Each becomes a field of its section's struct and a
/// row of `SECTIONS`; the comment before it documents it in both, and in `config/default.toml`.
macro_rules! settings {
    ($(
        $(#[doc = $about_section:literal])+
        [$section:ident] $Section:ident {
            $($(#[doc = $documentation:literal])+ $name:ident: $Type:ty = $default:tt => $rule:expr;)+
        }
    )+) => {
        /// Every setting, checked.
        #[derive(Debug, Clone)]
        pub struct Settings {
            $($(#[doc = $about_section])+ pub $section: $Section,)+
            /// Where each value came from.
            pub(super) rows: Vec<Row>,
        }

        impl Settings {
            pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
                Ok(Self { $($section: $Section::read(layers)?,)+ rows: layers.rows() })
            }
        }

        $(
            $(#[doc = $about_section])+
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Section {
                $($(#[doc = $documentation])+ pub $name: $Type,)+
            }

            impl $Section {
                fn read(layers: &Layers) -> Result<Self, ConfigError> {
                    Ok(Self {
                        $($name: {
                            const RULE: Rule<$Type> = $rule;
                            (RULE.read)(&layers.field(stringify!($section), stringify!($name), RULE.about))?
                        },)+
                    })
                }
            }
        )+

        /// All settings, in the order of `config/default.toml`.
        pub(super) static SECTIONS: &[Section] = &[$(Section {
            name: stringify!($section),
            settings: &[$(Setting {
                name: stringify!($name),
                documentation: concat!($($documentation),+),
                default: stringify!($default),
                about: {
                    const RULE: Rule<$Type> = $rule;
                    RULE.about
                },
            }),+],
        }),+];
    };
}

pub(super) use settings;
