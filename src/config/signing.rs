//! `[signing]`: how signing keys take turns.

use serde::Deserialize;

use super::error::ConfigError;
use super::section::{Section, SectionOutline, Setting};

/// `[signing]`: rotation of signing keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// Days after which a signing key is replaced, 0 to 3650; 0 is only on command.
    pub rotate_every_days: u32,
    /// Seconds the next key is published before its first use, 0 to 86400.
    pub publish_ahead_seconds: u32,
}

impl Signing {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: Raw = section.raw()?;
        Ok(Self {
            rotate_every_days: section.within(&ROTATE_EVERY_DAYS, raw.rotate_every_days)?,
            publish_ahead_seconds: section.within(&PUBLISH_AHEAD_SECONDS, raw.publish_ahead_seconds)?,
        })
    }
}

const ROTATE_EVERY_DAYS: Setting = Setting::numbers("rotate_every_days", 0, 3650, "days (0: only on command)");
const PUBLISH_AHEAD_SECONDS: Setting = Setting::numbers("publish_ahead_seconds", 0, 86400, "seconds");

pub(super) const OUTLINE: SectionOutline =
    SectionOutline { name: "signing", settings: &[ROTATE_EVERY_DAYS, PUBLISH_AHEAD_SECONDS] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rotate_every_days: u32,
    publish_ahead_seconds: u32,
}
