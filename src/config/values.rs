//! The settings whose checks fit nowhere else.

use toml::Value;

use super::error::ConfigError;
use super::field::Field;

/// Reads `token.audience`.
pub(super) fn audience(field: &Field<'_>) -> Result<Option<String>, ConfigError> {
    match field.text()? {
        "" => Ok(None),
        text if text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(text.to_owned())),
        _ => Err(field.refuse()),
    }
}

/// Reads `log.level`. Whether it is a valid filter is checked by `telemetry`, which knows the syntax.
pub(super) fn level(field: &Field<'_>) -> Result<String, ConfigError> {
    let text = field.text()?;
    let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if is_printable && !text.trim().is_empty() { Ok(text.to_owned()) } else { Err(field.refuse()) }
}

/// Reads `webhooks.retry_seconds`. In a comma-separated variable, the numbers are texts.
pub(super) fn retry_seconds(field: &Field<'_>) -> Result<Vec<u32>, ConfigError> {
    let seconds = |value: &Value| match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let list = field.list()?;
    let numbers: Option<Vec<u32>> = list.iter().map(seconds).collect();
    let is_valid = |numbers: &Vec<u32>| numbers.len() <= 20 && numbers.iter().all(|n| (1..=604_800).contains(n));
    numbers.filter(is_valid).ok_or_else(|| field.refuse())
}
