//! `[log]`: what is logged, and how it looks.

use serde::Deserialize;

use super::error::ConfigError;
use super::section::{Section, SectionOutline, Setting};

/// `[log]`: what is logged, and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A tracing filter; only known to be printable ASCII.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
    /// Which requests are logged.
    pub requests: LoggedRequests,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Human,
    /// One JSON object a line.
    Json,
}

/// Which requests have a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggedRequests {
    /// Those that are refused or fail.
    Failed,
    /// All.
    All,
    /// Only those that fail with a server error.
    None,
}

impl Log {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        let printable = raw.level.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !printable || raw.level.trim().is_empty() {
            return Err(section.refuse(&LEVEL));
        }
        let format = match raw.format.as_str() {
            "human" => LogFormat::Human,
            "json" => LogFormat::Json,
            _ => return Err(section.refuse(&FORMAT)),
        };
        let requests = match raw.requests.as_str() {
            "failed" => LoggedRequests::Failed,
            "all" => LoggedRequests::All,
            "none" => LoggedRequests::None,
            _ => return Err(section.refuse(&REQUESTS)),
        };
        Ok(Self { level: raw.level, format, requests })
    }
}

const LEVEL: Setting =
    Setting::words("level", "error, warn, info, debug, trace or filter directives, in printable ASCII");
const FORMAT: Setting = Setting::words("format", "human or json");
const REQUESTS: Setting = Setting::words("requests", "failed, all or none");

pub(super) const OUTLINE: SectionOutline = SectionOutline { name: "log", settings: &[LEVEL, FORMAT, REQUESTS] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    level: String,
    format: String,
    requests: String,
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load_variable, refusal};
    use super::{LogFormat, LoggedRequests};

    #[test]
    fn level_is_printable() {
        let directives = "info,keyturn::store[span{field=\"a b\"}]=debug";
        assert_eq!(load_variable("KEYTURN_LOG__LEVEL", directives).log.level, directives);
        for (given, shown) in [("", "empty"), ("  ", "\"  \""), ("a\tb", "\"a\\tb\"")] {
            assert_eq!(
                refusal("KEYTURN_LOG__LEVEL", given),
                format!(
                    "KEYTURN_LOG__LEVEL: log.level is {shown}; allowed is error, warn, info, debug, trace or \
                     filter directives, in printable ASCII"
                )
            );
        }
    }

    #[test]
    fn format_is_one_of_two() {
        assert_eq!(load_variable("KEYTURN_LOG__FORMAT", "json").log.format, LogFormat::Json);
        assert_eq!(
            refusal("KEYTURN_LOG__FORMAT", "JSON"),
            "KEYTURN_LOG__FORMAT: log.format is \"JSON\"; allowed is human or json"
        );
    }

    #[test]
    fn requests_are_one_of_three() {
        for (given, requests) in
            [("failed", LoggedRequests::Failed), ("all", LoggedRequests::All), ("none", LoggedRequests::None)]
        {
            assert_eq!(load_variable("KEYTURN_LOG__REQUESTS", given).log.requests, requests);
        }
        assert_eq!(
            refusal("KEYTURN_LOG__REQUESTS", "some"),
            "KEYTURN_LOG__REQUESTS: log.requests is \"some\"; allowed is failed, all or none"
        );
    }
}
